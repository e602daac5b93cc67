-- Raises a floor, which never goes down: of two processes that raise it, the later one may have looked earlier.
--
-- KEYS 1 the floor
-- ARGV 1 a position in decimal, 2 the floor's life in milliseconds
local floor, kept = ARGV[1], redis.call('GET', KEYS[1])
-- Positions have 64 bits and Lua's numbers 53, so that they are compared as text.
if kept and (#kept > #floor or (#kept == #floor and kept > floor)) then
  floor = kept
end
redis.call('SET', KEYS[1], floor, 'PX', ARGV[2])
return 1
