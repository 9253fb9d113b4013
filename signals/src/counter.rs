//! Counters with one writer and any number of readers.
//!
//! The writer adds with a plain load and store: no locked instruction, because nobody else writes. Readers see each
//! counter whole, though two counters may be one event apart; a scrape can live with that.

use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use core::time::Duration;
use std::sync::OnceLock;

/// A number that only grows, written by one thread.
#[derive(Default, Debug)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) const fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    #[inline]
    pub(crate) fn add(&self, count: u64) {
        self.0.store(self.0.load(Relaxed).wrapping_add(count), Relaxed);
    }

    #[inline]
    pub(crate) fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// Sets counters back to zero when their place goes to another name; called by the writer only.
pub(crate) trait Reset {
    fn reset(&self);
}

impl Reset for Counter {
    fn reset(&self) {
        self.0.store(0, Relaxed);
    }
}

impl<T: Reset, const N: usize> Reset for [T; N] {
    fn reset(&self) {
        self.iter().for_each(Reset::reset);
    }
}

/// Upper bounds of the histogram's buckets in nanoseconds: half a millisecond to a minute, two or three steps to each
/// power of ten, which tells a slow page from a hung one and keeps a route at some twenty samples.
pub(crate) const BOUNDS_NS: [u64; 16] = [
    500_000,
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    25_000_000,
    50_000_000,
    100_000_000,
    250_000_000,
    500_000_000,
    1_000_000_000,
    2_500_000_000,
    5_000_000_000,
    10_000_000_000,
    30_000_000_000,
    60_000_000_000,
];

/// The same bounds in seconds, as the label `le` says them.
pub(crate) const BOUNDS_SECONDS: [&str; 16] = [
    "0.0005", "0.001", "0.0025", "0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1", "2.5", "5",
    "10", "30", "60",
];

/// Durations by bucket; the last bucket holds what is longer than every bound.
#[derive(Default, Debug)]
pub(crate) struct Histogram {
    buckets: [Counter; BOUNDS_NS.len() + 1],
    sum_ns: Counter,
}

impl Histogram {
    #[inline]
    pub(crate) fn observe(&self, duration: Duration) {
        let ns =
            duration.as_secs().saturating_mul(1_000_000_000).saturating_add(duration.subsec_nanos().into());
        // Comparing with every bound needs no branch that depends on the duration.
        let bucket = BOUNDS_NS.iter().map(|&bound| usize::from(ns > bound)).sum::<usize>();
        self.buckets[bucket].add(1);
        self.sum_ns.add(ns);
    }

    pub(crate) fn add_to(&self, total: &mut HistogramTotal) {
        for (sum, bucket) in total.buckets.iter_mut().zip(&self.buckets) {
            *sum += bucket.get();
        }
        total.sum_ns = total.sum_ns.saturating_add(self.sum_ns.get());
    }
}

impl Reset for Histogram {
    fn reset(&self) {
        self.buckets.reset();
        self.sum_ns.reset();
    }
}

/// Histograms of all shards added up.
#[derive(Clone, Default, PartialEq, Debug)]
pub(crate) struct HistogramTotal {
    pub(crate) buckets: [u64; BOUNDS_NS.len() + 1],
    pub(crate) sum_ns: u64,
}

impl HistogramTotal {
    pub(crate) fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }

    /// Duration that `share` (0.0 to 1.0) of the events stayed within, read off the buckets by a straight line inside
    /// the one that it falls into. `None` without events; what is past the last bound counts as the last bound.
    pub(crate) fn quantile(&self, share: f64) -> Option<Duration> {
        let count = self.count();
        if count == 0 {
            return None;
        }
        let rank = share * count as f64;
        let mut below = 0_u64;
        for (index, &inside) in self.buckets.iter().enumerate() {
            if inside > 0 && (below + inside) as f64 >= rank {
                let Some(&upper) = BOUNDS_NS.get(index) else { break };
                let lower = if index == 0 { 0 } else { BOUNDS_NS[index - 1] };
                let part = ((rank - below as f64) / inside as f64).clamp(0.0, 1.0);
                return Some(Duration::from_nanos(lower + (part * (upper - lower) as f64) as u64));
            }
            below += inside;
        }
        Some(Duration::from_nanos(BOUNDS_NS[BOUNDS_NS.len() - 1]))
    }
}

