//! Things to be done at a moment, in order.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use crate::Nanos;

/// Things with the moment at which each is due. Those of the same moment come in the order in which they were set.
#[derive(Debug)]
pub(crate) struct Timers<T> {
    heap: BinaryHeap<Entry<T>>,
    set: u64,
}

#[derive(Debug)]
struct Entry<T> {
    at: Nanos,
    number: u64,
    what: T,
}

impl<T> Timers<T> {
    /// Nothing to be done.
    pub(crate) const fn new() -> Self {
        Self { heap: BinaryHeap::new(), set: 0 }
    }

    /// Has `what` come due at a moment.
    pub(crate) fn set(&mut self, at: Nanos, what: T) {
        self.heap.push(Entry { at, number: self.set, what });
        self.set += 1;
    }

    /// When the next thing is due.
    pub(crate) fn next(&self) -> Option<Nanos> {
        self.heap.peek().map(|entry| entry.at)
    }

    /// Takes the next thing that is due by `now`, with its moment.
    pub(crate) fn take(&mut self, now: Nanos) -> Option<(Nanos, T)> {
        if self.next()? > now {
            return None;
        }
        self.heap.pop().map(|entry| (entry.at, entry.what))
    }
}

impl<T> Ord for Entry<T> {
    /// The earlier one is the greater one, for the heap gives the greatest first.
    fn cmp(&self, other: &Self) -> Ordering {
        (other.at, other.number).cmp(&(self.at, self.number))
    }
}

impl<T> PartialOrd for Entry<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> PartialEq for Entry<T> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl<T> Eq for Entry<T> {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn things_come_in_the_order_of_their_moments_and_then_of_their_setting() {
        let mut timers = Timers::new();
        for (at, what) in [(30, 'd'), (10, 'a'), (20, 'b'), (20, 'c')] {
            timers.set(at, what);
        }
        assert_eq!(timers.next(), Some(10));
        assert_eq!(timers.take(9), None);
        let taken: String = std::iter::from_fn(|| timers.take(25)).map(|(_, what)| what).collect();
        assert_eq!(taken, "abc");
        assert_eq!(timers.take(u64::MAX), Some((30, 'd')));
        assert_eq!((timers.next(), timers.take(u64::MAX)), (None, None));
    }
}
