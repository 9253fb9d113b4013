//! A map from (number, bytes) to a number that is built once and then only read.
//!
//! The standard map cannot be asked with a borrowed pair without allocating it, and a map per branch
//! of the tree would scatter the memory that a lookup touches. Here all keys lie in one piece, slots
//! are half empty, and a lookup is one hash, one slot and one comparison at almost every load.
//! Requests only ever ask, so nobody outside can lengthen a run of slots.

use core::hash::{BuildHasher, Hasher};
use foldhash::fast::FixedState;

/// Marks an empty slot and, in the table, the absence of a number.
pub(super) const NONE: u32 = u32::MAX;

#[derive(Clone, Copy)]
struct Slot {
    hash: u32,
    scope: u32,
    start: u32,
    len: u32,
    value: u32,
}

/// The read-only map. Keys are unique: the builder gathered them in a map of its own.
pub(super) struct Index {
    slots: Box<[Slot]>,
    keys: Box<[u8]>,
    hasher: FixedState,
}

impl Index {
    /// Lays the entries out. `value` must not be [`NONE`].
    pub(super) fn build<'k>(entries: impl ExactSizeIterator<Item = (u32, &'k [u8], u32)>) -> Self {
        let empty = Slot { hash: 0, scope: 0, start: 0, len: 0, value: NONE };
        let size = (entries.len() * 2).next_power_of_two().max(2);
        let mut slots = vec![empty; size].into_boxed_slice();
        let hasher = FixedState::default();
        let mut keys = Vec::new();
        for (scope, key, value) in entries {
            let hash = hash(&hasher, scope, key);
            let mut at = hash as usize & (size - 1);
            while slots[at].value != NONE {
                at = (at + 1) & (size - 1);
            }
            slots[at] = Slot { hash, scope, start: keys.len() as u32, len: key.len() as u32, value };
            keys.extend_from_slice(key);
        }
        Self { slots, keys: keys.into_boxed_slice(), hasher }
    }

    /// The number stored for the pair.
    pub(super) fn get(&self, scope: u32, key: &[u8]) -> Option<u32> {
        let hash = hash(&self.hasher, scope, key);
        let mask = self.slots.len() - 1;
        let mut at = hash as usize & mask;
        loop {
            let slot = &self.slots[at];
            if slot.value == NONE {
                return None;
            }
            if slot.hash == hash && slot.scope == scope && self.key(slot) == key {
                return Some(slot.value);
            }
            at = (at + 1) & mask;
        }
    }

    fn key(&self, slot: &Slot) -> &[u8] {
        &self.keys[slot.start as usize..(slot.start + slot.len) as usize]
    }
}

fn hash(hasher: &FixedState, scope: u32, key: &[u8]) -> u32 {
    let mut state = hasher.build_hasher();
    state.write_u32(scope);
    state.write(key);
    state.finish() as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_is_found_under_its_scope_and_no_other() {
        let keys: Vec<String> = (0..500).map(|n| format!("/path/{n}")).collect();
        let entries: Vec<(u32, &[u8], u32)> =
            keys.iter().enumerate().map(|(n, key)| (n as u32 % 3, key.as_bytes(), n as u32)).collect();
        let index = Index::build(entries.iter().copied());
        for &(scope, key, value) in &entries {
            assert_eq!(index.get(scope, key), Some(value));
            assert_eq!(index.get(scope + 1, key), None);
        }
        assert_eq!(index.get(0, b"/path/500"), None);
        assert_eq!(Index::build([].into_iter()).get(0, b""), None);
    }
}
