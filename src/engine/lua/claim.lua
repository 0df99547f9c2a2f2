-- Take a step's lease for a delivery. KEYS as in common.lua.
-- ARGV 1 step  2 delivery  3 token (8 characters, made by the caller)  4 worker  5 lease ms
-- Result: stale | done | ended | no-place | granted, grant (see `grant`). A repeat with the same token gets the same grant.
local i, token = tonumber(ARGV[1]), ARGV[3]
local over = run_state()
if not over then return { 'stale' } end
if is_over(over) then return { 'ended' } end
local s = state(K, i)
if s == 'R' and token_of(i) == token then return { 'granted', grant(i, token, ARGV[4], tonumber(ARGV[5])) } end
if s == 's' or s == 'k' or s == 'c' or s == 'f' then return { 'done' } end
if (s ~= 'r' and s ~= '?') or delivery_of(K, i) ~= tonumber(ARGV[2]) then return { 'stale' } end
local granted = try_grant(i, token, ARGV[4], tonumber(ARGV[5]))
if not granted then return { 'no-place' } end
return { 'granted', granted }
