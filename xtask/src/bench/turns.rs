//! Loads that take turns of a few milliseconds.
//!
//! What a request costs on a shared machine changes by a tenth from one second to the next, so servers that are measured
//! one after the other are compared with other machines than their own. Here all loads run at the same time, and all but
//! one are stopped: whatever changes, changes for all of them.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::problem::{OrProblem, Problem};

use super::build::Built;
use super::generator::{Generator, Load, Report};
use super::measure::Sample;
use super::peer::Running;
use super::process::Process;
use super::procfs;

/// The shortest turn: some thousands of requests, so that what the change of turns costs is nothing beside them.
const TURN: Duration = Duration::from_millis(50);
/// How much longer it is for many connections, each of which has a request on its way when the turn ends.
const TURN_PER_CONNECTION: Duration = Duration::from_micros(250);
/// The first turn of a load, in which it opens its connections.
const FIRST_TURN: Duration = Duration::from_millis(200);

/// How loads take turns, for the pages.
pub(crate) const TOLD: &str = "\
- Within a round the peers' loads run at the same time, and all but one are stopped; every 50 ms (250 ms with 1,000
  connections) it is another one's turn. What changes on the machine changes for all of them. What counts is the median of
  the rounds' ratios, and beside it is what they were in each.";

/// One round: a load on each server, awake for the load's seconds, all together.
pub(crate) fn round(loads: &[(&Running, Load<'_>)], built: &Built) -> Result<Vec<Sample>, Problem> {
    let mut players = Vec::new();
    let begun = Instant::now();
    for (at, (server, load)) in loads.iter().enumerate() {
        players.push(Player::start(server, load, (at, loads.len()), built)?);
    }
    let whole = loads.iter().map(|(_, load)| Duration::from_secs(u64::from(load.seconds))).sum::<Duration>();
    let connections = loads.iter().map(|(_, load)| load.shape.connections()).max().unwrap_or(0);
    let turn = TURN.max(TURN_PER_CONNECTION * connections);
    let mut all = (0..players.len()).cycle();
    // Until the first one's time is over.
    while begun.elapsed() + turn < whole
        && let Some(at) = all.next()
    {
        players[at].take_turn(turn);
    }
    players.into_iter().map(Player::finish).collect()
}

/// A load, and the server that it is for.
struct Player<'a> {
    server: &'a Running,
    load: Load<'a>,
    generator: Generator,
    process: Process,
    printed: PathBuf,
    /// CPU time that the server had used before, in microseconds.
    before_us: f64,
    /// How long it was awake.
    awake: Duration,
}

impl<'a> Player<'a> {
    fn start(
        server: &'a Running,
        load: &Load<'a>,
        (at, players): (usize, usize),
        built: &Built,
    ) -> Result<Self, Problem> {
        // Time passes for those that are stopped, too.
        let load = Load { seconds: load.seconds * players as u32, ..*load };
        let generator = Generator::usual(load.shape);
        let printed = load.scratch.join(format!("printed-{at}.txt"));
        let before_us = procfs::cpu_us(server.process.id())?;
        let process = Process::start(generator.command(&load, built)?, generator.name(), &printed)?;
        let mut player = Self { server, load, generator, process, printed, before_us, awake: Duration::ZERO };
        player.take_turn(FIRST_TURN);
        Ok(player)
    }

    /// Runs for a while, and stops.
    fn take_turn(&mut self, turn: Duration) {
        let woken = Instant::now();
        self.process.signal(Signal::CONT);
        std::thread::sleep(turn);
        self.process.signal(Signal::STOP);
        self.awake += woken.elapsed();
    }

    /// Lets the load end, whose time is over by now or soon.
    fn finish(mut self) -> Result<Sample, Problem> {
        let woken = Instant::now();
        self.process.signal(Signal::CONT);
        self.process.wait()?;
        self.awake += woken.elapsed();
        let used_us = procfs::cpu_us(self.server.process.id())? - self.before_us;
        let printed = std::fs::read_to_string(&self.printed).problem("read what a load generator printed")?;
        let report = self.generator.read(&self.load, &printed)?;
        Ok(sample(&report, used_us, self.awake))
    }
}

fn sample(report: &Report, used_us: f64, awake: Duration) -> Sample {
    Sample {
        errors: report.errors,
        cpu_us: used_us / report.requests.max(1) as f64,
        requests_per_second: report.requests as f64 / awake.as_secs_f64(),
        busy: used_us / 1e6 / awake.as_secs_f64(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn speed_is_that_of_the_time_awake() {
        let report = Report { requests: 50_000, errors: 2, requests_per_second: 1.0, ..Report::default() };
        let sample = sample(&report, 500_000.0, Duration::from_secs(1));
        assert_eq!((sample.cpu_us, sample.requests_per_second, sample.busy), (10.0, 50_000.0, 0.5));
        assert_eq!(sample.errors, 2);
    }
}
