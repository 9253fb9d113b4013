//! What has to hold for a run to pass, and whether it did.
//!
//! ```text
//! METRIC[(STEP)] OP VALUE        success >= 99.9%    p99(search) < 25ms    rate >= 20000/s    failure.timeout == 0
//! ```

mod metric;
mod parse;

use std::fmt;
use std::ops::Range;

use crate::record::{Fine, OfStep, Record};
use crate::report::Judged;
use metric::{Counted, Group, Kind, Metric, Scope, Stat};

/// One condition: `success >= 99.9%`, `p95 < 100ms`, `p99(search) < 25ms`, `rate >= 20000/s`.
#[derive(Clone, PartialEq, Debug)]
pub struct Threshold {
    metric: Metric,
    step: Option<String>,
    op: Op,
    bound: Bound,
}

/// What is wrong with a threshold.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BadThreshold {
    /// The threshold as it was written.
    pub text: String,
    /// Which bytes of it are wrong.
    pub at: Range<usize>,
    /// What is wrong.
    pub what: String,
    /// How to mend it.
    pub mend: String,
}

impl fmt::Display for BadThreshold {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "threshold \"{}\": {}: {}", self.text, self.what, self.mend)
    }
}

impl std::error::Error for BadThreshold {}

/// How what was measured compares with the bound.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Op {
    Below,
    AtMost,
    Above,
    AtLeast,
    Equal,
}

impl Op {
    const ALL: [Self; 5] = [Self::AtMost, Self::AtLeast, Self::Equal, Self::Below, Self::Above];

    const fn sign(self) -> &'static str {
        match self {
            Self::Below => "<",
            Self::AtMost => "<=",
            Self::Above => ">",
            Self::AtLeast => ">=",
            Self::Equal => "==",
        }
    }

    fn holds(self, measured: f64, bound: f64) -> bool {
        // A billionth: what is lost between text, binary fractions and sums of them.
        let close = (measured - bound).abs() <= bound.abs() * 1e-9;
        match self {
            Self::Below => measured < bound && !close,
            Self::AtMost => measured <= bound || close,
            Self::Above => measured > bound && !close,
            Self::AtLeast => measured >= bound || close,
            Self::Equal => close,
        }
    }
}

/// A value as it was written.
#[derive(Clone, Copy, PartialEq, Debug)]
struct Bound {
    number: f64,
    unit: Unit,
}

/// What a value counts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Unit {
    Plain,
    Percent,
    PerSecond,
    Micros,
    Millis,
    Seconds,
    Minutes,
}

impl Unit {
    const ALL: [Self; 7] = [
        Self::Percent,
        Self::PerSecond,
        Self::Micros,
        Self::Millis,
        Self::Seconds,
        Self::Minutes,
        Self::Plain,
    ];

    const fn name(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Percent => "%",
            Self::PerSecond => "/s",
            Self::Micros => "us",
            Self::Millis => "ms",
            Self::Seconds => "s",
            Self::Minutes => "m",
        }
    }

    /// What one of it is in milliseconds, per second, of one, or times.
    const fn factor(self) -> f64 {
        match self {
            Self::Plain | Self::PerSecond | Self::Millis => 1.0,
            Self::Percent => 0.01,
            Self::Micros => 0.001,
            Self::Seconds => 1000.0,
            Self::Minutes => 60_000.0,
        }
    }
}

impl fmt::Display for Threshold {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}", self.metric)?;
        if let Some(step) = &self.step {
            write!(out, "({step})")?;
        }
        write!(out, " {} {}{}", self.op.sign(), self.bound.number, self.bound.unit.name())
    }
}

impl Threshold {
    /// What has to hold when nothing else was written: `success >= 99.9%`.
    pub fn usual() -> Self {
        Self::parse("success >= 99.9%").expect("it is a threshold")
    }

    /// Whether the step that is meant exists.
    ///
    /// # Errors
    /// What is wrong, with the nearest step there is.
    pub fn check_steps(&self, steps: &[String]) -> Result<(), BadThreshold> {
        let Some(step) = self.step.as_ref().filter(|step| !steps.contains(step)) else { return Ok(()) };
        let text = self.to_string();
        let from = text.find('(').map_or(0, |open| open + 1);
        let known: Vec<&str> = steps.iter().map(String::as_str).collect();
        let mend = match parse::nearest(step, &known) {
            Some(near) => format!("did you mean \"{near}\"?"),
            None => format!("the steps are {}", parse::listed(&known)),
        };
        Err(BadThreshold {
            at: from..from + step.len(),
            what: format!("no step is called \"{step}\""),
            mend,
            text,
        })
    }

