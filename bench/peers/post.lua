-- A POST of the bytes in the file that BENCH_BODY names; the origin answers 200 only when all of them arrived.
local file = assert(io.open(os.getenv("BENCH_BODY"), "rb"))
wrk.method = "POST"
wrk.body = file:read("*a")
wrk.headers["Content-Type"] = "application/octet-stream"
file:close()
