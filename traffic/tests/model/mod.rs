//! A queueing model for tests and pictures: an app with so many places and an unbounded backlog inside, requests that
//! arrive at random (M/G/c), and between them the very brain that queues and limits in production. Time is a number, and
//! chance comes from a seed.

#![allow(dead_code, reason = "the picture and the tests each need a part of it")]

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::task::{Poll, Wake, Waker};
use std::time::Duration;

use tidegate_traffic::Moment;
use tidegate_traffic::endpoint::{Address, Endpoint};
use tidegate_traffic::queue::{Joining, Priority, Settings, Ticket, Unserved};
use tidegate_traffic::upstream::{self, Ask, Lease, Upstream};

/// How long requests take in a place, the mean being one.
#[derive(Clone, Copy, Debug)]
pub enum Shape {
    /// All the same.
    Fixed,
    /// Half as long to half as long again, all equally likely.
    Uniform,
    /// Exponential: as if nothing were known.
    Exponential,
    /// This share of them takes so many times what the others take.
    Bimodal { share: f64, times: f64 },
}

/// One stream of requests.
#[derive(Clone, Copy, Debug)]
pub struct Source {
    pub per_second: f64,
    pub from_s: f64,
    pub to_s: f64,
    pub priority: Priority,
    pub fair_key: u64,
    /// Every so many-th request is a long poll, answered after so many seconds, without a place of the app.
    pub long_poll: Option<(u64, f64)>,
}

impl Source {
    pub fn steady(per_second: f64, to_s: f64) -> Self {
        Self { per_second, from_s: 0.0, to_s, priority: Priority::Normal, fair_key: 0, long_poll: None }
    }
}

/// The app.
#[derive(Clone, Debug)]
pub struct App {
    pub places: usize,
    pub service_ms: f64,
    pub shape: Shape,
    /// From this second on it takes so many times as long.
    pub paces: Vec<(f64, f64)>,
    /// How long after the end of its work a response is seen, on average: it travels, and whoever has to see it does
    /// something else first. Exponential.
    pub jitter_ms: f64,
    /// It looks for work that is done at whole multiples of this time: what ends in between goes on together.
    pub tick_ms: f64,
}

impl App {
    /// One whose pace never changes.
    pub fn steady(places: usize, service_ms: f64, shape: Shape) -> Self {
        Self { places, service_ms, shape, paces: Vec::new(), jitter_ms: 0.0, tick_ms: 0.0 }
    }
}

/// A request that was answered or refused.
#[derive(Clone, Copy, Debug)]
pub struct Done {
    pub source: usize,
    pub came: Moment,
    pub ended: Moment,
    /// Time within the app, its backlog included.
    pub in_app: Duration,
    pub refused: Option<Unserved>,
}

/// The state at a moment.
#[derive(Clone, Copy, Debug)]
pub struct Sample {
    pub at: Moment,
    pub limit: u32,
    pub in_flight: u32,
    pub waiting: usize,
}

/// What came of it.
#[derive(Debug, Default)]
pub struct Record {
    pub done: Vec<Done>,
    pub samples: Vec<Sample>,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Event {
    Arrive(usize),
    /// A place of the app is done with it.
    Finish(u64),
    /// Its response is seen.
    See(u64),
    /// It was told to look again.
    Look(u64),
    Tick,
}

struct Job {
    source: usize,
    came: Moment,
    began: Moment,
    lease: Option<Lease>,
    ticket: Option<Ticket>,
}

struct Bell(u64, Arc<Mutex<Vec<u64>>>);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.1.lock().unwrap().push(self.0);
    }
}

/// Plays the model.
pub struct Model {
    now: Moment,
    app: App,
    sources: Vec<Source>,
    upstream: Upstream,
    endpoint: Arc<Endpoint>,
    events: BinaryHeap<Reverse<(Moment, u64, Event)>>,
    jobs: HashMap<u64, Job>,
    backlog: VecDeque<u64>,
    busy: usize,
    numbers: u64,
    rung: Arc<Mutex<Vec<u64>>>,
    rng: fastrand::Rng,
    record: Record,
}

