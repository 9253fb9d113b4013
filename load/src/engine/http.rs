//! Carrying out a part of a plan that asks over HTTP/1.1.
//!
//! ```text
//! arrivals ──► queue ──► idle user ──► connect? ──► send ──► receive ──► judge, record ─┬─► think ─► next step
//! (open model)              ▲                                                           └─► flow over
//!                           └───────────────────────────────────────────────────────────────────┘
//! ```
//!
//! Nothing here calls itself: what follows from the end of a request is put into a list that the loop works off, so
//! that a target that fails everything at once costs time and no stack.

mod demand;
mod exchange;
mod user;

use std::collections::VecDeque;
use std::io;

use fastrand::Rng;
use wire::ResponseHead;

use super::dial::Dialer;
use super::poll::Poller;
use super::timers::Timers;
use super::{LONGEST_SLEEP, REPORT_EVERY, Run};
use crate::Nanos;
use crate::failure::Failure;
use crate::plan::{Model, Plan, Users};
use crate::record::{Done, Recorder};
use crate::schedule::{self, seed_of};
use crate::script::{Memory, Script};
use demand::Demand;
use user::{Link, User};

/// What one read takes at most, in bytes.
const BUFFER_BYTES: usize = 128 * 1024;

/// Most requests that begin before the loop looks for answers, and between two of those.
const BEGUN_AT_ONCE: u32 = 64;
const BEGUN_BETWEEN: u32 = 2;

/// How long after `stop` was set answers are still waited for, at most.
const STOP_GRACE: Nanos = 800_000_000;

/// Carries out one part.
pub(super) fn drive<'a>(mut run: Run<'a>, script: &'a Script) -> io::Result<()> {
    let mut engine = Engine::new(&run, script)?;
    engine.connect_all();
    engine.wait_for_beginning(&run)?;
    engine.go(&mut run)?;
    engine.give_up();
    (run.report)(engine.recorder.take());
    Ok(())
}

/// The state of one part.
struct Engine<'a> {
    plan: &'a Plan,
    script: &'a Script,
    clock: super::Clock,
    recorder: Recorder,
    poller: Poller,
    dialer: Dialer<'a>,
    users: Vec<User>,
    /// Most users of this part.
    most_users: usize,
    /// Open model: users without anything to do, longest idle first.
    idle: VecDeque<u32>,
    /// Users whose next step, or flow, is to begin now.
    ready: VecDeque<u32>,
    timers: Timers<Wake>,
    demand: Demand,
    rng: Rng,
    /// Where everything arrives.
    buffer: Box<[u8]>,
    /// The last head that was parsed.
    head: Box<ResponseHead>,
    /// Where requests with variables are rendered.
    rendered: Vec<u8>,
    /// The clock when it was last looked at.
    now: Nanos,
    /// Connections that stand.
    open: u32,
    /// Requests under way.
    under_way: u32,
    /// Requests that may still begin.
    budget: u64,
    /// From here on, nothing more is due.
    end: Nanos,
    /// From here on, nothing is waited for.
    deadline: Nanos,
    /// Whether `end` and `deadline` have been moved because the run was stopped.
    is_stopped: bool,
    timeout: Nanos,
}

/// What a timer is for.
#[derive(Clone, Copy, Debug)]
enum Wake {
    /// To see whether the user has waited too long.
    Deadline(u32),
    /// The user has thought.
    Thought(u32),
    /// The user is to be connected again.
    Connect(u32),
}

impl<'a> Engine<'a> {
    fn new(run: &Run<'a>, script: &'a Script) -> io::Result<Self> {
        let (plan, part) = (run.plan, run.part);
        let seed = seed_of(plan.seed, part);
        let end = schedule::length(&plan.stages);
        let of = u64::from(part.of);
        let budget = plan
            .requests
            .map_or(u64::MAX, |requests| requests / of + u64::from(u64::from(part.index) < requests % of));
        Ok(Self {
            plan,
            script,
            clock: run.clock,
            recorder: Recorder::for_part(plan, part),
            poller: Poller::new()?,
            dialer: Dialer::new(&plan.target, &plan.sources, part),
            users: Vec::new(),
            // Arrivals need somebody who takes them, even when there are more threads than users.
            most_users: (part.share(plan.users.most()) as usize).max(1),
            idle: VecDeque::new(),
            ready: VecDeque::new(),
            timers: Timers::new(),
            demand: Demand::new(plan, part),
            rng: Rng::with_seed(seed.rotate_left(32)),
            buffer: vec![0; BUFFER_BYTES].into(),
            head: Box::default(),
            rendered: Vec::new(),
            now: 0,
            open: 0,
            under_way: 0,
            budget,
            end,
            deadline: end.saturating_add(nanos(plan.grace)),
            is_stopped: false,
            timeout: nanos(plan.timeout),
        })
    }

