//! Which charts a report has, and what each of them shows.

use super::chart::{Band, Chart, Reading, Series};
use crate::report::axis::Axis;
use crate::report::{Latencies, Moment, Percentile, Report, figures};

/// A figure of a distribution.
type OfLatencies = fn(&Latencies) -> f64;
/// A figure of a moment.
type OfMoment<'a> = &'a dyn Fn(&Moment) -> f64;

/// Latency over time. `None` when nothing was measured.
pub fn latency(report: &Report) -> Option<Chart> {
    const PICKS: [(&str, &str, OfLatencies); 3] = [
        ("p50", "one", |latencies| latencies.p50_ms),
        ("p95", "two", |latencies| latencies.p95_ms),
        ("p99", "three", |latencies| latencies.p99_ms),
    ];
    let measured = report.timeline.iter().filter(|moment| moment.response.count > 0);
    let values = measured.clone().flat_map(|moment| PICKS.map(|(_, _, pick)| pick(&moment.response)));
    measured.clone().next()?;
    let series = PICKS.map(|(name, class, pick)| Series {
        name,
        class,
        filled: false,
        stretches: stretches(report, |moment| (moment.response.count > 0).then(|| pick(&moment.response))),
    });
    let (title, note) = match (&report.sockets, report.model.as_str()) {
        (Some(_), _) => ("Delivery time", "From sending a message to its arrival, by when it arrived."),
        (None, "closed") => ("Latency", "From sending to the end of the answer, by when it ended."),
        (None, _) => {
            ("Latency", "From the moment a request was due to the end of its answer, by when it ended.")
        }
    };
    let values_of = |moment: &Moment| {
        PICKS.map(|(_, _, pick)| match moment.response.count {
            0 => "nothing ended".to_owned(),
            _ => figures::time(pick(&moment.response)),
        })
    };
    let mut chart =
        over_time(report, title, note, Axis::times(values), series.into(), |m| values_of(m).into());
    chart.silent = silent(report);
    Some(chart)
}