    /// Whether it holds for what was recorded; `stages_s` is the time over which load was made, in seconds.
    /// Where nothing was measured, nothing holds.
    pub fn judge(&self, record: &Record, stages_s: f64) -> Judged {
        let measured = self.measure(record, stages_s);
        let bound = self.bound.number * self.bound.unit.factor();
        let holds = measured.is_some_and(|measured| self.op.holds(measured, bound));
        let measured = measured.map_or_else(|| "nothing measured".to_owned(), |value| self.show(value));
        Judged { text: self.to_string(), measured, holds }
    }

    /// What was measured, in the unit that bounds are converted to. `None`: nothing was.
    fn measure(&self, record: &Record, stages_s: f64) -> Option<f64> {
        let whole;
        let step = if let Some(name) = &self.step {
            record.steps.iter().find(|step| step.name == *name)?
        } else {
            whole = whole_of(record, self.metric);
            &whole
        };
        let asked = |value: u64| (step.requests > 0).then_some(value as f64);
        match self.metric {
            Metric::Success => asked(step.succeeded).map(|succeeded| succeeded / step.requests as f64),
            Metric::Failures => asked(step.requests.saturating_sub(step.succeeded)).map(|failed| {
                if self.bound.unit == Unit::Percent { failed / step.requests as f64 } else { failed }
            }),
            Metric::Rate => (stages_s > 0.0).then(|| step.succeeded_in_time as f64 / stages_s),
            Metric::Requests => Some(step.requests as f64),
            Metric::Time(group, stat) => stat.of(match group {
                Group::Response => &step.response,
                Group::Service => &step.service,
                Group::Connect => &record.connect,
                Group::Lag => &record.lag,
                Group::Delivery => &record.sockets.delivery,
            }),
            Metric::Failure(failure) => asked(step.failures.count(failure)),
            Metric::Status(status) => asked(step.statuses.count(status)),
            Metric::Counted(counted) => counted.of(record).map(|count| count as f64),
        }
    }

    /// A measured value with its unit, and with enough digits to see on which side of the bound it lies.
    fn show(&self, value: f64) -> String {
        match (self.metric.kind(), self.bound.unit) {
            (Kind::Time, _) if value >= 1000.0 => format!("{:.3} s", value / 1000.0),
            (Kind::Time, _) => format!("{value:.3} ms"),
            (Kind::Share, _) | (Kind::CountOrShare, Unit::Percent) => show_share(value),
            (Kind::Rate, _) => format!("{value:.1}/s"),
            (Kind::Count | Kind::CountOrShare, _) => format!("{value}"),
        }
    }
}

/// A share in percent with as many digits as it takes to tell it from all and from nothing.
fn show_share(share: f64) -> String {
    let percent = share * 100.0;
    for digits in 2..8 {
        let text = format!("{percent:.digits$}");
        let shown: f64 = text.parse().unwrap_or(percent);
        let is_told_apart = (shown < 100.0 || share >= 1.0) && (shown > 0.0 || share <= 0.0);
        if is_told_apart {
            return format!("{text}%");
        }
    }
    format!("{percent}%")
}

/// All steps as one, as far as `metric` needs it: merging distributions costs more than all the rest.
fn whole_of(record: &Record, metric: Metric) -> OfStep {
    let times = |group: Group, times: &dyn Fn() -> Fine| match metric {
        Metric::Time(wanted, _) if wanted == group => times(),
        _ => Fine::default(),
    };
    OfStep {
        name: String::new(),
        requests: record.requests(),
        succeeded: record.succeeded(),
        succeeded_in_time: record.succeeded_in_time(),
        statuses: record.statuses(),
        failures: record.failures(),
        response: times(Group::Response, &|| record.response()),
        service: times(Group::Service, &|| record.service()),
    }
}

impl Stat {
    fn of(self, times: &Fine) -> Option<f64> {
        match self {
            Self::Mean => times.mean_ms(),
            Self::Min => times.min_ms(),
            Self::Max => times.max_ms(),
            Self::Percentile(percent) => times.quantile_ms(percent / 100.0),
        }
    }
}

impl Counted {
    /// `None`: there was nothing that could have been counted.
    fn of(self, record: &Record) -> Option<u64> {
        let sockets = &record.sockets;
        let some = |happened: bool, count: u64| happened.then_some(count);
        let messages = sockets.published > 0 || sockets.received > 0 || !sockets.delivery.is_empty();
        match self {
            Self::Lost => some(messages, sockets.lost),
            Self::Duplicated => some(messages, sockets.duplicated),
            Self::Reordered => some(messages, sockets.reordered),
            Self::Disconnected => some(!record.connect.is_empty(), sockets.disconnected),
            Self::Open => Some(record.most_open()),
        }
    }
}

