//! Sockets and time: accept, HTTP/1, the pipeline, upstream pools, tunnels.
