//! `cargo xtask bench route`: finding a route has to cost the same with ten routes and with ten thousand.
//!
//! The measuring is done by an example of the traffic crate, next to the code that it measures; it prints one line
//! `routes,ns_per_lookup` per table size.

use crate::problem::{OrProblem, Problem};
use crate::shell;

/// How much dearer 10,000 routes may be than 10.
pub(crate) const LARGEST_RATIO: f64 = 1.10;

/// Runs the measurement and prints its table; fails when a large table costs more than it may.
pub(crate) fn run() -> Result<(), Problem> {
    let costs = measure()?;
    println!("{:>8}  {:>12}", "routes", "ns per look");
    for cost in &costs {
        println!("{:>8}  {:>12.1}", cost.routes, cost.ns);
    }
    let ratio = ratio(&costs).ok_or_else(|| Problem::new("route_cost measured no 10 or no 10000 routes"))?;
    println!("10,000 routes cost {ratio:.2} of 10 (goal: {LARGEST_RATIO:.2} or less)");
    if ratio <= LARGEST_RATIO {
        return Ok(());
    }
    Err(Problem::new(format!("10,000 routes cost {ratio:.2} of 10")).help("run it again on an idle machine"))
}

/// What one lookup costs in a table of one size.
#[derive(Debug, PartialEq)]
pub(crate) struct Cost {
    pub(crate) routes: u64,
    pub(crate) ns: f64,
}

/// Builds and runs the measurement.
pub(crate) fn measure() -> Result<Vec<Cost>, Problem> {
    println!("measuring the cost of routes");
    let mut command = shell::cargo();
    command.args(["run", "--quiet", "--release", "--package", "tidegate-traffic", "--example", "route_cost"]);
    let output = shell::capture(&mut command)?;
    let text = String::from_utf8(output.stdout).problem("read what route_cost says")?;
    let costs = read(&text);
    if costs.is_empty() {
        return Err(Problem::new(format!("route_cost printed no `routes,ns_per_lookup` lines:\n{text}")));
    }
    Ok(costs)
}

/// How much dearer 10,000 routes are than 10.
pub(crate) fn ratio(costs: &[Cost]) -> Option<f64> {
    let ns = |routes: u64| costs.iter().find(|cost| cost.routes == routes).map(|cost| cost.ns);
    Some(ns(10_000)? / ns(10)?)
}

fn read(text: &str) -> Vec<Cost> {
    let lines = text.lines().filter_map(|line| {
        let (routes, ns) = line.split_once(',')?;
        Some(Cost { routes: routes.trim().parse().ok()?, ns: ns.trim().parse().ok()? })
    });
    lines.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn costs_are_read_and_compared() {
        let costs = read("routes,ns_per_lookup\n10,40.0\n1000,41\n10000,42.0\n");
        assert_eq!(costs.len(), 3);
        assert_eq!(ratio(&costs), Some(1.05));
        assert_eq!(ratio(&costs[1..]), None);
    }
}
