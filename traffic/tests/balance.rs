//! Each balancing policy held against what it promises, with seeded chance.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tidegate_traffic::Moment;
use tidegate_traffic::balance::{Policy, hash_key};
use tidegate_traffic::endpoint::{Endpoint, EndpointId};
use tidegate_traffic::queue;
use tidegate_traffic::upstream::{Ask, Lease, NoEndpoint, PassedOver, Settings, Upstream};

const NOW: Moment = Moment::from_secs(1_000);

fn endpoint(number: usize, weight: u32, backup: bool) -> Arc<Endpoint> {
    Endpoint::new(format!("10.0.0.{number}:80").parse().unwrap(), weight, backup)
}

fn endpoints(weights: &[u32]) -> Vec<Arc<Endpoint>> {
    weights.iter().enumerate().map(|(number, &weight)| endpoint(number, weight, false)).collect()
}

fn upstream(policy: Policy, endpoints: &[Arc<Endpoint>]) -> Upstream {
    Upstream::new(
        Settings { policy, queue: queue::Settings::off(), ..Settings::default() },
        endpoints.to_vec(),
    )
}

fn ask() -> Ask<'static> {
    Ask { now: NOW, ..Ask::default() }
}

fn keyed(key: u64) -> Ask<'static> {
    Ask { key: Some(hash_key(&key.to_le_bytes())), ..ask() }
}

fn place(endpoints: &[Arc<Endpoint>], lease: &Lease) -> usize {
    endpoints.iter().position(|endpoint| endpoint.id() == lease.endpoint().id()).unwrap()
}

/// How often each endpoint is picked for requests that end before the next one begins.
fn shares(upstream: &Upstream, endpoints: &[Arc<Endpoint>], picks: usize, now: Moment) -> Vec<f64> {
    let mut rng = fastrand::Rng::with_seed(11);
    let mut counts = vec![0; endpoints.len()];
    for _ in 0..picks {
        let lease = upstream.pick(&Ask { now, ..ask() }, &mut rng).unwrap();
        counts[place(endpoints, &lease)] += 1;
    }
    counts.into_iter().map(|count| f64::from(count) / picks as f64).collect()
}

fn assert_near(found: &[f64], expected: &[f64], tolerance: f64) {
    for (found, expected) in found.iter().zip(expected) {
        assert!((found - expected).abs() < tolerance, "{found} is not near {expected}");
    }
}

#[test]
fn least_requests_always_picks_one_that_no_other_is_below() {
    for seed in 0..50 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let weights: Vec<u32> = (0..rng.usize(1..9)).map(|_| rng.u32(1..6)).collect();
        let endpoints = endpoints(&weights);
        let upstream = upstream(Policy::LeastRequests, &endpoints);
        let mut leases = Vec::new();
        for _ in 0..300 {
            if rng.u8(..3) == 0 && !leases.is_empty() {
                drop(leases.swap_remove(rng.usize(..leases.len())));
            }
            let load = |endpoint: &Endpoint| f64::from(endpoint.in_flight()) / f64::from(endpoint.weight());
            let before: Vec<f64> = endpoints.iter().map(|endpoint| load(endpoint)).collect();
            let lease = upstream.pick(&ask(), &mut rng).unwrap();
            let picked = before[place(&endpoints, &lease)];
            assert!(before.iter().all(|&other| picked <= other), "seed {seed}: {picked} of {before:?}");
            leases.push(lease);
        }
    }
}

#[test]
fn a_lone_client_is_spread_by_weight() {
    let endpoints = endpoints(&[3, 1, 0, 4]);
    let upstream = upstream(Policy::LeastRequests, &endpoints);
    assert_near(&shares(&upstream, &endpoints, 40_000, NOW), &[0.375, 0.125, 0.0, 0.5], 0.01);
}

#[test]
fn round_robin_is_smooth() {
    let endpoints = endpoints(&[5, 1, 1]);
    let upstream = upstream(Policy::RoundRobin, &endpoints);
    let mut rng = fastrand::Rng::with_seed(1);
    let mut turn = || place(&endpoints, &upstream.pick(&ask(), &mut rng).unwrap());
    let turns: Vec<usize> = (0..14).map(|_| turn()).collect();
    assert_eq!(turns, [0, 0, 1, 0, 2, 0, 0, 0, 0, 1, 0, 2, 0, 0]);
}

