-- What workers do with steps of one run, many operations in one call, in their order: every call of the same turn of a
-- worker's event loop comes together. KEYS as in common.lua.
-- ARGV for each operation: name, number of its arguments, the arguments
-- Result: a list with the answer of each; one that broke is an error in the list and undoes nothing of the others.
local ops = {}
local is_last = false

local TOKEN = 8 -- characters of a token; callers make them
local TRIES = 3 -- steps without a place that are passed over before the worker goes back to its queue

-- More steps of the same run for a worker that has free hands, one for each token: a successor of the one it ended first.
local function next_grants(first, tokens, worker, lease_ms, patient)
  local grants = {}
  if tokens == '' or is_over(run_now) or halted() then return grants end
  local count, tries = #tokens / TOKEN, TRIES
  -- others wait for a worker: who has been at this run for a while goes back to the queue, where turns are taken
  local queued = root .. 'queued'
  if redis.call('SCARD', queued) - redis.call('SISMEMBER', queued, K.run) > 0 then
    if not patient then return grants end
    count = 1
  end
  if first and has_special and redis.call('HEXISTS', K.special, first) == 1 then first = nil end
  while #grants < count and tries > 0 do
    local candidate, was_sent = first or first_ready(true), false
    first = nil
    if not candidate then
      -- what waits in the queue is better done now; its delivery is dropped when it comes
      candidate, was_sent = redis.call('SRANDMEMBER', K.sent), true
      -- ... unless priorities say which goes first: the queue keeps their order
      if not candidate or has_special then return grants end
      candidate = tonumber(candidate)
    end
    local at = #grants * TOKEN
    local granted = try_grant(candidate, string.sub(tokens, at + 1, at + TOKEN), worker, lease_ms, was_sent)
    if granted then grants[#grants + 1] = granted else tries = tries - 1 end
  end
  return grants
end

-- Take a step's lease for a delivery, and those of more steps that are ready.
-- 1 step  2 delivery  3 token  4 worker  5 lease ms  6 tokens for more steps, one after the other, or ''
-- Result: stale | done | ended | no-place | halted | granted, grant, more grants. A repeat with the same token gets the same
--      grant.
function ops.claim(a)
  local i, token = tonumber(a[1]), a[3]
  if not run_now then return { 'stale' } end
  if is_over(run_now) then return { 'ended' } end
  local s = state(K, i)
  if s == 'R' and token_of(i) == token then
    return { 'granted', describe(i, token, delivery_of(K, i), begun_of(i)), {} }
  end
  if is_ended[s] or s == 'f' then return { 'done' } end
  if (s ~= 'r' and s ~= '?') or delivery_of(K, i) ~= tonumber(a[2]) then return { 'stale' } end
  -- what has begun may go on asking; what has not, begins when the run goes on
  if halted() and s == 'r' and not is_begun(i) then
    put_back(i)
    return { 'halted' }
  end
  local was_sent = redis.call('SISMEMBER', K.sent, i) == 1
  local granted = try_grant(i, token, a[4], tonumber(a[5]), was_sent)
  if not granted then return { 'no-place' } end
  return { 'granted', granted, next_grants(nil, a[6], a[4], tonumber(a[5]), true) }
end

-- End a step. Accepted only if it is RUNNING and the token is the lease's: "not ended yet" is not enough once Redis has
-- lost a tail.
-- 1 step  2 token  3 state byte s | f | k  4 output or ''  5 error or ''  6 1: may have acted  7 successors, first slice
-- 8 cursor where more follow, or ''  9 step whose hold is released, or ''  10 text for people or ''  11 low-water mark
-- 12 step that this one has undone, or ''  13 tokens for more steps, one after the other, or ''  14 worker  15 lease ms
-- 16 1: patient
-- Result: kind accepted | duplicate | lost, steps to dispatch, run state, grants of more steps
function ops.complete(a)
  local i, token, byte = tonumber(a[1]), a[2], a[3]
  local function result(kind, grants)
    -- the last of a batch tells of all; one that got a step of the outbox has seen to it
    local is_wanted = is_last and has_ready() and redis.call('SCARD', K.sent) <= tonumber(a[11])
    return { kind, is_wanted and 1 or 0, run_now or '', grants or {} }
  end
  if not holds_lease(i, token) then
    local s = state(K, i)
    local is_recorded = s == 'f' or (is_ended[s] and s ~= 'c')
    return result((token_of(i) == token and is_recorded) and 'duplicate' or 'lost')
  end
  if a[4] ~= '' then redis.call('HSET', K.out, i, a[4]) end
  if a[5] ~= '' then redis.call('HSET', K.mem, i .. ':e', a[5]) end
  if a[9] ~= '' then
    redis.call('HDEL', K.holds, a[9])
    redis.call('ZREM', timers, K.run .. '|' .. a[9] .. '|h')
  end
  if a[10] ~= '' then event(K, 'step-logged', 's', i, 'x', a[10]) end
  local undone = tonumber(a[12])
  if undone then note_undone(undone, byte) end
  local first
  if byte ~= 'f' then
    first = finish_step(i, byte, a[7], a[8] ~= '' and a[8], true)
  elseif is_finally(i) then
    redis.call('HSET', K.meta, 'leftOver', '1')
    first = finish_step(i, byte, a[7], a[8] ~= '' and a[8], true)
  else
    fail_step(i, a[6] == '1', true)
  end
  return result('accepted', next_grants(first, a[13], a[14], tonumber(a[15]), a[16] == '1'))
end

-- Give up the slot, not the step.
-- 1 step  2 token  3 until (ms since the epoch), +delay ms, or '' for a person  4 waiting (JSON)  5 observed or ''
-- 6 error or '': this was a failed try, the next attempt follows  7 1: may have acted
-- Result: accepted | lost
function ops.park(a)
  local i, token, due = tonumber(a[1]), a[2], a[3]
  if not holds_lease(i, token) then
    return (token_of(i) == token and state(K, i) == 'w') and 'accepted' or 'lost'
  end
  -- An answer counts for the question it was given to. The engine's is known by when it was first asked, the task's own by
  -- its text; one that got its answer may be followed by silence, and the answer stays.
  local function asked_ms(text) return string.match(text or '', '"askedMs":(%d+)') end
  local function question(wait) return string.find(wait, '"question"', 1, true) and cjson.decode(wait).question or nil end
  local mem = redis.call('HMGET', K.mem, i .. ':q', i .. ':o')
  local before, seen = mem[1], mem[2]
  local asked_before = asked_ms(seen)
  if a[5] ~= '' then
    seen = a[5]
    redis.call('HSET', K.mem, i .. ':o', seen)
  end
  local asked, own = asked_ms(seen), question(a[4])
  local is_other = not before or question(string.match(before, '^%d+|%d*|(.*)$')) ~= own
  if asked ~= asked_before or (not asked and own and is_other) then forget(i, 'd') end
  if a[6] ~= '' then
    redis.call('HSET', K.mem, i .. ':e', a[6])
    redis.call('HINCRBY', K.mem, i .. ':n', 1)
    redis.call('HINCRBY', K.mem, i .. ':t', 1)
    if a[7] ~= '1' then forget(i, 'a') end
  end
  if is_ending(i) and not is_finally(i) and not is_under_way(i) then
    cancel(i)
    settle(false, 1)
    return 'accepted'
  end
  if string.sub(due, 1, 1) == '+' then due = tostring(now + tonumber(string.sub(due, 2))) end
  local since = before and string.match(before, '^(%d+)|') or now
  redis.call('HSET', K.mem, i .. ':q', since .. '|' .. due .. '|' .. a[4])
  if not is_acting(i) and not recall(i, 'A') then
    free_act_lock(i)
    free_step_locks(i)
  end
  redis.call('SETRANGE', K.st, i, 'w')
  event(K, 'step-waits', 's', i, 'd', a[4])
  if redis.call('HDEL', K.mem, i .. ':W', i .. ':w') == 2 then
    make_ready(K, i)
  elseif due ~= '' then
    set_timer(K, i, due)
  else
    drop_timer(K, i)
  end
  return 'accepted'
end

-- Write down something about a step that is held.
-- 1 step  2 token  3 what: acting (value: step that it undoes, or '') | acted | verified | renew | remember | observe
-- | hold | log  4 value  5 more
-- Result: lost | refused, why (acting: aborting, undoing, paused, frozen) | accepted, and for remember the answer that stays
function ops.note(a)
  local i, what, value = tonumber(a[1]), a[3], a[4]
  if not holds_lease(i, a[2]) then return { 'lost' } end
  if what == 'acting' then
    if is_ending(i) and not is_finally(i) then return { 'refused', undo_from and 'undoing' or 'aborting' } end
    local why = no_act()
    if why then
      if why ~= 'frozen' then redis.call('SADD', K.stopped, i) end
      return { 'refused', why }
    end
    redis.call('HSET', K.mem, i .. ':a', now)
    redis.call('SETBIT', K.did, i, 1)
    event(K, 'step-acting', 's', i)
    if value ~= '' then set_state(K, tonumber(value), 'U') end
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
    if a[5] == '1' then close_question(i) end
  elseif what == 'hold' then
    redis.call('HSET', K.holds, i, value .. ' ' .. a[5] .. ' 0')
    redis.call('ZADD', timers, a[5], K.run .. '|' .. i .. '|h')
  elseif what == 'log' then
    event(K, 'step-logged', 's', i, 'x', value)
  end
  return { 'accepted' }
end

local KILLED_MS = 60000 -- an act of a run that was killed has come to its end by then: its worker has lost the lease
-- A holder that does not know of its lock (a tail of records was lost), or was killed, does not keep the others out for ever.
local function holds_act_lock(k, step, fsid)
  if redis.call('HGET', k.mem, step .. ':l') ~= fsid then return false end
  local ended = tonumber(redis.call('HGET', k.meta, 'endedMs') or '')
  return not ended or now - ended < KILLED_MS
end

-- Take or give back the one lock of a cluster for acts that stop or destroy.
-- 1 step  2 token  3 fsid  4 take | release
-- Result: held | lost | free | busy, holder (run|step): the step is a waiter now
function ops.actlock(a)
  local i, fsid = tonumber(a[1]), a[3]
  local key, me = root .. 'act:' .. fsid, K.run .. '|' .. i
  if not holds_lease(i, a[2]) then return { 'lost' } end
  if a[4] == 'release' then
    free_act_lock(i)
    return { 'free' }
  end
  local holder = redis.call('GET', key)
  if holder and holder ~= me then
    local run, step = string.match(holder, '^(.-)|(%d+)$')
    if holds_act_lock(keys_of(run), step, fsid) then
      redis.call('ZADD', key .. ':waiters', now, me)
      return { 'busy', holder }
    end
  end
  redis.call('SET', key, me)
  redis.call('HSET', K.mem, i .. ':l', fsid)
  redis.call('ZREM', key .. ':waiters', me)
  return { 'held' }
end

-- Take the locks that a step needs by itself, all or none. They stay until it has ended.
-- 1 step  2 token  3 locks (JSON list of { name, capacity })
-- Result: held | lost | busy, name, holder (run|step or run|): the step is a waiter now
function ops.lock(a)
  local i = tonumber(a[1])
  if not holds_lease(i, a[2]) then return { 'lost' } end
  -- known before they are taken: a holder that does not know of its lock is taken for dead
  redis.call('HSET', K.mem, i .. ':L', a[3])
  local name, holder = take_locks(cjson.decode(a[3]), K.run .. '|' .. i, K.run)
  if not name then return { 'held' } end
  forget(i, 'L')
  return { 'busy', name, holder }
end

local LEAVES_KEPT = 1000 -- at least: steps that name one rate may allow different numbers
-- Ask for leave to act under a rate that all runs share. The list has when leave was given, the last first: what came as
-- many places before must be past, or a burst after a pause would have nearly twice as many in one window.
-- 1 step  2 token  3 name  4 most acts  5 in so many ms
-- Result: lost | 0 go | ms to wait
function ops.rate(a)
  if not holds_lease(tonumber(a[1]), a[2]) then return 'lost' end
  local key, most, per = root .. 'rate:' .. a[3], tonumber(a[4]), tonumber(a[5])
  local before = tonumber(redis.call('LINDEX', key, most - 1) or '')
  -- one in the future was written by a clock that has been set back since: it must not keep everybody out
  if before and before <= now and before + per > now then return before + per - now end
  redis.call('LPUSH', key, now)
  redis.call('LTRIM', key, 0, math.max(most, LEAVES_KEPT) - 1)
  redis.call('PEXPIRE', key, math.max(per, redis.call('PTTL', key)))
  return 0
end

local results, at = {}, 1
while at <= #ARGV do
  local count = tonumber(ARGV[at + 1])
  local arguments = {}
  for n = 1, count do arguments[n] = ARGV[at + 1 + n] end
  is_last = at + 2 + count > #ARGV
  local ok, answer = pcall(ops[ARGV[at]], arguments)
  if not ok and type(answer) == 'table' then answer = answer.err end
  results[#results + 1] = ok and answer or { err = tostring(answer) }
  at = at + 2 + count
end
return results
