-- Carry out an act of a person, audited, once for each request id. KEYS as in common.lua.
-- ARGV 1 act: abort | retry | retry-all | skip | decide | wake  2 step or ''  3 by  4 reason  5 request or ''
--      6 successors, first slice (skip) or decision (decide: JSON without atMs)  7 cursor where more follow, or ''
-- Result: ok, number of steps it changed | refused, why
local act, i, by, reason, request = ARGV[1], tonumber(ARGV[2]), ARGV[3], ARGV[4], ARGV[5]
local known = answered(request)
if known then return { 'ok', tonumber(known) } end
local over = run_state()
if act == 'wake' then return { 'ok', (not is_over(over) and state(K, i) == 'w' and wake(K, i)) and 1 or 0 } end
if is_over(over) then return { 'refused', 'the run is over: it ' .. (over == 'left-over' and 'ended with something left over' or over) } end

local function ok(count)
  answer(request, count)
  audit(act == 'retry-all' and 'retry' or act, by, reason, i or '')
  return { 'ok', count }
end

local function abort()
  if over == 'aborting' then return { 'refused', 'the run is being aborted already' } end
  set_run_state('aborting')
  local all, parts = redis.call('GET', K.st) or '', redis.call('GET', K.part) or ''
  local count, failed = 0, 0
  for n = 1, #all do
    local s, step = string.sub(all, n, n), n - 1
    if string.sub(parts, n, n) == 'm' then
      if s == 'p' or ((s == 'r' or s == 'w') and not is_under_way(step)) then
        cancel(step)
        count = count + 1
      elseif s == 'f' then
        free_act_lock(step)
        give_back_places(step)
        failed = failed + 1
      end
    end
  end
  if count + failed > 0 then settle(false, count + failed) end
  return ok(count)
end

local function retry_one(step)
  forget(step, 'tAdoW')
  redis.call('HINCRBY', K.mem, step .. ':n', 1)
  redis.call('BITFIELD', K.times, 'SET', 'i64', '#' .. (2 * step), 0, 'SET', 'i64', '#' .. (2 * step + 1), 0)
  make_ready(K, step)
  if redis.call('HINCRBY', K.meta, 'failed', -1) == 0 then set_run_state('running') end
end

local function retry()
  if over == 'aborting' then return { 'refused', 'the run is being aborted' } end
  if act == 'retry' and state(K, i) == 'w' then
    make_ready(K, i)
    return ok(1)
  end
  if act == 'retry' and (state(K, i) ~= 'f' or is_finally(i)) then
    return { 'refused', 'the step is ' .. state_names[state(K, i)] .. ': only a failed or waiting one can be retried' }
  end
  if act == 'retry' then
    retry_one(i)
    return ok(1)
  end
  local all, parts, count = redis.call('GET', K.st) or '', redis.call('GET', K.part) or '', 0
  for n = 1, #all do
    if string.sub(all, n, n) == 'f' and string.sub(parts, n, n) == 'm' then
      retry_one(n - 1)
      count = count + 1
    end
  end
  if count == 0 then return { 'refused', 'no step has failed' } end
  return ok(count)
end

local function skip()
  local s = state(K, i)
  local may = s == 'r' or s == 'w' or s == '?' or (s == 'f' and over ~= 'aborting' and not is_finally(i))
  if not may then
    local why = s == 'p' and 'it has not begun; skip what it waits for, or wait until it is ready'
      or s == 'R' and 'a worker is busy with it; wait until it has ended or waits' or 'it has ended'
    return { 'refused', 'the step is ' .. state_names[s] .. ': ' .. why }
  end
  if s == 'f' and redis.call('HINCRBY', K.meta, 'failed', -1) == 0 then set_run_state('running') end
  finish_step(i, 'k', ARGV[6], ARGV[7] ~= '' and ARGV[7])
  return ok(1)
end

local function decide()
  local waits = redis.call('HGET', K.wait, i)
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

if act == 'abort' then return abort() end
if act == 'skip' then return skip() end
if act == 'decide' then return decide() end
return retry()
