-- How a step ends and what follows from it: counters, gates, the end of the run, and leases.

-- The run is over: what it held goes to others, its timers go, its clock for retention begins.
local function end_run_as(over)
  redis.call('HSET', K.meta, 'endedMs', now)
  set_run_state(over)
  for _, lock in ipairs(cjson.decode(redis.call('HGET', K.meta, 'locks'))) do
    redis.call('ZREM', root .. 'lock:' .. lock.name .. ':waiters', K.run .. '|')
    free_lock(lock.name, K.run .. '|')
  end
  for _, i in ipairs(redis.call('HKEYS', K.holds)) do redis.call('ZREM', timers, K.run .. '|' .. i .. '|h') end
  redis.call('ZREM', timers, K.run .. '|d')
  redis.call('SREM', root .. 'unfinished', K.run)
  redis.call('SREM', root .. 'queued', K.run)
  redis.call('SREM', outbox, K.run)
  redis.call('ZADD', root .. 'ended', now, K.run)
end

local function end_run()
  local marks = redis.call('HMGET', K.meta, 'leftOver', 'undo')
  local over = 'succeeded'
  if marks[1] then over = 'left-over' elseif run_now == 'aborting' then over = 'aborted' elseif marks[2] then over = 'undone' end
  end_run_as(over)
end

