//! The generic cell rate algorithm: a bucket as one number, the moment at which it is full again.
//!
//! A request that costs `c` moves that moment by `c` intervals; it is admitted if the moment then is no further away
//! than the time that an empty bucket takes to fill. Over any stretch of time it follows that no more is admitted than
//! the rate times its length and the burst. Intervals are rounded up to whole nanoseconds, to the strict side.

use core::time::Duration;

use crate::moment::nanos;

/// A bucket's moment that is further ahead than it can be has been written before the clock was set back; by less than
/// this it may be, where two threads have read the clock one after the other.
const SKEW_NS: u64 = 1_000_000_000;

/// Longest time that an empty bucket may take to fill.
const FULL_MAX: Duration = Duration::from_hours(24 * 366);

/// How many requests at what rate.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub struct Rule {
    interval_ns: u64,
    full_ns: u64,
    burst: u64,
}

/// How many bytes at what rate.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub struct Pace {
    bytes_per_second: u64,
    full_ns: u64,
}

impl Rule {
    /// `count` requests per `per`, `burst` of them at once. `None`: one of them is nothing, or the bucket would take more
    /// than a year to fill.
    pub fn new(count: u64, per: Duration, burst: u64) -> Option<Self> {
        if count == 0 || burst == 0 || per.is_zero() {
            return None;
        }
        let interval_ns = nanos(per).div_ceil(count);
        let full_ns = interval_ns.checked_mul(burst)?;
        (full_ns <= nanos(FULL_MAX)).then_some(Self { interval_ns, full_ns, burst })
    }

    /// This share of the rate and of the burst, which is at least one; `share` is above 0 and at most 1. Rounded to the
    /// strict side.
    #[must_use]
    pub fn scaled(self, share: f64) -> Self {
        let burst = ((self.burst as f64 * share) as u64).max(1);
        // No bucket takes longer to fill than any other may.
        let most_ns = nanos(FULL_MAX) / burst;
        let interval_ns = ((self.interval_ns as f64 / share).ceil() as u64).clamp(1, most_ns);
        Self { interval_ns, full_ns: interval_ns * burst, burst }
    }

    /// Whether it never admits more than the other one, and at times less.
    pub const fn is_tighter(self, than: Self) -> bool {
        self.burst <= than.burst
            && self.interval_ns >= than.interval_ns
            && (self.burst < than.burst || self.interval_ns > than.interval_ns)
    }

    /// Requests at once.
    pub const fn burst(self) -> u64 {
        self.burst
    }

    /// Time that an empty bucket takes to fill.
    pub const fn fills_within(self) -> Duration {
        Duration::from_nanos(self.full_ns)
    }

    /// The bucket's moment after a request, or the nanoseconds that have to pass before the same request would be
    /// admitted. A cost above the burst takes the whole bucket.
    #[inline]
    pub(crate) fn judge(self, full_at: u64, now: u64, cost: u64) -> Result<u64, u64> {
        let cost_ns = cost.saturating_mul(self.interval_ns).min(self.full_ns);
        let next = self.possible(full_at, now).max(now) + cost_ns;
        let latest = now + self.full_ns;
        if next <= latest { Ok(next) } else { Err(next - latest) }
    }

    /// Requests that the bucket still holds.
    pub(crate) fn left(self, full_at: u64, now: u64) -> u64 {
        (now + self.full_ns).saturating_sub(self.possible(full_at, now).max(now)) / self.interval_ns
    }

    /// What `cost` requests that others have admitted make of the moment: it may then be later than an empty bucket's,
    /// for they did not ask first.
    pub(crate) fn charge(self, full_at: u64, now: u64, cost: u64) -> u64 {
        let cost_ns = cost.saturating_mul(self.interval_ns);
        let latest = now + self.full_ns + SKEW_NS;
        self.possible(full_at, now).max(now).saturating_add(cost_ns).min(latest)
    }

