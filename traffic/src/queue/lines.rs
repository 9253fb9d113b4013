//! Who is next: by priority, then in turn by key, then by when they came.
//!
//! Keys of one priority take turns by a virtual clock, as packets of flows do (start-time fair queueing, Goyal, Vin and
//! Cheng 1996, where everything costs one). A key's tag is the turn that it is at, the lowest tag goes first, and the
//! clock is the highest tag that went. So of keys that all want more than their share everyone gets the same, and a key
//! that asks for less is served about as if the greedy ones were not there: it may be behind the clock by [`CREDIT`]
//! turns, which it has at once whenever it wants them. Plain turns would make each of its requests wait for one of
//! everybody's, and those of a small burst for a round each. As with new flows in RFC 8290, keys that have asked for
//! nothing yet go before those with a backlog.
//!
//! Among keys that are not ahead of the clock, whoever came first goes first: none of them has had more than its share,
//! and going by their tags would let those who come last, of keys that asked for little, pass one that has waited for long.

use super::{Place, Priority, Stand};
use core::task::Waker;
use foldhash::HashMap;
use std::collections::{BTreeSet, VecDeque};

/// Of so many slots in a row that go to normal and low requests, low ones get one, if any wait.
const LOW_EVERY: u32 = 10;
/// Turns by which a key may be behind the clock: so many requests of one that asked for less than its share go before
/// everybody else's.
const CREDIT: u64 = 8;
/// Most keys of a priority whose tags are remembered while nobody of them waits. When they are more, all of them have full
/// credit again.
const REMEMBERED: usize = 4_096;

/// All places of a queue, those that wait in their lines.
#[derive(Default)]
pub(super) struct Lines {
    places: Vec<Option<Place>>,
    free: Vec<u32>,
    by_priority: [Line; Priority::ALL.len()],
    waiting: usize,
    /// How many have joined so far.
    numbers: u64,
    /// Slots that normal requests got while low ones waited, since one of those got one.
    normal_row: u32,
}

/// Who waits at one priority.
#[derive(Default)]
struct Line {
    /// Who is next first: the turn of each key of which somebody waits, and the key.
    turns: BTreeSet<(Turn, u64)>,
    flows: HashMap<u64, Flow>,
    /// Tags of keys of which nobody waits, as far as they are less than [`CREDIT`] behind the clock.
    tags: HashMap<u64, u64>,
    /// The highest tag that went.
    clock: u64,
}

/// Where a key stands: the later of its tag and the clock, and the number of the first of it.
type Turn = (u64, u64);

/// Those who wait of one key.
struct Flow {
    places: VecDeque<u32>,
    tag: u64,
    turn: Turn,
}

impl Lines {
    /// How many wait.
    pub(super) fn len(&self) -> usize {
        self.waiting
    }

    pub(super) fn get(&self, place: u32) -> &Place {
        self.places[place as usize].as_ref().expect("a place is there until its ticket is dropped")
    }

    pub(super) fn get_mut(&mut self, place: u32) -> &mut Place {
        self.places[place as usize].as_mut().expect("a place is there until its ticket is dropped")
    }

    /// A new place, at the end of its line or, among those of its key, at the front.
    pub(super) fn join(&mut self, mut place: Place, at_front: bool) -> u32 {
        let line = &mut self.by_priority[place.priority as usize];
        let key = place.fair_key;
        self.numbers += 1;
        place.number = self.numbers;
        let index = if let Some(index) = self.free.pop() {
            self.places[index as usize] = Some(place);
            index
        } else {
            self.places.push(Some(place));
            self.places.len() as u32 - 1
        };
        let flow = line.flow(key, self.numbers);
        if at_front {
            flow.push_front(index);
        } else {
            flow.push_back(index);
        }
        self.waiting += 1;
        index
    }

    /// All that wait.
    pub(super) fn all(&self) -> Vec<u32> {
        self.by_priority
            .iter()
            .flat_map(|line| line.flows.values().flat_map(|flow| &flow.places).copied())
            .collect()
    }

    /// All that wait, the next one first. Made lazily: mostly the first one is it.
    pub(super) fn in_turn(&self, newest: bool) -> impl Iterator<Item = u32> + use<> {
        let low_first = self.normal_row + 1 >= LOW_EVERY && !self.by_priority[2].turns.is_empty();
        let order = if low_first { [0, 2, 1] } else { [0, 1, 2] };
        let first = order.into_iter().find(|at| !self.by_priority[*at].turns.is_empty());
        let next = first.and_then(|at| {
            let line = &self.by_priority[at];
            let (_, key) = line.turns.first()?;
            let flow = &line.flows[key].places;
            if newest { flow.back() } else { flow.front() }.copied()
        });
        // Whoever is next in line is served, unless it wants what is not there; only then the others are looked at.
        let others = self.others(next, order, newest);
        next.into_iter().chain(others)
    }

