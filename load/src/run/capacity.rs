//! The search for the largest rate that still meets the thresholds.
//!
//! ```text
//!          passes: twice the rate                       bracket narrow enough
//!   Doubling ────────────────► fails ──► Halving the bracket ───────────► Confirming ──► Found
//!      │                                        ▲                             │
//!      └─ first rate fails: half the rate ──────┘◄────── fails: it was luck ──┘
//! ```
//!
//! [`Search`] decides and does nothing else, so that it can be tried against a model; who uses it runs the trials.
//! A failure counts only when the same rate fails twice in a row, because one hiccup of a machine is no limit.
//! [`judge`] says what a trial's report means: a target that answers everything but ever later has failed, too.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::report::{Report, Verdict};

/// The bracket is narrow enough when its ends are this close.
const PRECISION: f64 = 0.05;

/// Rates below this are not looked for.
const LEAST_RATE: f64 = 1.0;

/// Rates above this are not looked for.
const MOST_RATE: f64 = 10_000_000.0;

/// Trials after which the search ends with what it knows.
const MOST_TRIALS: u32 = 60;

/// Requests that may pile up in the second half of a trial, as a share of those that were due in it.
const PILING_UP: f64 = 0.02;

/// Shortest trial: the timeline of a report knows of seconds, and a pile is seen from one to the next.
pub const LEAST_TRIAL: Duration = Duration::from_secs(2);

/// Fewer than this are no pile.
const LEAST_PILE: u64 = 10;

/// What a trial said.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Trial {
    /// The thresholds hold.
    Passed,
    /// A threshold does not hold, or the target fell behind.
    Failed,
    /// As failed, but the generator was the limit: nothing is known about the target.
    GeneratorLimit,
}

/// What to do next.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Next {
    /// Run a trial at this rate per second.
    Try(f64),
    /// The search has ended.
    Found(Capacity),
}

/// What the search found, in requests per second.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Capacity {
    /// This rate holds, and one about 5 % higher does not.
    Rate(f64),
    /// This rate holds; the generator could not find out about higher ones.
    AtLeast(f64),
    /// Not even the smallest rate holds.
    None,
    /// Nothing is known: the generator was the limit at every rate.
    Unknown,
}

/// A rate that did not pass, and whether the target is known to be the reason.
#[derive(Clone, Copy, Debug)]
struct Ceiling {
    rate: f64,
    is_generator: bool,
}

/// The state of a search.
#[derive(Clone, Debug)]
pub struct Search {
    /// Every rate that passed, ascending; one is dropped when it fails to be confirmed.
    passed: Vec<f64>,
    ceiling: Option<Ceiling>,
    rate: f64,
    /// How this rate failed, when it has failed once.
    failed: Option<Trial>,
    is_confirming: bool,
    trials: u32,
    found: Option<Capacity>,
}

impl Search {
    /// A search that begins at `start` requests per second.
    pub fn new(start: f64) -> Self {
        Self {
            passed: Vec::new(),
            ceiling: None,
            rate: start.clamp(LEAST_RATE, MOST_RATE),
            failed: None,
            is_confirming: false,
            trials: 0,
            found: None,
        }
    }

    /// What to do next.
    pub const fn next(&self) -> Next {
        match self.found {
            Some(capacity) => Next::Found(capacity),
            None => Next::Try(self.rate),
        }
    }

    /// Whether the next trial is there to confirm the result.
    pub const fn is_confirming(&self) -> bool {
        self.is_confirming
    }

    /// Takes in how the trial went that [`next`](Self::next) asked for.
    pub fn learn(&mut self, trial: Trial) {
        self.trials += 1;
        match (trial, self.failed.take()) {
            (Trial::Passed, _) if self.is_confirming => return self.end(),
            (Trial::Passed, _) => self.passed.push(self.rate),
            (failed, None) => self.failed = Some(failed),
            (failed, Some(before)) => {
                self.is_confirming = false;
                self.passed.retain(|rate| *rate < self.rate);
                // One that failed although the generator was at ease is enough to blame the target.
                let is_generator = failed == Trial::GeneratorLimit && before == Trial::GeneratorLimit;
                self.ceiling = Some(Ceiling { rate: self.rate, is_generator });
            }
        }
        if self.trials >= MOST_TRIALS {
            return self.end();
        }
        if self.failed.is_none() {
            self.choose();
        }
    }

