//! One tenant asks for twenty times its share; do the others notice?

use std::path::Path;

use crate::problem::Problem;

use super::super::build::Built;
use super::super::peer::Peer;
use super::ask::{OfStep, Pace, Scenario, Step};
use super::front::{self, App, CAPACITY, FAIR};

/// Tenants that share the app, the greedy one included.
pub(super) const TENANTS: u32 = 10;
/// What everyone may have, in requests per second.
pub(super) const SHARE: u32 = CAPACITY / TENANTS;
/// How many times its share the greedy one asks for.
pub(super) const GREED: u32 = 20;
/// What each of the others asks for, in requests per second: a little less than its share.
pub(super) const MODEST: u32 = SHARE * 3 / 4;

/// How often it is measured: the limit that the queue finds differs a little from time to time.
const ROUNDS: usize = 5;

/// The others, without and with the greedy one.
pub(super) struct Shared {
    pub(super) without: OfStep,
    pub(super) with: OfStep,
    pub(super) greedy: OfStep,
    pub(super) seconds: u32,
}

impl Shared {
    /// The others' p99 with the greedy one, over that without.
    pub(super) fn ratio(&self) -> f64 {
        self.with.response.p99_ms / self.without.response.p99_ms
    }
}

/// Measures some rounds of both; those with the least [`Shared::ratio`] come first.
pub(super) fn measure(seconds: u32, built: &Built, scratch: &Path) -> Result<Vec<Shared>, Problem> {
    let seconds = (seconds / 3).clamp(3, 20);
    let others = MODEST * (TENANTS - 1);
    println!("\n{others} requests per second by {} tenants, and {} by one", TENANTS - 1, GREED * SHARE);
    let mut rounds: Vec<Shared> =
        (0..ROUNDS).map(|_| round(seconds, built, scratch)).collect::<Result<_, _>>()?;
    rounds.sort_by(|a, b| a.ratio().total_cmp(&b.ratio()));
    Ok(rounds)
}

/// The round in the middle, if there were any.
pub(super) fn middle(rounds: &[Shared]) -> Option<&Shared> {
    rounds.get(rounds.len() / 2)
}

/// Measures both, each with an app of its own.
fn round(seconds: u32, built: &Built, scratch: &Path) -> Result<Shared, Problem> {
    let others = MODEST * (TENANTS - 1);
    let step = |name: &str, weight, tenant: &str| Step {
        name: name.to_owned(),
        tenant: Some(tenant.to_owned()),
        ..Step::of("normal", weight)
    };
    let run = |rate, steps| {
        let app = App::start(built, scratch)?;
        let running = front::start(Peer::Tidegate, "fair", FAIR, built, &app, scratch)?;
        let scenario = Scenario { name: "fairness", seconds, pace: Pace::Open(rate), steps, grace_s: 2 };
        scenario.ask(running.port, built, scratch)
    };
    let without = run(others, vec![step("others", 1, "{{tenant}}")])?;
    let greed = GREED * SHARE;
    let steps = vec![step("others", others, "{{tenant}}"), step("greedy", greed, "greedy")];
    let with = run(others + greed, steps)?;
    let of = |report: &super::Report, name: &str| report.step(name).cloned().unwrap_or_default();
    let shared = Shared {
        without: of(&without, "others"),
        with: of(&with, "others"),
        greedy: of(&with, "greedy"),
        seconds,
    };
    println!(
        "  the others: p99 {:.1} ms without it, {:.1} ms with it, {} of {} failed",
        shared.without.response.p99_ms,
        shared.with.response.p99_ms,
        shared.with.requests - shared.with.succeeded,
        shared.with.requests
    );
    Ok(shared)
}
