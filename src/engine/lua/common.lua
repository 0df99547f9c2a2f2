-- Shared by every script of a run; the loader puts this file before each of them.
-- KEYS[1] <prefix>:{<run>}:meta   KEYS[2] <prefix>:timers   KEYS[3] <prefix>:outbox (runs with something to send)
-- All other keys of a run are derived from KEYS[1]; a wake may reach into another run (waiters of the act lock).
-- That is why Redis Cluster is refused: one primary, one slot for all.
--
-- Per run, n steps:  st 1 byte a step (run/states.ts)    dep u32 a step: what it still waits for
--   dlv u32 a step: number of the last delivery           tok 8 bytes a step: token of the last lease
--   times 2 x i64 a step: begun, ended (ms)               part 1 byte a step: m(ain), f(inally)
--   meta, lease, wait, out, err, mem, places, placesof, holds, cut, requests: hashes
--   ready, waiters: zsets   sent: set   ev, audit: streams
-- mem fields `<step>:<letter>`: r remembered  o observed  d decision  a the act began, end unknown  A output of an act
--   that returned  m when an act last began  n further attempts  t automatic retries  l fsid of the act lock  W wake mark
-- One timer a step: its state says what is due (w: ask again, or let waiters for a place in, R: lease over, r ?: sent and not claimed, ended: slices).
local EVENTS_KEPT = 20000 -- two events a step for a run of 10,000 steps
local WAITERS_WOKEN = 32 -- waiters looked at in one script; those for a place that are left get a timer, so that `due` goes on
local GROUP = 4294967296 -- members of a group are counted in 32 bits: a waiter's score is group * GROUP + member
local TIME = redis.call('TIME')
local now = tonumber(TIME[1]) * 1000 + math.floor(tonumber(TIME[2]) / 1000)
local root = string.sub(KEYS[2], 1, -7)
local timers, outbox = KEYS[2], KEYS[3]

local names = { 'meta', 'st', 'dep', 'dlv', 'tok', 'times', 'part', 'lease', 'wait', 'out', 'err', 'mem', 'places',
  'placesof', 'holds', 'cut', 'requests', 'ready', 'waiters', 'sent', 'ev', 'audit' }

local function keys_of(run)
  local base = root .. '{' .. run .. '}:'
  local k = { run = run }
  for _, name in ipairs(names) do k[name] = base .. name end
  return k
end

local K = keys_of(string.match(KEYS[1], '{(.-)}:meta$'))

local state_names = { p = 'pending', r = 'ready', R = 'running', w = 'waiting', ['?'] = 'unknown', s = 'succeeded',
  f = 'failed', k = 'skipped', c = 'cancelled' }

local function state(k, i) return redis.call('GETRANGE', k.st, i, i) end
local function is_finally(i) return redis.call('GETRANGE', K.part, i, i) == 'f' end
local function run_state() return redis.call('HGET', K.meta, 'state') end
local function is_over(s) return s == 'succeeded' or s == 'aborted' or s == 'left-over' end
local function recall(i, letter) return redis.call('HGET', K.mem, i .. ':' .. letter) end
local function is_acting(i) return redis.call('HEXISTS', K.mem, i .. ':a') == 1 end
-- Begun, or done under the cluster's act lock and its effect not read back: such a step is not cancelled.
local function is_under_way(i) return is_acting(i) or (recall(i, 'l') and recall(i, 'A')) end
local function delivery_of(k, i) return redis.call('BITFIELD', k.dlv, 'GET', 'u32', '#' .. i)[1] end
local function token_of(i) return redis.call('GETRANGE', K.tok, i * 8, i * 8 + 7) end
local function holds_lease(i, token) return state(K, i) == 'R' and token_of(i) == token end
local function set_timer(k, i, due) redis.call('ZADD', timers, due, k.run .. '|' .. i) end
local function drop_timer(k, i) redis.call('ZREM', timers, k.run .. '|' .. i) end

