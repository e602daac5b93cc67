-- Gives leased jobs back: to retry (charged), snoozed (uncharged) or released (uncharged, first in its list).
-- KEYS  1 leases  2-5 ready (critical, high, normal, low)  6 scheduled  7 marks
-- ARGV  1 wake channel, then for each job: id, lease, why (retry, snooze, release), delay (ms)
-- Returns a string with one character for each job: 1 given back, 0 the lease is not held any more.
local leases, scheduled, marks = KEYS[1], KEYS[6], KEYS[7]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local results = {}

local function mark(id, failures, releases)
  local f, d, r = string.match(redis.call('HGET', marks, id) or '0:0:0', '(%d+):(%d+):(%d+)')
  redis.call('HSET', marks, id, (f + failures) .. ':' .. d .. ':' .. (r + releases))
end

for i = 2, #ARGV, 4 do
  local id, lease, why, delay = ARGV[i], ARGV[i + 1], ARGV[i + 2], tonumber(ARGV[i + 3])
  if redis.call('HGET', leases, id) == lease then
    redis.call('HDEL', leases, id)
    local priority = string.sub(lease, 1, 1)
    mark(id, why == 'retry' and 1 or 0, why == 'retry' and 0 or 1)
    if why == 'release' then
      redis.call('LPUSH', KEYS[2 + tonumber(priority)], id)
    else
      redis.call('ZADD', scheduled, now + delay, priority .. id)
    end
    results[#results + 1] = '1'
  else
    results[#results + 1] = '0'
  end
end
redis.call('PUBLISH', ARGV[1], 0)
return table.concat(results)
