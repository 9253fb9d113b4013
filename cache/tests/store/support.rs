//! A store, requests for it, and origins' answers, in few words.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::task::{Context, Poll, Wake, Waker};

use tidegate_cache::filling::{Begun, Flow, Head, Reader};
use tidegate_cache::freshness::Times;
use tidegate_cache::key::{Key, Url};
use tidegate_cache::store::{Found, Peek, Store, Ticket, Usage, Writer};
use tidegate_cache::{Ask, Bypass, Entry, Rules, Storable, UnixMs, storable};
use wire::{Limits, Method, RequestHead, ResponseHead};

pub const NOW: UnixMs = 1_800_000_000_000;

pub const FRESH: &[&str] = &["Cache-Control: max-age=60"];

pub struct World {
    pub store: Store,
    pub rules: Rules,
    pub now: UnixMs,
}

impl World {
    pub fn new(memory_bytes: u64) -> Self {
        Self::sharded(memory_bytes, 4)
    }

    pub fn sharded(memory_bytes: u64, shards: usize) -> Self {
        Self { store: Store::new(memory_bytes, shards, 7), rules: Rules::default(), now: NOW }
    }

    /// What a GET of this path finds.
    pub fn look(&self, path: &str, fields: &[&str]) -> Found {
        self.asking(path, fields, |key, ask| self.store.look(key, ask, &self.rules, self.now))
    }

    pub fn peek(&self, path: &str, fields: &[&str]) -> Peek {
        self.asking(path, fields, |key, ask| self.store.peek(key, ask, self.now))
    }

    pub fn asking<T>(&self, path: &str, fields: &[&str], then: impl FnOnce(&Key<'_>, &Ask<'_>) -> T) -> T {
        let request = Request::new(fields);
        let ask = Ask::read(&request.head, &request.bytes, &self.rules).unwrap();
        let url = Url { scheme: "http", host: b"a", port: None, path: path.as_bytes(), query: None };
        let mut bytes = Vec::new();
        then(&Key::write(&mut bytes, &url, &ask, &self.rules, self.store.seed()), &ask)
    }

    pub fn ticket(&self, path: &str, fields: &[&str]) -> Ticket {
        match self.look(path, fields) {
            Found::Fill(ticket) => ticket,
            other => panic!("{path} is to be filled, and not {other:?}"),
        }
    }

    pub fn follow(&self, path: &str) -> Reader {
        match self.look(path, &[]) {
            Found::Follow(filling) => filling.read_along().expect("there is a seat"),
            other => panic!("{path} is being filled, and not {other:?}"),
        }
    }

    /// The head of an answer to a GET with these fields.
    pub fn head(&self, status: u16, answer: &[&str], asked: &[&str]) -> Head {
        let (head, storable) = self.judged(status, answer, asked);
        Head { status, bytes: head.into(), body_bytes: None, storable }
    }

    pub fn judged(
        &self,
        status: u16,
        answer: &[&str],
        asked: &[&str],
    ) -> (Vec<u8>, Result<Storable, Bypass>) {
        let request = Request::new(asked);
        let ask = Ask::read(&request.head, &request.bytes, &self.rules).unwrap();
        let bytes = lines(&format!("HTTP/1.1 {status} X"), answer);
        let mut response = ResponseHead::new();
        assert_eq!(response.parse(&bytes, Method::Get, &Limits::default()), Ok(true));
        let times = Times::new(self.now, self.now);
        let mut storable = storable::judge(&ask, &response, &bytes, &self.rules, times);
        let mut head = Vec::new();
        storable::write_head(&response, &bytes, &self.rules, self.now, &mut head);
        if let Ok(storable) = &mut storable {
            storable::locate_validators(&mut storable.terms, &head);
        }
        (head, storable)
    }

    pub fn begin(&self, ticket: Ticket, answer: &[&str]) -> Writer {
        ticket.begin(self.head(200, answer, &[]), self.now)
    }

    /// Fills a path whole.
    pub fn fill(&self, path: &str, asked: &[&str], answer: &[&str], body: &[u8]) -> Option<Arc<Entry>> {
        let ticket = match self.look(path, asked) {
            Found::Fill(ticket) | Found::Stale { refresh: Some(ticket), .. } => ticket,
            other => panic!("{path} is to be filled, and not {other:?}"),
        };
        let leader = ticket.leader();
        let mut writer = ticket.begin(self.head(200, answer, asked), self.now);
        writer.push(body.into());
        drop(leader);
        writer.finish(self.now)
    }

    pub fn usage(&self) -> Usage {
        self.store.usage()
    }

    pub fn is_hit(&self, path: &str) -> bool {
        matches!(self.look(path, &[]), Found::Hit(_))
    }
}

struct Request {
    bytes: Vec<u8>,
    head: RequestHead,
}

impl Request {
    fn new(fields: &[&str]) -> Self {
        let bytes = lines("GET / HTTP/1.1", &[&["Host: a"], fields].concat());
        let mut head = RequestHead::new();
        assert_eq!(head.parse(&bytes, &Limits::default()), Ok(true), "{}", bytes.escape_ascii());
        Self { bytes, head }
    }
}

fn lines(first: &str, fields: &[&str]) -> Vec<u8> {
    [&[first], fields, &["", ""]].concat().join("\r\n").into_bytes()
}

/// How often somebody was woken.
#[derive(Default)]
pub struct Woken(AtomicUsize);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, SeqCst);
    }
}

impl Woken {
    pub fn new() -> (Arc<Self>, Waker) {
        let woken = Arc::new(Self::default());
        (Arc::clone(&woken), Waker::from(woken))
    }

    pub fn count(&self) -> usize {
        self.0.load(SeqCst)
    }
}

pub fn poll_head(reader: &mut Reader) -> Poll<Begun> {
    reader.poll_head(&mut Context::from_waker(Waker::noop()))
}

pub fn head_of(reader: &mut Reader) -> Begun {
    match poll_head(reader) {
        Poll::Ready(begun) => begun,
        Poll::Pending => panic!("there is a head"),
    }
}

/// What can be read now, and whether there is more, and how it ended.
pub fn read(reader: &mut Reader) -> (Vec<u8>, Option<Flow>) {
    let mut bytes = Vec::new();
    loop {
        let mut out = Vec::with_capacity(3);
        let flow = reader.poll_pieces(&mut Context::from_waker(Waker::noop()), &mut out);
        bytes.extend(out.iter().flat_map(|piece| piece.iter()));
        match flow {
            Poll::Pending => return (bytes, None),
            Poll::Ready(Flow::More) => assert!(!out.is_empty(), "more is something"),
            Poll::Ready(end) => return (bytes, Some(end)),
        }
    }
}

pub fn is_ready(writer: &mut Writer) -> bool {
    matches!(writer.poll_ready(&mut Context::from_waker(Waker::noop())), Poll::Ready(Ok(())))
}

pub fn is_gone(writer: &mut Writer) -> bool {
    matches!(writer.poll_ready(&mut Context::from_waker(Waker::noop())), Poll::Ready(Err(_)))
}

pub fn body(entry: &Entry) -> Vec<u8> {
    entry.body().pieces().flatten().copied().collect()
}
