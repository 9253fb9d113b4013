//! A simulated upstream in simulated time: endpoints die, hang and come back under load, and the
//! clients' view of it is checked. Everything follows from a seed that is printed.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;
use std::time::Duration;
use tidegate_traffic::Moment;
use tidegate_traffic::endpoint::{Endpoint, EndpointId, State};
use tidegate_traffic::health::{self, ProbeFailure};
use tidegate_traffic::outlier::Failure;
use tidegate_traffic::retry::{NoRetry, RetryAsk};
use tidegate_traffic::upstream::{Ask, Lease, NoEndpoint, Settings, Upstream};

const TIMEOUT: Duration = Duration::from_secs(1);

/// What an endpoint does with a request.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Body {
    Well,
    /// Connections are refused; requests in flight at that moment are reset.
    Dead,
    /// Connections open, answers never come.
    Hung,
}

struct Request {
    began: Moment,
    tried: Vec<EndpointId>,
}

enum Event {
    Arrive,
    /// The try's end, if the endpoint lives until then.
    Answer(Request, Lease, usize),
    TimeOut(Request, Lease),
    Probe(usize),
    Settle,
    Become(usize, Body),
}

#[derive(Clone, Debug, PartialEq)]
enum Outcome {
    Served(EndpointId),
    NoEndpoint(NoEndpoint),
    Failed(Failure, NoRetry),
}

struct World {
    upstream: Upstream,
    endpoints: Vec<Arc<Endpoint>>,
    bodies: Vec<Body>,
    /// When each endpoint last died; what was in flight then is reset.
    died: Vec<Option<Moment>>,
    probes: Option<health::Settings>,
    idempotent: bool,
    now: Moment,
    queue: BinaryHeap<Reverse<(Moment, usize)>>,
    events: Vec<Option<Event>>,
    rng: fastrand::Rng,
    outcomes: Vec<(Moment, Outcome)>,
}

impl World {
    fn new(endpoints: usize, probes: Option<health::Settings>, seed: u64) -> Self {
        println!("seed {seed}");
        let address = |number| format!("10.0.0.{number}:80").parse().unwrap();
        let endpoints: Vec<_> =
            (0..endpoints).map(|number| Endpoint::new(address(number), 1, false)).collect();
        let mut world = Self {
            upstream: Upstream::new(Settings::default(), endpoints.clone()),
            bodies: vec![Body::Well; endpoints.len()],
            died: vec![None; endpoints.len()],
            endpoints,
            probes,
            idempotent: true,
            now: Moment::from_secs(100),
            queue: BinaryHeap::new(),
            events: Vec::new(),
            rng: fastrand::Rng::with_seed(seed),
            outcomes: Vec::new(),
        };
        for number in 0..world.endpoints.len() {
            if world.probes.is_some() {
                world.endpoints[number].expect_verdict();
                world.after(Duration::ZERO, Event::Probe(number));
            }
        }
        world.after(Duration::ZERO, Event::Arrive);
        world.after(Duration::ZERO, Event::Settle);
        world
    }

    fn after(&mut self, wait: Duration, event: Event) {
        self.queue.push(Reverse((self.now.plus(wait), self.events.len())));
        self.events.push(Some(event));
    }

    fn at(&mut self, secs: u64, number: usize, body: Body) {
        self.after(Duration::from_secs(secs), Event::Become(number, body));
    }

    fn run(&mut self, secs: u64) {
        let end = self.now.plus(Duration::from_secs(secs));
        while let Some(&Reverse((when, number))) = self.queue.peek() {
            if when > end {
                break;
            }
            self.queue.pop();
            self.now = when;
            let event = self.events[number].take().expect("an event happens once");
            self.happen(event);
        }
        self.now = end;
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Arrive => {
                self.upstream.retry_budget().deposit(self.now);
                self.attempt(Request { began: self.now, tried: Vec::new() });
                let wait = Duration::from_micros(self.rng.u64(2_000..8_000));
                self.after(wait, Event::Arrive);
            }
            Event::Answer(request, lease, number) => {
                let sent = *request.tried.last().expect("a try was made");
                if self.died[number].is_some_and(|died| died >= request.began) {
                    self.failed(request, &lease, Failure::Reset);
                } else {
                    lease.succeed(self.now, self.now.since(request.began));
                    self.outcomes.push((self.now, Outcome::Served(sent)));
                }
            }
            Event::TimeOut(request, lease) => self.failed(request, &lease, Failure::Timeout),
            Event::Probe(number) => {
                let settings = self.probes.clone().expect("probes are on");
                let result = match self.bodies[number] {
                    Body::Well => Ok(()),
                    Body::Dead => Err(ProbeFailure::Connect),
                    Body::Hung => Err(ProbeFailure::Timeout),
                };
                self.endpoints[number].probe(self.now, &settings, result);
                let next = settings.next(self.now, &mut self.rng).since(self.now);
                self.after(next, Event::Probe(number));
            }
            Event::Settle => {
                self.upstream.settle(self.now, |_| ());
                self.after(Duration::from_secs(1), Event::Settle);
            }
            Event::Become(number, body) => {
                self.bodies[number] = body;
                if body == Body::Dead {
                    self.died[number] = Some(self.now);
                }
            }
        }
    }

    fn attempt(&mut self, mut request: Request) {
        let ask = Ask { now: self.now, tried: &request.tried, ..Ask::default() };
        let lease = match self.upstream.pick(&ask, &mut self.rng) {
            Ok(lease) => lease,
            Err(why) => return self.outcomes.push((self.now, Outcome::NoEndpoint(why))),
        };
        let id = lease.endpoint().id();
        let number = self.endpoints.iter().position(|endpoint| endpoint.id() == id).unwrap();
        request.tried.push(id);
        match self.bodies[number] {
            Body::Well => {
                let work = Duration::from_micros(self.rng.u64(2_000..15_000));
                self.after(work, Event::Answer(request, lease, number));
            }
            Body::Dead => self.failed(request, &lease, Failure::Connect),
            Body::Hung => self.after(TIMEOUT, Event::TimeOut(request, lease)),
        }
    }

    fn failed(&mut self, request: Request, lease: &Lease, failure: Failure) {
        lease.fail(self.now, failure);
        let ask = RetryAsk {
            unsent: failure == Failure::Connect,
            idempotent: self.idempotent,
            body_replayable: true,
            tries: request.tried.len() as u8,
            elapsed: self.now.since(request.began),
            ..RetryAsk::default()
        };
        match self.upstream.may_retry(self.now, &ask) {
            Ok(()) => self.attempt(request),
            Err(why) => self.outcomes.push((self.now, Outcome::Failed(failure, why))),
        }
    }

    fn unserved(&self) -> Vec<&Outcome> {
        let served = |outcome: &&Outcome| matches!(outcome, Outcome::Served(_));
        self.outcomes.iter().map(|(_, outcome)| outcome).filter(|outcome| !served(outcome)).collect()
    }

    /// The share of the last seconds' requests that an endpoint served.
    fn share(&self, number: usize, secs: u64) -> f64 {
        let since = Moment(self.now.0 - Moment::from_secs(secs).0);
        let recent: Vec<_> = self.outcomes.iter().filter(|(when, _)| *when >= since).collect();
        let ours = Outcome::Served(self.endpoints[number].id());
        recent.iter().filter(|(_, outcome)| *outcome == ours).count() as f64 / recent.len() as f64
    }

    fn state(&self, number: usize) -> State {
        self.endpoints[number].state(self.now)
    }
}

