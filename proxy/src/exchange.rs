//! What one request holds while it is served: taken from its core's store when a head has arrived,
//! given back when the response is out. An idle connection holds none.

use std::cell::RefCell;
use std::net::{IpAddr, Ipv4Addr};
use std::ops::{Deref, DerefMut};
use std::rc::Rc;
use std::time::Duration;

use signals::request::{Cached, Times};
use signals::{EndpointSlot, RouteSlot, UpstreamSlot};
use traffic::client::Proto;
use traffic::endpoint::EndpointId;
use traffic::limit::Flight;
use traffic::room::Turn;
use traffic::route::Query;
use traffic::{Moment, Refusal};
use wire::{RequestHead, ResponseHead, Version};

use crate::fill::Told;
use crate::limits::{Limited, Nearest};

/// Buffers grown past this are not kept for the next request.
const KEEP_BYTES: usize = 128 * 1024;

/// Most exchanges kept ready per core.
const KEEP_EXCHANGES: usize = 4096;

/// Endpoints that one request can try.
pub const MAX_TRIES: usize = 8;

/// Everything that one request needs besides its two connections.
#[derive(Debug)]
pub struct Exchange {
    /// The request's head and what came with it: the start of a body, or the next request.
    pub input: Vec<u8>,
    /// Slices of `input`.
    pub head: RequestHead,
    /// Host in lower case without its port, for matching.
    pub host: Vec<u8>,
    /// Path normalised for matching.
    pub path: Vec<u8>,
    /// The response's head, slices of whatever buffer it was parsed from.
    pub response: ResponseHead,
    /// A response head that has only arrived in part, or what came behind a 101.
    pub reply: Vec<u8>,
    /// Bytes for the endpoint that its connection has not taken yet.
    pub upload: Backlog,
    /// Bytes for the client that its connection has not taken yet.
    pub download: Backlog,
    /// Who asks, after trusted hops were read.
    pub asker: Option<Asker>,
    /// X-Request-Id of this request.
    pub request_id: Vec<u8>,
    /// `traceparent` that goes on; empty when switched off.
    pub traceparent: Vec<u8>,
    /// The client's trace goes on, and with it its `tracestate`.
    pub is_trace_continued: bool,
    /// It asks, before the request that it names, whether a page of another origin may send that; its route answers.
    pub is_preflight: bool,
    /// Endpoints that failed this request.
    pub tried: Tried,
    /// The key in the cache.
    pub key: Vec<u8>,
    /// Why the cache has no part in the answer, if that is to be said.
    pub says_bypass: Option<cache::Bypass>,
    /// Where a fill tells what it knows, for whoever caused it.
    pub told: Option<Told>,
    /// Field lines for the client that belong to this request alone: the cookie of a waiting room.
    pub lines: Vec<u8>,
    /// Its place in the line in front of a waiting room.
    pub turn: Option<Turn>,
    /// Seconds after which a refused client may come back, where that is known.
    pub retry_after: Option<u32>,
    /// How the body was coded on its way.
    pub coded: Option<config::Coding>,
    /// Its places among those in flight, where limits count them.
    pub flights: Vec<Flight>,
    /// What is left of the limit that is nearest, if that is to be said.
    pub nearest: Option<Nearest>,
    /// What signals will be told.
    pub facts: Facts,
}

/// Who asks, after trusted hops were read.
#[derive(Clone, Copy, Debug)]
pub struct Asker {
    /// The client's address.
    pub ip: IpAddr,
    /// The scheme that the client used, if a trusted hop says so.
    pub proto: Option<Proto>,
    /// Whether the peer is trusted, so that what it says of the client is passed on.
    pub is_trusted: bool,
}

impl Asker {
    /// Somebody on this machine who asks over `proto`, and is believed.
    pub const fn local(proto: Proto) -> Self {
        Self { ip: IpAddr::V4(Ipv4Addr::LOCALHOST), proto: Some(proto), is_trusted: true }
    }
}

/// Bytes that wait to be written, and how many of them were.
#[derive(Debug, Default)]
pub struct Backlog {
    bytes: Vec<u8>,
    written: usize,
}

/// Endpoints that failed one request.
#[derive(Debug)]
pub struct Tried {
    ids: [EndpointId; MAX_TRIES],
    len: usize,
}

/// What is known about a request for the event at its end.
#[derive(Clone, Copy, Debug, Default)]
pub struct Facts {
    /// Chosen route.
    pub route: Option<RouteSlot>,
    /// The route's upstream.
    pub upstream: Option<UpstreamSlot>,
    /// Endpoint tried last.
    pub endpoint: Option<EndpointSlot>,
    /// Index of the route in the plan, for its name.
    pub route_index: Option<usize>,
    /// Status sent.
    pub status: u16,
    /// Why Tidegate answered by itself.
    pub refusal: Option<Refusal>,
    /// Which limit refused it.
    pub limited: Option<Limited>,
    /// Endpoints tried.
    pub tries: u8,
    /// The last try went over a kept-alive connection.
    pub reused: bool,
    /// Body bytes received from the client.
    pub received_bytes: u64,
    /// Bytes sent to the client.
    pub sent_bytes: u64,
    /// When the head was complete.
    pub begun: Option<Moment>,
    /// When the last try had sent the request's head.
    pub sent: Moment,
    /// When the response's head came, as long as nothing has come behind it; the clock is not read
    /// again for a response that ends in the same piece.
    pub answered: Option<Moment>,
    /// Times of the stages.
    pub times: Times,
    /// What the cache had to do with the answer.
    pub cached: Option<Cached>,
}

