//! What is left of buckets for which there was no room: one moment per cell, the latest of all that were put there.
//!
//! A key without a bucket begins where its cell says, which is at or behind where its own bucket was when it had to
//! leave. So forgetting makes a limit stricter for a while, for a few, and looser for nobody. Cells belong to one limit:
//! what an hour's quota leaves behind does not hold up a limit per second.

use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Cells of one limit: 8 KiB.
const CELLS: usize = 1024;

/// Bytes that one of them takes.
pub const OVERFLOW_BYTES: u64 = (CELLS * size_of::<AtomicU64>()) as u64;

/// What is left of one limit's buckets.
#[derive(Debug)]
pub struct Overflow {
    cells: Box<[AtomicU64]>,
    /// The latest moment of all cells: past it there is nothing to read.
    latest: AtomicU64,
}

impl Default for Overflow {
    fn default() -> Self {
        Self { cells: (0..CELLS).map(|_| AtomicU64::new(0)).collect(), latest: AtomicU64::new(0) }
    }
}

impl Overflow {
    /// Where a key without a bucket begins.
    #[inline]
    pub fn begins_at(&self, tag: u64, now: u64) -> u64 {
        if self.latest.load(Relaxed) <= now {
            return 0;
        }
        self.cells[cell(tag)].load(Relaxed)
    }

    /// A bucket had to leave.
    pub fn put(&self, tag: u64, full_at: u64) {
        self.latest.fetch_max(full_at, Relaxed);
        self.cells[cell(tag)].fetch_max(full_at, Relaxed);
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
        assert_eq!(overflow.begins_at(7, 0), 0);
        overflow.put(7, 100);
        overflow.put(7, 50);
        assert_eq!(overflow.begins_at(7, 99), 100);
        assert_eq!(overflow.begins_at(7, 100), 0);
    }
}
