-- Part: where ready jobs wait. A job without a group stands in the list of its priority. A group has a lane in each
-- priority: ids in chunks, the first one in field `<priority><group>` of LANES behind the numbers of the first and the last
-- chunk, chunk n in field `<priority><group>\0<n>`. A lane has its turn in TURNS, or is PARKED until its group may run.
-- A turn reads and writes the whole first chunk: small ones save more than they cost in fields.
local CHUNK = 16 * 16

local function chunk(place, number)
  return place .. '\0' .. number
end

local function lane(first, last, ids)
  return struct.pack('>i4i4', first, last) .. ids
end

-- The turn after all that were had: where a lane joins. Asked for once in a call.
local last_turns = {}
local function last_turn(priority)
  if not last_turns[priority] then
    last_turns[priority] = tonumber(redis.call('HGET', STATE, 'v' .. priority) or 0)
  end
  return last_turns[priority]
end

local function join(place)
  local priority = string.sub(place, 1, 1)
  zadd(TURNS[priority], { last_turn(priority), string.sub(place, 2) })
end

-- Adds ids at the end of a lane: what is to be written goes to `writes`, fields and values in turn.
local function append(place, held, ids, writes)
  local first, last, head = 0, 0, ''
  if held then
    first, last = struct.unpack('>i4i4', held)
    head = string.sub(held, 9)
  end
  local alone, before = first == last, last
  local tail = alone and head or redis.call('HGET', LANES, chunk(place, last))
  repeat
    local room = math.max(CHUNK - #tail, 0)
    tail = tail .. string.sub(ids, 1, room)
    ids = string.sub(ids, room + 1)
    if first == last then
      head = tail
    else
      writes[#writes + 1], writes[#writes + 2] = chunk(place, last), tail
    end
    if ids ~= '' then last, tail = last + 1, '' end
  until ids == ''
  if alone or last ~= before then
    writes[#writes + 1], writes[#writes + 2] = place, lane(first, last, head)
  end
end

-- Adds ids at the head of a lane, as `append` does at its end.
local function prepend(place, held, ids, writes)
  if not held then return append(place, held, ids, writes) end
  local first, last = struct.unpack('>i4i4', held)
  local head = ids .. string.sub(held, 9)
  while #head > CHUNK do
    writes[#writes + 1], writes[#writes + 2] = chunk(place, first), string.sub(head, CHUNK + 1)
    head, first = string.sub(head, 1, CHUNK), first - 1
  end
  writes[#writes + 1], writes[#writes + 2] = place, lane(first, last, head)
end

-- Takes up to n ids out of a lane. Returns them and what stays of it, nil if nothing does.
local function take_from(place, held, n)
  local first, last = struct.unpack('>i4i4', held)
  local head, taken, wanted = string.sub(held, 9), '', n * 16
  while true do
    local part = string.sub(head, 1, wanted)
    taken, wanted, head = taken .. part, wanted - #part, string.sub(head, #part + 1)
    if head ~= '' then return taken, lane(first, last, head) end
    if first == last then return taken, nil end
    first = first + 1
    head = redis.call('HGET', LANES, chunk(place, first))
    redis.call('HDEL', LANES, chunk(place, first))
    if wanted == 0 then return taken, lane(first, last, head) end
  end
end

-- Jobs that become ready are gathered by place, `<priority><group>`, and stored at once.
local gathered, places = {}, {}
local function line_up(place, id)
  local ids = gathered[place]
  if not ids then
    ids = {}
    gathered[place], places[#places + 1] = ids, place
  end
  ids[#ids + 1] = id
end

-- Stores the ids of lanes, which `held` shows as they are, and gives new ones their turns.
local function store_lanes(lanes, held, ids_of, to_lane)
  local writes, joins, counts = {}, {}, {}
  for i, place in ipairs(lanes) do
    local priority, ids = string.sub(place, 1, 1), ids_of[place]
    counts[priority] = (counts[priority] or 0) + #ids
    if not held[i] then
      local joining = joins[priority] or {}
      joining[#joining + 1], joining[#joining + 2] = last_turn(priority), string.sub(place, 2)
      joins[priority] = joining
    end
    to_lane(place, held[i], table.concat(ids), writes)
  end
  hset(LANES, writes)
  for priority, joining in pairs(joins) do zadd(TURNS[priority], joining) end
  for priority, count in pairs(counts) do redis.call('HINCRBY', STATE, 'g' .. priority, count) end
end

local function add(order, ids_of, to_list, to_lane)
  local lanes = {}
  for _, place in ipairs(order) do
    if #place == 1 then
      redis.call(to_list, READY[place], unpack(ids_of[place]))
    else
      lanes[#lanes + 1] = place
    end
  end
  if #lanes > 0 then store_lanes(lanes, redis.call('HMGET', LANES, unpack(lanes)), ids_of, to_lane) end
end

local function add_last(order, ids_of) add(order, ids_of, 'RPUSH', append) end
local function add_first(order, ids_of) add(order, ids_of, 'LPUSH', prepend) end

local function store_lines(add_to_lines)
  add_to_lines(places, gathered)
  gathered, places = {}, {}
end
