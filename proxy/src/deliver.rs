//! Delivering what is stored, or on its way into the store: conditions, ranges, age, and the bytes.
//!
//! A hit is assembled in the core's buffer behind its prebuilt head and written in one call; a larger body is written
//! from where it lies.

mod lying;

use std::future::poll_fn;
use std::io::IoSlice;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use cache::filling::{Flow, Head, Reader};
use cache::range::{self, Choice, Slice};
use cache::status::{self, Forwarded, Outcome};
use cache::{Ask, Entry, Rules, Stored, Terms, UnixMs, condition, freshness};
use config::RouteCache;
use signals::request::{Stage, Who};
use wire::{Field, Method, Version, encode};

use crate::client::Client;
use crate::disk::Lying;
use crate::exchange::Exchange;
use crate::forward::To;
use crate::inbound;
use crate::pipeline::Stop;
use crate::respond::settle_body;

/// Bodies up to this length are copied behind their head and written in one piece.
const COPY_BYTES: u64 = 16 * 1024;

/// Most pieces that are written in one call.
const PIECES: usize = 16;

/// The same of pieces that are copied into chunks.
const CHUNKS: usize = 4;

/// No body.
const NONE: &[&[u8]] = &[];

/// What Cache-Status says of an answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Said {
    /// It was stored, fresh or stale.
    Hit,
    /// It was stored below the memory, fresh.
    Found,
    /// It came from the origin. The detail says why it is not kept, or why something stale stands in.
    Forwarded(Forwarded, Option<&'static str>),
}

/// What is delivered, as far as its head.
struct Source<'a> {
    status: u16,
    head: &'a [u8],
    terms: Option<Terms>,
    /// Length of the whole body, if it is known.
    len: Option<u64>,
    /// All of the body is here already, so that it can be sent in any order.
    is_whole: bool,
}

/// What the client gets of it.
enum What {
    /// The head alone: 304, 416, HEAD.
    Head,
    /// All of it.
    Whole,
    /// A part.
    Part(Slice),
    /// Several parts, and what stands between them.
    Parts(Box<[Slice]>, Vec<u8>),
}

/// Delivers an entry.
pub async fn entry(
    to: To<'_>,
    cache: &RouteCache,
    client: &mut Client,
    exchange: &mut Exchange,
    entry: &Arc<Entry>,
    said: Said,
) -> Result<(), Stop> {
    let source = Source {
        status: entry.status(),
        head: entry.head(),
        terms: Some(entry.terms()),
        len: Some(entry.body().len_bytes()),
        is_whole: true,
    };
    let what = begin(to, cache, client, exchange, &source, said);
    let part = match what {
        What::Head => Slice::default(),
        What::Whole => Slice { start: 0, end: entry.body().len_bytes() },
        What::Part(slice) => slice,
        // Rare, and connections need not have room for it.
        What::Parts(slices, boundary) => {
            return Box::pin(parts(to, client, exchange, entry, &slices, &boundary)).await;
        }
    };
    send_body(to, client, exchange, entry, part).await
}

/// Sends what is in the core's buffer, and behind it a part of an entry's body, wherever that lies.
async fn send_body(
    to: To<'_>,
    client: &mut Client,
    exchange: &mut Exchange,
    entry: &Arc<Entry>,
    part: Slice,
) -> Result<(), Stop> {
    if let Some(lying) = Lying::of(entry) {
        // Seldom, and connections need not have room for it.
        return Box::pin(lying::send(to, client, exchange, (entry, lying), part)).await;
    }
    match entry.body() {
        Stored::Near(bytes) => send(to, client, exchange, &[bytes], part).await,
        Stored::Far(body) => send(to, client, exchange, body.pieces(), part).await,
    }
}

/// Sends several parts of a body; the head is in the core's buffer.
async fn parts(
    to: To<'_>,
    client: &mut Client,
    exchange: &mut Exchange,
    entry: &Arc<Entry>,
    slices: &[Slice],
    boundary: &[u8],
) -> Result<(), Stop> {
    let body = entry.body();
    for (at, slice) in slices.iter().enumerate() {
        let is_first = at == 0;
        to.core.assemble(!is_first, |out| {
            range::write_part_head(entry.head(), *slice, body.len_bytes(), boundary, is_first, out);
        });
        send_body(to, client, exchange, entry, *slice).await?;
    }
    to.core.assemble(true, |out| range::write_parts_end(boundary, out));
    send(to, client, exchange, NONE, Slice::default()).await
}

