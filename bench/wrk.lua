-- Sends the requests of a file in turn, one a line: method, path, If-None-Match and body, with tabs between.
-- Arguments: the file, and after how many of its lines to begin.
function init(args)
  local requests, at = {}, tonumber(args[2])
  for line in io.lines(args[1]) do
    local method, path, tag, body = line:match("^(.-)\t(.-)\t(.-)\t(.*)$")
    local headers = {}
    for name, value in pairs(wrk.headers) do headers[name] = value end
    if tag ~= "" then headers["If-None-Match"] = tag end
    requests[#requests + 1] = wrk.format(method, path, headers, body ~= "" and body or nil)
  end
  function request()
    at = at % #requests + 1
    return requests[at]
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
