//! From what was recorded to what is reported: every figure of a [`Report`] and its verdict are computed here, for a
//! run that has just ended and for reports that are merged alike.

use std::time::{Duration, SystemTime};

use crate::plan::{Model, Plan, Stage, Work};
use crate::record::{Failures, Fine, OfStep, Record, Statuses, Stretch, Times};
use crate::report::{
    Failed, Generator, Judged, Latencies, Moment, Percentile, Planned, Report, Sockets, Step, Verdict,
    figures,
};
use crate::threshold::Threshold;

/// Version of the JSON report that is written and read.
pub const VERSION: u32 = 1;
/// A generator that is later than this with one request in a hundred is the limit of its run, in milliseconds.
const LATEST_LAG_MS: f64 = 1.0;
/// A generator whose threads spend more of their time on a core is the limit of its run.
const BUSIEST_CPU: f64 = 0.8;
/// Thresholds that do not hold and are named in the reason.
const MOST_NAMED: usize = 3;
/// Points of the percentile curve: dense where people look.
const CURVE: [f64; 40] = [
    0.0, 10.0, 20.0, 30.0, 40.0, 50.0, 60.0, 70.0, 75.0, 80.0, 85.0, 90.0, 93.0, 95.0, 96.0, 97.0, 98.0,
    98.5, 99.0, 99.3, 99.5, 99.6, 99.7, 99.8, 99.85, 99.9, 99.93, 99.95, 99.96, 99.97, 99.98, 99.985, 99.99,
    99.993, 99.995, 99.996, 99.997, 99.998, 99.9985, 99.999,
];

/// What is known of a run beside what was recorded.
pub(super) struct Basis {
    pub name: String,
    pub target: String,
    /// `open` or `closed`.
    pub model: String,
    pub started_at: String,
    pub duration_s: f64,
    pub stages: Vec<Planned>,
    pub thresholds: Vec<Threshold>,
    pub has_sockets: bool,
    pub generator: Generator,
}

impl Report {
    /// Sums up a run of `plan` that began at `started_at` and took `took` until its last part was done.
    ///
    /// [`Generator::limit`] may say already why the generator was the limit; else it is found here from its lag and
    /// its share of CPU.
    pub fn new(
        plan: &Plan,
        record: Record,
        started_at: SystemTime,
        took: Duration,
        generator: Generator,
    ) -> Self {
        let basis = Basis {
            name: plan.name.clone(),
            target: plan.target.origin.clone(),
            model: if matches!(plan.model, Model::Open(_)) { "open" } else { "closed" }.to_owned(),
            started_at: rfc3339(started_at),
            duration_s: took.as_secs_f64(),
            stages: planned(&plan.stages),
            thresholds: plan.thresholds.clone(),
            has_sockets: matches!(plan.work, Work::Sockets(_)),
            generator,
        };
        basis.summarised(record)
    }

    /// Time over which load was made, in seconds: that of the stages, or less when the run ended before them.
    pub fn stages_s(&self) -> f64 {
        stages_s(&self.stages, self.duration_s, &self.record)
    }
}

impl Verdict {
    /// What `tidegate load` ends with.
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::Pass => 0,
            Self::Fail => 1,
            Self::Inconclusive => 2,
        }
    }
}

impl Latencies {
    /// The figures of a distribution.
    pub fn of<const DIGITS: u8>(times: &Times<DIGITS>) -> Self {
        let at = |quantile| times.quantile_ms(quantile).unwrap_or(0.0);
        Self {
            count: times.count(),
            mean_ms: times.mean_ms().unwrap_or(0.0),
            min_ms: times.min_ms().unwrap_or(0.0),
            p50_ms: at(0.5),
            p75_ms: at(0.75),
            p90_ms: at(0.9),
            p95_ms: at(0.95),
            p99_ms: at(0.99),
            p999_ms: at(0.999),
            max_ms: times.max_ms().unwrap_or(0.0),
        }
    }
}

