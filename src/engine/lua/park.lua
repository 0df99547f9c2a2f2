-- Give up the slot, not the step. KEYS as in common.lua.
-- ARGV 1 step  2 token  3 until (ms since the epoch), +delay ms, or '' for a person  4 waiting (JSON)  5 observed or ''
--      6 error or '': this was a failed try, the next attempt follows  7 1: may have acted
-- Result: accepted | lost
local i, token, due = tonumber(ARGV[1]), ARGV[2], ARGV[3]
if not holds_lease(i, token) then
  return (token_of(i) == token and state(K, i) == 'w') and 'accepted' or 'lost'
end
-- An answer counts for the question it was given to. The engine's is known by when it was first asked, the task's own by
-- its text; one that got its answer may be followed by silence, and the answer stays.
local function asked_ms() return string.match(recall(i, 'o') or '', '"askedMs":(%d+)') end
local function question(wait) return cjson.decode(wait).question end
local before, asked_before = redis.call('HGET', K.wait, i), asked_ms()
if ARGV[5] ~= '' then redis.call('HSET', K.mem, i .. ':o', ARGV[5]) end
local asked, own = asked_ms(), question(ARGV[4])
local is_other = not before or question(string.match(before, '^%d+|%d*|(.*)$')) ~= own
if asked ~= asked_before or (not asked and own and is_other) then forget(i, 'd') end
if ARGV[6] ~= '' then
  redis.call('HSET', K.err, i, ARGV[6])
  redis.call('HINCRBY', K.mem, i .. ':n', 1)
  redis.call('HINCRBY', K.mem, i .. ':t', 1)
  if ARGV[7] ~= '1' then forget(i, 'a') end
end
if run_state() == 'aborting' and not is_finally(i) and not is_under_way(i) then
  cancel(i)
  settle(false, 1)
  return 'accepted'
end
if string.sub(due, 1, 1) == '+' then due = tostring(now + tonumber(string.sub(due, 2))) end
local since = before and string.match(before, '^(%d+)|') or now
redis.call('HSET', K.wait, i, since .. '|' .. due .. '|' .. ARGV[4])
redis.call('HDEL', K.lease, i)
if not is_acting(i) and not recall(i, 'A') then free_act_lock(i) end
drop_timer(K, i)
set_state(K, i, 'w')
event(K, 'step-waits', 's', i, 'd', ARGV[4])
if redis.call('HDEL', K.mem, i .. ':W') == 1 then
  make_ready(K, i)
elseif due ~= '' then
  set_timer(K, i, due)
end
return 'accepted'
