//! One try: a request on its way up and its response on its way down, over two connections at once.
//!
//! ```text
//!              head written                head of a final response
//!   ( start ) ────────────▶ Waiting ──────────────────────────────▶ Delivering ──▶ Complete
//!                             │ ▲ 1xx: relayed                        │
//!                             │ └──┘                                  └──▶ Broken::Midway
//!                             ├──▶ Switched (101 that was asked for)
//!                             └──▶ Broken::Early (may be tried elsewhere)
//! ```
//!
//! The request's body goes up in both states, for an app may answer before it has read it all.
//! Nothing is read that cannot be passed on: while the other side's backlog waits, this side is
//! not read, which is all the flow control that HTTP/1 needs.

mod coded;

use std::io;
use std::task::{Context, Poll};
use std::time::Duration;

use signals::request::Stage;
use traffic::upstream::Lease;
use traffic::{Moment, Refusal};
use wire::{BodyReader, Framing, Malformed, ResponseHead, Version, encode};

use crate::cached;
use crate::client::Client;
use crate::compress::Shape;
use crate::core::Core;
use crate::exchange::Exchange;
use crate::forward::To;
use crate::inbound::{self, Delivery};
use crate::live::Live;
use crate::outbound;
use crate::stream::Stream;
use coded::Coder;

/// Bodies up to this length are copied behind their head and written in one piece; longer ones are
/// written from where they lie.
pub const COPY_BYTES: usize = 8 * 1024;

/// A client is watched for leaving once its response takes this long; most responses are faster, and
/// then their client need not be looked at, or even join the event loop.
const WATCH_AFTER: Duration = Duration::from_millis(200);

/// From then on its slot's lease hears so often that there is no response yet.
const LINGER: Duration = Duration::from_secs(2);

/// How a try ended well.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    /// The whole response was read; the connection to the endpoint can carry another request or not.
    Complete { reusable: bool },
    /// Both sides speak another protocol from here on.
    Switched,
}

/// How a try failed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Broken {
    /// The endpoint failed before the client heard anything. `unsent`: it provably got nothing.
    Early { refusal: Refusal, unsent: bool },
    /// The client's own fault, and it can still be told.
    Refused(Refusal),
    /// The endpoint failed in the middle of its response.
    Midway,
    /// The response could not be coded any further, in its middle.
    Uncoded,
    /// The client is gone, or took nothing for too long.
    ClientGone(Stage),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Waiting,
    Delivering,
}

/// One try.
#[derive(Debug)]
pub struct Transfer<'a> {
    pub core: &'a Core,
    pub live: &'a Live,
    pub route: &'a config::Route,
    pub client: &'a mut Client,
    pub exchange: &'a mut Exchange,
    pub link: &'a mut Stream,
    /// `Set-Cookie` that names the endpoint, for the sticky policy.
    pub sticky: Option<&'a [u8]>,
    /// What it holds at its endpoint.
    lease: &'a Lease,
    state: State,
    upload: Upload,
    delivery: Delivery,
    body: BodyReader,
    /// What codes the body on its way.
    coder: Option<Coder>,
    /// The endpoint sent bytes beyond its response.
    surplus: bool,
    /// A byte of the request was taken by the connection.
    sent: bool,
    /// The response takes so long that the client is watched.
    watching: bool,
    /// Until when it may take, once the client is watched.
    due: Moment,
    /// The lease knows that the response's head has come, and that there is more.
    is_stream: bool,
}

/// The request's body on its way up.
#[derive(Debug)]
struct Upload {
    reader: BodyReader,
    chunked: bool,
    /// The whole body has gone up.
    done: bool,
    /// The endpoint takes no more of it; its response may still come.
    shut: bool,
    /// Bytes were read from the client for it, so it cannot be sent a second time.
    consumed: bool,
    since: Moment,
}

