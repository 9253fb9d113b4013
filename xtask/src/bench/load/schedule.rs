//! How exactly a schedule is kept: the open model at half of what a core can do, and how late requests left.

use std::path::Path;

use crate::problem::{OrProblem, Problem};

use super::super::generator::{Generator, Load, OWN_REPORT, Pace};
use super::super::scene::Scene;
use super::{Built, GENERATOR_CORE, Plan, median};

/// The medians of the rounds.
pub(super) struct Kept {
    /// Requests per second that were asked for.
    pub(super) rate: u32,
    /// Requests per second that were answered.
    pub(super) achieved: f64,
    /// How late requests were sent, through the generator's own doing.
    pub(super) lag_p50_ms: f64,
    pub(super) lag_p99_ms: f64,
    pub(super) lag_max_ms: f64,
    /// The share of its core that the generator used, 0 to 1.
    pub(super) cpu: f64,
}

/// Measures at half of `capacity`, in requests per second.
pub(super) fn keep(
    capacity: f64,
    plan: &Plan,
    built: &Built,
    port: u16,
    scratch: &Path,
) -> Result<Kept, Problem> {
    let rate = (capacity / 2.0) as u32;
    println!("\nopen model at {rate}/s, half of what one core can do");
    let load = Load::full(Scene::Small64.shape(), port, plan.seconds, scratch);
    let load = Load { pace: Pace::PerSecond(rate), core: GENERATOR_CORE, ..load };
    let mut rounds = Vec::new();
    for round in 1..=plan.rounds {
        Generator::Tidegate.run(&load, built)?;
        let text = std::fs::read_to_string(scratch.join(OWN_REPORT)).problem("read the report")?;
        let json: serde_json::Value = serde_json::from_str(&text).problem("read the report")?;
        let number = |path: &str| json.pointer(path).and_then(serde_json::Value::as_f64).unwrap_or(f64::NAN);
        let one = Kept {
            rate,
            achieved: number("/achieved_rate"),
            lag_p50_ms: number("/lag/p50_ms"),
            lag_p99_ms: number("/lag/p99_ms"),
            lag_max_ms: number("/lag/max_ms"),
            cpu: number("/generator/cpu"),
        };
        println!(
            "  round {round}: {:.0}/s, late by p50 {:.3} ms, p99 {:.3} ms, at most {:.3} ms, CPU {:.0} %",
            one.achieved,
            one.lag_p50_ms,
            one.lag_p99_ms,
            one.lag_max_ms,
            one.cpu * 100.0
        );
        rounds.push(one);
    }
    let of = |value: fn(&Kept) -> f64| median(rounds.iter().map(value)).unwrap_or(f64::NAN);
    Ok(Kept {
        rate,
        achieved: of(|one| one.achieved),
        lag_p50_ms: of(|one| one.lag_p50_ms),
        lag_p99_ms: of(|one| one.lag_p99_ms),
        lag_max_ms: of(|one| one.lag_max_ms),
        cpu: of(|one| one.cpu),
    })
}
