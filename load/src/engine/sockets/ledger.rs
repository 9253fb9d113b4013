//! What senders have sent, as far as one part of the run knows: the measure of what receivers should have got.
//!
//! # The rule
//! A receiver is judged only on the time in which it was open. A sender owes it every message
//! - that was due after the receiver was open (what was on its way while it joined may or may not reach it), and
//! - that this part knew of at least a settle time before the receiver, or the sender, left (what was on its way then
//!   may be gone with the connection). At the end of the run sending stops first, so everything sent is owed.
//!
//! A sender is one connection: a socket that comes back is another sender and counts from 0 again, so nothing has to
//! be guessed across a reconnect. Of its own senders a part knows every message. Of those of other parts it knows what
//! any of its receivers heard: if one got a message, all had to. A message of another part that reached no receiver
//! of this one shows as a gap as soon as a later one arrives.
//!
//! Whatever is uncertain is decided in the target's favour: losses are never counted too high.

use std::collections::{HashMap, VecDeque};
use std::ops::RangeInclusive;

use crate::Nanos;

/// Entries of a log. When it is full, every other one goes, and so on: a log of any length stays this small, and only
/// becomes coarser in time.
const LOG_ENTRIES: usize = 128;

/// Nothing.
pub(crate) const NONE: RangeInclusive<u32> = RangeInclusive::new(1, 0);

/// All senders that this part knows.
#[derive(Debug)]
pub(crate) struct Ledger {
    senders: HashMap<u32, Sender>,
    /// Senders that have ended, with the time from which on nothing of them is on its way any more.
    ended: VecDeque<(Nanos, u32)>,
    settle: Nanos,
    /// Longest silence of a sender that still sends.
    silence: Nanos,
}

#[derive(Debug)]
struct Sender {
    log: Log,
    /// When its connection ended. Never known of senders of other parts.
    ended: Option<Nanos>,
    is_own: bool,
}

/// One message that was sent.
#[derive(Clone, Copy, Debug)]
struct Entry {
    number: u32,
    due: Nanos,
    /// When this part knew of it: handed to the system, or heard by a receiver.
    known: Nanos,
}

/// Some of the messages of a sender, in order, and always the latest.
#[derive(Debug)]
struct Log {
    entries: Vec<Entry>,
    latest: Entry,
    /// Least distance between the numbers of two entries.
    stride: u32,
}

impl Ledger {
    /// An empty ledger. `settle`: how long a message may be on its way. `every_most`: longest time between two
    /// messages of a sender.
    pub(crate) fn new(settle: Nanos, every_most: Nanos) -> Self {
        let silence = every_most.saturating_mul(2).saturating_add(settle);
        Self { senders: HashMap::new(), ended: VecDeque::new(), settle, silence }
    }

    /// A sender of this part sent a message, which was `due` and left at `now`.
    pub(crate) fn sent(&mut self, sender: u32, number: u32, due: Nanos, now: Nanos) {
        self.note(sender, Entry { number, due, known: now }, true);
    }

    /// A receiver of this part heard a message of a sender of another part.
    pub(crate) fn heard(&mut self, sender: u32, number: u32, due: Nanos, now: Nanos) {
        self.note(sender, Entry { number, due, known: now }, false);
    }

    fn note(&mut self, sender: u32, entry: Entry, is_own: bool) {
        self.senders.entry(sender).and_modify(|sender| sender.log.push(entry)).or_insert_with(|| Sender {
            log: Log::new(entry),
            ended: None,
            is_own,
        });
    }

    /// The connection of a sender of this part ended in the middle of the run.
    pub(crate) fn end(&mut self, sender: u32, now: Nanos) {
        if let Some(entry) = self.senders.get_mut(&sender) {
            entry.ended = Some(now);
            self.ended.push_back((now.saturating_add(self.settle), sender));
        }
    }

    /// A sender whose last message is no longer on its way, and what it owed up to its end is to be judged for every
    /// receiver before it is [removed](Self::remove).
    pub(crate) fn settled(&mut self, now: Nanos) -> Option<u32> {
        let (at, sender) = *self.ended.front()?;
        (at <= now).then(|| {
            self.ended.pop_front();
            sender
        })
    }

    /// Gives senders of other parts up that have been silent for longer than any sender is: they have ended.
    pub(crate) fn sweep(&mut self, now: Nanos) {
        for (&number, sender) in &mut self.senders {
            let is_silent = now.saturating_sub(sender.log.latest.known) > self.silence;
            if !sender.is_own && sender.ended.is_none() && is_silent {
                sender.ended = Some(now);
                self.ended.push_back((now, number));
            }
        }
    }

    /// Forgets a sender.
    pub(crate) fn remove(&mut self, sender: u32) {
        self.senders.remove(&sender);
    }

    /// Whether a sender is known.
    pub(crate) fn knows(&self, sender: u32) -> bool {
        self.senders.contains_key(&sender)
    }