    /// The moment, or what it can be at most; whoever keeps buckets has to keep this.
    pub(crate) fn possible(self, full_at: u64, now: u64) -> u64 {
        possible(full_at, now, self.full_ns)
    }
}

impl Pace {
    /// Time that a full bucket of bytes lasts: no more than this is sent at once.
    const FULL_NS: u64 = 250_000_000;

    /// So many bytes per second. `None`: none at all.
    pub const fn new(bytes_per_second: u64) -> Option<Self> {
        if bytes_per_second == 0 {
            return None;
        }
        Some(Self { bytes_per_second, full_ns: Self::FULL_NS })
    }

    /// Bytes per second.
    pub const fn bytes_per_second(self) -> u64 {
        self.bytes_per_second
    }

    /// Nanoseconds that so many bytes take.
    pub(crate) const fn takes_ns(self, bytes: u64) -> u64 {
        let ns = (bytes as u128 * 1_000_000_000).div_ceil(self.bytes_per_second as u128);
        if ns > u64::MAX as u128 { u64::MAX } else { ns as u64 }
    }

    /// The bucket's moment once some of the `wanted` bytes are sent, and how many may be; or the nanoseconds after which
    /// a piece that is worth sending may.
    pub(crate) fn judge(self, full_at: u64, now: u64, wanted: u64) -> Result<(u64, u64), u64> {
        let from = possible(full_at, now, self.full_ns).max(now);
        let most = (now + self.full_ns).saturating_sub(from);
        let bytes = (u128::from(most) * u128::from(self.bytes_per_second) / 1_000_000_000) as u64;
        // Half a bucket is a piece that is worth sending; where that is less than a byte, a byte is.
        let piece = wanted.min((self.bytes_per_second / 8).max(1));
        if bytes >= piece {
            let granted = wanted.min(bytes);
            return Ok((from + self.takes_ns(granted), granted));
        }
        Err(self.takes_ns(piece).saturating_sub(most).max(1))
    }
}

