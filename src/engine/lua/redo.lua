-- Do a step and all that follows from it once more. KEYS as in common.lua.
-- ARGV 1 by  2 reason  3 request  4 the step  then for each step, ascending: step  number of what it waits for among these
--      what it waits for besides, "a,b,…"
-- Result: ok, number of steps | refused, why
local by, reason, request = ARGV[1], ARGV[2], ARGV[3]
local known = answered(request)
if known then return { 'ok', tonumber(known) } end
if is_over(run_now) then return { 'refused', over_reason() } end
if run_now == 'aborting' then return { 'refused', 'the run is being aborted' } end
if undo_from then return { 'refused', 'the run is being undone' } end
if redis.call('HGET', K.meta, 'mainLeft') == '0' then
  return { 'refused', 'its last steps are under way: they give back what the run holds' }
end
for n = 5, #ARGV, 3 do
  local i = tonumber(ARGV[n])
  local s = state(K, i)
  for other in string.gmatch(ARGV[n + 2], '%d+') do
    if redis.call('HEXISTS', K.cut, other) == 1 then
      return { 'refused', 'step ' .. other .. ' has just ended and its followers are being counted: try again in a moment' }
    end
  end
  if s == 'R' or s == '?' or (s == 'w' and is_under_way(i)) then
    return { 'refused', 'step ' .. i .. ' is ' .. state_names[s] .. ': wait until it has ended' }
  end
  if s == 'U' or s == 'u' or s == 'x' then return { 'refused', 'step ' .. i .. ' was taken back' } end
end
local count = 0
for n = 5, #ARGV, 3 do
  local i = tonumber(ARGV[n])
  local s = state(K, i)
  local left = tonumber(ARGV[n + 1])
  for other in string.gmatch(ARGV[n + 2], '%d+') do
    local before = state(K, other)
    if before ~= 's' and before ~= 'k' then left = left + 1 end
  end
  if s ~= 'p' then
    count = count + 1
    if is_ended[s] then
      redis.call('HINCRBY', K.meta, 'mainLeft', 1)
      unend_places(i)
    elseif s == 'f' then
      redis.call('HINCRBY', K.meta, 'failed', -1)
    else
      leave_ready(i)
      leave_waiters(K, i)
      drop_timer(K, i)
    end
    redis.call('HDEL', K.cut, i)
    redis.call('HDEL', K.out, i)
    forget(i, 'wqetAdaW')
    forget_observed(i)
    redis.call('HINCRBY', K.mem, i .. ':n', 1)
    redis.call('BITFIELD', K.times, 'SET', 'i64', '#' .. (2 * i), 0, 'SET', 'i64', '#' .. (2 * i + 1), 0)
    set_state(K, i, 'p')
  end
  redis.call('BITFIELD', K.dep, 'SET', 'u32', '#' .. i, left)
  if left == 0 then make_ready(K, i) end
end
if run_now == 'failed' then set_run_state(usual_state()) end
answer(request, count)
audit('retry', by, reason, ARGV[4])
return { 'ok', count }
