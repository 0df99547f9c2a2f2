-- Shared by every script of a run; the loader puts the libraries that a script names before it.
-- KEYS[1] <prefix>:{<run>}:meta   KEYS[2] <prefix>:timers   KEYS[3] <prefix>:outbox (runs with something to send)
-- All other keys of a run are derived from KEYS[1]; a wake may reach into another run (waiters of a lock).
-- That is why Redis Cluster is refused: one primary, one slot for all.
--
-- Per run, n steps:  st 1 byte a step (run/states.ts)    dep u32 a step: what it still waits for
--   dlv u32 a step: number of the last delivery           tok 8 bytes a step: token of the last lease
--   times 2 x i64 a step: begun, ended (ms)               part 1 byte a step: m(ain), f(inally)
--   rdy 1 bit a step: ready and not sent                  did 1 bit a step: its act has begun at least once
--   meta, out, mem, places, placesof, special, holds, cut, requests: hashes
--   rdyx, waiters: zsets   sent, stopped: sets            ev, audit: streams
-- mem fields `<step>:<letter>`: w worker that has the lease  q why it waits (since|next|JSON)  e error  r remembered
--   o observed  d decision  a the act began, end unknown  A output of an act that returned  n further attempts
--   t automatic retries  l fsid of the act lock  L its own locks  W wake mark. A step's first delivery finds none of them.
-- special `<step>`: `priority|queue` of a step that has another than the usual ones; such a step is ready in rdyx.
-- One timer a step: its state says what is due (w: ask again, or let waiters for a place in, R: lease over, r ?: sent
-- and not claimed, ended: slices). Timers of the run itself: `<run>|s` sweep  `<run>|d` deadline.
local EVENTS_KEPT = 20000 -- two events a step for a run of 10,000 steps
local TIME = redis.call('TIME')
local now = tonumber(TIME[1]) * 1000 + math.floor(tonumber(TIME[2]) / 1000)
local root = string.sub(KEYS[2], 1, -7)
local timers, outbox = KEYS[2], KEYS[3]

local function keys_of(run)
  local base = root .. '{' .. run .. '}:'
  return setmetatable({ run = run }, { __index = function(k, name)
    local key = base .. name
    rawset(k, name, key)
    return key
  end })
end

local K = keys_of(string.match(KEYS[1], '{(.-)}:meta$'))

local state_names = { p = 'pending', r = 'ready', R = 'running', w = 'waiting', ['?'] = 'unknown', s = 'succeeded',
  f = 'failed', k = 'skipped', c = 'cancelled', U = 'undoing', u = 'undone', x = 'undo-failed' }
-- Nothing more happens to such a step unless a person acts, and it is counted as ended. A failed one is not.
local is_ended = { s = true, k = true, c = true, U = true, u = true, x = true }

-- What is asked of a run again and again, read once. `flags`: p some steps need places  x some are special. `undo`: number
-- of the first step that takes others back.
local head = redis.call('HMGET', K.meta, 'state', 'flags', 'cluster', 'undo', 'finally')
local run_now, flags, undo_from = head[1], head[2] or '', tonumber(head[4])
local has_places = string.find(flags, 'p', 1, true) ~= nil
local has_special = string.find(flags, 'x', 1, true) ~= nil
local has_finally = head[5] ~= ''
local function run_state() return run_now end
local function is_over(s) return s == 'succeeded' or s == 'aborted' or s == 'undone' or s == 'left-over' end
local function over_reason()
  return 'the run is over: it ' .. (run_now == 'left-over' and 'ended with something left over' or run_now)
end
-- Main steps that have not begun are cancelled, and none is begun any more: all of them, or those that are taken back.
local function is_ending(i) return run_now == 'aborting' or (undo_from ~= nil and i < undo_from) end

local function state(k, i) return redis.call('GETRANGE', k.st, i, i) end
local function is_finally(i) return has_finally and redis.call('GETRANGE', K.part, i, i) == 'f' end
local function recall(i, letter) return redis.call('HGET', K.mem, i .. ':' .. letter) end
local function is_acting(i) return redis.call('HEXISTS', K.mem, i .. ':a') == 1 end
-- Begun, or done under the cluster's act lock and its effect not read back: such a step is not cancelled.
local function is_under_way(i) return is_acting(i) or (recall(i, 'l') and recall(i, 'A')) end
local function delivery_of(k, i) return redis.call('BITFIELD', k.dlv, 'GET', 'u32', '#' .. i)[1] end
local function token_of(i) return redis.call('GETRANGE', K.tok, i * 8, i * 8 + 7) end
local function holds_lease(i, token) return token_of(i) == token and state(K, i) == 'R' and not is_over(run_now) end
local function set_timer(k, i, due) redis.call('ZADD', timers, due, k.run .. '|' .. i) end
local function drop_timer(k, i) redis.call('ZREM', timers, k.run .. '|' .. i) end
local function is_begun(i) return redis.call('BITFIELD', K.times, 'GET', 'i64', '#' .. (2 * i))[1] ~= 0 end

local function forget(i, letters)
  local fields = {}
  for letter in string.gmatch(letters, '.') do fields[#fields + 1] = i .. ':' .. letter end
  redis.call('HDEL', K.mem, unpack(fields))
end

-- Forget what was seen, but not on which nodes a command may still run: the next attempt waits for that.
local function forget_observed(i)
  local seen = recall(i, 'o')
  local nodes = seen and string.find(seen, '"nodes"', 1, true) and cjson.decode(seen).nodes
  if nodes and #nodes > 0 then
    redis.call('HSET', K.mem, i .. ':o', cjson.encode({ nodes = nodes }))
  elseif seen then
    forget(i, 'o')
  end
end

-- What was asked before is asked no more: nobody can answer it, and an answer already given is none to the next question.
local function close_question(i)
  local mem = redis.call('HMGET', K.mem, i .. ':d', i .. ':q', i .. ':o')
  if mem[1] or mem[2] then forget(i, 'dq') end
  local seen = mem[3]
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

-- Write down what became of the step that another one takes back, when that one has ended.
local function note_undone(undone, byte)
  if byte == 's' then
    set_state(K, undone, 'u')
  elseif byte == 'f' or state(K, undone) == 'U' then
    set_state(K, undone, 'x')
  end
end

local function set_run_state(value)
  run_now = value
  redis.call('HSET', K.meta, 'state', value)
  event(K, 'run-state-changed', 't', value)
end

local is_frozen -- asked once a script
-- Why no act may begin in this run just now, or nil.
local function no_act()
  if run_now == 'paused' or run_now == 'planned' then return run_now end
  if is_frozen == nil then
    local marks = redis.call('HMGET', root .. 'frozen', '*', head[3] or '')
    is_frozen = (marks[1] or marks[2]) and true or false
  end
  return is_frozen and 'frozen' or nil
end

-- Why nothing new may begin in this run just now, or nil. What is held is given back in a frozen cluster too.
local function halted()
  local why = no_act()
  if why == 'frozen' and has_finally and redis.call('HGET', K.meta, 'mainLeft') == '0' then return nil end
  return why
end

-- An act of a person is done once for each request id; the first answer is kept.
local function answered(request) return request ~= '' and redis.call('HGET', K.requests, request) or nil end
local function answer(request, text)
  if request ~= '' then redis.call('HSET', K.requests, request, text) end
  return text
end
