-- Looks for a value that was stored under the scope's present token; a scope without one is given one.
--
-- KEYS 1 the scope's token, 2 the value
-- ARGV 1 the token for a scope without one, 2 its life in milliseconds
-- Returns {the scope's token, the value or nil, the value's life in milliseconds}
local token = redis.call('GET', KEYS[1])
if not token then
  redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
  return {ARGV[1], false, 0}
end
local value = redis.call('GET', KEYS[2])
if value and string.sub(value, 1, #token) == token then
  return {token, value, redis.call('PTTL', KEYS[2])}
end
return {token, false, 0}
