-- Count the next slice of an ended step's successors down. KEYS as in common.lua.
-- ARGV 1 step  2 cursor that must be current  3 successors of this slice  4 next cursor, or '' at the end
-- Result: 1 done, 0 another has been here
local i = tonumber(ARGV[1])
if redis.call('HGET', K.cut, i) ~= ARGV[2] then return 0 end
count_down(ARGV[3])
if ARGV[4] == '' then
  redis.call('HDEL', K.cut, i)
  drop_timer(K, i)
else
  redis.call('HSET', K.cut, i, ARGV[4])
  set_timer(K, i, now + 5000)
end
return 1
