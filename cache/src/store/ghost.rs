//! Who was sent away from the small queue a short while ago.

use super::index::{grown, place};

/// Fingerprints that share a place.
const WAYS: usize = 8;

/// The hashes of entries that were evicted before they proved themselves, as four bytes each; of those that share a
/// place the oldest is forgotten first. It grows only when it is told to, since memory is needed where entries come,
/// not where they leave. Two with one fingerprint cost a place in the wrong queue, nothing else.
#[derive(Debug, Default)]
pub(super) struct Ghost {
    /// In the order of the fingerprints, the newest one first in each. Zero is none.
    places: Vec<[u32; WAYS]>,
}

impl Ghost {
    /// Sees to it that about so many are remembered.
    pub fn fit(&mut self, entries: usize) {
        if self.growth(entries) == 0 {
            return;
        }
        let before = core::mem::take(&mut self.places);
        self.places = vec![[0; WAYS]; wanted(entries).max(grown(before.len()))];
        for mark in before.iter().flat_map(|place| place.iter().rev()).filter(|mark| **mark != 0) {
            self.remember(*mark);
        }
    }

    /// Remembers it.
    pub fn insert(&mut self, mark: u32) {
        let mark = fingerprint(mark);
        self.forget(mark);
        self.remember(mark);
    }

    /// Whether it was remembered; it no longer is.
    pub fn take(&mut self, mark: u32) -> bool {
        self.forget(fingerprint(mark))
    }

    fn remember(&mut self, mark: u32) {
        if let Some(place) = self.place(mark) {
            place.rotate_right(1);
            place[0] = mark;
        }
    }

    fn forget(&mut self, mark: u32) -> bool {
        let Some(place) = self.place(mark) else { return false };
        let Some(at) = place.iter().position(|other| *other == mark) else { return false };
        place[at..].rotate_left(1);
        place[WAYS - 1] = 0;
        true
    }

    fn place(&mut self, mark: u32) -> Option<&mut [u32; WAYS]> {
        let at = place(mark, self.places.len());
        self.places.get_mut(at)
    }

    /// Bytes that it would grow by to remember so many.
    pub fn growth(&self, entries: usize) -> usize {
        let places = self.places.len();
        let more = if wanted(entries) > places { wanted(entries).max(grown(places)) - places } else { 0 };
        more * size_of::<[u32; WAYS]>()
    }

    pub fn allocated_bytes(&self) -> u64 {
        (self.places.capacity() * size_of::<[u32; WAYS]>()) as u64
    }
}

const fn wanted(entries: usize) -> usize {
    entries.div_ceil(WAYS)
}

/// Zero is none.
fn fingerprint(mark: u32) -> u32 {
    mark.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn remembered(ghost: &mut Ghost, of: impl Iterator<Item = u32>) -> Vec<u32> {
        of.filter(|at| ghost.take(*at)).collect()
    }

    #[test]
    fn the_oldest_is_forgotten_first_and_each_is_taken_once() {
        let mut ghost = Ghost::default();
        ghost.fit(8);
        (1..=11_u32).for_each(|at| ghost.insert(at));
        assert_eq!(remembered(&mut ghost, 1..=11), [4, 5, 6, 7, 8, 9, 10, 11]);
        assert!(remembered(&mut ghost, 1..=11).is_empty());
    }

    #[test]
    fn one_that_comes_again_is_the_newest_then() {
        let mut ghost = Ghost::default();
        ghost.fit(8);
        (1..=8_u32).chain([1, 9]).for_each(|at| ghost.insert(at));
        assert_eq!(remembered(&mut ghost, 1..=9), [1, 3, 4, 5, 6, 7, 8, 9]);
    }

    #[test]
    fn nothing_is_forgotten_when_it_grows() {
        let mut ghost = Ghost::default();
        assert!(!ghost.take(1), "there is none at first");
        ghost.fit(8);
        (1..=8_u32).for_each(|at| ghost.insert(at));
        assert_eq!((ghost.growth(8), ghost.growth(9), ghost.growth(33)), (0, 32, 4 * 32));
        ghost.fit(33);
        assert_eq!(remembered(&mut ghost, 1..=8).len(), 8);
    }
}
