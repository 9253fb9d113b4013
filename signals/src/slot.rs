//! Small numbers that stand for names on the hot path.
//!
//! A slot is an index into the counters and the generation of that index. Places are used again after a name has
//! left; the generation keeps a late event of the old name (a tunnel that outlived its route by hours) from being
//! counted under the new one.

/// Index and generation, packed so that a slot travels in one register.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub(crate) struct Slot(u32);

impl Slot {
    /// Place of everything past a bound.
    pub(crate) const OTHER: Self = Self::new(0, 0);
    /// Place of what has no name.
    pub(crate) const NONE: Self = Self::new(1, 0);

    pub(crate) const fn new(index: u16, generation: u16) -> Self {
        Self((generation as u32) << 16 | index as u32)
    }

    pub(crate) const fn index(self) -> usize {
        (self.0 & 0xffff) as usize
    }

    pub(crate) const fn generation(self) -> u16 {
        (self.0 >> 16) as u16
    }
}

/// Stands for a route's name in counters; see [`Signals::route`](crate::Signals::route).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct RouteSlot(pub(crate) Slot);

impl RouteSlot {
    /// Counts under [`OTHER`](crate::OTHER).
    pub const OTHER: Self = Self(Slot::OTHER);
    /// Counts under [`NONE`](crate::NONE): no route was chosen.
    pub const NONE: Self = Self(Slot::NONE);
}

/// Stands for an upstream's name in counters; see [`Signals::upstream`](crate::Signals::upstream).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct UpstreamSlot(pub(crate) Slot);

impl UpstreamSlot {
    /// Counts under [`OTHER`](crate::OTHER).
    pub const OTHER: Self = Self(Slot::OTHER);
}

/// Stands for an endpoint's address in counters; see [`Signals::endpoint`](crate::Signals::endpoint).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct EndpointSlot(pub(crate) Slot);

impl EndpointSlot {
    /// Counts under [`OTHER`](crate::OTHER).
    pub const OTHER: Self = Self(Slot::OTHER);
}

/// Stands for a limit of a route, or of the server, in counters; see [`Signals::limit`](crate::Signals::limit).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct LimitSlot(pub(crate) Slot);

impl LimitSlot {
    /// Counts under [`OTHER`](crate::OTHER).
    pub const OTHER: Self = Self(Slot::OTHER);
}
