-- Start a run with its roots in the outbox. KEYS as in common.lua.
-- ARGV 1 head (JSON object of texts)  2 st (roots are r)  3 dep  4 part  5 roots "0,1,…"  6 placesof (JSON object)
--      7 key of the plan  8 plan, gzip  9 by  10 reason
-- Result: ok | held, lock, run that holds it. A repeat finds the run and answers ok.
local CHUNK = 1000 -- roots put into the outbox by one command; unpack() ends near 8,000 arguments
if redis.call('EXISTS', K.meta) == 1 then return { 'ok' } end
local head = cjson.decode(ARGV[1])
local locks = cjson.decode(head.locks)
for _, lock in ipairs(locks) do
  local holder = redis.call('HGET', root .. 'locks', lock)
  if holder and holder ~= K.run then return { 'held', lock, holder } end
end
for _, lock in ipairs(locks) do redis.call('HSET', root .. 'locks', lock, K.run) end
redis.call('SET', ARGV[7], ARGV[8], 'NX')
for field, value in pairs(head) do redis.call('HSET', K.meta, field, value) end
redis.call('HSET', K.meta, 'state', 'running', 'createdMs', now)
if #ARGV[2] > 0 then redis.call('SET', K.st, ARGV[2]) end
if #ARGV[3] > 0 then redis.call('SET', K.dep, ARGV[3]) end
if #ARGV[4] > 0 then redis.call('SET', K.part, ARGV[4]) end
for step, places in pairs(cjson.decode(ARGV[6])) do redis.call('HSET', K.placesof, step, places) end
redis.call('ZADD', root .. 'runs', 0, K.run)
redis.call('SADD', root .. 'unfinished', K.run)
local numbers, members = {}, {}
local function flush()
  if #members == 0 then return end
  redis.call('BITFIELD', K.dlv, unpack(numbers))
  redis.call('ZADD', K.ready, unpack(members))
  numbers, members = {}, {}
end
for i in string.gmatch(ARGV[5], '%d+') do
  for _, word in ipairs({ 'SET', 'u32', '#' .. i, 1 }) do numbers[#numbers + 1] = word end
  members[#members + 1] = i
  members[#members + 1] = i
  if #members >= 2 * CHUNK then flush() end
end
flush()
redis.call('XADD', K.audit, '*', 'act', 'start', 'by', ARGV[9], 'reason', ARGV[10], 'step', '')
event(K, 'run-state-changed', 't', 'running')
if ARGV[5] ~= '' then redis.call('SADD', outbox, K.run) end
if redis.call('HGET', K.meta, 'mainLeft') == '0' then open_finally() end
return { 'ok' }
