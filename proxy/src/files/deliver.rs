//! A file on its way into a client's connection: out of memory in one write with its head, or from the disk's cache by
//! `sendfile`, in pieces between which others have their turn.

use std::future::poll_fn;
use std::io;
use std::pin::pin;
use std::task::{Context, Poll};

use cache::range::{self, Slice};
use signals::request::{Stage, Who};
use tokio::task::yield_now;

use super::At;
use super::item::{Body, Item};
use crate::client::Client;
use crate::exchange::Exchange;
use crate::pipeline::Stop;
use crate::transfer::COPY_BYTES;

/// Bytes that are sent before other connections have their turn: what a cold disk holds up the core for at once.
pub const TURN_BYTES: u64 = 256 * 1024;

/// What stands between the parts of a body in several parts.
pub type Boundary = [u8; 24];

/// Which parts of a file are sent.
#[derive(Debug)]
pub enum Parts {
    /// Its head alone.
    None,
    /// One run of bytes, perhaps all of them.
    One(Slice),
    /// Several, each with a head of its own.
    Several(Box<[Slice]>, Boundary),
}

impl Parts {
    /// All of a file.
    pub const fn whole(item: &Item) -> Self {
        if item.len == 0 { Self::None } else { Self::One(Slice { start: 0, end: item.len }) }
    }
}

/// Sends the head that lies in the core's buffer, and parts of a file behind it. A file that turns out to be shorter
/// than it was cuts the connection off, for its client was told a length.
pub async fn deliver(
    at: At<'_>,
    client: &mut Client,
    exchange: &mut Exchange,
    item: &Item,
    parts: Parts,
) -> Result<(), Stop> {
    let slice = Slice::default();
    let mut sending = Sending { at, client, exchange, item, parts, next: 0, slice, has_moved: true };
    sending.begin();
    // Nothing else runs on this core before the first poll, so the head still lies where it was written.
    let mut is_begun = false;
    poll_fn(|cx| {
        let begun = std::mem::replace(&mut is_begun, true);
        let result = if begun { Ok(()) } else { sending.send_first(cx) };
        match result {
            Ok(()) => sending.poll(cx),
            Err(stop) => Poll::Ready(Err(stop)),
        }
    })
    .await
}

/// A file that is being sent.
///
/// ```text
/// part's head ──▶ part's bytes ──▶ next part … ──▶ end of parts
/// ```
struct Sending<'a> {
    at: At<'a>,
    client: &'a mut Client,
    exchange: &'a mut Exchange,
    item: &'a Item,
    parts: Parts,
    /// Index of the part behind the current one.
    next: usize,
    /// What is left of the current part.
    slice: Slice,
    /// Something was written since the deadline was set.
    has_moved: bool,
}

impl Sending<'_> {
    /// Takes up the part if there is only one, so that it goes out with the head. A short one is put behind it, since
    /// one buffer is written more cheaply than two.
    fn begin(&mut self) {
        let Parts::One(slice) = self.parts else { return };
        self.parts = Parts::None;
        match &self.item.body {
            Body::Memory(bytes) if slice.len() <= COPY_BYTES as u64 => {
                self.at.core.out.borrow_mut().extend_from_slice(slice_of(bytes, slice));
            }
            _ => self.slice = slice,
        }
    }

    /// Writes the head, and in the same call what follows it from memory.
    fn send_first(&mut self, cx: &mut Context<'_>) -> Result<(), Stop> {
        let head = self.at.core.out.borrow();
        let stream = &mut self.client.stream;
        let written = match &self.item.body {
            Body::Memory(bytes) if !self.slice.is_empty() => {
                stream.poll_write_both(cx, &head, slice_of(bytes, self.slice))
            }
            Body::Disk(_) if !self.slice.is_empty() => stream.poll_write_more(cx, &head),
            _ => stream.poll_write(cx, &head),
        };
        let written = match written {
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
                    if std::mem::take(&mut self.has_moved) {
                        self.client.timer.set(self.at.live.plan.server.timeouts.write);
                    }
                    let write = self.at.live.plan.server.timeouts.write;
                    return self.client.poll_stalled(cx, write).map(|()| Err(gone()));
                }
            }
        }
    }

    /// Sends once: what waits in the backlog, or a piece of the file.
    fn send(&mut self, cx: &mut Context<'_>) -> Poll<Result<u64, Stop>> {
        if !self.exchange.download.is_empty() {
            let before = self.exchange.download.rest().len();
            return self.client.poll_flush(cx, &mut self.exchange.download).map(|result| match result {
                Ok(_) => Ok((before - self.exchange.download.rest().len()) as u64),
                Err(_) => Err(gone()),
            });
        }
        let stream = &mut self.client.stream;
        let sent = match &self.item.body {
            Body::Memory(bytes) => stream.poll_write(cx, slice_of(bytes, self.slice)),
            Body::Disk(file) => {
                let most = self.slice.len().min(TURN_BYTES) as usize;
                let mut scratch = self.at.core.scratch.borrow_mut();
                stream.poll_send_file(cx, file, self.slice.start, most, &mut scratch)
            }
        };
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

    /// Takes up the next part and puts its head into the backlog; false when there is nothing more.
    fn take_next(&mut self) -> bool {
        let Parts::Several(slices, boundary) = &self.parts else { return false };
        let mut head = self.at.core.out.borrow_mut();
        head.clear();
        let goes_on = match slices.get(self.next) {
            Some(&slice) => {
                let whole = &self.exchange.reply;
                range::write_part_head(whole, slice, self.item.len, boundary, self.next == 0, &mut head);
                self.slice = slice;
                true
            }
            None if self.next == slices.len() => {
                range::write_parts_end(boundary, &mut head);
                true
            }
            None => false,
        };
        self.next += 1;
        self.exchange.facts.sent_bytes += head.len() as u64;
        self.exchange.download.push(&head);
        goes_on
    }
}

fn slice_of(bytes: &[u8], slice: Slice) -> &[u8] {
    &bytes[slice.start as usize..slice.end as usize]
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
