//! `--find-capacity`: the trials of a search, told line by line, and what they come to.

use std::fmt;
use std::sync::atomic::Ordering;

use load::live::Form;
use load::plan::{Plan, Work};
use load::report::{Report, figures};
use load::run::RunError;
use load::run::capacity::{Attempt, Capacity, Next, Search, Trial};
use serde::Serialize;

use super::{INCONCLUSIVE, Session, Trouble};

/// What a search came to. Part of the JSON report.
#[derive(Debug, Serialize)]
pub(super) struct Finding {
    /// What was found, in requests per second.
    found: Capacity,
    /// Whether the search was cut short.
    is_interrupted: bool,
    /// Every trial, in their order.
    trials: Vec<Attempt>,
}

impl Finding {
    /// 0: found; 1: no rate holds; 2: nobody knows.
    pub(super) const fn exit_code(&self) -> u8 {
        match self.found {
            Capacity::Rate(_) if !self.is_interrupted => 0,
            Capacity::None if !self.is_interrupted => 1,
            _ => INCONCLUSIVE,
        }
    }

    /// The trial at the lowest rate above what was found that did not pass.
    fn first_failure(&self) -> Option<&Attempt> {
        let least = match self.found {
            Capacity::Rate(rate) | Capacity::AtLeast(rate) => rate,
            Capacity::None | Capacity::Unknown => 0.0,
        };
        let failed =
            self.trials.iter().filter(|attempt| attempt.trial != Trial::Passed && attempt.rate > least);
        failed.min_by(|a, b| a.rate.total_cmp(&b.rate))
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.found {
            Capacity::Rate(rate) => write!(f, "capacity: {} meet the thresholds", figures::rate(rate))?,
            Capacity::AtLeast(rate) => write!(
                f,
                "capacity: at least {}, inconclusive: the generator was the limit above it",
                figures::rate(rate)
            )?,
            Capacity::None => write!(f, "capacity: none, not even the lowest rate meets the thresholds")?,
            Capacity::Unknown => write!(f, "capacity: unknown, the generator was the limit at every rate")?,
        }
        if self.is_interrupted {
            f.write_str(" (the search was interrupted)")?;
        }
        if let Some(failure) = self.first_failure() {
            write!(f, "\nat {}: {}", figures::rate(failure.rate), failure.reason)?;
        }
        Ok(())
    }
}

/// Searches from `start` requests per second; the report is that of the last trial at the rate that was found.
pub(super) fn search(plan: &Plan, session: &Session, start: f64) -> Result<(Report, Finding), Trouble> {
    if matches!(plan.work, Work::Sockets(_)) {
        return Err(Trouble::usage(
            "error: --find-capacity looks for a rate of requests, and sockets have none",
        ));
    }
    let mut search = Search::new(start);
    let mut trials = Vec::new();
    let mut best: Option<Report> = None;
    let mut last = None;
    let (found, is_interrupted) = loop {
        let rate = match search.next() {
            Next::Found(found) => break (found, false),
            Next::Try(rate) => rate,
        };
        let report = trial(plan, session, rate)?;
        if session.stop.load(Ordering::Relaxed) {
            last = last.or(Some(report));
            break (search.so_far(), true);
        }
        let attempt = Attempt::judge(rate, &report);
        if !session.quiet {
            tell(&attempt, search.is_confirming());
        }
        search.learn(attempt.trial);
        if attempt.trial == Trial::Passed {
            best = Some(report);
        } else {
            last = Some(report);
        }
        trials.push(attempt);
    };
    let finding = Finding { found, is_interrupted, trials };
    // There was one trial at least, so that one of them is there.
    let report = best.or(last).ok_or_else(|| Trouble::inconclusive("error: there was no trial"))?;
    Ok((report, finding))
}

fn trial(plan: &Plan, session: &Session, rate: f64) -> Result<Report, RunError> {
    let mut plan = plan.clone();
    for stage in &mut plan.stages {
        stage.name = figures::rate(rate);
        (stage.from, stage.to) = (rate, rate);
    }
    session.measure(&plan, Form::Silent)
}

fn tell(attempt: &Attempt, is_confirming: bool) {
    let how = match attempt.trial {
        Trial::Passed if is_confirming => "confirmed",
        Trial::Passed => "holds",
        Trial::Failed => "fails",
        Trial::GeneratorLimit => "generator",
    };
    eprintln!(
        "{:>14}  {how:<9}  p95 {:>8}  p99 {:>8}  {}",
        figures::rate(attempt.rate),
        figures::time(attempt.p95_ms),
        figures::time(attempt.p99_ms),
        if attempt.trial == Trial::Passed { "" } else { &attempt.reason },
    );
}
