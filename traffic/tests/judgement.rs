//! When endpoints are taken out and let back in: one fact per test, in simulated time.

use std::sync::Arc;
use std::time::Duration;
use tidegate_traffic::Moment;
use tidegate_traffic::endpoint::{Cause, Ejection, Endpoint, Return, State, Transition, Wanted};
use tidegate_traffic::health::{self, ProbeFailure};
use tidegate_traffic::outlier::{self, Failure};
use tidegate_traffic::upstream::{Ask, Lease, NoEndpoint, Settings, Upstream};

const START: Moment = Moment::from_secs(1_000);

/// An upstream at a time that only this test moves.
struct Scene {
    upstream: Upstream,
    endpoints: Vec<Arc<Endpoint>>,
    now: Moment,
    rng: fastrand::Rng,
}

impl Scene {
    fn new(endpoints: usize) -> Self {
        Self::with(endpoints, outlier::Settings::default())
    }

    fn with(endpoints: usize, outlier: outlier::Settings) -> Self {
        let address = |number| format!("10.0.0.{number}:80").parse().unwrap();
        let endpoints: Vec<_> =
            (0..endpoints).map(|number| Endpoint::new(address(number), 1, false)).collect();
        let upstream = Upstream::new(Settings { outlier, ..Settings::default() }, endpoints.clone());
        Self { upstream, endpoints, now: START, rng: fastrand::Rng::with_seed(1) }
    }

    /// A lease on a certain endpoint.
    fn lease(&mut self, at: usize) -> Lease {
        let ids: Vec<_> = self.endpoints.iter().map(|endpoint| endpoint.id()).collect();
        let tried: Vec<_> = ids.iter().copied().filter(|id| *id != ids[at]).collect();
        self.upstream.pick(&Ask { now: self.now, tried: &tried, ..Ask::default() }, &mut self.rng).unwrap()
    }

    fn fail(&mut self, at: usize, failure: Failure) -> Option<Transition> {
        self.lease(at).fail(self.now, failure)
    }

    fn succeed(&mut self, at: usize) -> Option<Transition> {
        self.lease(at).succeed(self.now, Duration::from_millis(1))
    }

    /// Fails until the endpoint is out, at most so many times.
    fn fail_out(&mut self, at: usize, failure: Failure, times: usize) -> Transition {
        (0..times).find_map(|_| self.fail(at, failure)).expect("not ejected")
    }

    fn state(&self, at: usize) -> State {
        self.endpoints[at].state(self.now)
    }

    fn wait(&mut self, secs: u64) {
        self.now = self.now.plus(Duration::from_secs(secs));
    }

    fn settle(&self) -> Vec<Cause> {
        let mut causes = Vec::new();
        self.upstream.settle(self.now, |transition| causes.push(transition.why));
        causes
    }

    fn pick(&mut self) -> Result<(), NoEndpoint> {
        self.upstream.pick(&Ask { now: self.now, ..Ask::default() }, &mut self.rng).map(|_| ())
    }
}

fn out_for(transition: &Transition) -> (Ejection, Duration) {
    match transition.to {
        State::Ejected { why, until } => (why, until.since(START)),
        other => panic!("{other:?} is not an ejection"),
    }
}

#[test]
fn five_failures_in_a_row_eject_and_a_success_in_between_forgives() {
    let mut scene = Scene::new(4);
    for _ in 0..4 {
        assert!(scene.fail(0, Failure::Status5xx).is_none());
    }
    scene.succeed(0);
    for _ in 0..4 {
        assert!(scene.fail(0, Failure::Timeout).is_none());
    }
    let transition = scene.fail(0, Failure::Reset).unwrap();
    assert_eq!(out_for(&transition), (Ejection::ConsecutiveFailures, Duration::from_secs(30)));
    assert_eq!(transition.from, State::Up);
    assert_eq!(transition.endpoint.id(), scene.endpoints[0].id());
}

#[test]
fn two_refused_connections_eject_for_a_second() {
    let mut scene = Scene::new(4);
    assert!(scene.fail(0, Failure::Connect).is_none());
    let transition = scene.fail(0, Failure::ConnectTimeout).unwrap();
    assert_eq!(out_for(&transition), (Ejection::ConnectFailures, Duration::from_secs(1)));
}

#[test]
fn half_of_twenty_answers_being_slow_ejects_only_where_that_is_judged() {
    for slow in [None, Some(Duration::from_secs(1))] {
        let mut scene = Scene::with(4, outlier::Settings { slow, ..outlier::Settings::default() });
        let mut told = Vec::new();
        for _ in 0..10 {
            scene.succeed(0);
            let lease = scene.lease(0);
            told.extend(lease.succeed(scene.now, Duration::from_millis(1_001)));
        }
        assert_eq!(told.len(), usize::from(slow.is_some()));
        if let [transition] = &told[..] {
            assert_eq!(out_for(transition), (Ejection::SlowShare, Duration::from_secs(30)));
            // What led there is forgotten.
            scene.wait(31);
            let back = scene.lease(0);
            assert!(!matches!(
                back.succeed(scene.now, Duration::from_secs(2)),
                Some(Transition { to: State::Ejected { .. }, .. })
            ));
        }
    }
}