    /// Chooses the next rate from what is known.
    fn choose(&mut self) {
        match (self.passed.last().copied(), self.ceiling) {
            (Some(low), None) if low >= MOST_RATE => self.end(),
            (Some(low), None) => self.rate = (low * 2.0).min(MOST_RATE),
            (None, Some(high)) if high.rate <= LEAST_RATE => self.end(),
            (None, Some(high)) => self.rate = (high.rate / 2.0).max(LEAST_RATE),
            (Some(low), Some(high)) if high.rate <= low * (1.0 + PRECISION) => {
                self.is_confirming = true;
                self.rate = low;
            }
            // The middle as a ratio: what counts is how many per cent are left.
            (Some(low), Some(high)) => self.rate = (low * high.rate).sqrt(),
            (None, None) => {}
        }
    }

    fn end(&mut self) {
        self.found = Some(self.so_far());
    }

    /// What is known up to now.
    pub fn so_far(&self) -> Capacity {
        match (self.passed.last().copied(), self.ceiling) {
            (Some(low), Some(Ceiling { is_generator: false, .. })) => Capacity::Rate(low),
            (Some(low), _) => Capacity::AtLeast(low),
            (None, Some(Ceiling { is_generator: false, .. })) => Capacity::None,
            (None, _) => Capacity::Unknown,
        }
    }
}

/// One trial of a search, for reports.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Attempt {
    /// Requests per second that were due.
    pub rate: f64,
    /// Requests per second that succeeded.
    pub achieved_rate: f64,
    /// 95 % were answered within this many milliseconds of their due time.
    pub p95_ms: f64,
    /// 99 % were.
    pub p99_ms: f64,
    /// How it went.
    pub trial: Trial,
    /// Why, for people.
    pub reason: String,
}

impl Attempt {
    /// Judges the report of a trial at a constant `rate`.
    pub fn judge(rate: f64, report: &Report) -> Self {
        let (trial, reason) = judge(report);
        Self {
            rate,
            achieved_rate: report.achieved_rate,
            p95_ms: report.response.p95_ms,
            p99_ms: report.response.p99_ms,
            trial,
            reason,
        }
    }
}

fn judge(report: &Report) -> (Trial, String) {
    match (report.verdict, &report.generator.limit) {
        (Verdict::Fail, _) => (Trial::Failed, report.reason.clone()),
        (Verdict::Inconclusive, _) => (Trial::GeneratorLimit, report.reason.clone()),
        (Verdict::Pass, limit) => match (piled_up(report), limit) {
            (None, _) => (Trial::Passed, report.reason.clone()),
            (Some(more), None) => (
                Trial::Failed,
                format!("the target fell behind: {more} requests piled up in the second half"),
            ),
            (Some(_), Some(limit)) => (Trial::GeneratorLimit, limit.clone()),
        },
    }
}

/// How many requests more were waiting at the end of the stages than about their middle; `None`: no more than chance
/// brings, or the stages are too short to tell ([`LEAST_TRIAL`]).
fn piled_up(report: &Report) -> Option<u64> {
    let end_s = report.stages.last()?.to_s;
    let until = |boundary_s: f64| {
        let before =
            report.timeline.iter().filter(|moment| moment.at_s + moment.width_s <= boundary_s + 1e-6);
        before.fold((0_u64, 0_u64), |sum, moment| (sum.0 + moment.offered, sum.1 + moment.completed))
    };
    let (half_offered, half_completed) = until(end_s / 2.0);
    if half_offered == 0 {
        return None;
    }
    let (offered, completed) = until(end_s);
    let more = offered.saturating_sub(completed).saturating_sub(half_offered.saturating_sub(half_completed));
    let is_pile = more >= LEAST_PILE && more as f64 > PILING_UP * (offered - half_offered) as f64;
    is_pile.then_some(more)
}

