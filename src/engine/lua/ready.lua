-- What is ready and not sent: a bit a step in rdy; steps of another priority or queue stand in rdyx instead, with a score
-- that puts the higher priority first. BITPOS finds the first bit of 100,000 in about a microsecond.
local PRIORITY = 4294967296 -- steps are counted in 32 bits

local function special_of(k, i)
  local text = has_special and redis.call('HGET', k.special, i)
  if not text then return nil, '' end
  local priority, queue = string.match(text, '^(-?%d+)|(.*)$')
  return tonumber(priority), queue
end

local function mark_ready(k, i)
  -- another run's flags are not known here: its hash is asked
  local text = (k ~= K or has_special) and redis.call('HGET', k.special, i)
  if text then
    redis.call('ZADD', k.rdyx, -tonumber(string.match(text, '^(-?%d+)|')) * PRIORITY + i, i)
  else
    redis.call('SETBIT', k.rdy, i, 1)
  end
end

-- A delivery of the step is no longer waited for. `queued`: runs that have deliveries nobody has claimed.
local function unsend(k, i)
  if redis.call('SREM', k.sent, i) == 1 and redis.call('SCARD', k.sent) == 0 then
    redis.call('SREM', root .. 'queued', k.run)
  end
end

local function unready(i)
  redis.call('SETBIT', K.rdy, i, 0)
  if has_special then redis.call('ZREM', K.rdyx, i) end
end

local function leave_ready(i)
  unready(i)
  unsend(K, i)
end

-- The step that is to go next, and its queue. `usual`: only one that every worker of the cluster takes.
local function first_ready(usual)
  local special = has_special and redis.call('ZRANGE', K.rdyx, 0, 0, 'WITHSCORES') or {}
  local at = redis.call('BITPOS', K.rdy, 1)
  local i = tonumber(special[1])
  if i and (at < 0 or tonumber(special[2]) < at) then
    local _, queue = special_of(K, i)
    if queue == '' or not usual then return i, queue end
  end
  if at >= 0 then return at, '' end
  return nil, ''
end

local function has_ready()
  return redis.call('BITPOS', K.rdy, 1) >= 0 or (has_special and redis.call('ZCARD', K.rdyx) > 0)
end

-- Let waiters for a place go; filled by places.lua, which needs what stands here.
local leave_waiters = function() end

local function make_ready(k, i, byte)
  leave_waiters(k, i)
  redis.call('BITFIELD', k.dlv, 'INCRBY', 'u32', '#' .. i, 1)
  mark_ready(k, i)
  unsend(k, i)
  drop_timer(k, i)
  set_state(k, i, byte or 'r')
  redis.call('SADD', outbox, k.run)
end

local EVENTS_AT_ONCE = 32 -- more steps than this that become ready together are told in one event
-- Make many pending steps of this run ready.
local function make_all_ready(ids)
  if #ids == 0 then return end
  local numbers, states = {}, {}
  for _, i in ipairs(ids) do
    for _, word in ipairs({ 'INCRBY', 'u32', '#' .. i, 1 }) do numbers[#numbers + 1] = word end
    for _, word in ipairs({ 'SET', 'u8', '#' .. i, 114 }) do states[#states + 1] = word end -- r
    mark_ready(K, i)
  end
  redis.call('BITFIELD', K.dlv, unpack(numbers))
  redis.call('BITFIELD', K.st, unpack(states))
  redis.call('SADD', outbox, K.run)
  if #ids <= EVENTS_AT_ONCE then
    for _, i in ipairs(ids) do event(K, 'step-state-changed', 's', i, 't', 'ready') end
  else
    event(K, 'steps-became-ready', 's', ids[1], 'n', #ids)
  end
end
