//! Who was sent away from the small queue a short while ago.

use std::collections::VecDeque;

use hashbrown::HashTable;

/// The hashes of entries that were evicted before they proved themselves, as four bytes each; the oldest is forgotten
/// first. Two that share a fingerprint cost a place in the wrong queue, nothing else.
#[derive(Debug, Default)]
pub(super) struct Ghost {
    ring: VecDeque<u32>,
    /// Number of the first in `ring`. Numbers wrap around.
    base: u32,
    /// Numbers.
    table: HashTable<u32>,
}

impl Ghost {
    /// Remembers it, and forgets the oldest so that no more than `most` are left.
    pub fn insert(&mut self, hash: u64, most: usize) {
        let print = fingerprint(hash);
        while self.ring.len() >= most.max(1) {
            self.forget_oldest();
        }
        let number = self.base.wrapping_add(self.ring.len() as u32);
        self.ring.push_back(print);
        let Self { ring, base, table } = self;
        let of = |number: u32| ring[number.wrapping_sub(*base) as usize];
        match table.find_mut(spread(print), |&number| of(number) == print) {
            Some(known) => *known = number,
            None => {
                table.insert_unique(spread(print), number, |&number| spread(of(number)));
            }
        }
    }

    /// Whether it was remembered; it no longer is.
    pub fn take(&mut self, hash: u64) -> bool {
        let print = fingerprint(hash);
        let Self { ring, base, table } = self;
        let found =
            table.find_entry(spread(print), |number| ring[number.wrapping_sub(*base) as usize] == print);
        found.map(hashbrown::hash_table::OccupiedEntry::remove).is_ok()
    }

    fn forget_oldest(&mut self) {
        let Some(&print) = self.ring.front() else { return };
        let base = self.base;
        if let Ok(oldest) = self.table.find_entry(spread(print), |&number| number == base) {
            oldest.remove();
        }
        self.ring.pop_front();
        self.base = base.wrapping_add(1);
    }

    pub fn allocated_bytes(&self) -> u64 {
        (self.ring.capacity() * size_of::<u32>() + self.table.allocation_size()) as u64
    }
}

const fn fingerprint(hash: u64) -> u32 {
    (hash >> 32) as u32
}

/// The table wants all 64 bits to say something.
const fn spread(print: u32) -> u64 {
    (print as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_is_forgotten_first() {
        let mut ghost = Ghost::default();
        (1..=5_u64).for_each(|at| ghost.insert(at << 32, 3));
        assert!(!ghost.take(1 << 32) && !ghost.take(2 << 32));
        assert!(ghost.take(3 << 32) && ghost.take(4 << 32) && ghost.take(5 << 32));
        assert!(!ghost.take(5 << 32), "it is taken once");
    }

    #[test]
    fn one_that_comes_again_is_remembered_from_then_on() {
        let mut ghost = Ghost::default();
        [1_u64, 2, 1, 3].into_iter().for_each(|at| ghost.insert(at << 32, 3));
        assert!(ghost.take(1 << 32) && ghost.take(2 << 32) && ghost.take(3 << 32));
    }

    #[test]
    fn a_place_that_was_taken_out_is_passed_over() {
        let mut ghost = Ghost::default();
        ghost.insert(1 << 32, 2);
        assert!(ghost.take(1 << 32));
        [2_u64, 3, 4].into_iter().for_each(|at| ghost.insert(at << 32, 2));
        assert!(!ghost.take(2 << 32));
        assert!(ghost.take(3 << 32) && ghost.take(4 << 32));
        assert!(ghost.table.is_empty());
    }

    #[test]
    fn numbers_may_wrap_around() {
        let mut ghost = Ghost { base: u32::MAX - 1, ..Ghost::default() };
        (1..=6_u64).for_each(|at| ghost.insert(at << 32, 4));
        assert_eq!((1..=6).filter(|at| ghost.take(*at << 32)).collect::<Vec<u64>>(), [3, 4, 5, 6]);
    }
}
