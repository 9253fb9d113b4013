//! Bytes to messages and back: HTTP/1 heads and bodies, URIs, the PROXY preamble; no IO.
