-- Put right what does not fit the states and the plan (store-doctor*.ts). Nothing is written unless the run is what was
-- examined; each order looks once more whether it is needed, so that two repairs do the work of one. No step is ended, and
-- none that runs is touched. KEYS as in common.lua.
-- A repair that rewrites the counters of 100,000 steps takes Redis some tens of milliseconds: the limit of 10 ms for a
-- script does not hold here. It is one write, since half of it would be a damage of its own.
-- ARGV 1 SHA-1 of st  2 SHA-1 of dep  3 fields of meta as they were (see below)  4 by  5 reason  then orders of 3 words
-- Result: moved, 0 | ok, number of orders that changed something
local was = { 'state', 'mainLeft', 'finallyLeft', 'failed', 'sweep', 'swept', 'undo', 'parts' }
local is = redis.call('HMGET', K.meta, unpack(was))
for n = 1, #was do is[n] = is[n] or '' end
local sums = { redis.sha1hex(redis.call('GET', K.st) or ''), redis.sha1hex(redis.call('GET', K.dep) or '') }
if sums[1] ~= ARGV[1] or sums[2] ~= ARGV[2] or table.concat(is, ' ') ~= ARGV[3] then return { 'moved', 0 } end

local orders = {}
local function write(key, value)
  if redis.call('GET', key) == value then return false end
  redis.call('SET', key, value)
  return true
end
-- Set or, with '', remove a field.
local function write_field(key, field, value)
  local before = redis.call('HGET', key, field) or ''
  if before == value then return false end
  if value == '' then redis.call('HDEL', key, field) else redis.call('HSET', key, field, value) end
  return true
end
local function is_to_begin(i)
  local bit, queued = redis.call('GETBIT', K.rdy, i), redis.call('ZSCORE', K.rdyx, i) and 1 or 0
  return bit + queued + redis.call('SISMEMBER', K.sent, i), bit == 1 and redis.call('HEXISTS', K.special, i) == 1
end

function orders.dep(packed) return write(K.dep, packed) end
function orders.part(letters) return write(K.part, letters) end
function orders.meta(field, value) return write_field(K.meta, field, value) end
function orders.place(field, value) return write_field(K.places, field, value) end
function orders.uncut(i) return redis.call('HDEL', K.cut, i) == 1 end
function orders.unwait(i) return state(K, i) ~= 'w' and redis.call('ZREM', K.waiters, i) == 1 end

function orders.state(value)
  set_run_state(value)
  return true
end

-- Main and finally are over: so is the run.
orders['end'] = function()
  local left = redis.call('HMGET', K.meta, 'mainLeft', 'finallyLeft')
  if is_over(run_now) or left[1] ~= '0' or left[2] ~= '0' then return false end
  end_run()
  return true
end

-- A step that is ready too early waits again.
function orders.pending(i)
  if state(K, i) ~= 'r' or is_begun(i) then return false end
  leave_ready(i)
  drop_timer(K, i)
  set_state(K, i, 'p')
  return true
end

function orders.unready(i)
  local s = state(K, i)
  if s == 'r' or s == '?' or is_to_begin(i) == 0 then return false end
  leave_ready(i)
  redis.call('ZREM', K.rdyx, i)
  return true
end

function orders.send(i)
  local s = state(K, i)
  local places, is_wrong = is_to_begin(i)
  if (s ~= 'r' and s ~= '?') or (places == 1 and not is_wrong) then return false end
  leave_ready(i)
  redis.call('ZREM', K.rdyx, i)
  make_ready(K, i, s)
  return true
end

function orders.ready(i)
  if state(K, i) ~= 'p' or redis.call('BITFIELD', K.dep, 'GET', 'u32', '#' .. i)[1] > 0 then return false end
  make_ready(K, i)
  return true
end

function orders.ask(i)
  if state(K, i) ~= 'w' or redis.call('ZSCORE', timers, K.run .. '|' .. i) then return false end
  make_ready(K, i)
  return true
end

function orders.timer(name, due)
  return redis.call('ZADD', timers, 'NX', due == 'now' and now or due, K.run .. '|' .. name) == 1
end

local sets = { unfinished = 'S', queued = 'S', outbox = 'S', runs = 'Z', ended = 'Z', drafts = 'Z' }
function orders.set(name, wanted)
  local kind, key = sets[name], root .. name
  -- what is sent changes while the states do not
  if name == 'queued' and run_now and not is_over(run_now) and (redis.call('SCARD', K.sent) > 0) ~= (wanted == '1') then return false end
  if wanted == '0' then return redis.call(kind .. 'REM', key, K.run) == 1 end
  if kind == 'S' then return redis.call('SADD', key, K.run) == 1 end
  local score = name == 'ended' and (redis.call('HGET', K.meta, 'endedMs') or now) or 0
  return redis.call('ZADD', key, 'NX', score, K.run) == 1
end

orders['free-lock'] = function(name, i) return free_lock(name, K.run .. '|' .. i) end
orders['free-act'] = function(fsid, i)
  if redis.call('GET', root .. 'act:' .. fsid) ~= K.run .. '|' .. i then return false end
  free_act_lock(i, fsid)
  return true
end
-- `<step>|<capacity>`: taken again only while nobody else is kept out by it.
orders['take-lock'] = function(name, text)
  local i, capacity = string.match(text, '^(%d*)|(%d+)$')
  local key = root .. 'lock:' .. name
  if redis.call('HLEN', key) >= tonumber(capacity) then return false end
  redis.call('SADD', root .. 'locks', name)
  return redis.call('HSETNX', key, K.run .. '|' .. i, now) == 1
end
orders['take-act'] = function(fsid, i)
  return redis.call('SETNX', root .. 'act:' .. fsid, K.run .. '|' .. i) == 1
end
function orders.start()
  start_planned(K.run)
  return true
end

function orders.keep(key) return redis.call('PERSIST', key) == 1 end
-- `<runs that are said to use it>|<runs that do>`
function orders.uses(key, text)
  local before, wanted = string.match(text, '^(%d+)|(%d+)$')
  if (redis.call('HGET', root .. 'plans', key) or '0') ~= before then return false end
  return write_field(root .. 'plans', key, wanted == '0' and '' or wanted)
end

local count = 0
for n = 6, #ARGV, 3 do
  if orders[ARGV[n]](ARGV[n + 1], ARGV[n + 2]) then count = count + 1 end
end
if count == 0 then return { 'ok', 0 } end
if not run_now then
  redis.call('XADD', root .. 'audit', '*', 'act', 'repair', 'by', ARGV[4], 'reason', ARGV[5], 'run', K.run)
  return { 'ok', count }
end
if not is_over(run_now) and has_ready() then redis.call('SADD', outbox, K.run) end
audit('repair', ARGV[4], ARGV[5], '')
return { 'ok', count }
