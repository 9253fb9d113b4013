//! The JSON report: written for programs and for `load compare` and `load merge`, which read it again.

use serde::Deserialize;

use super::summary::VERSION;
use super::{Planned, Report};
use crate::threshold::Threshold;

/// Longest JSON report that is read, in bytes. The largest that is written has 1,000 steps and is far below.
pub const LONGEST_BYTES: usize = 256 << 20;

/// A report as JSON, with a line feed at its end.
pub fn write(report: &Report) -> String {
    let mut text = serde_json::to_string_pretty(report).expect("a report has text keys and finite numbers");
    text.push('\n');
    text
}

/// Reads a report.
///
/// # Errors
/// What is wrong with it, in one sentence.
pub fn read(text: &str) -> Result<Report, String> {
    /// The version is looked at first, because a later one may differ in everything else.
    #[derive(Deserialize)]
    struct Versioned {
        version: u32,
    }
    if text.len() > LONGEST_BYTES {
        return Err(format!("it is longer than {} MiB, so it is no report", LONGEST_BYTES >> 20));
    }
    let Versioned { version } = serde_json::from_str(text)
        .map_err(|error| format!("it is not a JSON report of tidegate load: {error}"))?;
    if version != VERSION {
        return Err(format!(
            "it has version {version} of the format, and this tidegate reads version {VERSION}"
        ));
    }
    let report: Report = serde_json::from_str(text).map_err(|error| format!("it is broken: {error}"))?;
    checked(report)
}

/// Refuses what serde lets pass and later sums would choke on.
fn checked(report: Report) -> Result<Report, String> {
    let in_range = |value: f64| (0.0..=1e12).contains(&value);
    let in_order = |stage: &Planned| {
        let levels = in_range(stage.from) && in_range(stage.to);
        levels && in_range(stage.from_s) && in_range(stage.to_s) && stage.from_s <= stage.to_s
    };
    if !in_range(report.duration_s) || !report.stages.iter().all(in_order) {
        return Err("it is broken: its stages are not in order".to_owned());
    }
    if !(0.0..=1.0).contains(&report.generator.cpu) {
        return Err("it is broken: the generator's share of CPU is not between 0 and 1".to_owned());
    }
    if let Some(bad) = report.thresholds.iter().find_map(|judged| Threshold::parse(&judged.text).err()) {
        return Err(format!("it is broken: {bad}"));
    }
    Ok(report)
}