/// Delivers a response while it comes in.
pub async fn streaming(
    to: To<'_>,
    cache: &RouteCache,
    client: &mut Client,
    exchange: &mut Exchange,
    (head, reader): (&Head, &mut Reader),
    said: Said,
) -> Result<(), Stop> {
    let terms = head.storable.as_ref().ok().map(|storable| storable.terms);
    let source =
        Source { status: head.status, head: &head.bytes, terms, len: head.body_bytes, is_whole: false };
    let slice = match begin(to, cache, client, exchange, &source, said) {
        What::Head => return send(to, client, exchange, NONE, Slice::default()).await,
        What::Part(slice) => slice,
        What::Whole | What::Parts(..) => Slice { start: 0, end: source.len.unwrap_or(u64::MAX) },
    };
    let chunked = source.len.is_none() && exchange.head.version == Version::Http11;
    // Chunks are copied behind their sizes, so that fewer of them are written at once.
    let mut pieces: Vec<Arc<[u8]>> = Vec::with_capacity(if chunked { CHUNKS } else { PIECES });
    let mut at = 0;
    loop {
        pieces.clear();
        let ready = poll_fn(|cx| Poll::Ready(reader.poll_pieces(cx, &mut pieces))).await;
        let flow = match ready {
            Poll::Ready(flow) => flow,
            Poll::Pending => {
                // The head waits for no body; and others use the core's buffer while this request waits.
                send(to, client, exchange, NONE, Slice::default()).await?;
                let flow = next_pieces(to, client, reader, &mut pieces).await?;
                to.core.out.borrow_mut().clear();
                flow
            }
        };
        let len: u64 = pieces.iter().map(|piece| piece.len() as u64).sum();
        let part =
            Slice { start: slice.start.clamp(at, at + len) - at, end: slice.end.clamp(at, at + len) - at };
        at += len;
        if chunked {
            write_chunks(&mut to.core.out.borrow_mut(), &pieces, flow);
            send(to, client, exchange, NONE, Slice::default()).await?;
        } else {
            send(to, client, exchange, &pieces, part).await?;
        }
        match flow {
            Flow::Done => return Ok(()),
            Flow::Broken => return Err(Stop::Cut(Who::Endpoint, Stage::Deliver)),
            // What is left of the body is not for this client.
            Flow::More if at >= slice.end => return Ok(()),
            Flow::More => to.core.out.borrow_mut().clear(),
        }
    }
}

fn write_chunks(out: &mut Vec<u8>, pieces: &[Arc<[u8]>], flow: Flow) {
    for piece in pieces {
        encode::chunk(out, piece);
    }
    if flow == Flow::Done {
        out.extend_from_slice(encode::LAST_CHUNK);
    }
}

/// Waits for the next pieces, as long as the client is there. The fill has deadlines of its own.
async fn next_pieces(
    to: To<'_>,
    client: &mut Client,
    reader: &mut Reader,
    pieces: &mut Vec<Arc<[u8]>>,
) -> Result<Flow, Stop> {
    poll_fn(|cx| match reader.poll_pieces(cx, pieces) {
        Poll::Ready(flow) => Poll::Ready(Ok(flow)),
        Poll::Pending => client.poll_left(cx, to.core).map(|()| Err(Stop::Cut(Who::Client, Stage::Deliver))),
    })
    .await
}

/// Decides what the client gets and writes the head into the core's buffer.
fn begin(
    to: To<'_>,
    cache: &RouteCache,
    client: &mut Client,
    exchange: &mut Exchange,
    source: &Source<'_>,
    said: Said,
) -> What {
    settle_body(client, exchange);
    client.keep_alive &= !to.core.shared.is_draining();
    let mut out = to.core.out.borrow_mut();
    out.clear();
    let ask = Ask::read(&exchange.head, &exchange.input, &cache.rules);
    let choice = match (&ask, &source.terms) {
        (Ok(ask), Some(terms)) if ask.conditional() || ask.ranged() => choose(ask, terms, source),
        _ => Some(Choice::Whole),
    };
    let boundary = matches!(choice, Some(Choice::Several(_))).then(|| boundary(to));
    let what = match (choice, source.len) {
        (None, _) => {
            exchange.facts.status = 304;
            condition::write_not_modified(source.head, &mut out);
            What::Head
        }
        (Some(Choice::Unsatisfiable), Some(len)) => {
            exchange.facts.status = 416;
            range::write_unsatisfiable(len, &mut out);
            to.core.date(&mut out);
            What::Head
        }
        (Some(Choice::One(slice)), Some(len)) => {
            exchange.facts.status = 206;
            range::write_head_of_one(source.head, slice, len, &mut out);
            What::Part(slice)
        }
        (Some(Choice::Several(slices)), Some(len)) => {
            exchange.facts.status = 206;
            let boundary = boundary.unwrap_or_default();
            range::write_head_of_several(source.head, &slices, len, &boundary, &mut out);
            What::Parts(slices, boundary)
        }
        _ => {
            exchange.facts.status = source.status;
            write_whole_head(&mut out, exchange.head.version, source);
            if exchange.head.method == Method::Head { What::Head } else { What::Whole }
        }
    };
    if source.len.is_none()
        && exchange.head.version == Version::Http10
        && exchange.head.method != Method::Head
    {
        client.keep_alive = false;
    }
    finish_head(&mut out, to, cache, client, exchange, source, said);
    what
}

