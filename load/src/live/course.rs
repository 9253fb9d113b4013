//! What a run has before it, as far as the live view shows it.

use std::time::Duration;

use crate::Nanos;
use crate::failure::Failure;
use crate::plan::{Model, Plan, Stage, Work};
use crate::record::Record;
use crate::report::figures;

/// What a run has before it.
#[derive(Clone, Debug)]
pub struct Course {
    /// Name of the scenario.
    pub name: String,
    /// Who is asked.
    pub target: String,
    /// Whether sockets are held, so that deliveries are what is measured.
    pub sockets: bool,
    /// Whether requests are due by a schedule.
    pub has_schedule: bool,
    /// One after another. Never empty.
    pub stages: Vec<Stage>,
    /// Most requests in all.
    pub requests: Option<u64>,
}

/// Where in its stages a run is.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Place<'a> {
    /// The stage; `None` after the last one.
    pub stage: Option<(usize, &'a Stage)>,
    /// Time until it ends.
    pub left: Duration,
}

impl Course {
    /// What `plan` has before it.
    pub fn new(plan: &Plan) -> Self {
        let sockets = matches!(plan.work, Work::Sockets(_));
        Self {
            name: plan.name.clone(),
            target: plan.target.origin.clone(),
            sockets,
            has_schedule: !sockets && matches!(plan.model, Model::Open(_)),
            stages: plan.stages.clone(),
            requests: plan.requests,
        }
    }

    /// How long all stages take.
    pub fn length(&self) -> Duration {
        self.stages.iter().map(|stage| stage.duration).sum()
    }

    /// Where the run is after `elapsed`.
    pub fn place(&self, elapsed: Nanos) -> Place<'_> {
        let (elapsed, mut end) = (Duration::from_nanos(elapsed), Duration::ZERO);
        for stage in self.stages.iter().enumerate() {
            end += stage.1.duration;
            let left = end.saturating_sub(elapsed);
            if !left.is_zero() {
                return Place { stage: Some(stage), left };
            }
        }
        Place { stage: None, left: Duration::ZERO }
    }

    /// How long the run will probably take in all: its stages, or less if it has its requests before.
    pub fn expected(&self, elapsed: Nanos, requests: u64) -> Duration {
        let elapsed = Duration::from_nanos(elapsed);
        let stages = self.length().max(elapsed);
        match self.requests {
            Some(most) if requests > 0 => {
                stages.min(elapsed.mul_f64(most as f64 / requests as f64)).max(elapsed)
            }
            Some(_) => elapsed,
            None => stages,
        }
    }

    /// How much of the run is done, 0 to 1: of its time, or of its requests if those are further.
    pub fn done(&self, elapsed: Nanos, requests: u64) -> f64 {
        let length = self.length().as_secs_f64();
        let time = if length > 0.0 { Duration::from_nanos(elapsed).as_secs_f64() / length } else { 1.0 };
        let counted = self.requests.map_or(0.0, |most| requests as f64 / most.max(1) as f64);
        time.max(counted).clamp(0.0, 1.0)
    }

    /// The level of a stage in words: `1,000/s`, `0/s to 1,000/s`, `64 users`.
    pub fn level(&self, stage: &Stage) -> String {
        let unit = match (self.sockets, self.has_schedule) {
            (true, _) => " sockets",
            (false, true) => "/s",
            (false, false) => " users",
        };
        let [from, to] = [stage.from, stage.to].map(figures::level);
        if from == to { format!("{to}{unit}") } else { format!("{from} to {to}{unit}") }
    }

    /// What went wrong so far, most frequent first. With sockets, what happened to them and their messages too.
    pub fn failures(&self, total: &Record) -> Vec<(Failure, u64)> {
        let failures = total.failures();
        let mut counts = Failure::ALL.map(|failure| (failure, failures.count(failure)));
        if self.sockets {
            counts[Failure::Lost.index()].1 += total.sockets.lost;
            counts[Failure::Disconnected.index()].1 += total.sockets.disconnected;
        }
        let mut occurred: Vec<_> = counts.into_iter().filter(|(_, count)| *count > 0).collect();
        occurred.sort_by_key(|(failure, count)| (std::cmp::Reverse(*count), *failure));
        occurred
    }

    /// `12s/60s`, or with a number of requests and no more than that, `1,200/5,000`.
    pub fn progress(&self, elapsed: Nanos, requests: u64) -> String {
        match self.requests {
            Some(most) => format!("{}/{}", figures::count(requests), figures::count(most)),
            None => format!("{}s/{}s", seconds(Duration::from_nanos(elapsed)), seconds(self.length())),
        }
    }
}

/// Whole seconds that have gone by.
fn seconds(time: Duration) -> String {
    figures::count(time.as_secs())
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub fn stage(name: &str, seconds: u64, from: f64, to: f64) -> Stage {
        Stage { name: name.into(), duration: Duration::from_secs(seconds), from, to }
    }

    pub fn course() -> Course {
        Course {
            name: "checkout".into(),
            target: "http://127.0.0.1:8080".into(),
            sockets: false,
            has_schedule: true,
            stages: vec![stage("warm up", 10, 0.0, 1_000.0), stage("constant", 50, 1_000.0, 1_000.0)],
            requests: None,
        }
    }

    #[test]
    fn a_run_is_in_one_stage_after_another_and_then_in_none() {
        let course = course();
        let place = |seconds: u64| {
            let place = course.place(seconds * 1_000_000_000);
            (place.stage.map(|(index, stage)| (index, stage.name.as_str())), place.left.as_secs())
        };
        assert_eq!(place(0), (Some((0, "warm up")), 10));
        assert_eq!(place(9), (Some((0, "warm up")), 1));
        assert_eq!(place(10), (Some((1, "constant")), 50));
        assert_eq!(place(60), (None, 0));
    }

    #[test]
    fn levels_have_the_unit_of_what_is_held() {
        let rising = stage("rise", 10, 0.0, 1_000.0);
        let open = course();
        let closed = Course { has_schedule: false, ..course() };
        let sockets = Course { sockets: true, ..closed.clone() };
        assert_eq!(open.level(&rising), "0 to 1,000/s");
        assert_eq!(closed.level(&stage("constant", 5, 64.0, 64.0)), "64 users");
        assert_eq!(sockets.level(&rising), "0 to 1,000 sockets");
    }

    #[test]
    fn a_run_of_so_many_requests_is_done_when_they_are() {
        let course = Course { requests: Some(5_000), ..course() };
        assert!((course.done(6_000_000_000, 2_500) - 0.5).abs() < 1e-9);
        assert!((course.done(0, 9_999) - 1.0).abs() < 1e-9);
        assert_eq!(course.progress(6_000_000_000, 2_500), "2,500/5,000");
        assert_eq!(course.expected(6_000_000_000, 2_500).as_secs(), 12);
        assert_eq!(course.expected(6_000_000_000, 6_000).as_secs(), 6);
        assert_eq!(course.expected(6_000_000_000, 1).as_secs(), 60);
    }
}
