//! The truth about a server that froze: 1,000 requests per second for 60 s, the server stopped (SIGSTOP) for 10 s of
//! them.
//!
//! What a user sees can be computed. One request in six falls into the pause; the one that arrives as it begins waits
//! 10 s, the one that arrives as it ends waits none, evenly between. So (10 s − x) / 60 s of all requests wait longer
//! than x: a tenth longer than 4.0 s, a hundredth longer than 9.4 s. A generator that waits for its answers before it
//! asks again sends nothing during the pause, and reports a server that was always fast.

use std::path::Path;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::problem::Problem;

use super::super::generator::{Generator, Load, Pace, Report};
use super::super::scene::Scene;
use super::{Built, GENERATOR_CORE, start_origin};

/// Requests per second.
const RATE: u32 = 1000;
/// How long the load lasts, in seconds.
const SECONDS: u32 = 60;
/// When the server stops.
const FREEZES_AT: Duration = Duration::from_secs(20);
/// How long it is stopped.
const FROZEN: Duration = Duration::from_secs(10);

/// What the arithmetic above says, in seconds.
pub(super) const TRUE_P90_S: f64 = 4.0;
/// See [`TRUE_P90_S`].
pub(super) const TRUE_P99_S: f64 = 9.4;

/// What one generator reported.
pub(super) struct Told {
    pub(super) generator: Generator,
    pub(super) report: Report,
    /// The report's tenth and hundredth longest, in seconds.
    pub(super) p90_s: f64,
    pub(super) p99_s: f64,
}

/// Asks every generator about a server of its own.
pub(super) fn ask(built: &Built, scratch: &Path) -> Result<Vec<Told>, Problem> {
    println!("\na server that freezes for {} s of {SECONDS} s", FROZEN.as_secs());
    let mut told = Vec::new();
    for generator in Generator::ALL {
        let (origin, port) = start_origin(built, scratch)?;
        let load = Load {
            pace: Pace::PerSecond(RATE),
            core: GENERATOR_CORE,
            ..Load::full(Scene::Small64.shape(), port, SECONDS, scratch)
        };
        let report = std::thread::scope(|scope| {
            let started = Instant::now();
            let load = scope.spawn(move || generator.run(&load, built));
            std::thread::sleep(FREEZES_AT.saturating_sub(started.elapsed()));
            origin.signal(Signal::STOP);
            std::thread::sleep((FREEZES_AT + FROZEN).saturating_sub(started.elapsed()));
            origin.signal(Signal::CONT);
            load.join().map_err(|_| Problem::new("the thread that ran a generator panicked"))?
        })?;
        let (p90_s, p99_s) = (report.p90_us / 1e6, report.p99_us / 1e6);
        println!("  {:14} p90 {p90_s:6.3} s, p99 {p99_s:6.3} s, {} errors", generator.name(), report.errors);
        told.push(Told { generator, report, p90_s, p99_s });
    }
    Ok(told)
}
