//! A body that lies on disk, on its way to a client: from the disk's cache by `sendfile`.

use std::io;
use std::sync::Arc;
use std::task::{Context, Poll};

use cache::Entry;
use cache::range::Slice;
use signals::request::Who;

use crate::client::Client;
use crate::core::Core;
use crate::disk::Lying;
use crate::exchange::Exchange;
use crate::forward::To;
use crate::pipeline::Stop;
use crate::sending::{self, Source, TURN_BYTES};
use crate::stream::Stream;

/// Sends what is in the core's buffer, and behind it a part of a body. One that turns out not to be there any more is not
/// offered again.
pub async fn send(
    to: To<'_>,
    client: &mut Client,
    exchange: &mut Exchange,
    (entry, lying): (&Arc<Entry>, &Lying),
    slice: Slice,
) -> Result<(), Stop> {
    let sent = sending::send(to.core, to.live, client, exchange, &mut &*lying, slice).await;
    let is_lost = matches!(sent, Err(Stop::Cut(Who::Tidegate, _)));
    if is_lost || lying.is_gone() {
        to.core.shared.cache.swap(entry, None);
    }
    sent
}

impl Source for &Lying {
    fn first(
        &mut self,
        cx: &mut Context<'_>,
        stream: &mut Stream,
        head: &[u8],
        slice: Slice,
    ) -> Poll<io::Result<usize>> {
        if slice.is_empty() { stream.poll_write(cx, head) } else { stream.poll_write_more(cx, head) }
    }

    fn piece(
        &mut self,
        cx: &mut Context<'_>,
        stream: &mut Stream,
        core: &Core,
        slice: Slice,
    ) -> Poll<io::Result<usize>> {
        let most = slice.len().min(TURN_BYTES) as usize;
        let mut scratch = core.scratch.borrow_mut();
        stream.poll_send_file(cx, self.file(), self.start() + slice.start, most, &mut scratch)
    }
}