#[test]
fn half_of_twenty_requests_failing_ejects() {
    let mut scene = Scene::new(4);
    for _ in 0..9 {
        scene.succeed(0);
        assert!(scene.fail(0, Failure::Status5xx).is_none());
    }
    scene.succeed(0);
    let transition = scene.fail(0, Failure::Status5xx).unwrap();
    assert_eq!(out_for(&transition).0, Ejection::FailureRate);
}

#[test]
fn failures_that_lie_ten_seconds_back_do_not_count_for_the_rate() {
    let mut scene = Scene::new(4);
    for _ in 0..9 {
        scene.succeed(0);
        assert!(scene.fail(0, Failure::Status5xx).is_none());
    }
    scene.wait(10);
    scene.succeed(0);
    assert!(scene.fail(0, Failure::Status5xx).is_none());
    assert_eq!(scene.endpoints[0].recent(scene.now).requests, 2);
}

#[test]
fn ejections_grow_and_a_quiet_time_shrinks_them() {
    let mut scene = Scene::new(4);
    let mut lengths = Vec::new();
    for _ in 0..3 {
        let before = scene.now;
        let State::Ejected { until, .. } = scene.fail_out(0, Failure::Timeout, 5).to else { panic!() };
        lengths.push(until.since(before).as_secs());
        scene.now = until;
        assert_eq!(scene.settle(), [Cause::Returned(Return::TimeServed)]);
    }
    assert_eq!(lengths, [30, 60, 90]);
    scene.succeed(0);
    scene.wait(60);
    let before = scene.now;
    let State::Ejected { until, .. } = scene.fail_out(0, Failure::Timeout, 5).to else { panic!() };
    assert_eq!(until.since(before).as_secs(), 60);
}

#[test]
fn no_ejection_is_longer_than_the_longest() {
    let settings =
        outlier::Settings { ejection_max: Duration::from_secs(50), ..outlier::Settings::default() };
    let mut scene = Scene::with(4, settings);
    for length in [30, 50, 50] {
        let before = scene.now;
        let State::Ejected { until, .. } = scene.fail_out(0, Failure::Timeout, 5).to else { panic!() };
        assert_eq!(until.since(before).as_secs(), length);
        scene.now = until;
    }
}

#[test]
fn one_failure_right_after_the_return_is_a_relapse_and_a_success_ends_the_trial() {
    let mut scene = Scene::new(4);
    scene.fail_out(0, Failure::Timeout, 5);
    scene.wait(30);
    assert_eq!(scene.state(0), State::Up);
    let relapse = scene.fail(0, Failure::Timeout).unwrap();
    assert_eq!(relapse.why, Cause::Ejected(Ejection::Relapsed));
    scene.wait(60);
    scene.succeed(0);
    assert!(scene.fail(0, Failure::Timeout).is_none());
}

#[test]
fn a_request_from_before_the_return_is_no_relapse() {
    let mut scene = Scene::new(4);
    let old = scene.lease(0);
    scene.fail_out(0, Failure::Timeout, 5);
    scene.wait(31);
    let told = old.fail(scene.now, Failure::Reset).unwrap();
    assert_eq!((told.why, scene.state(0)), (Cause::Returned(Return::TimeServed), State::Up));
}

#[test]
fn at_most_the_share_is_ejected_by_judgement() {
    let mut scene = Scene::new(4);
    scene.fail_out(0, Failure::Status5xx, 5);
    scene.fail_out(1, Failure::Status5xx, 5);
    assert!((0..20).all(|_| scene.fail(2, Failure::Status5xx).is_none()));
    assert!(scene.state(2).is_usable());
}

#[test]
fn endpoints_that_refuse_connections_are_ejected_beyond_the_share() {
    let mut scene = Scene::new(4);
    for at in 0..4 {
        scene.fail_out(at, Failure::Connect, 2);
    }
    assert_eq!(scene.pick(), Err(NoEndpoint::AllDown));
    scene.wait(1);
    assert_eq!(scene.pick(), Ok(()));
}

#[test]
fn a_single_endpoint_is_never_ejected() {
    let mut scene = Scene::new(1);
    for failure in Failure::ALL {
        assert!((0..30).all(|_| scene.fail(0, failure).is_none()));
    }
    assert_eq!(scene.pick(), Ok(()));
}