local function forget(i, letters)
  local fields = {}
  for letter in string.gmatch(letters, '.') do fields[#fields + 1] = i .. ':' .. letter end
  redis.call('HDEL', K.mem, unpack(fields))
end

-- What was asked before is asked no more: nobody can answer it, and an answer already given is none to the next question.
local function close_question(i)
  redis.call('HDEL', K.wait, i)
  forget(i, 'd')
  local seen = recall(i, 'o')
  if not seen or not string.find(seen, '"askedMs":', 1, true) then return end
  local observed = cjson.decode(seen)
  observed.askedMs = nil
  redis.call('HSET', K.mem, i .. ':o', cjson.encode(observed))
end

local function event(k, kind, ...)
  redis.call('XADD', k.ev, 'MAXLEN', '~', EVENTS_KEPT, '*', 'k', kind, ...)
end

local function audit(act, by, reason, i)
  redis.call('XADD', K.audit, '*', 'act', act, 'by', by, 'reason', reason, 'step', i)
  event(K, 'run-controlled', 's', i, 'x', act .. ' by ' .. by .. (reason ~= '' and (': ' .. reason) or ''))
end

local function set_state(k, i, byte)
  redis.call('SETRANGE', k.st, i, byte)
  event(k, 'step-state-changed', 's', i, 't', state_names[byte])
end

local function set_run_state(value)
  redis.call('HSET', K.meta, 'state', value)
  event(K, 'run-state-changed', 't', value)
end

local function first_waiter(k, from)
  local last = (math.floor(from / GROUP) + 1) * GROUP - 1
  return tonumber(redis.call('ZRANGEBYSCORE', k.waiters, from, last, 'LIMIT', 0, 1)[1])
end

-- A step waits for a place no more. One whose turn it was to look for all others hands that on.
local function leave_waiters(k, i)
  local score = redis.call('ZSCORE', k.waiters, i)
  if not score then return end
  redis.call('ZREM', k.waiters, i)
  local after = redis.call('ZSCORE', timers, k.run .. '|' .. i) and first_waiter(k, tonumber(score))
  if after then set_timer(k, after, now) end
end

local function make_ready(k, i, byte)
  leave_waiters(k, i)
  redis.call('BITFIELD', k.dlv, 'INCRBY', 'u32', '#' .. i, 1)
  redis.call('ZADD', k.ready, i, i)
  drop_timer(k, i)
  set_state(k, i, byte or 'r')
  redis.call('SADD', outbox, k.run)
end

local function leave_ready(i)
  redis.call('ZREM', K.ready, i)
  redis.call('SREM', K.sent, i)
end

-- Places of max-parallel: `c:g` begun members, `b:g:m` member m is begun, `e:g:m` its ended steps.
local function places_of(i)
  local text = redis.call('HGET', K.placesof, i)
  local list = {}
  if text then
    for g, m, max, size in string.gmatch(text, '(%d+):(%d+):(%d+):(%d+)') do
      local score = tonumber(g) * GROUP + tonumber(m)
      list[#list + 1] = { g = g, member = g .. ':' .. m, score = score, max = tonumber(max), size = tonumber(size) }
    end
  end
  return list
end

-- Take all places of a step or none; the group that has none left is returned. Others that wait for a member which is
-- begun by this wait for nothing more.
local function take_places(i)
  local missing = {}
  for _, p in ipairs(places_of(i)) do
    if redis.call('HEXISTS', K.places, 'b:' .. p.member) == 0 then
      if tonumber(redis.call('HGET', K.places, 'c:' .. p.g) or '0') >= p.max then return p end
      missing[#missing + 1] = p
    end
  end
  for _, p in ipairs(missing) do
    redis.call('HSET', K.places, 'b:' .. p.member, '1')
    redis.call('HINCRBY', K.places, 'c:' .. p.g, 1)
    local sibling = first_waiter(K, p.score)
    if sibling and tonumber(redis.call('ZSCORE', K.waiters, sibling)) == p.score then set_timer(K, sibling, now) end
  end
  return nil
end

local function wait_for_place(i, p)
  redis.call('ZADD', K.waiters, p.score, i)
  local reason = 'waits for a place: ' .. p.max .. (p.max == 1 and ' member' or ' members') .. ' of its group at once'
  redis.call('HSET', K.wait, i, now .. '||' .. cjson.encode({ reason = reason }))
end

-- Let waiters of a group in, member by member from a score on, until its places are taken.
local function wake_place_waiters(from)
  for _ = 1, WAITERS_WOKEN do
    local i = first_waiter(K, from)
    if not i then return end
    redis.call('ZREM', K.waiters, i)
    local refused = take_places(i)
    if refused then
      wait_for_place(i, refused)
      if tonumber(refused.g) == math.floor(from / GROUP) then return end
    else
      redis.call('HDEL', K.wait, i)
      make_ready(K, i)
    end
  end
  local rest = first_waiter(K, from)
  if rest then set_timer(K, rest, now) end
end

local function give_back_places(i)
  for _, p in ipairs(places_of(i)) do
    local ended = redis.call('HINCRBY', K.places, 'e:' .. p.member, 1)
    if ended == p.size and redis.call('HDEL', K.places, 'b:' .. p.member) == 1 then
      redis.call('HINCRBY', K.places, 'c:' .. p.g, -1)
      if run_state() ~= 'aborting' or is_finally(i) then wake_place_waiters(tonumber(p.g) * GROUP) end
    end
  end
end

-- Make a waiting step of any run ready; one that is just being asked gets a mark that `park` honours.
local function wake(k, i)
  local s = state(k, i)
  if s == 'w' then make_ready(k, i) elseif s == 'R' then redis.call('HSET', k.mem, i .. ':W', '1') end
  return s == 'w' or s == 'R'
end

local function free_act_lock(i)
  local fsid = recall(i, 'l')
  if not fsid then return end
  forget(i, 'l')
  local key = root .. 'act:' .. fsid
  if redis.call('GET', key) ~= K.run .. '|' .. i then return end
  redis.call('DEL', key)
  local waiting = redis.call('ZPOPMIN', key .. ':waiters', WAITERS_WOKEN)
  for n = 1, #waiting, 2 do
    local run, step = string.match(waiting[n], '^(.-)|(%d+)$')
    wake(keys_of(run), tonumber(step))
  end
end

local function end_run()
  local was = run_state()
  local over = 'succeeded'
  if redis.call('HEXISTS', K.meta, 'leftOver') == 1 then over = 'left-over' elseif was == 'aborting' then over = 'aborted' end
  redis.call('HSET', K.meta, 'endedMs', now)
  for _, lock in ipairs(cjson.decode(redis.call('HGET', K.meta, 'locks'))) do
    if redis.call('HGET', root .. 'locks', lock) == K.run then redis.call('HDEL', root .. 'locks', lock) end
  end
  for _, i in ipairs(redis.call('HKEYS', K.holds)) do redis.call('ZREM', timers, K.run .. '|' .. i .. '|h') end
  redis.call('SREM', root .. 'unfinished', K.run)
  redis.call('SREM', outbox, K.run)
  set_run_state(over)
end

-- The last main step has ended: the gate of the finally steps opens (their counters hold one for it).
local function open_finally()
  local list = redis.call('HGET', K.meta, 'finally')
  if list == '' then return end_run() end
  for i in string.gmatch(list, '%d+') do
    local left = redis.call('BITFIELD', K.dep, 'INCRBY', 'u32', '#' .. i, -1)[1]
    if left == 0 and state(K, i) == 'p' then make_ready(K, tonumber(i)) end
  end
end

local function settle(in_finally, count)
  local field = in_finally and 'finallyLeft' or 'mainLeft'
  if redis.call('HINCRBY', K.meta, field, -count) > 0 then return end
  if in_finally then end_run() else open_finally() end
end

-- Count the successors down; those with nothing left to wait for become ready, by compare-and-set.
local function count_down(list)
  local ops, ids = {}, {}
  for i in string.gmatch(list, '%d+') do
    ids[#ids + 1] = tonumber(i)
    for _, word in ipairs({ 'INCRBY', 'u32', '#' .. i, -1 }) do ops[#ops + 1] = word end
  end
  if #ids == 0 then return nil end
  local first
  for n, left in ipairs(redis.call('BITFIELD', K.dep, unpack(ops))) do
    if left == 0 and state(K, ids[n]) == 'p' then
      make_ready(K, ids[n])
      first = first or ids[n]
    end
  end
  return first
end

-- Leave whatever a step was doing and write its last state. The caller counts and settles.
local function close_step(i, byte)
  leave_ready(i)
  leave_waiters(K, i)
  drop_timer(K, i)
  redis.call('HDEL', K.lease, i)
  redis.call('HDEL', K.wait, i)
  redis.call('BITFIELD', K.times, 'SET', 'i64', '#' .. (2 * i + 1), now)
  set_state(K, i, byte)
end

local function cancel(i)
  close_step(i, 'c')
  free_act_lock(i)
  forget(i, 'otAW')
  give_back_places(i)
end

-- Succeeded, skipped, or failed where failing stops nothing. Successors come in slices: `more` leaves a cursor for advance.
local function finish_step(i, byte, successors, more)
  close_step(i, byte)
  free_act_lock(i)
  forget(i, 'otAaW')
  local first = count_down(successors)
  if more then
    redis.call('HSET', K.cut, i, more)
    set_timer(K, i, now + 5000)
  end
  give_back_places(i)
  settle(is_finally(i), 1)
  return first
end

-- Give a step's lease away: everything a worker has to know of it, flat.
local function grant(i, token, worker, lease_ms)
  if state(K, i) ~= 'R' then
    leave_ready(i)
    redis.call('SETRANGE', K.tok, i * 8, token)
    redis.call('HSET', K.lease, i, worker)
    if redis.call('BITFIELD', K.times, 'GET', 'i64', '#' .. (2 * i))[1] == 0 then
      redis.call('BITFIELD', K.times, 'SET', 'i64', '#' .. (2 * i), now)
    end
    set_state(K, i, 'R')
  end
  set_timer(K, i, now + lease_ms)
  local fields = {}
  for letter in string.gmatch('rodaAmnt', '.') do fields[#fields + 1] = i .. ':' .. letter end
  local begun = redis.call('BITFIELD', K.times, 'GET', 'i64', '#' .. (2 * i))[1]
  return { i, token, delivery_of(K, i), begun, now, redis.call('HMGET', K.mem, unpack(fields)) }
end

-- Claim a step for someone, or let it wait for a place.
local function try_grant(i, token, worker, lease_ms)
  local refused = take_places(i)
  if not refused then return grant(i, token, worker, lease_ms) end
  leave_ready(i)
  drop_timer(K, i)
  wait_for_place(i, refused)
  set_state(K, i, 'w')
  return nil
end

-- An act of a person is done once for each request id; the first answer is kept.
local function answered(request) return request ~= '' and redis.call('HGET', K.requests, request) or nil end
local function answer(request, text)
  if request ~= '' then redis.call('HSET', K.requests, request, text) end
  return text
end