impl Basis {
    /// The report of a run that recorded this.
    pub(super) fn summarised(self, record: Record) -> Report {
        let stages_s = stages_s(&self.stages, self.duration_s, &record);
        let per_second = |count: u64| if stages_s > 0.0 { count as f64 / stages_s } else { 0.0 };
        let generator = Generator { limit: limit(&self.generator, &record), ..self.generator };
        let thresholds: Vec<_> =
            self.thresholds.iter().map(|threshold| threshold.judge(&record, stages_s)).collect();
        let (verdict, reason) = verdict(&thresholds, generator.limit.as_deref());
        let (response, service) = (record.response(), record.service());
        let (requests, succeeded) = (record.requests(), record.succeeded());
        Report {
            version: VERSION,
            offered_rate: per_second(if self.model == "open" { record.due } else { requests }),
            achieved_rate: per_second(record.succeeded_in_time()),
            requests,
            succeeded,
            success: if requests > 0 { succeeded as f64 / requests as f64 } else { 0.0 },
            received_bytes: record.received_bytes,
            sent_bytes: record.sent_bytes,
            response: Latencies::of(&response),
            service: Latencies::of(&service),
            lag: Latencies::of(&record.lag),
            connect: Latencies::of(&record.connect),
            failures: failed(&record.failures()),
            statuses: by_status(&record.statuses()),
            by_status: record
                .by_status
                .iter()
                .map(|(status, times)| (status, Latencies::of(times)))
                .collect(),
            steps: record.steps.iter().map(step).collect(),
            timeline: timeline(&record, self.duration_s, self.has_sockets),
            curve: curve(&response, &service),
            sockets: self.has_sockets.then(|| sockets(&record)),
            name: self.name,
            target: self.target,
            model: self.model,
            started_at: self.started_at,
            duration_s: self.duration_s,
            verdict,
            reason,
            thresholds,
            stages: self.stages,
            generator,
            record,
        }
    }
}

/// Why the generator was the limit; `None`: it was not.
fn limit(generator: &Generator, record: &Record) -> Option<String> {
    if generator.limit.is_some() {
        return generator.limit.clone();
    }
    let lag = record.lag.quantile_ms(0.99).filter(|lag| *lag > LATEST_LAG_MS);
    let lag = lag.map(|lag| {
        let (lag, most) = (figures::time(lag), figures::time(LATEST_LAG_MS));
        format!("it sent late itself: its lag had a p99 of {lag}, more than {most}")
    });
    lag.or_else(|| {
        (generator.cpu > BUSIEST_CPU).then(|| {
            let (cpu, most) = (figures::percent(generator.cpu), figures::percent(BUSIEST_CPU));
            format!("its threads used {cpu} of their cores, more than {most}")
        })
    })
}

/// The verdict and why. A busy generator can only make figures worse, so a pass stands.
fn verdict(thresholds: &[Judged], limit: Option<&str>) -> (Verdict, String) {
    let broken: Vec<&Judged> = thresholds.iter().filter(|judged| !judged.holds).collect();
    let Some(first) = broken.first() else {
        let all = match thresholds.len() {
            1 => "the threshold holds".to_owned(),
            number => format!("all {number} thresholds hold"),
        };
        let reason = match limit {
            Some(limit) => format!("{all}, although the generator was at its limit: {limit}"),
            None => all,
        };
        return (Verdict::Pass, reason);
    };
    let named: Vec<String> = broken
        .iter()
        .take(MOST_NAMED)
        .map(|judged| format!("{} ({})", judged.text, judged.measured))
        .collect();
    let named = named.join(", ");
    let broken = match broken.len() {
        1 => format!("{} does not hold ({})", first.text, first.measured),
        number if number > MOST_NAMED => format!("{number} thresholds do not hold: {named} and others"),
        number => format!("{number} thresholds do not hold: {named}"),
    };
    match limit {
        Some(limit) => (
            Verdict::Inconclusive,
            format!(
                "{broken}, but the generator was the limit, so this says nothing about the target: {limit}"
            ),
        ),
        None => (Verdict::Fail, broken),
    }
}

fn stages_s(stages: &[Planned], duration_s: f64, record: &Record) -> f64 {
    let planned_s = stages.last().map_or(duration_s, |stage| stage.to_s);
    if duration_s >= planned_s {
        return planned_s;
    }
    // It ended early: by its number of requests, or it was told to. What its threads took to part does not count.
    let last_end_s = Duration::from_nanos(record.last_end).as_secs_f64();
    if last_end_s > 0.0 { last_end_s.min(duration_s) } else { duration_s }
}

