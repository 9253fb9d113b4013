//! Filling the cache: a request of its own to the origin, detached from the client that caused it.
//!
//! A fill is forwarded like any other request, with retries, deadlines and judgement of endpoints; its client is a
//! [`Sink`], which takes the response apart again and hands it to the store. Everybody who wants the response, the
//! client that caused the fill among them, reads along ([`crate::deliver`]); when all of them leave, the fill goes on.

use std::cell::Cell;
use std::io::{self, IoSlice};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use cache::filling::{Head, LOST};
use cache::freshness::{self, Times};
use cache::rules::SetCookie;
use cache::store::{Ticket, Writer};
use cache::{Ask, Entry, Rules, UnixMs, condition, storable, vary};
use config::{Action, RouteCache};
use tokio::task::spawn_local;
use traffic::Refusal;
use wire::encode::field;
use wire::{Field, Method, RequestHead, ResponseHead};

use crate::breaker::forward;
use crate::client::Client;
use crate::compress::again::again;
use crate::core::{Core, Peer};
use crate::disk;
use crate::exchange::{Exchange, Facts};
use crate::forward::To;
use crate::lines::Lines;
use crate::live::Live;
use crate::pipeline::Stop;
use crate::stream::Stream;

/// What a request knows of the fill that it caused, for its event.
pub type Told = Rc<Cell<Option<Facts>>>;

/// How a refusal is told to everybody who waits.
fn code(refusal: Refusal) -> u16 {
    const { assert!(LOST == 0) };
    refusal.index() as u16 + 1
}

/// What everybody who waits was told. Of a fill that was lost nobody knows more.
pub fn refusal(code: u16) -> Refusal {
    let at = usize::from(code).checked_sub(1);
    at.and_then(|at| Refusal::ALL.get(at)).copied().unwrap_or(Refusal::ResponseClosed)
}

/// Sends a fill on its way.
pub fn spawn(to: To<'_>, cache: &RouteCache, ticket: Ticket, exchange: &Exchange, peer: Peer) -> Told {
    let told = Told::default();
    let core = Rc::clone(to.core);
    let live = Rc::clone(to.live);
    let mut own = core.exchanges.take();
    // Known to be one: the pipeline has just chosen it.
    let route = exchange.facts.route_index.unwrap_or_default();
    if !ask(&mut own, exchange, &ticket, &cache.rules, &live) {
        ticket.fail(code(Refusal::Malformed(wire::Malformed::TooManyHeaders)), core.unix_ms());
        return told;
    }
    own.told = Some(Rc::clone(&told));
    let (head, input) = (Box::new(exchange.head.clone()), exchange.input.clone());
    // What is in memory is as new as what is on disk.
    let is_on_disk = ticket.stored().is_none()
        && core.shared.disk.get().is_some_and(|disk| disk.has(ticket.filling().key_hash()));
    spawn_local(async move {
        let ticket = if is_on_disk {
            let Some(cache) = &live.plan.routes[route].cache else { return };
            match Box::pin(disk::answer(&core, ticket, &head, &input, &cache.rules)).await {
                Ok(()) => return,
                Err(ticket) => ticket,
            }
        } else {
            ticket
        };
        let sink = Sink {
            core: Rc::clone(&core),
            live: Rc::clone(&live),
            route,
            head,
            input,
            asked_ms: core.unix_ms(),
            ticket: Some(ticket),
            writer: None,
        };
        let Action::Upstream(upstream) = live.plan.routes[route].action else { return };
        let to = To {
            core: &core,
            live: &live,
            route: &live.plan.routes[route],
            upstream: &live.upstreams[upstream],
        };
        let mut client = Client::new(&core, Stream::Fill(Box::new(sink)), peer);
        let result = forward(to, &mut client, &mut own).await;
        if let Some(told) = own.told.take() {
            told.set(Some(own.facts));
        }
        let Stream::Fill(sink) = std::mem::replace(&mut client.stream, Stream::Fresh(None)) else { return };
        let stored = sink.end(result, core.unix_ms());
        if let (Some(entry), Some(coding)) = (stored, own.coded) {
            // It may take a while, and needs nothing of the request.
            drop((client, own));
            again(&core, coding, entry).await;
        }
    });
    told
}

