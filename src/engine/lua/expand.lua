-- Append a sub-plan to a run and end the step that asked for it. Its last step stands for what comes after that step:
-- the worker gives it the same successors. KEYS as in common.lua.
-- ARGV 1 step  2 token  3 key of the sub-plan  4 its pages  5 number of the first new step  6 st (roots are r)  7 dep
--      8 part  9 roots "0,1,…" (numbers in the run)  10 flags to add  11 output of the step or ''
-- Result: accepted | duplicate | lost | no-plan
local i, first = tonumber(ARGV[1]), tonumber(ARGV[5])
local parts = redis.call('HGET', K.meta, 'parts')
if not holds_lease(i, ARGV[2]) then
  local is_mine = token_of(i) == ARGV[2] and state(K, i) == 's'
  return is_mine and 'duplicate' or 'lost'
end
if is_ending(i) and not is_finally(i) then return 'lost' end
if redis.call('HLEN', ARGV[3]) < tonumber(ARGV[4]) then return 'no-plan' end
-- another expansion of the run came between: the numbers are no longer right
if redis.call('STRLEN', K.st) ~= first then return 'moved' end
redis.call('PERSIST', ARGV[3])
redis.call('HINCRBY', root .. 'plans', ARGV[3], 1)
local list = parts and cjson.decode(parts) or {}
list[#list + 1] = { key = ARGV[3], first = first, by = i }
redis.call('HSET', K.meta, 'parts', cjson.encode(list))
for _, more in ipairs({ { 'st', 6 }, { 'dep', 7 }, { 'part', 8 } }) do redis.call('APPEND', K[more[1]], ARGV[more[2]]) end
for flag in string.gmatch(ARGV[10], '.') do
  if not string.find(flags, flag, 1, true) then flags = flags .. flag end
end
redis.call('HSET', K.meta, 'flags', flags)
has_places = string.find(flags, 'p', 1, true) ~= nil
has_special = string.find(flags, 'x', 1, true) ~= nil
local main = 0
for _ in string.gmatch(ARGV[8], 'm') do main = main + 1 end
redis.call('HINCRBY', K.meta, 'mainLeft', main)
redis.call('HINCRBY', K.meta, 'finallyLeft', #ARGV[8] - main)
redis.call('HINCRBY', K.meta, 'steps', #ARGV[8])
event(K, 'run-grew', 's', i, 'n', #ARGV[8])
-- its place in a limited group is kept until all of them have ended: the last one gives it back
local places = redis.call('HGET', K.placesof, i)
if places then
  redis.call('HSET', K.placesof, first + #ARGV[8] - 1, places)
  redis.call('HDEL', K.placesof, i)
end
if ARGV[11] ~= '' then redis.call('HSET', K.out, i, ARGV[11]) end
finish_step(i, 's', '', false, true)
-- told after the end of the step that they come from
local roots = {}
for root_step in string.gmatch(ARGV[9], '%d+') do roots[#roots + 1] = tonumber(root_step) end
make_all_ready(roots)
return 'accepted'