impl<'a> Transfer<'a> {
    /// A try over `link` that has not begun.
    pub fn new(
        to: To<'a>,
        client: &'a mut Client,
        exchange: &'a mut Exchange,
        link: &'a mut Stream,
        lease: &'a Lease,
        sticky: Option<&'a [u8]>,
    ) -> Self {
        let To { core, live, route, .. } = to;
        let framing = exchange.head.framing;
        let limits = &live.plan.server.limits.wire;
        let reader = BodyReader::new(framing, limits);
        let upload = Upload {
            reader,
            chunked: framing == Framing::Chunked,
            done: reader.is_done(),
            shut: false,
            consumed: false,
            since: exchange.facts.sent,
        };
        exchange.upload.clear();
        exchange.reply.clear();
        exchange.facts.received_bytes = 0;
        Self {
            core,
            live,
            route,
            client,
            exchange,
            link,
            sticky,
            lease,
            state: State::Waiting,
            upload,
            delivery: Delivery::Empty,
            body: BodyReader::new(Framing::None, limits),
            coder: None,
            surplus: false,
            sent: false,
            watching: false,
            due: Moment::ZERO,
            is_stream: false,
        }
    }

    /// Whether the request could be sent once more from what is held.
    pub fn is_replayable(&self) -> bool {
        !self.upload.consumed
    }

    /// Writes the head, and what has come of the body, in one piece.
    pub fn begin(
        &mut self,
        cx: &mut Context<'_>,
        write_head: impl FnOnce(&mut Vec<u8>, &Exchange),
    ) -> Result<(), Broken> {
        let core = self.core;
        let mut out = core.out.borrow_mut();
        out.clear();
        write_head(&mut out, self.exchange);
        let input = std::mem::take(&mut self.exchange.input);
        let behind = &input[self.exchange.head.len as usize..];
        let result = self.take_body(&mut out, behind, cx);
        // What came behind the body is the next request.
        if let Ok(rest) = result
            && self.upload.done
            && !rest.is_empty()
            && self.client.pending.is_empty()
        {
            self.client.pending.extend_from_slice(rest);
        }
        let result = result.map(|_| ());
        self.exchange.input = input;
        self.client.timer.set(self.upload_timeout());
        result
    }

