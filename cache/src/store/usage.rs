//! What the store counts. Plain numbers, read by whoever publishes them.

use crate::{Bypass, Entry};

/// Numbers of the whole store. Those named `*_total` only grow.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Usage {
    /// Entries.
    pub entries: u64,
    /// What `cache.memory` says.
    pub memory_bytes: u64,
    /// All that is taken of it: the sum of the next five.
    pub used_bytes: u64,
    /// Keys, heads and what surrounds them.
    pub head_bytes: u64,
    /// Bodies.
    pub body_bytes: u64,
    /// Tables and queues, the index of what is on disk included.
    pub overhead_bytes: u64,
    /// What is being filled.
    pub filling_bytes: u64,
    /// What has left the store and is still being sent to somebody.
    pub leaving_bytes: u64,
    /// Keys that are marked as uncacheable (hit-for-miss), or were until a moment ago.
    pub markers: u64,
    /// Fills in work that others may follow.
    pub fillings: u64,
    /// Answers given out of the store, stale ones included.
    pub hits_total: u64,
    /// How old they were when they were given out, all together.
    pub hit_age_ms_total: u64,
    /// Fills begun, refreshes included.
    pub fills_total: u64,
    /// Requests that found another one filling and followed it.
    pub collapsed_total: u64,
    /// Entries that had to leave for others.
    pub evictions_total: u64,
    /// Entries purged or invalidated.
    pub purged_total: u64,
    /// Fills whose answers were not kept, by [`Bypass::index`].
    pub refused_total: [u64; Bypass::ALL.len()],
    /// The tier on disk, told by who runs it.
    pub disk: crate::disk::Usage,
}

/// A shard's part of it.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub head_bytes: u64,
    pub body_bytes: u64,
    pub hits: u64,
    pub hit_age_ms: u64,
    pub fills: u64,
    pub collapsed: u64,
    pub evictions: u64,
    pub purged: u64,
    pub refused: [u64; Bypass::ALL.len()],
}

impl Tally {
    pub fn add(&mut self, entry: &Entry) {
        let body_bytes = entry.body_bytes();
        self.head_bytes += entry.cost_bytes() - body_bytes;
        self.body_bytes += body_bytes;
    }

    pub fn remove(&mut self, entry: &Entry) {
        let body_bytes = entry.body_bytes();
        self.head_bytes -= entry.cost_bytes() - body_bytes;
        self.body_bytes -= body_bytes;
    }

    pub fn refuse(&mut self, why: Bypass) {
        self.refused[why.index()] += 1;
    }

    pub fn add_to(&self, usage: &mut Usage) {
        usage.head_bytes += self.head_bytes;
        usage.body_bytes += self.body_bytes;
        usage.hits_total += self.hits;
        usage.hit_age_ms_total = usage.hit_age_ms_total.saturating_add(self.hit_age_ms);
        usage.fills_total += self.fills;
        usage.collapsed_total += self.collapsed;
        usage.evictions_total += self.evictions;
        usage.purged_total += self.purged;
        usage.refused_total.iter_mut().zip(self.refused).for_each(|(sum, part)| *sum += part);
    }
}
