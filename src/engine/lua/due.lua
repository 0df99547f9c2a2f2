-- Handle what is due of one run. KEYS as in common.lua.
-- ARGV 1 fencing epoch of the leader  2 resend ms  then for each thing: name (step, step|h for a hold, s sweep, d deadline),
--      '' unknown | 1 still queued | 0 not
-- Result: fenced, or a list with for each thing: early | done | ask, delivery (is it still queued? call again) |
--      advance, cursor | renew, number | sweep | deadline
local HOLD_RETRY_MS = 20000 -- a renewal that nobody reported is sent again; holds live for minutes at least
local DEADLINE_RETRY_MS = 60000 -- what is done about it is audited; a leader that dies before is followed by another
if tonumber(redis.call('GET', root .. 'leader-epoch') or '0') > tonumber(ARGV[1]) then return 'fenced' end

local function renew_hold(i, member)
  local held = redis.call('HGET', K.holds, i)
  local expires, renew, number = string.match(held or '', '^(%S+) (%S+) (%d+)$')
  if not expires then
    redis.call('ZREM', timers, member)
    return { 'done' }
  end
  redis.call('HSET', K.holds, i, expires .. ' ' .. renew .. ' ' .. (number + 1))
  redis.call('ZADD', timers, now + HOLD_RETRY_MS, member)
  return { 'renew', number + 1 }
end

local function lease_is_over(i)
  forget(i, 'w')
  if is_acting(i) then
    make_ready(K, i, '?')
  elseif is_ending(i) and not is_finally(i) and not is_under_way(i) then
    cancel(i)
    settle(false, 1)
  else
    if not recall(i, 'A') then
      free_act_lock(i)
      free_step_locks(i)
    end
    forget(i, 'W')
    redis.call('HINCRBY', K.mem, i .. ':n', 1)
    make_ready(K, i)
  end
end

local function handle(name, queued)
  local member = K.run .. '|' .. name
  local score = redis.call('ZSCORE', timers, member)
  if not score or tonumber(score) > now then return { 'early' } end
  if not run_now then
    redis.call('ZREM', timers, member)
    return { 'done' }
  end
  if name == 's' then return { 'sweep' } end
  if name == 'd' then
    redis.call('ZADD', timers, now + DEADLINE_RETRY_MS, member)
    return { 'deadline' }
  end
  local i = tonumber(string.match(name, '^%d+'))
  if string.sub(name, -2) == '|h' then return renew_hold(i, member) end
  local s = state(K, i)
  local place = s == 'w' and has_places and redis.call('ZSCORE', K.waiters, i)
  if place then
    drop_timer(K, i)
    wake_place_waiters(tonumber(place))
  elseif s == 'w' then
    make_ready(K, i)
  elseif s == 'R' then
    lease_is_over(i)
  elseif s == 'r' or s == '?' then
    if queued == '' then return { 'ask', delivery_of(K, i) } end
    if queued == '1' then set_timer(K, i, now + tonumber(ARGV[2])) else make_ready(K, i, s) end
  else
    local cursor = redis.call('HGET', K.cut, i)
    if cursor then
      set_timer(K, i, now + 5000)
      return { 'advance', cursor }
    end
    drop_timer(K, i)
  end
  return { 'done' }
end

local results = {}
for n = 3, #ARGV, 2 do results[#results + 1] = handle(ARGV[n], ARGV[n + 1]) end
return results