    /// Takes body bytes out of `bytes`, and writes them behind `out`. Gives back what is not body.
    fn take_body<'b>(
        &mut self,
        out: &mut Vec<u8>,
        bytes: &'b [u8],
        cx: &mut Context<'_>,
    ) -> Result<&'b [u8], Broken> {
        let mut rest = bytes;
        let mut plain: &[u8] = &[];
        while !self.upload.done && !rest.is_empty() {
            let piece = self.upload.reader.read(rest).map_err(|m| Broken::Refused(Refusal::Malformed(m)))?;
            let data = &rest[piece.data];
            self.exchange.facts.received_bytes += data.len() as u64;
            if self.exchange.facts.received_bytes > self.route.body_bytes {
                return Err(Broken::Refused(Refusal::BodyTooLarge));
            }
            if !self.upload.chunked {
                plain = data;
            } else if !data.is_empty() {
                encode::chunk(out, data);
            }
            rest = &rest[piece.consumed..];
            self.upload.done = piece.done;
            if piece.consumed == 0 {
                break;
            }
        }
        if self.upload.done && self.upload.chunked {
            out.extend_from_slice(encode::LAST_CHUNK);
        }
        self.write_up(cx, out, plain)?;
        Ok(rest)
    }

    /// Writes towards the endpoint; what it does not take now waits in the backlog.
    fn write_up(&mut self, cx: &mut Context<'_>, out: &[u8], plain: &[u8]) -> Result<(), Broken> {
        if self.upload.shut || (out.is_empty() && plain.is_empty()) {
            return Ok(());
        }
        let written = if !self.exchange.upload.is_empty() {
            Poll::Pending
        } else if plain.is_empty() {
            self.link.poll_write(cx, out)
        } else {
            self.link.poll_write_both(cx, out, plain)
        };
        let written = match written {
            Poll::Ready(Ok(written)) => written,
            Poll::Ready(Err(_)) => return self.upload_failed(),
            Poll::Pending => 0,
        };
        self.sent |= written > 0;
        if written < out.len() {
            self.exchange.upload.push(&out[written..]);
        }
        self.exchange.upload.push(&plain[written.saturating_sub(out.len()).min(plain.len())..]);
        Ok(())
    }

    /// The endpoint takes no more. If it took nothing at all, the request was not sent; otherwise
    /// its response may already be on its way (RFC 9112 section 9.5).
    fn upload_failed(&mut self) -> Result<(), Broken> {
        self.upload.shut = true;
        self.exchange.upload.clear();
        if self.sent { Ok(()) } else { Err(Broken::Early { refusal: Refusal::ResponseClosed, unsent: true }) }
    }

    /// Drives the try on until it ends or has to wait.
    pub fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<End, Broken>> {
        if let Err(broken) = self.drive_upload(cx) {
            // Once the response has begun, a fault in the rest of the request can only end both.
            let told = self.state == State::Waiting;
            return Poll::Ready(Err(if told { broken } else { Broken::ClientGone(Stage::Deliver) }));
        }
        if let Some(result) = self.drive_download(cx) {
            return Poll::Ready(result);
        }
        if let Some(broken) = self.watch_client(cx) {
            return Poll::Ready(Err(broken));
        }
        if self.client.timer.poll(cx).is_ready() {
            return match self.timed_out() {
                Some(broken) => Poll::Ready(Err(broken)),
                None => self.poll(cx),
            };
        }
        if self.state == State::Delivering && !self.is_stream {
            self.is_stream = true;
            self.lease.stream(self.core.now());
        }
        Poll::Pending
    }

    fn drive_upload(&mut self, cx: &mut Context<'_>) -> Result<(), Broken> {
        loop {
            while !self.exchange.upload.is_empty() {
                match self.link.poll_write(cx, self.exchange.upload.rest()) {
                    Poll::Ready(Ok(written)) if written > 0 => {
                        self.sent = true;
                        self.exchange.upload.advance(written);
                        self.client.timer.set(self.upload_timeout());
                    }
                    Poll::Ready(_) => return self.upload_failed(),
                    Poll::Pending => return Ok(()),
                }
            }
            if self.upload.done || self.upload.shut {
                return Ok(());
            }
            let core = self.core;
            let mut scratch = core.scratch.borrow_mut();
            let read = match self.client.stream.poll_read(cx, &mut scratch) {
                Poll::Ready(Ok(0) | Err(_)) => return Err(Broken::ClientGone(Stage::Send)),
                Poll::Ready(Ok(read)) => read,
                Poll::Pending => return Ok(()),
            };
            self.upload.consumed = true;
            let mut out = core.out.borrow_mut();
            out.clear();
            let rest = self.take_body(&mut out, &scratch[..read], cx)?;
            self.client.pending.extend_from_slice(rest);
            self.client.timer.set(self.upload_timeout());
            self.check_rate()?;
        }
    }

    /// Which deadline holds for what is waited for now.
    fn upload_timeout(&self) -> Duration {
        if !self.exchange.upload.is_empty() {
            self.route.timeouts.write
        } else if self.upload.done || self.upload.shut {
            match self.route.timeouts.response {
                _ if self.watching => self.response_left().min(LINGER),
                Duration::ZERO => WATCH_AFTER,
                response => response.min(WATCH_AFTER),
            }
        } else {
            self.live.plan.server.timeouts.body
        }
    }

    /// How long its response may still take, while it is watched.
    fn response_left(&self) -> Duration {
        // Zero would be for ever.
        self.due.since(self.core.now()).max(Duration::from_millis(1))
    }

    /// A body that trickles: slower than the least rate once the first `body` time is over.
    fn check_rate(&self) -> Result<(), Broken> {
        let timeouts = &self.live.plan.server.timeouts;
        let elapsed = self.core.now().since(self.upload.since);
        let least = timeouts.body_rate.saturating_mul(elapsed.as_secs());
        if timeouts.body_rate > 0
            && !self.upload.done
            && self.state == State::Waiting
            && elapsed > timeouts.body
            && self.exchange.facts.received_bytes < least
        {
            return Err(Broken::Refused(Refusal::BodyTimeout));
        }
        Ok(())
    }

    fn drive_download(&mut self, cx: &mut Context<'_>) -> Option<Result<End, Broken>> {
        self.begin_turn();
        loop {
            if !self.exchange.download.is_empty() {
                match self.client.poll_flush(cx, &mut self.exchange.download) {
                    Poll::Ready(Ok(empty)) => {
                        self.client.timer.set(self.download_timeout());
                        if !empty {
                            continue;
                        }
                    }
                    Poll::Ready(Err(_)) => return Some(Err(Broken::ClientGone(Stage::Deliver))),
                    Poll::Pending => return None,
                }
            }
            let core = self.core;
            let mut scratch = core.scratch.borrow_mut();
            let read = match self.link.poll_read(cx, &mut scratch) {
                Poll::Ready(Ok(read)) => read,
                Poll::Ready(Err(_)) => return Some(Err(self.link_failed())),
                Poll::Pending => match self.flush_coder(cx) {
                    Ok(true) => continue,
                    Ok(false) => return None,
                    Err(broken) => return Some(Err(broken)),
                },
            };
            let step = if read == 0 { self.link_ended(cx) } else { self.take(cx, &scratch[..read]) };
            match step {
                Ok(None) => {}
                Ok(Some(end)) => return Some(Ok(end)),
                Err(broken) => return Some(Err(broken)),
            }
            if self.state == State::Delivering {
                self.client.timer.set(self.download_timeout());
            }
            if self.is_turn_over(cx) {
                return None;
            }
        }
    }

    fn download_timeout(&self) -> Duration {
        match self.state {
            State::Waiting => self.upload_timeout(),
            State::Delivering if self.exchange.download.is_empty() => self.route.timeouts.body,
            State::Delivering => self.live.plan.server.timeouts.write,
        }
    }

    /// The connection failed: what that means depends on how far the response has come.
    fn link_failed(&self) -> Broken {
        match self.state {
            State::Waiting => Broken::Early { refusal: Refusal::ResponseClosed, unsent: !self.sent },
            State::Delivering => Broken::Midway,
        }
    }

    /// The endpoint closed: the end of a body that lasts until then, a failure of everything else.
    fn link_ended(&mut self, cx: &mut Context<'_>) -> Result<Option<End>, Broken> {
        self.exchange.facts.answered = None;
        if self.state == State::Waiting || self.body.finish().is_err() {
            return Err(self.link_failed());
        }
        let core = self.core;
        let mut out = core.out.borrow_mut();
        out.clear();
        self.end_coder(&mut out)?;
        if self.delivery == Delivery::Chunked {
            out.extend_from_slice(encode::LAST_CHUNK);
        }
        self.write_down(cx, &out, &[])?;
        Ok(Some(End::Complete { reusable: false }))
    }

    /// Takes what the endpoint sent.
    fn take(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Result<Option<End>, Broken> {
        if self.state == State::Delivering {
            self.exchange.facts.answered = None;
            let core = self.core;
            let mut out = core.out.borrow_mut();
            out.clear();
            return self.deliver(cx, &mut out, bytes);
        }
        if self.exchange.reply.is_empty() {
            return self.take_head(cx, bytes);
        }
        let mut reply = std::mem::take(&mut self.exchange.reply);
        reply.extend_from_slice(bytes);
        let end = self.take_head(cx, &reply);
        if self.exchange.reply.is_empty() {
            reply.clear();
            self.exchange.reply = reply;
        }
        end
    }

    fn take_head(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Result<Option<End>, Broken> {
        let mut bytes = bytes;
        loop {
            let method = self.exchange.head.method;
            let limits = &self.live.plan.server.limits.wire;
            match self.exchange.response.parse(bytes, method, limits) {
                Ok(true) => {}
                Ok(false) => {
                    self.exchange.reply.extend_from_slice(bytes);
                    return Ok(None);
                }
                Err(malformed) => return Err(early(Refusal::ResponseMalformed(malformed))),
            }
            let len = self.exchange.response.len as usize;
            if self.exchange.response.status == 101 {
                return self.switch(cx, bytes, len).map(Some);
            }
            if !self.exchange.response.is_interim() {
                if is_coded(&self.exchange.response, bytes) {
                    return Err(early(Refusal::ResponseMalformed(Malformed::TransferEncodingUnknown)));
                }
                return self.begin_delivery(cx, bytes, len);
            }
            self.relay_interim(cx, bytes)?;
            bytes = &bytes[len..];
            if bytes.is_empty() {
                return Ok(None);
            }
        }
    }

    /// 1xx goes on to clients that know it; 100 only to those that asked.
    fn relay_interim(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Result<(), Broken> {
        let head = &self.exchange.head;
        let asked = self.exchange.response.status != 100 || head.expect_continue;
        if head.version == Version::Http10 || self.exchange.is_fill() || !asked {
            return Ok(());
        }
        let core = self.core;
        let mut out = core.out.borrow_mut();
        out.clear();
        inbound::interim(&mut out, self.exchange, bytes, self.route);
        self.write_down(cx, &out, &[])
    }

    /// A tunnel opens only after a 101 that was asked for, to the protocol that was asked for.
    fn switch(&mut self, cx: &mut Context<'_>, bytes: &[u8], len: usize) -> Result<End, Broken> {
        let named =
            self.exchange.response.headers.get(wire::Field::Upgrade).map(|header| header.value.of(bytes));
        let asked = outbound::upgrade_asked(self.exchange);
        let agreed = asked.zip(named).is_some_and(|(asked, named)| {
            asked
                .split(|&byte| byte == b',')
                .any(|asked| asked.trim_ascii().eq_ignore_ascii_case(named.trim_ascii()))
        });
        if !agreed || !self.upload.done {
            return Err(early(Refusal::UpgradeUnasked));
        }
        self.note_head();
        let core = self.core;
        let mut out = core.out.borrow_mut();
        out.clear();
        inbound::switching(&mut out, self.live, self.exchange, bytes, self.route);
        self.write_down(cx, &out, &bytes[len..])?;
        Ok(End::Switched)
    }

    /// Notes that the response's head has come.
    fn note_head(&mut self) {
        let facts = &mut self.exchange.facts;
        facts.status = self.exchange.response.status;
        let now = self.core.now();
        facts.times.wait = now.since(facts.sent);
        facts.answered = Some(now);
        if let Some(told) = &self.exchange.told {
            told.set(Some(self.exchange.facts));
        }
    }

    fn begin_delivery(
        &mut self,
        cx: &mut Context<'_>,
        bytes: &[u8],
        len: usize,
    ) -> Result<Option<End>, Broken> {
        self.note_head();
        cached::invalidate(self.core, self.live, self.route, self.exchange, bytes);
        self.state = State::Delivering;
        let shape = self.shape(bytes, len);
        self.delivery = inbound::delivery(self.exchange, shape);
        self.body = BodyReader::new(self.exchange.response.framing, &self.live.plan.server.limits.wire);
        // A body that is still on its way up cannot be told from the next request once the response
        // is out, so the connection ends with it.
        let goes_on = self.delivery != Delivery::Close && self.upload.done;
        self.client.unread = !self.upload.done;
        self.client.keep_alive &= goes_on && !self.core.shared.is_draining();
        let core = self.core;
        let mut out = core.out.borrow_mut();
        out.clear();
        let hop = inbound::Hop {
            core,
            live: self.live,
            route: self.route,
            keep_alive: self.client.keep_alive,
            sticky: self.sticky,
            shape,
        };
        inbound::head(&mut out, hop, self.exchange, bytes);
        match shape {
            Shape::Coded { length: Some(_), .. } => self.deliver_whole(cx, &mut out, &bytes[len..]),
            _ => self.deliver(cx, &mut out, &bytes[len..]),
        }
    }

    /// Passes body bytes on, behind what `out` holds already.
    fn deliver(
        &mut self,
        cx: &mut Context<'_>,
        out: &mut Vec<u8>,
        bytes: &[u8],
    ) -> Result<Option<End>, Broken> {
        if self.coder.is_some() {
            return self.deliver_coded(cx, out, bytes);
        }
        let mut rest = bytes;
        let mut plain: &[u8] = &[];
        let mut failed = false;
        let whole = matches!(self.exchange.response.framing, Framing::Length(_) | Framing::Close);
        while !self.body.is_done() && !rest.is_empty() {
            let Ok(piece) = self.body.read(rest) else {
                failed = true; // What was good until here still goes out.
                break;
            };
            let data = &rest[piece.data];
            match self.delivery {
                Delivery::Chunked if !data.is_empty() => encode::chunk(out, data),
                Delivery::Chunked | Delivery::Empty => {}
                Delivery::Length | Delivery::Close if whole => plain = data,
                Delivery::Length | Delivery::Close => out.extend_from_slice(data),
            }
            rest = &rest[piece.consumed..];
            if piece.consumed == 0 {
                break;
            }
        }
        let done = self.body.is_done();
        if done {
            self.surplus = !rest.is_empty();
            if self.delivery == Delivery::Chunked {
                out.extend_from_slice(encode::LAST_CHUNK);
            }
        }
        self.write_body(cx, out, plain)?;
        if failed {
            return Err(Broken::Midway);
        }
        Ok(done.then(|| self.complete()))
    }

    /// Writes a piece of the body behind `out`; a short one is copied there.
    fn write_body(&mut self, cx: &mut Context<'_>, out: &mut Vec<u8>, plain: &[u8]) -> Result<(), Broken> {
        if plain.len() > COPY_BYTES {
            return self.write_down(cx, out, plain);
        }
        out.extend_from_slice(plain);
        self.write_down(cx, out, &[])
    }

    /// The whole response was read.
    fn complete(&self) -> End {
        End::Complete {
            reusable: self.exchange.response.keep_alive
                && !self.surplus
                && self.upload.done
                && !self.upload.shut
                && self.exchange.upload.is_empty(),
        }
    }

    /// Writes towards the client; what it does not take now waits in the backlog.
    fn write_down(&mut self, cx: &mut Context<'_>, out: &[u8], plain: &[u8]) -> Result<(), Broken> {
        self.exchange.facts.sent_bytes += (out.len() + plain.len()) as u64;
        if out.is_empty() && plain.is_empty() {
            return Ok(());
        }
        let written = if !self.exchange.download.is_empty() {
            Poll::Pending
        } else if plain.is_empty() {
            self.client.stream.poll_write(cx, out)
        } else {
            self.client.stream.poll_write_both(cx, out, plain)
        };
        let written = match written {
            Poll::Ready(Ok(written)) => written,
            Poll::Ready(Err(_)) => return Err(Broken::ClientGone(Stage::Deliver)),
            Poll::Pending => 0,
        };
        if written < out.len() {
            self.exchange.download.push(&out[written..]);
        }
        self.exchange.download.push(&plain[written.saturating_sub(out.len()).min(plain.len())..]);
        Ok(())
    }

    /// Notices that the client has left while its response is awaited. What it sends meanwhile is
    /// the next request: kept, one piece at most.
    fn watch_client(&mut self, cx: &mut Context<'_>) -> Option<Broken> {
        let watching = self.watching || self.state == State::Delivering;
        if !watching || !self.upload.done || !self.client.pending.is_empty() {
            return None;
        }
        let stage = if self.state == State::Waiting { Stage::Wait } else { Stage::Deliver };
        let mut scratch = self.core.scratch.borrow_mut();
        match self.client.stream.poll_read(cx, &mut scratch) {
            Poll::Ready(Ok(0) | Err(_)) => Some(Broken::ClientGone(stage)),
            Poll::Ready(Ok(read)) => {
                self.client.pending.extend_from_slice(&scratch[..read]);
                None
            }
            Poll::Pending => None,
        }
    }

    /// The deadline has passed: whose fault that is depends on what was waited for. `None`: it was
    /// only time to begin to watch the client.
    fn timed_out(&mut self) -> Option<Broken> {
        let uploading = !self.upload.done && !self.upload.shut;
        let response = self.route.timeouts.response;
        match self.state {
            State::Delivering if self.client.stream.is_kept_back() => {
                self.client.timer.set(self.download_timeout());
                None
            }
            State::Delivering if !self.exchange.download.is_empty() => {
                Some(Broken::ClientGone(Stage::Deliver))
            }
            State::Delivering => Some(Broken::Midway),
            State::Waiting if !self.exchange.upload.is_empty() => Some(early(Refusal::ResponseTimeout)),
            State::Waiting if uploading => Some(Broken::Refused(Refusal::BodyTimeout)),
            State::Waiting
                if !self.watching && !(Duration::from_nanos(1)..=WATCH_AFTER).contains(&response) =>
            {
                self.watching = true;
                self.due = self.core.now().plus(response.saturating_sub(WATCH_AFTER));
                self.client.timer.set(self.upload_timeout());
                None
            }
            State::Waiting if self.watching && self.core.now() < self.due => {
                self.lease.linger(self.core.now());
                self.client.timer.set(self.upload_timeout());
                None
            }
            State::Waiting => Some(early(Refusal::ResponseTimeout)),
        }
    }
}

/// Whether the body is in a transfer coding other than chunked, which nobody asked for (no `TE` is
/// sent on) and which would reach the client undeclared.
fn is_coded(response: &ResponseHead, bytes: &[u8]) -> bool {
    response.framing == Framing::Close
        && response
            .headers
            .all(wire::Field::TransferEncoding)
            .any(|header| !header.value.of(bytes).eq_ignore_ascii_case(b"identity"))
}

fn early(refusal: Refusal) -> Broken {
    Broken::Early { refusal, unsent: false }
}

/// Whether an error of a connection attempt says that nothing listens there.
pub fn connect_refusal(error: &io::Error) -> Refusal {
    if error.kind() == io::ErrorKind::TimedOut { Refusal::ConnectTimeout } else { Refusal::ConnectFailed }
}
