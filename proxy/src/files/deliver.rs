//! A file on its way into a client's connection: out of memory in one write with its head, or from the disk's cache by
//! `sendfile`.

use std::io;
use std::task::{Context, Poll};

use cache::range::{self, Slice};

use super::At;
use super::item::{Body, Item};
use crate::client::Client;
use crate::core::Core;
use crate::exchange::Exchange;
use crate::pipeline::Stop;
use crate::sending::{self, Source, TURN_BYTES};
use crate::stream::Stream;
use crate::transfer::COPY_BYTES;

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

/// Sends the head that lies in the core's buffer, and parts of a file behind it.
pub async fn deliver(
    at: At<'_>,
    client: &mut Client,
    exchange: &mut Exchange,
    item: &Item,
    parts: Parts,
) -> Result<(), Stop> {
    let mut sent = Sent { item, parts, next: 0 };
    let slice = sent.begin(at.core);
    sending::send(at.core, at.live, client, exchange, &mut sent, slice).await
}

/// A file that is being sent.
///
/// ```text
/// part's head ──▶ part's bytes ──▶ next part … ──▶ end of parts
/// ```
struct Sent<'a> {
    item: &'a Item,
    parts: Parts,
    /// Index of the part behind the current one.
    next: usize,
}

impl Sent<'_> {
    /// Takes up the part if there is only one, so that it goes out with the head. A short one is put behind it, since
    /// one buffer is written more cheaply than two.
    fn begin(&mut self, core: &Core) -> Slice {
        let Parts::One(slice) = self.parts else { return Slice::default() };
        self.parts = Parts::None;
        match &self.item.body {
            Body::Memory(bytes) if slice.len() <= COPY_BYTES as u64 => {
                core.out.borrow_mut().extend_from_slice(slice_of(bytes, slice));
                Slice::default()
            }
            _ => slice,
        }
    }
}

impl Source for Sent<'_> {
    fn first(
        &mut self,
        cx: &mut Context<'_>,
        stream: &mut Stream,
        head: &[u8],
        slice: Slice,
    ) -> Poll<io::Result<usize>> {
        match &self.item.body {
            Body::Memory(bytes) if !slice.is_empty() => {
                stream.poll_write_both(cx, head, slice_of(bytes, slice))
            }
            Body::Disk(_) if !slice.is_empty() => stream.poll_write_more(cx, head),
            _ => stream.poll_write(cx, head),
        }
    }

    fn piece(
        &mut self,
        cx: &mut Context<'_>,
        stream: &mut Stream,
        core: &Core,
        slice: Slice,
    ) -> Poll<io::Result<usize>> {
        match &self.item.body {
            Body::Memory(bytes) => stream.poll_write(cx, slice_of(bytes, slice)),
            Body::Disk(file) => {
                let most = slice.len().min(TURN_BYTES) as usize;
                let mut scratch = core.scratch.borrow_mut();
                stream.poll_send_file(cx, file, slice.start, most, &mut scratch)
            }
        }
    }

    fn next(&mut self, exchange: &Exchange, head: &mut Vec<u8>) -> Option<Slice> {
        let Parts::Several(slices, boundary) = &self.parts else { return None };
        let at = self.next;
        self.next += 1;
        if let Some(&slice) = slices.get(at) {
            range::write_part_head(&exchange.reply, slice, self.item.len, boundary, at == 0, head);
            return Some(slice);
        }
        (at == slices.len()).then(|| {
            range::write_parts_end(boundary, head);
            Slice::default()
        })
    }
}

fn slice_of(bytes: &[u8], slice: Slice) -> &[u8] {
    &bytes[slice.start as usize..slice.end as usize]
}
