//! `cargo xtask bench admission`: what a limit and the queue cost a request that they let through.
//!
//! The same proxy in front of the same origin under the same load, with neither, with one and with both. What is looked
//! for is a few parts in a hundred, less than what a machine changes from one second to the next, so each round compares
//! with itself: all setups are started anew, their loads take turns, and what counts is the median of the rounds' ratios.

mod checks;
mod page;
mod picture;

use crate::problem::{OrProblem, Problem};
use crate::setup;

use super::field::Field;
use super::goal;
use super::measure::{CPU, Row, Sample, median};
use super::peer::{Peer, Role};
use super::scene::Scene;
use super::{Plan, build, correctness, keep, machine};

/// Where the result is kept, relative to the root.
const PAGE: &str = "docs/benchmarks/admission.md";
/// The picture of it.
const PICTURE: &str = "docs/pictures/admission.svg";

/// The most CPU time that a request may take with both, over what it takes with neither.
const LIMIT: f64 = 1.03;
/// The setup that the limit is for.
const LIMITED: Setup = Setup::Both;

/// What decides about a request before it goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Setup {
    Neither,
    Limit,
    Queue,
    Both,
    /// The queue that finds the app's concurrency by itself, as it comes.
    Auto,
}

impl Setup {
    const ALL: [Self; 5] = [Self::Neither, Self::Limit, Self::Queue, Self::Both, Self::Auto];

    fn name(self) -> &'static str {
        match self {
            Self::Neither => "neither",
            Self::Limit => "limit",
            Self::Queue => "queue",
            Self::Both => "both",
            Self::Auto => "auto",
        }
    }

    fn about(self) -> &'static str {
        match self {
            Self::Neither => "neither a limit nor a queue",
            Self::Limit => "a limit by client",
            Self::Queue => "a queue with free slots",
            Self::Both => "a limit by client and a queue with free slots",
            Self::Auto => "a limit by client and the queue as it comes",
        }
    }

    /// The file, relative to the root, that says how it is set up.
    fn setup_path(self) -> String {
        format!("bench/peers/admission-{}.toml", self.name())
    }
}

/// What one setup cost.
#[derive(Debug, Clone, PartialEq)]
struct Cost {
    setup: Setup,
    /// CPU time per request, the median of the rounds.
    cpu_us: f64,
    /// Each round's CPU time over that of the same round with neither, from the least: the median, and what half of the
    /// rounds lie between.
    ratios: Vec<f64>,
    ratio: f64,
    quartiles: (f64, f64),
    requests_per_second: f64,
    /// Of all rounds together.
    errors: u64,
}

/// Everything that one run of the bench found out.
#[derive(Debug, Default)]
struct Results {
    costs: Vec<Cost>,
    checks: Option<checks::Measured>,
}

/// Measures, prints the table, and keeps it in the docs when nothing was left out.
pub(crate) fn run(plan: &Plan) -> Result<(), Problem> {
    setup::run(&setup::Options { bench: true })?;
    let own = [Peer::Tidegate];
    let built = build::build(&own)?;
    let scratch = tempfile::tempdir().problem("create a scratch folder")?;
    machine::warn_when_busy();

    let field = Field::new(Role::Proxy, plan, &built, scratch.path())?;
    let mut results = Results { costs: costs(&field)?, checks: None };
    results.checks = Some(checks::measure()?);

    println!("\n{}{}", goal::table(&page::goals(&results)), page::tables(&results));
    if plan.whole {
        let version = Peer::Tidegate.version(&built)?;
        keep(&[(PAGE, page::page(&results, plan, &version)), (PICTURE, picture::draw(&results))])?;
    } else {
        println!("{PAGE} is left as it is: it takes fifteen rounds of three seconds to write it");
    }
    match results.costs.iter().map(|cost| cost.errors).sum() {
        0 => Ok(()),
        errors => Err(Problem::new(format!("{errors} requests failed")).help("see the errors column above")),
    }
}

/// All setups, all rounds. Each round starts all of them anew: where a process happens to lie in memory makes it cheaper or
/// dearer by more than what is looked for, for as long as it lives.
fn costs(field: &Field<'_>) -> Result<Vec<Cost>, Problem> {
    let mut all: Vec<Vec<Sample>> = vec![Vec::new(); Setup::ALL.len()];
    println!("\n{}", Scene::Small64.about());
    for round in 1..=field.plan.rounds {
        let start = |setup: Setup| {
            let path = setup.setup_path();
            let running =
                Peer::Tidegate.start_as(setup.name(), &path, field.built, field.origin, field.scratch)?;
            correctness::check(running.port)
                .map_err(|problem| Problem::new(format!("{}: {problem}", setup.about())))?;
            Ok(running)
        };
        let servers = Setup::ALL.into_iter().map(start).collect::<Result<Vec<_>, Problem>>()?;
        let samples = field.round(Scene::Small64, &servers.iter().collect::<Vec<_>>())?;
        let shown = Setup::ALL.iter().zip(&samples);
        let shown: Vec<_> =
            shown.map(|(setup, sample)| format!("{} {:.3}", setup.name(), sample.cpu_us)).collect();
        println!("  round {round:2}, µs CPU per request: {}", shown.join(", "));
        all.iter_mut().zip(samples).for_each(|(all, sample)| all.push(sample));
    }
    let rows: Vec<Row> = all.into_iter().filter_map(|samples| Row::new(Peer::Tidegate, samples)).collect();
    Ok(Setup::ALL.iter().zip(&rows).filter_map(|(setup, row)| cost(*setup, row, &rows[0])).collect())
}

/// What a setup cost, against the same rounds of what it is compared with.
fn cost(setup: Setup, row: &Row, base: &Row) -> Option<Cost> {
    let ratios = row.ratios(base, CPU);
    let quarter = ratios.len() / 4;
    Some(Cost {
        setup,
        cpu_us: row.cpu_us,
        ratio: median(ratios.iter().copied())?,
        quartiles: (ratios[quarter], ratios[ratios.len() - 1 - quarter]),
        ratios,
        requests_per_second: row.requests_per_second,
        errors: row.errors,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shell;

    #[test]
    fn a_cost_is_the_middle_of_what_its_rounds_say() {
        let row = |rounds: [f64; 5]| {
            let sample = |cpu_us| Sample { cpu_us, requests_per_second: 5.0, busy: 1.0, errors: 1 };
            Row::new(Peer::Tidegate, rounds.map(sample).to_vec()).expect("rounds")
        };
        // The machine became twice as slow, which is nothing that a setup costs.
        let base = [8.0, 16.0, 8.0, 16.0, 8.0];
        let cost = cost(Setup::Both, &row(base.map(|base| base * 1.02)), &row(base)).expect("rounds");
        assert!((cost.ratio - 1.02).abs() < 1e-9 && (cost.quartiles.1 - cost.quartiles.0).abs() < 1e-9);
        assert_eq!((cost.cpu_us, cost.errors), (8.0 * 1.02, 5));
    }

    #[test]
    fn every_setup_is_a_file_of_the_repository() {
        for setup in Setup::ALL {
            assert!(shell::root().join(setup.setup_path()).is_file(), "{}", setup.setup_path());
        }
    }
}
