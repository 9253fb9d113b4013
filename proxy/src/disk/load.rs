//! Loading: reading a record, believing it or not, and giving it to whoever waits.

use std::os::unix::fs::FileExt;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use cache::disk::{Corrupt, Fault, HEAD_BYTES, Head, Lies, Sum, front, is_useful};
use cache::freshness::{self, Use};
use cache::{Ask, Body, Entry, Rules, Ticket, UnixMs, store::Tier, vary};
use tokio::sync::oneshot;
use tokio::time::timeout;
use wire::RequestHead;

use super::place::{Lying, Segment};
use super::{Below, Disk, Inner};
use crate::core::Core;
use crate::exchange::Exchange;

/// Longest that a request waits for the disk before the origin is asked.
const WAIT: Duration = Duration::from_secs(2);

/// Bytes of a record that are read at first.
const FIRST_BYTES: u64 = 64 * 1024;

/// The same where only what is in front of the body is wanted.
const LISTED_BYTES: u64 = 4 * 1024;

/// How far ahead of the clock something may have been stored. What is further ahead was stored by another clock, and
/// nobody knows how old it is.
const AHEAD_MS: u64 = 60_000;

/// Answers a fill from disk, if there is something of use for it. Else gives the ticket back.
///
/// # Errors
/// The ticket: the origin is to be asked.
pub async fn answer(
    core: &Rc<Core>,
    ticket: Ticket,
    head: &RequestHead,
    input: &[u8],
    rules: &Rules,
) -> Result<(), Ticket> {
    let (Some(disk), Ok(ask)) = (core.shared.disk.get(), Ask::read(head, input, rules)) else {
        return Err(ticket);
    };
    let filling = Arc::clone(ticket.filling());
    match disk.find(core, filling.key(), filling.key_hash(), &ask).await {
        Some(entry) => ticket.answer(entry).map(|_| disk.inner.lock().count_hit()),
        None => Err(ticket),
    }
}

/// What is on disk for a request that wants only what is stored (RFC 9111 section 5.2.1.7), and may have it without a
/// word to the origin. It is for that request alone: nobody follows it, since what others would do next is ask the origin.
pub async fn given_alone(core: &Rc<Core>, exchange: &Exchange, rules: &Rules) -> Option<Arc<Entry>> {
    let disk = core.shared.disk.get()?;
    let hash = core.shared.cache.seed().hash(&exchange.key);
    if !disk.has(hash) {
        return None;
    }
    let ask = Ask::read(&exchange.head, &exchange.input, rules).ok()?;
    let entry = disk.find(core, &exchange.key, hash, &ask).await?;
    let may = freshness::decide(&entry.terms(), &ask, core.unix_ms());
    matches!(may, Use::Fresh | Use::StaleWanted | Use::StaleWhileRevalidate).then(|| {
        disk.inner.lock().count_hit();
        entry
    })
}

fn is_of_use(entry: &Entry, now: UnixMs) -> bool {
    is_useful(&entry.terms(), now) && entry.stored_ms() <= now + AHEAD_MS
}

impl Disk {
    /// What is there for a request and of use, if it comes soon enough.
    async fn find(&self, core: &Core, key: &[u8], key_hash: u64, ask: &Ask<'_>) -> Option<Arc<Entry>> {
        let find = async {
            let first = self.load(key, key_hash).await?;
            // What was kept last for a key that varies tells the names.
            let Some(spec) = first.vary() else { return Some(first) };
            let hash = vary::hash(spec, ask, key_hash, core.shared.cache.seed());
            self.load(key, hash).await.filter(|entry| entry.fits(ask))
        };
        let Ok(found) = timeout(WAIT, find).await else {
            self.inner.count(Fault::Slow);
            return None;
        };
        found.filter(|entry| is_of_use(entry, core.unix_ms()))
    }

    async fn load(&self, key: &[u8], hash: u64) -> Option<Arc<Entry>> {
        let (send, receive) = oneshot::channel();
        // Whoever does not wait any more need not be told.
        Below(Arc::clone(&self.inner)).load(key, hash, Box::new(move |found| drop(send.send(found))));
        receive.await.ok().flatten()
    }
}

/// Why nothing is read.
enum Unread {
    Corrupt(Corrupt),
    Io(std::io::Error),
}

impl From<Corrupt> for Unread {
    fn from(why: Corrupt) -> Self {
        Self::Corrupt(why)
    }
}