/// Writes the request that fills: GET, without what is about one client alone, with what validates the stored
/// response. False: it has become longer than any that is taken.
fn ask(own: &mut Exchange, asked: &Exchange, ticket: &Ticket, rules: &Rules, live: &Live) -> bool {
    let Ok(wishes) = Ask::read(&asked.head, &asked.input, rules) else { return false };
    let mut out = std::mem::take(&mut own.input);
    out.extend_from_slice(b"GET ");
    out.extend_from_slice(asked.target());
    out.extend_from_slice(b" HTTP/1.1\r\n");
    let mut lines = Lines::new(&mut out, &asked.input);
    for header in &asked.head.headers {
        // What Connection names stays behind with it, so that it does not take away what is added here.
        let left_out = condition::is_left_out(header.field)
            || matches!(header.field, Field::AcceptEncoding | Field::Connection)
            || asked.head.ends_here(&asked.input, header.name.of(&asked.input));
        if !left_out {
            lines.keep(header);
        }
    }
    drop(lines);
    out.extend_from_slice(b"Accept-Encoding: ");
    vary::write_accept_encoding(&mut out, vary::Codings::of(&wishes));
    out.extend_from_slice(b"\r\n");
    if let Some(stored) = ticket.stored() {
        condition::write_validation(&stored.terms(), stored.head(), &mut out);
    }
    out.extend_from_slice(b"\r\n");
    own.input = out;
    if own.head.parse(&own.input, &own_limits(live)) != Ok(true) {
        return false;
    }
    own.host.extend_from_slice(&asked.host);
    own.path.extend_from_slice(&asked.path);
    own.asker = asked.asker;
    own.request_id.extend_from_slice(&asked.request_id);
    own.traceparent.extend_from_slice(&asked.traceparent);
    own.is_trace_continued = asked.is_trace_continued;
    own.facts.begun = asked.facts.begun;
    own.facts.route = asked.facts.route;
    own.facts.route_index = asked.facts.route_index;
    true
}

/// Limits for heads that are written here: what others have sent was within theirs.
fn own_limits(live: &Live) -> wire::Limits {
    let headers = wire::MAX_HEADERS as u16;
    wire::Limits { head_bytes: u32::MAX, headers, ..live.plan.server.limits.wire }
}

/// The client of a fill: takes a response and hands it to the store.
///
/// ```text
///              head: storable, or for the leader alone
///   ( ticket ) ──────────────────────────────────────▶ ( writer ) ──▶ finished, or broken off
///        │     304: refreshed, or about something else, and to be asked anew
///        ├─────────────────────────────────────────▶ ( neither ): what still comes is thrown away
///        │     failure that something stale stands in for
///        └─────────────────────────────────────────▶ ( neither )
/// ```
#[derive(Debug)]
pub struct Sink {
    core: Rc<Core>,
    #[allow(clippy::redundant_allocation)] // As the core holds it.
    live: Rc<Arc<Live>>,
    route: usize,
    /// The request that the fill is for.
    head: Box<RequestHead>,
    input: Vec<u8>,
    asked_ms: UnixMs,
    ticket: Option<Ticket>,
    writer: Option<Writer>,
}

impl Sink {
    /// Takes what was written: the whole head comes with the first bytes.
    pub fn poll_write(&mut self, cx: &mut Context<'_>, slices: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let mut taken = 0;
        if let Some(ticket) = self.ticket.take() {
            taken = self.begin(ticket, slices.first().map_or(&[], |first| first))?;
        }
        let mut head = taken;
        let Some(writer) = &mut self.writer else {
            return Poll::Ready(Ok(slices.iter().map(|slice| slice.len()).sum()));
        };
        for slice in slices {
            let piece = &slice[std::mem::take(&mut head)..];
            if piece.is_empty() {
                continue;
            }
            match writer.poll_ready(cx) {
                Poll::Ready(Ok(())) => writer.push(Arc::from(piece)),
                Poll::Ready(Err(_gone)) => return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
                Poll::Pending if taken > 0 => return Poll::Ready(Ok(taken)),
                Poll::Pending => return Poll::Pending,
            }
            taken += piece.len();
        }
        Poll::Ready(Ok(taken))
    }

