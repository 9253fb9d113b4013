//! Reports of runs that went on at the same time, as one: records are merged, and every figure and the verdict are
//! computed again. Percentiles are never averaged.

use super::summary::Basis;
use super::{Generator, Planned, Report};
use crate::record::Record;
use crate::threshold::Threshold;

/// Most reports that are merged at once.
pub const MOST_REPORTS: usize = 1000;

/// Makes one report of several runs of the same scenario that went on at the same time, such as from several
/// machines: their rates add up.
///
/// # Errors
/// Why these reports do not belong together.
pub fn merge(reports: &[Report]) -> Result<Report, String> {
    let Some((first, others)) = reports.split_first() else {
        return Err("there is no report to merge: name at least one".to_owned());
    };
    if reports.len() > MOST_REPORTS {
        return Err(format!("there are {} reports: merge at most {MOST_REPORTS}", reports.len()));
    }
    for (place, other) in others.iter().enumerate() {
        if let Some(difference) = difference(first, other) {
            return Err(format!("report {} does not belong to the first: {difference}", place + 2));
        }
    }
    let mut record = Record::default();
    let mut generator = Generator::default();
    let mut busy = 0.0;
    for report in reports {
        record.merge_run(&report.record);
        let own = &report.generator;
        generator.processes = generator.processes.saturating_add(own.processes);
        generator.threads = generator.threads.saturating_add(own.threads);
        generator.resident_bytes = generator.resident_bytes.saturating_add(own.resident_bytes);
        busy += own.cpu * f64::from(own.threads);
        // One part that was at its limit is enough: the others cannot make up for what it did not ask.
        generator.limit = generator.limit.or_else(|| own.limit.clone());
    }
    generator.cpu = if generator.threads > 0 { busy / f64::from(generator.threads) } else { 0.0 };
    let basis = Basis {
        name: first.name.clone(),
        target: first.target.clone(),
        model: first.model.clone(),
        started_at: reports
            .iter()
            .map(|report| report.started_at.as_str())
            .min()
            .unwrap_or_default()
            .to_owned(),
        duration_s: reports.iter().map(|report| report.duration_s).fold(0.0, f64::max),
        stages: stages(reports),
        thresholds: thresholds(first)?,
        has_sockets: first.sockets.is_some(),
        generator,
    };
    Ok(basis.summarised(record))
}

/// The first thing in which two runs are not the same scenario.
fn difference(a: &Report, b: &Report) -> Option<String> {
    let named = |what: &str, a: &str, b: &str| (a != b).then(|| format!("its {what} is {b}, not {a}"));
    let steps =
        |report: &Report| -> Vec<String> { report.steps.iter().map(|step| step.name.clone()).collect() };
    let times = |report: &Report| -> Vec<(String, f64, f64)> {
        report.stages.iter().map(|stage| (stage.name.clone(), stage.from_s, stage.to_s)).collect()
    };
    let texts =
        |report: &Report| -> Vec<String> { report.thresholds.iter().map(|t| t.text.clone()).collect() };
    named("scenario", &a.name, &b.name)
        .or_else(|| named("model", &a.model, &b.model))
        .or_else(|| (steps(a) != steps(b)).then(|| "it has other steps".to_owned()))
        .or_else(|| (times(a) != times(b)).then(|| "its stages are others".to_owned()))
        .or_else(|| (texts(a) != texts(b)).then(|| "its thresholds are others".to_owned()))
        .or_else(|| {
            let differ = a.sockets.is_some() != b.sockets.is_some();
            differ.then(|| "only one of the two opened sockets".to_owned())
        })
}

/// The stages of all runs together: their levels add up.
fn stages(reports: &[Report]) -> Vec<Planned> {
    let mut stages = reports[0].stages.clone();
    for report in &reports[1..] {
        for (sum, stage) in stages.iter_mut().zip(&report.stages) {
            sum.from += stage.from;
            sum.to += stage.to;
        }
    }
    stages
}

fn thresholds(report: &Report) -> Result<Vec<Threshold>, String> {
    let parse = |judged: &super::Judged| Threshold::parse(&judged.text).map_err(|bad| bad.to_string());
    report.thresholds.iter().map(parse).collect()
}
