//! What happened when: stretches of a second, which double in width when a run outgrows them, so that a run of any
//! length has at most 600.

use serde::{Deserialize, Serialize};

use super::times::Coarse;
use crate::Nanos;

/// Most stretches of a timeline.
pub const MOST_STRETCHES: u32 = 600;
/// Width of a stretch before any doubling.
const SECOND: Nanos = 1_000_000_000;
/// Doublings that suffice for every moment that [`Nanos`] can hold: 2^64 ns in 600 stretches.
const MOST_DOUBLINGS: u8 = 25;
/// Parts whose open connections are told apart. More than that share places, which makes the sum too small.
const MOST_PARTS: u16 = 1024;

/// The stretches of a run in which something happened, in order of time.
///
/// Stretch `i` begins at `i` × width, counted from the beginning of the run, so that those of all parts lie on each
/// other; the width is a second times a power of two.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(try_from = "Unchecked")]
pub struct Timeline {
    doublings: u8,
    stretches: Vec<Stretch>,
}

/// A stretch of time.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Stretch {
    /// Its number: it begins at this many widths.
    pub index: u32,
    /// Requests that were due in it.
    pub due: u64,
    /// Requests that ended in it.
    pub ended: u64,
    /// Those of them that failed.
    pub failed: u64,
    /// Marked messages that arrived in it.
    pub delivered: u64,
    /// Most connections that each part had open in it.
    open: Vec<(u16, u32)>,
    /// Response times of what ended in it.
    pub response: Coarse,
    /// Times of service.
    pub service: Coarse,
    /// Delivery times of what arrived in it.
    pub delivery: Coarse,
}

impl Timeline {
    /// Width of every stretch.
    pub fn width(&self) -> Nanos {
        SECOND << self.doublings
    }

    /// The stretches in which something happened.
    pub fn stretches(&self) -> &[Stretch] {
        &self.stretches
    }

    /// Most connections open over all parts, for each stretch from the first of the run to the last that is known.
    ///
    /// A part is silent in a stretch when nothing changed in it, so what it held before and after is held in between.
    pub fn open(&self) -> Vec<u64> {
        let length = self.stretches.last().map_or(0, |last| last.index as usize + 1);
        let mut sums = vec![0; length];
        let mut before: Vec<Option<(usize, u32)>> = Vec::new();
        for stretch in &self.stretches {
            for &(part, most) in &stretch.open {
                let (part, index) = (usize::from(part), stretch.index as usize);
                if before.len() <= part {
                    before.resize(part + 1, None);
                }
                if let Some((known, was)) = before[part] {
                    sums[known + 1..index].iter_mut().for_each(|sum| *sum += u64::from(was.min(most)));
                }
                sums[index] += u64::from(most);
                before[part] = Some((index, most));
            }
        }
        sums
    }

    /// Adds what happened elsewhere. The finer of the two is made as coarse as the other.
    pub fn merge(&mut self, other: &Self) {
        self.coarsen(other.doublings);
        let shift = self.doublings - other.doublings;
        for stretch in &other.stretches {
            let index = stretch.index >> shift;
            let place = match self.stretches.binary_search_by_key(&index, |own| own.index) {
                Ok(place) => place,
                Err(place) => {
                    self.stretches.insert(place, Stretch { index, ..Stretch::default() });
                    place
                }
            };
            self.stretches[place].absorb(stretch);
        }
    }

    /// Gives the parts of this timeline numbers of their own, from `from` on, because it is that of another run.
    pub(crate) fn renumber(&mut self, from: u16) {
        for (part, _) in self.stretches.iter_mut().flat_map(|stretch| &mut stretch.open) {
            *part = (*part + from) % MOST_PARTS;
        }
        for stretch in &mut self.stretches {
            stretch.open.sort_unstable();
        }
    }

    /// One more than the highest number of a part.
    pub(crate) fn parts(&self) -> u16 {
        let parts = self.stretches.iter().flat_map(|stretch| &stretch.open).map(|(part, _)| part + 1);
        parts.max().unwrap_or(0)
    }

    /// Makes stretches wider until there are at least this many doublings.
    fn coarsen(&mut self, doublings: u8) {
        if doublings <= self.doublings {
            return;
        }
        let shift = doublings - self.doublings;
        self.doublings = doublings;
        for stretch in &mut self.stretches {
            stretch.index >>= shift;
        }
        self.stretches.dedup_by(|later, earlier| {
            let are_one = later.index == earlier.index;
            if are_one {
                earlier.absorb(later);
            }
            are_one
        });
    }
}

impl Stretch {
    fn absorb(&mut self, other: &Self) {
        self.due = self.due.saturating_add(other.due);
        self.ended = self.ended.saturating_add(other.ended);
        self.failed = self.failed.saturating_add(other.failed);
        self.delivered = self.delivered.saturating_add(other.delivered);
        for &(part, most) in &other.open {
            self.opened(part, most);
        }
        self.response.merge(&other.response);
        self.service.merge(&other.service);
        self.delivery.merge(&other.delivery);
    }