/// Plays `sources` against `app` for as long as they last, and until all is answered.
pub fn play(settings: Settings, app: App, sources: &[Source], seed: u64) -> Record {
    let endpoint = Endpoint::new(Address::Unix("/app".to_owned()), 1, false);
    let settings = upstream::Settings { queue: settings, ..upstream::Settings::default() };
    let mut model = Model {
        now: Moment::from_ms(1),
        app,
        sources: sources.to_vec(),
        upstream: Upstream::new(settings, vec![Arc::clone(&endpoint)]),
        endpoint,
        events: BinaryHeap::new(),
        jobs: HashMap::new(),
        backlog: VecDeque::new(),
        busy: 0,
        numbers: 0,
        rung: Arc::default(),
        rng: fastrand::Rng::with_seed(seed),
        record: Record::default(),
    };
    for (index, source) in sources.iter().enumerate() {
        let first = Moment((source.from_s * 1e9) as u64).max(model.now);
        model.at(first, Event::Arrive(index));
    }
    model.at(Moment::from_ms(100), Event::Tick);
    model.run();
    model.record
}

impl Model {
    fn at(&mut self, when: Moment, event: Event) {
        self.numbers += 1;
        self.events.push(Reverse((when, self.numbers, event)));
    }

    fn run(&mut self) {
        let end = self.sources.iter().map(|source| source.to_s).fold(0.0, f64::max);
        while let Some(Reverse((when, _, event))) = self.events.pop() {
            self.now = when;
            match event {
                Event::Arrive(source) => self.arrive(source),
                Event::Finish(job) => self.finish(job),
                Event::See(job) => self.see(job),
                Event::Look(job) => self.rung.lock().unwrap().push(job),
                Event::Tick => {
                    self.upstream.queue().tick(when);
                    // Those who wait for a response for long are looked at now and then, as the driver does.
                    self.jobs
                        .values()
                        .filter_map(|job| job.lease.as_ref())
                        .for_each(|lease| lease.linger(when));
                    self.record.samples.push(Sample {
                        at: when,
                        limit: self.endpoint.limit().unwrap_or(0),
                        in_flight: self.endpoint.in_flight(),
                        waiting: self.upstream.queue().counts().iter().sum(),
                    });
                    if when.0 as f64 <= end * 1e9 || !self.jobs.is_empty() {
                        self.at(when.plus(Duration::from_millis(100)), Event::Tick);
                    }
                }
            }
            self.answer_bells();
        }
    }

