//! What a lookup costs in a table of ten routes and in one of ten thousand, as CSV.
//!
//! Both tables are asked for the same ten routes' requests, so that what differs is the table and not
//! the requests. Rounds are interleaved, and a round's order alternates, so that neither table profits
//! from a quieter machine; the figure is the median of the rounds. A third line asks the large table for
//! all of its routes in random order: what the processor's caches cost, which no layout can take away.

use std::hint::black_box;
use std::time::Instant;
use tidegate_traffic::route::{HostPattern, Params, PathPattern, Query, Rule, Table};

const ROUNDS: usize = 41;
const LOOKUPS: usize = 40_000;

/// Routes as an app grows them: per resource an exact path, a parameter, a longer one and a prefix.
fn table(routes: usize) -> Table {
    let rule = |number: usize| {
        let resource = number / 4;
        let path = match number % 4 {
            0 => format!("/api/resource-{resource}"),
            1 => format!("/api/resource-{resource}/{{id}}"),
            2 => format!("/api/resource-{resource}/{{id}}/history"),
            _ => format!("/files/resource-{resource}/*"),
        };
        Rule {
            host: HostPattern::Any,
            path: PathPattern::parse(&path).expect("the pattern is well formed"),
            methods: Vec::new(),
            headers: Vec::new(),
        }
    };
    Table::build((0..routes).map(rule).collect()).expect("no two routes are alike")
}

fn request(number: usize) -> String {
    let resource = number / 4;
    match number % 4 {
        0 => format!("/api/resource-{resource}"),
        1 => format!("/api/resource-{resource}/4711"),
        2 => format!("/api/resource-{resource}/4711/history"),
        _ => format!("/files/resource-{resource}/a/b/c.png"),
    }
}

/// Nanoseconds per lookup.
fn measure(table: &Table, requests: &[String]) -> f64 {
    let header = |_: &str| None;
    let started = Instant::now();
    for request in requests.iter().cycle().take(LOOKUPS) {
        let path = black_box(request.as_bytes());
        let query = Query { host: b"app.example.org", path, method: b"GET", header: &header };
        let found = table.select(&query, &mut Params::new());
        assert!(black_box(found).is_ok());
    }
    started.elapsed().as_nanos() as f64 / LOOKUPS as f64
}

fn median(mut costs: Vec<f64>) -> f64 {
    costs.sort_by(f64::total_cmp);
    costs[costs.len() / 2]
}

fn main() {
    let (small, large) = (table(10), table(10_000));
    let shared: Vec<String> = (0..10).map(request).collect();
    let mut all: Vec<String> = (0..10_000).map(request).collect();
    fastrand::Rng::with_seed(1).shuffle(&mut all);
    let mut costs = [const { Vec::new() }; 3];
    for round in 0..ROUNDS {
        let mut order = [(0, &small, &shared), (1, &large, &shared), (2, &large, &all)];
        if round % 2 == 1 {
            order.reverse();
        }
        for (line, table, requests) in order {
            costs[line].push(measure(table, requests));
        }
    }
    let [small, large, random] = costs.map(median);
    println!("routes,requests,ns_per_lookup,ratio");
    println!("10,the same ten,{small:.1},1.00");
    println!("10000,the same ten,{large:.1},{:.2}", large / small);
    println!("10000,all in random order,{random:.1},{:.2}", random / small);
}
