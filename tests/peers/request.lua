-- wrk: METHOD, TARGET ({id}: a random id of region eu), BODY ({seq}: counts up from SEQ), HEADERS (a line each). The counts go to
-- standard output as one line of JSON.
local method, target, body = os.getenv("METHOD"), os.getenv("TARGET"), os.getenv("BODY")
if body == "" then body = nil end
local sequence = tonumber(os.getenv("SEQ"))
local headers = {}
for name, value in os.getenv("HEADERS"):gmatch("([^\n:]+): ([^\n]*)") do headers[name] = value end
local by_id, by_sequence = target:find("{id}", 1, true), body and body:find("{seq}", 1, true)
math.randomseed(42)

request = function()
  local path, sent = target, body
  -- Orders 4, 8, 12, ... are those of the region.
  if by_id then path = target:gsub("{id}", tostring(4 * math.random(1, 5000))) end
  if by_sequence then
    sequence = sequence + 1
    sent = body:gsub("{seq}", string.format("%d", sequence))
  end
  return wrk.format(method, path, headers, sent)
end

done = function(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    '\nJSON {"requests":%d,"micros":%d,"bad":%d,"p50":%d,"p99":%d}\n', summary.requests, summary.duration,
    errors.status + errors.connect + errors.read + errors.write + errors.timeout, latency:percentile(50), latency:percentile(99)))
end