#[test]
fn panic_ignores_judgements_but_not_proof() {
    let settings = outlier::Settings { ejected_share_max: 1.0, ..outlier::Settings::default() };
    let mut scene = Scene::with(4, settings);
    scene.fail_out(0, Failure::Connect, 2);
    scene.fail_out(1, Failure::Status5xx, 5);
    assert!(!scene.upstream.is_panicking(scene.now));
    scene.fail_out(2, Failure::Status5xx, 5);
    assert!(scene.upstream.is_panicking(scene.now));
    let mut seen = [0; 4];
    for _ in 0..400 {
        let lease = scene.upstream.pick(&Ask { now: scene.now, ..Ask::default() }, &mut scene.rng).unwrap();
        seen[scene.endpoints.iter().position(|one| one.id() == lease.endpoint().id()).unwrap()] += 1;
    }
    assert_eq!(seen[0], 0);
    assert!(seen[1] > 80 && seen[2] > 80 && seen[3] > 80, "{seen:?}");
}

#[test]
fn without_a_panic_share_everything_can_be_out() {
    let settings =
        outlier::Settings { ejected_share_max: 1.0, panic_share: 0.0, ..outlier::Settings::default() };
    let mut scene = Scene::with(2, settings);
    scene.fail_out(0, Failure::Status5xx, 5);
    scene.fail_out(1, Failure::Status5xx, 5);
    assert_eq!(scene.pick(), Err(NoEndpoint::AllDown));
}

#[test]
fn a_success_during_panic_ends_an_ejection_but_not_one_by_rate() {
    let settings = outlier::Settings { ejected_share_max: 1.0, ..outlier::Settings::default() };
    let mut scene = Scene::with(2, settings);
    scene.fail_out(0, Failure::Status5xx, 5);
    for _ in 0..10 {
        scene.succeed(1);
        scene.fail(1, Failure::Status5xx);
    }
    assert!(matches!(scene.state(1), State::Ejected { why: Ejection::FailureRate, .. }));
    scene.wait(1);
    let back = scene.succeed(0).unwrap();
    assert_eq!((back.why, back.to), (Cause::Returned(Return::Succeeded), State::Up));
    // With one of two healthy the panic is over; what was sent before still comes back.
    assert!(matches!(scene.state(1), State::Ejected { .. }));
}

#[test]
fn the_success_of_a_request_from_before_the_ejection_does_not_end_it() {
    let mut scene = Scene::new(4);
    let old = scene.lease(0);
    scene.fail_out(0, Failure::Status5xx, 5);
    scene.wait(1);
    assert!(old.succeed(scene.now, Duration::from_secs(1)).is_none());
    assert!(matches!(scene.state(0), State::Ejected { .. }));
}

#[test]
fn what_led_to_an_ejection_does_not_count_after_it() {
    let mut scene = Scene::new(4);
    for _ in 0..9 {
        scene.fail(0, Failure::Status5xx);
        scene.succeed(0);
    }
    scene.fail_out(0, Failure::Connect, 2);
    scene.wait(1);
    scene.succeed(0);
    assert!(scene.fail(0, Failure::Status5xx).is_none());
    assert_eq!(scene.endpoints[0].recent(scene.now).failures, 1);
}

#[test]
fn the_first_probe_decides_alone() {
    let scene = Scene::new(2);
    let settings = health::Settings::default();
    let endpoint = &scene.endpoints[0];
    endpoint.expect_verdict();
    assert_eq!(scene.state(0), State::Probing);
    assert!(scene.state(0).is_usable());
    let down = endpoint.probe(START, &settings, Err(ProbeFailure::Status)).unwrap();
    assert_eq!(down.from, State::Probing);
    assert_eq!(down.to, State::Down { why: ProbeFailure::Status });
    let other = &scene.endpoints[1];
    other.expect_verdict();
    assert_eq!(other.probe(START, &settings, Ok(())).unwrap().to, State::Up);
}

#[test]
fn probes_take_down_after_fall_and_bring_back_after_rise() {
    let scene = Scene::new(2);
    let settings = health::Settings { rise: 2, fall: 3, ..health::Settings::default() };
    let probe = |result| scene.endpoints[0].probe(START, &settings, result).map(|change| change.to.code());
    let failed = Err(ProbeFailure::Timeout);
    let results = [Ok(()), failed, failed, Ok(()), failed, failed, failed, Ok(()), failed, Ok(()), Ok(())];
    let changes = results.map(probe);
    assert_eq!(changes[..6], [None; 6]);
    assert_eq!(changes[6..], [Some("down"), None, None, None, Some("up")]);
}