    /// Whether anybody still wants what comes: only a response that is not kept can be given up.
    pub fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        match &mut self.writer {
            Some(writer) => match ready!(writer.poll_ready(cx)) {
                Ok(()) => Poll::Pending,
                Err(_gone) => Poll::Ready(Ok(0)),
            },
            None => Poll::Pending,
        }
    }

    /// How forwarding ended is how the fill ends. What is stored then.
    fn end(mut self, result: Result<(), Stop>, now: UnixMs) -> Option<Arc<Entry>> {
        if let Some(ticket) = self.ticket.take() {
            let refusal = match result {
                Err(Stop::Refused(refusal)) => refusal,
                _ => Refusal::ResponseClosed,
            };
            ticket.fail(code(refusal), now);
        }
        self.writer.take().filter(|_| result.is_ok())?.finish(now)
    }

    /// Judges the head at the start of `bytes`; gives its length.
    fn begin(&mut self, ticket: Ticket, bytes: &[u8]) -> io::Result<usize> {
        let now = self.core.unix_ms();
        let wall_ms = self.core.shared.wall_ms();
        let times = Times { asked_ms: self.asked_ms, arrived_ms: now, wall_ms };
        let Self { live, route, head, input, .. } = self;
        let Some(cache) = &live.plan.routes[*route].cache else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        let rules = &cache.rules;
        let mut response = Box::new(ResponseHead::new());
        let parsed = response.parse(bytes, Method::Get, &own_limits(live));
        let (Ok(true), Ok(ask)) = (parsed, Ask::read(head, input, rules)) else {
            ticket.fail(code(Refusal::ResponseMalformed(wire::Malformed::BadStatus)), now);
            return Ok(bytes.len());
        };
        let len = response.len as usize;
        if freshness::is_failure(response.status)
            && ticket.stored().is_some_and(|stored| freshness::may_stand_in(&stored.terms(), now))
        {
            ticket.fail(code(Refusal::ResponseClosed), now);
            return Ok(len);
        }
        if response.status == 304 && ticket.stored().is_some() {
            refresh(ticket, &ask, &response, bytes, rules, times);
            return Ok(len);
        }
        let mut storable = storable::judge(&ask, &response, bytes, rules, times);
        let mut stored = Vec::with_capacity(len);
        match &mut storable {
            Ok(storable) => {
                storable::write_head(&response, bytes, rules, wall_ms, &mut stored);
                storable::locate_validators(&mut storable.terms, &stored);
            }
            Err(_) => write_unshared(&response, bytes, wall_ms, &mut stored),
        }
        let body_bytes = match response.framing {
            wire::Framing::None => Some(0),
            wire::Framing::Length(length) => Some(length),
            wire::Framing::Chunked | wire::Framing::Close => None,
        };
        // Copied and not shrunk: what shrinking cuts off is too small for an entry, and lies between them for ever.
        let head = Head { status: response.status, bytes: Box::from(&*stored), body_bytes, storable };
        self.writer = Some(ticket.begin(head, now));
        Ok(len)
    }
}

/// Writes the head of a response for the one who asked: with its cookies and its age, for nobody else gets it.
fn write_unshared(response: &ResponseHead, bytes: &[u8], wall_ms: UnixMs, out: &mut Vec<u8>) {
    let rules = Rules { set_cookie: SetCookie::Bypass, ..Rules::default() };
    storable::write_head(response, bytes, &rules, wall_ms, out);
    if let Some(age) = response.headers.get(Field::Age) {
        field(out, b"Age", age.value.of(bytes));
    }
}

/// A 304: what is stored is still good, or was, for the one who asked.
fn refresh(
    ticket: Ticket,
    ask: &Ask<'_>,
    response: &ResponseHead,
    bytes: &[u8],
    rules: &Rules,
    times: Times,
) {
    let Some(stored) = ticket.stored().cloned() else { return };
    if !condition::freshens(&stored.terms(), stored.head(), response, bytes) {
        ticket.disown();
        return;
    }
    let mut head = Vec::new();
    let stored_parts = (stored.head(), stored.vary());
    let storable = storable::refresh(ask, stored_parts, response, bytes, rules, times, &mut head);
    ticket.refresh(storable, &head, times.arrived_ms);
}
