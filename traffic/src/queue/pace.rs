//! How soon the next slot is handed out after the last one, while somebody waits.
//!
//! Requests that take equally long and were begun together end together, and those that follow them begin together again.
//! So the slots of an app come free in batches, and nothing ever parts them: whoever comes next waits for the next batch,
//! though on average a slot comes free every few milliseconds. Therefore slots are handed out no faster than a bit more
//! quickly than answers come, which by Little's law is one in the time that an answer takes, divided by the slots.
//! After a few rounds they come free one by one, and hardly anybody is held back by this any more.
//!
//! The time that an answer takes is what the quicker ones of late took. Where times differ much, slots come free one by
//! one anyway, and by that measure hardly anybody waits; and an app that has become faster is followed at once.

use crate::moment::{Moment, nanos};
use core::time::Duration;

/// The shortest time from one slot to the next, as a share of the average one: with nine tenths and more, chance alone
/// would keep slots empty.
const SHARE: f64 = 0.85;
/// Shorter gaps are none: timers are no more exact than that. So late may a slot be without making all later ones late.
const EXACT: Duration = Duration::from_millis(1);
/// What is known of the quicker answers rises by so much per answer, and falls by half of the difference.
const RISE: u64 = 16;

/// When slots are handed out.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// When the last one was, or would have been had nothing come late.
    last: Moment,
    /// Who waits and looks again when the next one is due.
    pub(super) lookout: Option<u32>,
}

impl Pace {
    /// When the next slot may be handed out.
    pub(super) fn due(&self, gap: Duration) -> Moment {
        self.last.plus(gap)
    }

    /// A slot was handed out.
    pub(super) fn handed_out(&mut self, now: Moment, gap: Duration) {
        self.last = self.due(gap).max(Moment(now.0.saturating_sub(nanos(EXACT)))).min(now);
    }

    /// One that waited does not any more.
    pub(super) fn left(&mut self, place: u32) {
        if self.lookout == Some(place) {
            self.lookout = None;
        }
    }
}

/// The time from one slot to the next, when the quicker answers take so long and there are so many slots. A single one
/// comes free on its own.
pub(super) fn gap(quick_ns: u64, slots: u64) -> Duration {
    let gap = Duration::from_nanos((SHARE * quick_ns as f64 / slots.max(1) as f64) as u64);
    if slots < 2 || gap < EXACT { Duration::ZERO } else { gap }
}

/// What the quicker answers take, in nanoseconds, after one more was seen; 0 is not known.
pub(super) fn learn(quick_ns: u64, latency_ns: u64) -> u64 {
    match quick_ns {
        0 => latency_ns,
        quick if latency_ns > quick => latency_ns.min(quick + quick / RISE + 1),
        quick => u64::midpoint(quick, latency_ns),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    fn after(quick_ms: u64, answers: u32, latency_ms: u64) -> u64 {
        (0..answers).fold(quick_ms * MS, |quick, _| learn(quick, latency_ms * MS)) / MS
    }

    #[test]
    fn an_app_that_has_become_faster_is_followed_at_once_and_long_answers_hardly_count() {
        assert_eq!(after(0, 1, 20), 20);
        assert!(after(10_000, 10, 20) < 40);
        assert!(after(20, 10, 10_000) < 40, "ten hung and came back");
        assert!(after(20, 100, 10_000) > 5_000, "it is slower");
        assert_eq!(after(20, 100, 20), 20);
    }

    #[test]
    fn the_pace_is_a_bit_quicker_than_answers_come_and_there_is_none_that_timers_cannot_keep() {
        assert_eq!(gap(20 * MS, 8), Duration::from_micros(2_125));
        assert_eq!(gap(20 * MS, 100), Duration::ZERO);
        assert_eq!((gap(0, 8), gap(20 * MS, 0), gap(20 * MS, 1)), Default::default());
    }

    #[test]
    fn one_slot_that_is_late_does_not_make_all_later_ones_late() {
        let (gap, mut pace) = (Duration::from_millis(2), Pace::default());
        pace.handed_out(Moment::from_ms(100), gap);
        assert_eq!(
            pace.due(gap),
            Moment::from_ms(101),
            "after a pause the next one is early, and no more than one"
        );
        pace.handed_out(Moment::from_ms(101), gap);
        assert_eq!(pace.due(gap), Moment::from_ms(103));
        pace.handed_out(Moment(103 * MS + MS / 2), gap);
        assert_eq!(pace.due(gap), Moment::from_ms(105));
    }
}
