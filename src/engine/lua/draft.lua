-- Write a part of a plan that no run may use yet. KEYS[1] key of the plan  KEYS[2] counts of the runs that use plans
-- ARGV 1 life of a draft in seconds  then field, value, …
-- A plan that a run uses already keeps its life for ever.
local fields = {}
for n = 2, #ARGV do fields[#fields + 1] = ARGV[n] end
redis.call('HSET', KEYS[1], unpack(fields))
if redis.call('HEXISTS', KEYS[2], KEYS[1]) == 0 then redis.call('EXPIRE', KEYS[1], ARGV[1]) end
return 1