-- The state of a run that goes on.
local function usual_state()
  if tonumber(redis.call('HGET', K.meta, 'failed')) > 0 then return 'failed' end
  return redis.call('HEXISTS', K.meta, 'undo') == 1 and 'undoing' or 'running'
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
  if list == '' then return nil end
  local ops, ids = {}, {}
  for i in string.gmatch(list, '%d+') do
    ids[#ids + 1] = tonumber(i)
    for _, word in ipairs({ 'INCRBY', 'u32', '#' .. i, -1 }) do ops[#ops + 1] = word end
  end
  local ready = {}
  for n, left in ipairs(redis.call('BITFIELD', K.dep, unpack(ops))) do
    if left == 0 and state(K, ids[n]) == 'p' then ready[#ready + 1] = ids[n] end
  end
  make_all_ready(ready)
  return ready[1]
end

-- Leave whatever a step was doing and write its last state. The caller forgets, counts and settles. `was_running`: it is
-- neither ready nor sent.
local function close_step(i, byte, was_running)
  if not was_running then leave_ready(i) end
  leave_waiters(K, i)
  drop_timer(K, i)
  redis.call('BITFIELD', K.times, 'SET', 'i64', '#' .. (2 * i + 1), now)
  set_state(K, i, byte)
end

local function cancel(i)
  close_step(i, 'c')
  free_locks(i)
  forget(i, 'wqotAW')
  give_back_places(i)
end

-- Succeeded, skipped, or failed where failing stops nothing. Successors come in slices: `more` leaves a cursor for advance.
local function finish_step(i, byte, successors, more, was_running)
  close_step(i, byte, was_running)
  free_locks(i)
  forget(i, byte == 'f' and 'wqotAaW' or 'wqeotAaW')
  local first = count_down(successors)
  if more then
    redis.call('HSET', K.cut, i, more)
    set_timer(K, i, now + 5000)
  end
  give_back_places(i)
  settle(is_finally(i), 1)
  return first
end

-- A failed main step of a run that is ending is counted as ended once: by failing, or by the sweep that comes by. `swept`:
-- up to there an earlier sweep has counted (undo, then abort).
local function is_swept(i)
  local marks = redis.call('HMGET', K.meta, 'sweep', 'swept')
  return not marks[1] or i < tonumber(marks[1]) or i < tonumber(marks[2] or '0')
end

-- A main step fails: the run waits for a person, unless it is ending anyway.
local function fail_step(i, may_have_acted, was_running)
  close_step(i, 'f', was_running)
  if not may_have_acted then
    forget(i, 'a')
    free_act_lock(i)
  end
  forget(i, 'wqW')
  forget_observed(i)
  if not is_ending(i) then
    redis.call('HINCRBY', K.meta, 'failed', 1)
    if run_now == 'running' or run_now == 'undoing' then set_run_state('failed') end
  elseif is_swept(i) then
    free_locks(i)
    give_back_places(i)
    settle(false, 1)
  end
end

local SWEPT = 200 -- steps cancelled by one script: some milliseconds of Redis' time
-- Cancel what has not begun of a run that is ending, slice by slice; `sweep` holds the step to go on from.
local function sweep()
  local from = tonumber(redis.call('HGET', K.meta, 'sweep') or '-1')
  if from < 0 then return false end
  local states, parts = redis.call('GETRANGE', K.st, from, from + SWEPT - 1), redis.call('GETRANGE', K.part, from, from + SWEPT - 1)
  local is_killed = is_over(run_now)
  local swept = tonumber(redis.call('HGET', K.meta, 'swept') or '0')
  local last = run_now == 'aborting' and math.huge or (undo_from or math.huge) - 1
  local count = 0
  for n = 1, #states do
    local s, i = string.sub(states, n, n), from + n - 1
    if is_killed then
      if not is_ended[s] and s ~= 'f' then
        if is_under_way(i) then
          close_step(i, '?')
          forget(i, 'wq')
          free_step_locks(i)
        else
          cancel(i)
        end
      elseif s == 'f' then
        free_step_locks(i)
      end
    elseif string.sub(parts, n, n) == 'm' and i <= last then
      if s == 'p' or ((s == 'r' or s == 'w') and not is_under_way(i)) then
        cancel(i)
        count = count + 1
      elseif s == 'f' and i >= swept then
        free_locks(i)
        give_back_places(i)
        count = count + 1
      end
    end
  end
  if #states == SWEPT then
    redis.call('HSET', K.meta, 'sweep', from + SWEPT)
    redis.call('ZADD', timers, now + 1000, K.run .. '|s')
  else
    redis.call('HDEL', K.meta, 'sweep')
    redis.call('ZREM', timers, K.run .. '|s')
  end
  if count > 0 then settle(false, count) end
  return #states == SWEPT
end

-- What a worker has to know of a step that it holds, flat. A first delivery finds nothing to remember.
local function describe(i, token, delivery, begun)
  if delivery == 1 then return { i, token, 1, begun, now } end
  local fields = {}
  for letter in string.gmatch('rodaAnt', '.') do fields[#fields + 1] = i .. ':' .. letter end
  return { i, token, delivery, begun, now, redis.call('GETBIT', K.did, i), redis.call('HMGET', K.mem, unpack(fields)) }
end

local function begun_of(i) return redis.call('BITFIELD', K.times, 'GET', 'i64', '#' .. (2 * i))[1] end

-- Give a step's lease away. `was_sent`: it was not in the outbox any more.
local function grant(i, token, worker, lease_ms, was_sent)
  if was_sent then unsend(K, i) else unready(i) end
  redis.call('SETRANGE', K.tok, i * 8, token)
  redis.call('HSET', K.mem, i .. ':w', worker)
  local delivery = delivery_of(K, i)
  local begun = delivery > 1 and begun_of(i) or 0
  if begun == 0 then
    begun = now
    redis.call('BITFIELD', K.times, 'SET', 'i64', '#' .. (2 * i), now)
  end
  set_state(K, i, 'R')
  set_timer(K, i, now + lease_ms)
  return describe(i, token, delivery, begun)
end

-- Claim a step for someone, or let it wait for a place.
local function try_grant(i, token, worker, lease_ms, was_sent)
  local refused = take_places(i)
  if not refused then return grant(i, token, worker, lease_ms, was_sent) end
  leave_ready(i)
  drop_timer(K, i)
  wait_for_place(i, refused)
  set_state(K, i, 'w')
  return nil
end

-- Put a delivery back that may not begin now: it is sent anew when the run goes on.
local function put_back(i)
  local s = state(K, i)
  make_ready(K, i, s)
end

-- A run that was paused goes on, whatever it becomes: what was about to act asks again, what was put back is sent.
local function leave_pause()
  for _, step in ipairs(redis.call('SMEMBERS', K.stopped)) do wake(K, tonumber(step)) end
  redis.call('DEL', K.stopped)
  redis.call('SADD', outbox, K.run)
end

start_planned = function(run)
  local k = keys_of(run)
  if redis.call('HGET', k.meta, 'state') ~= 'planned' then return end
  if take_locks(cjson.decode(redis.call('HGET', k.meta, 'locks')), run .. '|', run) then return end
  -- a person may have marked a step as failed meanwhile
  local begun = tonumber(redis.call('HGET', k.meta, 'failed')) > 0 and 'failed' or 'running'
  redis.call('HSET', k.meta, 'state', begun)
  redis.call('SADD', outbox, run)
  event(k, 'run-state-changed', 't', begun)
end
