//! Slots, each with an entry's place in the queues and the queues themselves.

/// No slot.
pub(super) const NONE: u32 = u32::MAX;

/// Slots of one allocation: the slab grows by so many, so that little of it is unused.
const CHUNK: usize = 64;

/// Where an entry stands. A hit does not look here: what it counts is in the entry.
#[derive(Debug)]
pub(super) struct Slot {
    /// Finds the entry in the index.
    pub mark: u32,
    prev: u32,
    /// Of a free one: the next free one.
    next: u32,
    /// Its neighbours in the ring of those entries of one URL whose hash is not the URL's own, or [`NONE`].
    pub kin_prev: u32,
    pub kin_next: u32,
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

    pub fn add(&mut self, mark: u32) -> u32 {
        if self.free == NONE {
            self.grow();
        }
        let at = self.free;
        let slot = self.get_mut(at);
        let next_free = slot.next;
        *slot = Slot { mark, ..FREE };
        self.free = next_free;
        self.len += 1;
        at
    }

    /// Takes a slot back that stands in no queue any more.
    pub fn remove(&mut self, at: u32) {
        self.get_mut(at).next = self.free;
        self.free = at;
        self.len -= 1;
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

const FREE: Slot = Slot { mark: 0, prev: NONE, next: NONE, kin_prev: NONE, kin_next: NONE };

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

    pub fn push(&mut self, slots: &mut Slots, at: u32, bytes: u64) {
        let slot = slots.get_mut(at);
        (slot.prev, slot.next) = (NONE, self.front);
        self.bytes += bytes;
        self.len += 1;
        match self.front {
            NONE => self.back = at,
            front => slots.get_mut(front).prev = at,
        }
        self.front = at;
    }

    pub fn remove(&mut self, slots: &mut Slots, at: u32, bytes: u64) {
        let slot = slots.get(at);
        let (prev, next) = (slot.prev, slot.next);
        self.bytes -= bytes;
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
