//! `cargo xtask bench overload`: an app with a few slots is asked for three times what it can do.
//!
//! Four questions. How much of what the app can do reaches people in time, with each peer in front of it? Does the class
//! of requests that matters get through? Does one greedy tenant hurt the others? Does anybody notice when the app is away
//! for a moment?

mod ask;
mod down;
mod fairness;
mod front;
mod page;
mod picture;

use std::path::Path;

use crate::problem::{OrProblem, Problem};
use crate::setup;

use super::build::{self, Built};
use super::goal;
use super::{Plan, keep, machine, readme};
use ask::{Pace, Report, Scenario, Step, TIMEOUT_S};
use front::{App, CAPACITY, Front, SLOTS};

/// Where the result is kept, relative to the root.
const PAGE: &str = "docs/benchmarks/overload.md";
/// The picture of it.
const PICTURE: &str = "docs/pictures/overload.svg";

/// How much more is asked than the app can do.
const TIMES: u32 = 3;
/// The load without overload, as a share of what the app can do.
const LIGHT: f64 = 0.3;

/// What the app can do when nobody overloads it, without anything in front of it.
#[derive(Debug, Clone, Copy)]
struct Alone {
    /// Answers per second in a closed loop with as many users as slots.
    peak: f64,
    /// Of a light load.
    p50_ms: f64,
    p99_ms: f64,
}

/// Everything that one run of the bench found out.
struct Results {
    seconds: u32,
    alone: Alone,
    fronts: Vec<(Front, Report)>,
    fairness: Vec<fairness::Shared>,
    down: Option<down::Held>,
}

/// Measures, prints the tables, and keeps them in the docs when nothing was left out.
pub(crate) fn run(plan: &Plan) -> Result<(), Problem> {
    setup::run(&setup::Options { bench: true })?;
    let built = build::build(&plan.peers)?;
    let scratch = tempfile::tempdir().problem("create a scratch folder")?;
    let scratch = scratch.path();
    machine::warn_when_busy();

    let own = plan.peers.contains(&super::peer::Peer::Tidegate);
    let results = Results {
        seconds: plan.seconds,
        alone: alone(plan, &built, scratch)?,
        fronts: overload(plan, &built, scratch)?,
        fairness: own
            .then(|| fairness::measure(plan.seconds, &built, scratch))
            .transpose()?
            .unwrap_or_default(),
        down: own.then(|| down::measure(plan.seconds, &built, scratch)).transpose()?,
    };
    println!("\n{}{}", goal::table(&page::goals(&results)), page::tables(&results));
    if !plan.whole {
        println!("{PAGE} is left as it is: it takes all peers and {} seconds to write it", 60);
        return Ok(());
    }
    keep(&[(PAGE, page::page(&results, plan, &built)?), (PICTURE, picture::draw(&results))])?;
    readme::fill("overload", &page::short(&results))?;
    println!("README.md is written");
    Ok(())
}

/// What the app does without anything in front of it.
fn alone(plan: &Plan, built: &Built, scratch: &Path) -> Result<Alone, Problem> {
    let app = App::start(built, scratch)?;
    let seconds = (plan.seconds / 6).clamp(2, 10);
    let scenario = |name, pace| {
        let steps = Step::mixture();
        Scenario { name, seconds, pace, steps, grace_s: 1 }
    };
    let peak = scenario("peak", Pace::Closed(SLOTS)).ask(app.port, built, scratch)?;
    let light = Pace::Open((f64::from(CAPACITY) * LIGHT) as u32);
    let light = scenario("light", light).ask(app.port, built, scratch)?;
    for (what, report) in [("at its peak", &peak), ("under a light load", &light)] {
        if report.succeeded != report.requests {
            let failed = report.requests - report.succeeded;
            return Err(Problem::new(format!("the app alone failed {failed} requests {what}")));
        }
    }
    let (p50_ms, p99_ms) = (light.response.p50_ms, light.response.p99_ms);
    let alone = Alone { peak: peak.achieved_rate, p50_ms, p99_ms };
    println!("the app alone: {:.0}/s at its peak, p99 {p99_ms:.1} ms under a light load", alone.peak);
    Ok(alone)
}

/// Three times of what it can do, with each of the peers in front of it.
fn overload(plan: &Plan, built: &Built, scratch: &Path) -> Result<Vec<(Front, Report)>, Problem> {
    let scenario = Scenario {
        name: "overload",
        seconds: plan.seconds,
        pace: Pace::Open(TIMES * CAPACITY),
        steps: Step::mixture(),
        grace_s: (plan.seconds / 4).clamp(1, TIMEOUT_S),
    };
    println!("\n{} requests per second for {} s", TIMES * CAPACITY, plan.seconds);
    let mut reports = Vec::new();
    for front in Front::ALL.into_iter().filter(|front| plan.peers.contains(&front.peer())) {
        // A new app each time: what the last one has not worked off is nothing to this one.
        let app = App::start(built, scratch)?;
        let setup = front.setup_path();
        let running = front::start(front.peer(), front.name(), setup, built, &app, scratch)?;
        let report = scenario.ask(running.port, built, scratch)?;
        println!(
            "  {:22} {:4.0}/s in time, {:5.1} % of critical, p99 {:5.0} ms, {:4.1} % refused",
            front.name(),
            report.achieved_rate,
            report.success("critical").unwrap_or(0.0) * 100.0,
            report.of_admitted().unwrap_or_default().p99_ms,
            report.refused() as f64 / report.requests.max(1) as f64 * 100.0
        );
        reports.push((front, report));
    }
    Ok(reports)
}