    /// The senders known.
    pub(crate) fn senders(&self) -> impl Iterator<Item = u32> + '_ {
        self.senders.keys().copied()
    }

    /// The number of the first message of `sender` that a receiver which opened at `opened` should have got. `None`:
    /// not known of any.
    pub(crate) fn owed_from(&self, sender: u32, opened: Nanos) -> Option<u32> {
        self.senders.get(&sender)?.log.first_due(opened)
    }

    /// What `sender` owes a receiver that opened at `opened` and left at `left`; `None`: it is there until the end,
    /// when everything had time to arrive.
    pub(crate) fn owed(&self, sender: u32, opened: Nanos, left: Option<Nanos>) -> RangeInclusive<u32> {
        let Some(sender) = self.senders.get(&sender) else { return NONE };
        // What others sent and we heard of has certainly left its sender.
        let sender_left = sender.ended.filter(|_| sender.is_own);
        let last = match (left, sender_left) {
            (None, None) => Some(sender.log.latest.number),
            (left, ended) => {
                let end = left.unwrap_or(Nanos::MAX).min(ended.unwrap_or(Nanos::MAX));
                end.checked_sub(self.settle).and_then(|settled| sender.log.last_known(settled))
            }
        };
        match (sender.log.first_due(opened), last) {
            (Some(first), Some(last)) => first..=last,
            _ => NONE,
        }
    }
}

impl Log {
    fn new(entry: Entry) -> Self {
        Self { entries: vec![entry], latest: entry, stride: 1 }
    }

    /// Adds a message; what is not later than the latest says nothing new.
    fn push(&mut self, entry: Entry) {
        if entry.number <= self.latest.number {
            return;
        }
        self.latest = entry;
        if self.entries.last().is_some_and(|last| entry.number - last.number < self.stride) {
            return;
        }
        if self.entries.len() == LOG_ENTRIES {
            let mut is_kept = false;
            self.entries.retain(|_| {
                is_kept = !is_kept;
                is_kept
            });
            self.stride = self.stride.saturating_mul(2);
        }
        self.entries.push(entry);
    }

    /// The first message known to be due at `at` or later.
    fn first_due(&self, at: Nanos) -> Option<u32> {
        let position = self.entries.partition_point(|entry| entry.due < at);
        let latest = (self.latest.due >= at).then_some(self.latest.number);
        self.entries.get(position).map(|entry| entry.number).or(latest)
    }

    /// The last message that was known by `at`.
    fn last_known(&self, at: Nanos) -> Option<u32> {
        if self.latest.known <= at {
            return Some(self.latest.number);
        }
        let position = self.entries.partition_point(|entry| entry.known <= at);
        self.entries[..position].last().map(|entry| entry.number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Sender 1 sends message `i` at `100 × i`.
    fn ledger(messages: u32) -> Ledger {
        let mut ledger = Ledger::new(50, 100);
        for number in 0..messages {
            let at = Nanos::from(number) * 100;
            ledger.sent(1, number, at, at);
        }
        ledger
    }

    #[test]
    fn a_receiver_is_owed_what_was_due_while_it_was_open() {
        let ledger = ledger(10);
        assert_eq!(ledger.owed(1, 0, None), 0..=9);
        assert_eq!(ledger.owed(1, 201, None), 3..=9);
        assert_eq!(ledger.owed(1, 201, Some(550)), 3..=5);
        assert_eq!(ledger.owed(1, 201, Some(549)), 3..=4, "the fifth was still on its way");
        assert!(ledger.owed(1, 901, None).is_empty());
        assert!(ledger.owed(1, 201, Some(210)).is_empty());
        assert!(ledger.owed(2, 0, None).is_empty());
    }

    #[test]
    fn what_was_on_its_way_when_the_sender_broke_off_is_not_owed() {
        let mut ledger = ledger(10);
        ledger.end(1, 920);
        assert_eq!(ledger.owed(1, 0, None), 0..=8);
        assert_eq!(ledger.settled(969), None);
        assert_eq!(ledger.settled(970), Some(1));
        assert_eq!(ledger.settled(970), None);
        ledger.remove(1);
        assert_eq!(ledger.senders().count(), 0);
    }

    #[test]
    fn a_sender_of_another_part_owes_all_what_one_heard_until_it_falls_silent() {
        let mut ledger = Ledger::new(50, 100);
        ledger.heard(8, 4, 400, 410);
        ledger.heard(8, 3, 300, 420);
        assert_eq!(ledger.owed(8, 0, None), 4..=4);
        ledger.sweep(660);
        assert_eq!(ledger.settled(660), None);
        ledger.sweep(661);
        assert_eq!(ledger.settled(661), Some(8));
        assert_eq!(ledger.owed(8, 0, None), 4..=4);
    }

    proptest! {
        #[test]
        fn a_log_of_any_length_stays_small_and_never_claims_too_much(
            messages in 1u32..5000, opened in 0u64..500_000, left in 0u64..500_000,
        ) {
            let ledger = ledger(messages);
            let log = &ledger.senders[&1].log;
            prop_assert!(log.entries.len() <= LOG_ENTRIES);
            let truly = |number: &u32| {
                let at = Nanos::from(*number) * 100;
                at >= opened && at + 50 <= left
            };
            let owed = ledger.owed(1, opened, Some(left));
            prop_assert!(owed.clone().all(|number| truly(&number)));
            // Coarser by no more than one stride at either end.
            let all = (0..messages).filter(truly).count();
            prop_assert!(owed.count() + 2 * log.stride as usize > all);
        }
    }
}