#[test]
fn an_endpoint_that_dies_and_returns_costs_no_idempotent_request() {
    for seed in 0..20 {
        let mut world = World::new(4, Some(health::Settings::http("/health")), seed);
        world.at(10, 2, Body::Dead);
        world.at(40, 2, Body::Well);
        world.run(35);
        assert!(!world.state(2).is_usable());
        assert!(world.share(2, 20) < f64::EPSILON);
        world.run(11);
        assert_eq!(world.state(2), State::Up, "not back within one probe");
        world.run(10);
        assert!((0.2..0.3).contains(&world.share(2, 9)), "{}", world.share(2, 9));
        assert_eq!(world.unserved(), [] as [&Outcome; 0]);
    }
}

#[test]
fn without_probes_a_dead_endpoint_is_found_again_by_live_traffic() {
    for seed in 0..20 {
        let mut world = World::new(4, None, seed);
        world.at(10, 1, Body::Dead);
        world.at(30, 1, Body::Well);
        world.run(30);
        // Ejections of 1, 2, 3, ... seconds: by then the seventh at most.
        world.run(8);
        assert_eq!(world.state(1), State::Up);
        world.run(10);
        assert!((0.2..0.3).contains(&world.share(1, 9)), "{}", world.share(1, 9));
        assert_eq!(world.unserved(), [] as [&Outcome; 0]);
    }
}

#[test]
fn only_what_a_dying_endpoint_may_have_done_is_lost_of_other_requests() {
    for seed in 0..20 {
        let mut world = World::new(4, None, seed);
        world.idempotent = false;
        world.at(10, 0, Body::Dead);
        world.run(30);
        let lost = world.unserved();
        assert!(
            lost.iter().all(|outcome| **outcome == Outcome::Failed(Failure::Reset, NoRetry::NotIdempotent))
        );
        assert!(lost.len() < 10, "{}", lost.len());
    }
}

#[test]
fn an_endpoint_that_never_answers_is_ejected_after_five_timeouts() {
    for seed in 0..20 {
        let mut world = World::new(4, None, seed);
        world.at(10, 3, Body::Hung);
        // Least-requests gives it the next request only when those before have timed out or when the
        // others are as busy, so five of them take a while.
        world.run(15);
        assert!(matches!(world.state(3), State::Ejected { .. }), "{:?}", world.state(3));
        world.run(20);
        assert!(world.share(3, 15) < f64::EPSILON);
        assert_eq!(world.unserved(), [] as [&Outcome; 0]);
    }
}

#[test]
fn with_all_endpoints_dead_the_answer_is_no_at_once_and_yes_soon_after_their_return() {
    for seed in 0..20 {
        let mut world = World::new(3, Some(health::Settings::http("/health")), seed);
        for number in 0..3 {
            world.at(10, number, Body::Dead);
            world.at(40, number, Body::Well);
        }
        world.run(39);
        let late = world.outcomes.iter().filter(|(when, _)| *when > Moment::from_secs(130));
        assert!(late.clone().count() > 1_000);
        for (_, outcome) in late {
            assert_eq!(*outcome, Outcome::NoEndpoint(NoEndpoint::AllDown));
        }
        world.run(7);
        let before = world.unserved().len();
        world.run(10);
        assert_eq!(world.unserved().len(), before, "not all back within one probe");
    }
}

#[test]
fn nothing_is_left_in_flight_when_the_world_stops() {
    let mut world = World::new(4, None, 1);
    world.at(5, 0, Body::Dead);
    world.run(20);
    let endpoints = world.endpoints.clone();
    assert!(endpoints.iter().any(|endpoint| endpoint.in_flight() > 0));
    drop(world);
    assert!(endpoints.iter().all(|endpoint| endpoint.in_flight() == 0));
}
