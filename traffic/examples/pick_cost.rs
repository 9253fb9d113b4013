//! What one pick with its verdict costs under each policy, by the number of endpoints, as CSV.
//!
//! `pick_ns` is a pick and the drop of its lease, `whole_ns` adds what a request pays besides: the
//! deposit into the retry budget and the verdict. Medians of several rounds on one thread.

use std::hint::black_box;
use std::time::{Duration, Instant};
use tidegate_traffic::Moment;
use tidegate_traffic::balance::{Policy, hash_key};
use tidegate_traffic::endpoint::Endpoint;
use tidegate_traffic::upstream::{Ask, Settings, Upstream};

const ROUNDS: usize = 11;
const PICKS: u64 = 100_000;

fn upstream(policy: Policy, endpoints: usize) -> Upstream {
    let address = |number| format!("10.0.0.{number}:80").parse().expect("the address is well formed");
    let endpoints = (0..endpoints).map(|number| Endpoint::new(address(number), 1, false)).collect();
    Upstream::new(Settings { policy, ..Settings::default() }, endpoints)
}

/// Nanoseconds per pick, with or without the rest of a request.
fn measure(upstream: &Upstream, whole: bool) -> f64 {
    let mut rng = fastrand::Rng::with_seed(1);
    let keys: Vec<u64> = (0..1_024_u64).map(|key| hash_key(&key.to_le_bytes())).collect();
    let started = Instant::now();
    for request in 0..PICKS {
        let now = Moment::from_ms(1_000_000 + request / 100);
        let ask = Ask { now, key: Some(keys[request as usize % keys.len()]), ..Ask::default() };
        if whole {
            upstream.retry_budget().deposit(now);
        }
        let lease = upstream.pick(black_box(&ask), &mut rng).expect("all endpoints are up");
        if whole {
            let change = lease.succeed(now, Duration::from_millis(3));
            assert!(change.is_none());
        }
        black_box(lease);
    }
    started.elapsed().as_nanos() as f64 / PICKS as f64
}

fn median(mut costs: Vec<f64>) -> f64 {
    costs.sort_by(f64::total_cmp);
    costs[costs.len() / 2]
}

fn main() {
    println!("policy,endpoints,pick_ns,whole_ns");
    for policy in [
        Policy::LeastRequests,
        Policy::RoundRobin,
        Policy::PeakEwma { decay: Policy::EWMA_DECAY },
        Policy::Client,
        Policy::Hash { bound: Policy::HASH_BOUND },
        Policy::Sticky,
    ] {
        for endpoints in [4, 32] {
            let upstream = upstream(policy, endpoints);
            let cost = |whole| median((0..ROUNDS).map(|_| measure(&upstream, whole)).collect());
            println!("{},{endpoints},{:.1},{:.1}", policy.code(), cost(false), cost(true));
        }
    }
}
