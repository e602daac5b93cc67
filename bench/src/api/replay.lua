-- For wrk: asks what a file says, a request a line (method, path, token, ETag and body, separated by tabs; what is not
-- needed is empty), again and again. Each thread begins at a place of its own. At the end a line of JSON tells the result.

local started = 0

function setup(thread)
  thread:set("number", started)
  started = started + 1
  thread:set("threads", tonumber(os.getenv("WRK_THREADS")))
end

function init(arguments)
  requests = {}
  for line in io.lines(arguments[1]) do
    local method, path, token, etag, body = line:match("^(.-)\t(.-)\t(.-)\t(.-)\t(.*)$")
    local headers = {}
    if token ~= "" then headers["Authorization"] = "Bearer " .. token end
    if etag ~= "" then headers["If-None-Match"] = etag end
    if body ~= "" then headers["Content-Type"] = "application/json" else body = nil end
    requests[#requests + 1] = wrk.format(method, path, headers, body)
  end
  place = math.floor(#requests * number / threads)
end

function request()
  place = place % #requests + 1
  return requests[place]
end

function done(summary, latency, _)
  local errors = summary.errors
  local lost = errors.connect + errors.read + errors.write + errors.timeout
  local seconds, ms = summary.duration / 1e6, 1000
  local form = '{"requests_per_s":%f,"p50_ms":%f,"p95_ms":%f,"p99_ms":%f,"refused":%d,"lost":%d}\n'
  io.write(form:format(
    summary.requests / seconds,
    latency:percentile(50) / ms, latency:percentile(95) / ms, latency:percentile(99) / ms,
    errors.status, lost))
end