#[test]
fn peak_ewma_prefers_the_faster_endpoint_and_notices_when_it_slows_down() {
    let endpoints = endpoints(&[1, 1, 1]);
    let upstream = upstream(Policy::PeakEwma { decay: Policy::EWMA_DECAY }, &endpoints);
    let mut rng = fastrand::Rng::with_seed(5);
    let mut run = |start: u64, slow: usize| {
        let mut counts = [0; 3];
        for step in 0..3_000 {
            let now = Moment::from_ms(start + step * 10);
            let lease = upstream.pick(&Ask { now, ..ask() }, &mut rng).unwrap();
            let at = place(&endpoints, &lease);
            counts[at] += 1;
            let latency = if at == slow { Duration::from_millis(200) } else { Duration::from_millis(5) };
            lease.succeed(now, latency);
        }
        counts
    };
    let first = run(1_000_000, 0);
    assert!(first[0] < 150 && first[1] > 1_000 && first[2] > 1_000, "{first:?}");
    let second = run(1_060_000, 1);
    assert!(second[1] < 150 && second[0] > 1_000, "{second:?}");
}

#[test]
fn peak_ewma_weighs_latency_by_the_requests_in_flight() {
    let endpoints = endpoints(&[1, 1]);
    let upstream = upstream(Policy::PeakEwma { decay: Policy::EWMA_DECAY }, &endpoints);
    let mut rng = fastrand::Rng::with_seed(5);
    for _ in 0..20 {
        let lease = upstream.pick(&ask(), &mut rng).unwrap();
        let latency = if place(&endpoints, &lease) == 0 { 10 } else { 40 };
        lease.succeed(NOW, Duration::from_millis(latency));
    }
    let leases: Vec<Lease> = (0..50).map(|_| upstream.pick(&ask(), &mut rng).unwrap()).collect();
    let fast = leases.iter().filter(|lease| place(&endpoints, lease) == 0).count();
    assert!((39..=41).contains(&fast), "{fast}");
}

#[test]
fn a_removed_endpoint_takes_only_its_own_keys_along() {
    for weights in [&[1; 8][..], &[1, 2, 3, 1, 2, 3, 1, 2]] {
        let endpoints = endpoints(weights);
        let upstream = upstream(Policy::Hash { bound: Policy::HASH_BOUND }, &endpoints);
        let mut rng = fastrand::Rng::with_seed(2);
        let mut homes = || -> Vec<usize> {
            (0..20_000).map(|key| place(&endpoints, &upstream.pick(&keyed(key), &mut rng).unwrap())).collect()
        };
        let before = homes();
        upstream
            .set_endpoints(endpoints.iter().filter(|one| one.id() != endpoints[3].id()).cloned().collect());
        let without = homes();
        let moved = before.iter().zip(&without).filter(|(before, after)| before != after).count();
        assert_eq!(moved, before.iter().filter(|&&home| home == 3).count());
        upstream.set_endpoints(endpoints.clone());
        assert_eq!(homes(), before);
    }
}

#[test]
fn an_ejected_or_drained_endpoint_gets_its_keys_back() {
    let endpoints = endpoints(&[1, 1, 1, 1]);
    let upstream = upstream(Policy::Hash { bound: Policy::HASH_BOUND }, &endpoints);
    let mut rng = fastrand::Rng::with_seed(2);
    let mut home = |key| place(&endpoints, &upstream.pick(&keyed(key), &mut rng).unwrap());
    let before: Vec<usize> = (0..1_000).map(&mut home).collect();
    endpoints[1].drain(true, NOW);
    for (key, &home_before) in (0..).zip(&before) {
        let now = home(key);
        assert!(if home_before == 1 { now != 1 } else { now == home_before });
    }
    endpoints[1].drain(false, NOW);
    assert_eq!((0..1_000).map(&mut home).collect::<Vec<_>>(), before);
}

#[test]
fn keys_are_shared_out_by_weight() {
    let endpoints = endpoints(&[1, 2, 5]);
    let upstream = upstream(Policy::Hash { bound: f64::INFINITY }, &endpoints);
    let mut rng = fastrand::Rng::with_seed(2);
    let mut counts = [0_u32; 3];
    for key in 0..40_000 {
        counts[place(&endpoints, &upstream.pick(&keyed(key), &mut rng).unwrap())] += 1;
    }
    let found: Vec<f64> = counts.iter().map(|&count| f64::from(count) / 40_000.0).collect();
    assert_near(&found, &[0.125, 0.25, 0.625], 0.01);
}

