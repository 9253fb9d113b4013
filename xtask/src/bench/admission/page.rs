//! The result as Markdown: goals, the table, and how it was measured.

use std::fmt::Write;

use super::super::goal::{self, Goal};
use super::super::machine;
use super::super::process::{LOAD_CORE, SERVER_CORE};
use super::super::turns;
use super::{LIMIT, LIMITED, Plan, Results, Setup};

/// The whole page.
pub(super) fn page(results: &Results, plan: &Plan, version: &str) -> String {
    let mut text = String::from("# What limits and the queue cost\n\n");
    text += "Written by `cargo xtask bench admission`. Do not edit: run it again.\n\n";
    text += "![CPU time per request with limits and the queue against neither, and the limiter's memory against its bound]";
    text += "(../pictures/admission.svg)\n\n";
    text += &goal::table(&goals(results));
    text += &tables(results);
    text += &method(plan.rounds, plan.seconds);
    text += &machine::look().section();
    let _ = writeln!(text, "## The setups\n\nTidegate {version} with\n");
    for setup in Setup::ALL {
        let path = setup.setup_path();
        let _ = writeln!(text, "- {}: [{path}](../../{path})", setup.about());
    }
    text
}

/// All promises for admission.
pub(super) fn goals(results: &Results) -> Vec<Goal> {
    let both = results.costs.iter().find(|cost| cost.setup == LIMITED);
    let checks = results.checks;
    vec![
        Goal::at_most(
            "CPU per request: a limit and a free slot / neither",
            LIMIT,
            both.map(|cost| cost.ratio),
        ),
        Goal::at_most(
            "10 million distinct keys: memory of the limiter / its bound",
            1.0,
            checks.map(|checks| checks.taken_bytes / checks.bound_bytes),
        ),
    ]
}

/// Everything that was measured.
pub(super) fn tables(results: &Results) -> String {
    let mut text = String::from("## A proxied request of 1 KiB, 64 connections\n\n");
    text += "| Tidegate with | CPU µs per request | / neither | half of the rounds | requests/s | errors |\n";
    text += "| --- | ---: | ---: | ---: | ---: | ---: |\n";
    for cost in &results.costs {
        let _ = writeln!(
            text,
            "| {} | {:.3} | {:.3} | {:.3} to {:.3} | {:.0} | {} |",
            cost.setup.about(),
            cost.cpu_us,
            cost.ratio,
            cost.quartiles.0,
            cost.quartiles.1,
            cost.requests_per_second,
            cost.errors
        );
    }
    text.push('\n');
    if let Some(checks) = results.checks {
        text += "## A check by itself\n\n| | ns |\n| --- | ---: |\n";
        let rows = [
            ("a limit that lets the request through", checks.limit_ns),
            ("the same, of a million clients in turn", checks.limit_cold_ns),
        ];
        for (what, ns) in rows {
            let _ = writeln!(text, "| {what} | {ns:.1} |");
        }
        let mib = |bytes: f64| bytes / f64::from(1 << 20);
        let _ = writeln!(
            text,
            "\nAfter {:.0} distinct keys the limiter holds {:.1} MiB; it may hold {:.1} MiB. The whole \
             process holds {:.1} MiB.\n",
            checks.keys,
            mib(checks.taken_bytes),
            mib(checks.bound_bytes),
            mib(checks.resident_bytes)
        );
    }
    text
}

fn method(rounds: u32, seconds: u32) -> String {
    let turns = turns::TOLD;
    format!(
        "## How it was measured\n
The proxy runs on core {SERVER_CORE}, with one thread; the load generator (`wrk`, one thread) and the origin
([bench/origin](../../bench/origin/src/main.rs)) share core {LOAD_CORE}. Each of {rounds} rounds starts all setups
anew and loads each for {seconds} seconds. `/ neither` is the median over the rounds of a setup's CPU time over that of the
same round with neither; half of the rounds lie within the range beside it.

{turns}
- Before anything is timed, every setup has to pass on bodies of both directions byte by byte. While it is timed, every
  answer with another status than 200 is an error, so a limit that refused or a queue that shed would be seen.
- CPU per request is the user and system time that the kernel accounts to the proxy, divided by the requests answered.
- A check by itself is measured by [traffic/examples/limit_cost.rs](../../traffic/examples/limit_cost.rs).

"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::admission::{Cost, checks};

    fn results() -> Results {
        let cost = |setup, ratio: f64| Cost {
            setup,
            cpu_us: 8.0 * ratio,
            ratio,
            ratios: vec![ratio],
            quartiles: (ratio - 0.004, ratio + 0.004),
            requests_per_second: 60_000.0,
            errors: 0,
        };
        let checks = checks::Measured {
            limit_ns: 30.0,
            limit_cold_ns: 100.0,
            keys: 1e7,
            bound_bytes: f64::from(64 << 20),
            taken_bytes: f64::from(65 << 20),
            resident_bytes: f64::from(70 << 20),
        };
        Results { costs: vec![cost(Setup::Neither, 1.0), cost(Setup::Both, 1.021)], checks: Some(checks) }
    }

    #[test]
    fn goals_and_figures_are_shown() {
        let goals = goal::table(&goals(&results()));
        assert!(goals.contains("| ≤ 1.03 | 1.02 | reached |"), "{goals}");
        assert!(goals.contains("| ≤ 1.00 | 1.02 | missed |"), "{goals}");
        let text = tables(&results());
        let row =
            "| a limit by client and a queue with free slots | 8.168 | 1.021 | 1.017 to 1.025 | 60000 | 0 |";
        assert!(text.contains(row), "{text}");
        assert!(
            text.contains("After 10000000 distinct keys the limiter holds 65.0 MiB; it may hold 64.0 MiB.")
        );
    }
}
