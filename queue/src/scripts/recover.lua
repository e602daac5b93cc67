-- Looks at one page of the leases and takes back those of dead processes. A job goes to the head of its list; after
-- several deaths to the suspects, which run one at a time; after the deaths allowed to the dead letters, with evidence.
-- KEYS  1 leases  2-5 ready (critical, high, normal, low)  6 marks  7 dead  8 processes  9 process info  10 suspects
-- ARGV  1 wake channel  2 cursor  3 page  4 deaths of a suspect  5 deaths allowed
--       6 whether processes that are not registered are dead (1 or 0)
--       then for each process that the caller has seen silent: process, its last beat (it lives if it has beaten since)
-- Returns { next cursor, leases taken back, jobs buried }.
local leases, marks, dead, processes, info = KEYS[1], KEYS[6], KEYS[7], KEYS[8], KEYS[9]
local suspicious, allowed, strangers_dead = tonumber(ARGV[4]), tonumber(ARGV[5]), ARGV[6] == '1'
local now = redis.call('TIME')[1] * 1000

local last_beat, lives = {}, {}
for i = 7, #ARGV, 2 do last_beat[ARGV[i]] = tonumber(ARGV[i + 1]) end
local function is_alive(process)
  if lives[process] == nil then
    local beat = redis.call('ZSCORE', processes, process)
    if beat then
      lives[process] = tonumber(beat) ~= last_beat[process]
    else
      lives[process] = not strangers_dead
    end
  end
  return lives[process]
end

local page = redis.call('HSCAN', leases, ARGV[2], 'COUNT', ARGV[3])
local taken, buried = 0, 0
for i = 1, #page[2], 2 do
  local id, lease = page[2][i], page[2][i + 1]
  local priority, process = string.sub(lease, 1, 1), string.sub(lease, 2, 9)
  if id ~= '@' and not is_alive(process) then
    local f, d, r = string.match(redis.call('HGET', marks, id) or '0:0:0', '(%d+):(%d+):(%d+)')
    local deaths = tonumber(d) + 1
    redis.call('HDEL', leases, id)
    redis.call('HSET', marks, id, f .. ':' .. deaths .. ':' .. r)
    if deaths >= allowed then
      redis.call('HSET', dead, id, cjson.encode({
        reason = 'poison', deaths = deaths, process = process, at = now,
        ran_on = redis.call('HGET', info, process) or nil,
      }))
      buried = buried + 1
    else
      if deaths >= suspicious then
        redis.call('RPUSH', KEYS[10], priority .. id)
      else
        redis.call('LPUSH', KEYS[2 + tonumber(priority)], id)
      end
      taken = taken + 1
    end
  end
end
if taken > 0 then
  redis.call('PUBLISH', ARGV[1], taken)
end
return { page[1], taken, buried }
