//! The figures of a while: rates and times of what came in it.

use crate::Nanos;
use crate::record::{Fine, Record};
use crate::report::figures;

/// What came within some time.
#[derive(Clone, Debug, Default)]
pub struct Window {
    /// How long it was.
    pub took: Nanos,
    /// Requests that became due.
    pub due: u64,
    /// Requests that succeeded.
    pub succeeded: u64,
    /// Requests that failed.
    pub failed: u64,
    /// Messages that arrived.
    pub delivered: u64,
    /// Response times; with sockets, delivery times.
    pub times: Fine,
}

/// Connections that are open now: the most of the last two seconds, because the one that has just begun may not have
/// been told by all threads.
pub fn open(total: &Record) -> u64 {
    total.timeline.open().into_iter().rev().take(2).max().unwrap_or(0)
}

impl Window {
    /// What `record` holds, of `took` nanoseconds.
    pub fn new(took: Nanos, record: &Record, sockets: bool) -> Self {
        let (requests, succeeded) = (record.requests(), record.succeeded());
        Self {
            took,
            due: record.due,
            succeeded,
            failed: requests.saturating_sub(succeeded),
            delivered: record.sockets.received.saturating_add(record.sockets.delivery.count()),
            times: if sockets { record.sockets.delivery.clone() } else { record.response() },
        }
    }

    /// Adds the while after (or before) it.
    pub fn add(&mut self, other: &Self) {
        self.took += other.took;
        self.due += other.due;
        self.succeeded += other.succeeded;
        self.failed += other.failed;
        self.delivered += other.delivered;
        self.times.merge(&other.times);
    }

    /// `count` things in this while, per second.
    pub fn rate(&self, count: u64) -> String {
        figures::rate(if self.took > 0 { count as f64 * 1e9 / self.took as f64 } else { 0.0 })
    }

    /// The time that `share` of all do not exceed; a dash when nothing was measured.
    pub fn time(&self, share: f64) -> String {
        self.times.quantile_ms(share).map_or_else(|| "-".into(), figures::time)
    }
}
