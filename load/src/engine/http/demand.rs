//! What makes requests due: arrivals in the open model, users in the closed one.

use super::user::{Next, Task, User};
use super::{Engine, Wake};
use crate::Nanos;
use crate::failure::Failure;
use crate::plan::{Model, Part, Pause, Plan};
use crate::schedule::{self, Arrivals};
use crate::script::At;

/// A user of the closed model who could not even send waits this long, or a dead target would be asked as fast as
/// this machine can.
const NOT_SENT_PAUSE: Nanos = 100_000_000;

/// What makes requests due.
#[derive(Debug)]
pub(super) enum Demand {
    Open(Open),
    Closed(Closed),
}

/// Arrivals. Those that wait for a user are not stored: a second walk over the schedule, as many steps behind as there
/// are waiting, gives them again. So a frozen target costs no memory, however long it is asked.
#[derive(Debug)]
pub(super) struct Open {
    ahead: Arrivals,
    behind: Arrivals,
    next: Option<(u64, Nanos)>,
    queued: u64,
}

/// Users.
#[derive(Debug)]
pub(super) struct Closed {
    part: Part,
    /// How many take part: those with a lower slot.
    wanted: u32,
    /// When that may change.
    change: Option<Nanos>,
    /// Flows begun.
    flows: u64,
}

impl Demand {
    pub(super) fn new(plan: &Plan, part: Part) -> Self {
        match plan.model {
            Model::Open(spacing) => {
                let mut ahead = Arrivals::new(&plan.stages, spacing, plan.requests, part, plan.seed);
                let behind = ahead.clone();
                let next = ahead.next();
                Self::Open(Open { ahead, behind, next, queued: 0 })
            }
            Model::Closed => Self::Closed(Closed { part, wanted: 0, change: Some(0), flows: 0 }),
        }
    }

    /// Arrivals that wait for a user.
    pub(super) const fn queued(&self) -> u64 {
        match self {
            Self::Open(open) => open.queued,
            Self::Closed(_) => 0,
        }
    }

    /// When something is due next.
    pub(super) fn next(&self) -> Option<Nanos> {
        match self {
            Self::Open(open) => open.next.map(|(_, due)| due),
            Self::Closed(closed) => closed.change,
        }
    }

    /// Takes the arrival that has waited longest.
    pub(super) fn take(&mut self) -> Option<(u64, Nanos)> {
        match self {
            Self::Open(open) if open.queued > 0 => {
                open.queued -= 1;
                open.behind.next()
            }
            _ => None,
        }
    }
}

