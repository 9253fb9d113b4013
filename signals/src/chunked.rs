//! Counters by slot that grow without a lock and never move.
//!
//! Memory comes in chunks of 64 places, each made by the first event that falls into it and kept from then on.
//! Finding a counter is two loads; a reader may walk the chunks while the writer makes new ones.
//!
//! A place belongs to one generation of names at a time. Its writer meets a newer generation in the slot, sets the
//! counters to zero and then publishes the generation; a reader that sees the new generation sees the zeros too.

use core::sync::atomic::{AtomicU32, Ordering};
use std::sync::OnceLock;

use crate::counter::Reset;
use crate::slot::Slot;

const CHUNK: usize = 64;

struct Place<T> {
    generation: AtomicU32,
    counters: T,
}

/// `CHUNKS × 64` places.
pub(crate) struct Chunked<T, const CHUNKS: usize> {
    chunks: [OnceLock<Box<[Place<T>]>>; CHUNKS],
}

impl<T: Default + Reset, const CHUNKS: usize> Chunked<T, CHUNKS> {
    /// Most places.
    pub(crate) const PLACES: usize = CHUNKS * CHUNK;

    /// Counters of the slot, for their one writer. A slot whose place has gone to a newer name counts as other.
    #[inline]
    pub(crate) fn writing(&self, slot: Slot) -> &T {
        let place = self.place(slot.index());
        if place.generation.load(Ordering::Relaxed) == u32::from(slot.generation()) {
            return &place.counters;
        }
        self.turn_over(place, slot)
    }

    /// Counters of the slot, for any reader; `None` while no event of this name was counted here.
    pub(crate) fn reading(&self, slot: Slot) -> Option<&T> {
        let place = self.chunks.get(slot.index() / CHUNK)?.get()?.get(slot.index() % CHUNK)?;
        (place.generation.load(Ordering::Acquire) == u32::from(slot.generation())).then_some(&place.counters)
    }

    #[inline]
    fn place(&self, index: usize) -> &Place<T> {
        // An index past the bound cannot come out of the register of names; it would count as other.
        let index = if index < Self::PLACES { index } else { Slot::OTHER.index() };
        &self.chunks[index / CHUNK].get_or_init(Self::chunk)[index % CHUNK]
    }

    #[cold]
    fn chunk() -> Box<[Place<T>]> {
        (0..CHUNK).map(|_| Place { generation: AtomicU32::new(0), counters: T::default() }).collect()
    }

    #[cold]
    fn turn_over<'a>(&'a self, place: &'a Place<T>, slot: Slot) -> &'a T {
        let held = place.generation.load(Ordering::Relaxed) as u16;
        // Generations wrap; the nearer half of the circle counts as ahead.
        let is_newer = slot.generation().wrapping_sub(held) < 0x8000;
        if !is_newer {
            return &self.place(Slot::OTHER.index()).counters;
        }
        place.counters.reset();
        place.generation.store(slot.generation().into(), Ordering::Release);
        &place.counters
    }
}

impl<T, const CHUNKS: usize> Default for Chunked<T, CHUNKS> {
    fn default() -> Self {
        Self { chunks: [const { OnceLock::new() }; CHUNKS] }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::counter::Counter;

    type Small = Chunked<Counter, 2>;

    #[test]
    fn a_place_is_made_by_its_first_event() {
        let counters = Small::default();
        let slot = Slot::new(70, 0);
        assert!(counters.reading(slot).is_none());
        counters.writing(slot).add(3);
        assert_eq!(counters.reading(slot).map(Counter::get), Some(3));
    }

    #[test]
    fn a_late_event_of_a_name_that_left_counts_as_other() {
        let counters = Small::default();
        let (old, new) = (Slot::new(5, 0), Slot::new(5, 1));
        counters.writing(old).add(7);
        counters.writing(new).add(1);
        counters.writing(old).add(2);
        assert_eq!(counters.reading(new).map(Counter::get), Some(1));
        assert!(counters.reading(old).is_none());
        assert_eq!(counters.reading(Slot::OTHER).map(Counter::get), Some(2));
    }

    #[test]
    fn generations_wrap_around() {
        let counters = Small::default();
        for generation in [0, 0x7000, 0xe000, 0xffff] {
            counters.writing(Slot::new(5, generation)).add(1);
        }
        counters.writing(Slot::new(5, 0)).add(9);
        assert_eq!(counters.reading(Slot::new(5, 0)).map(Counter::get), Some(9));
    }

    #[test]
    fn an_index_past_the_bound_counts_as_other() {
        let counters = Small::default();
        counters.writing(Slot::new(u16::MAX, 0)).add(1);
        assert_eq!(counters.reading(Slot::OTHER).map(Counter::get), Some(1));
        assert!(counters.reading(Slot::new(u16::MAX, 0)).is_none());
    }
}
