//! Two counts over the last ten seconds, shared by all cores without a lock.
//!
//! Ten buckets of one second each. A bucket is one atomic word that holds the second it belongs to
//! next to both counts, so taking over a stale bucket and counting in it is a single exchange and no
//! count can land in the wrong second or be lost.

use crate::moment::Moment;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Seconds that a window looks back, the running one included.
pub(crate) const WINDOW_SECS: u64 = 10;

const COUNT_BITS: u32 = 22;
const COUNT_MAX: u64 = (1 << COUNT_BITS) - 1;
/// Seconds are told apart modulo this, about twelve days.
const EPOCHS: u64 = 1 << (64 - 2 * COUNT_BITS);

/// Counts of two kinds, called left and right; what they mean is the owner's business. Each bucket
/// stops at four million of a kind per second.
#[derive(Debug, Default)]
pub(crate) struct Window {
    buckets: [AtomicU64; WINDOW_SECS as usize],
}

/// What a window holds at one moment.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) left: u64,
    pub(crate) right: u64,
}

impl Window {
    /// Adds to the running second. This one is on the path of every request, so it reads one word only.
    pub(crate) fn add(&self, now: Moment, left: u64, right: u64) {
        let second = now.as_secs();
        let bucket = &self.buckets[(second % WINDOW_SECS) as usize];
        let mut seen = bucket.load(Relaxed);
        loop {
            let running = unpack(seen, second).unwrap_or_default();
            let next = pack(second, running.left + left, running.right + right);
            match bucket.compare_exchange_weak(seen, next, Relaxed, Relaxed) {
                Ok(_) => return,
                Err(changed) => seen = changed,
            }
        }
    }

    /// Adds to the running second if `allowed` says so about the counts before it; whoever counts at
    /// the same moment is seen or comes after.
    pub(crate) fn add_if(
        &self,
        now: Moment,
        left: u64,
        right: u64,
        allowed: impl Fn(Counts) -> bool,
    ) -> bool {
        let second = now.as_secs();
        let bucket = &self.buckets[(second % WINDOW_SECS) as usize];
        let mut seen = bucket.load(Relaxed);
        loop {
            let running = unpack(seen, second).unwrap_or_default();
            let earlier = self.sum(second, 1);
            if !allowed(Counts { left: earlier.left + running.left, right: earlier.right + running.right }) {
                return false;
            }
            let next = pack(second, running.left + left, running.right + right);
            match bucket.compare_exchange_weak(seen, next, Relaxed, Relaxed) {
                Ok(_) => return true,
                Err(changed) => seen = changed,
            }
        }
    }

    /// The counts of the last ten seconds.
    pub(crate) fn counts(&self, now: Moment) -> Counts {
        self.sum(now.as_secs(), 0)
    }

    /// Forgets everything.
    pub(crate) fn clear(&self) {
        for bucket in &self.buckets {
            bucket.store(0, Relaxed);
        }
    }

    /// Sums the seconds from `youngest` ago back to the oldest one.
    fn sum(&self, second: u64, youngest: u64) -> Counts {
        let mut sum = Counts::default();
        for age in youngest..WINDOW_SECS.min(second + 1) {
            let then = second - age;
            let word = self.buckets[(then % WINDOW_SECS) as usize].load(Relaxed);
            if let Some(counts) = unpack(word, then) {
                sum.left += counts.left;
                sum.right += counts.right;
            }
        }
        sum
    }
}

fn pack(second: u64, left: u64, right: u64) -> u64 {
    (second % EPOCHS) << (2 * COUNT_BITS) | left.min(COUNT_MAX) << COUNT_BITS | right.min(COUNT_MAX)
}

fn unpack(word: u64, second: u64) -> Option<Counts> {
    let counts = Counts { left: word >> COUNT_BITS & COUNT_MAX, right: word & COUNT_MAX };
    (word >> (2 * COUNT_BITS) == second % EPOCHS).then_some(counts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_leave_after_ten_seconds() {
        let window = Window::default();
        for second in 0..30 {
            window.add(Moment::from_secs(second), 1, 2);
            let lived = (second + 1).min(10);
            assert_eq!(window.counts(Moment::from_secs(second)), Counts { left: lived, right: 2 * lived });
        }
        assert_eq!(window.counts(Moment::from_secs(38)), Counts { left: 1, right: 2 });
        assert_eq!(window.counts(Moment::from_secs(39)), Counts::default());
    }

    #[test]
    fn a_bucket_stops_at_its_bound_instead_of_spilling_over() {
        let window = Window::default();
        window.add(Moment::ZERO, u64::from(u32::MAX), 7);
        assert_eq!(window.counts(Moment::ZERO), Counts { left: COUNT_MAX, right: 7 });
    }

    #[test]
    fn threads_lose_no_count() {
        let window = Window::default();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..10_000).for_each(|n| window.add(Moment::from_ms(n / 10), 1, 1)));
            }
        });
        assert_eq!(window.counts(Moment::from_ms(999)), Counts { left: 40_000, right: 40_000 });
    }

    #[test]
    fn a_condition_holds_under_contention() {
        let window = Window::default();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..1_000 {
                        window.add_if(Moment::ZERO, 0, 1, |counts| counts.right < 100);
                    }
                });
            }
        });
        assert_eq!(window.counts(Moment::ZERO).right, 100);
    }
}