/// By the request's conditions and ranges; `None`: the client has it already.
fn choose(ask: &Ask<'_>, terms: &Terms, source: &Source<'_>) -> Option<Choice> {
    match condition::evaluate(ask, terms, source.head, source.status) {
        condition::Verdict::NotModified => None,
        // Whoever has something to deliver asks `origin_decides` before.
        condition::Verdict::Deliver | condition::Verdict::Forward => {
            let Some(len) = source.len else { return Some(Choice::Whole) };
            match range::choose(ask, terms, source.head, source.status, len) {
                Choice::Several(_) if !source.is_whole => Some(Choice::Whole),
                choice => Some(choice),
            }
        }
    }
}

/// Whether a request has a condition that only the origin can answer, for what is here does not meet it (RFC 9111
/// section 4.3.2). The origin was not told of it when this was fetched.
pub fn origin_decides(
    exchange: &Exchange,
    rules: &Rules,
    status: u16,
    head: &[u8],
    terms: impl FnOnce() -> Option<Terms>,
) -> bool {
    let headers = &exchange.head.headers;
    if !headers.contains(Field::IfMatch) && !headers.contains(Field::IfUnmodifiedSince) {
        return false;
    }
    match (Ask::read(&exchange.head, &exchange.input, rules), terms()) {
        (Ok(ask), Some(terms)) => {
            condition::evaluate(&ask, &terms, head, status) == condition::Verdict::Forward
        }
        _ => (200..300).contains(&status),
    }
}

fn write_whole_head(out: &mut Vec<u8>, version: Version, source: &Source<'_>) {
    out.extend_from_slice(source.head);
    match source.len {
        _ if matches!(source.status, 204 | 304) => {}
        Some(len) => encode::content_length(out, len),
        None if version == Version::Http11 => out.extend_from_slice(b"Transfer-Encoding: chunked\r\n"),
        None => {}
    }
}

/// What is said of this answer alone.
fn finish_head(
    out: &mut Vec<u8>,
    to: To<'_>,
    cache: &RouteCache,
    client: &Client,
    exchange: &Exchange,
    source: &Source<'_>,
    said: Said,
) {
    let now: UnixMs = to.core.unix_ms();
    if let Some(terms) = &source.terms {
        out.extend_from_slice(b"Age: ");
        encode::decimal(out, freshness::age_s(terms, now));
        out.extend_from_slice(b"\r\n");
    }
    if cache.status {
        match (said, &source.terms) {
            (Said::Hit, Some(terms)) => status::write_hit(terms, now, out),
            (Said::Forwarded(mut forwarded, detail), terms) => {
                let ttl = terms.as_ref().map(|terms| freshness::ttl_s(terms, now));
                if forwarded.status.is_none() && exchange.facts.status != source.status {
                    forwarded.status = Some(source.status);
                }
                status::write(Outcome::Forwarded(forwarded), ttl, detail, out);
            }
            (Said::Found, Some(terms)) => status::write_found(terms, now, out),
            (Said::Hit | Said::Found, None) => {}
        }
    }
    inbound::own_marks(out, to.live, exchange);
    inbound::connection(out, exchange.head.version, client.keep_alive);
    out.extend_from_slice(b"\r\n");
}

/// 32 random letters and digits, which no body holds by chance.
fn boundary(to: To<'_>) -> Vec<u8> {
    let mut rng = to.core.rng.borrow_mut();
    (0..32).map(|_| rng.alphanumeric() as u8).collect()
}

