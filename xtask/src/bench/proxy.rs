//! `cargo xtask bench proxy`: every peer in front of the same origin under the same loads.

use crate::problem::{OrProblem, Problem};
use crate::setup;

use super::field::{Field, load_with_the_usual};
use super::generator::Load;
use super::measure::Results;
use super::peer::{Peer, Role};
use super::scene::{Scene, Shape};
use super::{Plan, build, correctness, idle, machine, page, readme, route, syscalls};

/// Where the result is kept, relative to the root.
const PAGE: &str = "docs/benchmarks/proxy.md";

/// Measures, prints the tables, and keeps them in the docs when nothing was left out.
pub(crate) fn run(plan: &Plan) -> Result<(), Problem> {
    setup::run(&setup::Options { bench: true })?;
    let built = build::build(&plan.peers)?;
    let scratch = tempfile::tempdir().problem("create a scratch folder")?;
    let scratch = scratch.path();
    std::fs::write(scratch.join("body"), correctness::pattern(16 * 1024))
        .problem("write the body to post")?;
    machine::warn_when_busy();

    let field = Field::new(Role::Proxy, plan, &built, scratch)?;
    check_bytes(&field)?;
    let mut results = Results::default();
    for &scene in &plan.scenes {
        println!("\n{}", scene.about());
        if let Shape::Idle { connections } = scene.shape() {
            measure_idle(&field, connections, &mut results)?;
        } else {
            field.measure(scene, &mut results)?;
        }
    }
    if plan.scenes.contains(&Scene::Small64) {
        count_syscalls(&field, &mut results)?;
    }
    if plan.whole {
        results.routes = route::measure()?;
    }

    println!("\n{}", page::tables(&results));
    field
        .keep(PAGE, |versions| page::page(&results, plan.rounds, plan.seconds, versions, &machine::look()))?;
    if plan.whole {
        readme::fill("bench", &page::short(&results))?;
        println!("README.md is written");
    }
    match results.errors() {
        0 => Ok(()),
        errors => Err(Problem::new(format!("{errors} requests failed")).help("see the errors column above")),
    }
}

fn check_bytes(field: &Field<'_>) -> Result<(), Problem> {
    for &peer in &field.plan.peers {
        let running = field.start(peer)?;
        correctness::check(running.port)
            .map_err(|problem| Problem::new(format!("{}: {problem}", peer.name())))?;
        println!("{}: every byte arrives, both ways", peer.name());
    }
    Ok(())
}

fn measure_idle(field: &Field<'_>, connections: u32, results: &mut Results) -> Result<(), Problem> {
    // Sockets alone tell nothing of memory, and with one more for each client they would be more than a process may open.
    for &peer in field.plan.peers.iter().filter(|peer| **peer != Peer::Relay) {
        // One at a time, since the clients of all of them would be more than one process may open.
        let bytes = idle::bytes_per_connection(&field.start(peer)?, connections)?;
        println!("  {:12} {:7.2} KiB per connection", peer.name(), bytes / 1024.0);
        results.idle_bytes.push((peer, bytes));
    }
    Ok(())
}

fn count_syscalls(field: &Field<'_>, results: &mut Results) -> Result<(), Problem> {
    println!("\ncounting system calls");
    for &peer in &field.plan.peers {
        let running = field.start(peer)?;
        let load = field.load(Scene::Small64, &running);
        load_with_the_usual(&Load { seconds: 1, ..load }, field.built)?;
        let calls = syscalls::per_request(&running, &load, field.built)?;
        let shown =
            calls.map_or_else(|| "not countable here".to_owned(), |calls| format!("{calls:.2} per request"));
        println!("  {:12} {shown}", peer.name());
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
