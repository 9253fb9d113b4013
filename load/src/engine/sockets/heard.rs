//! What one receiver has heard of each sender: what came in order, late, twice or not at all. No clock, no sockets.
//!
//! Of a sender that lost nothing a receiver keeps eight bytes. A gap is kept as a range until it is filled, and only the
//! newest [`MOST_GAPS`] of a receiver: an older one is given up, counted as lost, and what fills it after all
//! is taken for a repetition. So a receiver's memory is bounded by the number of senders, whatever a target loses.

use std::ops::RangeInclusive;

/// Gaps of one receiver that are still waited for.
const MOST_GAPS: usize = 64;

/// What one receiver has heard since it was opened.
#[derive(Debug, Default)]
pub(crate) struct Heard {
    /// Sender and its highest number heard, ordered by sender.
    last: Vec<(u32, u32)>,
    /// What was skipped, oldest first.
    gaps: Vec<Gap>,
    /// Owed messages in gaps that were given up.
    given_up: u64,
}

/// Messages that were skipped, from the first to the last.
#[derive(Clone, Copy, Debug)]
struct Gap {
    sender: u32,
    first: u32,
    last: u32,
    /// Whether the receiver should have got them; else they are kept only to know late from twice.
    is_owed: bool,
}

/// How a message arrived.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Arrival {
    /// After all that were heard of its sender before.
    InOrder,
    /// After a later one of the same sender.
    Late,
    /// For the second time.
    Again,
}

impl Heard {
    /// Takes note of a message. When it is the first of its sender, `owed_from` is asked which is the first message
    /// that this receiver should have got.
    pub(crate) fn hear(&mut self, sender: u32, number: u32, owed_from: impl FnOnce() -> u32) -> Arrival {
        match self.last.binary_search_by_key(&sender, |&(sender, _)| sender) {
            Ok(at) if number > self.last[at].1 => {
                let next = self.last[at].1 + 1;
                self.last[at].1 = number;
                self.skip(sender, next, number, true);
                Arrival::InOrder
            }
            Ok(_) => self.fill(sender, number),
            Err(at) => {
                // Most receivers hear one sender only; the usual growth to four would be a waste.
                self.last.reserve_exact(if self.last.len() < 4 { 1 } else { self.last.len() / 2 });
                self.last.insert(at, (sender, number));
                let owed = owed_from().min(number);
                self.skip(sender, 0, owed, false);
                self.skip(sender, owed, number, true);
                Arrival::InOrder
            }
        }
    }

    /// Notes that the messages from `first` up to and without `end` have not come yet.
    fn skip(&mut self, sender: u32, first: u32, end: u32, is_owed: bool) {
        if first >= end {
            return;
        }
        if self.gaps.len() == MOST_GAPS {
            let gap = self.gaps.remove(0);
            self.given_up += gap.owed_within(u32::MAX);
        }
        self.gaps.push(Gap { sender, first, last: end - 1, is_owed });
    }

    /// Takes note of a message that is not later than the latest.
    fn fill(&mut self, sender: u32, number: u32) -> Arrival {
        let holds = |gap: &Gap| gap.sender == sender && (gap.first..=gap.last).contains(&number);
        let Some(at) = self.gaps.iter().position(holds) else { return Arrival::Again };
        let gap = self.gaps[at];
        if gap.first == gap.last {
            self.gaps.remove(at);
        } else if number == gap.first {
            self.gaps[at].first += 1;
        } else if number == gap.last {
            self.gaps[at].last -= 1;
        } else {
            self.gaps[at].last = number - 1;
            self.gaps.insert(at + 1, Gap { first: number + 1, ..gap });
            if self.gaps.len() > MOST_GAPS {
                let gap = self.gaps.remove(0);
                self.given_up += gap.owed_within(u32::MAX);
            }
        }
        Arrival::Late
    }

    /// How many of the messages that `sender` owed this receiver never came. What it owed before the first that was
    /// heard is known already; of a sender that was never heard it is all of `owed`.
    pub(crate) fn lost(&self, sender: u32, owed: RangeInclusive<u32>) -> u64 {
        let end = *owed.end();
        match self.last.binary_search_by_key(&sender, |&(sender, _)| sender) {
            Ok(at) => {
                let gaps = self.gaps.iter().filter(|gap| gap.sender == sender);
                let skipped: u64 = gaps.map(|gap| gap.owed_within(end)).sum();
                skipped + u64::from(end.saturating_sub(self.last[at].1))
            }
            Err(_) if owed.is_empty() => 0,
            Err(_) => u64::from(end - owed.start()) + 1,
        }
    }

    /// Forgets a sender that will not be heard again.
    pub(crate) fn forget(&mut self, sender: u32) {
        if let Ok(at) = self.last.binary_search_by_key(&sender, |&(sender, _)| sender) {
            self.last.remove(at);
            self.gaps.retain(|gap| gap.sender != sender);
        }
    }

    /// The highest number heard of a sender.
    pub(crate) fn latest(&self, sender: u32) -> Option<u32> {
        let at = self.last.binary_search_by_key(&sender, |&(sender, _)| sender).ok()?;
        Some(self.last[at].1)
    }

    /// Owed messages in gaps that were given up.
    pub(crate) fn given_up(&self) -> u64 {
        self.given_up
    }
}