#[cfg(test)]
mod tests {
    use fastrand::Rng;
    use proptest::prelude::*;

    use super::*;

    /// Searches by a model of the target; the capacity found, and how many trials it took.
    fn search(start: f64, mut target: impl FnMut(f64) -> Trial) -> (Capacity, u32) {
        let mut search = Search::new(start);
        loop {
            match search.next() {
                Next::Try(rate) => search.learn(target(rate)),
                Next::Found(capacity) => return (capacity, search.trials),
            }
        }
    }

    fn passed(holds: bool) -> Trial {
        if holds { Trial::Passed } else { Trial::Failed }
    }

    proptest! {
        #[test]
        fn the_capacity_is_found_within_five_per_cent(start in 1.0..1e5, limit in 2.0..1e6) {
            let (capacity, trials) = search(start, |rate| passed(rate <= limit));
            let Capacity::Rate(rate) = capacity else { panic!("{capacity:?}") };
            prop_assert!(rate <= limit && rate * 1.051 >= limit, "{rate} of {limit}");
            prop_assert!(trials < MOST_TRIALS);
        }

        #[test]
        fn it_ends_whatever_the_trials_say(start in 0.0..1e6, seed: u64) {
            let mut rng = Rng::with_seed(seed);
            let (_, trials) = search(start, |_| match rng.u8(0..3) {
                0 => Trial::Passed,
                1 => Trial::Failed,
                _ => Trial::GeneratorLimit,
            });
            prop_assert!(trials <= MOST_TRIALS);
        }
    }

    #[test]
    fn a_hiccup_now_and_then_leads_hardly_ever_astray() {
        let limit = 7_000.0;
        let found = (0..1_000).map(|seed| {
            let mut rng = Rng::with_seed(seed);
            // One trial in thirty fails for no reason, and the limit itself sways by 4 %.
            search(100.0, |rate| {
                let sway = 1.0 + 0.04 * (rng.f64() * 2.0 - 1.0);
                passed(rng.u32(0..30) != 0 && rate <= limit * sway)
            })
        });
        let near = |capacity| matches!(capacity, Capacity::Rate(rate) if (rate / limit - 1.0).abs() < 0.1);
        let share = found.filter(|(capacity, _)| near(*capacity)).count();
        assert!(share >= 970, "{share} of 1000");
    }

    #[test]
    fn a_generator_at_its_limit_gives_a_lower_bound() {
        let (capacity, _) =
            search(100.0, |rate| if rate < 5_000.0 { Trial::Passed } else { Trial::GeneratorLimit });
        let Capacity::AtLeast(rate) = capacity else { panic!("{capacity:?}") };
        assert!((4_700.0..5_000.0).contains(&rate), "{rate}");
    }

    #[test]
    fn a_generator_that_is_always_at_its_limit_finds_nothing() {
        assert_eq!(search(100.0, |_| Trial::GeneratorLimit).0, Capacity::Unknown);
    }

    #[test]
    fn a_target_that_never_holds_has_no_capacity() {
        assert_eq!(search(100.0, |_| Trial::Failed).0, Capacity::None);
    }

    #[test]
    fn a_target_without_a_limit_has_at_least_the_largest_rate() {
        assert_eq!(search(100.0, |_| Trial::Passed).0, Capacity::AtLeast(MOST_RATE));
    }

    #[test]
    fn a_rate_that_is_not_confirmed_is_not_the_result() {
        let mut tries = 0;
        let (capacity, _) = search(1_000.0, |rate| {
            // The start passes once, by luck.
            tries += 1;
            passed(tries == 1 || rate <= 700.0)
        });
        let Capacity::Rate(rate) = capacity else { panic!("{capacity:?}") };
        assert!((660.0..=700.0).contains(&rate), "{rate}");
    }
}
