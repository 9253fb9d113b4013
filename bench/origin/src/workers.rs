//! An app that can do only so much at once: a fixed number of workers, each busy for a while with one request, and all
//! others waiting in front of them without a bound.
//!
//! That is how apps with a pool of workers are: who waits is not seen, and a request whose client has long gone is still
//! worked off when its turn comes.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::time::{Duration, Instant};

/// The connection that an answer is for: its place, and a number that no later connection in the same place has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Asker {
    pub(crate) slot: usize,
    pub(crate) number: u64,
}

/// The workers and what waits for them.
#[derive(Debug)]
pub(crate) struct Workers {
    /// Workers that have nothing to do.
    idle: usize,
    /// When each busy worker is done, and for whom it works.
    busy: BinaryHeap<Reverse<(Instant, Asker)>>,
    backlog: VecDeque<(Asker, Duration)>,
}

impl Workers {
    /// So many of them, all idle.
    pub(crate) fn new(number: usize) -> Self {
        Self { idle: number, busy: BinaryHeap::new(), backlog: VecDeque::new() }
    }

    /// Begins with the work at once, or when its turn comes.
    pub(crate) fn take(&mut self, now: Instant, asker: Asker, takes: Duration) {
        if self.idle > 0 {
            self.idle -= 1;
            self.busy.push(Reverse((now + takes, asker)));
        } else {
            self.backlog.push_back((asker, takes));
        }
    }

    /// Who is to be answered now. The worker goes on with whoever waits longest.
    pub(crate) fn done(&mut self, now: Instant) -> Option<Asker> {
        let Reverse((due, _)) = self.busy.peek()?;
        if *due > now {
            return None;
        }
        let Reverse((_, asker)) = self.busy.pop()?;
        match self.backlog.pop_front() {
            Some((next, takes)) => self.busy.push(Reverse((now + takes, next))),
            None => self.idle += 1,
        }
        Some(asker)
    }

    /// When the next worker is done.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.busy.peek().map(|Reverse((due, _))| *due)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asker(slot: usize) -> Asker {
        Asker { slot, number: 0 }
    }

    #[test]
    fn so_many_are_worked_on_at_once_and_the_others_wait_in_line() {
        let (mut workers, start) = (Workers::new(2), Instant::now());
        let ms = |ms| start + Duration::from_millis(ms);
        assert_eq!(workers.due(), None);
        for slot in 0..5 {
            workers.take(start, asker(slot), Duration::from_millis(20));
        }
        assert_eq!((workers.due(), workers.done(ms(19))), (Some(ms(20)), None));
        assert_eq!(
            [workers.done(ms(20)), workers.done(ms(20)), workers.done(ms(20))],
            [Some(asker(0)), Some(asker(1)), None]
        );
        assert_eq!(
            [workers.done(ms(40)), workers.done(ms(40)), workers.done(ms(41))],
            [Some(asker(2)), Some(asker(3)), None]
        );
        assert_eq!((workers.done(ms(60)), workers.due(), workers.idle), (Some(asker(4)), None, 2));
    }
}
