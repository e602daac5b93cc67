-- Stores a value, unless its scope was forgotten since the value's load began.
--
-- KEYS 1 the scope's token, 2 the value
-- ARGV 1 the token when the load began, with which the value begins, 2 the value, 3 its life in milliseconds
-- Returns 1 if it is stored, else 0
if redis.call('GET', KEYS[1]) ~= ARGV[1] then
  return 0
end
redis.call('SET', KEYS[2], ARGV[2], 'PX', ARGV[3])
redis.call('PEXPIRE', KEYS[1], ARGV[3], 'GT')
return 1
