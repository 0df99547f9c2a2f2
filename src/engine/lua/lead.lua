-- Become or stay leader. KEYS[1] leader  KEYS[2] epoch
-- ARGV 1 id  2 ttl ms, or 0 to resign
-- Result: the fencing epoch, 0 when another leads. Every new leadership raises the epoch.
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return 0 end
if ARGV[2] == '0' then
  redis.call('DEL', KEYS[1])
  return 0
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
if holder then return tonumber(redis.call('GET', KEYS[2])) end
return redis.call('INCR', KEYS[2])
