//! `cargo xtask bench proxy`: every peer in front of the same origin under the same loads.
//!
//! The server has core 0 for itself; the load generator and the origin share core 1. What is compared first is CPU time
//! per request, because it does not depend on which of the two cores is the busier one.

use std::path::Path;
use std::time::Instant;

use crate::problem::{OrProblem, Problem};
use crate::shell;

use super::build::{self, Built};
use super::generator::{Generator, Load, Pace};
use super::measure::{AtRate, Results, Row, Sample, median};
use super::peer::{Peer, Running};
use super::process::{LOAD_CORE, Process, free_port, pinned};
use super::scene::{Scene, Shape};
use super::{Plan, correctness, idle, machine, page, procfs, route, syscalls};

/// Where the result is kept, relative to the root.
const PAGE: &str = "docs/benchmarks/proxy.md";

/// Measures, prints the tables, and keeps them in the docs when nothing was left out.
pub(crate) fn run(plan: &Plan) -> Result<(), Problem> {
    let built = build::build(&plan.peers)?;
    let scratch = tempfile::tempdir().problem("create a scratch folder")?;
    let scratch = scratch.path();
    std::fs::write(scratch.join("body"), correctness::pattern(16 * 1024))
        .problem("write the body to post")?;
    machine::warn_when_busy();

    let (_origin, origin_port) = start_origin(&built, scratch)?;
    check_bytes(plan, &built, origin_port, scratch)?;
    let mut results = Results::default();
    for &scene in &plan.scenes {
        measure_scene(scene, plan, &built, origin_port, scratch, &mut results)?;
    }
    if plan.scenes.contains(&Scene::Small64) {
        count_syscalls(plan, &built, origin_port, scratch, &mut results)?;
    }
    if plan.whole {
        results.routes = route::measure()?;
    }

    println!("\n{}", page::tables(&results));
    if plan.whole {
        keep(&results, plan, &built)?;
    } else {
        println!("{PAGE} is left as it is: it takes all peers, all scenes and five rounds to write it");
    }
    match results.errors() {
        0 => Ok(()),
        errors => Err(Problem::new(format!("{errors} requests failed")).help("see the errors column above")),
    }
}

fn keep(results: &Results, plan: &Plan, built: &Built) -> Result<(), Problem> {
    let mut versions = Vec::new();
    for &peer in &plan.peers {
        versions.push((peer, peer.version(built)?));
    }
    let text = page::page(results, plan.rounds, plan.seconds, &versions, &machine::look());
    let path = shell::root().join(PAGE);
    std::fs::create_dir_all(path.parent().unwrap_or(&path)).problem("create docs/benchmarks")?;
    std::fs::write(&path, text).problem(&format!("write {PAGE}"))?;
    println!("{PAGE} is written");
    Ok(())
}

fn start_origin(built: &Built, scratch: &Path) -> Result<(Process, u16), Problem> {
    let port = free_port()?;
    let log = scratch.join("origin.log");
    let mut command = pinned(LOAD_CORE, &built.origin);
    command.arg(format!("127.0.0.1:{port}"));
    let mut process = Process::start(command, "the origin", &log)?;
    process.wait_for_port(port, &log)?;
    correctness::check(port)?;
    Ok((process, port))
}

fn check_bytes(plan: &Plan, built: &Built, origin: u16, scratch: &Path) -> Result<(), Problem> {
    for &peer in &plan.peers {
        let running = peer.start(built, origin, scratch)?;
        correctness::check(running.port)
            .map_err(|problem| Problem::new(format!("{}: {problem}", peer.name())))?;
        println!("{}: every byte arrives, both ways", peer.name());
    }
    Ok(())
}

