//! What is left of buckets for which there was no room: one moment per cell, the latest of all that were put there.
//!
//! A key without a bucket begins where its cell says, which is at or behind where its own bucket was when it had to
//! leave. So forgetting makes a limit stricter for a while, for a few, and looser for nobody. Cells belong to one limit:
//! what an hour's quota leaves behind does not hold up a limit per second.

use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::OnceLock;

/// Cells of one limit: 8 KiB.
const CELLS: usize = 1024;

/// What is left of one limit's buckets. Takes no memory until a bucket had to leave.
#[derive(Debug, Default)]
pub struct Overflow {
    cells: OnceLock<Box<[AtomicU64]>>,
    /// The latest moment of all cells: past it there is nothing to read.
    latest: AtomicU64,
}

impl Overflow {
    /// Where a key without a bucket begins.
    #[inline]
    pub fn begins_at(&self, tag: u64, now: u64) -> u64 {
        if self.latest.load(Relaxed) <= now {
            return 0;
        }
        self.cells.get().map_or(0, |cells| cells[cell(tag)].load(Relaxed))
    }

    /// A bucket had to leave.
    pub fn put(&self, tag: u64, full_at: u64) {
        let cells = self.cells.get_or_init(|| (0..CELLS).map(|_| AtomicU64::new(0)).collect());
        cells[cell(tag)].fetch_max(full_at, Relaxed);
        self.latest.fetch_max(full_at, Relaxed);
    }

    /// Memory that it takes.
    pub fn bytes(&self) -> u64 {
        self.cells.get().map_or(0, |cells| size_of_val(&**cells) as u64)
    }
}

/// The limit's own bits of a tag are the same in all of its tags, and are not looked at.
fn cell(tag: u64) -> usize {
    (crate::balance::mix(tag) % CELLS as u64) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_begins_at_the_latest_moment_of_its_cell_until_that_has_passed() {
        let overflow = Overflow::default();
        assert_eq!((overflow.begins_at(7, 0), overflow.bytes()), (0, 0));
        overflow.put(7, 100);
        overflow.put(7, 50);
        assert_eq!(overflow.begins_at(7, 99), 100);
        assert_eq!(overflow.begins_at(7, 100), 0);
    }
}
