//! One client connection: its stream, what it sent ahead, its deadline.

use std::future::poll_fn;
use std::io;
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use crate::core::{Core, Peer};
use crate::exchange::{Backlog, Exchange, Held};
use crate::live::Live;
use crate::stream::Stream;
use crate::timers::Timer;
use traffic::Refusal;

/// A client that is told to leave gets this long to close before it is cut off.
const LINGER: Duration = Duration::from_secs(2);

/// Bytes that a leaving client may still send before it is cut off.
const LINGER_BYTES: usize = 256 * 1024;

/// When Tidegate drains, a connection that has not asked for anything gets this long to do so.
const LAST_MOMENT: Duration = Duration::from_secs(1);

/// A client connection. Dropped in the middle of a response it is reset, so that nobody takes the
/// beginning of a response for all of it.
#[derive(Debug)]
pub struct Client {
    /// Its bytes.
    pub stream: Stream,
    /// Who it is.
    pub peer: Peer,
    /// Bytes that came before they were asked for: part of a head, pipelined requests.
    pub pending: Vec<u8>,
    /// Deadline of whatever it is waited for.
    pub timer: Timer,
    /// Requests served.
    pub served: u64,
    /// Whether the connection stays open after this response.
    pub keep_alive: bool,
    /// Part of this request's body may still be on its way.
    pub unread: bool,
    /// A response is under way, so that a plain close would make its beginning look like all of it.
    pub is_torn: bool,
    /// Tidegate drains, and this connection has been given its last moment to ask.
    is_hurried: bool,
}

impl Drop for Client {
    fn drop(&mut self) {
        if self.is_torn {
            self.stream.reset_on_close();
        }
    }
}

/// How waiting for a request's head ended.
#[derive(Debug)]
pub enum Arrival {
    /// A whole head, and perhaps more.
    Head(Held),
    /// The client left between requests, was silent too long between them, or Tidegate drains.
    Left,
    /// The head breaks the rules or came too slowly; what came of it is kept for the log.
    Refused(Refusal, Held),
}

impl Client {
    /// A connection that has just been accepted.
    pub fn new(core: &Rc<Core>, stream: Stream, peer: Peer) -> Self {
        Self {
            stream,
            peer,
            pending: Vec::new(),
            timer: core.timers.timer(),
            served: 0,
            keep_alive: true,
            unread: false,
            is_torn: false,
            is_hurried: false,
        }
    }

    /// Waits for the next request's head.
    pub async fn next_head(&mut self, core: &Core) -> Arrival {
        if !self.pending.is_empty() {
            let pending = std::mem::take(&mut self.pending);
            if let Some(arrival) = self.parse(core, &core.live(), &pending) {
                self.recycle(pending);
                return arrival;
            }
        }
        {
            let timeouts = &core.live().plan.server.timeouts;
            // The first head is due from the accept on, later ones from their first byte on.
            let first = self.served == 0 || !self.pending.is_empty();
            self.timer.set(if first { timeouts.head } else { timeouts.idle });
        }
        poll_fn(|cx| self.poll_head(cx, core)).await
    }

    fn poll_head(&mut self, cx: &mut Context<'_>, core: &Core) -> Poll<Arrival> {
        loop {
            let is_leaving = core.shared.is_draining() && self.pending.is_empty();
            // The first request of a connection that has just been accepted may be on its way.
            if is_leaving && self.served == 0 && !std::mem::replace(&mut self.is_hurried, true) {
                self.timer.set(LAST_MOMENT);
            }
            let mut scratch = core.scratch.borrow_mut();
            match self.stream.poll_read(cx, &mut scratch) {
                Poll::Ready(Ok(0)) if self.pending.is_empty() => return Poll::Ready(Arrival::Left),
                Poll::Ready(Ok(0)) => {
                    return Poll::Ready(self.refused(core, Refusal::Malformed(wire::Malformed::Truncated)));
                }
                Poll::Ready(Err(_)) => return Poll::Ready(Arrival::Left),
                Poll::Ready(Ok(read)) => {
                    let live = core.live();
                    let began = self.pending.is_empty();
                    let arrival = if began {
                        self.parse(core, &live, &scratch[..read])
                    } else {
                        let mut pending = std::mem::take(&mut self.pending);
                        pending.extend_from_slice(&scratch[..read]);
                        let arrival = self.parse(core, &live, &pending);
                        if arrival.is_some() {
                            self.recycle(pending);
                        }
                        arrival
                    };
                    if let Some(arrival) = arrival {
                        return Poll::Ready(arrival);
                    }
                    if began && (self.served > 0 || self.is_hurried) {
                        self.timer.set(live.plan.server.timeouts.head);
                    }
                }
                // What has arrived by now is answered.
                Poll::Pending if is_leaving && self.served > 0 => return Poll::Ready(Arrival::Left),
                Poll::Pending => {
                    drop(scratch);
                    ready!(self.timer.poll(cx));
                    if self.pending.is_empty() {
                        return Poll::Ready(Arrival::Left);
                    }
                    return Poll::Ready(self.refused(core, Refusal::HeadTimeout));
                }
            }
        }
    }

