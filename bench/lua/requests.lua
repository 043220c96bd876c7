-- Sends the requests of a file, each time any one of them:
--
--   wrk -s requests.lua URL -- FILE AUTHORIZATION NUMBER
--
-- A line of the file is a method, a path and, where there is one, a JSON body.
-- They are formatted before the clock starts, so that sending one costs next to
-- nothing. Where a body says `fresh-id-0000`, what no other request has takes its
-- place, as long as no other run has the same NUMBER. At the end one line of JSON
-- says what came of it.

local requests = {}
local threads = 0
local fresh = false
local run = 0
local sent = 0

function setup(thread)
    threads = threads + 1
    thread:set("number", threads)
end

function init(args)
    math.randomseed(os.time() + 7919 * number)
    wrk.headers["Authorization"] = args[2]
    run = tonumber(args[3])
    for line in io.lines(args[1]) do
        local method, path, body = line:match("^(%S+) (%S+) ?(.*)$")
        if body == "" then
            body = nil
            wrk.headers["Content-Type"] = nil
        else
            wrk.headers["Content-Type"] = "application/json"
        end
        fresh = fresh or body and body:find("fresh-id-0000", 1, true)
        -- It would stay from the body before.
        wrk.headers["Content-Length"] = nil
        requests[#requests + 1] = wrk.format(method, path, nil, body)
    end
end

function request()
    local one = requests[math.random(#requests)]
    if not fresh then
        return one
    end
    sent = sent + 1
    -- As long as what it replaces: the length of the body has been written.
    local id = string.format("%04d%d%08d", run, number, sent)
    return (one:gsub("fresh%-id%-0000", id))
end

function done(summary, latency)
    local errors = summary.errors
    io.write(string.format(
        '{"requests":%d,"bytes":%d,"microseconds":%d,"refused":%d,"broken":%d,"p50":%d,"p95":%d,"p99":%d}\n',
        summary.requests, summary.bytes, summary.duration,
        errors.status, errors.connect + errors.read + errors.write + errors.timeout,
        latency:percentile(50), latency:percentile(95), latency:percentile(99)
    ))
end
