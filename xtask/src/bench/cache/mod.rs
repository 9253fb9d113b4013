//! `cargo xtask bench cache`: shared caches in front of one origin.
//!
//! Four questions. What does a hit cost? How many requests reach the origin when a thousand clients want what is not
//! there, and when do they get their first byte? The same for what has just expired. How much memory does an entry take
//! besides its bytes, and does a hit cost the same among many entries as among few?

mod entries;
mod page;
mod stampede;

use crate::problem::{OrProblem, Problem};
use crate::setup;

use super::field::Field;
use super::measure::Results as Speed;
use super::peer::{Peer, Role};
use super::scene::{Scene, Shape};
use super::{Plan, build, correctness, machine};

/// Where the result is kept, relative to the root.
const PAGE: &str = "docs/benchmarks/cache.md";

/// Everything that one run of the bench found out.
#[derive(Default)]
struct Results {
    /// Hits under load.
    speed: Speed,
    /// Whether a peer's hits tell their age, which RFC 9111 (section 5.1) asks for.
    aged: Vec<(Peer, bool)>,
    stampedes: Vec<(Scene, Vec<stampede::Seen>)>,
    entries: Vec<entries::Kept>,
}

/// Measures, prints the tables, and keeps them in the docs when nothing was left out.
pub(crate) fn run(plan: &Plan) -> Result<(), Problem> {
    setup::run(&setup::Options { bench: true })?;
    let built = build::build(&plan.peers)?;
    let scratch = tempfile::tempdir().problem("create a scratch folder")?;
    machine::warn_when_busy();

    let field = Field::new(Role::Cache, plan, &built, scratch.path())?;
    let mut results = Results { aged: check_bytes(&field)?, ..Results::default() };
    for &scene in &plan.scenes {
        println!("\n{}", scene.about());
        match scene.shape() {
            Shape::Crowd { connections, requests } if scene == Scene::Entries => {
                results.entries = entries::measure(&field, connections, requests)?;
            }
            Shape::Crowd { requests, .. } => {
                results.stampedes.push((scene, stampede::measure(&field, scene, requests)?));
            }
            _ => field.measure(scene, &mut results.speed)?,
        }
    }

    println!("\n{}{}", page::goals(&results), page::tables(&results));
    field.keep(PAGE, |versions| page::page(&results, plan, versions, &machine::look()))?;
    match results.speed.errors() {
        0 => Ok(()),
        errors => Err(Problem::new(format!("{errors} requests failed or were no hits"))
            .help("see the errors column above")),
    }
}

fn check_bytes(field: &Field<'_>) -> Result<Vec<(Peer, bool)>, Problem> {
    let mut aged = Vec::new();
    for &peer in &field.plan.peers {
        let running = field.start(peer)?;
        let of_peer = |problem| Problem::new(format!("{}: {problem}", peer.name()));
        correctness::check(running.port).map_err(of_peer)?;
        if !peer.is_cache() {
            println!("{}: every byte arrives, both ways", peer.name());
            continue;
        }
        let tells = correctness::check_hits(running.port, || field.fetched()).map_err(of_peer)?;
        if peer.is_own() && !tells {
            return Err(of_peer(Problem::new("a hit does not tell its age")));
        }
        let age = if tells { "and tells its age" } else { "but does not tell its age" };
        println!("{}: every byte arrives, both ways; what is asked for twice is a hit, {age}", peer.name());
        aged.push((peer, tells));
    }
    Ok(aged)
}
