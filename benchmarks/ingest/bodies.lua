-- Sends the lines of the file $BODIES in turn, each as the body of a POST with the key $API_KEY.
local requests = {}
local last = 0

function init(arguments)
    local headers = {
        ["Authorization"] = "Bearer " .. os.getenv("API_KEY"),
        ["Content-Type"] = "application/json",
    }
    for body in io.lines(os.getenv("BODIES")) do
        requests[#requests + 1] = wrk.format("POST", nil, headers, body)
    end
end

function request()
    last = last % #requests + 1
    return requests[last]
end

function done(summary, latency, _)
    local errors = summary.errors
    local failures = errors.connect + errors.read + errors.write + errors.status + errors.timeout
    io.write(string.format(
        '{"requests": %d, "microseconds": %d, "failures": %d}\n',
        summary.requests, summary.duration, failures))
end
