-- Load for `kokanee serve`, for wrk: requests of one sentence each, in the order of a text file, over and over.
--
--   wrk -t 2 -c 64 -d 120 --timeout 70 -s algorithms/seq2seq/serve/benches/load.lua http://127.0.0.1:8080/invocations -- sentences.txt
--
-- At the end: answers by status, latency by percentile, answered sentences a second.

local sentences = {}
local statuses = {}
local threads = {}

function setup(thread)
    table.insert(threads, thread)
    thread:set("number", #threads)
end

function init(args)
    for line in io.lines(args[1]) do
        table.insert(sentences, (line:gsub('[\\"]', "\\%0")))
    end
    math.randomseed(number)
    position = math.random(#sentences)
    wrk.method = "POST"
    wrk.headers["Content-Type"] = "application/json"
    counts = ""
    seen = {}
end

function request()
    position = position % #sentences + 1
    return wrk.format(nil, nil, nil, '{"instances":[{"data":"' .. sentences[position] .. '"}]}')
end

function response(status)
    seen[status] = (seen[status] or 0) + 1
    -- Only plain values pass from a thread to the end.
    local parts = {}
    for code, count in pairs(seen) do
        table.insert(parts, code .. "=" .. count)
    end
    counts = table.concat(parts, " ")
end

function done(summary, latency)
    for _, thread in ipairs(threads) do
        for code, count in (thread:get("counts") or ""):gmatch("(%d+)=(%d+)") do
            statuses[code] = (statuses[code] or 0) + count
        end
    end
    local seconds = summary.duration / 1e6
    io.write("\n")
    for code, count in pairs(statuses) do
        io.write(string.format("status %s: %d, %.1f a second\n", code, count, count / seconds))
    end
    for _, percent in ipairs({ 50, 90, 99, 99.9 }) do
        io.write(string.format("latency p%s: %.0f ms\n", percent, latency:percentile(percent) / 1000))
    end
    local errors = summary.errors
    io.write(string.format(
        "errors: connect %d, read %d, write %d, timeout %d\n", errors.connect, errors.read, errors.write, errors.timeout))
end
