# Varnish as a cache: every GET is looked up, nothing else is done. What it is started with (memory, threads, what is
# not logged) is in xtask/src/bench/peer.rs.
# @ORIGIN@ is a port.
vcl 4.1;

backend origin {
    .host = "127.0.0.1";
    .port = "@ORIGIN@";
    .connect_timeout = 5s;
    .first_byte_timeout = 60s;
    .between_bytes_timeout = 60s;
}

sub vcl_recv {
    # What is built in does the rest: it passes on all other methods.
    if (req.method == "GET") {
        return (hash);
    }
}
