-- Report a renewal or the release of a hold. KEYS as in common.lua.
-- ARGV 1 step  2 expires ms or '' (released)  3 renew ms
-- Result: 1 kept, 0 the hold is released or the run is over
local i = ARGV[1]
local held = redis.call('HGET', K.holds, i)
if not held or not run_now or is_over(run_now) then return 0 end
if ARGV[2] == '' then
  redis.call('HDEL', K.holds, i)
  redis.call('ZREM', timers, K.run .. '|' .. i .. '|h')
  return 1
end
redis.call('HSET', K.holds, i, ARGV[2] .. ' ' .. ARGV[3] .. ' ' .. string.match(held, '(%d+)$'))
redis.call('ZADD', timers, ARGV[3], K.run .. '|' .. i .. '|h')
event(K, 'hold-renewed', 's', i)
return 1
