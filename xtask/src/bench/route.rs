//! `cargo xtask bench route`: finding a route has to cost the same with ten routes and with ten thousand.
//!
//! The measuring is done by an example of the traffic crate, next to the code that it measures; it prints a table in CSV
//! with the columns `routes`, `requests` (which routes are asked for) and `ns_per_lookup`.

use crate::problem::{OrProblem, Problem};
use crate::shell;

/// How much dearer 10,000 routes may be than 10.
pub(crate) const LARGEST_RATIO: f64 = 1.10;

/// Runs the measurement and prints its table; fails when a large table costs more than it may.
pub(crate) fn run() -> Result<(), Problem> {
    let costs = measure()?;
    println!("{:>8}  {:>12}  asked for", "routes", "ns a lookup");
    for cost in &costs {
        println!("{:>8}  {:>12.1}  {}", cost.routes, cost.ns, cost.requests);
    }
    let ratio = ratio(&costs).ok_or_else(|| Problem::new("route_cost measured no 10 or no 10000 routes"))?;
    println!("10,000 routes cost {ratio:.2} of 10 (goal: {LARGEST_RATIO:.2} or less)");
    if ratio <= LARGEST_RATIO {
        return Ok(());
    }
    Err(Problem::new(format!("10,000 routes cost {ratio:.2} of 10")).help("run it again on an idle machine"))
}

/// What one lookup costs in a table of one size.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Cost {
    pub(crate) routes: u64,
    /// Which of them are asked for.
    pub(crate) requests: String,
    pub(crate) ns: f64,
}

/// Builds and runs the measurement.
pub(crate) fn measure() -> Result<Vec<Cost>, Problem> {
    println!("measuring the cost of routes");
    let mut command = shell::cargo();
    command.args(["run", "--quiet", "--release", "--package", "tidegate-traffic", "--example", "route_cost"]);
    let output = shell::capture(&mut command)?;
    let text = String::from_utf8(output.stdout).problem("read what route_cost says")?;
    read(&text)
        .ok_or_else(|| Problem::new(format!("route_cost printed another table than expected:\n{text}")))
}

/// How much dearer 10,000 routes are than 10 for the same requests.
pub(crate) fn ratio(costs: &[Cost]) -> Option<f64> {
    let few = costs.iter().find(|cost| cost.routes == 10)?;
    let many = costs.iter().find(|cost| cost.routes == 10_000 && cost.requests == few.requests)?;
    Some(many.ns / few.ns)
}

/// Reads the table by the names of its columns.
fn read(csv: &str) -> Option<Vec<Cost>> {
    let mut lines = csv.lines().map(|line| line.split(',').map(str::trim).collect::<Vec<_>>());
    let names = lines.next()?;
    let column = |name: &str| names.iter().position(|at| *at == name);
    let (routes, requests, ns) = (column("routes")?, column("requests")?, column("ns_per_lookup")?);
    lines
        .map(|line| {
            Some(Cost {
                routes: line.get(routes)?.parse().ok()?,
                requests: (*line.get(requests)?).to_owned(),
                ns: line.get(ns)?.parse().ok()?,
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn costs_are_read_by_column_and_compared_for_the_same_requests() {
        let text = "routes,requests,ns_per_lookup,ratio\n10,the same,40.0,1\n10000,all,90,2\n10000,the same,42.0,1\n";
        let costs = read(text).expect("a table");
        assert_eq!(costs.len(), 3);
        assert_eq!(ratio(&costs), Some(1.05));
        assert_eq!(ratio(&costs[1..]), None);
    }

    #[test]
    fn another_table_is_told_from_this_one() {
        assert_eq!(read("size,cost\n10,40\n"), None);
        assert_eq!(read("routes,requests,ns_per_lookup\n10,x,fast\n"), None);
    }
}
