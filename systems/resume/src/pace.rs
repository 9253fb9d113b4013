//! How many messages a process stores: so many at once, and so many per hour. What floods the form cannot flood the
//! database.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

const HOUR: Duration = Duration::from_hours(1);

/// A bucket that holds an hour's messages and fills steadily.
#[derive(Debug)]
pub(crate) struct Pace {
    /// The time in which one message becomes possible again.
    every: Duration,
    /// When the bucket was, or will be, empty if nothing more is taken: the level as a moment.
    empty_since: Mutex<Instant>,
}

impl Pace {
    /// At most `per_hour` messages at once, and then one every hour's share. `now` finds the bucket full.
    pub(crate) fn new(per_hour: u32, now: Instant) -> Self {
        let every = HOUR / per_hour;
        // The clock may be younger than an hour; then the bucket begins as full as can be said.
        let full = now.checked_sub(every * per_hour).unwrap_or(now);
        Self { every, empty_since: Mutex::new(full) }
    }

    /// Takes one message out, or says how long until there is one.
    pub(crate) fn take(&self, now: Instant) -> Result<(), Duration> {
        let mut empty_since = self.empty_since.lock().unwrap_or_else(PoisonError::into_inner);
        // What has flowed in beyond an hour's messages is spilt.
        let since = now.checked_sub(HOUR).map_or(*empty_since, |oldest| oldest.max(*empty_since));
        let taken = since + self.every;
        match taken.checked_duration_since(now) {
            Some(wait) if !wait.is_zero() => Err(wait),
            _ => {
                *empty_since = taken;
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_hours_messages_pass_at_once_and_then_one_per_share() {
        let start = Instant::now() + 10 * HOUR;
        let minute = Duration::from_mins(1);
        let pace = Pace::new(60, start);
        for _ in 0..60 {
            assert_eq!(pace.take(start), Ok(()));
        }
        assert_eq!(pace.take(start), Err(minute));
        assert_eq!(pace.take(start + minute / 2), Err(minute / 2));
        assert_eq!(pace.take(start + minute), Ok(()));
        assert_eq!(pace.take(start + minute), Err(minute));
    }

    #[test]
    fn a_quiet_day_saves_up_no_more_than_an_hour() {
        let start = Instant::now() + 10 * HOUR;
        let pace = Pace::new(2, start);
        let later = start + 24 * HOUR;
        assert_eq!([(); 3].map(|()| pace.take(later).is_ok()), [true, true, false]);
    }
}
