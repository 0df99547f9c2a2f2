-- End a step. Accepted only if it is RUNNING and the token is the lease's: "not ended yet" is not enough once Redis has
-- lost a tail. KEYS as in common.lua.
-- ARGV 1 step  2 token  3 state byte s | f | k  4 output or ''  5 error or ''  6 1: may have acted  7 successors, first slice
--      8 cursor where more follow, or ''  9 step whose hold is released, or ''  10 token for the next step, or ''
--      11 worker  12 lease ms  13 text for people or ''  14 low-water mark of the dispatch window
-- Result: kind accepted | duplicate | lost, steps to dispatch, run state, grant of the next step or nothing
local i, token, byte = tonumber(ARGV[1]), ARGV[2], ARGV[3]
local s = state(K, i)
local function result(kind, next_grant)
  local ready = redis.call('SCARD', K.sent) > tonumber(ARGV[14]) and 0 or redis.call('ZCARD', K.ready)
  return { kind, ready, run_state() or '', next_grant }
end
if not holds_lease(i, token) then
  local is_mine = token_of(i) == token and (s == 's' or s == 'f' or s == 'k')
  return result(is_mine and 'duplicate' or 'lost')
end
if ARGV[4] ~= '' then redis.call('HSET', K.out, i, ARGV[4]) end
if ARGV[5] ~= '' then redis.call('HSET', K.err, i, ARGV[5]) else redis.call('HDEL', K.err, i) end
if ARGV[9] ~= '' then
  redis.call('HDEL', K.holds, ARGV[9])
  redis.call('ZREM', timers, K.run .. '|' .. ARGV[9] .. '|h')
end
if ARGV[13] ~= '' then event(K, 'step-logged', 's', i, 'x', ARGV[13]) end
local first
if byte ~= 'f' then
  first = finish_step(i, byte, ARGV[7], ARGV[8] ~= '' and ARGV[8])
elseif is_finally(i) then
  redis.call('HSET', K.meta, 'leftOver', '1')
  first = finish_step(i, byte, ARGV[7], ARGV[8] ~= '' and ARGV[8])
else
  close_step(i, 'f')
  if ARGV[6] ~= '1' then
    forget(i, 'a')
    free_act_lock(i)
  end
  forget(i, 'oW')
  redis.call('HINCRBY', K.meta, 'failed', 1)
  if run_state() == 'aborting' then
    free_act_lock(i)
    give_back_places(i)
    settle(false, 1)
  elseif run_state() == 'running' then
    set_run_state('failed')
  end
end
if ARGV[10] == '' or is_over(run_state()) then return result('accepted') end
local TRIES = 3 -- steps without a place that are passed over before the worker goes back to its queue
for _ = 1, TRIES do
  local candidate = first or tonumber(redis.call('ZRANGE', K.ready, 0, 0)[1])
  first = nil
  if not candidate then break end
  local granted = try_grant(candidate, ARGV[10], ARGV[11], tonumber(ARGV[12]))
  if granted then return result('accepted', granted) end
end
return result('accepted')
