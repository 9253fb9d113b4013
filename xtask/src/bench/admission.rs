//! `cargo xtask bench admission`: what a limit and the queue cost a request that they let through.
//!
//! The same proxy in front of the same origin under the same load, with neither, with one and with both. What is looked
//! for is a few parts in a hundred, less than what a machine changes from one minute to the next, so each round compares
//! with itself: all setups are measured within it, in an order that turns around each time, and what counts is the median
//! of the rounds' ratios.

mod checks;
mod page;
mod picture;

use crate::problem::{OrProblem, Problem};
use crate::setup;

use super::field::Field;
use super::goal;
use super::measure::{Sample, median};
use super::peer::{Peer, Role, Running};
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
    p99_us: f64,
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

/// All setups, all rounds.
fn costs(field: &Field<'_>) -> Result<Vec<Cost>, Problem> {
    let mut runners: Vec<(Setup, Running, Vec<Sample>)> = Vec::new();
    for setup in Setup::ALL {
        let (path, origin) = (setup.setup_path(), field.origin);
        let running = Peer::Tidegate.start_as(setup.name(), &path, field.built, origin, field.scratch)?;
        correctness::check(running.port)
            .map_err(|problem| Problem::new(format!("{}: {problem}", setup.about())))?;
        field.sample(&running, &field.load(Scene::Small64, &running))?;
        runners.push((setup, running, Vec::new()));
    }
    println!("\n{}", Scene::Small64.about());
    for round in 1..=field.plan.rounds {
        let (turns, count) = (turns(runners.len(), round), runners.len());
        let mut shown = vec![String::new(); count];
        for at in turns {
            let (setup, running, samples) = &mut runners[at];
            let sample = field.sample(running, &field.load(Scene::Small64, running))?;
            shown[at] = format!("{} {:.3}", setup.name(), sample.cpu_us);
            samples.push(sample);
        }
        println!("  round {round:2}, µs CPU per request: {}", shown.join(", "));
    }
    let base: Vec<f64> = runners[0].2.iter().map(|sample| sample.cpu_us).collect();
    Ok(runners.iter().filter_map(|(setup, _, samples)| cost(*setup, samples, &base)).collect())
}

/// The order of a round: the other way round each time, so that none is always the first after a pause.
fn turns(count: usize, round: u32) -> Vec<usize> {
    if round.is_multiple_of(2) { (0..count).rev().collect() } else { (0..count).collect() }
}

/// What a setup cost, against the same rounds of what it is compared with; none when there was no round.
fn cost(setup: Setup, samples: &[Sample], base: &[f64]) -> Option<Cost> {
    let of = |value: fn(&Sample) -> f64| median(samples.iter().map(value));
    let mut ratios: Vec<f64> = samples.iter().zip(base).map(|(sample, base)| sample.cpu_us / base).collect();
    ratios.sort_by(f64::total_cmp);
    let quarter = ratios.len() / 4;
    Some(Cost {
        setup,
        cpu_us: of(|sample| sample.cpu_us)?,
        ratio: median(ratios.iter().copied())?,
        quartiles: (ratios[quarter], ratios[ratios.len() - 1 - quarter]),
        ratios,
        requests_per_second: of(|sample| sample.report.requests_per_second)?,
        p99_us: of(|sample| sample.report.p99_us)?,
        errors: samples.iter().map(|sample| sample.report.errors).sum(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::generator::Report;
    use crate::shell;

    fn sample(cpu_us: f64) -> Sample {
        let report = Report { requests: 10, errors: 1, requests_per_second: 5.0, ..Report::default() };
        Sample { report, cpu_us, busy: 1.0 }
    }

    #[test]
    fn a_round_is_compared_with_itself() {
        // The machine became twice as slow, which is nothing that a setup costs.
        let base = [8.0, 16.0, 8.0, 16.0, 8.0];
        let samples: Vec<Sample> = base.iter().map(|base| sample(base * 1.02)).collect();
        let cost = cost(Setup::Both, &samples, &base).expect("rounds");
        assert!((cost.ratio - 1.02).abs() < 1e-9 && (cost.quartiles.1 - cost.quartiles.0).abs() < 1e-9);
        assert_eq!((cost.cpu_us, cost.errors), (8.0 * 1.02, 5));
        assert_eq!(super::cost(Setup::Both, &[], &[]), None);
    }

    #[test]
    fn rounds_turn_around() {
        assert_eq!((turns(3, 1), turns(3, 2)), (vec![0, 1, 2], vec![2, 1, 0]));
    }

    #[test]
    fn every_setup_is_a_file_of_the_repository() {
        for setup in Setup::ALL {
            assert!(shell::root().join(setup.setup_path()).is_file(), "{}", setup.setup_path());
        }
    }
}
