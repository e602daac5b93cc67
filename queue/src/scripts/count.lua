-- Counts the jobs of a queue by state. Every figure is a length that Redis keeps.
-- KEYS  1-4 ready (critical, high, normal, low)  5 scheduled  6 cancelled  7 leases  8 dead  9 state  10 processes
--       11 suspects
-- ARGV  1 silence (ms) after which a process is dead
-- Returns { now, scheduled, cancelled, running, dead, paused, live processes, ready × 4, first id of each list × 4,
--         suspects }.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local out = {
  now,
  redis.call('ZCARD', KEYS[5]),
  redis.call('SCARD', KEYS[6]),
  redis.call('HLEN', KEYS[7]) - redis.call('HEXISTS', KEYS[7], '@'),
  redis.call('HLEN', KEYS[8]),
  redis.call('HEXISTS', KEYS[9], 'paused'),
  redis.call('ZCOUNT', KEYS[10], now - tonumber(ARGV[1]), '+inf'),
}
for priority = 1, 4 do out[#out + 1] = redis.call('LLEN', KEYS[priority]) end
for priority = 1, 4 do out[#out + 1] = redis.call('LINDEX', KEYS[priority], 0) or '' end
out[#out + 1] = redis.call('LLEN', KEYS[11])
return out
