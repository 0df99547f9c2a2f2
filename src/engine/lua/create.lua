-- Start a run with its roots in the outbox. The plan's pages stand in the store already (store-plan.ts). KEYS as in common.lua.
-- ARGV 1 head (JSON object of texts)  2 st (roots are r)  3 dep  4 part  5 rdy  6 dlv  7 key of the plan  8 its pages
--      9 by  10 reason  11 1: wait for locks instead of refusing
-- Result: ok | waits, lock, run that holds it | held, lock, run that holds it | no-plan. A repeat finds the run: ok.
if redis.call('EXISTS', K.meta) == 1 then
  redis.call('ZREM', root .. 'drafts', K.run)
  return { 'ok' }
end
if redis.call('HLEN', ARGV[7]) < tonumber(ARGV[8]) then return { 'no-plan' } end
local given = cjson.decode(ARGV[1])
-- known before they are taken: a holder that does not know of its lock is taken for dead
for field, value in pairs(given) do redis.call('HSET', K.meta, field, value) end
local meta = { 'state', 'running', 'createdMs', now, 'planKey', ARGV[7] }
redis.call('HSET', K.meta, unpack(meta))
-- common.lua read these before there was a run
has_places, has_special = string.find(given.flags, 'p', 1, true) ~= nil, string.find(given.flags, 'x', 1, true) ~= nil
has_finally = given.finally ~= ''
local name, holder = take_locks(cjson.decode(given.locks), K.run .. '|', K.run)
if name and ARGV[11] ~= '1' then
  for _, lock in ipairs(cjson.decode(given.locks)) do
    redis.call('ZREM', root .. 'lock:' .. lock.name .. ':waiters', K.run .. '|')
  end
  redis.call('DEL', K.meta)
  return { 'held', name, string.match(holder, '^(.-)|') }
end
redis.call('PERSIST', ARGV[7])
redis.call('HINCRBY', root .. 'plans', ARGV[7], 1)
redis.call('ZREM', root .. 'drafts', K.run)
if #ARGV[2] > 0 then redis.call('SET', K.st, ARGV[2]) end
if #ARGV[3] > 0 then redis.call('SET', K.dep, ARGV[3]) end
if #ARGV[4] > 0 then redis.call('SET', K.part, ARGV[4]) end
if #ARGV[5] > 0 then redis.call('SET', K.rdy, ARGV[5]) end
if #ARGV[6] > 0 then redis.call('SET', K.dlv, ARGV[6]) end
redis.call('ZADD', root .. 'runs', 0, K.run)
redis.call('SADD', root .. 'unfinished', K.run)
redis.call('XADD', K.audit, '*', 'act', 'start', 'by', ARGV[9], 'reason', ARGV[10], 'step', '')
set_run_state(name and 'planned' or 'running')
if given.deadlineMs then redis.call('ZADD', timers, now + tonumber(given.deadlineMs), K.run .. '|d') end
-- steps of a priority or queue of their own stand elsewhere
local special = string.find(given.flags, 'x', 1, true) and redis.call('HGETALL', K.special) or {}
for n = 1, #special, 2 do
  if redis.call('SETBIT', K.rdy, special[n], 0) == 1 then mark_ready(K, tonumber(special[n])) end
end
redis.call('SADD', outbox, K.run)
if given.mainLeft == '0' then open_finally() end
if name then return { 'waits', name, string.match(holder, '^(.-)|') } end
return { 'ok' }
