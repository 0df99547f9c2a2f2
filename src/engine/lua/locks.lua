-- Locks and semaphores that runs share: hash `lock:<name>` holder -> since ms, zset `lock:<name>:waiters`, set `locks` of all
-- names. A holder is `<run>|` or `<run>|<step>`; each counts one. What a run holds itself its steps need not take again.
-- The one lock of a cluster for acts that stop or destroy is `act:<fsid>`, with the holder as its value.
local LOCK_WAITERS_WOKEN = 32 -- looked at in one script; who is passed over asks again by its own timer

-- Make a waiting step of any run ready; one that is just being asked gets a mark that `park` honours.
local function wake(k, i)
  local s = state(k, i)
  if s == 'w' then make_ready(k, i) elseif s == 'R' then redis.call('HSET', k.mem, i .. ':W', '1') end
  return s == 'w' or s == 'R'
end

local function free_act_lock(i, known)
  local fsid = known or recall(i, 'l')
  if not fsid then return end
  forget(i, 'l')
  local key = root .. 'act:' .. fsid
  if redis.call('GET', key) ~= K.run .. '|' .. i then return end
  redis.call('DEL', key)
  local waiting = redis.call('ZPOPMIN', key .. ':waiters', LOCK_WAITERS_WOKEN)
  for n = 1, #waiting, 2 do
    local run, step = string.match(waiting[n], '^(.-)|(%d+)$')
    wake(keys_of(run), tonumber(step))
  end
end

-- A holder that does not know of its lock (a tail of records was lost), or whose run is over, keeps nobody out.
local function is_live_holder(holder, name)
  local run, step = string.match(holder, '^(.-)|(%d*)$')
  if not run then return false end
  local k = keys_of(run)
  local s = redis.call('HGET', k.meta, 'state')
  if not s or is_over(s) then return false end
  local quoted = '"' .. name .. '"' -- names hold nothing that JSON would spell otherwise
  if step == '' then return string.find(redis.call('HGET', k.meta, 'locks') or '', quoted, 1, true) ~= nil end
  return string.find(redis.call('HGET', k.mem, step .. ':L') or '', quoted, 1, true) ~= nil
end

-- Take all of a list of { name, capacity } or none. Returns the name that is not free and a holder of it, or nil.
local function take_locks(list, holder, run)
  local missing = {}
  for _, lock in ipairs(list) do
    local key = root .. 'lock:' .. lock.name
    if redis.call('HEXISTS', key, holder) == 0 and redis.call('HEXISTS', key, run .. '|') == 0 then
      if redis.call('HLEN', key) >= lock.capacity then
        for _, other in ipairs(redis.call('HKEYS', key)) do
          if not is_live_holder(other, lock.name) then redis.call('HDEL', key, other) end
        end
      end
      if redis.call('HLEN', key) >= lock.capacity then
        for _, one in ipairs(list) do
          redis.call('ZADD', root .. 'lock:' .. one.name .. ':waiters', 'NX', now, holder)
        end
        return lock.name, redis.call('HKEYS', key)[1]
      end
      missing[#missing + 1] = lock.name
    end
  end
  for _, lock in ipairs(list) do redis.call('ZREM', root .. 'lock:' .. lock.name .. ':waiters', holder) end
  for _, name in ipairs(missing) do
    redis.call('HSET', root .. 'lock:' .. name, holder, now)
    redis.call('SADD', root .. 'locks', name)
  end
  return nil
end

-- Start a run that has waited for its locks, if it gets them all now. Filled by flow.lua.
local start_planned = function() end

local function wake_lock_waiters(name)
  local key = root .. 'lock:' .. name
  for _, waiting in ipairs(redis.call('ZRANGE', key .. ':waiters', 0, LOCK_WAITERS_WOKEN - 1)) do
    local run, step = string.match(waiting, '^(.-)|(%d*)$')
    if step == '' then
      start_planned(run)
    elseif not wake(keys_of(run), tonumber(step)) then
      redis.call('ZREM', key .. ':waiters', waiting)
    end
  end
  if redis.call('HLEN', key) == 0 and redis.call('ZCARD', key .. ':waiters') == 0 then
    redis.call('SREM', root .. 'locks', name)
  end
end

local function free_lock(name, holder)
  if redis.call('HDEL', root .. 'lock:' .. name, holder) == 0 then return false end
  wake_lock_waiters(name)
  return true
end

-- Give back what a step holds by itself.
local function free_step_locks(i, known)
  local held = known or recall(i, 'L')
  if not held then return end
  forget(i, 'L')
  for _, lock in ipairs(cjson.decode(held)) do
    redis.call('ZREM', root .. 'lock:' .. lock.name .. ':waiters', K.run .. '|' .. i)
    free_lock(lock.name, K.run .. '|' .. i)
  end
end

-- Give back all locks of a step that has ended.
local function free_locks(i)
  local held = redis.call('HMGET', K.mem, i .. ':l', i .. ':L')
  if held[1] then free_act_lock(i, held[1]) end
  if held[2] then free_step_locks(i, held[2]) end
end