    fn others(&self, next: Option<u32>, order: [usize; 3], newest: bool) -> Vec<u32> {
        let is_choosy = |place: u32| {
            let place = self.get(place);
            place.sticky.is_some() || place.key.is_some() || !place.tried.is_empty()
        };
        if !next.is_some_and(is_choosy) {
            return Vec::new();
        }
        let mut others = Vec::new();
        for line in order.map(|at| &self.by_priority[at]) {
            for flow in line.turns.iter().map(|(_, key)| &line.flows[key].places) {
                if newest {
                    others.extend(flow.iter().rev());
                } else {
                    others.extend(flow);
                }
            }
        }
        others.retain(|place| Some(*place) != next);
        others
    }

    /// It was this one's turn: its key is one turn further.
    pub(super) fn took_turn(&mut self, place: u32) {
        let Place { priority, fair_key, .. } = *self.get(place);
        self.by_priority[priority as usize].took_turn(fair_key);
        match priority {
            Priority::Critical => {}
            Priority::Normal if self.by_priority[Priority::Low as usize].turns.is_empty() => {
                self.normal_row = 0;
            }
            Priority::Normal => self.normal_row += 1,
            Priority::Low => self.normal_row = 0,
        }
    }

    /// Who gives its place to a request of this priority and key, when all are taken: the newest of the least priority
    /// below its own, or of the key of its own priority that holds more places than its own would.
    pub(super) fn victim(&self, priority: Priority, fair_key: u64) -> Option<u32> {
        let below = Priority::ALL.into_iter().rev().take_while(|other| *other > priority);
        if let Some(line) = below.map(|at| &self.by_priority[at as usize]).find(|line| !line.turns.is_empty())
        {
            return line.longest().and_then(|flow| flow.back()).copied();
        }
        let line = &self.by_priority[priority as usize];
        let own = line.flows.get(&fair_key).map_or(0, |flow| flow.places.len());
        line.longest().filter(|flow| flow.len() > own + 1).and_then(|flow| flow.back()).copied()
    }

    /// One that waits is settled; its waker, to be called.
    pub(super) fn settle(&mut self, place: u32, stand: Stand) -> Option<Waker> {
        self.take_out(place);
        let place = self.get_mut(place);
        place.stand = stand;
        place.waker.take()
    }

    /// A ticket is dropped: what its place stood at, and whether it was waiting.
    pub(super) fn leave(&mut self, place: u32) -> (Option<Place>, bool) {
        let was_waiting = matches!(self.get(place).stand, Stand::Waiting);
        if was_waiting {
            self.take_out(place);
        }
        self.free.push(place);
        (self.places[place as usize].take(), was_waiting)
    }

    fn take_out(&mut self, place: u32) {
        let Place { priority, fair_key, .. } = *self.get(place);
        let line = &mut self.by_priority[priority as usize];
        let Some(flow) = line.flows.get_mut(&fair_key).map(|flow| &mut flow.places) else { return };
        // Mostly it is one of the ends.
        if flow.front() == Some(&place) {
            flow.pop_front();
        } else if flow.back() == Some(&place) {
            flow.pop_back();
        } else if let Some(at) = flow.iter().position(|known| *known == place) {
            flow.remove(at);
        }
        match flow.front() {
            Some(first) => {
                let number = self.places[*first as usize].as_ref().map_or(0, |place| place.number);
                line.stand_anew(fair_key, number);
            }
            None => line.forget(fair_key),
        }
        self.waiting -= 1;
    }
}

impl Line {
    /// Those who wait of a key; `number` is that of one who is about to.
    fn flow(&mut self, key: u64, number: u64) -> &mut VecDeque<u32> {
        let flow = self.flows.entry(key).or_insert_with(|| {
            let tag = self.tags.remove(&key).unwrap_or(0).max(self.clock.saturating_sub(CREDIT));
            let turn = (tag.max(self.clock), number);
            self.turns.insert((turn, key));
            Flow { places: VecDeque::new(), tag, turn }
        });
        &mut flow.places
    }

    /// The key stands elsewhere once who had the turn is taken out.
    fn took_turn(&mut self, key: u64) {
        let Some(flow) = self.flows.get_mut(&key) else { return };
        self.clock = self.clock.max(flow.tag);
        flow.tag += 1;
    }

    /// The first of a key is another one, or its tag.
    fn stand_anew(&mut self, key: u64, number: u64) {
        let Some(flow) = self.flows.get_mut(&key) else { return };
        self.turns.remove(&(flow.turn, key));
        flow.turn = (flow.tag.max(self.clock), number);
        self.turns.insert((flow.turn, key));
    }

    /// Nobody of this key waits any more.
    fn forget(&mut self, key: u64) {
        let Some(flow) = self.flows.remove(&key) else { return };
        self.turns.remove(&(flow.turn, key));
        let oldest = self.clock.saturating_sub(CREDIT);
        if flow.tag <= oldest {
            return;
        }
        if self.tags.len() >= REMEMBERED {
            self.tags.retain(|_, tag| *tag > oldest);
            if self.tags.len() > REMEMBERED / 2 {
                self.tags.clear();
            }
        }
        self.tags.insert(key, flow.tag);
    }

    fn longest(&self) -> Option<&VecDeque<u32>> {
        self.flows.values().map(|flow| &flow.places).max_by_key(|places| places.len())
    }
}