    /// Parses a head out of `bytes`; keeps them in `pending` while it is not whole.
    fn parse(&mut self, core: &Core, live: &Live, bytes: &[u8]) -> Option<Arrival> {
        let mut exchange = core.exchanges.take();
        match exchange.head.parse(bytes, &live.plan.server.limits.wire) {
            Ok(true) => {
                exchange.input.extend_from_slice(bytes);
                self.timer.clear();
                Some(Arrival::Head(exchange))
            }
            Ok(false) => {
                self.pending.clear();
                self.pending.extend_from_slice(bytes);
                None
            }
            Err(malformed) => {
                exchange.input.extend_from_slice(bytes);
                Some(Arrival::Refused(Refusal::Malformed(malformed), exchange))
            }
        }
    }

    fn refused(&mut self, core: &Core, refusal: Refusal) -> Arrival {
        let mut exchange = core.exchanges.take();
        exchange.input.append(&mut self.pending);
        Arrival::Refused(refusal, exchange)
    }

    /// Whether the client has left, asked while nobody reads from it.
    pub fn has_left(&mut self, core: &Core) -> bool {
        self.poll_left(&mut Context::from_waker(Waker::noop()), core).is_ready()
    }

    /// Ready once the client has left, asked while nobody else reads from it; what it has sent meanwhile is kept as
    /// its next request, one piece at most, and from then on nobody can tell.
    pub fn poll_left(&mut self, cx: &mut Context<'_>, core: &Core) -> Poll<()> {
        if !self.pending.is_empty() {
            return Poll::Pending;
        }
        let mut scratch = core.scratch.borrow_mut();
        match ready!(self.stream.poll_read(cx, &mut scratch)) {
            Ok(0) | Err(_) => Poll::Ready(()),
            Ok(read) => {
                self.pending.extend_from_slice(&scratch[..read]);
                Poll::Pending
            }
        }
    }

    /// Gives a buffer back to `pending` if that holds none, so that a connection that pipelines
    /// allocates once; an idle connection frees it in [`Client::rest`].
    fn recycle(&mut self, mut buffer: Vec<u8>) {
        if self.pending.capacity() == 0 {
            buffer.clear();
            self.pending = buffer;
        }
    }

    /// Holds nothing while idle.
    pub fn rest(&mut self) {
        if self.pending.is_empty() && self.pending.capacity() > 0 {
            self.pending = Vec::new();
        }
    }

    /// Writes what a response left in the backlog; false when the client is gone or took too long.
    pub async fn flush(&mut self, live: &Live, exchange: &mut Exchange) -> bool {
        if exchange.download.is_empty() {
            return true;
        }
        self.timer.set(live.plan.server.timeouts.write);
        poll_fn(|cx| {
            loop {
                match self.poll_flush(cx, &mut exchange.download) {
                    Poll::Ready(Ok(true)) => return Poll::Ready(true),
                    Poll::Ready(Ok(false)) => self.timer.set(live.plan.server.timeouts.write),
                    Poll::Ready(Err(_)) => return Poll::Ready(false),
                    Poll::Pending => {
                        return self.poll_stalled(cx, live.plan.server.timeouts.write).map(|()| false);
                    }
                }
            }
        })
        .await
    }

    /// Ready once the client has let its deadline pass, as long as it is the client who takes nothing. Where bytes are
    /// kept back by their pace, the deadline begins anew.
    pub fn poll_stalled(&mut self, cx: &mut Context<'_>, after: Duration) -> Poll<()> {
        ready!(self.timer.poll(cx));
        if !self.stream.is_kept_back() {
            return Poll::Ready(());
        }
        self.timer.set(after);
        self.timer.poll(cx)
    }

    /// Writes once from a backlog; `true` when it is empty then.
    pub fn poll_flush(&mut self, cx: &mut Context<'_>, backlog: &mut Backlog) -> Poll<io::Result<bool>> {
        if !backlog.is_empty() {
            let written = ready!(self.stream.poll_write(cx, backlog.rest()))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            backlog.advance(written);
        }
        Poll::Ready(Ok(backlog.is_empty()))
    }

    /// Closes politely: says that nothing more comes, and reads for a while what the client still
    /// sends, for a close with unread bytes would reset the connection and take the response with it
    /// (RFC 9112 section 9.6).
    pub async fn linger(mut self, core: &Core) {
        self.timer.set(LINGER);
        let mut taken = 0;
        poll_fn(|cx| {
            if self.stream.poll_shutdown(cx).is_ready() {
                loop {
                    match self.stream.poll_read(cx, &mut core.scratch.borrow_mut()) {
                        Poll::Ready(Ok(read)) if read > 0 && taken < LINGER_BYTES => taken += read,
                        Poll::Ready(_) => return Poll::Ready(()),
                        Poll::Pending => break,
                    }
                }
            }
            self.timer.poll(cx)
        })
        .await;
    }
}
