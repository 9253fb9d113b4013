//! What happened: counted without allocation by each thread, merged over threads and processes.

mod tally;
mod times;
mod timeline;

use serde::{Deserialize, Serialize};

pub use tally::{Failures, OfSockets, OfStep, Statuses};
pub use times::{Coarse, Fine, Times};
pub use timeline::{MOST_STRETCHES, Stretch, Timeline};

use crate::Nanos;
use crate::failure::Failure;
use crate::plan::{Part, Plan, Work};
use crate::schedule;

/// Name of the step that counts what was recorded under a number that no step has.
const STRAY: &str = "(no step)";

/// The counters of one thread. Holds what happened since the last [`Recorder::take`].
#[derive(Debug)]
pub struct Recorder {
    record: Record,
    timeline: timeline::Writer,
    end: Nanos,
}

/// A request that came to an end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Done {
    /// Its step, as in [`Script::step_names`](crate::script::Script::step_names).
    pub step: u16,
    /// When it was due (closed model: when it was sent).
    pub due: Nanos,
    /// When it was sent; `None` if it never was.
    pub sent: Option<Nanos>,
    /// When it ended.
    pub at: Nanos,
    /// The status; 0 when there was no head.
    pub status: u16,
    /// How it ended.
    pub outcome: Result<(), Failure>,
    /// Bytes of the answer, head and framing included.
    pub received_bytes: u64,
    /// Bytes of the request.
    pub sent_bytes: u64,
}

/// Something else than a request that is counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Event {
    /// A connection was established (with sockets: the handshake is done and the welcome has come) after this time.
    Connected {
        /// Nanoseconds from the beginning of the attempt.
        took: Nanos,
    },
    /// A connection could not be established.
    NotConnected(Failure),
    /// A connection that stood was lost, or ended by the target.
    Disconnected,
    /// A message was sent on a socket.
    Published,
    /// A marked message arrived, this long after it was sent.
    Delivered {
        /// Nanoseconds from sending to receiving.
        took: Nanos,
    },
    /// Some other message arrived.
    Received,
    /// Messages of one sender that one receiver should have got and never did.
    Lost(u64),
    /// A message that a receiver had already got.
    Duplicated,
    /// A message that came after a later one of the same sender.
    Reordered,
}

impl Recorder {
    /// A recorder for the steps of these names, of a run without parts and without an end.
    pub fn new(steps: &[String]) -> Self {
        let mut record = Record::new(steps);
        record.steps.push(OfStep::new(STRAY));
        Self { record, timeline: timeline::Writer::new(0), end: Nanos::MAX }
    }

    /// A recorder for a part of a plan. Knows when the last stage ends, so that it can tell what was answered while
    /// load was still being made, and whose open connections it counts.
    pub fn for_part(plan: &Plan, part: Part) -> Self {
        let script = match &plan.work {
            Work::Http(script) => script,
            Work::Sockets(sockets) => &sockets.script,
        };
        Self {
            timeline: timeline::Writer::new(part.index),
            end: schedule::length(&plan.stages),
            ..Self::new(&script.step_names())
        }
    }

    /// A request became due; `lag` is how late the generator itself noticed. Open model only.
    pub fn due(&mut self, due: Nanos, lag: Nanos) {
        self.record.due += 1;
        self.record.lag.add(lag);
        self.timeline.at(due).due += 1;
    }

    /// A request came to an end.
    pub fn done(&mut self, done: &Done) {
        let record = &mut self.record;
        record.received_bytes = record.received_bytes.saturating_add(done.received_bytes);
        record.sent_bytes = record.sent_bytes.saturating_add(done.sent_bytes);
        record.last_end = record.last_end.max(done.at);
        let stray = record.steps.len() - 1;
        let step = &mut record.steps[usize::from(done.step).min(stray)];
        let stretch = self.timeline.at(done.at);
        step.requests += 1;
        stretch.ended += 1;
        step.statuses.add(done.status);
        match done.outcome {
            Ok(()) => {
                step.succeeded += 1;
                record.succeeded_in_time += u64::from(done.at <= self.end);
            }
            Err(failure) => {
                step.failures.add(failure);
                stretch.failed += 1;
            }
        }
        let response = done.at.saturating_sub(done.due);
        step.response.add(response);
        stretch.response.add(response);
        if let Some(sent) = done.sent {
            let service = done.at.saturating_sub(sent);
            step.service.add(service);
            stretch.service.add(service);
        }
    }

    /// Something else happened.
    pub fn event(&mut self, at: Nanos, event: Event) {
        let sockets = &mut self.record.sockets;
        match event {
            Event::Connected { took } => self.record.connect.add(took),
            Event::NotConnected(failure) => self.record.not_connected.add(failure),
            Event::Disconnected => sockets.disconnected += 1,
            Event::Published => sockets.published += 1,
            Event::Delivered { took } => {
                sockets.delivery.add(took);
                let stretch = self.timeline.at(at);
                stretch.delivered += 1;
                stretch.delivery.add(took);
            }
            Event::Received => {
                sockets.received += 1;
                self.timeline.at(at).delivered += 1;
            }
            Event::Lost(messages) => sockets.lost = sockets.lost.saturating_add(messages),
            Event::Duplicated => sockets.duplicated += 1,
            Event::Reordered => sockets.reordered += 1,
        }
    }

