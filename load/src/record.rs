//! What happened: counted without allocation by each thread, merged over threads and processes.

mod bounded;
mod tally;
mod timeline;
mod times;

use serde::{Deserialize, Serialize};

pub use tally::{ByStatus, Failures, OfSockets, OfStep, Statuses};
pub use timeline::{MOST_STRETCHES, Stretch, Timeline};
pub use times::{Coarse, Fine, Times};

use crate::Nanos;
use crate::failure::Failure;
use crate::plan::{Part, Plan, Work};
use crate::schedule;

/// Most steps of a record that is read, the one for strays included.
pub const MOST_STEPS: usize = 1000;

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
                step.succeeded_in_time += u64::from(done.at <= self.end);
            }
            Err(failure) => {
                step.failures.add(failure);
                stretch.failed += 1;
            }
        }
        let response = done.at.saturating_sub(done.due);
        step.response.add(response);
        stretch.response.add(response);
        record.by_status.add(done.status, response);
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
    #[serde(deserialize_with = "bounded::at_most::<_, _, MOST_STEPS>")]
    pub steps: Vec<OfStep>,
    /// Response times of answers by status, over all steps: a refusal is quick and should not make successes look so.
    #[serde(default)]
    pub by_status: ByStatus,
    /// Requests that became due (open model only).
    pub due: u64,
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
        self.by_status.merge(&other.by_status);
        self.due = self.due.saturating_add(other.due);
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

    /// Those that succeeded before the last stage was over.
    pub fn succeeded_in_time(&self) -> u64 {
        self.sum(|step| step.succeeded_in_time)
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
            by_status: self.by_status.fresh(),
            lag: self.lag.fresh(),
            connect: self.connect.fresh(),
            sockets: OfSockets { delivery: self.sockets.delivery.fresh(), ..OfSockets::default() },
            ..Self::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const S: Nanos = 1_000_000_000;
    const MS: Nanos = 1_000_000;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    fn recorder(part: u32) -> Recorder {
        Recorder { timeline: timeline::Writer::new(part), ..Recorder::new(&names(&["home", "search"])) }
    }

    fn done(due: Nanos, at: Nanos) -> Done {
        Done {
            step: 0,
            due,
            sent: Some(due + MS),
            at,
            status: 200,
            outcome: Ok(()),
            received_bytes: 1000,
            sent_bytes: 100,
        }
    }

    #[test]
    fn response_counts_from_the_due_time_and_service_from_sending() {
        let mut recorder = recorder(0);
        recorder.done(&Done { sent: Some(S + 20 * MS), ..done(S, S + 30 * MS) });
        let record = recorder.take();
        assert!((record.response().quantile_ms(1.0).unwrap() - 30.0).abs() < 0.03);
        assert!((record.service().quantile_ms(1.0).unwrap() - 10.0).abs() < 0.01);
    }

    #[test]
    fn a_request_that_was_never_sent_has_no_service_time_but_a_response_time() {
        let mut recorder = recorder(0);
        let outcome = Err(Failure::Unfinished);
        recorder.done(&Done { sent: None, status: 0, outcome, ..done(S, 5 * S) });
        let record = recorder.take();
        assert_eq!((record.response().count(), record.service().count()), (1, 0));
        assert_eq!(record.failures().ranked(), [(Failure::Unfinished, 1)]);
        assert_eq!(record.statuses().iter().count(), 0);
    }

    #[test]
    fn taking_leaves_nothing_behind() {
        let mut recorder = recorder(0);
        recorder.due(S, 5);
        recorder.done(&done(S, S + MS));
        recorder.event(S, Event::Connected { took: MS });
        recorder.event(S, Event::Lost(3));
        recorder.open(S, 1);
        assert_ne!(recorder.take(), Record::new(&names(&["home", "search"])));
        assert_eq!(recorder.take(), Record::new(&names(&["home", "search"])));
    }

    #[test]
    fn a_step_that_does_not_exist_is_counted_apart() {
        let mut recorder = recorder(0);
        recorder.done(&Done { step: u16::MAX, ..done(S, 2 * S) });
        let record = recorder.take();
        assert_eq!(record.steps.len(), 3);
        assert_eq!((record.steps[2].name.as_str(), record.requests()), (STRAY, 1));
        recorder.done(&done(S, 2 * S));
        assert_eq!(recorder.take().steps.len(), 2);
    }

    #[test]
    fn what_is_answered_after_the_last_stage_is_not_in_time() {
        let mut recorder = Recorder { end: 10 * S, ..recorder(0) };
        recorder.done(&done(9 * S, 10 * S));
        recorder.done(&done(9 * S, 10 * S + 1));
        let record = recorder.take();
        assert_eq!((record.succeeded(), record.succeeded_in_time()), (2, 1));
        assert_eq!(record.last_end, 10 * S + 1);
    }

    #[test]
    fn a_long_run_has_no_more_stretches_than_a_short_one() {
        let mut recorder = recorder(0);
        for second in 0..10_000 {
            recorder.done(&done(second * S, second * S + MS));
        }
        let timeline = recorder.take().timeline;
        assert_eq!(timeline.width(), 32 * S);
        assert_eq!(timeline.stretches().len(), 10_000_usize.div_ceil(32));
        assert_eq!(timeline.stretches().iter().map(|stretch| stretch.ended).sum::<u64>(), 10_000);
        assert!(timeline.stretches().iter().all(|stretch| stretch.response.count() == stretch.ended));
    }

    #[test]
    fn the_last_moment_that_there_is_has_a_stretch() {
        let mut recorder = recorder(0);
        recorder.done(&done(0, 0));
        recorder.done(&done(0, Nanos::MAX));
        recorder.open(Nanos::MAX, 3);
        let timeline = recorder.take().timeline;
        assert!(timeline.stretches().last().unwrap().index < MOST_STRETCHES);
        let text = serde_json::to_string(&timeline).unwrap();
        assert_eq!(serde_json::from_str::<Timeline>(&text).unwrap(), timeline);
    }

    #[test]
    fn a_finer_timeline_is_coarsened_when_it_meets_a_wider_one() {
        let (mut short, mut long) = (recorder(0), recorder(0));
        for second in 0..8 {
            short.done(&done(second * S, second * S));
        }
        long.done(&done(2000 * S, 2000 * S));
        let (short, long) = (short.take(), long.take());
        let mut merged = short.clone();
        merged.merge(&long);
        let shape: Vec<_> = merged.timeline.stretches().iter().map(|at| (at.index, at.ended)).collect();
        assert_eq!((merged.timeline.width(), shape), (4 * S, vec![(0, 4), (1, 4), (500, 1)]));
    }

    #[test]
    fn open_connections_of_parts_add_up_and_those_of_windows_do_not() {
        let (mut one, mut two) = (recorder(0), recorder(1));
        let mut all = Record::default();
        one.open(S / 2, 10);
        all.merge(&one.take());
        one.open(S / 2 + 1, 12);
        one.open(S / 2 + 2, 0);
        all.merge(&one.take());
        two.open(S / 2, 5);
        all.merge(&two.take());
        assert_eq!(all.most_open(), 17);
    }

    #[test]
    fn connections_stay_open_through_silent_seconds() {
        let (mut one, mut two) = (recorder(0), recorder(1));
        one.open(0, 10);
        one.open(4 * S, 9);
        two.open(2 * S, 1);
        two.done(&done(3 * S, 3 * S));
        let mut all = one.take();
        all.merge(&two.take());
        assert_eq!(all.timeline.open(), [10, 9, 10, 10, 9]);
    }

    #[test]
    fn another_run_has_connections_of_its_own() {
        let mut recorder = recorder(0);
        recorder.open(S, 7);
        let run = recorder.take();
        let mut both = run.clone();
        both.merge_run(&run);
        assert_eq!(both.most_open(), 14);
    }

    #[test]
    fn a_status_beyond_three_digits_is_counted_as_the_last_one() {
        let mut recorder = recorder(0);
        recorder.done(&Done { status: 60_000, ..done(0, 1) });
        assert_eq!(recorder.take().statuses().iter().collect::<Vec<_>>(), [(999, 1)]);
    }

    #[test]
    fn a_record_of_too_many_steps_is_refused_before_they_take_memory() {
        let record = Record::new(&vec!["step".to_owned(); MOST_STEPS]);
        let text = serde_json::to_string(&record).unwrap();
        assert_eq!(serde_json::from_str::<Record>(&text).unwrap(), record);
        let step = serde_json::to_string(&record.steps[0]).unwrap();
        let more = text.replacen(r#""steps":["#, &format!(r#""steps":[{step},"#), 1);
        let error = serde_json::from_str::<Record>(&more).unwrap_err().to_string();
        assert!(error.contains("at most 1000"), "{error}");
    }

    #[test]
    fn broken_timelines_are_refused() {
        let stretch = |index: u32, open: &str| {
            format!(
                r#"{{"index":{index},"due":0,"ended":0,"failed":0,"delivered":0,"open":{open},"response":"","service":"","delivery":""}}"#
            )
        };
        let timeline = |doublings: u32, stretches: &[String]| {
            let text = format!(r#"{{"doublings":{doublings},"stretches":[{}]}}"#, stretches.join(","));
            serde_json::from_str::<Timeline>(&text).map_err(|error| error.to_string())
        };
        assert!(timeline(25, &[stretch(599, "[[0,1],[1023,2]]")]).is_ok());
        for (broken, why) in [
            (timeline(26, &[]), "stretches of 2^26"),
            (timeline(0, &[stretch(600, "[]")]), "beyond 600"),
            (timeline(0, &[stretch(1, "[]"), stretch(1, "[]")]), "not in order"),
            (timeline(0, &[stretch(1, "[[1,1],[1,1]]")]), "not in order"),
            (timeline(0, &[stretch(1, "[[1024,1]]")]), "not in order"),
        ] {
            assert!(broken.unwrap_err().contains(why), "{why}");
        }
    }

    /// Something that a recorder is told.
    #[derive(Clone, Debug)]
    enum Told {
        Due(Nanos, Nanos),
        Done(Done),
        Event(Nanos, Event),
        Open(Nanos, u32),
    }

    impl Told {
        fn at(&self) -> Nanos {
            match self {
                Self::Due(at, _) | Self::Event(at, _) | Self::Open(at, _) => *at,
                Self::Done(done) => done.at,
            }
        }
    }

    fn told() -> impl Strategy<Value = Told> {
        let moment = prop_oneof![8 => 0..5 * S, 2 => 0..5000 * S, 1 => any::<u64>()];
        let outcome =
            prop_oneof![Just(Ok(())), (0..Failure::ALL.len()).prop_map(|index| Err(Failure::ALL[index]))];
        let done = (0u16..4, moment.clone(), any::<bool>(), 0..3 * S, 0u16..700, outcome).prop_map(
            |(step, due, was_sent, took, status, outcome)| {
                let at = due.saturating_add(took);
                let sent = was_sent.then_some(due.saturating_add(took / 2));
                Done { step, due, sent, at, status, outcome, received_bytes: took, sent_bytes: due }
            },
        );
        let event = prop_oneof![
            (0..S).prop_map(|took| Event::Connected { took }),
            (0..S).prop_map(|took| Event::Delivered { took }),
            any::<u64>().prop_map(Event::Lost),
            Just(Event::NotConnected(Failure::Refused)),
            Just(Event::Disconnected),
            Just(Event::Published),
            Just(Event::Received),
            Just(Event::Duplicated),
            Just(Event::Reordered),
        ];
        prop_oneof![
            (moment.clone(), 0..S).prop_map(|(due, lag)| Told::Due(due, lag)),
            done.prop_map(Told::Done),
            (moment.clone(), event).prop_map(|(at, event)| Told::Event(at, event)),
            (moment, 0u32..1000).prop_map(|(at, open)| Told::Open(at, open)),
        ]
    }

    fn play(recorder: &mut Recorder, story: &[Told]) -> Record {
        for told in story {
            match told {
                Told::Due(due, lag) => recorder.due(*due, *lag),
                Told::Done(done) => recorder.done(done),
                Told::Event(at, event) => recorder.event(*at, *event),
                Told::Open(at, open) => recorder.open(*at, *open),
            }
        }
        recorder.take()
    }

    fn record(part: u32) -> impl Strategy<Value = Record> {
        prop::collection::vec(told(), 0..25).prop_map(move |story| play(&mut recorder(part), &story))
    }

    fn merged(records: &[&Record]) -> Record {
        let mut all = Record::default();
        for record in records {
            all.merge(record);
        }
        all
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn merging_is_commutative(a in record(0), b in record(1)) {
            prop_assert_eq!(merged(&[&a, &b]), merged(&[&b, &a]));
        }

        #[test]
        fn merging_is_associative(a in record(0), b in record(0), c in record(1)) {
            prop_assert_eq!(merged(&[&merged(&[&a, &b]), &c]), merged(&[&a, &merged(&[&b, &c])]));
        }

        #[test]
        fn nothing_merged_changes_nothing(a in record(0)) {
            let mut with = a.clone();
            with.merge(&Record::default());
            prop_assert_eq!(&with, &a);
            prop_assert_eq!(&merged(&[&a]), &a);
        }

        #[test]
        fn windows_merge_to_what_one_window_had_recorded(
            mut story in prop::collection::vec(told(), 0..40),
            cut in 0usize..40,
        ) {
            story.sort_by_key(Told::at);
            let cut = cut.min(story.len());
            let whole = play(&mut recorder(0), &story);
            let mut windowed = recorder(0);
            let first = play(&mut windowed, &story[..cut]);
            let second = play(&mut windowed, &story[cut..]);
            prop_assert_eq!(merged(&[&first, &second]), whole);
        }

        #[test]
        fn what_was_written_reads_as_the_same(a in record(3)) {
            let text = serde_json::to_string(&a).unwrap();
            prop_assert_eq!(serde_json::from_str::<Record>(&text).unwrap(), a);
        }

        #[test]
        fn any_damage_to_the_text_is_read_or_refused(a in record(0), at in any::<prop::sample::Index>(), byte in 32u8..127) {
            let mut text = serde_json::to_string(&a).unwrap().into_bytes();
            let at = at.index(text.len());
            text[at] = byte;
            if let Ok(mut read) = serde_json::from_slice::<Record>(&text) {
                read.merge(&a);
                read.most_open();
                read.response().quantile_ms(0.5);
            }
        }
    }
}
