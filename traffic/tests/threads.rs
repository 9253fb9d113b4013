//! Threads hammer one upstream with picks, verdicts, new endpoints and drains at the same time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Duration;
use tidegate_traffic::Moment;
use tidegate_traffic::balance::Policy;
use tidegate_traffic::endpoint::{Endpoint, State};
use tidegate_traffic::health::{self, ProbeFailure};
use tidegate_traffic::outlier::Failure;
use tidegate_traffic::upstream::{Ask, Lease, Settings, Upstream};

const POLICIES: [Policy; 6] = [
    Policy::LeastRequests,
    Policy::RoundRobin,
    Policy::PeakEwma { decay: Policy::EWMA_DECAY },
    Policy::Client,
    Policy::Hash { bound: 1.25 },
    Policy::Sticky,
];

fn endpoints(count: usize) -> Vec<Arc<Endpoint>> {
    let address = |number| format!("10.0.0.{number}:80").parse().unwrap();
    (0..count).map(|number| Endpoint::new(address(number), 1 + number as u32 % 3, number == 5)).collect()
}

/// Picks of each thread that have to come off: how many are tried for them depends on what is disturbed meanwhile, and
/// so on how the machine shares its time.
const PICKS: u64 = 1_000;

/// Picks and judges, holding up to ten leases at a time.
fn serve(upstream: &Upstream, seed: u64, clock: &AtomicU64) {
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut leases: Vec<Lease> = Vec::new();
    let (mut picked, mut tried) = (0, 0);
    while tried < 20_000 || picked < PICKS {
        tried += 1;
        let now = Moment::from_ms(clock.fetch_add(1, Relaxed));
        let ask = Ask { now, key: Some(rng.u64(..100)), ..Ask::default() };
        match upstream.pick(&ask, &mut rng) {
            Ok(lease) => {
                picked += 1;
                leases.push(lease);
            }
            // Whoever disturbs may be needed to let one return.
            Err(_) => std::thread::yield_now(),
        }
        while leases.len() > rng.usize(..10) {
            let lease = leases.swap_remove(rng.usize(..leases.len()));
            match rng.u8(..10) {
                0 => drop(lease.fail(now, *rng.choice(&Failure::ALL).unwrap())),
                1 => {}
                _ => drop(lease.succeed(now, Duration::from_millis(rng.u64(..50)))),
            }
        }
    }
}

/// What operators, resolvers and probes do meanwhile.
fn disturb(upstream: &Upstream, all: &[Arc<Endpoint>], stop: &AtomicBool, clock: &AtomicU64) {
    let mut rng = fastrand::Rng::with_seed(99);
    while !stop.load(Relaxed) {
        let now = Moment::from_ms(clock.load(Relaxed));
        let endpoint = rng.choice(all).unwrap();
        match rng.u8(..6) {
            0 => upstream.set_endpoints(all.iter().filter(|_| rng.u8(..4) > 0).cloned().collect()),
            1 => drop(endpoint.drain(rng.bool(), now)),
            2 => drop(endpoint.probe(now, &health::Settings::default(), Err(ProbeFailure::Connect))),
            3 => endpoint.set_weight(rng.u32(..4)),
            4 => upstream.settle(now, |_| ()),
            _ => drop(endpoint.probe(now, &health::Settings::default(), Ok(()))),
        }
    }
}

#[test]
fn in_flight_returns_to_zero_whatever_happens_at_once() {
    for policy in POLICIES {
        let all = endpoints(6);
        let upstream = Upstream::new(Settings { policy, ..Settings::default() }, all.clone());
        let (stop, clock) = (AtomicBool::new(false), AtomicU64::new(1_000));
        std::thread::scope(|scope| {
            let disturbing = scope.spawn(|| disturb(&upstream, &all, &stop, &clock));
            let serving = [1, 2, 3].map(|seed| {
                let (upstream, clock) = (&upstream, &clock);
                scope.spawn(move || serve(upstream, seed, clock))
            });
            for thread in serving {
                thread.join().unwrap();
            }
            stop.store(true, Relaxed);
            disturbing.join().unwrap();
        });
        assert!(all.iter().all(|endpoint| endpoint.in_flight() == 0), "{policy:?}");
    }
}

#[test]
fn threads_together_never_eject_more_than_the_share() {
    for round in 0..50 {
        let all = endpoints(5);
        let upstream = Upstream::new(Settings::default(), all.clone());
        let now = Moment::from_secs(10);
        std::thread::scope(|scope| {
            for seed in 0..4 {
                let upstream = &upstream;
                scope.spawn(move || {
                    let mut rng = fastrand::Rng::with_seed(round * 4 + seed);
                    for _ in 0..40 {
                        if let Ok(lease) = upstream.pick(&Ask { now, ..Ask::default() }, &mut rng) {
                            lease.fail(now, Failure::Status5xx);
                        }
                    }
                });
            }
        });
        let ejected = all.iter().filter(|one| matches!(one.state(now), State::Ejected { .. })).count();
        assert_eq!(ejected, 2);
    }
}
