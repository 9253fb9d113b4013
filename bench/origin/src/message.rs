//! Requests that this origin understands, and its answers to them, built once.

use std::collections::HashMap;
use std::rc::Rc;
use std::time::{Duration, Instant};

use crate::socket::Kind;

/// The known bytes: printable, and without a period that divides a buffer size, so a shifted body is not equal to itself.
pub(crate) fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|at| b'a' + ((at * 7 + at / 64) % 26) as u8).collect()
}

/// A request head, as far as this origin reads it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Request<'a> {
    pub(crate) ask: Ask<'a>,
    /// The length in bytes of the head, empty line included.
    pub(crate) head_bytes: usize,
    /// The length in bytes of the body.
    pub(crate) body_bytes: usize,
    /// Whether the connection stays open after the answer.
    pub(crate) keep: bool,
}

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ask<'a> {
    /// `GET /bytes/N`
    Bytes(usize),
    /// `GET /cached/N`: the same bytes, and caches may keep them. Counted, all of them together, under [`CACHED`].
    Cached(usize),
    /// `GET /counted/NAME?ms=M&ttl=S`: the head and the first bytes at once, the rest M milliseconds later; fresh for S
    /// seconds. The first line says how often NAME has been asked for, this time included.
    Counted {
        name: &'a [u8],
        delay: Duration,
        ttl_s: u64,
    },
    /// `GET /work/NAME?ms=M`: a worker is busy for M milliseconds, once one is free; then 1 KiB of known bytes.
    Work(Duration),
    /// `GET /count/NAME`: how often it has been asked for.
    Count(&'a [u8]),
    /// `POST /check/N`: the body has to be the first N known bytes.
    Check(usize),
    /// `GET /ws/echo`, `GET /ws/fan`: a WebSocket.
    Socket(Kind),
    /// A body without a length; a proxy that turns one into the other is not what is measured here.
    Unlengthed,
    Unknown,
}

/// The name that all answers to `GET /cached/N` are counted under.
pub(crate) const CACHED: &[u8] = b"cached";

/// How many known bytes answer a request that a worker was busy with.
const WORKED_BYTES: usize = 1024;

/// How many known bytes a slow answer begins with, after its first line, and how many it ends with: more than what a cache
/// may read ahead before it passes anything on.
const PART_BYTES: usize = 32 * 1024;

/// How long answers that may be kept are fresh, in seconds, unless the request says otherwise.
const TTL_S: u64 = 3600;

/// Reads a head; none while its empty line has not arrived.
pub(crate) fn parse(bytes: &[u8]) -> Option<Request<'_>> {
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

fn ask(first: &[u8]) -> Ask<'_> {
    let mut words = first.split(|&byte| byte == b' ');
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let (path, query) = match memchr::memchr(b'?', target) {
        Some(at) => (&target[..at], &target[at + 1..]),
        None => (target, &b""[..]),
    };
    match (method, path) {
        (b"GET", b"/ws/echo") => return Ask::Socket(Kind::Echo),
        (b"GET", b"/ws/fan") => return Ask::Socket(Kind::Fan),
        _ => {}
    }
    let mut steps = path.splitn(3, |&byte| byte == b'/').skip(1);
    let (Some(what), Some(rest)) = (steps.next(), steps.next()) else { return Ask::Unknown };
    let parameter = |name: &[u8]| {
        let mut pairs = query.split(|&byte| byte == b'&');
        number(pairs.find_map(|pair| pair.strip_prefix(name)?.strip_prefix(b"="))?)
    };
    match (method, what) {
        (b"GET", b"bytes") => number(rest).map_or(Ask::Unknown, |length| Ask::Bytes(length as usize)),
        (b"GET", b"cached") => number(rest).map_or(Ask::Unknown, |length| Ask::Cached(length as usize)),
        (b"POST", b"check") => number(rest).map_or(Ask::Unknown, |length| Ask::Check(length as usize)),
        (b"GET", b"counted") => Ask::Counted {
            name: rest,
            delay: Duration::from_millis(parameter(b"ms").unwrap_or(0)),
            ttl_s: parameter(b"ttl").unwrap_or(TTL_S),
        },
        (b"GET", b"work") => Ask::Work(Duration::from_millis(parameter(b"ms").unwrap_or(0))),
        (b"GET", b"count") => Ask::Count(rest),
        _ => Ask::Unknown,
    }
}

