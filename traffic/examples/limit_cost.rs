//! What the check of one limit costs, and what ten million keys take in memory, as CSV.
//!
//! Rounds alternate between one key, whose bucket stays in the processor's caches, and a million in turn, whose buckets
//! do not; the figures are the medians of the rounds. The limit never refuses: a request that is let through is what
//! every request pays for.

use std::hint::black_box;
use std::time::{Duration, Instant};

use tidegate_traffic::limit::{Check, Limit, Rule, Settings, Store};
use tidegate_traffic::moment::Moment;

/// What the limiter may take: the default of `limit_memory`.
const MEMORY_BYTES: u64 = 64 << 20;
const ROUNDS: usize = 21;
const CHECKS: usize = 100_000;
const CLIENTS: u64 = 1_000_000;
const KEYS: u64 = 10_000_000;

fn main() {
    let store = Store::new(MEMORY_BYTES, 0x5eed);
    let rule = Rule::new(10_000_000, Duration::from_secs(1), 10_000_000);
    let limit = store.limit(Settings { rule, ..Settings::default() });
    let mut clock = 0;
    let (mut one, mut many) = (Vec::new(), Vec::new());
    let mut client = 0;
    for _ in 0..ROUNDS {
        one.push(measure(&store, &limit, &mut clock, || 7));
        many.push(measure(&store, &limit, &mut clock, || {
            // A step that has no divisor in common with the number visits all of them, neighbours far apart.
            client = (client + 611_953) % CLIENTS;
            client
        }));
    }
    // One request per minute each, so that every bucket is in use when the next key comes.
    let slow = Rule::new(1, Duration::from_mins(1), 1);
    let slow = store.limit(Settings { rule: slow, ..Settings::default() });
    for key in 0..KEYS {
        check(&store, &slow, &mut clock, key);
    }
    println!("what,value");
    println!("limit_ns,{:.1}", median(one));
    println!("limit_cold_ns,{:.1}", median(many));
    println!("keys,{KEYS}");
    println!("bound_bytes,{MEMORY_BYTES}");
    println!("taken_bytes,{}", store.usage().memory_bytes);
    println!("resident_bytes,{}", resident_bytes());
}

/// Nanoseconds per check.
fn measure(store: &Store, limit: &Limit, clock: &mut u64, mut client: impl FnMut() -> u64) -> f64 {
    let begun = Instant::now();
    for _ in 0..CHECKS {
        check(store, limit, clock, black_box(client()));
    }
    begun.elapsed().as_nanos() as f64 / CHECKS as f64
}

/// What a request does: makes its key, and is checked. Its time is one that was read anyway; here each comes 100 ns later.
fn check(store: &Store, limit: &Limit, clock: &mut u64, client: u64) {
    *clock += 100;
    let key = limit.key(&client.to_be_bytes());
    black_box(store.check(Moment(*clock), &[Check { limit, key, cost: 1 }], false));
}

fn median(mut costs: Vec<f64>) -> f64 {
    costs.sort_by(f64::total_cmp);
    costs[costs.len() / 2]
}

/// What the whole process holds, the program itself included; 0 where the system does not say.
fn resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or(0) * 1024
}
