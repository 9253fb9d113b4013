//! Slots, each with an entry, and the queues that they stand in.

use std::sync::Arc;

use crate::Entry;

/// No slot.
pub(super) const NONE: u32 = u32::MAX;

/// Slots of one allocation: the slab grows by so many, so that little of it is unused.
const CHUNK: usize = 64;

/// What a shard knows of an entry. What a hit looks at and counts comes first, so that it is beside each other.
#[derive(Debug)]
#[repr(C)]
pub(super) struct Slot {
    /// `None`: it is free, and `next` is the next free one.
    pub entry: Option<Arc<Entry>>,
    pub hash: u64,
    pub hits: u32,
    /// Hits since it entered its queue, at most [`Slot::MOST`].
    pub freq: u8,
    pub in_main: bool,
    pub has_kin: bool,
    prev: u32,
    next: u32,
    /// Its neighbours among the entries of one URL, if their hash is not the URL's own.
    pub kin_prev: u32,
    pub kin_next: u32,
}

impl Slot {
    pub const MOST: u8 = 3;

    pub fn weight(&self) -> u64 {
        self.entry.as_ref().map_or(0, |entry| entry.cost_bytes())
    }
}

/// The slots of a shard.
#[derive(Debug)]
pub(super) struct Slots {
    chunks: Vec<Box<[Slot]>>,
    free: u32,
    len: u32,
}

impl Slots {
    pub const fn new() -> Self {
        Self { chunks: Vec::new(), free: NONE, len: 0 }
    }

    pub const fn len(&self) -> u32 {
        self.len
    }

    /// One more than the largest number of a slot.
    pub fn end(&self) -> u32 {
        (self.chunks.len() * CHUNK) as u32
    }

    pub fn get(&self, at: u32) -> &Slot {
        &self.chunks[at as usize / CHUNK][at as usize % CHUNK]
    }

    pub fn get_mut(&mut self, at: u32) -> &mut Slot {
        &mut self.chunks[at as usize / CHUNK][at as usize % CHUNK]
    }

    /// The entry of a slot that is in use.
    pub fn entry(&self, at: u32) -> &Arc<Entry> {
        self.get(at).entry.as_ref().expect("tables and queues name slots that are in use")
    }

    pub fn add(&mut self, entry: Arc<Entry>, hash: u64) -> u32 {
        if self.free == NONE {
            self.grow();
        }
        let at = self.free;
        let slot = self.get_mut(at);
        let next_free = slot.next;
        *slot = Slot { entry: Some(entry), hash, ..FREE };
        self.free = next_free;
        self.len += 1;
        at
    }

    /// Takes a slot back that stands in no queue any more.
    pub fn remove(&mut self, at: u32) -> Arc<Entry> {
        let free = self.free;
        let slot = self.get_mut(at);
        let entry = slot.entry.take().expect("a slot in use is removed once");
        slot.next = free;
        self.free = at;
        self.len -= 1;
        entry
    }

    fn grow(&mut self) {
        let start = self.end();
        let chunk = (1..=CHUNK as u32)
            .map(|at| Slot { next: if at as usize == CHUNK { NONE } else { start + at }, ..FREE })
            .collect();
        self.chunks.push(chunk);
        self.free = start;
    }

    /// Bytes that it grows by when one is added.
    pub fn growth(&self) -> usize {
        let list = if self.chunks.len() < self.chunks.capacity() { 0 } else { self.chunks.capacity().max(4) };
        let chunk = CHUNK * size_of::<Slot>() + list * size_of::<Box<[Slot]>>();
        if self.free == NONE { chunk } else { 0 }
    }

    pub fn allocated_bytes(&self) -> u64 {
        (self.chunks.len() * CHUNK * size_of::<Slot>() + self.chunks.capacity() * size_of::<Box<[Slot]>>())
            as u64
    }
}

const FREE: Slot = Slot {
    entry: None,
    hash: 0,
    prev: NONE,
    next: NONE,
    kin_prev: NONE,
    kin_next: NONE,
    hits: 0,
    freq: 0,
    in_main: false,
    has_kin: false,
};

/// A queue of slots, linked through them: in at the front, out at the back.
#[derive(Debug)]
pub(super) struct Queue {
    front: u32,
    back: u32,
    pub len: u32,
    /// Weight of all of them.
    pub bytes: u64,
}

impl Queue {
    pub const fn new() -> Self {
        Self { front: NONE, back: NONE, len: 0, bytes: 0 }
    }

    /// Who is next to leave.
    pub fn back(&self) -> Option<u32> {
        (self.back != NONE).then_some(self.back)
    }

    pub fn push(&mut self, slots: &mut Slots, at: u32) {
        let slot = slots.get_mut(at);
        (slot.prev, slot.next) = (NONE, self.front);
        self.bytes += slot.weight();
        self.len += 1;
        match self.front {
            NONE => self.back = at,
            front => slots.get_mut(front).prev = at,
        }
        self.front = at;
    }

    pub fn remove(&mut self, slots: &mut Slots, at: u32) {
        let slot = slots.get(at);
        let (prev, next) = (slot.prev, slot.next);
        self.bytes -= slot.weight();
        self.len -= 1;
        match prev {
            NONE => self.front = next,
            prev => slots.get_mut(prev).next = next,
        }
        match next {
            NONE => self.back = prev,
            next => slots.get_mut(next).prev = prev,
        }
    }
}
