-- Places of max-parallel: `c:g` begun members, `b:g:m` member m is begun, `e:g:m` its ended steps.
local WAITERS_WOKEN = 32 -- waiters looked at in one script; those for a place that are left get a timer, so that `due` goes on
local GROUP = 4294967296 -- members of a group are counted in 32 bits: a waiter's score is group * GROUP + member

local function first_waiter(k, from)
  local last = (math.floor(from / GROUP) + 1) * GROUP - 1
  return tonumber(redis.call('ZRANGEBYSCORE', k.waiters, from, last, 'LIMIT', 0, 1)[1])
end

-- A step waits for a place no more. One whose turn it was to look for all others hands that on.
leave_waiters = function(k, i)
  if k == K and not has_places then return end
  local score = redis.call('ZSCORE', k.waiters, i)
  if not score then return end
  redis.call('ZREM', k.waiters, i)
  local after = redis.call('ZSCORE', timers, k.run .. '|' .. i) and first_waiter(k, tonumber(score))
  if after then set_timer(k, after, now) end
end

local function places_of(i)
  local text = has_places and redis.call('HGET', K.placesof, i)
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
  redis.call('HSET', K.mem, i .. ':q', now .. '||' .. cjson.encode({ reason = reason }))
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
      forget(i, 'q')
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
      if not is_over(run_now) and (not is_ending(i) or is_finally(i)) then wake_place_waiters(tonumber(p.g) * GROUP) end
    end
  end
end

-- A step that had ended is to be done again: its member is not over any more.
local function unend_places(i)
  for _, p in ipairs(places_of(i)) do
    redis.call('HINCRBY', K.places, 'e:' .. p.member, -1)
  end
end