impl From<std::io::Error> for Unread {
    fn from(error: std::io::Error) -> Self {
        Self::Io(error)
    }
}

impl Inner {
    /// Reads what is found under a hash. What does not add up, and what was purged, is forgotten and never given out.
    pub(super) fn read(&self, key: &[u8], hash: u64) -> Option<Arc<Entry>> {
        let lies = self.lock().find(hash)?;
        let segment = self.segments.get(lies.at.segment)?;
        let entry = match self.read_record(lies, &segment) {
            Ok(entry) => entry,
            Err(why) => {
                let fault = match &why {
                    Unread::Corrupt(why) => {
                        tracing::warn!(
                            segment = lies.at.segment,
                            "cache on disk: {}; it is dropped",
                            why.what()
                        );
                        Fault::Corrupt
                    }
                    Unread::Io(error) => {
                        tracing::warn!(segment = lies.at.segment, %error, "cache on disk: cannot read");
                        Fault::Read
                    }
                };
                let mut ledger = self.lock();
                ledger.count(fault);
                ledger.forget(hash, lies.at);
                return None;
            }
        };
        // Two keys may share a hash.
        if entry.key() != key {
            return None;
        }
        let mut ledger = self.lock();
        if ledger.is_purged(lies.at, &entry) {
            ledger.forget(hash, lies.at);
            return None;
        }
        Some(entry)
    }

    /// What lies somewhere, for a list: its body is not looked at. `None`: it is purged, or does not add up, which is told
    /// when it is asked for.
    pub(super) fn read_front(&self, lies: Lies) -> Option<Arc<Entry>> {
        let segment = self.segments.get(lies.at.segment)?;
        let (head, bytes) = read_start(lies, &segment, LISTED_BYTES).ok()?;
        let start = lies.at.offset_bytes() + head.body_start();
        let (_, text) = front(&bytes, lies.at).ok()?;
        let lying = Lying::new(segment, start, head.body_bytes, head.body_sum);
        let entry = text.entry(Body::Elsewhere(Arc::new(lying)));
        (!self.lock().is_purged(lies.at, &entry)).then_some(entry)
    }

    fn read_record(&self, lies: Lies, segment: &Arc<Segment>) -> Result<Arc<Entry>, Unread> {
        let (head, mut bytes) = read_start(lies, segment, FIRST_BYTES)?;
        let (start, body_start) = (lies.at.offset_bytes(), head.body_start());
        let is_large = head.body_bytes >= self.large_bytes.load(Ordering::Relaxed);
        let wanted = if is_large { body_start } else { head.used_bytes() } as usize;
        read_up_to(wanted, &mut bytes, start, segment)?;
        let (_, text) = front(&bytes, lies.at)?;
        debug_assert!(body_start >= HEAD_BYTES as u64, "a text comes behind the head");
        let body = if is_large {
            let lying = Lying::new(Arc::clone(segment), start + body_start, head.body_bytes, head.body_sum);
            if lying.read(|_| Ok(()))? != head.body_sum {
                return Err(Corrupt::Body.into());
            }
            Body::Elsewhere(Arc::new(lying))
        } else {
            let body = &bytes[body_start as usize..wanted];
            if Sum::of(body) != head.body_sum {
                return Err(Corrupt::Body.into());
            }
            Body::from_pieces([Arc::from(body)])
        };
        Ok(text.entry(body))
    }
}

/// Reads a record's head, and its text at least.
fn read_start(lies: Lies, segment: &Segment, most: u64) -> Result<(Head, Vec<u8>), Unread> {
    let start = lies.at.offset_bytes();
    let mut bytes = vec![0; lies.bytes.min(most) as usize];
    segment.file.read_exact_at(&mut bytes, start)?;
    let head = Head::read(&bytes, lies.at)?;
    if head.total_bytes() != lies.bytes {
        return Err(Corrupt::Place.into());
    }
    read_up_to(head.body_start() as usize, &mut bytes, start, segment)?;
    Ok((head, bytes))
}

/// Reads on until there are so many bytes of what begins at `start`.
fn read_up_to(wanted: usize, bytes: &mut Vec<u8>, start: u64, segment: &Segment) -> Result<(), Unread> {
    let known = bytes.len();
    if wanted > known {
        bytes.resize(wanted, 0);
        segment.file.read_exact_at(&mut bytes[known..], start + known as u64)?;
    }
    Ok(())
}