fn number(digits: &[u8]) -> Option<u64> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// What is sent for a request.
pub(crate) struct Answer {
    pub(crate) bytes: Rc<[u8]>,
    /// What follows, and how much later; the connection waits for it.
    pub(crate) rest: Option<(Duration, Rc<[u8]>)>,
}

impl From<Rc<[u8]>> for Answer {
    fn from(bytes: Rc<[u8]>) -> Self {
        Self { bytes, rest: None }
    }
}

/// The answers, each built when it is first asked for.
pub(crate) struct Answers {
    pattern: Vec<u8>,
    /// By length, and whether the connection goes on.
    bytes: HashMap<(usize, bool), Rc<[u8]>>,
    cached: HashMap<usize, Rc<[u8]>>,
    /// How often each name has been asked for.
    counts: HashMap<Box<[u8]>, u64>,
    right: Rc<[u8]>,
    wrong: Rc<[u8]>,
    unknown: Rc<[u8]>,
    unlengthed: Rc<[u8]>,
    unswitched: Rc<[u8]>,
    /// What the frames of one client led to: bytes for itself, and for all.
    pub(crate) reply: Vec<u8>,
    pub(crate) fan: Vec<u8>,
    /// When the rest of a slow answer is due that was begun since this was last taken.
    pub(crate) due: Option<Instant>,
    /// How long a worker will be busy with the request that was read last, if it is one for workers.
    pub(crate) work: Option<Duration>,
}

impl Answers {
    /// Answers with bodies of up to `largest_bytes`.
    pub(crate) fn new(largest_bytes: usize) -> Self {
        Self {
            pattern: pattern(largest_bytes),
            bytes: HashMap::new(),
            cached: HashMap::new(),
            counts: HashMap::new(),
            right: answer("200 OK", "", b"every byte arrived\n"),
            wrong: answer("422 Unprocessable Content", "", b"other bytes arrived\n"),
            unknown: answer("404 Not Found", "", b"not here\n"),
            unlengthed: answer("411 Length Required", "", b"send a content-length\n"),
            unswitched: answer("400 Bad Request", "", b"ask for a websocket\n"),
            reply: Vec::new(),
            fan: Vec::new(),
            due: None,
            work: None,
        }
    }

    /// The answer to a request whose body has arrived whole. To one for a socket, that it is no handshake.
    pub(crate) fn to(&mut self, ask: Ask<'_>, keep: bool, body: &[u8]) -> Answer {
        let bytes = match ask {
            Ask::Bytes(length) if length <= self.pattern.len() => {
                let body = &self.pattern[..length];
                // A client of HTTP/1.0 that asked to keep the connection goes on only if it is told so.
                let connection = if keep { "Connection: keep-alive\r\n" } else { "Connection: close\r\n" };
                let made = self.bytes.entry((length, keep));
                Rc::clone(made.or_insert_with(|| answer("200 OK", connection, body)))
            }
            Ask::Cached(length) if length <= self.pattern.len() => {
                self.count(CACHED);
                let body = &self.pattern[..length];
                let built = || answer("200 OK", &keep_for(TTL_S), body);
                Rc::clone(self.cached.entry(length).or_insert_with(built))
            }
            Ask::Counted { name, delay, ttl_s } => return self.counted(name, delay, ttl_s),
            Ask::Count(name) => {
                let count = self.counts.get(name).copied().unwrap_or(0);
                answer("200 OK", "Cache-Control: no-store\r\n", format!("{count}\n").as_bytes())
            }
            Ask::Work(_) => return self.to(Ask::Bytes(WORKED_BYTES), keep, body),
            Ask::Check(length) if self.pattern.get(..length) == Some(body) => Rc::clone(&self.right),
            Ask::Check(_) => Rc::clone(&self.wrong),
            Ask::Unlengthed => Rc::clone(&self.unlengthed),
            Ask::Socket(_) => Rc::clone(&self.unswitched),
            Ask::Bytes(_) | Ask::Cached(_) | Ask::Unknown => Rc::clone(&self.unknown),
        };
        bytes.into()
    }

    fn count(&mut self, name: &[u8]) -> u64 {
        if let Some(count) = self.counts.get_mut(name) {
            *count += 1;
            return *count;
        }
        self.counts.insert(name.into(), 1);
        1
    }