/// A moment further ahead than an empty bucket needs was written before the clock was set back: then the bucket is
/// taken to be empty, and full again after its time, instead of whenever the clock is back where it was.
#[inline]
fn possible(full_at: u64, now: u64, full_ns: u64) -> u64 {
    if full_at > now + full_ns + SKEW_NS { now + full_ns } else { full_at }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn a_burst_is_admitted_at_once_and_then_one_per_interval() {
        let rule = Rule::new(10, Duration::from_secs(1), 3).unwrap();
        let mut full_at = 0;
        for _ in 0..3 {
            full_at = rule.judge(full_at, SECOND, 1).unwrap();
        }
        assert_eq!(rule.judge(full_at, SECOND, 1), Err(SECOND / 10));
        assert!(rule.judge(full_at, SECOND + SECOND / 10 - 1, 1).is_err());
        assert!(rule.judge(full_at, SECOND + SECOND / 10, 1).is_ok());
    }

    #[test]
    fn what_costs_more_than_the_burst_takes_the_whole_bucket() {
        let rule = Rule::new(10, Duration::from_secs(1), 3).unwrap();
        let full_at = rule.judge(0, SECOND, 1_000).unwrap();
        assert_eq!((rule.left(full_at, SECOND), rule.judge(full_at, SECOND, 3)), (0, Err(3 * SECOND / 10)));
    }

    #[test]
    fn a_clock_that_is_set_back_locks_nobody_out_for_longer_than_a_bucket_takes_to_fill() {
        let rule = Rule::new(10, Duration::from_secs(1), 10).unwrap();
        let hour = 3_600 * SECOND;
        let full_at = rule.judge(0, hour, 10).unwrap();
        // Set back by an hour: refused as one whose bucket is empty, and by no more.
        let wait = rule.judge(full_at, SECOND, 1).unwrap_err();
        assert_eq!(wait, SECOND / 10);
        assert!(rule.judge(full_at, SECOND + wait, 1).is_err(), "the moment as written does not count down");
        assert!(rule.judge(rule.possible(full_at, SECOND), SECOND + wait, 1).is_ok());
    }

    #[test]
    fn a_share_of_a_rule_is_tighter_and_leaves_a_bucket_the_same_share() {
        let rule = Rule::new(100, Duration::from_secs(1), 10).unwrap();
        let half = rule.scaled(0.5);
        assert_eq!(Some(half), Rule::new(50, Duration::from_secs(1), 5));
        assert!(half.is_tighter(rule) && !rule.is_tighter(half) && !rule.is_tighter(rule));
        assert!(!Rule::new(50, Duration::from_secs(1), 20).unwrap().is_tighter(rule), "a larger burst");
        // Six of ten are gone; of five there are two left then.
        let full_at = rule.judge(0, SECOND, 6).unwrap();
        assert_eq!((rule.left(full_at, SECOND), half.left(full_at, SECOND)), (4, 2));
        // What is next to nothing is still something, and a bucket is full within a year.
        let least = Rule::new(1, Duration::from_hours(24), 3).unwrap().scaled(1e-9);
        assert_eq!((least.burst(), least.fills_within()), (1, FULL_MAX));
    }

    #[test]
    fn rules_that_mean_nothing_are_none() {
        let second = Duration::from_secs(1);
        assert!(Rule::new(0, second, 1).is_none() && Rule::new(1, second, 0).is_none());
        assert!(Rule::new(1, Duration::ZERO, 1).is_none());
        assert!(Rule::new(1, Duration::from_hours(24), 367).is_none());
        assert!(Rule::new(u64::MAX, second, u64::MAX).is_none());
        assert!(Pace::new(0).is_none());
    }

    #[test]
    fn bytes_go_in_pieces_that_are_worth_sending() {
        let pace = Pace::new(1_000_000).unwrap();
        let (full_at, granted) = pace.judge(0, SECOND, 10_000_000).unwrap();
        assert_eq!((granted, full_at), (250_000, SECOND + SECOND / 4));
        let wait = pace.judge(full_at, SECOND, 10_000_000).unwrap_err();
        assert_eq!(wait, SECOND / 8);
        let (_, granted) = pace.judge(full_at, SECOND + wait, 10_000_000).unwrap();
        assert_eq!(granted, 125_000);
    }

    proptest! {
        #[test]
        fn no_stretch_of_time_admits_more_than_its_share(
            (count, per_ms, burst) in (1_u64..2_000, 1_u64..100_000, 1_u64..50),
            steps in prop::collection::vec((0_u64..200_000_000, 0_u64..4), 1..200),
        ) {
            let rule = Rule::new(count, Duration::from_millis(per_ms), burst).unwrap();
            let (mut now, mut full_at) = (SECOND, 0);
            let mut admitted: Vec<(u64, u64)> = Vec::new();
            for (step, cost) in steps {
                now += step;
                match rule.judge(full_at, now, cost) {
                    Ok(next) => {
                        full_at = next;
                        admitted.push((now, cost.min(burst)));
                    }
                    Err(wait) => {
                        prop_assert!(wait > 0);
                        prop_assert!(rule.judge(full_at, now + wait - 1, cost).is_err());
                        prop_assert!(rule.judge(full_at, now + wait, cost).is_ok());
                    }
                }
            }
            for (from, &(begin, _)) in admitted.iter().enumerate() {
                let mut sum = 0;
                for &(end, cost) in &admitted[from..] {
                    sum += cost;
                    let length = u128::from(end - begin);
                    // sum ≤ burst + rate × length, without a division.
                    let most = u128::from(count) * length + u128::from(burst) * u128::from(per_ms) * 1_000_000;
                    prop_assert!(u128::from(sum) * u128::from(per_ms) * 1_000_000 <= most);
                }
            }
        }
    }
}
