//! Bytes on their way into a client's connection from where they lie, in memory or in a file: a head, and behind it
//! piece by piece what follows, between which others have their turn.

use std::future::poll_fn;
use std::io;
use std::pin::pin;
use std::task::{Context, Poll, ready};

use cache::range::Slice;
use signals::request::{Stage, Who};
use tokio::task::yield_now;

use crate::client::Client;
use crate::core::Core;
use crate::exchange::Exchange;
use crate::live::Live;
use crate::pipeline::Stop;
use crate::stream::Stream;

/// Bytes that are sent before other connections have their turn: what a cold disk holds up the core for at once.
pub const TURN_BYTES: u64 = 256 * 1024;

/// What is sent.
pub trait Source {
    /// Writes once: the head, and what of the slice can go with it in the same call.
    fn first(
        &mut self,
        cx: &mut Context<'_>,
        stream: &mut Stream,
        head: &[u8],
        slice: Slice,
    ) -> Poll<io::Result<usize>>;

    /// Writes once of the slice, [`TURN_BYTES`] at most.
    fn piece(
        &mut self,
        cx: &mut Context<'_>,
        stream: &mut Stream,
        core: &Core,
        slice: Slice,
    ) -> Poll<io::Result<usize>>;

    /// Writes what comes before the next slice into `head`; `None` when there is nothing more.
    fn next(&mut self, exchange: &Exchange, head: &mut Vec<u8>) -> Option<Slice> {
        let _ = (exchange, head);
        None
    }
}

/// Sends the head that lies in the core's buffer, and a slice behind it. What turns out to be shorter than it was cuts
/// the connection off, for its client was told a length.
pub async fn send(
    core: &Core,
    live: &Live,
    client: &mut Client,
    exchange: &mut Exchange,
    source: &mut impl Source,
    slice: Slice,
) -> Result<(), Stop> {
    let mut sending = Sending { core, live, client, exchange, source, slice, has_moved: true };
    // Nothing else runs on this core before the first poll, so the head still lies where it was written.
    let mut is_begun = false;
    poll_fn(|cx| {
        let begun = std::mem::replace(&mut is_begun, true);
        match if begun { Ok(()) } else { sending.begin(cx) } {
            Ok(()) => sending.poll(cx),
            Err(stop) => Poll::Ready(Err(stop)),
        }
    })
    .await
}

struct Sending<'a, S> {
    core: &'a Core,
    live: &'a Live,
    client: &'a mut Client,
    exchange: &'a mut Exchange,
    source: &'a mut S,
    /// What is left of the current one.
    slice: Slice,
    /// Something was written since the deadline was set.
    has_moved: bool,
}

impl<S: Source> Sending<'_, S> {
    /// Writes the head, and what goes with it.
    fn begin(&mut self, cx: &mut Context<'_>) -> Result<(), Stop> {
        let head = self.core.out.borrow();
        let written = match self.source.first(cx, &mut self.client.stream, &head, self.slice) {
            Poll::Ready(Ok(written)) => written,
            Poll::Ready(Err(_)) => return Err(gone()),
            Poll::Pending => 0,
        };
        self.exchange.facts.sent_bytes += written.max(head.len()) as u64;
        self.exchange.download.push(&head[written.min(head.len())..]);
        self.slice.start += written.saturating_sub(head.len()) as u64;
        Ok(())
    }

    /// Sends what the connection takes.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Stop>> {
        let mut turn = 0;
        loop {
            if self.exchange.download.is_empty() && self.slice.is_empty() && !self.take_next() {
                return Poll::Ready(Ok(()));
            }
            if turn >= TURN_BYTES {
                // Woken again once the event loop has looked at what came for the others.
                let _ = pin!(yield_now()).poll(cx);
                return Poll::Pending;
            }
            match self.send(cx) {
                Poll::Ready(Ok(sent)) => {
                    turn += sent;
                    self.has_moved = true;
                }
                Poll::Ready(Err(stop)) => return Poll::Ready(Err(stop)),
                Poll::Pending => {
                    let write = self.live.plan.server.timeouts.write;
                    if std::mem::take(&mut self.has_moved) {
                        self.client.timer.set(write);
                    }
                    return self.client.poll_stalled(cx, write).map(|()| Err(gone()));
                }
            }
        }
    }

    /// Sends once: what waits in the backlog, or a piece.
    fn send(&mut self, cx: &mut Context<'_>) -> Poll<Result<u64, Stop>> {
        if !self.exchange.download.is_empty() {
            let before = self.exchange.download.rest().len();
            return match ready!(self.client.poll_flush(cx, &mut self.exchange.download)) {
                Ok(_) => Poll::Ready(Ok((before - self.exchange.download.rest().len()) as u64)),
                Err(_) => Poll::Ready(Err(gone())),
            };
        }
        let sent = self.source.piece(cx, &mut self.client.stream, self.core, self.slice);
        sent.map(|result| match result {
            Ok(sent) if sent > 0 => {
                self.slice.start += sent as u64;
                self.exchange.facts.sent_bytes += sent as u64;
                Ok(sent as u64)
            }
            Err(error) if is_of_client(&error) => Err(gone()),
            // The file is shorter than it was, or cannot be read.
            Ok(_) | Err(_) => Err(Stop::Cut(Who::Tidegate, Stage::Deliver)),
        })
    }

    /// Takes up the next slice and puts its head into the backlog; false when there is nothing more.
    fn take_next(&mut self) -> bool {
        let mut head = self.core.out.borrow_mut();
        head.clear();
        let Some(slice) = self.source.next(self.exchange, &mut head) else { return false };
        self.slice = slice;
        self.exchange.facts.sent_bytes += head.len() as u64;
        self.exchange.download.push(&head);
        true
    }
}

/// The client has left, or takes nothing.
pub const fn gone() -> Stop {
    Stop::Cut(Who::Client, Stage::Deliver)
}

/// Whether an error of sending a file is one of the connection and not of the disk.
fn is_of_client(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, NotConnected, TimedOut};
    matches!(error.kind(), BrokenPipe | ConnectionAborted | ConnectionReset | NotConnected | TimedOut)
}