    fn counted(&mut self, name: &[u8], delay: Duration, ttl_s: u64) -> Answer {
        let line = format!("asked for {} times\n", self.count(name));
        let known = &self.pattern[..self.pattern.len().min(2 * PART_BYTES)];
        let whole = answer("200 OK", &keep_for(ttl_s), &[line.as_bytes(), known].concat());
        let (first, rest) = whole.split_at(whole.len() - known.len() / 2);
        Answer { bytes: first.into(), rest: Some((delay, rest.into())) }
    }
}

/// The field that lets caches keep an answer, and give it while they fetch it anew.
fn keep_for(ttl_s: u64) -> String {
    format!("Cache-Control: public, max-age={ttl_s}, stale-while-revalidate=60\r\n")
}

fn answer(status: &str, fields: &str, body: &[u8]) -> Rc<[u8]> {
    let length = body.len();
    let mut bytes = format!(
        "HTTP/1.1 {status}\r\nServer: origin\r\nContent-Type: text/plain\r\n{fields}Content-Length: {length}\r\n\r\n"
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
        assert!(answers.to(Ask::Check(16), true, &body).bytes.starts_with(b"HTTP/1.1 200"));
        assert!(answers.to(Ask::Check(15), true, &body).bytes.starts_with(b"HTTP/1.1 422"));
        body[3] ^= 1;
        assert!(answers.to(Ask::Check(16), true, &body).bytes.starts_with(b"HTTP/1.1 422"));
        assert!(answers.to(Ask::Bytes(65), true, b"").bytes.starts_with(b"HTTP/1.1 404"));
        assert!(answers.to(Ask::Bytes(64), true, b"").bytes.ends_with(&pattern(64)));
    }

    #[test]
    fn what_is_asked_for_is_read_from_path_and_query() {
        assert_eq!(ask(b"GET /cached/100?i=7 HTTP/1.1"), Ask::Cached(100));
        assert_eq!(ask(b"GET /bytes/x HTTP/1.1"), Ask::Unknown);
        assert_eq!(ask(b"POST /bytes/1 HTTP/1.1"), Ask::Unknown);
        assert_eq!(ask(b"GET /count/a HTTP/1.1"), Ask::Count(b"a"));
        assert_eq!(ask(b"GET /work/a?ms=20 HTTP/1.1"), Ask::Work(Duration::from_millis(20)));
        let counted = Ask::Counted { name: b"a/b", delay: Duration::from_millis(20), ttl_s: 1 };
        assert_eq!(ask(b"GET /counted/a/b?ttl=1&ms=20 HTTP/1.1"), counted);
        let counted = Ask::Counted { name: b"a", delay: Duration::ZERO, ttl_s: TTL_S };
        assert_eq!(ask(b"GET /counted/a HTTP/1.1"), counted);
    }

    #[test]
    fn what_may_be_kept_says_so_and_is_counted() {
        let mut answers = Answers::new(64);
        for i in 1..=2 {
            let answer =
                String::from_utf8(answers.to(Ask::Cached(10), true, b"").bytes.to_vec()).expect("text");
            assert!(answer.contains("\r\nCache-Control: public, max-age=3600, "), "{answer}");
            let count = answers.to(Ask::Count(CACHED), true, b"").bytes;
            assert!(count.ends_with(format!("\r\n\r\n{i}\n").as_bytes()));
        }
        assert!(answers.to(Ask::Count(b"other"), true, b"").bytes.ends_with(b"\r\n\r\n0\n"));
    }

    #[test]
    fn a_slow_answer_is_whole_in_two_parts_and_knows_its_number() {
        let mut answers = Answers::new(64);
        let ask = Ask::Counted { name: b"a", delay: Duration::from_millis(5), ttl_s: 1 };
        answers.to(ask, true, b"");
        let answer = answers.to(ask, true, b"");
        let (delay, rest) = answer.rest.expect("a second part");
        let whole = [&answer.bytes[..], &rest[..]].concat();
        let text = String::from_utf8(whole).expect("text");
        let (head, body) = text.split_once("\r\n\r\n").expect("a head");
        assert_eq!(delay, Duration::from_millis(5));
        assert!(head.contains("max-age=1, ") && head.ends_with(&format!("Content-Length: {}", body.len())));
        let line = body.strip_suffix(std::str::from_utf8(&pattern(64)).expect("text"));
        assert_eq!((line, rest.len()), (Some("asked for 2 times\n"), 32));
    }
}
