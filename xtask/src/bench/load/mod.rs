//! `cargo xtask bench load`: `tidegate load` beside the load generators that people use, in front of one origin.
//!
//! Four questions. How much load does a core make (closed model at full speed, the generator alone on its core)? How
//! exactly does it keep a schedule? Does it tell the truth about a server that froze? How many WebSockets does it hold,
//! and in how much memory?

mod oracle;
mod page;
mod schedule;
mod sockets;

use std::path::Path;

use crate::problem::{OrProblem, Problem};
use crate::setup;

use super::build::{self, Built};
use super::generator::{Generator, Load};
use super::measure::median;
use super::peer::Peer;
use super::process::{Process, free_port, pinned};
use super::scene::Scene;
use super::{Plan, correctness, keep, machine, procfs};

/// Where the result is kept, relative to the root.
const PAGE: &str = "docs/benchmarks/load.md";

/// The origin's core: what the proxies have in the bench of proxies.
const ORIGIN_CORE: u32 = super::process::SERVER_CORE;
/// The generator's core, its own.
const GENERATOR_CORE: u32 = super::process::LOAD_CORE;

/// What the generators are asked for.
pub(super) const SCENES: [Scene; 5] =
    [Scene::Small1, Scene::Small64, Scene::Small1000, Scene::Large64, Scene::Short64];

/// The medians of one generator in one scene.
struct Row {
    generator: Generator,
    requests_per_second: f64,
    /// CPU time of the generator, user and system, per answered request.
    cpu_us: f64,
    /// The share of its core that the generator used, 0 to 1.
    busy: f64,
    p50_us: f64,
    p99_us: f64,
    /// Of all rounds together.
    errors: u64,
}

/// Everything that one run of the bench found out.
#[derive(Default)]
struct Results {
    scenes: Vec<(Scene, Vec<Row>)>,
    schedule: Option<schedule::Kept>,
    oracle: Vec<oracle::Told>,
    sockets: Option<sockets::Held>,
}

impl Results {
    fn row(&self, scene: Scene, generator: Generator) -> Option<&Row> {
        let (_, rows) = self.scenes.iter().find(|(at, _)| *at == scene)?;
        rows.iter().find(|row| row.generator == generator)
    }
}

/// Measures, prints the tables, and keeps them in the docs when nothing was left out.
pub(crate) fn run(plan: &Plan) -> Result<(), Problem> {
    setup::run(&setup::Options { bench: true })?;
    let built = build::build(&[Peer::Tidegate])?;
    build::oha(&built)?;
    let scratch = tempfile::tempdir().problem("create a scratch folder")?;
    let scratch = scratch.path();
    machine::warn_when_busy();

    let mut results = Results::default();
    {
        let (_origin, port) = start_origin(&built, scratch)?;
        for &scene in SCENES.iter().filter(|scene| plan.scenes.contains(scene)) {
            results.scenes.push((scene, measure(scene, plan, &built, port, scratch)?));
        }
        let reached = results.row(Scene::Small64, Generator::Tidegate).map(|row| row.requests_per_second);
        if let Some(capacity) = reached {
            results.schedule = Some(schedule::keep(capacity, plan, &built, port, scratch)?);
        }
    }
    if plan.whole {
        results.oracle = oracle::ask(&built, scratch)?;
        results.sockets = Some(sockets::hold(&built, scratch)?);
    }

    println!("\n{}{}", page::goals(&results), page::tables(&results));
    if plan.whole {
        keep(&[(PAGE, page::page(&results, plan, &built))])?;
    } else {
        println!("{PAGE} is left as it is: it takes all scenes and five rounds to write it");
    }
    Ok(())
}

/// The origin on a core of its own.
fn start_origin(built: &Built, scratch: &Path) -> Result<(Process, u16), Problem> {
    let port = free_port()?;
    let log = scratch.join("origin.log");
    let mut command = pinned(ORIGIN_CORE, &built.origin)?;
    command.arg(format!("127.0.0.1:{port}"));
    let mut process = Process::start(command, "the origin", &log)?;
    process.wait_for_port(port, &log)?;
    correctness::check(port)?;
    Ok((process, port))
}

fn measure(scene: Scene, plan: &Plan, built: &Built, port: u16, scratch: &Path) -> Result<Vec<Row>, Problem> {
    println!("\n{}", scene.about());
    let load = Load { core: GENERATOR_CORE, ..Load::full(scene.shape(), port, plan.seconds, scratch) };
    let mut samples: Vec<(Generator, Vec<Row>)> =
        Generator::ALL.map(|generator| (generator, Vec::new())).into();
    for round in 1..=plan.rounds {
        for (generator, samples) in &mut samples {
            let row = sample(*generator, &load, built)?;
            println!(
                "  round {round} {:14} {:8.0}/s, {:6.2} µs CPU, core {:3.0} %, {} errors",
                generator.name(),
                row.requests_per_second,
                row.cpu_us,
                row.busy * 100.0,
                row.errors
            );
            samples.push(row);
        }
    }
    Ok(samples.iter().filter_map(|(generator, samples)| middle(*generator, samples)).collect())
}

fn sample(generator: Generator, load: &Load<'_>, built: &Built) -> Result<Row, Problem> {
    let before = procfs::ended_children_cpu_us()?;
    let started = std::time::Instant::now();
    let report = generator.run(load, built)?;
    let wall_us = started.elapsed().as_secs_f64() * 1e6;
    let used = procfs::ended_children_cpu_us()? - before;
    Ok(Row {
        generator,
        requests_per_second: report.requests_per_second,
        cpu_us: used / report.requests.max(1) as f64,
        busy: used / wall_us,
        p50_us: report.p50_us,
        p99_us: report.p99_us,
        errors: report.errors,
    })
}

/// The medians of the rounds; none when there was no round.
fn middle(generator: Generator, samples: &[Row]) -> Option<Row> {
    let of = |value: fn(&Row) -> f64| median(samples.iter().map(value));
    Some(Row {
        generator,
        requests_per_second: of(|row| row.requests_per_second)?,
        cpu_us: of(|row| row.cpu_us)?,
        busy: of(|row| row.busy)?,
        p50_us: of(|row| row.p50_us)?,
        p99_us: of(|row| row.p99_us)?,
        errors: samples.iter().map(|row| row.errors).sum(),
    })
}
