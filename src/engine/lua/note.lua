-- Write down something about a step that is held. KEYS as in common.lua.
-- ARGV 1 step  2 token  3 what: acting | acted | verified | renew | remember | observe | hold | log  4 value  5 more
-- Result: lost | refused (acting, while the run is aborted) | accepted, and for remember the answer that stays
local i, what, value = tonumber(ARGV[1]), ARGV[3], ARGV[4]
if not holds_lease(i, ARGV[2]) then return { 'lost' } end
if what == 'acting' then
  if run_state() == 'aborting' and not is_finally(i) then return { 'refused' } end
  redis.call('HSET', K.mem, i .. ':a', now, i .. ':m', now)
  close_question(i)
elseif what == 'acted' then
  redis.call('HSET', K.mem, i .. ':A', value)
  forget(i, 'a')
elseif what == 'verified' then
  forget(i, 'aA')
elseif what == 'renew' then
  set_timer(K, i, now + tonumber(value))
elseif what == 'remember' then
  redis.call('HSETNX', K.mem, i .. ':r', value)
  return { 'accepted', recall(i, 'r') }
elseif what == 'observe' then
  redis.call('HSET', K.mem, i .. ':o', value)
  if ARGV[5] == '1' then close_question(i) end
elseif what == 'hold' then
  redis.call('HSET', K.holds, i, value .. ' ' .. ARGV[5] .. ' 0')
  redis.call('ZADD', timers, ARGV[5], K.run .. '|' .. i .. '|h')
elseif what == 'log' then
  event(K, 'step-logged', 's', i, 'x', value)
end
return { 'accepted' }
