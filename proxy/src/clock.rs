//! The clock that the cache counts ages by.
//!
//! It follows the wall's clock forward, at once: that has been set, or the machine has slept, and what is stored is
//! that much older, or is taken to be. It never goes back: when the wall's clock is set back, what was stored before
//! would grow younger, and stay fresh for longer than it may. Then only what has to do with dates looks at the wall.
//!
//! ```text
//!   wall ahead ──▶ the clock is set to it
//!   wall behind ─▶ the clock goes on, and knows by how much the wall is behind
//! ```

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use cache::UnixMs;

/// A difference that says nothing: the two clocks are not read at the same moment.
const TOLERANCE_MS: u64 = 100;

/// A clock. Told how many milliseconds have passed since the start, which is what the system never sets.
#[derive(Debug)]
pub struct Clock {
    /// What it said at the start, or would have said.
    epoch_ms: AtomicU64,
    /// By how much the wall's clock is behind.
    behind_ms: AtomicU64,
}

impl Clock {
    /// A clock that says `unix_ms` at the start.
    pub const fn set_to(unix_ms: UnixMs) -> Self {
        Self { epoch_ms: AtomicU64::new(unix_ms), behind_ms: AtomicU64::new(0) }
    }

    /// What it says.
    pub fn at(&self, since_start_ms: u64) -> UnixMs {
        self.epoch_ms.load(Relaxed) + since_start_ms
    }

    /// What the wall's clock says.
    pub fn wall_at(&self, since_start_ms: u64) -> UnixMs {
        self.at(since_start_ms).saturating_sub(self.behind_ms.load(Relaxed))
    }

    /// Follows the wall's clock. Only one thread does it.
    pub fn follow(&self, since_start_ms: u64, wall_ms: UnixMs) {
        let own_ms = self.at(since_start_ms);
        if wall_ms.abs_diff(self.wall_at(since_start_ms)) <= TOLERANCE_MS {
            return;
        }
        self.behind_ms.store(own_ms.saturating_sub(wall_ms), Relaxed);
        self.epoch_ms.fetch_add(wall_ms.saturating_sub(own_ms), Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixMs = 1_700_000_000_000;
    const HOUR: u64 = 3_600_000;

    #[test]
    fn it_follows_the_wall_forward_and_never_back() {
        let clock = Clock::set_to(NOW);
        clock.follow(1000, NOW + 1000 + TOLERANCE_MS);
        assert_eq!(
            (clock.at(1000), clock.wall_at(1000)),
            (NOW + 1000, NOW + 1000),
            "no step, read a bit later"
        );
        clock.follow(2000, NOW + HOUR);
        assert_eq!((clock.at(2000), clock.wall_at(2000)), (NOW + HOUR, NOW + HOUR));
        clock.follow(3000, NOW + 3000);
        assert_eq!((clock.at(3000), clock.wall_at(3000)), (NOW + HOUR + 1000, NOW + 3000));
        clock.follow(4000, NOW + 4000);
        assert_eq!((clock.at(4000), clock.wall_at(4000)), (NOW + HOUR + 2000, NOW + 4000), "it goes on");
    }

    #[test]
    fn a_wall_that_comes_back_from_behind_costs_no_time() {
        let clock = Clock::set_to(NOW);
        clock.follow(0, NOW - HOUR);
        assert_eq!((clock.at(0), clock.wall_at(0)), (NOW, NOW - HOUR));
        clock.follow(500, NOW - HOUR / 2);
        assert_eq!((clock.at(500), clock.wall_at(500)), (NOW + 500, NOW - HOUR / 2));
        clock.follow(1000, NOW + 1000);
        assert_eq!((clock.at(1000), clock.wall_at(1000)), (NOW + 1000, NOW + 1000));
        clock.follow(2000, NOW + HOUR);
        assert_eq!((clock.at(2000), clock.wall_at(2000)), (NOW + HOUR, NOW + HOUR));
    }

    #[test]
    fn it_never_goes_back_whatever_the_wall_does() {
        let seed = fastrand::u64(..);
        let mut rng = fastrand::Rng::with_seed(seed);
        let clock = Clock::set_to(NOW);
        let (mut since_ms, mut before) = (0, NOW);
        for _ in 0..1000 {
            since_ms += rng.u64(..200);
            let wall_ms = NOW + since_ms + rng.u64(..HOUR) - HOUR / 2;
            clock.follow(since_ms, wall_ms);
            assert!(clock.at(since_ms) >= before, "seed {seed}");
            assert!(clock.wall_at(since_ms).abs_diff(wall_ms) <= TOLERANCE_MS, "seed {seed}");
            before = clock.at(since_ms);
        }
    }
}