    /// Has the users of an open model with an exact number of them connect.
    fn connect_all(&mut self) {
        if matches!(self.plan.model, Model::Closed) || matches!(self.plan.users, Users::UpTo(_)) {
            return;
        }
        for slot in 0..self.most_users as u32 {
            self.users.push(User::new());
            self.idle.push_back(slot);
            self.connect(slot);
        }
    }

    /// Waits until the run begins.
    fn wait_for_beginning(&mut self, run: &Run<'_>) -> io::Result<()> {
        loop {
            let left = self.clock.until_begin();
            if left == 0 || run.is_stopped() {
                return Ok(());
            }
            for at in 0..self.poller.wait(0, left.min(LONGEST_SLEEP))? {
                self.handle(self.poller.event(at));
            }
        }
    }

    /// The loop.
    fn go(&mut self, run: &mut Run<'_>) -> io::Result<()> {
        let mut next_report = REPORT_EVERY;
        loop {
            self.now = self.clock.now();
            if run.is_stopped() && !self.is_stopped {
                self.is_stopped = true;
                self.end = self.end.min(self.now);
                self.deadline = self.deadline.min(self.now + STOP_GRACE);
            }
            if self.now >= next_report {
                (run.report)(self.recorder.take());
                next_report = self.now + REPORT_EVERY;
            }
            self.work_timers();
            let is_up_to_date = self.advance(BEGUN_AT_ONCE);
            if self.now >= self.deadline || (is_up_to_date && self.is_over()) {
                return Ok(());
            }
            let wake = if is_up_to_date { self.wake(next_report) } else { self.now };
            for at in 0..self.poller.wait(self.now, wake)? {
                self.handle(self.poller.event(at));
                // A batch may take longer than what is due meanwhile should wait.
                self.advance(BEGUN_BETWEEN);
            }
        }
    }

    /// Whether nothing is under way, and nothing more will be.
    fn is_over(&self) -> bool {
        (self.budget == 0 || self.now >= self.end) && self.under_way == 0 && self.demand.queued() == 0
    }

    /// When the loop has to look again, whatever happens on the sockets.
    fn wake(&self, next_report: Nanos) -> Nanos {
        let last = if self.now < self.end { self.end } else { self.deadline };
        [Some(next_report), self.timers.next(), self.demand.next(), Some(last)]
            .into_iter()
            .flatten()
            .fold(self.now + LONGEST_SLEEP, Nanos::min)
    }

    fn work_timers(&mut self) {
        while let Some((due, wake)) = self.timers.take(self.now) {
            match wake {
                Wake::Deadline(slot) => self.look_at_deadline(slot),
                Wake::Thought(slot) => self.begin_next(slot, due),
                Wake::Connect(slot) => {
                    let user = &mut self.users[slot as usize];
                    user.is_to_connect = false;
                    if self.now < self.end && matches!(user.link, Link::None) {
                        self.connect(slot);
                    }
                }
            }
        }
    }

    /// Records what is open or still queued as unfinished.
    fn give_up(&mut self) {
        for slot in 0..self.users.len() as u32 {
            if self.users[slot as usize].task.is_some() {
                self.finish(slot, Err(Failure::Unfinished));
            }
        }
        while self.pick_up() {}
        while let Some((number, due)) = self.demand.take() {
            let at = self.script.begin(number, &mut self.rng, &mut Memory::default());
            self.recorder.done(&Done {
                step: self.script.facts(at).index,
                due,
                sent: None,
                at: self.now.max(due),
                status: 0,
                outcome: Err(Failure::Unfinished),
                received_bytes: 0,
                sent_bytes: 0,
            });
        }
    }
}

fn nanos(duration: std::time::Duration) -> Nanos {
    Nanos::try_from(duration.as_nanos()).unwrap_or(Nanos::MAX)
}