impl Exchange {
    fn new() -> Self {
        Self {
            input: Vec::with_capacity(2048),
            head: RequestHead::new(),
            host: Vec::with_capacity(64),
            path: Vec::with_capacity(128),
            response: ResponseHead::new(),
            reply: Vec::new(),
            upload: Backlog::default(),
            download: Backlog::default(),
            asker: None,
            request_id: Vec::with_capacity(64),
            traceparent: Vec::with_capacity(64),
            is_trace_continued: false,
            is_preflight: false,
            tried: Tried { ids: [EndpointId(0); MAX_TRIES], len: 0 },
            key: Vec::new(),
            says_bypass: None,
            told: None,
            lines: Vec::new(),
            turn: None,
            retry_after: None,
            coded: None,
            flights: Vec::new(),
            nearest: None,
            facts: Facts::default(),
        }
    }

    /// The request's target as sent.
    pub fn target(&self) -> &[u8] {
        self.head.target.of(&self.input)
    }

    /// Value of a request field, the first of that name (lower case).
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        self.head.headers.find(&self.input, name.as_bytes()).map(|header| header.value.of(&self.input))
    }

    /// What the table asks, once host and path are filled in.
    pub fn query<'a>(&'a self, header: &'a dyn Fn(&str) -> Option<&'a [u8]>) -> Query<'a> {
        Query { host: &self.host, path: &self.path, method: self.head.method_name.of(&self.input), header }
    }

    /// Bytes that came behind the head.
    pub fn behind_head(&self) -> &[u8] {
        &self.input[self.head.len as usize..]
    }

    /// Whether the cache asks, for everybody who wants the answer, and not a client for itself.
    pub fn is_fill(&self) -> bool {
        self.told.is_some()
    }

    /// Whether whoever gets the response can take its body in chunks. A fill has no use for them: how it ended is known
    /// from how forwarding ended.
    pub fn takes_chunks(&self) -> bool {
        self.head.version == Version::Http11 && !self.is_fill()
    }

    /// Whether what the peer says of its client is believed.
    pub fn is_trusted(&self) -> bool {
        self.asker.is_some_and(|asker| asker.is_trusted)
    }

    fn clear(&mut self) {
        for buffer in [
            &mut self.input,
            &mut self.host,
            &mut self.path,
            &mut self.reply,
            &mut self.upload.bytes,
            &mut self.download.bytes,
            &mut self.request_id,
            &mut self.traceparent,
            &mut self.key,
            &mut self.lines,
        ] {
            if buffer.capacity() > KEEP_BYTES {
                *buffer = Vec::new();
            }
            buffer.clear();
        }
        self.upload.written = 0;
        self.download.written = 0;
        self.asker = None;
        self.is_preflight = false;
        self.says_bypass = None;
        self.told = None;
        self.turn = None;
        self.retry_after = None;
        self.coded = None;
        self.flights.clear();
        self.nearest = None;
        self.tried.clear();
        self.facts = Facts::default();
    }
}

impl Backlog {
    /// Keeps bytes to be written behind those that wait already.
    pub fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// What is still to be written.
    pub fn rest(&self) -> &[u8] {
        &self.bytes[self.written..]
    }

    /// Notes that so many bytes were written.
    pub fn advance(&mut self, written: usize) {
        self.written += written;
        if self.written == self.bytes.len() {
            self.clear();
        }
    }

    /// Nothing waits.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Forgets what waits.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.written = 0;
    }
}

impl Tried {
    /// Notes an endpoint that failed.
    pub fn push(&mut self, id: EndpointId) {
        if self.len < MAX_TRIES {
            self.ids[self.len] = id;
            self.len += 1;
        }
    }

    /// No more of them can be noted.
    pub fn is_full(&self) -> bool {
        self.len == MAX_TRIES
    }

    /// Gives every endpoint another chance.
    pub fn clear(&mut self) {
        self.len = 0;
    }

    /// Those that failed, in order.
    pub fn as_slice(&self) -> &[EndpointId] {
        &self.ids[..self.len]
    }
}

impl Facts {
    /// Time since the head was complete.
    pub fn elapsed(&self, now: Moment) -> Duration {
        self.begun.map_or(Duration::ZERO, |begun| now.since(begun))
    }
}

/// Exchanges that wait for a request.
#[derive(Clone, Debug, Default)]
pub struct Store(Rc<RefCell<Vec<Box<Exchange>>>>);

impl Store {
    /// An empty exchange; allocates only until the core has had as many at once as it needs.
    pub fn take(&self) -> Held {
        let exchange = self.0.borrow_mut().pop().unwrap_or_else(|| Box::new(Exchange::new()));
        Held { exchange: Some(exchange), store: self.clone() }
    }
}

/// An exchange in use; goes back to its store when dropped.
#[derive(Debug)]
pub struct Held {
    exchange: Option<Box<Exchange>>,
    store: Store,
}

impl Deref for Held {
    type Target = Exchange;

    fn deref(&self) -> &Exchange {
        self.exchange.as_ref().expect("an exchange is held until it is dropped")
    }
}

impl DerefMut for Held {
    fn deref_mut(&mut self) -> &mut Exchange {
        self.exchange.as_mut().expect("an exchange is held until it is dropped")
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(mut exchange) = self.exchange.take() {
            let mut store = self.store.0.borrow_mut();
            if store.len() < KEEP_EXCHANGES {
                exchange.clear();
                store.push(exchange);
            }
        }
    }
}