#[test]
fn a_changed_weight_moves_keys_only_to_or_from_that_endpoint() {
    let endpoints = endpoints(&[2, 2, 2, 2]);
    let upstream = upstream(Policy::Hash { bound: f64::INFINITY }, &endpoints);
    let mut rng = fastrand::Rng::with_seed(2);
    let mut homes = || -> Vec<usize> {
        (0..10_000).map(|key| place(&endpoints, &upstream.pick(&keyed(key), &mut rng).unwrap())).collect()
    };
    let before = homes();
    endpoints[2].set_weight(3);
    let after = homes();
    let moved: Vec<_> = before.iter().zip(&after).filter(|(before, after)| before != after).collect();
    assert!(!moved.is_empty() && moved.iter().all(|(_, after)| **after == 2));
}

#[test]
fn no_endpoint_gets_more_than_the_bound_of_its_fair_share() {
    for weights in [[1, 1, 1, 1], [1, 2, 3, 4]] {
        let endpoints = endpoints(&weights);
        let sum: u32 = weights.iter().sum();
        let upstream = upstream(Policy::Hash { bound: 1.25 }, &endpoints);
        let mut rng = fastrand::Rng::with_seed(9);
        let mut leases = Vec::new();
        // Half of all requests are for one key, which an unbounded hash would send to one endpoint.
        for request in 0..400_u64 {
            let key = if request % 2 == 0 { 7 } else { request };
            leases.push(upstream.pick(&keyed(key), &mut rng).unwrap());
            for endpoint in &endpoints {
                let fair = leases.len() as f64 * f64::from(endpoint.weight()) / f64::from(sum);
                assert!(f64::from(endpoint.in_flight()) <= (1.25 * fair).ceil(), "{endpoint:?}");
            }
        }
    }
}

#[test]
fn a_client_stays_at_its_endpoint_whatever_the_load() {
    let endpoints = endpoints(&[1, 1, 1, 1]);
    let upstream = upstream(Policy::Client, &endpoints);
    let mut rng = fastrand::Rng::with_seed(9);
    let leases: Vec<Lease> = (0..100).map(|_| upstream.pick(&keyed(7), &mut rng).unwrap()).collect();
    assert!(leases.iter().all(|lease| lease.endpoint().id() == leases[0].endpoint().id()));
}

#[test]
fn without_a_key_hash_balancing_is_least_requests() {
    let endpoints = endpoints(&[1, 1, 1, 1]);
    let upstream = upstream(Policy::Hash { bound: 1.25 }, &endpoints);
    let mut rng = fastrand::Rng::with_seed(9);
    let _leases: Vec<Lease> = (0..40).map(|_| upstream.pick(&ask(), &mut rng).unwrap()).collect();
    assert!(endpoints.iter().all(|endpoint| endpoint.in_flight() == 10));
}

#[test]
fn the_sticky_cookie_names_the_endpoint_until_that_is_gone() {
    let endpoints = endpoints(&[1, 1, 1]);
    let upstream = upstream(Policy::Sticky, &endpoints);
    let mut rng = fastrand::Rng::with_seed(9);
    let first = upstream.pick(&ask(), &mut rng).unwrap();
    let home = Arc::clone(first.endpoint());
    let cookie = first.cookie().expect("a new client gets a cookie").to_owned();
    assert_eq!(cookie, home.tag());
    let returning = Ask { sticky: Some(cookie.as_bytes()), ..ask() };
    for _ in 0..20 {
        let lease = upstream.pick(&returning, &mut rng).unwrap();
        assert_eq!((lease.endpoint().id(), lease.cookie()), (home.id(), None));
    }
    home.drain(true, NOW);
    let moved = upstream.pick(&returning, &mut rng).unwrap();
    assert_ne!(moved.endpoint().id(), home.id());
    assert_eq!(moved.cookie(), Some(moved.endpoint().tag()));
    let forged = Ask { sticky: Some(b"no such tag"), ..ask() };
    assert!(upstream.pick(&forged, &mut rng).unwrap().cookie().is_some());
}

#[test]
fn tags_are_the_same_after_a_restart() {
    assert_eq!(endpoint(1, 1, false).tag(), endpoint(1, 7, true).tag());
    assert_ne!(endpoint(1, 1, false).tag(), endpoint(2, 1, false).tag());
    assert_eq!(endpoint(1, 1, false).tag().len(), 16);
}