/// Counts by reason. Reasons are words of the enums of the floor below; a word takes a place when it is first met,
/// and what comes after the last place counts as [`OTHER`](crate::OTHER), so a label can never grow without bound.
#[derive(Debug)]
pub(crate) struct Reasons<const N: usize> {
    places: [(OnceLock<&'static str>, Counter); N],
    other: Counter,
}

impl<const N: usize> Reasons<N> {
    pub(crate) fn add(&self, why: &'static str) {
        for (word, counter) in &self.places {
            if *word.get_or_init(|| why) == why {
                return counter.add(1);
            }
        }
        self.other.add(1);
    }

    pub(crate) fn add_to(&self, total: &mut ReasonTotals) {
        for (word, counter) in &self.places {
            if let Some(word) = word.get() {
                total.add(word, counter.get());
            }
        }
        total.add(crate::OTHER, self.other.get());
    }
}

impl<const N: usize> Default for Reasons<N> {
    fn default() -> Self {
        Self { places: core::array::from_fn(|_| Default::default()), other: Counter::default() }
    }
}

impl<const N: usize> Reset for Reasons<N> {
    /// The words stay where they are; a word without a count is not shown.
    fn reset(&self) {
        for (_, counter) in &self.places {
            counter.reset();
        }
        self.other.reset();
    }
}

/// Counts by reason, all shards added up, in the order of the words.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub(crate) struct ReasonTotals(pub(crate) std::collections::BTreeMap<&'static str, u64>);

impl ReasonTotals {
    fn add(&mut self, word: &'static str, count: u64) {
        if count > 0 {
            *self.0.entry(word).or_default() += count;
        }
    }

    pub(crate) fn sum(&self) -> u64 {
        self.0.values().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_on_a_bound_falls_into_the_bucket_of_that_bound() {
        let histogram = Histogram::default();
        for duration in [
            Duration::ZERO,
            Duration::from_micros(500),
            Duration::from_nanos(500_001),
            Duration::from_mins(1),
            Duration::from_secs(61),
            Duration::MAX,
        ] {
            histogram.observe(duration);
        }
        let mut total = HistogramTotal::default();
        histogram.add_to(&mut total);
        assert_eq!((total.buckets[0], total.buckets[1], total.buckets[15], total.buckets[16]), (2, 1, 1, 2));
        assert_eq!(total.count(), 6);
    }

    #[test]
    fn bounds_in_nanoseconds_and_in_seconds_are_the_same() {
        for (ns, seconds) in BOUNDS_NS.into_iter().zip(BOUNDS_SECONDS) {
            assert_eq!(Duration::from_nanos(ns), Duration::from_secs_f64(seconds.parse().unwrap()));
        }
        assert!(BOUNDS_NS.is_sorted());
    }

    #[test]
    fn quantiles_lie_inside_the_bucket_of_their_event() {
        let mut total = HistogramTotal::default();
        assert_eq!(total.quantile(0.5), None);
        total.buckets[4] = 100; // 5 ms to 10 ms
        total.buckets[16] = 1;
        let median = total.quantile(0.5).unwrap();
        assert!((Duration::from_millis(5)..=Duration::from_millis(10)).contains(&median), "{median:?}");
        assert_eq!(total.quantile(1.0), Some(Duration::from_mins(1)));
    }

    #[test]
    fn reasons_past_the_last_place_count_as_other() {
        let reasons = Reasons::<2>::default();
        for why in ["a", "b", "c", "d", "a"] {
            reasons.add(why);
        }
        let mut total = ReasonTotals::default();
        reasons.add_to(&mut total);
        assert_eq!(total.0.into_iter().collect::<Vec<_>>(), [(crate::OTHER, 2), ("a", 2), ("b", 1)]);
    }
}
