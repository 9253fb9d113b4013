//! One thread that keeps to its part of a plan: an epoll loop of its own over all of its connections.

mod answer;
mod dial;
mod http;
mod poll;
mod sockets;
mod stream;
mod timers;

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::time::{ClockId, clock_gettime};

use crate::Nanos;
use crate::plan::{Part, Plan, Work};
use crate::record::Record;

/// The clock of a run: nanoseconds since the moment that all threads and processes agreed on.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    /// The beginning, as nanoseconds of CLOCK_MONOTONIC.
    pub origin: u64,
}

impl Clock {
    /// A clock whose run begins now.
    pub fn start() -> Self {
        Self { origin: monotonic() }
    }

    /// Nanoseconds since the beginning; 0 before it.
    #[inline]
    pub fn now(&self) -> Nanos {
        monotonic().saturating_sub(self.origin)
    }

    /// Nanoseconds until the beginning; 0 after it.
    pub fn until_begin(&self) -> Nanos {
        self.origin.saturating_sub(monotonic())
    }
}

/// CLOCK_MONOTONIC in nanoseconds: the same for all processes of a machine.
#[inline]
pub fn monotonic() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec.cast_unsigned() * 1_000_000_000 + now.tv_nsec.cast_unsigned()
}

/// What an engine is given.
pub(crate) struct Run<'a> {
    pub(crate) plan: &'a Plan,
    pub(crate) part: Part,
    pub(crate) clock: Clock,
    pub(crate) stop: &'a AtomicBool,
    pub(crate) report: &'a mut dyn FnMut(Record),
}

impl Run<'_> {
    /// Whether the run is to end now.
    pub(crate) fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}

/// How often an engine reports what it recorded.
pub(crate) const REPORT_EVERY: Nanos = 500_000_000;

/// The longest sleep: how long it can take until an engine sees that it is to stop.
pub(crate) const LONGEST_SLEEP: Nanos = 100_000_000;

/// Carries out `part` of `plan` and returns at the latest `grace` after its last stage, or within a second after `stop`
/// was set. When called before the clock's beginning, the users of [`Users::Exactly`](crate::plan::Users::Exactly)
/// connect until then. Every half second (of the loop's own clock) and at the end, `report` gets what was recorded
/// since the last time.
///
/// # Errors
/// What keeps the engine itself from working: no epoll, no descriptors at all. What the target does is never an
/// error here.
pub fn drive(
    plan: &Plan,
    part: Part,
    clock: Clock,
    stop: &AtomicBool,
    report: &mut dyn FnMut(Record),
) -> io::Result<()> {
    let run = Run { plan, part, clock, stop, report };
    match &plan.work {
        Work::Http(script) => http::drive(run, script),
        Work::Sockets(sockets) => sockets::drive(run, sockets),
    }
}
