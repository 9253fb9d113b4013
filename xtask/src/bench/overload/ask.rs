//! What is asked, as scenarios of `tidegate load`, and what its reports say.

use std::fmt::Write;
use std::path::Path;

use serde::Deserialize;

use crate::problem::{OrProblem, Problem};

use super::super::build::Built;
use super::super::generator::OWN_REPORT;
use super::super::process::{LOAD_CORE, pinned};
use super::front::WORK_MS;

/// What a person waits for, in milliseconds. A later answer is work that was done for nobody.
pub(super) const PATIENCE_MS: u32 = 2000;
/// When a client gives up and closes its connection, in seconds: later than the queue of any peer, so that what they do
/// with those who wait is seen.
pub(super) const TIMEOUT_S: u32 = 6;

/// Classes of requests and their weights, the most important first.
pub(super) const CLASSES: [(&str, u32); 3] = [("critical", 1), ("normal", 6), ("low", 3)];

/// A scenario: for so many seconds, this rate or these users, with these steps.
pub(super) struct Scenario {
    pub(super) name: &'static str,
    pub(super) seconds: u32,
    pub(super) pace: Pace,
    pub(super) steps: Vec<Step>,
    /// How long what is open at the end is waited for, in seconds.
    pub(super) grace_s: u32,
}

/// Who asks.
pub(super) enum Pace {
    /// So many requests per second at random, whatever comes back.
    Open(u32),
    /// So many users, each with one request at a time.
    Closed(u32),
}

/// A kind of request.
pub(super) struct Step {
    pub(super) name: String,
    pub(super) weight: u32,
    pub(super) class: &'static str,
    pub(super) work_ms: u32,
    /// The value of X-Tenant-Id, which may be drawn.
    pub(super) tenant: Option<String>,
    /// A later answer is a failure.
    pub(super) within_ms: u32,
}

impl Step {
    /// A request of a class that takes the usual time.
    pub(super) fn of(class: &'static str, weight: u32) -> Self {
        let (work_ms, within_ms) = (WORK_MS, PATIENCE_MS);
        Self { name: class.to_owned(), weight, class, work_ms, tenant: None, within_ms }
    }

    /// The usual mixture.
    pub(super) fn mixture() -> Vec<Self> {
        CLASSES.map(|(class, weight)| Self::of(class, weight)).into()
    }
}

impl Scenario {
    fn text(&self, port: u16) -> String {
        let (name, seconds, grace_s) = (self.name, self.seconds, self.grace_s);
        let timeout_s = TIMEOUT_S.max(grace_s);
        let (model, level) = match self.pace {
            // As independent people arrive, and a connection for everyone who finds none free.
            Pace::Open(rate) => (
                "model = \"open\"\nspacing = \"poisson\"\nusers = { up_to = 10000 }",
                format!("rate = \"{rate}/s\""),
            ),
            Pace::Closed(users) => ("model = \"closed\"", format!("users = {users}")),
        };
        let mut text = format!(
            "name = \"{name}\"\ntarget = \"http://127.0.0.1:{port}\"\n{model}\nseed = 7\n\
             timeout = \"{timeout_s}s\"\ngrace = \"{grace_s}s\"\n\n[variables]\n\
             tenant = {{ choice = [\"a\", \"b\", \"c\", \"d\", \"e\", \"f\", \"g\", \"h\", \"i\"] }}\n\n\
             [[stage]]\nfor = \"{seconds}s\"\n{level}\n"
        );
        for step in &self.steps {
            let Step { name, weight, class, work_ms, tenant, within_ms } = step;
            let _ = write!(
                text,
                "\n[[step]]\nname = \"{name}\"\nweight = {weight}\npath = \"/work/{class}?ms={work_ms}\"\n\
                 expect = {{ status = 200, within = \"{within_ms}ms\", body = {{ length = 1024 }} }}\n"
            );
            if let Some(tenant) = tenant {
                let _ = writeln!(text, "headers = {{ x-tenant-id = \"{tenant}\" }}");
            }
        }
        text
    }

    /// Asks, and reads the report.
    pub(super) fn ask(&self, port: u16, built: &Built, scratch: &Path) -> Result<Report, Problem> {
        let file = scratch.join("scenario.toml");
        std::fs::write(&file, self.text(port)).problem("write a scenario")?;
        let report = scratch.join(OWN_REPORT);
        let mut command = pinned(LOAD_CORE, &built.tidegate)?;
        command.args(["load", "--quiet", "--threads", "1", "--json"]).arg(&report).arg(&file);
        // What it thinks of the result is not what is asked here, so its exit status says nothing.
        let output = command.output().problem("run tidegate load")?;
        let text = std::fs::read_to_string(&report);
        let _ = std::fs::remove_file(&report);
        let text = text.map_err(|_| {
            let said = String::from_utf8_lossy(&output.stderr).trim_end().to_owned();
            Problem::new(format!("tidegate load wrote no report\n{said}"))
        })?;
        let report: Report = serde_json::from_str(&text).problem("read the report of tidegate load")?;
        if let Some(limit) = &report.generator.limit {
            println!("warning: the generator was at its limit: {limit}");
        }
        Ok(report)
    }
}

