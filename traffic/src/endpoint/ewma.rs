//! Peak EWMA: a moving average of latency that jumps up at once and comes down slowly.
//!
//! The algorithm is Finagle's: a latency above the average replaces it, one below is averaged in with
//! a weight that depends on the time since the last one, and silence lets the average decay.

use crate::moment::{Moment, nanos};
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use core::time::Duration;

/// The average of one endpoint in one word: milliseconds of the last update (modulo 2³²) above, the
/// average in nanoseconds as an `f32` below. Both change together, without a lock.
#[derive(Debug, Default)]
pub(super) struct PeakEwma(AtomicU64);

impl PeakEwma {
    /// Takes in one latency. `decay` is the time after which an old latency counts 1/e.
    pub(super) fn observe(&self, now: Moment, latency: Duration, decay: Duration) {
        // Zero marks "never measured".
        let latency = (nanos(latency) as f32).max(1.0);
        let mut seen = self.0.load(Relaxed);
        loop {
            let cost = match decayed(seen, now, decay) {
                // Within one millisecond the factor would be 1 and a low latency would be lost.
                Some((old, kept)) if latency < old => {
                    old * kept.min(0.999) + latency * (1.0 - kept.min(0.999))
                }
                _ => latency,
            };
            let next = (now.as_ms() & u64::from(u32::MAX)) << 32 | u64::from(cost.to_bits());
            match self.0.compare_exchange_weak(seen, next, Relaxed, Relaxed) {
                Ok(_) => return,
                Err(changed) => seen = changed,
            }
        }
    }

    /// The average in nanoseconds, decayed up to now; `None` before the first measurement.
    pub(super) fn cost(&self, now: Moment, decay: Duration) -> Option<f32> {
        decayed(self.0.load(Relaxed), now, decay).map(|(old, kept)| old * kept)
    }
}

/// The stored average and the share of it that is left by now.
fn decayed(word: u64, now: Moment, decay: Duration) -> Option<(f32, f32)> {
    if word == 0 {
        return None;
    }
    let passed_ms = (now.as_ms() as u32).wrapping_sub((word >> 32) as u32);
    // Another core may already have written a moment later than ours.
    let passed_ms = if passed_ms > u32::MAX / 2 { 0 } else { passed_ms };
    let decay_ms = (decay.as_secs_f32() * 1_000.0).max(1.0);
    Some((f32::from_bits(word as u32), (-(passed_ms as f32) / decay_ms).exp()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DECAY: Duration = Duration::from_secs(10);

    #[test]
    fn a_peak_counts_at_once_and_fades_slowly() {
        let ewma = PeakEwma::default();
        assert_eq!(ewma.cost(Moment::ZERO, DECAY), None);
        ewma.observe(Moment::from_secs(1), Duration::from_millis(10), DECAY);
        ewma.observe(Moment::from_secs(1), Duration::from_millis(100), DECAY);
        let at = |secs| ewma.cost(Moment::from_secs(secs), DECAY).unwrap() / 1e6;
        assert!((at(1) - 100.0).abs() < 0.1);
        assert!((at(11) - 36.8).abs() < 0.1);
        ewma.observe(Moment::from_secs(11), Duration::from_millis(10), DECAY);
        assert!((at(11) - 43.1).abs() < 0.1, "{}", at(11));
    }

    #[test]
    fn low_latencies_within_one_millisecond_bring_the_average_down() {
        let ewma = PeakEwma::default();
        ewma.observe(Moment::ZERO, Duration::from_millis(100), DECAY);
        (0..5_000).for_each(|_| ewma.observe(Moment::ZERO, Duration::from_millis(1), DECAY));
        assert!(ewma.cost(Moment::ZERO, DECAY).unwrap() < 2e6);
    }
}
