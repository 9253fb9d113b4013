//! The tier on disk, as far as it is decided without touching one: what segments look like, what is in them, who goes.
//!
//! ```text
//!  segment: opening │ record │ record │ …          one file each, written from front to back and never changed
//!  record:  head │ text │ body │ padding           an entry; or a note: positions that are void, a purge
//! ```
//!
//! Whatever is on disk is true of a moment, and the index in memory is what follows from reading it from the oldest
//! segment to the newest: a later record of a key takes the place of an earlier one, notes take away what stands
//! before them, and the oldest segment goes as a whole when room is needed. So a restart finds what was there.
//!
//! Each record has a sum over its head, its text and its body, and names its own place. What does not add up is never
//! given out. And because what does not add up may have been a note, **doubt clears everything before it**: better to
//! fetch again than to bring back what was purged. Only the end of the last segment may be torn, as a killed process
//! leaves it, for a note that is not whole was not promised to anybody.

mod index;
mod ledger;
mod note;
mod record;
mod recovery;
mod segment;
mod usage;
mod writer;

pub use ledger::{Ledger, Lies, Room, Task};
pub use note::Note;
pub use record::{Corrupt, HEAD_BYTES, Head, Kind, Position, Text, front};
pub use recovery::Recovery;
pub use segment::{OPENING_BYTES, Opening, Strange};
pub use usage::{Dropped, Fault, Usage};
pub use writer::{Failure, Files, Writer};

use crate::{Terms, UnixMs};

/// The sum over some bytes, piece by piece.
#[derive(Clone, Debug, Default)]
pub struct Sum(crc32fast::Hasher);

impl Sum {
    /// Adds some bytes.
    pub fn add(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The sum.
    pub fn end(self) -> u32 {
        self.0.finalize()
    }

    /// The sum over these bytes.
    pub fn of(bytes: &[u8]) -> u32 {
        crc32fast::hash(bytes)
    }
}

/// Whether something stored can still be of use: it may be given out, or validated.
pub const fn is_useful(terms: &Terms, now: UnixMs) -> bool {
    now < terms.fresh_until_ms
        || now < terms.stale_until_ms
        || now < terms.error_until_ms
        || terms.etag.is_some()
        || terms.last_modified.is_some()
}
