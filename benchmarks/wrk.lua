-- Sends requests that differ in the task and its status, and prints the figures as one line of JSON.
-- Arguments: method, path, body, file of task ids, number of the first request. In the path, {id} is
-- the next of the ids and {status} turns over each time that all of them had their turn.

local threads = {}
local statuses = { "in_progress", "pending" }

function setup(thread)
  table.insert(threads, thread)
end

function init(args)
  local method, path, body = args[1], args[2], args[3]
  next_number = tonumber(args[5])
  ids = {}
  if args[4] ~= "" then
    for id in io.lines(args[4]) do
      ids[#ids + 1] = id
    end
  end
  local rest = " HTTP/1.1\r\nHost: " .. wrk.host .. ":" .. wrk.port
  if body ~= "" then
    rest = rest .. "\r\nContent-Type: application/json"
  end
  rest = rest .. "\r\nContent-Length: " .. #body .. "\r\n\r\n" .. body
  if #ids == 0 then
    unchanging = method .. " " .. path .. rest
    return
  end
  -- Split once, not for each request: the load generator shares its cores with what it measures.
  local before_id, after_id = path:match("^(.*){id}(.*)$")
  before = method .. " " .. before_id
  after = {}
  for turn, status in ipairs(statuses) do
    after[turn] = after_id:gsub("{status}", status) .. rest
  end
end

function request()
  if unchanging then
    return unchanging
  end
  local number = next_number
  -- wrk makes its first request once more, to look at it.
  if looked_at then
    next_number = number + 1
  end
  looked_at = true
  local turn = math.floor(number / #ids) % #statuses
  return before .. ids[number % #ids + 1] .. after[turn + 1]
end

function done(summary, latency, requests)
  local errors = summary.errors
  io.write(string.format(
    '{"requests": %d, "seconds": %.6f, "p50_ms": %.3f, "p99_ms": %.3f, "next_number": %d, '
      .. '"connect": %d, "read": %d, "write": %d, "status": %d, "timeout": %d}\n',
    summary.requests, summary.duration / 1e6, latency:percentile(50) / 1e3,
    latency:percentile(99) / 1e3, threads[1]:get("next_number"),
    errors.connect, errors.read, errors.write, errors.status, errors.timeout))
end
