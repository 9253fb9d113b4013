//! The one notion of time in this crate: a number that the caller hands in.
//!
//! Nothing here reads a clock. The caller takes a reading once per wake-up and passes it down, which
//! makes every decision replayable and every test free of waiting.

use core::time::Duration;

/// Nanoseconds since an arbitrary start that the caller chose; 64 bits last 584 years.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Hash)]
pub struct Moment(pub u64);

impl Moment {
    /// The arbitrary start itself.
    pub const ZERO: Self = Self(0);

    /// The moment `ms` milliseconds after the start.
    pub const fn from_ms(ms: u64) -> Self {
        Self(ms.saturating_mul(1_000_000))
    }

    /// The moment `secs` seconds after the start.
    pub const fn from_secs(secs: u64) -> Self {
        Self(secs.saturating_mul(1_000_000_000))
    }

    /// Whole milliseconds since the start.
    pub const fn as_ms(self) -> u64 {
        self.0 / 1_000_000
    }

    /// Whole seconds since the start.
    pub const fn as_secs(self) -> u64 {
        self.0 / 1_000_000_000
    }

    /// The moment `wait` later; stays at the end of time instead of wrapping.
    #[must_use]
    pub const fn plus(self, wait: Duration) -> Self {
        Self(self.0.saturating_add(nanos(wait)))
    }

    /// How long after `earlier` this moment is; zero when it is not after it at all.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

/// The duration in nanoseconds, at most `u64::MAX`.
pub(crate) const fn nanos(wait: Duration) -> u64 {
    let nanos = wait.as_nanos();
    if nanos > u64::MAX as u128 { u64::MAX } else { nanos as u64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_neither_wraps_nor_runs_backwards() {
        assert_eq!(Moment::from_ms(3).plus(Duration::from_millis(2)), Moment::from_ms(5));
        assert_eq!(Moment::from_ms(5).since(Moment::from_ms(3)), Duration::from_millis(2));
        assert_eq!(Moment::from_ms(3).since(Moment::from_ms(5)), Duration::ZERO);
        assert_eq!(Moment(u64::MAX).plus(Duration::MAX), Moment(u64::MAX));
        assert_eq!(Moment::from_secs(2).as_ms(), 2_000);
        assert_eq!(Moment::from_ms(2_999).as_secs(), 2);
    }
}
