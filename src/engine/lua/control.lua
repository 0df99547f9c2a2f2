-- Carry out an act of a person, audited, once for each request id. KEYS as in common.lua.
-- ARGV 1 act: pause | resume | abort | kill | retry | retry-all | skip | mark-done | mark-failed | decide | wake | sweep
--        | unlock (6 name of the lock)
--      2 step or ''  3 by  4 reason  5 request or ''
--      6 successors, first slice (skip, mark-done), decision (decide: JSON without atMs) or error (mark-failed: JSON)
--      7 cursor where more follow, or ''  8 step that this one takes back, or ''
-- Result: ok, number of steps it changed, 1: there is more to sweep | refused, why
local act, i, by, reason, request = ARGV[1], tonumber(ARGV[2]), ARGV[3], ARGV[4], ARGV[5]
local known = answered(request)
if known then return { 'ok', tonumber(known), redis.call('HEXISTS', K.meta, 'sweep') } end
local over = run_now
if act == 'sweep' then return { 'ok', 0, sweep() and 1 or 0 } end
if act == 'wake' then return { 'ok', (not is_over(over) and state(K, i) == 'w' and wake(K, i)) and 1 or 0 } end
if act == 'unlock' then
  -- a run that is over, or unknown, may hold something all the same: a tail of records was lost
  local is_freed = free_lock(ARGV[6], K.run .. '|' .. (ARGV[2] or ''))
  if is_freed then
    answer(request, 1)
    audit('unlock', by, reason, ARGV[2])
  end
  return { 'ok', is_freed and 1 or 0, 0 }
end
if is_over(over) then return { 'refused', over_reason() } end

local function ok(count, has_more)
  answer(request, count)
  audit(act == 'retry-all' and 'retry' or act, by, reason, i or '')
  return { 'ok', count, has_more and 1 or 0 }
end

local acts = {}

function acts.pause()
  if over == 'paused' then return { 'refused', 'it is paused already' } end
  if over == 'aborting' then return { 'refused', 'the run is being aborted' } end
  if over == 'planned' then return { 'refused', 'the run has not started: it waits for its locks' } end
  set_run_state('paused')
  return ok(0)
end

function acts.resume()
  if over ~= 'paused' then return { 'refused', 'it is not paused: it is ' .. over } end
  set_run_state(usual_state())
  -- what was sent may have been dropped meanwhile; what was about to act asks again
  for _, step in ipairs(redis.call('SMEMBERS', K.sent)) do put_back(tonumber(step)) end
  leave_pause()
  return ok(0)
end

function acts.abort()
  if over == 'aborting' then return { 'refused', 'the run is being aborted already' } end
  local counted = undo_from and math.min(undo_from, tonumber(redis.call('HGET', K.meta, 'sweep') or undo_from)) or 0
  redis.call('HSET', K.meta, 'sweep', 0, 'swept', counted)
  set_run_state('aborting')
  if over == 'paused' then leave_pause() end
  local more = sweep()
  return ok(0, more)
end

-- Nothing is given back: who kills a run is told what it leaves. Its workers lose their leases and stop.
function acts.kill()
  local is_clean = redis.call('HLEN', K.holds) == 0 and not string.find(redis.call('GET', K.st) or '', 'R', 1, true)
  redis.call('HSET', K.meta, 'sweep', 0)
  end_run_as(is_clean and 'aborted' or 'left-over')
  redis.call('PUBLISH', root .. 'killed', K.run)
  local more = sweep()
  return ok(0, more)
end

local function retry_one(step)
  forget(step, 'tAdW')
  forget_observed(step)
  redis.call('HINCRBY', K.mem, step .. ':n', 1)
  redis.call('BITFIELD', K.times, 'SET', 'i64', '#' .. (2 * step), 0, 'SET', 'i64', '#' .. (2 * step + 1), 0)
  make_ready(K, step)
  redis.call('HINCRBY', K.meta, 'failed', -1)
  if over == 'failed' then set_run_state(usual_state()) end
end

function acts.retry()
  if over == 'aborting' then return { 'refused', 'the run is being aborted' } end
  if state(K, i) == 'w' then
    make_ready(K, i)
    return ok(1)
  end
  if state(K, i) ~= 'f' or is_finally(i) then
    return { 'refused', 'the step is ' .. state_names[state(K, i)] .. ': only a failed or waiting one can be retried' }
  end
  if is_ending(i) then return { 'refused', 'the run is being undone' } end
  retry_one(i)
  return ok(1)
end

acts['retry-all'] = function()
  if over == 'aborting' then return { 'refused', 'the run is being aborted' } end
  local all, parts, count = redis.call('GET', K.st) or '', redis.call('GET', K.part) or '', 0
  local at = string.find(all, 'f', 1, true)
  while at do
    if string.sub(parts, at, at) == 'm' and not is_ending(at - 1) then
      retry_one(at - 1)
      count = count + 1
    end
    at = string.find(all, 'f', at + 1, true)
  end
  if count == 0 then return { 'refused', 'no step has failed' } end
  return ok(count)
end

local function refuse_to_end(s)
  local may = s == 'r' or s == 'w' or s == '?' or (s == 'f' and not is_ending(i) and not is_finally(i))
  if may then return nil end
  local why = s == 'p' and 'it has not begun; skip what it waits for, or wait until it is ready'
    or s == 'R' and 'a worker is busy with it; wait until it has ended or waits' or 'it has ended'
  return { 'refused', 'the step is ' .. state_names[s] .. ': ' .. why }
end

-- Somebody says how a step ended: so it is with the one that it takes back.
local function undone_by_hand(byte)
  local undone = tonumber(ARGV[8])
  if undone then note_undone(undone, byte) end
end

local function end_by_hand(byte)
  local s = state(K, i)
  local refusal = refuse_to_end(s)
  if refusal then return refusal end
  if s == 'f' then
    redis.call('HINCRBY', K.meta, 'failed', -1)
    forget(i, 'e')
    if over == 'failed' then set_run_state(usual_state()) end
  end
  undone_by_hand(byte)
  finish_step(i, byte, ARGV[6], ARGV[7] ~= '' and ARGV[7])
  return ok(1)
end

function acts.skip() return end_by_hand('k') end

acts['mark-done'] = function() return end_by_hand('s') end

acts['mark-failed'] = function()
  local s = state(K, i)
  if s == 'f' then return { 'refused', 'the step is failed: it has failed already' } end
  local refusal = refuse_to_end(s)
  if refusal then return refusal end
  if is_finally(i) then return { 'refused', 'the step gives something back: skip it, or let it be tried' } end
  redis.call('HSET', K.mem, i .. ':e', ARGV[6])
  undone_by_hand('f')
  -- somebody looked: its act is not begun any more unless it was
  fail_step(i, is_acting(i))
  return ok(1)
end

function acts.decide()
  local waits = recall(i, 'q')
  local s = state(K, i)
  local question = waits and cjson.decode(string.match(waits, '^%d+|%d*|(.*)$')).question
  if not question or (s ~= 'w' and s ~= 'R' and s ~= 'r') then return { 'refused', 'the step asks nothing: it is ' .. state_names[s] } end
  local decision = string.sub(ARGV[6], 1, -2) .. ',"atMs":' .. string.format('%.0f', now) .. '}'
  if redis.call('HSETNX', K.mem, i .. ':d', decision) == 0 then
    local first = cjson.decode(recall(i, 'd'))
    return { 'refused', first.by .. ' has ' .. first.verdict .. ' it already' }
  end
  wake(K, i)
  return ok(1)
end

return acts[act]()
