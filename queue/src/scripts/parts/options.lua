-- Part: what a job carries beside its payload. A stored job is the length of its options (2 bytes), the options, the
-- payload; options are priority, deadline (ms), group, unique key and batch. A lease repeats them after its token.
-- What is no such thing was stored by somebody else and has no options.
local function options_of(job)
  if #job < 2 then return nil end
  local length = string.byte(job, 1) * 256 + string.byte(job, 2)
  if length > 0 and length <= #job - 2 then return string.sub(job, 3, 2 + length) end
end

local function options_of_lease(lease)
  local at = string.find(lease, '\0', 10, true)
  if at then return string.sub(lease, at + 1) end
end

-- Only the group of options; empty if there is none.
local function group_of(options)
  if not options then return '' end
  local first = string.find(options, '\0', 2, true)
  local second = first and string.find(options, '\0', first + 1, true)
  return second and string.sub(options, first + 1, second - 1) or ''
end

-- Returns group, unique key, batch, deadline; all but the last are empty if there is none.
local function read_options(options)
  if not options then return '', '', '', nil end
  -- By plain searches: a pattern takes three times as long, and each job passes here twice.
  local first = string.find(options, '\0', 2, true)
  local second = first and string.find(options, '\0', first + 1, true)
  local third = second and string.find(options, '\0', second + 1, true)
  if not third then return '', '', '', nil end
  local deadline = first > 2 and tonumber(string.sub(options, 2, first - 1)) or nil
  return string.sub(options, first + 1, second - 1), string.sub(options, second + 1, third - 1),
    string.sub(options, third + 1), deadline
end

-- Counts a new job to its batch. Returns the job; without its batch if that is not known, since it must not count itself off
-- one that is opened later.
local function enter_batch(job)
  local options = options_of(job)
  local _, _, batch = read_options(options)
  if batch == '' then return job end
  if redis.call('HEXISTS', BATCHES, batch) == 1 then
    redis.call('HINCRBY', BATCHES, batch, 1)
    return job
  end
  local kept = string.sub(options, 1, -1 - #batch)
  return struct.pack('>I2', #kept) .. kept .. string.sub(job, 3 + #options)
end
