-- Move steps from the outbox into the dispatch window. KEYS as in common.lua.
-- ARGV 1 size of the window  2 low-water mark: nothing is taken while more than this is sent and not claimed  3 resend ms
-- Result: number sent before, then step, delivery, queue, priority for each
local sent = redis.call('SCARD', K.sent)
if sent > tonumber(ARGV[2]) then return { sent } end
local why = halted()
if why then
  -- resume and start put the run back; the end of a freeze does not know of it
  if why ~= 'frozen' then redis.call('SREM', outbox, K.run) end
  return { sent }
end
local steps, due, gets, result = {}, {}, {}, { sent }
for _ = 1, tonumber(ARGV[1]) - sent do
  local i, queue = first_ready(false)
  if not i then break end
  local priority = has_special and special_of(K, i) or 0
  redis.call('SETBIT', K.rdy, i, 0)
  if has_special then redis.call('ZREM', K.rdyx, i) end
  steps[#steps + 1] = { i, queue, priority }
  due[#due + 1] = now + tonumber(ARGV[3])
  due[#due + 1] = K.run .. '|' .. i
  for _, word in ipairs({ 'GET', 'u32', '#' .. i }) do gets[#gets + 1] = word end
end
if not has_ready() then redis.call('SREM', outbox, K.run) end
if #steps == 0 then return result end
redis.call('ZADD', timers, unpack(due))
redis.call('SADD', root .. 'queued', K.run)
for n, delivery in ipairs(redis.call('BITFIELD', K.dlv, unpack(gets))) do
  redis.call('SADD', K.sent, steps[n][1])
  result[#result + 1] = steps[n][1]
  result[#result + 1] = delivery
  result[#result + 1] = steps[n][2]
  result[#result + 1] = steps[n][3]
end
return result
