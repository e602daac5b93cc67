-- Part: rate limits by the generic cell rate algorithm (ITU-T I.371). A key's theoretical arrival time, in us, moves on by
-- the interval with each job, and may run ahead of the clock by the burst. A limit is written `<interval in us>/<burst>`.
local function rate_of(text)
  if not text or text == '' then return nil end
  local interval, burst = string.match(text, '^(%d+)/(%d+)$')
  return { interval = tonumber(interval), burst = tonumber(burst) }
end

-- How many jobs may start, and from when on (ms) one may that may not now.
local function allowance(rate, arrival)
  local base = math.max(tonumber(arrival or 0), now_us)
  local free = math.max(math.floor((now_us + rate.burst * rate.interval - base) / rate.interval), 0)
  return free, (base + (free + 1 - rate.burst) * rate.interval) / 1000
end

-- The theoretical arrival time after so many jobs.
local function later(rate, arrival, jobs)
  return math.max(tonumber(arrival or 0), now_us) + jobs * rate.interval
end

local function charge(rate, key, arrival, jobs)
  if jobs > 0 then zadd(RATES, { later(rate, arrival, jobs), key }) end
end
