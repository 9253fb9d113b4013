//! How many people are inside a waiting room's app, counted by when they were last seen.
//!
//! A person is a count in the step of time in which they were seen; when they are seen again later, the count moves.
//! What has not moved for a whole lifetime is gone with its step. So the memory is that of the steps, however many
//! people there are, and a cookie that is sent twice moves a count, and never adds one.

/// Steps that a lifetime is divided into.
pub(super) const STEPS: u64 = 16;

/// One step more than a lifetime has, for the one that has begun.
const SLOTS: usize = STEPS as usize + 2;

/// Counts by the step in which people were last seen.
#[derive(Clone, Debug)]
pub(super) struct Inside {
    step_s: u64,
    /// Each with the number of its step.
    slots: [(u64, u64); SLOTS],
}

impl Inside {
    pub(super) fn new(ttl_s: u64) -> Self {
        Self { step_s: step_s(ttl_s), slots: [(0, 0); SLOTS] }
    }

    /// The length of a step for this lifetime; after a change everybody counts as just seen.
    pub(super) fn set_ttl(&mut self, ttl_s: u64, now_s: u64) {
        if self.step_s != step_s(ttl_s) {
            let all = self.count(now_s);
            *self = Self::new(ttl_s);
            self.add(now_s, all);
        }
    }

    /// Somebody comes in.
    pub(super) fn enter(&mut self, now_s: u64) {
        self.add(now_s, 1);
    }

    /// Somebody who was seen then is seen again.
    pub(super) fn stay(&mut self, seen_s: u64, now_s: u64) {
        let (before, now) = (seen_s / self.step_s, now_s / self.step_s);
        if before == now {
            return;
        }
        let slot = &mut self.slots[(before % SLOTS as u64) as usize];
        if slot.0 == before && slot.1 > 0 {
            slot.1 -= 1;
            self.add(now_s, 1);
        }
    }

    /// How many there are.
    pub(super) fn count(&self, now_s: u64) -> u64 {
        let now = now_s / self.step_s;
        self.slots
            .iter()
            .filter(|(step, _)| step + STEPS >= now && *step <= now)
            .map(|(_, count)| count)
            .sum()
    }

    /// When people were last seen, and how many.
    pub(super) fn saved(&self) -> Vec<(u64, u64)> {
        let kept = self.slots.iter().filter(|(_, count)| *count > 0);
        kept.map(|(step, count)| (step * self.step_s, *count)).collect()
    }

    /// Goes on from there.
    pub(super) fn restore(&mut self, saved: &[(u64, u64)]) {
        for (seen_s, count) in saved {
            self.add(*seen_s, *count);
        }
    }

    fn add(&mut self, now_s: u64, count: u64) {
        let now = now_s / self.step_s;
        let slot = &mut self.slots[(now % SLOTS as u64) as usize];
        if slot.0 != now {
            *slot = (now, 0);
        }
        slot.1 += count;
    }
}

/// The length of a step. All of them together are no shorter than a lifetime, so that nobody who is inside is missed.
pub(super) fn step_s(ttl_s: u64) -> u64 {
    ttl_s.div_ceil(STEPS).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_are_inside_for_a_lifetime_after_they_were_last_seen() {
        let mut inside = Inside::new(160);
        let start = 1_800_000_000;
        for _ in 0..5 {
            inside.enter(start);
        }
        assert_eq!(inside.count(start + 160), 5);
        let mut again = Inside::new(160);
        again.restore(&inside.saved());
        assert_eq!(again.count(start + 160), 5);
        inside.stay(start, start + 100);
        assert_eq!(inside.count(start + 180), 1);
        assert_eq!(inside.count(start + 280), 0);
    }

    #[test]
    fn a_cookie_that_is_sent_again_and_again_adds_nobody() {
        let mut inside = Inside::new(160);
        let start = 1_800_000_000;
        inside.enter(start);
        for _ in 0..100 {
            inside.stay(start, start + 50);
        }
        assert_eq!(inside.count(start + 50), 1);
    }

    #[test]
    fn another_lifetime_loses_nobody() {
        let mut inside = Inside::new(160);
        let start = 1_800_000_000;
        for _ in 0..5 {
            inside.enter(start);
        }
        inside.set_ttl(3_200, start + 10);
        assert_eq!(inside.count(start + 20), 5);
    }
}