fn measure_scene(
    scene: Scene,
    plan: &Plan,
    built: &Built,
    origin: u16,
    scratch: &Path,
    results: &mut Results,
) -> Result<(), Problem> {
    println!("\n{}", scene.about());
    if let Shape::Idle { connections } = scene.shape() {
        for &peer in &plan.peers {
            // One at a time, since the clients of all of them would be more than one process may open.
            let bytes = idle::bytes_per_connection(&peer.start(built, origin, scratch)?, connections)?;
            println!("  {:9} {:7.2} KiB per connection", peer.name(), bytes / 1024.0);
            results.idle_bytes.push((peer, bytes));
        }
        return Ok(());
    }
    // All are started before any is measured, and take turns, so that what changes on the machine changes for all.
    let mut runners: Vec<(Running, Vec<Sample>)> = Vec::new();
    for &peer in &plan.peers {
        runners.push((peer.start(built, origin, scratch)?, Vec::new()));
    }
    for (running, _) in &runners {
        load_with_the_usual(&Load::full(scene.shape(), running.port, 1, scratch), built)?;
    }
    for round in 1..=plan.rounds {
        for (running, samples) in &mut runners {
            let load = Load::full(scene.shape(), running.port, plan.seconds, scratch);
            let sample = sample(running, &load, built)?;
            println!(
                "  round {round} {:9} {:7.2} µs CPU, {:8.0}/s, p99 {:8.0} µs, {} errors",
                running.peer.name(),
                sample.cpu_us,
                sample.report.requests_per_second,
                sample.report.p99_us,
                sample.report.errors
            );
            samples.push(sample);
        }
    }
    let rows = runners.iter().filter_map(|(running, samples)| Row::new(running.peer, samples)).collect();
    results.scenes.push((scene, rows));
    if matches!(scene, Scene::Small64 | Scene::Small1000) {
        let running: Vec<Running> = runners.into_iter().map(|(running, _)| running).collect();
        results.at_rate.extend(measure_at_one_rate(scene, plan, built, &running, scratch, results)?);
    }
    Ok(())
}

/// Latencies at the same rate for all: half of what the slowest of them reached at full speed. The schedule does not
/// wait for answers, so what a closed loop hides is seen.
fn measure_at_one_rate(
    scene: Scene,
    plan: &Plan,
    built: &Built,
    runners: &[Running],
    scratch: &Path,
    results: &Results,
) -> Result<Vec<AtRate>, Problem> {
    let reached = runners.iter().filter_map(|running| results.row(scene, running.peer));
    let slowest = reached.map(|row| row.requests_per_second).fold(f64::INFINITY, f64::min);
    let rate = (slowest / 2.0) as u32;
    let mut rounds: Vec<Vec<(f64, f64)>> = vec![Vec::new(); runners.len()];
    let mut errors = vec![0; runners.len()];
    for round in 1..=plan.rounds {
        for (at, running) in runners.iter().enumerate() {
            let load = Load::full(scene.shape(), running.port, plan.seconds, scratch);
            let load = Load { pace: Pace::PerSecond(rate), ..load };
            let report = Generator::Tidegate.run(&load, built)?;
            println!(
                "  round {round} {:9} at {rate}/s: p50 {:8.0} µs, p99 {:8.0} µs, {} errors",
                running.peer.name(),
                report.p50_us,
                report.p99_us,
                report.errors
            );
            rounds[at].push((report.p50_us, report.p99_us));
            errors[at] += report.errors;
        }
    }
    let of = |at: usize, value: fn(&(f64, f64)) -> f64| median(rounds[at].iter().map(value)).unwrap_or(0.0);
    let rows = runners.iter().enumerate().map(|(at, running)| AtRate {
        scene,
        peer: running.peer,
        rate,
        p50_us: of(at, |(p50, _)| *p50),
        p99_us: of(at, |(_, p99)| *p99),
        errors: errors[at],
    });
    Ok(rows.collect())
}

fn load_with_the_usual(load: &Load<'_>, built: &Built) -> Result<super::generator::Report, Problem> {
    Generator::usual(load.shape).run(load, built)
}

/// Loads a server once and takes its CPU time before and after.
fn sample(running: &Running, load: &Load<'_>, built: &Built) -> Result<Sample, Problem> {
    let before = procfs::cpu_us(running.process.id())?;
    let started = Instant::now();
    let report = load_with_the_usual(load, built)?;
    let wall_us = started.elapsed().as_secs_f64() * 1e6;
    let used = procfs::cpu_us(running.process.id())? - before;
    let cpu_us = used / report.requests.max(1) as f64;
    Ok(Sample { report, cpu_us, busy: used / wall_us })
}

fn count_syscalls(
    plan: &Plan,
    built: &Built,
    origin: u16,
    scratch: &Path,
    results: &mut Results,
) -> Result<(), Problem> {
    println!("\ncounting system calls");
    for &peer in &plan.peers {
        let running = peer.start(built, origin, scratch)?;
        let load = Load::full(Scene::Small64.shape(), running.port, plan.seconds, scratch);
        load_with_the_usual(&Load { seconds: 1, ..load }, built)?;
        let calls = syscalls::per_request(&running, &load, built)?;
        let shown =
            calls.map_or_else(|| "not countable here".to_owned(), |calls| format!("{calls:.2} per request"));
        println!("  {:9} {shown}", peer.name());
        results.syscalls.push((peer, calls));
    }
    Ok(())
}

impl Peer {
    /// Whether this is the one that the others are compared with.
    pub(crate) fn is_own(self) -> bool {
        self == Self::Tidegate
    }
}