    fn ask(&self, source: &Source) -> Ask<'static> {
        Ask { now: self.now, priority: source.priority, ..Ask::default() }
    }

    fn arrive(&mut self, index: usize) {
        let source = self.sources[index];
        let gap = -(1.0 - self.rng.f64()).ln() / source.per_second;
        let next = self.now.plus(Duration::from_secs_f64(gap));
        if next.0 as f64 <= source.to_s * 1e9 {
            self.at(next, Event::Arrive(index));
        }
        self.numbers += 1;
        let id = self.numbers;
        let job = Job { source: index, came: self.now, began: self.now, lease: None, ticket: None };
        self.jobs.insert(id, job);
        let ask = self.ask(&source);
        if let Ok(lease) = self.upstream.admit(&ask, &mut self.rng) {
            return self.begin(id, lease);
        }
        let joining = Joining { ask, begun: self.now, fair_key: source.fair_key, is_retry: false };
        match self.upstream.join(&joining) {
            Ok(ticket) => {
                self.jobs.get_mut(&id).unwrap().ticket = Some(ticket);
                self.rung.lock().unwrap().push(id);
            }
            Err(why) => self.refuse(id, why),
        }
    }

    fn answer_bells(&mut self) {
        loop {
            let rung = std::mem::take(&mut *self.rung.lock().unwrap());
            if rung.is_empty() {
                return;
            }
            for id in rung {
                let Some(ticket) = self.jobs.get_mut(&id).and_then(|job| job.ticket.take()) else { continue };
                let waker = Waker::from(Arc::new(Bell(id, Arc::clone(&self.rung))));
                match ticket.poll(self.now, &waker) {
                    Poll::Pending => {
                        if let Some(moment) = ticket.next_look() {
                            // Timers have ticks of a millisecond.
                            self.at(Moment(moment.0.next_multiple_of(1_000_000)), Event::Look(id));
                        }
                        self.jobs.get_mut(&id).unwrap().ticket = Some(ticket);
                    }
                    Poll::Ready(waited) => match waited.result {
                        Ok(lease) => self.begin(id, lease),
                        Err(why) => self.refuse(id, why),
                    },
                }
            }
        }
    }

    fn refuse(&mut self, id: u64, why: Unserved) {
        let job = self.jobs.remove(&id).unwrap();
        let Job { source, came, .. } = job;
        let in_app = Duration::ZERO;
        self.record.done.push(Done { source, came, ended: self.now, in_app, refused: Some(why) });
    }

    fn begin(&mut self, id: u64, lease: Lease) {
        let job = self.jobs.get_mut(&id).unwrap();
        job.lease = Some(lease);
        job.began = self.now;
        if let Some((every, seconds)) = self.sources[job.source].long_poll
            && id.is_multiple_of(every)
        {
            job.source = usize::MAX;
            self.at(self.now.plus(Duration::from_secs_f64(seconds)), Event::See(id));
        } else if self.busy < self.app.places {
            self.work(id);
        } else {
            self.backlog.push_back(id);
        }
    }

    fn work(&mut self, id: u64) {
        self.busy += 1;
        let second = self.now.0 as f64 / 1e9;
        let pace =
            self.app.paces.iter().rev().find(|(from, _)| second >= *from).map_or(1.0, |(_, pace)| *pace);
        let drawn = match self.app.shape {
            Shape::Fixed => 1.0,
            Shape::Uniform => 0.5 + self.rng.f64(),
            Shape::Exponential => -(1.0 - self.rng.f64()).ln(),
            Shape::Bimodal { share, times } => {
                let cheap = 1.0 / (1.0 - share + share * times);
                if self.rng.f64() < share { cheap * times } else { cheap }
            }
        };
        let takes = Duration::from_secs_f64(drawn * pace * self.app.service_ms / 1e3);
        let tick = (self.app.tick_ms * 1e6) as u64;
        let done = self.now.plus(takes).0;
        self.at(Moment(if tick > 0 { done.next_multiple_of(tick) } else { done }), Event::Finish(id));
    }

    fn finish(&mut self, id: u64) {
        self.busy -= 1;
        if let Some(next) = self.backlog.pop_front() {
            self.work(next);
        }
        if self.app.jitter_ms == 0.0 {
            return self.see(id);
        }
        let late = -(1.0 - self.rng.f64()).ln() * self.app.jitter_ms / 1e3;
        self.at(self.now.plus(Duration::from_secs_f64(late)), Event::See(id));
    }

    fn see(&mut self, id: u64) {
        let job = self.jobs.remove(&id).unwrap();
        let in_app = self.now.since(job.began);
        let lease = job.lease.unwrap();
        lease.succeed(self.now, in_app);
        if job.source == usize::MAX {
            return;
        }
        let Job { source, came, .. } = job;
        self.record.done.push(Done { source, came, ended: self.now, in_app, refused: None });
        drop(lease);
    }
}

impl Record {
    /// Requests answered per second between two seconds.
    pub fn goodput(&self, from_s: f64, to_s: f64) -> f64 {
        self.answered(from_s, to_s).count() as f64 / (to_s - from_s)
    }

    fn answered(&self, from_s: f64, to_s: f64) -> impl Iterator<Item = &Done> {
        let is_within = move |at: Moment| at.0 as f64 >= from_s * 1e9 && (at.0 as f64) < to_s * 1e9;
        self.done.iter().filter(move |done| done.refused.is_none() && is_within(done.ended))
    }

    /// The time within which a share of the answered requests was, in milliseconds, waiting included.
    pub fn quantile(&self, share: f64, from_s: f64, to_s: f64, wanted: impl Fn(&Done) -> bool) -> f64 {
        let answered = self.answered(from_s, to_s).filter(|done| wanted(done));
        quantile(answered.map(|done| done.ended.since(done.came)).collect(), share)
    }

    /// The same of the time within the app.
    pub fn in_app(&self, share: f64, from_s: f64, to_s: f64) -> f64 {
        quantile(self.answered(from_s, to_s).map(|done| done.in_app).collect(), share)
    }

    /// Requests of a source that were refused, as a share.
    pub fn refused(&self, wanted: impl Fn(&Done) -> bool) -> f64 {
        let all = self.done.iter().filter(|done| wanted(done)).count();
        let refused = self.done.iter().filter(|done| wanted(done) && done.refused.is_some()).count();
        refused as f64 / all.max(1) as f64
    }
}

fn quantile(mut times: Vec<Duration>, share: f64) -> f64 {
    times.sort_unstable();
    let at = ((times.len() as f64 * share) as usize).min(times.len().saturating_sub(1));
    times.get(at).map_or(0.0, |time| time.as_secs_f64() * 1e3)
}