#[test]
fn backups_serve_only_when_no_primary_is_usable() {
    let endpoints = [endpoint(1, 1, false), endpoint(2, 1, false), endpoint(3, 1, true)];
    let upstream = upstream(Policy::LeastRequests, &endpoints);
    let mut rng = fastrand::Rng::with_seed(9);
    let mut pick = |tried: &[EndpointId]| {
        upstream.pick(&Ask { tried, ..ask() }, &mut rng).map(|lease| place(&endpoints, &lease))
    };
    assert!((0..50).all(|_| pick(&[]) != Ok(2)));
    assert_eq!(pick(&[endpoints[0].id(), endpoints[1].id()]), Ok(2));
    endpoints[0].drain(true, NOW);
    assert_eq!(pick(&[]), Ok(1));
    endpoints[1].drain(true, NOW);
    assert_eq!(pick(&[]), Ok(2));
}

#[test]
fn every_reason_for_no_endpoint_has_its_name() {
    let endpoints = [endpoint(1, 1, false), endpoint(2, 0, false)];
    let full = upstream(Policy::LeastRequests, &endpoints);
    let mut rng = fastrand::Rng::with_seed(9);
    let mut pick = |upstream: &Upstream, tried: &[EndpointId]| {
        upstream.pick(&Ask { tried, ..ask() }, &mut rng).map(|_| ())
    };
    assert_eq!(pick(&full, &[]), Ok(()));
    assert_eq!(pick(&full, &[endpoints[0].id()]), Err(NoEndpoint::AllTried));
    endpoints[0].drain(true, NOW);
    assert_eq!(pick(&full, &[]), Err(NoEndpoint::Empty));
    assert_eq!(pick(&upstream(Policy::LeastRequests, &[]), &[]), Err(NoEndpoint::Empty));
}

#[test]
fn a_returned_endpoint_starts_slowly() {
    for policy in [Policy::LeastRequests, Policy::RoundRobin] {
        let endpoints = endpoints(&[1, 1]);
        let settings = Settings { policy, slow_start: Duration::from_secs(10), ..Settings::default() };
        let upstream = Upstream::new(settings, endpoints.clone());
        endpoints[1].drain(true, NOW);
        endpoints[1].drain(false, NOW);
        let at = |ms: u64| {
            let now = NOW.plus(Duration::from_millis(ms));
            shares(&upstream, &endpoints, 20_000, now)[1]
        };
        // A share of w / (1 + w) for a weight w that rises from a tenth to one.
        assert_near(&[at(0), at(5_000), at(10_000)], &[0.0909, 0.3333, 0.5], 0.015);
    }
}

#[test]
fn explain_admits_exactly_those_that_can_be_picked() {
    let endpoints = [
        endpoint(1, 1, false),
        endpoint(2, 0, false),
        endpoint(3, 1, false),
        endpoint(4, 1, false),
        endpoint(5, 1, true),
    ];
    endpoints[2].drain(true, NOW);
    let tried = [endpoints[3].id()];
    let upstream = upstream(Policy::LeastRequests, &endpoints);
    let explained = upstream.explain(&Ask { tried: &tried, ..ask() });
    let verdicts: Vec<_> = explained.into_iter().map(|(_, verdict)| verdict).collect();
    let draining = endpoints[2].state(NOW);
    assert_eq!(
        verdicts,
        [
            Ok(()),
            Err(PassedOver::NoWeight),
            Err(PassedOver::Unusable(draining)),
            Err(PassedOver::Tried),
            Err(PassedOver::BackupIdle),
        ]
    );
}

#[test]
fn every_policy_spreads_many_clients_over_all_endpoints() {
    for policy in [
        Policy::LeastRequests,
        Policy::RoundRobin,
        Policy::PeakEwma { decay: Policy::EWMA_DECAY },
        Policy::Client,
        Policy::Hash { bound: 1.25 },
        Policy::Sticky,
    ] {
        let endpoints = endpoints(&[1; 5]);
        let upstream = upstream(policy, &endpoints);
        let mut rng = fastrand::Rng::with_seed(9);
        let mut counts: HashMap<usize, u32> = HashMap::new();
        for key in 0..5_000 {
            let lease = upstream.pick(&keyed(key), &mut rng).unwrap();
            *counts.entry(place(&endpoints, &lease)).or_default() += 1;
        }
        assert_eq!(counts.len(), 5);
        assert!(counts.values().all(|count| (850..1_150).contains(count)), "{policy:?}: {counts:?}");
    }
}
