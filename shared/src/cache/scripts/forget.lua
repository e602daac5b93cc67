-- Gives a scope another token, so that no value stored under the last one is found, and none loaded before is stored;
-- and tells all processes.
--
-- KEYS 1 the scope's token, 2 a value that is not to wait for the end of its time, if there is one
-- ARGV 1 its next token, 2 the token's life in milliseconds, 3 the channel, 4 the message
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
if KEYS[2] then
  redis.call('UNLINK', KEYS[2])
end
redis.call('PUBLISH', ARGV[3], ARGV[4])
return 1
