//! The app is away for some seconds, and comes back; does anybody notice more than a wait?

use std::path::Path;
use std::time::{Duration, Instant};

use crate::problem::Problem;

use super::super::build::Built;
use super::super::peer::Peer;
use super::ask::{Pace, Report, Scenario, Step};
use super::front::{self, App, DOWN};

/// Requests per second.
pub(super) const RATE: u32 = 500;
/// How long a worker is busy with a request, in milliseconds: the app can do more than what is asked, so that it can catch
/// up once it is back.
pub(super) const WORK_MS: u32 = 5;
/// How long people wait here, in milliseconds: longer than the app is away.
const PATIENCE_MS: u32 = 12_000;

/// What became of the requests.
pub(super) struct Held {
    pub(super) report: Report,
    /// How long the app was away, in seconds, until it accepted connections again.
    pub(super) away_s: f64,
    pub(super) seconds: u32,
}

/// Asks, ends the app in the middle of it, and starts it again.
pub(super) fn measure(seconds: u32, built: &Built, scratch: &Path) -> Result<Held, Problem> {
    let away = Duration::from_secs(u64::from((seconds / 12).clamp(1, 5)));
    let seconds = (seconds / 4).clamp(5, 15);
    println!("\n{RATE} requests per second, and the app is away for {} s", away.as_secs());
    let mut app = App::start(built, scratch)?;
    let running = front::start(Peer::Tidegate, "down", DOWN, built, &app, scratch)?;
    let step = Step { work_ms: WORK_MS, within_ms: PATIENCE_MS, ..Step::of("normal", 1) };
    let scenario = Scenario {
        name: "restart",
        seconds,
        pace: Pace::Open(RATE),
        steps: vec![step],
        grace_s: PATIENCE_MS / 1000,
    };
    let (report, away_s) = std::thread::scope(|scope| {
        let started = Instant::now();
        let load = scope.spawn(|| scenario.ask(running.port, built, scratch));
        let leaves_at = Duration::from_secs(u64::from(seconds / 4));
        std::thread::sleep(leaves_at.saturating_sub(started.elapsed()));
        app.kill();
        let left = Instant::now();
        std::thread::sleep(away);
        let back = app.start_again();
        let away_s = left.elapsed().as_secs_f64();
        let report = load.join().map_err(|_| Problem::new("the thread that asked panicked"))?;
        back.and(Ok((report?, away_s)))
    })?;
    let held = Held { report, away_s, seconds };
    println!("  away for {away_s:.1} s: {} of {} requests failed", held.failed(), held.report.requests);
    for failed in &held.report.failures {
        println!("    {}: {}", failed.name, failed.count);
    }
    Ok(held)
}

impl Held {
    /// Requests that got another answer than 200, or none.
    pub(super) fn failed(&self) -> u64 {
        self.report.requests - self.report.succeeded
    }

    /// Those of them that had been sent to the app when it was killed: what it had not answered is lost, unless it may be
    /// sent again. The gateway says so by 502.
    pub(super) fn failed_after_sending(&self) -> u64 {
        self.report.statuses.get(&502).copied().unwrap_or(0)
    }
}
