-- Move steps from the outbox into the dispatch window. KEYS as in common.lua.
-- ARGV 1 size of the window  2 low-water mark: nothing is taken while more than this is sent and not claimed  3 resend ms
-- Result: step, delivery, step, delivery, …
local sent = redis.call('SCARD', K.sent)
if sent > tonumber(ARGV[2]) then return {} end
local steps = redis.call('ZRANGE', K.ready, 0, tonumber(ARGV[1]) - sent - 1)
if #steps == 0 then
  redis.call('SREM', outbox, K.run)
  return {}
end
local due, gets, result = {}, {}, {}
for _, i in ipairs(steps) do
  due[#due + 1] = now + tonumber(ARGV[3])
  due[#due + 1] = K.run .. '|' .. i
  for _, word in ipairs({ 'GET', 'u32', '#' .. i }) do gets[#gets + 1] = word end
end
redis.call('ZREM', K.ready, unpack(steps))
redis.call('SADD', K.sent, unpack(steps))
redis.call('ZADD', timers, unpack(due))
local deliveries = redis.call('BITFIELD', K.dlv, unpack(gets))
for n, i in ipairs(steps) do
  result[#result + 1] = i
  result[#result + 1] = deliveries[n]
end
if redis.call('ZCARD', K.ready) == 0 then redis.call('SREM', outbox, K.run) end
return result
