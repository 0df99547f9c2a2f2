-- Put counters right that do not fit the states. Nothing is written unless the states are what was examined. KEYS as in
-- common.lua.
-- ARGV 1 SHA-1 of st  2 SHA-1 of dep  3 by  4 dep  5 rdy  6 mainLeft  7 finallyLeft  8 failed  9 state of the run or ''
--      10 steps that are to be sent anew "0,1,…"  11 what was wrong, for the audit
-- Result: ok | moved
if redis.sha1hex(redis.call('GET', K.st) or '') ~= ARGV[1] or redis.sha1hex(redis.call('GET', K.dep) or '') ~= ARGV[2] then
  return 'moved'
end
redis.call('SET', K.dep, ARGV[4])
redis.call('SET', K.rdy, ARGV[5])
redis.call('HSET', K.meta, 'mainLeft', ARGV[6], 'finallyLeft', ARGV[7], 'failed', ARGV[8])
for i in string.gmatch(ARGV[10], '%d+') do
  local s = state(K, i)
  if s == 'R' then
    set_timer(K, i, now)
  elseif s == 'w' then
    make_ready(K, tonumber(i))
  else
    make_ready(K, tonumber(i), s == '?' and '?' or 'r')
  end
end
if ARGV[9] ~= '' and not is_over(run_now) then set_run_state(ARGV[9]) end
if not is_over(run_now) then
  redis.call('SADD', root .. 'unfinished', K.run)
  redis.call('SADD', outbox, K.run)
  if ARGV[6] == '0' and ARGV[7] == '0' then
    end_run()
  elseif ARGV[6] == '0' and not string.find(redis.call('GET', K.st), '[^psrRw?fkcUux]') then
    for i in string.gmatch(redis.call('HGET', K.meta, 'finally'), '%d+') do
      if redis.call('BITFIELD', K.dep, 'GET', 'u32', '#' .. i)[1] == 0 and state(K, i) == 'p' then make_ready(K, tonumber(i)) end
    end
  end
end
audit('repair', ARGV[3], ARGV[11], '')
return 'ok'