    /// Notes how many connections a part has open.
    fn opened(&mut self, part: u16, connections: u32) {
        match self.open.binary_search_by_key(&part, |(part, _)| *part) {
            Ok(place) => self.open[place].1 = self.open[place].1.max(connections),
            Err(place) => self.open.insert(place, (part, connections)),
        }
    }

    /// An empty one that has its memory already where this one has it.
    fn fresh(&self) -> Self {
        Self {
            open: Vec::with_capacity(self.open.len()),
            response: self.response.fresh(),
            service: self.service.fresh(),
            delivery: self.delivery.fresh(),
            ..Self::default()
        }
    }
}

/// The timeline of one thread while it is written: finds the stretch of a moment in a few nanoseconds.
#[derive(Debug)]
pub(super) struct Writer {
    timeline: Timeline,
    part: u16,
    /// Connections that are open since a moment: what a later stretch begins with.
    open: u32,
    open_since: Nanos,
    /// The stretch that was written last, and the moments that belong to it.
    at: usize,
    from: Nanos,
    to: Nanos,
    /// Stretches with their memory, for the seconds to come.
    spare: Vec<Stretch>,
}

impl Writer {
    pub(super) fn new(part: u32) -> Self {
        Self {
            timeline: Timeline::default(),
            part: (part % u32::from(MOST_PARTS)) as u16,
            open: 0,
            open_since: 0,
            at: 0,
            from: 0,
            to: 0,
            spare: Vec::new(),
        }
    }

    /// The stretch of a moment.
    pub(super) fn at(&mut self, moment: Nanos) -> &mut Stretch {
        if !(self.from <= moment && moment < self.to) {
            self.seek(moment);
        }
        &mut self.timeline.stretches[self.at]
    }

    /// Notes how many connections are open.
    pub(super) fn opened(&mut self, moment: Nanos, connections: u32) {
        (self.open, self.open_since) = (connections, moment);
        let part = self.part;
        self.at(moment).opened(part, connections);
    }

    /// What was written, leaving nothing but memory.
    pub(super) fn take(&mut self) -> Timeline {
        let empty = Timeline { doublings: self.timeline.doublings, stretches: Vec::with_capacity(4) };
        let taken = std::mem::replace(&mut self.timeline, empty);
        (self.from, self.to) = (0, 0);
        // A window begins within a stretch and ends in the next one or the one after.
        let wanted = taken.stretches.len().clamp(1, 3) + 1;
        if let Some(model) = taken.stretches.last() {
            while self.spare.len() < wanted {
                self.spare.push(model.fresh());
            }
        }
        taken
    }

    fn seek(&mut self, moment: Nanos) {
        let mut doublings = self.timeline.doublings;
        while moment / (SECOND << doublings) >= u64::from(MOST_STRETCHES) {
            doublings += 1;
        }
        self.timeline.coarsen(doublings);
        let width = self.timeline.width();
        let index = (moment / width) as u32;
        self.from = u64::from(index) * width;
        self.to = self.from.saturating_add(width);
        let stretches = &mut self.timeline.stretches;
        self.at = match stretches.binary_search_by_key(&index, |stretch| stretch.index) {
            Ok(place) => place,
            Err(place) => {
                let mut stretch = self.spare.pop().unwrap_or_default();
                stretch.index = index;
                if self.open > 0 && moment >= self.open_since {
                    stretch.opened(self.part, self.open);
                }
                stretches.insert(place, stretch);
                place
            }
        };
    }
}

/// A timeline as it was read, before anything in it is believed.
#[derive(Deserialize)]
struct Unchecked {
    doublings: u8,
    #[serde(deserialize_with = "super::bounded::at_most::<_, _, { MOST_STRETCHES as usize }>")]
    stretches: Vec<Stretch>,
}

impl TryFrom<Unchecked> for Timeline {
    type Error = String;

    fn try_from(read: Unchecked) -> Result<Self, String> {
        if read.doublings > MOST_DOUBLINGS {
            return Err(format!("a timeline has stretches of 2^{} seconds", read.doublings));
        }
        if read.stretches.last().is_some_and(|last| last.index >= MOST_STRETCHES) {
            return Err(format!("a timeline goes beyond {MOST_STRETCHES} stretches"));
        }
        if !read.stretches.is_sorted_by(|a, b| a.index < b.index) {
            return Err("the stretches of a timeline are not in order".to_owned());
        }
        for stretch in &read.stretches {
            let in_order = stretch.open.is_sorted_by(|a, b| a.0 < b.0);
            if !in_order || stretch.open.last().is_some_and(|(part, _)| *part >= MOST_PARTS) {
                return Err("the parts of a timeline are not in order".to_owned());
            }
        }
        Ok(Self { doublings: read.doublings, stretches: read.stretches })
    }
}
