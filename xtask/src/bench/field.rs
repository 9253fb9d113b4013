//! Peers in one role, in front of one origin, loaded in turns.
//!
//! The server has core 0 for itself; the load generator and the origin share core 1. What is compared first is CPU time
//! per request, because it does not depend on which of the two cores is the busier one.

use std::path::Path;

use crate::problem::Problem;

use super::build::Built;
use super::generator::{Generator, Load, Pace, Report};
use super::measure::{AtRate, Results, Row, Sample, median};
use super::peer::{Peer, Role, Running};
use super::process::{LOAD_CORE, Process, free_port, pinned};
use super::scene::Scene;
use super::{Plan, correctness, keep, turns};

/// What takes part in a bench.
pub(crate) struct Field<'a> {
    pub(crate) role: Role,
    pub(crate) plan: &'a Plan,
    pub(crate) built: &'a Built,
    pub(crate) scratch: &'a Path,
    /// The port of the origin.
    pub(crate) origin: u16,
    _origin: Process,
}

impl<'a> Field<'a> {
    /// Starts the origin.
    pub(crate) fn new(
        role: Role,
        plan: &'a Plan,
        built: &'a Built,
        scratch: &'a Path,
    ) -> Result<Self, Problem> {
        let origin = free_port()?;
        let log = scratch.join("origin.log");
        let mut command = pinned(LOAD_CORE, &built.origin)?;
        command.arg(format!("127.0.0.1:{origin}"));
        let mut process = Process::start(command, "the origin", &log)?;
        process.wait_for_port(origin, &log)?;
        correctness::check(origin)?;
        Ok(Self { role, plan, built, scratch, origin, _origin: process })
    }

    /// Starts a peer in front of the origin.
    pub(crate) fn start(&self, peer: Peer) -> Result<Running, Problem> {
        peer.start(self.role, self.built, self.origin, self.scratch)
    }

    /// The peers that are caches.
    pub(crate) fn caches(&self) -> impl Iterator<Item = Peer> {
        self.plan.peers.iter().copied().filter(|peer| peer.is_cache())
    }

    /// How many requests for what caches may keep have reached the origin.
    pub(crate) fn fetched(&self) -> Result<u64, Problem> {
        correctness::count(self.origin, "cached")
    }

    /// A load at full speed on a peer.
    pub(crate) fn load(&self, scene: Scene, running: &Running) -> Load<'_> {
        Load::full(scene.shape(), running.port, self.plan.seconds, self.scratch)
    }

    /// Measures a scene with every peer, at full speed and, for scenes of small bodies, at one rate for all.
    pub(crate) fn measure(&self, scene: Scene, results: &mut Results) -> Result<(), Problem> {
        // All are started before any is measured, and take turns, so that what changes on the machine changes for all.
        let mut runners: Vec<(Running, Vec<Sample>)> = Vec::new();
        for &peer in &self.plan.peers {
            runners.push((self.start(peer)?, Vec::new()));
        }
        for (running, _) in &runners {
            load_with_the_usual(&Load { seconds: 1, ..self.load(scene, running) }, self.built)?;
        }
        for round in 1..=self.plan.rounds {
            let sampled =
                self.round(scene, &runners.iter().map(|(running, _)| running).collect::<Vec<_>>())?;
            for ((running, samples), sample) in runners.iter_mut().zip(sampled) {
                println!(
                    "  round {round} {:12} {:7.2} µs CPU, {:8.0}/s, {} errors",
                    running.peer.name(),
                    sample.cpu_us,
                    sample.requests_per_second,
                    sample.errors
                );
                samples.push(sample);
            }
        }
        let (runners, sampled): (Vec<Running>, Vec<Vec<Sample>>) = runners.into_iter().unzip();
        let rows =
            runners.iter().zip(sampled).filter_map(|(running, samples)| Row::new(running.peer, samples));
        results.scenes.push((scene, rows.collect()));
        if matches!(scene, Scene::Small64 | Scene::Small1000 | Scene::Hit64 | Scene::Hit1000) {
            results.at_rate.extend(self.measure_at_one_rate(scene, &runners, results)?);
        }
        Ok(())
    }

    /// Latencies at the same rate for all: half of what the slowest of them reached at full speed. The schedule does not
    /// wait for answers, so what a closed loop hides is seen.
    fn measure_at_one_rate(
        &self,
        scene: Scene,
        runners: &[Running],
        results: &Results,
    ) -> Result<Vec<AtRate>, Problem> {
        let reached = runners.iter().filter_map(|running| results.row(scene, running.peer));
        let slowest = reached.map(|row| row.requests_per_second).fold(f64::INFINITY, f64::min);
        let rate = (slowest / 2.0) as u32;
        let mut rounds: Vec<Vec<(f64, f64)>> = vec![Vec::new(); runners.len()];
        let mut errors = vec![0; runners.len()];
        for round in 1..=self.plan.rounds {
            // There and back, so that none always comes behind the same one.
            let last = runners.len() - 1;
            for at in (0..=last).map(|at| if round % 2 == 0 { last - at } else { at }) {
                let running = &runners[at];
                let load = Load { pace: Pace::PerSecond(rate), ..self.load(scene, running) };
                let report = Generator::Tidegate.run(&load, self.built)?;
                println!(
                    "  round {round} {:12} at {rate}/s: p50 {:8.0} µs, p99 {:8.0} µs, {} errors",
                    running.peer.name(),
                    report.p50_us,
                    report.p99_us,
                    report.errors
                );
                rounds[at].push((report.p50_us, report.p99_us));
                errors[at] += report.errors;
            }
        }
        let of =
            |at: usize, value: fn(&(f64, f64)) -> f64| median(rounds[at].iter().map(value)).unwrap_or(0.0);
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

    /// Loads servers in turns, once. A cache's request that reached the origin is an error, because what is timed are
    /// hits; whose it was is not known, so it counts for each.
    pub(crate) fn round(&self, scene: Scene, servers: &[&Running]) -> Result<Vec<Sample>, Problem> {
        let fetched = self.fetched()?;
        let loads: Vec<_> = servers.iter().map(|server| (*server, self.load(scene, server))).collect();
        let mut samples = turns::round(&loads, self.built)?;
        let missed = self.fetched()? - fetched;
        for sample in &mut samples {
            sample.errors += missed;
        }
        Ok(samples)
    }

    /// Keeps the page of a bench in the docs; `write` makes its text of the versions of the peers.
    pub(crate) fn keep(
        &self,
        page: &str,
        write: impl FnOnce(&[(Peer, String)]) -> String,
    ) -> Result<(), Problem> {
        if !self.plan.whole {
            println!("{page} is left as it is: it takes all peers, all scenes and five rounds to write it");
            return Ok(());
        }
        let mut versions = Vec::new();
        for &peer in &self.plan.peers {
            versions.push((peer, peer.version(self.built)?));
        }
        keep(&[(page, write(&versions))])
    }
}

/// Loads with the generator that takes the least from the core that it shares with the origin.
pub(crate) fn load_with_the_usual(load: &Load<'_>, built: &Built) -> Result<Report, Problem> {
    Generator::usual(load.shape).run(load, built)
}
