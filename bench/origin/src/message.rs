//! Requests that this origin understands, and its answers to them, built once.

use std::collections::HashMap;
use std::rc::Rc;

use crate::socket::Kind;

/// The known bytes: printable, and without a period that divides a buffer size, so a shifted body is not equal to itself.
pub(crate) fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|at| b'a' + ((at * 7 + at / 64) % 26) as u8).collect()
}

/// A request head, as far as this origin reads it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) ask: Ask,
    /// The length in bytes of the head, empty line included.
    pub(crate) head_bytes: usize,
    /// The length in bytes of the body.
    pub(crate) body_bytes: usize,
    /// Whether the connection stays open after the answer.
    pub(crate) keep: bool,
}

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ask {
    /// `GET /bytes/N`
    Bytes(usize),
    /// `POST /check/N`: the body has to be the first N known bytes.
    Check(usize),
    /// `GET /ws/echo`, `GET /ws/fan`: a WebSocket.
    Socket(Kind),
    /// A body without a length; a proxy that turns one into the other is not what is measured here.
    Unlengthed,
    Unknown,
}

/// Reads a head; none while its empty line has not arrived.
pub(crate) fn parse(bytes: &[u8]) -> Option<Request> {
    let end = memchr::memmem::find(bytes, b"\r\n\r\n")?;
    let mut lines = bytes[..end].split(|&byte| byte == b'\n').map(<[u8]>::trim_ascii);
    let first = lines.next().unwrap_or_default();
    let mut keep = first.ends_with(b"HTTP/1.1");
    let mut length = None;
    let mut chunked = false;
    for line in lines {
        let Some(colon) = memchr::memchr(b':', line) else { continue };
        let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
        if name.eq_ignore_ascii_case(b"content-length") {
            length = std::str::from_utf8(value).ok().and_then(|text| text.parse().ok());
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            chunked = true;
        } else if name.eq_ignore_ascii_case(b"connection") {
            keep = if value.eq_ignore_ascii_case(b"close") { false } else { keep || !value.is_empty() };
        }
    }
    let ask = if chunked { Ask::Unlengthed } else { ask(first) };
    Some(Request { ask, head_bytes: end + 4, body_bytes: length.unwrap_or(0), keep: keep && !chunked })
}

fn ask(first: &[u8]) -> Ask {
    let number = |prefix: &[u8]| -> Option<usize> {
        let rest = first.strip_prefix(prefix)?;
        let end = memchr::memchr(b' ', rest)?;
        std::str::from_utf8(&rest[..end]).ok()?.parse().ok()
    };
    if first.starts_with(b"GET /ws/echo ") {
        return Ask::Socket(Kind::Echo);
    }
    if first.starts_with(b"GET /ws/fan ") {
        return Ask::Socket(Kind::Fan);
    }
    if let Some(length) = number(b"GET /bytes/") {
        return Ask::Bytes(length);
    }
    number(b"POST /check/").map_or(Ask::Unknown, Ask::Check)
}

/// The answers, each built when it is first asked for.
pub(crate) struct Answers {
    pattern: Vec<u8>,
    /// By length, and whether the connection goes on.
    bytes: HashMap<(usize, bool), Rc<[u8]>>,
    right: Rc<[u8]>,
    wrong: Rc<[u8]>,
    unknown: Rc<[u8]>,
    unlengthed: Rc<[u8]>,
    unswitched: Rc<[u8]>,
    /// What the frames of one client led to: bytes for itself, and for all.
    pub(crate) reply: Vec<u8>,
    pub(crate) fan: Vec<u8>,
}

impl Answers {
    /// Answers with bodies of up to `largest_bytes`.
    pub(crate) fn new(largest_bytes: usize) -> Self {
        Self {
            pattern: pattern(largest_bytes),
            bytes: HashMap::new(),
            right: answer("200 OK", "", b"every byte arrived\n"),
            wrong: answer("422 Unprocessable Content", "", b"other bytes arrived\n"),
            unknown: answer("404 Not Found", "", b"not here\n"),
            unlengthed: answer("411 Length Required", "", b"send a content-length\n"),
            unswitched: answer("400 Bad Request", "", b"ask for a websocket\n"),
            reply: Vec::new(),
            fan: Vec::new(),
        }
    }

    /// The answer to a request whose body has arrived whole. To one for a socket, that it is no handshake.
    pub(crate) fn to(&mut self, ask: Ask, keep: bool, body: &[u8]) -> Rc<[u8]> {
        match ask {
            Ask::Bytes(length) if length <= self.pattern.len() => {
                let body = &self.pattern[..length];
                // A client of HTTP/1.0 that asked to keep the connection goes on only if it is told so.
                let connection = if keep { "Connection: keep-alive\r\n" } else { "Connection: close\r\n" };
                let made = self.bytes.entry((length, keep));
                Rc::clone(made.or_insert_with(|| answer("200 OK", connection, body)))
            }
            Ask::Check(length) if self.pattern.get(..length) == Some(body) => Rc::clone(&self.right),
            Ask::Check(_) => Rc::clone(&self.wrong),
            Ask::Unlengthed => Rc::clone(&self.unlengthed),
            Ask::Socket(_) => Rc::clone(&self.unswitched),
            Ask::Bytes(_) | Ask::Unknown => Rc::clone(&self.unknown),
        }
    }
}

fn answer(status: &str, connection: &str, body: &[u8]) -> Rc<[u8]> {
    let mut bytes = format!(
        "HTTP/1.1 {status}\r\nServer: origin\r\nContent-Type: text/plain\r\n{connection}Content-Length: {}\r\n\r\n",
        body.len()
    )
    .into_bytes();
    bytes.extend_from_slice(body);
    bytes.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_read_when_it_is_whole() {
        let text = b"POST /check/16 HTTP/1.1\r\nHost: a\r\ncontent-LENGTH: 16\r\n\r\nabc";
        assert_eq!(parse(&text[..40]), None);
        let request = Request { ask: Ask::Check(16), head_bytes: 56, body_bytes: 16, keep: true };
        assert_eq!(parse(text), Some(request));
    }

    #[test]
    fn close_and_old_versions_end_the_connection() {
        let keep = |text: &str| parse(text.as_bytes()).map(|request| request.keep);
        assert_eq!(keep("GET /bytes/1 HTTP/1.1\r\nConnection: close\r\n\r\n"), Some(false));
        assert_eq!(keep("GET /bytes/1 HTTP/1.0\r\n\r\n"), Some(false));
        assert_eq!(keep("GET /bytes/1 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"), Some(true));
    }

    #[test]
    fn a_body_is_right_only_when_it_is_equal() {
        let mut answers = Answers::new(64);
        let mut body = pattern(16);
        assert!(answers.to(Ask::Check(16), true, &body).starts_with(b"HTTP/1.1 200"));
        assert!(answers.to(Ask::Check(15), true, &body).starts_with(b"HTTP/1.1 422"));
        body[3] ^= 1;
        assert!(answers.to(Ask::Check(16), true, &body).starts_with(b"HTTP/1.1 422"));
        assert!(answers.to(Ask::Bytes(65), true, b"").starts_with(b"HTTP/1.1 404"));
        assert!(answers.to(Ask::Bytes(64), true, b"").ends_with(&pattern(64)));
    }
}