    /// How many connections are open now.
    pub fn open(&mut self, at: Nanos, connections: u32) {
        self.timeline.opened(at, connections);
    }

    /// What was recorded since the last call, leaving the recorder empty. Memory for what comes next is made here,
    /// so that recording does not have to.
    pub fn take(&mut self) -> Record {
        let fresh = self.record.fresh();
        let mut taken = std::mem::replace(&mut self.record, fresh);
        taken.timeline = self.timeline.take();
        taken.steps.pop_if(|stray| stray.requests == 0);
        taken
    }
}

/// What happened, in any part of a run or in all of it. Bounded in size whatever the length of the run. Its serial
/// form goes from process to process and into JSON reports, so that reports can be merged and compared.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Record {
    /// By step, in the order of the scenario. What was recorded for a step that does not exist comes last.
    pub steps: Vec<OfStep>,
    /// Requests that became due (open model only).
    pub due: u64,
    /// Requests that succeeded before the last stage was over.
    pub succeeded_in_time: u64,
    /// When the last request ended.
    pub last_end: Nanos,
    /// Bytes of answers, heads and framing included.
    pub received_bytes: u64,
    /// Bytes of requests.
    pub sent_bytes: u64,
    /// How late the generator itself was.
    pub lag: Fine,
    /// How long connecting took.
    pub connect: Fine,
    /// Why connections could not be established.
    pub not_connected: Failures,
    /// Messages and losses of connections.
    pub sockets: OfSockets,
    /// What happened when.
    pub timeline: Timeline,
}

impl Record {
    /// A record of nothing, for these steps.
    pub fn new(steps: &[String]) -> Self {
        Self { steps: steps.iter().map(|name| OfStep::new(name)).collect(), ..Self::default() }
    }

    /// Adds what another thread, process or run recorded. The order in which records are merged does not matter.
    pub fn merge(&mut self, other: &Self) {
        if self.steps.len() < other.steps.len() {
            self.steps.resize_with(other.steps.len(), OfStep::default);
        }
        for (own, its) in self.steps.iter_mut().zip(&other.steps) {
            own.merge(its);
        }
        self.due = self.due.saturating_add(other.due);
        self.succeeded_in_time = self.succeeded_in_time.saturating_add(other.succeeded_in_time);
        self.last_end = self.last_end.max(other.last_end);
        self.received_bytes = self.received_bytes.saturating_add(other.received_bytes);
        self.sent_bytes = self.sent_bytes.saturating_add(other.sent_bytes);
        self.lag.merge(&other.lag);
        self.connect.merge(&other.connect);
        self.not_connected.merge(&other.not_connected);
        self.sockets.merge(&other.sockets);
        self.timeline.merge(&other.timeline);
    }

    /// Adds what another run recorded at the same time: its connections were open beside ours.
    pub fn merge_run(&mut self, other: &Self) {
        let mut other = other.clone();
        other.timeline.renumber(self.timeline.parts());
        self.merge(&other);
    }

    /// Requests that came to an end, one way or the other.
    pub fn requests(&self) -> u64 {
        self.sum(|step| step.requests)
    }

    /// Those that succeeded.
    pub fn succeeded(&self) -> u64 {
        self.sum(|step| step.succeeded)
    }

    /// Response times of all steps: from the due time to the end of the answer.
    pub fn response(&self) -> Fine {
        self.times(|step| &step.response)
    }

    /// Service times of all steps: from sending to the end of the answer.
    pub fn service(&self) -> Fine {
        self.times(|step| &step.service)
    }

    /// How requests failed, over all steps.
    pub fn failures(&self) -> Failures {
        let mut all = Failures::default();
        self.steps.iter().for_each(|step| all.merge(&step.failures));
        all
    }

    /// Answers by status, over all steps.
    pub fn statuses(&self) -> Statuses {
        let mut all = Statuses::default();
        self.steps.iter().for_each(|step| all.merge(&step.statuses));
        all
    }

    /// Most connections that were open at a time.
    pub fn most_open(&self) -> u64 {
        self.timeline.open().into_iter().max().unwrap_or(0)
    }

    fn sum(&self, count: impl Fn(&OfStep) -> u64) -> u64 {
        self.steps.iter().map(count).fold(0, u64::saturating_add)
    }

    fn times<'a>(&'a self, times: impl Fn(&'a OfStep) -> &'a Fine) -> Fine {
        let mut all = Fine::default();
        self.steps.iter().for_each(|step| all.merge(times(step)));
        all
    }

    /// An empty one that has its memory already where this one has it.
    fn fresh(&self) -> Self {
        Self {
            steps: self.steps.iter().map(OfStep::fresh).collect(),
            lag: self.lag.fresh(),
            connect: self.connect.fresh(),
            sockets: OfSockets { delivery: self.sockets.delivery.fresh(), ..OfSockets::default() },
            ..Self::default()
        }
    }
}
