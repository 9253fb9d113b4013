//! The port for what lies below the memory: a disk, or a store that instances share.
//!
//! Whoever fills asks the tiers before the origin, in order, and hands what it gets to
//! [`Ticket::answer`](super::Ticket::answer). A tier calls back from where it likes, and at most once. The one
//! [below](super::Store::set_below) a store is told by it what leaves, what is out of date and what is purged, under the
//! mutex of a shard: it takes note and returns, and never calls the store from there.

use std::sync::Arc;

use crate::{Entry, UnixMs};

/// Something below the memory that keeps entries.
pub trait Tier: Send + Sync {
    /// Looks for an entry. `hash` is that of the key, or of a variant of it ([`crate::vary::hash`]). For a key that
    /// varies, its own hash finds whichever variant was kept last: if that does not [fit](Entry::fits) the request, its
    /// spec tells the names, and the caller asks once more with the hash of the variant that it wants. Hashes are
    /// seeded: a tier that outlives the process, or that several share, is used with one seed, or makes its own from
    /// the key and [`Entry::vary`].
    ///
    /// The body of what is found may lie [elsewhere](crate::Body::Elsewhere). A tier answers `None` to what it cannot
    /// vouch for, such as a torn or corrupt record.
    fn load(&self, key: &[u8], hash: u64, done: Box<dyn FnOnce(Option<Arc<Entry>>) + Send>);

    /// Keeps an entry, or does not: it may be full, slow or broken, and nobody waits for it. What it had for the same key
    /// and variant is out of date in any case.
    fn keep(&self, entry: &Arc<Entry>);

    /// What it has under this hash, of a key or a variant, is out of date.
    fn replace(&self, hash: u64);

    /// Removes entries, or makes them stale. What is loaded from now on does not bring them back.
    fn purge(&self, what: Purge<'_>, soft: bool, now: UnixMs);
}

/// Which entries are meant.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Purge<'a> {
    /// Those of one URL: all its variants, and whatever else its route adds to the key. As keys begin with it
    /// ([`write_url`](crate::key::write_url)).
    Url(&'a [u8]),
    /// Those whose URL begins so.
    Prefix(&'a [u8]),
    /// Those with a tag (Cache-Tag, Surrogate-Key).
    Tag(&'a [u8]),
    /// All.
    All,
}

impl Purge<'_> {
    /// Whether an entry is meant.
    pub fn is_of(&self, entry: &Entry) -> bool {
        match self {
            Self::Url(url) => entry.url() == *url,
            Self::Prefix(prefix) => entry.url().starts_with(prefix),
            Self::Tag(tag) => {
                let hash = crate::key::tag_hash(tag);
                entry.tags().any(|tag| tag == hash)
            }
            Self::All => true,
        }
    }
}
