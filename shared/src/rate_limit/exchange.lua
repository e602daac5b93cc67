-- Counts requests in sliding windows, for any number of windows in one call.
--
-- KEYS[i]  a hash of the requests by bucket of a window; it expires by itself
-- ARGV     for each key: the width of a bucket in milliseconds, the quota, the requests that were let through already,
--          the requests that ask to be
--
-- All that ask are let through, or none. Returns the time in milliseconds, 1 or 0 for that, and for each key a flat
-- list of bucket, requests.
local BUCKETS = 10
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local windows, fits = {}, 1
for i, key in ipairs(KEYS) do
  local width, quota, told, asked = unpack(ARGV, 4 * i - 3, 4 * i)
  local window = { newest = math.floor(now / width), told = tonumber(told), asked = tonumber(asked), live = {}, gone = {} }
  local total, fields = window.told + window.asked, redis.call('HGETALL', key)
  for f = 1, #fields, 2 do
    local bucket, requests = tonumber(fields[f]), tonumber(fields[f + 1])
    -- A bucket far ahead was written before the clock went back.
    if bucket < window.newest - BUCKETS or bucket > window.newest + BUCKETS then
      window.gone[#window.gone + 1] = fields[f]
    else
      total = total + requests
      if bucket ~= window.newest then
        window.live[#window.live + 1] = bucket
        window.live[#window.live + 1] = requests
      end
    end
  end
  if window.asked > 0 and total > tonumber(quota) then
    fits = 0
  end
  windows[i] = window
end

local answer = { now, fits }
for i, key in ipairs(KEYS) do
  local window = windows[i]
  local requests = redis.call('HINCRBY', key, window.newest, window.told + fits * window.asked)
  if #window.gone > 0 then
    redis.call('HDEL', key, unpack(window.gone))
  end
  redis.call('PEXPIRE', key, ARGV[4 * i - 3] * (BUCKETS + 1))
  window.live[#window.live + 1] = window.newest
  window.live[#window.live + 1] = requests
  answer[i + 2] = window.live
end
return answer
