-- Throw away one run that is over, with the plans that no other run uses. KEYS as in common.lua, without the libraries.
-- ARGV 1 fencing epoch of the leader  2 names of all keys that a run may have, apart by spaces
-- Result: fenced | kept | gone
local root = string.sub(KEYS[2], 1, -7)
if tonumber(redis.call('GET', root .. 'leader-epoch') or '0') > tonumber(ARGV[1]) then return 'fenced' end
local run = string.match(KEYS[1], '{(.-)}:meta$')
local meta = redis.call('HMGET', KEYS[1], 'endedMs', 'planKey', 'parts', 'state')
local ended, state = tonumber(meta[1]), meta[4]
if state and not ended then
  redis.call('ZREM', root .. 'drafts', run)
  return 'kept'
end
local keys = {}
if state then
  keys[1] = meta[2]
  for _, part in ipairs(meta[3] and cjson.decode(meta[3]) or {}) do keys[#keys + 1] = part.key end
end
for _, key in ipairs(keys) do
  if redis.call('HINCRBY', root .. 'plans', key, -1) <= 0 then
    redis.call('HDEL', root .. 'plans', key)
    redis.call('UNLINK', key)
  end
end
local base = string.sub(KEYS[1], 1, -5)
for name in string.gmatch(ARGV[2], '%S+') do redis.call('UNLINK', base .. name) end
for _, set in ipairs({ 'runs', 'ended', 'drafts' }) do redis.call('ZREM', root .. set, run) end
redis.call('SREM', root .. 'unfinished', run)
return 'gone'
