-- Sends the requests of a file in turn, one a line: method, path, If-None-Match and body, with tabs between.
-- Arguments: the file, after how many of its lines to begin, and the number of the first document that is marked so.
local MARK = '"numbered": true'

function init(args)
  local requests, at, number = {}, tonumber(args[2]), tonumber(args[3])
  local function numbered()
    number = number + 1
    return string.format('"_id": "document:%.0f", "id": %.0f', number, number)
  end
  for line in io.lines(args[1]) do
    local method, path, tag, body = line:match("^(.-)\t(.-)\t(.-)\t(.*)$")
    local headers = {}
    for name, value in pairs(wrk.headers) do headers[name] = value end
    if tag ~= "" then headers["If-None-Match"] = tag end
    local function format()
      return wrk.format(method, path, headers, body ~= "" and body:gsub(MARK, numbered) or nil)
    end
    requests[#requests + 1] = body:find(MARK, 1, true) and format or format()
  end
  function request()
    at = at % #requests + 1
    local request = requests[at]
    return type(request) == "function" and request() or request
  end
end

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    "measured requests=%d seconds=%.6f connect=%d read=%d write=%d status=%d timeout=%d p50=%.6f p99=%.6f\n",
    summary.requests, summary.duration / 1e6,
    errors.connect, errors.read, errors.write, errors.status, errors.timeout,
    latency:percentile(50) / 1e6, latency:percentile(99) / 1e6
  ))
end