/// What was asked per second and what came of it. `None` when there were no requests.
pub fn rates(report: &Report) -> Option<Chart> {
    let offered = |moment: &Moment| per_second(moment, moment.offered);
    let achieved = |moment: &Moment| per_second(moment, moment.completed.saturating_sub(moment.failed));
    let failed = |moment: &Moment| per_second(moment, moment.failed);
    // A line of failures along zero would read as if there had been some all the time.
    let shown = |class: &str, moment: &Moment| class != "bad" || moment.failed > 0;
    let any = report.timeline.iter().any(|moment| moment.offered + moment.completed > 0);
    let has_schedule = report.timeline.iter().any(|moment| moment.offered > 0);
    let has_failures = report.timeline.iter().any(|moment| moment.failed > 0);
    any.then_some(())?;
    let mut picks: Vec<(&str, &str, OfMoment<'_>)> = vec![("achieved", "one", &achieved)];
    if has_failures {
        picks.push(("failed", "bad", &failed));
    }
    if has_schedule {
        picks.push(("offered", "plan", &offered));
    }
    let most = report
        .timeline
        .iter()
        .flat_map(|moment| picks.iter().map(|pick| (pick.2)(moment)))
        .fold(0.0, f64::max);
    let series = picks.iter().map(|&(name, class, pick)| Series {
        name,
        class,
        filled: class != "plan",
        stretches: stretches(report, |moment| shown(class, moment).then(|| pick(moment))),
    });
    let sockets = report.sockets.is_some();
    let note = if sockets {
        "Attempts to open a socket per second, as they succeeded or failed."
    } else if has_schedule {
        "Requests per second: as they became due, and as they succeeded or failed."
    } else {
        "Requests per second, as they succeeded or failed. The next one waits for the answer before."
    };
    let values = |moment: &Moment| picks.iter().map(|pick| figures::rate((pick.2)(moment))).collect();
    Some(over_time(
        report,
        if sockets { "Openings" } else { "Rate" },
        note,
        Axis::linear(most, figures::rate),
        series.collect(),
        values,
    ))
}

/// Open connections over time. `None` when none was ever open.
pub fn open(report: &Report) -> Option<Chart> {
    let title = if report.sockets.is_some() { "Open sockets" } else { "Open connections" };
    let most = report.timeline.iter().map(|moment| moment.open).max().filter(|most| *most > 0)?;
    let note = "Most that were open at a time.";
    let values = |moment: &Moment| figures::count(moment.open);
    Some(area(report, title, note, Axis::counts(most as f64), |moment| moment.open as f64, values))
}

/// Messages that arrived on sockets. `None` when none did.
pub fn delivered(report: &Report) -> Option<Chart> {
    let pick = |moment: &Moment| per_second(moment, moment.delivered);
    let most = report.timeline.iter().map(pick).fold(0.0, f64::max);
    let note = "Messages that arrived per second.";
    let values = |moment: &Moment| figures::rate(pick(moment));
    (most > 0.0).then(|| area(report, "Messages", note, Axis::linear(most, figures::rate), pick, values))
}

/// The percentile curve. `None` when nothing was measured.
pub fn percentiles(report: &Report) -> Option<Chart> {
    let count = report.response.count;
    let x = Axis::percentiles(count);
    let within = |percentile: f64| Axis::nines(percentile).min((count.max(10) as f64).log10());
    let points = |pick: fn(&Percentile) -> f64| -> Vec<_> {
        // What lies below the first point is no longer than it.
        let begin = report.curve.first().map(|point| (0.0, pick(point)));
        begin
            .into_iter()
            .chain(report.curve.iter().map(|point| (within(point.percentile), pick(point))))
            .collect()
    };
    let (response, service) = (points(|point| point.response_ms), points(|point| point.service_ms));
    let values = response.iter().chain(&service).map(|point| point.1);
    values.clone().find(|value| *value > 0.0)?;
    let y = Axis::times(values);
    let closed = report.model == "closed";
    let sockets = report.sockets.is_some();
    let has_service = report.service.count > 0 && !closed && !sockets;
    let mut series =
        vec![Series { name: "response", class: "three", filled: has_service, stretches: vec![response] }];
    if has_service {
        series.push(Series { name: "service", class: "one", filled: true, stretches: vec![service] });
    }
    let note = if has_service {
        "Which share took no longer than this. Response counts from the due time, service from sending: what lies \
         between them is waiting."
    } else if sockets {
        "Which share of the sockets took no longer than this to open."
    } else if closed {
        "Which share took no longer than this, counted from sending."
    } else {
        "Which share took no longer than this."
    };
    let readings = report.curve.iter().map(|point| Reading {
        at: within(point.percentile),
        title: format!("{}%", trimmed(point.percentile)),
        values: if has_service {
            vec![figures::time(point.response_ms), figures::time(point.service_ms)]
        } else {
            vec![figures::time(point.response_ms)]
        },
    });
    let readings = readings.collect();
    Some(Chart {
        title: if sockets { "Opening times" } else { "Percentiles" },
        note: note.into(),
        x,
        y,
        series,
        bands: Vec::new(),
        silent: Vec::new(),
        readings,
    })
}

/// One area over time.
fn area(
    report: &Report,
    title: &'static str,
    note: &str,
    y: Axis,
    pick: impl Fn(&Moment) -> f64,
    value: impl Fn(&Moment) -> String,
) -> Chart {
    let stretches = stretches(report, |moment| Some(pick(moment)));
    let series = Series { name: title, class: "one", filled: true, stretches };
    over_time(report, title, note, y, vec![series], |moment| vec![value(moment)])
}

fn over_time(
    report: &Report,
    title: &'static str,
    note: &str,
    y: Axis,
    series: Vec<Series>,
    values: impl Fn(&Moment) -> Vec<String>,
) -> Chart {
    let readings = report.timeline.iter().map(|moment| Reading {
        at: moment.at_s + moment.width_s / 2.0,
        title: format!("{} to {}", figures::span(moment.at_s), figures::span(moment.at_s + moment.width_s)),
        values: values(moment),
    });
    let readings = readings.collect();
    let (x, bands) = (Axis::run(end_s(report)), bands(report));
    Chart { title, note: note.into(), x, y, series, bands, silent: Vec::new(), readings }
}

/// Stretches in which requests were due and none ended.
fn silent(report: &Report) -> Vec<(f64, f64)> {
    let silences = report.timeline.chunk_by(|one, other| one.is_silent() == other.is_silent());
    let silences = silences.filter_map(|stretch| match stretch {
        [first, .., last] if first.is_silent() => Some((first.at_s, last.at_s + last.width_s)),
        [only] if only.is_silent() => Some((only.at_s, only.at_s + only.width_s)),
        _ => None,
    });
    silences.collect()
}

/// When the run was over, which may be long before its plan was: somebody ended it, or it had enough requests.
fn end_s(report: &Report) -> f64 {
    let measured = report.timeline.last().map_or(0.0, |moment| moment.at_s + moment.width_s);
    if report.duration_s > 0.0 { report.duration_s } else { measured }
}

/// The stages, and the time after them in which answers were still waited for. One stage alone needs no mark.
fn bands(report: &Report) -> Vec<Band> {
    let end = end_s(report);
    let begun = report.stages.iter().filter(|stage| stage.from_s < end);
    let mut bands: Vec<Band> = begun
        .map(|stage| Band { name: stage.name.clone(), from: stage.from_s, to: stage.to_s.min(end) })
        .collect();
    let planned = report.stages.last().map_or(0.0, |stage| stage.to_s);
    if end > planned * 1.02 && planned > 0.0 {
        bands.push(Band { name: "last answers".into(), from: planned, to: end });
    }
    if bands.len() > 1 { bands } else { Vec::new() }
}

/// The points of a line over time. A stretch reaches from the beginning of its first moment to the end of its last,
/// so that a single moment is a line too.
fn stretches(report: &Report, pick: impl Fn(&Moment) -> Option<f64>) -> Vec<Vec<(f64, f64)>> {
    let mut stretches = Vec::new();
    for moments in report.timeline.chunk_by(|one, other| pick(one).is_some() == pick(other).is_some()) {
        let points: Vec<_> = (moments.iter())
            .filter_map(|moment| pick(moment).map(|value| (moment.at_s + moment.width_s / 2.0, value)))
            .collect();
        if let (Some(first), Some(last), [begin, ..], [.., end]) =
            (points.first(), points.last(), moments, moments)
        {
            let mut stretch = vec![(begin.at_s, first.1)];
            stretch.extend(&points);
            stretch.push((end.at_s + end.width_s, last.1));
            stretches.push(stretch);
        }
    }
    stretches
}

fn per_second(moment: &Moment, count: u64) -> f64 {
    if moment.width_s > 0.0 { count as f64 / moment.width_s } else { 0.0 }
}

/// A percentile without idle decimals.
fn trimmed(percentile: f64) -> String {
    let text = format!("{percentile:.5}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