/// Sends what is in the core's buffer, and behind it a part of some pieces.
async fn send<P: AsRef<[u8]>>(
    to: To<'_>,
    client: &mut Client,
    exchange: &mut Exchange,
    pieces: &[P],
    part: Slice,
) -> Result<(), Stop> {
    let mut left = Left { pieces, skip: part.start, len: part.len(), with_buffer: true };
    left.drop_passed();
    if left.len <= COPY_BYTES {
        left.copy_to(&mut to.core.out.borrow_mut());
    }
    let mut moved = true;
    poll_fn(|cx| {
        loop {
            match poll_send(cx, to, client, exchange, &mut left) {
                Poll::Ready(Ok(true)) => return Poll::Ready(Ok(())),
                Poll::Ready(Ok(false)) => moved = true,
                Poll::Ready(Err(Unsent)) => return Poll::Ready(Err(Stop::Cut(Who::Client, Stage::Deliver))),
                Poll::Pending => {
                    if std::mem::take(&mut moved) {
                        client.timer.set(to.live.plan.server.timeouts.write);
                    }
                    let stalled = client.poll_stalled(cx, to.live.plan.server.timeouts.write);
                    return stalled.map(|()| Err(Stop::Cut(Who::Client, Stage::Deliver)));
                }
            }
        }
    })
    .await
}

/// The client takes nothing more.
struct Unsent;

/// Writes once. `true`: everything is written.
fn poll_send<P: AsRef<[u8]>>(
    cx: &mut Context<'_>,
    to: To<'_>,
    client: &mut Client,
    exchange: &mut Exchange,
    left: &mut Left<'_, P>,
) -> Poll<Result<bool, Unsent>> {
    if !exchange.download.is_empty() {
        return match ready!(client.poll_flush(cx, &mut exchange.download)) {
            Ok(_) => Poll::Ready(Ok(left.len == 0 && exchange.download.is_empty())),
            Err(_) => Poll::Ready(Err(Unsent)),
        };
    }
    let mut out = to.core.out.borrow_mut();
    if !std::mem::take(&mut left.with_buffer) {
        out.clear();
    }
    if out.is_empty() && left.len == 0 {
        return Poll::Ready(Ok(true));
    }
    let written = if left.len == 0 {
        client.stream.poll_write(cx, &out)
    } else {
        let mut slices = [IoSlice::new(&[]); PIECES + 1];
        slices[0] = IoSlice::new(&out);
        let count = left.slices(&mut slices[1..]);
        client.stream.poll_write_vectored(cx, &slices[usize::from(out.is_empty())..=count])
    };
    let (written, is_full) = match written {
        Poll::Ready(Ok(written)) if written > 0 => (written, false),
        Poll::Ready(_) => return Poll::Ready(Err(Unsent)),
        Poll::Pending => (0, true),
    };
    // The buffer is the core's: what is left of it waits with the request.
    let head = written.min(out.len());
    exchange.facts.sent_bytes += (out.len() + written - head) as u64;
    exchange.download.push(&out[head..]);
    out.clear();
    left.advance((written - head) as u64);
    if is_full { Poll::Pending } else { Poll::Ready(Ok(left.len == 0 && exchange.download.is_empty())) }
}

/// Pieces of which a part is still to be written.
struct Left<'a, P> {
    pieces: &'a [P],
    /// Bytes of the first one that are not part of it.
    skip: u64,
    len: u64,
    /// What is in the core's buffer goes before them. Only at first: while this waits, others use that.
    with_buffer: bool,
}

impl<'a, P: AsRef<[u8]>> Left<'a, P> {
    /// Drops so many bytes from the front.
    fn advance(&mut self, bytes: u64) {
        self.skip += bytes;
        self.len -= bytes;
        self.drop_passed();
    }

    fn drop_passed(&mut self) {
        while let Some(first) = self.pieces.first()
            && self.skip >= first.as_ref().len() as u64
        {
            self.skip -= first.as_ref().len() as u64;
            self.pieces = &self.pieces[1..];
        }
    }

    /// The bytes, piece by piece.
    fn each(&self) -> impl Iterator<Item = &'a [u8]> {
        let (mut skip, mut len) = (self.skip as usize, self.len as usize);
        self.pieces.iter().map_while(move |piece| {
            let rest = &piece.as_ref()[std::mem::take(&mut skip)..];
            let part = &rest[..rest.len().min(len)];
            len -= part.len();
            (!part.is_empty()).then_some(part)
        })
    }

    /// Writes all of it behind `out`.
    fn copy_to(&mut self, out: &mut Vec<u8>) {
        self.each().for_each(|part| out.extend_from_slice(part));
        self.len = 0;
    }

    /// The next slices, as many as there are places; says how many.
    fn slices(&self, places: &mut [IoSlice<'a>]) -> usize {
        places.iter_mut().zip(self.each()).map(|(place, part)| *place = IoSlice::new(part)).count()
    }
}