/// What is read of a report of `tidegate load`.
#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct Report {
    pub(super) requests: u64,
    pub(super) succeeded: u64,
    /// Successes per second, over the time of the stages.
    pub(super) achieved_rate: f64,
    pub(super) statuses: std::collections::BTreeMap<u16, u64>,
    pub(super) by_status: std::collections::BTreeMap<u16, Times>,
    pub(super) response: Times,
    pub(super) failures: Vec<Failed>,
    pub(super) steps: Vec<OfStep>,
    pub(super) timeline: Vec<Moment>,
    pub(super) generator: Generator,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Deserialize)]
pub(super) struct Times {
    pub(super) p50_ms: f64,
    pub(super) p99_ms: f64,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub(super) struct Failed {
    pub(super) name: String,
    pub(super) count: u64,
}

#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct OfStep {
    pub(super) name: String,
    pub(super) requests: u64,
    pub(super) succeeded: u64,
    pub(super) response: Times,
}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
pub(super) struct Moment {
    pub(super) at_s: f64,
    pub(super) width_s: f64,
    pub(super) completed: u64,
    pub(super) failed: u64,
}

#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct Generator {
    limit: Option<String>,
}

impl Report {
    /// Answers with 200, however late.
    pub(super) fn admitted(&self) -> u64 {
        self.statuses.get(&200).copied().unwrap_or(0)
    }

    /// Answers with another status.
    pub(super) fn refused(&self) -> u64 {
        self.statuses.iter().filter(|(status, _)| **status != 200).map(|(_, count)| count).sum()
    }

    /// Times of answers with 200.
    pub(super) fn of_admitted(&self) -> Option<Times> {
        self.by_status.get(&200).copied()
    }

    /// Times of the most frequent refusal.
    pub(super) fn of_refused(&self) -> Option<Times> {
        let refusals = self.statuses.iter().filter(|(status, _)| **status != 200);
        let (status, _) = refusals.max_by_key(|(_, count)| **count)?;
        self.by_status.get(status).copied()
    }

    pub(super) fn step(&self, name: &str) -> Option<&OfStep> {
        self.steps.iter().find(|step| step.name == name)
    }

    /// Share of a step's requests that succeeded, 0 to 1.
    pub(super) fn success(&self, name: &str) -> Option<f64> {
        let step = self.step(name)?;
        (step.requests > 0).then(|| step.succeeded as f64 / step.requests as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scenarios_are_toml_with_every_step() {
        for pace in [Pace::Open(1200), Pace::Closed(8)] {
            let scenario = Scenario { name: "x", seconds: 60, pace, steps: Step::mixture(), grace_s: 6 };
            let table: toml::Table = scenario.text(1234).parse().expect("TOML");
            assert_eq!(table["step"].as_array().map(Vec::len), Some(3));
            assert!(table["model"].as_str().is_some_and(|model| ["open", "closed"].contains(&model)));
        }
    }

    #[test]
    fn classes_add_up_to_ten() {
        assert_eq!(CLASSES.map(|(_, weight)| weight).iter().sum::<u32>(), 10);
    }

    #[test]
    fn refusals_are_told_from_answers() {
        let text = r#"{"requests": 10, "succeeded": 3, "achieved_rate": 1,
            "statuses": {"200": 4, "429": 1, "503": 5}, "response": {"p50_ms": 1, "p99_ms": 2}, "failures": [],
            "by_status": {"200": {"p50_ms": 30, "p99_ms": 40}, "503": {"p50_ms": 1, "p99_ms": 2}},
            "steps": [{"name": "low", "requests": 4, "succeeded": 1, "response": {"p50_ms": 1, "p99_ms": 2}}],
            "timeline": [], "generator": {"limit": null}}"#;
        let report: Report = serde_json::from_str(text).expect("a report");
        assert_eq!((report.admitted(), report.refused()), (4, 6));
        assert_eq!(report.of_refused(), Some(Times { p50_ms: 1.0, p99_ms: 2.0 }));
        assert_eq!((report.success("low"), report.success("high")), (Some(0.25), None));
    }
}
