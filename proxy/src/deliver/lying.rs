//! A body that lies on disk, on its way to a client: from the disk's cache by `sendfile`, in pieces between which others
//! have their turn.

use std::future::poll_fn;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use cache::Entry;
use cache::range::Slice;
use signals::request::{Stage, Who};
use tokio::task::yield_now;

use crate::client::Client;
use crate::disk::Lying;
use crate::exchange::Exchange;
use crate::forward::To;
use crate::pipeline::Stop;

/// Bytes that are sent before other connections have their turn: what a cold disk holds up the core for at once.
const TURN_BYTES: u64 = 256 * 1024;

/// Sends what is in the core's buffer, and behind it a part of a body. One that turns out not to be there any more cuts
/// the connection off, for its client was told a length, and is not offered again.
pub async fn send(
    to: To<'_>,
    client: &mut Client,
    exchange: &mut Exchange,
    (entry, lying): (&Arc<Entry>, &Lying),
    slice: Slice,
) -> Result<(), Stop> {
    let mut sending = Sending { to, client, exchange, lying, slice, has_moved: true };
    // Nothing else runs on this core before the first poll, so the head still lies where it was written.
    let mut is_begun = false;
    let sent = poll_fn(|cx| {
        let begun = std::mem::replace(&mut is_begun, true);
        match if begun { Ok(()) } else { sending.send_head(cx) } {
            Ok(()) => sending.poll(cx),
            Err(stop) => Poll::Ready(Err(stop)),
        }
    })
    .await;
    let is_lost = matches!(sent, Err(Stop::Cut(Who::Tidegate, _)));
    if is_lost || lying.is_gone() {
        to.core.shared.cache.swap(entry, None);
    }
    sent
}

struct Sending<'a> {
    to: To<'a>,
    client: &'a mut Client,
    exchange: &'a mut Exchange,
    lying: &'a Lying,
    /// What is left.
    slice: Slice,
    /// Something was written since the deadline was set.
    has_moved: bool,
}

impl Sending<'_> {
    fn send_head(&mut self, cx: &mut Context<'_>) -> Result<(), Stop> {
        let head = self.to.core.out.borrow();
        let stream = &mut self.client.stream;
        let written = if self.slice.is_empty() {
            stream.poll_write(cx, &head)
        } else {
            stream.poll_write_more(cx, &head)
        };
        let written = match written {
            Poll::Ready(Ok(written)) => written,
            Poll::Ready(Err(_)) => return Err(gone()),
            Poll::Pending => 0,
        };
        self.exchange.facts.sent_bytes += head.len() as u64;
        self.exchange.download.push(&head[written..]);
        Ok(())
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Stop>> {
        let mut turn = 0;
        loop {
            if self.exchange.download.is_empty() && self.slice.is_empty() {
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
                    if std::mem::take(&mut self.has_moved) {
                        self.client.timer.set(self.to.live.plan.server.timeouts.write);
                    }
                    return self.client.timer.poll(cx).map(|()| Err(gone()));
                }
            }
        }
    }

    /// Sends once: what waits in the backlog, or a piece of the body.
    fn send(&mut self, cx: &mut Context<'_>) -> Poll<Result<u64, Stop>> {
        if !self.exchange.download.is_empty() {
            let before = self.exchange.download.rest().len();
            return self.client.poll_flush(cx, &mut self.exchange.download).map(|result| match result {
                Ok(_) => Ok((before - self.exchange.download.rest().len()) as u64),
                Err(_) => Err(gone()),
            });
        }
        let most = self.slice.len().min(TURN_BYTES) as usize;
        let offset = self.lying.start() + self.slice.start;
        let mut scratch = self.to.core.scratch.borrow_mut();
        let sent = self.client.stream.poll_send_file(cx, self.lying.file(), offset, most, &mut scratch);
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
}

/// The client has left, or takes nothing.
const fn gone() -> Stop {
    Stop::Cut(Who::Client, Stage::Deliver)
}

/// Whether an error of sending a file is one of the connection and not of the disk.
fn is_of_client(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, NotConnected, TimedOut};
    matches!(error.kind(), BrokenPipe | ConnectionAborted | ConnectionReset | NotConnected | TimedOut)
}
