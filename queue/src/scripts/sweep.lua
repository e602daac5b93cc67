-- Forgets some of the unique keys whose time is over, and of the rate limits that have long opened.
-- ARGV  1 most of each
-- Returns how many were forgotten.
local keys = redis.call('ZRANGEBYSCORE', UNIQUE_UNTIL, '-inf', now, 'LIMIT', 0, ARGV[1])
for _, key in ipairs(keys) do
  local held = redis.call('HGET', UNIQUE, key)
  -- The key may have been taken again since, until its job is done.
  if held and #held > 16 then redis.call('HDEL', UNIQUE, key) end
  redis.call('ZREM', UNIQUE_UNTIL, key)
end
local rates = redis.call('ZRANGEBYSCORE', RATES, '-inf', now_us, 'LIMIT', 0, ARGV[1])
if #rates > 0 then redis.call('ZREM', RATES, unpack(rates)) end
return #keys + #rates
