//! What people and programs get to see of a run: one [`Report`], shown as text, HTML, JSON or JUnit.

pub(crate) mod axis;
pub mod figures;
mod findings;
pub mod html;
pub mod json;
pub mod junit;
mod merge;
mod summary;
pub mod text;

use std::collections::BTreeMap;

pub use merge::{MOST_REPORTS, merge};
use serde::{Deserialize, Serialize};
pub use summary::VERSION;

use crate::record::Record;

/// A whole run, summed up. This is the JSON report, field for field; the other forms are drawn from it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Report {
    /// Version of this format.
    pub version: u32,
    /// Name of the scenario, or the URL.
    pub name: String,
    /// Who was asked: `http://127.0.0.1:8080`.
    pub target: String,
    /// `open` or `closed`.
    pub model: String,
    /// When the run began (RFC 3339, UTC).
    pub started_at: String,
    /// How long it took, in seconds.
    pub duration_s: f64,
    /// Whether it passed.
    pub verdict: Verdict,
    /// Why the verdict is what it is, in one sentence.
    pub reason: String,
    /// Every threshold and what was measured.
    pub thresholds: Vec<Judged>,
    /// Requests that were due per second, over the time of the stages (closed model: that came to an end).
    pub offered_rate: f64,
    /// Requests that succeeded per second, over the time of the stages.
    pub achieved_rate: f64,
    /// Requests that came to an end, one way or the other.
    pub requests: u64,
    /// Those that succeeded.
    pub succeeded: u64,
    /// Share of requests that succeeded, 0 to 1.
    pub success: f64,
    /// Bytes of answers, heads and framing included.
    pub received_bytes: u64,
    /// Bytes of requests.
    pub sent_bytes: u64,
    /// From the due time to the end of the answer (closed model: from sending).
    pub response: Latencies,
    /// From sending to the end of the answer.
    pub service: Latencies,
    /// How late the generator itself was.
    pub lag: Latencies,
    /// Establishing connections.
    pub connect: Latencies,
    /// How requests failed, most frequent first.
    pub failures: Vec<Failed>,
    /// Answers by status.
    pub statuses: BTreeMap<u16, u64>,
    /// Response times of answers by status.
    #[serde(default)]
    pub by_status: BTreeMap<u16, Latencies>,
    /// By step, in the order of the scenario.
    pub steps: Vec<Step>,
    /// The stages as planned.
    pub stages: Vec<Planned>,
    /// How it went over time.
    pub timeline: Vec<Moment>,
    /// The percentile curve.
    pub curve: Vec<Percentile>,
    /// Messages, when sockets were opened.
    pub sockets: Option<Sockets>,
    /// What the generator itself took.
    pub generator: Generator,
    /// Everything that was recorded, for merging and comparing.
    pub record: Record,
}

/// Whether a run passed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Every threshold holds. Exit code 0.
    Pass,
    /// A threshold does not hold. Exit code 1.
    Fail,
    /// A threshold does not hold, and the generator was the limit: it says nothing about the target. Exit code 2.
    Inconclusive,
}

/// A threshold and what was measured.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Judged {
    /// As it was written: `p95 < 100ms`.
    pub text: String,
    /// What was measured, with its unit: `87.2 ms`.
    pub measured: String,
    /// Whether it holds.
    pub holds: bool,
}

/// A distribution of times, in milliseconds. All zero when nothing was measured.
#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Latencies {
    /// How many were measured.
    pub count: u64,
    /// Mean.
    pub mean_ms: f64,
    /// Shortest.
    pub min_ms: f64,
    /// Median.
    pub p50_ms: f64,
    /// 75 % are no longer.
    pub p75_ms: f64,
    /// 90 % are no longer.
    pub p90_ms: f64,
    /// 95 % are no longer.
    pub p95_ms: f64,
    /// 99 % are no longer.
    pub p99_ms: f64,
    /// 99.9 % are no longer.
    pub p999_ms: f64,
    /// Longest.
    pub max_ms: f64,
}

/// How often something failed.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Failed {
    /// Name of the [`Failure`](crate::failure::Failure).
    pub name: String,
    /// What it means.
    pub meaning: String,
    /// How often.
    pub count: u64,
}

/// One step of the scenario.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Step {
    /// Its name.
    pub name: String,
    /// Requests that came to an end.
    pub requests: u64,
    /// Those that succeeded.
    pub succeeded: u64,
    /// Answers by status.
    pub statuses: BTreeMap<u16, u64>,
    /// How requests failed, most frequent first.
    pub failures: Vec<Failed>,
    /// From the due time.
    pub response: Latencies,
    /// From sending.
    pub service: Latencies,
}

/// A stage as planned.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Planned {
    /// Its name.
    pub name: String,
    /// When it begins, in seconds from the beginning of the run.
    pub from_s: f64,
    /// When it ends.
    pub to_s: f64,
    /// Level at its beginning: requests per second, users or sockets.
    pub from: f64,
    /// Level at its end.
    pub to: f64,
}

/// A stretch of the run.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Moment {
    /// Where it begins, in seconds from the beginning of the run.
    pub at_s: f64,
    /// How long it is.
    pub width_s: f64,
    /// Requests that were due in it.
    pub offered: u64,
    /// Requests that ended in it.
    pub completed: u64,
    /// Those of them that failed.
    pub failed: u64,
    /// Most connections that were open in it.
    pub open: u64,
    /// Messages that arrived in it on sockets.
    pub delivered: u64,
    /// Response times (with sockets: delivery times) of what ended in it.
    pub response: Latencies,
}

/// A point of the percentile curve.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct Percentile {
    /// 0 to 100.
    pub percentile: f64,
    /// From the due time.
    pub response_ms: f64,
    /// From sending.
    pub service_ms: f64,
}

/// Messages over sockets.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Sockets {
    /// Sockets that were opened.
    pub opened: u64,
    /// Attempts that failed.
    pub not_opened: u64,
    /// Sockets that the target ended or that broke.
    pub disconnected: u64,
    /// Most that were open at a time.
    pub most_open: u64,
    /// Messages sent.
    pub published: u64,
    /// Marked messages that arrived.
    pub delivered: u64,
    /// Messages without a mark that arrived.
    pub received: u64,
    /// Deliveries that were due and did not come.
    pub lost: u64,
    /// Deliveries that came twice.
    pub duplicated: u64,
    /// Deliveries that came after a later one.
    pub reordered: u64,
    /// From sending to receiving.
    pub delivery: Latencies,
}

/// What the generator itself took.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Generator {
    /// Processes.
    pub processes: u32,
    /// Threads of all processes.
    pub threads: u32,
    /// Share of the time of its threads that was spent on a core, 0 to 1.
    pub cpu: f64,
    /// Resident memory of all processes at the end, in bytes.
    pub resident_bytes: u64,
    /// Why the generator was the limit of this run; `None`: it was not. Given to [`Report::new`] as `None`, it is found
    /// there from lag and CPU.
    pub limit: Option<String>,
}