impl Metric {
    /// Whether it can be asked of one step.
    const fn scope(self) -> Scope {
        match self {
            Self::Time(Group::Connect | Group::Lag | Group::Delivery, _) | Self::Counted(_) => Scope::Run,
            _ => Scope::Step,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Nanos;
    use crate::failure::Failure;
    use crate::record::{Done, Event, Recorder};

    const MS: Nanos = 1_000_000;

    fn names() -> Vec<String> {
        ["home", "search (all)", "p95"].map(str::to_owned).to_vec()
    }

    fn done(step: u16, took_ms: u64, outcome: Result<(), Failure>) -> Done {
        let status = if outcome.is_ok() { 200 } else { 503 };
        Done {
            step,
            due: 0,
            sent: Some(took_ms * MS / 2),
            at: took_ms * MS,
            status,
            outcome,
            received_bytes: 1,
            sent_bytes: 1,
        }
    }

    /// A thousand requests in ten seconds: 1 to 1,000 ms, the last one failed, every tenth one a search.
    fn record() -> Record {
        let mut recorder = Recorder::new(&names());
        for ms in 1..1000 {
            recorder.done(&done(u16::from(ms % 10 == 0), ms, Ok(())));
        }
        recorder.done(&done(1, 1000, Err(Failure::Status)));
        recorder.due(0, 500);
        recorder.open(0, 64);
        recorder.event(0, Event::Connected { took: 3 * MS });
        recorder.take()
    }

    fn judged(text: &str) -> (String, bool) {
        let judged = Threshold::parse(text).unwrap_or_else(|error| panic!("{error}")).judge(&record(), 10.0);
        (judged.measured, judged.holds)
    }

    #[test]
    fn every_metric_is_judged() {
        for (text, measured, holds) in [
            ("success >= 99.9%", "99.90%", true),
            ("success > 0.999", "99.90%", false),
            ("success(home) == 100%", "100.00%", true),
            ("success(search (all)) >= 99.5%", "99.00%", false),
            ("failures == 0", "1", false),
            ("failures <= 0.1%", "0.10%", true),
            ("failures(home) == 0", "0", true),
            ("rate >= 99/s", "99.9/s", true),
            ("rate >= 100/s", "99.9/s", false),
            ("rate(home) >= 90/s", "90.0/s", true),
            ("requests >= 1_000", "1000", true),
            ("requests < 1000", "1000", false),
            ("p50 < 501ms", "500.223 ms", true),
            ("p50 < 500ms", "500.223 ms", false),
            ("p99.9 < 1s", "999.423 ms", true),
            ("max < 1.1s", "1.000 s", true),
            ("min > 500us", "1.000 ms", true),
            ("mean < 0.6s", "500.505 ms", true),
            ("p90(search (all)) <= 901ms", "900.095 ms", true),
            ("service.p50 < 251ms", "250.111 ms", true),
            ("connect.p99 < 3ms", "3.001 ms", false),
            ("lag.p99 < 1ms", "0.001 ms", true),
            ("open >= 64", "64", true),
            ("failure.status == 0", "1", false),
            ("failure.timeout == 0", "0", true),
            ("status.503 == 0", "1", false),
            ("status.200(home) >= 900", "900", true),
            ("disconnected == 0", "0", true),
        ] {
            assert_eq!(judged(text), (measured.to_owned(), holds), "{text}");
        }
    }

    #[test]
    fn nothing_holds_where_nothing_was_measured() {
        let metrics = [
            "success >= 0%",
            "failures == 0",
            "failures <= 100%",
            "p99 < 60m",
            "max < 60m",
            "p99(home) < 60m",
            "service.mean < 60m",
            "connect.p99 < 60m",
            "lag.max < 60m",
            "delivery.p50 < 60m",
            "lost == 0",
            "duplicated == 0",
            "reordered == 0",
            "disconnected == 0",
            "failure.timeout == 0",
            "status.503 == 0",
        ];
        for text in metrics {
            let judged = Threshold::parse(text).unwrap().judge(&Record::new(&names()), 10.0);
            assert_eq!((judged.measured.as_str(), judged.holds), ("nothing measured", false), "{text}");
        }
        assert!(!Threshold::parse("rate >= 1/s").unwrap().judge(&record(), 0.0).holds);
        assert!(!Threshold::parse("p50(gone) < 60m").unwrap().judge(&record(), 10.0).holds);
    }

    #[test]
    fn messages_are_judged_when_there_were_some() {
        let mut recorder = Recorder::new(&[]);
        recorder.event(0, Event::Delivered { took: 4 * MS });
        recorder.event(0, Event::Lost(2));
        recorder.event(0, Event::Reordered);
        let record = recorder.take();
        let judge = |text: &str| Threshold::parse(text).unwrap().judge(&record, 1.0);
        assert_eq!((judge("lost == 0").measured.as_str(), judge("lost == 0").holds), ("2", false));
        assert!(!judge("reordered < 1").holds);
        assert!(judge("duplicated == 0").holds);
        assert!(judge("delivery.p99 < 5ms").holds);
    }

    #[test]
    fn a_share_is_not_rounded_to_all_or_nothing() {
        assert_eq!(show_share(1.0), "100.00%");
        assert_eq!(show_share(0.999_999), "99.9999%");
        assert_eq!(show_share(0.0), "0.00%");
        assert_eq!(show_share(0.000_001), "0.0001%");
    }

    #[test]
    fn mistakes_are_told_with_place_and_mend() {
        let errors: Vec<String> = [
            "",
            "p95",
            "sucess >= 99%",
            "p95 < 100",
            "rate >= 20000",
            "p100 < 1s",
            "p0 < 1s",
            "p95 < 20%",
            "success >= 99.9",
            "failures == 0.5",
            "p99(search < 25ms",
            "p99() < 25ms",
            "lag.p99(home) < 1ms",
            "p95 <",
            "p95 < fast",
            "p95 < 10 parsecs",
            "p95 = 10ms",
            "failure.timeuot == 0",
            "status.5xx == 0",
            "something else > 1",
            "requests >= 9999999999999999",
        ]
        .iter()
        .map(|text| {
            let error = Threshold::parse(text).unwrap_err();
            format!("{error} [{}]", &text[error.at.clone()])
        })
        .collect();
        insta::assert_snapshot!(errors.join("\n"));
    }

    #[test]
    fn an_unknown_step_is_told_with_the_nearest_one() {
        let check =
            |text: &str| Threshold::parse(text).unwrap().check_steps(&names()).map_err(|bad| bad.to_string());
        assert_eq!(check("p95(home) < 1s"), Ok(()));
        assert_eq!(check("p95 < 1s"), Ok(()));
        assert_eq!(check("p95(search (all)) < 1s"), Ok(()));
        assert_eq!(
            check("p95(hme) < 1s").unwrap_err(),
            "threshold \"p95(hme) < 1s\": no step is called \"hme\": did you mean \"home\"?"
        );
        assert_eq!(
            check("p95(checkout) < 1s").unwrap_err(),
            "threshold \"p95(checkout) < 1s\": no step is called \"checkout\": the steps are \"home\", \
             \"search (all)\", \"p95\""
        );
    }

    fn text() -> impl Strategy<Value = String> {
        let op = prop::sample::select(vec!["<", "<=", ">", ">=", "=="]);
        let time = prop_oneof![
            (1u32..99_999, 0u32..1000, prop::sample::select(vec!["us", "µs", "ms", "s", "m", "min"]))
                .prop_map(|(whole, part, unit)| format!("{whole}.{part}{unit}"))
        ];
        let stat = prop_oneof![
            Just("mean".to_owned()),
            Just("max".to_owned()),
            (1u32..100, 0u32..1000).prop_map(|(whole, part)| format!("p{whole}.{part}"))
        ];
        let step = prop_oneof![Just(String::new()), "\\([a-zäß/()]{0,6}[a-z]\\)"];
        let group = prop::sample::select(vec!["", "service."]);
        let timed = (group, stat, step.clone(), op.clone(), time)
            .prop_map(|(group, stat, step, op, time)| format!("{group}{stat}{step} {op} {time}"));
        let counted = (
            prop::sample::select(vec!["requests", "failures", "failure.reset", "status.404"]),
            step,
            op.clone(),
            0u64..1_000_000_000_000,
        )
            .prop_map(|(name, step, op, count)| format!("{name}{step}{op}{count}"));
        let shared = (op, 0u32..=100_000)
            .prop_map(|(op, share)| format!(" success{op} {} % ", f64::from(share) / 1000.0));
        prop_oneof![timed, counted, shared]
    }

    proptest! {
        #[test]
        fn what_is_shown_reads_as_the_same(text in text()) {
            let threshold = Threshold::parse(&text).unwrap();
            prop_assert_eq!(Threshold::parse(&threshold.to_string()).unwrap(), threshold);
        }

        #[test]
        fn any_text_is_read_or_refused_with_a_place_in_it(text in "([a-z.]{0,9}[0-9()<>=%µ /]{0,9}){0,4}|.{0,60}") {
            match Threshold::parse(&text) {
                Ok(threshold) => prop_assert_eq!(Threshold::parse(&threshold.to_string()), Ok(threshold)),
                Err(bad) => prop_assert!(text.get(bad.at).is_some()),
            }
        }
    }
}
