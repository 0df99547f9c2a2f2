-- Begin to take a run back: what has not begun is cancelled, and one step is appended that works out, when all that is
-- under way has ended, what is to be undone. KEYS as in common.lua.
-- ARGV 1 by  2 reason  3 request  4 key of the sub-plan  5 its pages  6 number of the new step
-- Result: ok, 0, 1: there is more to sweep | refused, why | no-plan | moved
local by, reason, request = ARGV[1], ARGV[2], ARGV[3]
local first = tonumber(ARGV[6])
if answered(request) then return { 'ok', 0, redis.call('HEXISTS', K.meta, 'sweep') } end
if is_over(run_now) then return { 'refused', over_reason() } end
if run_now == 'aborting' then return { 'refused', 'the run is being aborted' } end
if redis.call('HEXISTS', K.meta, 'undo') == 1 then return { 'refused', 'the run is being undone already' } end
if redis.call('HGET', K.meta, 'mainLeft') == '0' then return { 'refused', 'its last steps are under way: they give back what it holds' } end
if redis.call('HLEN', ARGV[4]) < tonumber(ARGV[5]) then return { 'no-plan' } end
if redis.call('STRLEN', K.st) ~= first then return { 'moved' } end
redis.call('PERSIST', ARGV[4])
redis.call('HINCRBY', root .. 'plans', ARGV[4], 1)
local parts = redis.call('HGET', K.meta, 'parts')
local list = parts and cjson.decode(parts) or {}
list[#list + 1] = { key = ARGV[4], first = first, by = -1 }
redis.call('HSET', K.meta, 'parts', cjson.encode(list), 'undo', first, 'sweep', 0)
redis.call('APPEND', K.st, 'p')
redis.call('APPEND', K.dep, string.rep(string.char(0), 4))
redis.call('APPEND', K.part, 'm')
redis.call('HINCRBY', K.meta, 'mainLeft', 1)
redis.call('HINCRBY', K.meta, 'steps', 1)
redis.call('HSET', K.meta, 'failed', 0)
undo_from = first
local was_paused = run_now == 'paused'
set_run_state('undoing')
if was_paused then leave_pause() end
make_ready(K, first)
answer(request, 0)
audit('undo', by, reason, '')
return { 'ok', 0, sweep() and 1 or 0 }
