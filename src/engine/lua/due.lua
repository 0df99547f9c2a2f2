-- Handle one thing that is due. KEYS as in common.lua.
-- ARGV 1 step  2 h for a hold, else ''  3 fencing epoch of the leader  4 '' unknown | 1 still queued | 0 not  5 resend ms
-- Result: fenced | early | done | ask, delivery (is it still queued? call again) | advance, cursor | renew, number
local HOLD_RETRY_MS = 20000 -- a renewal that nobody reported is sent again; holds live for minutes at least
local i = tonumber(ARGV[1])
if tonumber(redis.call('GET', root .. 'leader-epoch') or '0') > tonumber(ARGV[3]) then return { 'fenced' } end
local member = K.run .. '|' .. i .. (ARGV[2] ~= '' and '|h' or '')
local score = redis.call('ZSCORE', timers, member)
if not score or tonumber(score) > now then return { 'early' } end
if ARGV[2] ~= '' then
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
local s = state(K, i)
local place = s == 'w' and redis.call('ZSCORE', K.waiters, i)
if place then
  drop_timer(K, i)
  wake_place_waiters(tonumber(place))
elseif s == 'w' then
  make_ready(K, i)
elseif s == 'R' then
  redis.call('HDEL', K.lease, i)
  if is_acting(i) then
    make_ready(K, i, '?')
  elseif run_state() == 'aborting' and not is_finally(i) and not is_under_way(i) then
    cancel(i)
    settle(false, 1)
  else
    if not recall(i, 'A') then free_act_lock(i) end
    forget(i, 'W')
    redis.call('HINCRBY', K.mem, i .. ':n', 1)
    make_ready(K, i)
  end
elseif s == 'r' or s == '?' then
  if ARGV[4] == '' then return { 'ask', delivery_of(K, i) } end
  if ARGV[4] == '1' then
    set_timer(K, i, now + tonumber(ARGV[5]))
  else
    redis.call('SREM', K.sent, i)
    make_ready(K, i, s)
  end
else
  local cursor = redis.call('HGET', K.cut, i)
  if cursor then
    set_timer(K, i, now + 5000)
    return { 'advance', cursor }
  end
  drop_timer(K, i)
end
return { 'done' }