fn planned(stages: &[Stage]) -> Vec<Planned> {
    let mut from = Duration::ZERO;
    let mut planned = Vec::with_capacity(stages.len());
    for stage in stages {
        let to = from + stage.duration;
        planned.push(Planned {
            name: stage.name.clone(),
            from_s: from.as_secs_f64(),
            to_s: to.as_secs_f64(),
            from: stage.from,
            to: stage.to,
        });
        from = to;
    }
    planned
}

fn failed(failures: &Failures) -> Vec<Failed> {
    let named = |(failure, count): (crate::failure::Failure, u64)| Failed {
        name: failure.name().to_owned(),
        meaning: failure.meaning().to_owned(),
        count,
    };
    failures.ranked().into_iter().map(named).collect()
}

fn by_status(statuses: &Statuses) -> std::collections::BTreeMap<u16, u64> {
    statuses.iter().collect()
}

fn step(step: &OfStep) -> Step {
    Step {
        name: step.name.clone(),
        requests: step.requests,
        succeeded: step.succeeded,
        statuses: by_status(&step.statuses),
        failures: failed(&step.failures),
        response: Latencies::of(&step.response),
        service: Latencies::of(&step.service),
    }
}

fn sockets(record: &Record) -> Sockets {
    let sockets = &record.sockets;
    Sockets {
        opened: record.connect.count(),
        not_opened: record.not_connected.total(),
        disconnected: sockets.disconnected,
        most_open: record.most_open(),
        published: sockets.published,
        delivered: sockets.delivery.count(),
        received: sockets.received,
        lost: sockets.lost,
        duplicated: sockets.duplicated,
        reordered: sockets.reordered,
        delivery: Latencies::of(&sockets.delivery),
    }
}

/// Every stretch from the beginning to the last one in which something happened, silent ones included.
fn timeline(record: &Record, duration_s: f64, has_sockets: bool) -> Vec<Moment> {
    let width_s = Duration::from_nanos(record.timeline.width()).as_secs_f64();
    let open = record.timeline.open();
    let mut known = record.timeline.stretches().iter().peekable();
    let silent = Stretch::default();
    (0..open.len())
        .map(|index| {
            let stretch = known.next_if(|stretch| stretch.index as usize == index).unwrap_or(&silent);
            let at_s = index as f64 * width_s;
            let left_s = ((duration_s - at_s) * 1e9).round() / 1e9;
            Moment {
                at_s,
                // The last one ends with the run.
                width_s: if left_s > 0.0 { width_s.min(left_s) } else { width_s },
                offered: stretch.due,
                completed: stretch.ended,
                failed: stretch.failed,
                open: open[index],
                delivered: stretch.delivered,
                response: Latencies::of(if has_sockets { &stretch.delivery } else { &stretch.response }),
            }
        })
        .collect()
}

/// The percentile curve as far as it rests on requests: a percentile beyond which less than one lies tells nothing.
fn curve(response: &Fine, service: &Fine) -> Vec<Percentile> {
    let count = response.count() as f64;
    let rests = |percentile: &&f64| count * (1.0 - **percentile / 100.0) >= 1.0 - 1e-9;
    let point = |percentile: &f64| Percentile {
        percentile: *percentile,
        response_ms: response.quantile_ms(percentile / 100.0).unwrap_or(0.0),
        service_ms: service.quantile_ms(percentile / 100.0).unwrap_or(0.0),
    };
    CURVE.iter().take_while(rests).map(point).collect()
}

/// A moment as RFC 3339 has it, in UTC and whole seconds. Before 1970: 1970.
fn rfc3339(at: SystemTime) -> String {
    let unix_s = at.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let (days, second) = (unix_s / 86_400, unix_s % 86_400);
    // Years that begin in March put the leap day last; 400 of them have 146,097 days.
    let day = days + 719_468;
    let (era, of_era) = (day / 146_097, day % 146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let from_march = (5 * of_year + 2) / 153;
    let of_month = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    let year = era * 400 + year + u64::from(month <= 2);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{of_month:02}T{hour:02}:{minute:02}:{second:02}Z")
}
