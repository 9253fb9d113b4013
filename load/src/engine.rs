//! One thread that keeps to its part of a plan: an epoll loop of its own over all of its connections.

use std::sync::atomic::AtomicBool;

use crate::Nanos;
use crate::plan::{Part, Plan};
use crate::record::Record;

/// The clock of a run: nanoseconds since the moment that all threads and processes agreed on.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    /// The beginning, as nanoseconds of CLOCK_MONOTONIC.
    pub origin: u64,
}

impl Clock {
    /// Nanoseconds since the beginning; 0 before it.
    pub fn now(&self) -> Nanos {
        todo!()
    }
}

/// Carries out `part` of `plan` and returns at the latest `grace` after its last stage, or soon after `stop` was set.
/// Every half second (of the loop's own clock) and at the end, `report` gets what was recorded since the last time.
///
/// # Errors
/// What keeps the engine itself from working: no epoll, no descriptors at all. What the target does is never an
/// error here.
pub fn drive(
    _plan: &Plan,
    _part: Part,
    _clock: Clock,
    _stop: &AtomicBool,
    _report: &mut dyn FnMut(Record),
) -> std::io::Result<()> {
    todo!()
}