#[test]
fn a_probe_without_an_answer_is_proof_and_a_wrong_status_is_not() {
    let settings = health::Settings::default();
    for (failure, expected) in
        [(ProbeFailure::Connect, Err(NoEndpoint::AllDown)), (ProbeFailure::Status, Ok(()))]
    {
        let mut scene = Scene::new(2);
        for endpoint in &scene.endpoints {
            endpoint.probe(START, &settings, Err(failure)).unwrap();
        }
        assert_eq!(scene.pick(), expected, "{failure:?}");
    }
}

#[test]
fn a_passed_probe_ends_the_ejection_of_an_endpoint_that_seemed_gone() {
    let settings = health::Settings::default();
    for (failure, returned) in [(Failure::Connect, true), (Failure::Reset, true), (Failure::Status5xx, false)]
    {
        let mut scene = Scene::new(4);
        scene.endpoints[0].probe(START, &settings, Ok(()));
        scene.fail_out(0, failure, 5);
        let back = scene.endpoints[0].probe(scene.now, &settings, Ok(()));
        assert_eq!(back.map(|back| back.why), returned.then_some(Cause::Returned(Return::ProbePassed)));
        assert_eq!(scene.state(0).is_usable(), returned, "{failure:?}");
    }
}

#[test]
fn coming_up_after_having_been_down_wipes_the_ejection() {
    let settings = health::Settings { fall: 1, ..health::Settings::default() };
    let mut scene = Scene::new(4);
    let endpoint = Arc::clone(&scene.endpoints[0]);
    endpoint.probe(START, &settings, Ok(()));
    scene.fail_out(0, Failure::Status5xx, 5);
    assert_eq!(endpoint.probe(START, &settings, Err(ProbeFailure::Connect)).unwrap().to.code(), "down");
    assert_eq!(endpoint.probe(START, &settings, Ok(())).unwrap().to, State::Up);
}

#[test]
fn a_drain_hides_everything_else_and_undoes_nothing() {
    let mut scene = Scene::new(4);
    let endpoint = Arc::clone(&scene.endpoints[0]);
    let held = scene.lease(0);
    scene.fail_out(0, Failure::Status5xx, 5);
    let drained = scene.upstream.drain(endpoint.address(), true, scene.now).unwrap();
    assert_eq!((drained.why, drained.to), (Cause::Ejected(Ejection::Drained), State::Draining));
    assert!(scene.upstream.drain(endpoint.address(), true, scene.now).is_none());
    scene.wait(60);
    assert_eq!(scene.state(0), State::Draining);
    assert_eq!(endpoint.in_flight(), 1);
    drop(held);
    assert_eq!(endpoint.in_flight(), 0);
    let back = scene.upstream.drain(endpoint.address(), false, scene.now).unwrap();
    assert_eq!((back.why, back.to), (Cause::Returned(Return::Undrained), State::Up));
}

#[test]
fn the_return_is_told_once_and_its_time_is_known() {
    let mut scene = Scene::new(4);
    scene.fail_out(0, Failure::Status5xx, 5);
    let at = scene.upstream.next_return().unwrap();
    assert_eq!(at, START.plus(Duration::from_secs(30)));
    assert_eq!(scene.settle(), []);
    scene.now = at;
    assert_eq!(scene.settle(), [Cause::Returned(Return::TimeServed)]);
    assert_eq!(scene.settle(), []);
    assert_eq!(scene.upstream.next_return(), None);
}

#[test]
fn whoever_notices_a_return_first_tells_it() {
    for failure in [None, Some(Failure::Timeout)] {
        let mut scene = Scene::new(4);
        let old = scene.lease(0);
        scene.fail_out(0, Failure::Status5xx, 5);
        scene.wait(30);
        let told = match failure {
            None => scene.succeed(0),
            Some(failure) => old.fail(scene.now, failure),
        };
        let told = told.expect("the return was lost");
        assert_eq!((told.from.code(), told.to), ("ejected", State::Up));
        assert_eq!(told.why, Cause::Returned(Return::TimeServed));
        assert_eq!(scene.settle(), []);
    }
}

#[test]
fn endpoints_that_stay_keep_their_state() {
    let mut scene = Scene::new(3);
    let held = scene.lease(0);
    scene.fail_out(0, Failure::Status5xx, 5);
    let wanted = |number: u8, weight| Wanted {
        address: format!("10.0.0.{number}:80").parse().unwrap(),
        weight,
        backup: false,
    };
    scene.upstream.reconcile([wanted(0, 5), wanted(7, 1), wanted(7, 1)]);
    let endpoints = scene.upstream.endpoints();
    assert_eq!(endpoints.len(), 2);
    assert_eq!(endpoints[0].id(), scene.endpoints[0].id());
    assert_eq!((endpoints[0].weight(), endpoints[0].in_flight()), (5, 1));
    assert!(!endpoints[0].state(scene.now).is_usable());
    drop(held);
    assert_eq!(endpoints[0].in_flight(), 0);
}
