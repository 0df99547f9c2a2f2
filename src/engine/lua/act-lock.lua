-- Take or give back the one lock of a cluster for acts that stop or destroy. KEYS as in common.lua.
-- ARGV 1 step  2 token  3 fsid  4 take | release
-- Result: held | lost | free | busy, holder (run|step): the step is a waiter now
local i, fsid = tonumber(ARGV[1]), ARGV[3]
local key, me = root .. 'act:' .. fsid, K.run .. '|' .. i
if not holds_lease(i, ARGV[2]) then return { 'lost' } end
if ARGV[4] == 'release' then
  free_act_lock(i)
  return { 'free' }
end
local holder = redis.call('GET', key)
if holder and holder ~= me then
  -- A holder that does not know of its lock (a tail of records was lost) does not keep the others out for ever.
  local run, step = string.match(holder, '^(.-)|(%d+)$')
  if redis.call('HGET', keys_of(run).mem, step .. ':l') == fsid then
    redis.call('ZADD', key .. ':waiters', now, me)
    return { 'busy', holder }
  end
end
redis.call('SET', key, me)
redis.call('HSET', K.mem, i .. ':l', fsid)
redis.call('ZREM', key .. ':waiters', me)
return { 'held' }
