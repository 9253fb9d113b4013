//! The part of the access log that lives on a core: it formats into a buffer and hands the buffer over.

use core::sync::atomic::Ordering::Relaxed;
use std::sync::Arc;
use std::time::SystemTime;

use super::clock::Clock;
use super::line::{self, Labels};
use super::sample::Sampler;
use super::writer::{Batch, Queue};
use super::{Format, Settings};
use crate::request::Finished;

/// A buffer goes to the writer when it holds this much: large enough that a write is worth its system call.
pub(super) const FULL_BYTES: usize = 64 * 1024;

/// Writes lines from one core. Dropping it hands the last lines over.
pub struct LogHandle {
    queue: Arc<Queue>,
    format: Format,
    sampler: Sampler,
    clock: Clock,
    batch: Batch,
}

impl LogHandle {
    pub(super) fn new(queue: Arc<Queue>, settings: &Settings) -> Self {
        let sampler = Sampler::new(settings.sample, queue.next_seed());
        let batch = queue.fresh();
        Self { queue, format: settings.format, sampler, clock: Clock::new(), batch }
    }

    /// Writes the line of a finished request, unless sampling leaves it out. `route`, `upstream` and `endpoint` are the
    /// names behind its slots, empty where there is none; `now` is when it ended. Never waits.
    #[inline]
    pub fn write(
        &mut self,
        finished: &Finished<'_>,
        route: &str,
        upstream: &str,
        endpoint: &str,
        now: SystemTime,
    ) {
        let Some(share) = self.sampler.draw(finished) else {
            self.queue.tally.sampled_out.fetch_add(1, Relaxed);
            return;
        };
        let labels = Labels { route, upstream, endpoint };
        let out = &mut self.batch.bytes;
        match self.format {
            Format::Json => line::json(out, finished, labels, share, &mut self.clock, now),
            Format::Combined => line::combined(out, finished, labels, &mut self.clock, now),
        }
        self.batch.lines += 1;
        if self.batch.bytes.len() >= FULL_BYTES {
            self.hand_over();
        }
    }

    /// Hands over what there is; called by the core about once a second, so that a quiet log is not a late one.
    pub fn tick(&mut self) {
        if self.batch.lines > 0 {
            self.hand_over();
        }
    }

    #[cold]
    fn hand_over(&mut self) {
        let fresh = self.queue.fresh();
        self.queue.push(core::mem::replace(&mut self.batch, fresh));
    }
}

impl Drop for LogHandle {
    fn drop(&mut self) {
        if self.batch.lines > 0 {
            self.queue.push(core::mem::take(&mut self.batch));
        }
    }
}