impl Engine<'_> {
    /// Begins what is to begin by now, but no more than `most` requests, so that answers are seen in between. Says
    /// whether that was all.
    #[inline]
    pub(super) fn advance(&mut self, most: u32) -> bool {
        if let Demand::Closed(closed) = &self.demand
            && closed.change.is_some_and(|change| change <= self.now)
        {
            self.change_level();
        }
        for begun in 0..most {
            if begun > 0 {
                // Many at once take a while, which is not to be blamed on the target.
                self.now = self.clock.now();
            }
            if let Some(slot) = self.ready.pop_front() {
                self.begin_next(slot, self.now);
            } else if !self.begin_arrival() {
                return true;
            }
        }
        false
    }

    /// Begins the flow of the arrival that has waited longest, if there is one and a user for it. An arrival is only
    /// looked at when all before it have been seen to: until then it is the generator that is late.
    fn begin_arrival(&mut self) -> bool {
        loop {
            if self.demand.queued() > 0
                && let Some(slot) = self.free_user()
                && let Some((number, due)) = self.demand.take()
            {
                self.begin_flow(slot, number, due);
                return true;
            }
            if !self.pick_up() {
                return false;
            }
        }
    }

    /// Puts the next arrival into the queue, if it is due.
    pub(super) fn pick_up(&mut self) -> bool {
        let Demand::Open(open) = &mut self.demand else { return false };
        let Some((_, due)) = open.next.filter(|(_, due)| *due <= self.now) else { return false };
        // At the end, or when all requests have begun, the schedule has nothing more to say.
        if due > self.end || self.budget == 0 {
            open.next = None;
            return false;
        }
        self.budget -= 1;
        self.recorder.due(due, self.now - due);
        open.queued += 1;
        open.next = open.ahead.next();
        true
    }

    /// The user who has been idle longest, or a new one.
    fn free_user(&mut self) -> Option<u32> {
        self.idle.pop_front().or_else(|| {
            (self.users.len() < self.most_users).then(|| {
                self.users.push(User::new());
                self.users.len() as u32 - 1
            })
        })
    }

    /// Closed model: has as many users take part as the stages say.
    fn change_level(&mut self) {
        let Demand::Closed(closed) = &mut self.demand else { return };
        let level = schedule::level(&self.plan.stages, self.now).round().max(0.0);
        let users = (level as u32).min(self.plan.users.most());
        closed.wanted = closed.part.share(users);
        closed.change = schedule::next_change(&self.plan.stages, self.now);
        let wanted = closed.wanted;
        while self.users.len() < wanted as usize {
            self.users.push(User::new());
        }
        for slot in 0..wanted {
            let user = &mut self.users[slot as usize];
            if !user.is_active {
                user.is_active = true;
                user.next = Next::Flow;
                self.ready.push_back(slot);
            }
        }
    }

    fn begin_flow(&mut self, slot: u32, number: u64, due: Nanos) {
        let at = self.script.begin(number, &mut self.rng, &mut self.users[slot as usize].memory);
        self.begin_step(slot, at, due);
    }

    fn begin_step(&mut self, slot: u32, at: At, due: Nanos) {
        let facts = self.script.facts(at);
        let user = &mut self.users[slot as usize];
        user.task =
            Some(Task { at, facts, due, begun: self.now, sent: None, sent_bytes: 0, is_again: false });
        user.answer.expect(facts.method, facts.wants_body);
        self.under_way += 1;
        self.watch(slot);
        self.start(slot);
    }

    /// Begins what the user does next, unless nothing is to begin any more.
    pub(super) fn begin_next(&mut self, slot: u32, due: Nanos) {
        if self.budget == 0 || due > self.end || self.is_surplus(slot) {
            self.rest(slot);
            return;
        }
        self.budget -= 1;
        match (&mut self.demand, self.users[slot as usize].next) {
            (Demand::Open(_), Next::Step(at)) => {
                self.recorder.due(due, self.now.saturating_sub(due));
                self.begin_step(slot, at, due);
            }
            (Demand::Closed(_), Next::Step(at)) => self.begin_step(slot, at, self.now),
            (Demand::Closed(closed), Next::Flow) => {
                let number = closed.flows * u64::from(closed.part.of) + u64::from(closed.part.index);
                closed.flows += 1;
                self.begin_flow(slot, number, self.now);
            }
            // Flows of the open model begin with an arrival.
            (Demand::Open(_), Next::Flow) => self.idle.push_back(slot),
        }
    }

    /// Closed model: whether the level has fallen below this user.
    fn is_surplus(&self, slot: u32) -> bool {
        matches!(&self.demand, Demand::Closed(closed) if slot >= closed.wanted)
    }

    /// The user has nothing more to do: waits for an arrival, or leaves.
    fn rest(&mut self, slot: u32) {
        self.users[slot as usize].next = Next::Flow;
        match self.demand {
            Demand::Open(_) => self.idle.push_back(slot),
            Demand::Closed(_) => {
                self.users[slot as usize].is_active = false;
                self.close(slot);
            }
        }
    }

    /// Decides what the user does after a request. A failed step ends its flow, for what comes after builds on it.
    pub(super) fn go_on(&mut self, slot: u32, task: &Task, outcome: Result<(), Failure>) {
        let is_over = task.facts.is_last || outcome.is_err();
        let user = &mut self.users[slot as usize];
        user.next = if is_over { Next::Flow } else { Next::Step(At { step: task.at.step + 1, ..task.at }) };
        if is_over && matches!(self.demand, Demand::Open(_)) {
            self.idle.push_back(slot);
            return;
        }
        let mut pause = draw(task.facts.think, &mut self.rng);
        if outcome.is_err() && task.sent.is_none() {
            pause = pause.max(NOT_SENT_PAUSE);
        }
        if pause == 0 {
            self.ready.push_back(slot);
        } else {
            self.timers.set(self.now + pause, Wake::Thought(slot));
        }
    }
}

/// Draws from a range of times.
fn draw(pause: Pause, rng: &mut fastrand::Rng) -> Nanos {
    if pause.most.is_zero() {
        return 0;
    }
    let (least, most) = (super::nanos(pause.least), super::nanos(pause.most));
    rng.u64(least.min(most)..=most)
}