impl Gap {
    /// How many messages up to number `end` are owed.
    fn owed_within(self, end: u32) -> u64 {
        let last = self.last.min(end);
        if self.is_owed && self.first <= last { u64::from(last - self.first) + 1 } else { 0 }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;
    use proptest::prelude::*;

    const FROM_THE_FIRST: fn() -> u32 = || 0;

    fn arrivals(heard: &mut Heard, numbers: &[u32]) -> Vec<Arrival> {
        numbers.iter().map(|&number| heard.hear(1, number, FROM_THE_FIRST)).collect()
    }

    #[test]
    fn an_unbroken_sequence_costs_eight_bytes() {
        let mut heard = Heard::default();
        assert_eq!(arrivals(&mut heard, &[0, 1, 2]), [Arrival::InOrder; 3]);
        assert_eq!((heard.last.capacity(), heard.gaps.capacity()), (1, 0));
        assert_eq!(heard.lost(1, 0..=2), 0);
    }

    #[test]
    fn a_gap_that_is_filled_is_late_and_one_that_stays_is_lost() {
        let mut heard = Heard::default();
        assert_eq!(
            arrivals(&mut heard, &[0, 3, 2, 2]),
            [Arrival::InOrder, Arrival::InOrder, Arrival::Late, Arrival::Again]
        );
        assert_eq!(heard.lost(1, 0..=3), 1);
        assert_eq!(heard.lost(1, 0..=0), 0, "what is not owed yet is not lost");
    }

    #[test]
    fn the_tail_and_silent_senders_count() {
        let mut heard = Heard::default();
        arrivals(&mut heard, &[0, 1]);
        assert_eq!(heard.lost(1, 0..=9), 8);
        assert_eq!(heard.lost(2, 5..=9), 5);
        let nothing = RangeInclusive::new(1, 0);
        assert_eq!(heard.lost(2, nothing), 0);
    }

    #[test]
    fn what_came_before_the_receiver_is_not_owed() {
        let mut heard = Heard::default();
        assert_eq!(heard.hear(1, 10, || 8), Arrival::InOrder);
        assert_eq!(heard.lost(1, 8..=10), 2);
        assert_eq!(heard.hear(1, 3, FROM_THE_FIRST), Arrival::Late);
        assert_eq!(heard.lost(1, 8..=10), 2);
        assert_eq!(heard.hear(1, 9, FROM_THE_FIRST), Arrival::Late);
        assert_eq!(heard.lost(1, 8..=10), 1);
    }

    #[test]
    fn gaps_are_bounded_and_the_oldest_is_given_up_as_lost() {
        let mut heard = Heard::default();
        let odd: Vec<u32> = (0..10_000).map(|at| 2 * at + 1).collect();
        arrivals(&mut heard, &odd);
        assert_eq!(heard.gaps.len(), MOST_GAPS);
        assert_eq!(heard.given_up() + heard.lost(1, 0..=19_999), 10_000);
    }

    #[test]
    fn a_forgotten_sender_leaves_nothing_behind() {
        let mut heard = Heard::default();
        arrivals(&mut heard, &[0, 5]);
        heard.hear(2, 1, FROM_THE_FIRST);
        heard.forget(1);
        assert_eq!(heard.last, [(2, 1)]);
        assert_eq!(heard.gaps.len(), 1);
    }

    /// What a plain ledger says: every arrival remembered for ever.
    fn by_the_book(seen: &mut BTreeMap<u32, BTreeSet<u32>>, sender: u32, number: u32) -> Arrival {
        let seen = seen.entry(sender).or_default();
        let is_latest = seen.last().is_none_or(|&last| number > last);
        match (seen.insert(number), is_latest) {
            (true, true) => Arrival::InOrder,
            (true, false) => Arrival::Late,
            (false, _) => Arrival::Again,
        }
    }

    proptest! {
        /// Up to 60 messages of a sender cannot make more gaps than are kept.
        #[test]
        fn any_pattern_of_loss_repetition_and_disorder_is_counted_right(
            pattern in prop::collection::vec((0u32..3, 0u32..40), 0..300),
            end in 0u32..50,
        ) {
            let mut heard = Heard::default();
            let mut seen = BTreeMap::new();
            for &(sender, number) in &pattern {
                let arrival = heard.hear(sender, number, FROM_THE_FIRST);
                prop_assert_eq!(arrival, by_the_book(&mut seen, sender, number));
            }
            for sender in 0..3 {
                let missing = (0..=end).filter(|number| !seen.get(&sender).is_some_and(|s| s.contains(number)));
                prop_assert_eq!(heard.lost(sender, 0..=end), missing.count() as u64);
            }
            prop_assert_eq!(heard.given_up(), 0);
        }

        #[test]
        fn memory_stays_bounded_and_no_owed_message_is_counted_twice(
            numbers in prop::collection::vec(0u32..4000, 0..2000),
        ) {
            let mut heard = Heard::default();
            let mut seen = BTreeSet::new();
            for &number in &numbers {
                heard.hear(1, number, FROM_THE_FIRST);
                seen.insert(number);
                prop_assert!(heard.gaps.len() <= MOST_GAPS);
            }
            let lost = heard.given_up() + heard.lost(1, 0..=3999);
            let never_came = 4000 - seen.len() as u64;
            prop_assert!(lost >= never_came && lost <= 4000);
        }
    }
}
