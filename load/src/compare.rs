//! Whether one run was better than another, or whether it was only noise.
//!
//! **Method.** Both runs are cut into the stretches of their timelines (a second, unless the run was long). A
//! moving-block bootstrap draws stretches again, with replacement, in blocks that wrap around the end, because
//! neighbouring seconds resemble each other; the more they do, the longer the blocks. It does so 1,000 times for each
//! run. Each draw merges the histograms of its stretches and reads the percentiles, the rate and the success from the
//! sum. The ratios B/A of the draws give the interval: their middle 99 %, widened for the small number of blocks as
//! Student's distribution is wider than the normal one. A metric is better or worse when its whole interval lies
//! beyond what the histograms can resolve (1 % and 1 µs; for success a hundredth of a point); else it is the same
//! within noise.
//!
//! Of simulated pairs in which nothing had changed, 2 of 100 read "worse" in some metric (half of each second's
//! deviation carried over to the next), and 7 of 100 when four fifths did.
//!
//! **What it cannot know.** The noise is that inside of the two runs. What differs from run to run of the same binary
//! (where memory lies, what else the machine does) is not in it; compare several runs when a few per cent matter.

mod sample;
mod table;

use crate::report::{Latencies, Report};
use sample::{Draw, Figure, Sample, Times};

/// Draws for each run.
const DRAWS: usize = 1000;
/// Share of the draws that the interval leaves out at each end.
const TAIL: f64 = 0.005;
/// Fewest stretches on which a verdict is based.
const FEWEST_STRETCHES: usize = 10;
/// Fewest measurements beyond a percentile for it to be compared.
const FEWEST_BEYOND: f64 = 10.0;
/// Smallest difference of times and rates that counts: what the timeline's histograms resolve.
const MARGIN: f64 = 0.01;
/// What is added to it for times, in milliseconds: nothing finer than a microsecond is recorded.
const RESOLUTION_MS: f64 = 0.001;
/// Smallest difference of success that counts: a hundredth of a point.
const SUCCESS_MARGIN: f64 = 0.0001;

/// A comparison of run B with run A, the baseline.
#[derive(Clone, PartialEq, Debug)]
pub struct Comparison {
    /// Metric by metric, as far as both runs measured it.
    pub rows: Vec<Row>,
    /// What it comes to.
    pub overall: Overall,
    /// What makes the runs hard to compare, or was worth noticing.
    pub notes: Vec<String>,
}

/// One metric of both runs.
#[derive(Clone, PartialEq, Debug)]
pub struct Row {
    /// Its name, as in thresholds: `p95`, `service.p50`, `rate`.
    pub metric: String,
    /// What it is measured in.
    pub unit: Unit,
    /// In the baseline.
    pub a: f64,
    /// In the other run.
    pub b: f64,
    /// B/A.
    pub ratio: f64,
    /// Where the ratio lies, noise considered: from.
    pub low: f64,
    /// To.
    pub high: f64,
    /// What it means.
    pub change: Change,
}

/// What a metric is measured in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unit {
    /// Milliseconds; less is better.
    Millis,
    /// Per second; more is better.
    PerSecond,
    /// A share of 0 to 1; more is better.
    Share,
}

/// What became of a metric.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Change {
    /// It improved, and noise does not explain it.
    Better,
    /// It got worse, and noise does not explain it.
    Worse,
    /// What difference there is may be noise.
    Same,
    /// Too little was measured to say.
    Unknown,
}

/// What a comparison comes to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Overall {
    /// No metric got worse. Exit code 0.
    NoWorse,
    /// At least one did. Exit code 1.
    Worse,
    /// The runs are too short, or are not the same experiment. Exit code 2.
    Inconclusive,
}

impl Overall {
    /// What `tidegate load compare` ends with.
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::NoWorse => 0,
            Self::Worse => 1,
            Self::Inconclusive => 2,
        }
    }
}

/// Compares run `b` with the baseline `a`. The same seed draws the same.
pub fn compare(a: &Report, b: &Report, seed: u64) -> Comparison {
    compare_with(a, b, seed, DRAWS)
}

fn compare_with(a: &Report, b: &Report, seed: u64, draws: usize) -> Comparison {
    let (samples, mut notes) = ([Sample::of(a), Sample::of(b)], differences(a, b));
    let is_comparable = notes.is_empty();
    let is_long = enough(&samples, &mut notes);
    for (which, report) in [("A", a), ("B", b)] {
        if let Some(limit) = &report.generator.limit {
            notes.push(format!("the generator was the limit of run {which}: {limit}"));
        }
    }
    let metrics = metrics(a, b);
    let mut rng = fastrand::Rng::with_seed(seed);
    let drawn = samples.each_ref().map(|sample| drawn(sample, &metrics, draws, &mut rng));
    let rows: Vec<Row> = metrics
        .iter()
        .enumerate()
        .map(|(place, metric)| row(metric, &samples, [0, 1].map(|run: usize| drawn[run].of(place)), is_long))
        .collect();
    let overall = match () {
        () if !is_comparable || !is_long || rows.iter().all(|row| row.change == Change::Unknown) => {
            Overall::Inconclusive
        }
        () if rows.iter().any(|row| row.change == Change::Worse) => Overall::Worse,
        () => Overall::NoWorse,
    };
    Comparison { rows, overall, notes }
}

/// A metric of the table.
struct Metric {
    name: String,
    figure: Figure,
    /// What the whole runs came to, as their reports have it.
    whole: [f64; 2],
    /// How many measurements lie beyond it in the run that has fewer; none are needed for a rate.
    beyond: f64,
}

/// What is compared, as far as both measured it.
fn metrics(a: &Report, b: &Report) -> Vec<Metric> {
    let mut metrics = Vec::new();
    let mut times = |times: Times, prefix: &str, of: fn(&Report) -> Latencies, quantiles: &[(f64, &str)]| {
        let whole = [of(a), of(b)];
        let count = whole[0].count.min(whole[1].count) as f64;
        if count == 0.0 {
            return;
        }
        for (quantile, name) in quantiles {
            metrics.push(Metric {
                name: format!("{prefix}{name}"),
                figure: Figure::Time(times, *quantile),
                whole: whole.map(|latencies| at(&latencies, *quantile)),
                beyond: count * (1.0 - quantile),
            });
        }
    };
    let all = [(0.5, "p50"), (0.9, "p90"), (0.95, "p95"), (0.99, "p99")];
    let two = [(0.5, "p50"), (0.99, "p99")];
    times(Times::Response, "", |report| report.response, &all);
    times(Times::Service, "service.", |report| report.service, &two);
    let delivery =
        |report: &Report| report.sockets.as_ref().map(|sockets| sockets.delivery).unwrap_or_default();
    times(Times::Delivery, "delivery.", delivery, &two);
    if a.requests > 0 && b.requests > 0 {
        let rate = [a.achieved_rate, b.achieved_rate];
        metrics.push(Metric {
            name: "rate".to_owned(),
            figure: Figure::Rate,
            whole: rate,
            beyond: f64::INFINITY,
        });
        let success = [a.success, b.success];
        metrics.push(Metric {
            name: "success".to_owned(),
            figure: Figure::Success,
            whole: success,
            beyond: f64::INFINITY,
        });
    }
    metrics
}

fn at(latencies: &Latencies, quantile: f64) -> f64 {
    match quantile {
        0.5 => latencies.p50_ms,
        0.9 => latencies.p90_ms,
        0.95 => latencies.p95_ms,
        _ => latencies.p99_ms,
    }
}

/// Every figure of every draw, figure by figure.
struct Drawn {
    draws: usize,
    figures: Vec<f64>,
}

impl Drawn {
    fn of(&self, metric: usize) -> &[f64] {
        &self.figures[metric * self.draws..][..self.draws]
    }
}

fn drawn(sample: &Sample, metrics: &[Metric], draws: usize, rng: &mut fastrand::Rng) -> Drawn {
    let mut figures = vec![0.0; metrics.len() * draws];
    let mut draw = Draw::default();
    for place in 0..draws {
        sample.draw(rng, &mut draw);
        for (metric, wanted) in metrics.iter().enumerate() {
            figures[metric * draws + place] = draw.figure(sample, wanted.figure);
        }
    }
    Drawn { draws, figures }
}

fn row(metric: &Metric, samples: &[Sample; 2], drawn: [&[f64]; 2], is_long: bool) -> Row {
    let [a, b] = metric.whole;
    let mut ratios: Vec<f64> =
        drawn[0].iter().zip(drawn[1]).map(|(a, b)| b / a).filter(|ratio| ratio.is_finite()).collect();
    ratios.sort_unstable_by(f64::total_cmp);
    let end = |share: f64| match ratios.len() {
        0 => f64::NAN,
        number => ratios[((number - 1) as f64 * share).round() as usize],
    };
    let (middle, widening) = (end(0.5), samples[0].widening().max(samples[1].widening()));
    let widened = |end: f64| if middle > 0.0 { middle * (end / middle).powf(widening) } else { end };
    let (low, high) = (widened(end(TAIL)), widened(end(1.0 - TAIL)));
    let (unit, margin) = match metric.figure {
        Figure::Time(..) => (Unit::Millis, MARGIN + if a > 0.0 { RESOLUTION_MS / a } else { 0.0 }),
        Figure::Rate => (Unit::PerSecond, MARGIN),
        Figure::Success => (Unit::Share, SUCCESS_MARGIN),
    };
    let is_known = is_long
        && metric.beyond >= FEWEST_BEYOND
        && ratios.len() * 2 > drawn[0].len()
        && samples.iter().all(|sample| sample.measures(metric.figure));
    let (is_less, is_more) = (high < 1.0 - margin, low > 1.0 + margin);
    let change = match (is_known, unit) {
        (false, _) => Change::Unknown,
        (true, Unit::Millis) if is_less => Change::Better,
        (true, Unit::Millis) if is_more => Change::Worse,
        (true, Unit::PerSecond | Unit::Share) if is_less => Change::Worse,
        (true, Unit::PerSecond | Unit::Share) if is_more => Change::Better,
        (true, _) => Change::Same,
    };
    Row { metric: metric.name.clone(), unit, a, b, ratio: b / a, low, high, change }
}

/// Whether both runs have stretches enough; if not, it is noted.
fn enough(samples: &[Sample; 2], notes: &mut Vec<String>) -> bool {
    let mut is_long = true;
    for (which, sample) in ["A", "B"].into_iter().zip(samples) {
        let stretches = sample.len();
        if stretches < FEWEST_STRETCHES {
            is_long = false;
            let whole = format!("it has {stretches} whole stretches of its timeline, and noise shows in");
            notes.push(format!("run {which} is too short: {whole} {FEWEST_STRETCHES} or more"));
        }
    }
    is_long
}

/// Everything by which the two are not the same experiment.
fn differences(a: &Report, b: &Report) -> Vec<String> {
    let mut notes = Vec::new();
    // A quick run is named by its URL; where it was served is what people compare.
    let name = |report: &Report| report.name.strip_prefix(&report.target).unwrap_or(&report.name).to_owned();
    let mut differ = |what: &str, a: String, b: String| {
        if a != b {
            notes.push(format!("the runs are not comparable: {what} of A is {a}, of B {b}"));
        }
    };
    differ("the scenario", name(a), name(b));
    differ("the model", a.model.clone(), b.model.clone());
    differ("the target rate or number of users", levels(a), levels(b));
    notes
}

/// The levels of the stages, one after another. How long each was held may differ.
fn levels(report: &Report) -> String {
    let level = |stage: &crate::report::Planned| {
        let (from, to) = (stage.from.to_string(), stage.to.to_string());
        if from == to { to } else { format!("{from} to {to}") }
    };
    report.stages.iter().map(level).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use fastrand::Rng;

    use super::*;
    use crate::plan::{Part, Plan};
    use crate::record::{Done, Recorder};
    use crate::report::Generator;
    use crate::scenario::{Surroundings, parse};

    const S: u64 = 1_000_000_000;

    fn plan(rate: u64, seconds: u64) -> Plan {
        let text = format!(
            "target = \"http://127.0.0.1:1\"\n[[stage]]\nrate = \"{rate}/s\"\nfor = \"{seconds}s\"\n\
             [[step]]\nname = \"home\"\npath = \"/\"\n"
        );
        let around = Surroundings {
            name: "synthetic.toml",
            env: &|_| None,
            read: &|_, _| Err(std::io::Error::other("there are no files")),
            resolve: &|_, port| Ok(vec![([127, 0, 0, 1], port).into()]),
        };
        parse(&text, around).unwrap_or_else(|mistakes| panic!("{}", mistakes.render(false)))
    }

    /// What a synthetic run is like.
    #[derive(Clone, Copy)]
    struct Nature {
        seed: u64,
        seconds: u64,
        rate: u64,
        /// What all its times are multiplied by.
        slower: f64,
        /// Share of requests that fail.
        failing: f64,
    }

    const USUAL: Nature = Nature { seed: 1, seconds: 30, rate: 200, slower: 1.0, failing: 0.0 };

    /// A run whose times are spread like those of servers, and whose seconds resemble their neighbours: what is slow
    /// in one second is partly so in the next.
    fn run(nature: Nature) -> Report {
        let plan = plan(nature.rate, nature.seconds);
        let mut recorder = Recorder::for_part(&plan, Part { index: 0, of: 1 });
        let mut rng = Rng::with_seed(nature.seed);
        let mut weather = 0.0;
        for second in 0..nature.seconds {
            weather = 0.5 * weather + 0.05 * normal(&mut rng);
            for number in 0..nature.rate {
                let due = second * S + number * S / nature.rate;
                let took_ms = 5.0 * nature.slower * (weather + 0.4 * normal(&mut rng)).exp();
                recorder.due(due, 1000);
                let fails = rng.f64() < nature.failing;
                recorder.done(&Done {
                    step: 0,
                    due,
                    sent: Some(due),
                    at: due + (took_ms * 1e6) as u64,
                    status: if fails { 500 } else { 200 },
                    outcome: if fails { Err(crate::failure::Failure::Status) } else { Ok(()) },
                    received_bytes: 1,
                    sent_bytes: 1,
                });
            }
        }
        let took = Duration::from_secs(nature.seconds) + Duration::from_millis(100);
        Report::new(&plan, recorder.take(), SystemTime::UNIX_EPOCH, took, Generator::default())
    }

    /// A number of the normal distribution, near enough.
    fn normal(rng: &mut Rng) -> f64 {
        (0..12).map(|_| rng.f64()).sum::<f64>() - 6.0
    }

    fn change(comparison: &Comparison, metric: &str) -> Change {
        comparison
            .rows
            .iter()
            .find(|row| row.metric == metric)
            .unwrap_or_else(|| panic!("no {metric}"))
            .change
    }

    #[test]
    fn the_same_distribution_twice_is_hardly_ever_worse() {
        let pairs = 40;
        let worse = (0..pairs)
            .filter(|pair| {
                let [a, b] = [2 * pair, 2 * pair + 1].map(|seed| run(Nature { seed, ..USUAL }));
                compare_with(&a, &b, *pair, 200).overall == Overall::Worse
            })
            .count();
        // Eight metrics, each wrong in half a case of a hundred on this side, and most of them of one mind: a few in
        // a hundred. Of two hundred such pairs, five were.
        assert!(worse <= 2, "{worse} of {pairs}");
    }

    #[test]
    fn a_fifth_slower_is_found_and_a_fifth_faster_too() {
        for seed in 0..5 {
            let a = run(Nature { seed, ..USUAL });
            let b = run(Nature { seed: seed + 100, slower: 1.2, ..USUAL });
            let there = compare_with(&a, &b, seed, 200);
            assert_eq!(there.overall, Overall::Worse, "{there}");
            assert_eq!(change(&there, "p50"), Change::Worse, "{there}");
            assert_eq!(change(&there, "rate"), Change::Same, "{there}");
            let back = compare_with(&b, &a, seed, 200);
            assert_eq!((back.overall, change(&back, "p50")), (Overall::NoWorse, Change::Better), "{back}");
        }
    }

    #[test]
    fn one_failure_in_a_hundred_is_found() {
        let (a, b) = (run(USUAL), run(Nature { seed: 2, failing: 0.01, ..USUAL }));
        let comparison = compare_with(&a, &b, 1, 200);
        assert_eq!(change(&comparison, "success"), Change::Worse, "{comparison}");
        assert_eq!(comparison.overall.exit_code(), 1);
    }

    #[test]
    fn a_target_that_fails_altogether_is_worse() {
        let (a, b) = (run(USUAL), run(Nature { failing: 1.0, ..USUAL }));
        let comparison = compare_with(&a, &b, 1, 50);
        let changes = ["rate", "success"].map(|metric| change(&comparison, metric));
        assert_eq!(changes, [Change::Worse; 2], "{comparison}");
    }

    #[test]
    fn the_same_run_twice_is_the_same() {
        let a = run(USUAL);
        let comparison = compare(&a, &a, 7);
        assert_eq!(comparison.overall, Overall::NoWorse);
        assert!(
            comparison.rows.iter().all(|row| row.change == Change::Same && row.low <= 1.0 && row.high >= 1.0)
        );
        assert_eq!(comparison, compare(&a, &a, 7));
    }

    #[test]
    fn short_runs_are_inconclusive() {
        let (a, b) = (run(USUAL), run(Nature { seconds: 9, slower: 3.0, ..USUAL }));
        let comparison = compare_with(&a, &b, 1, 50);
        assert_eq!((comparison.overall, comparison.overall.exit_code()), (Overall::Inconclusive, 2));
        assert!(comparison.notes.iter().any(|note| note.contains("run B is too short")), "{comparison}");
    }

    #[test]
    fn runs_at_different_rates_are_inconclusive() {
        let (a, b) = (run(USUAL), run(Nature { rate: 100, ..USUAL }));
        let comparison = compare_with(&a, &b, 1, 50);
        assert_eq!(comparison.overall, Overall::Inconclusive);
        assert!(comparison.notes[0].ends_with("of A is 200, of B 100"), "{comparison}");
    }

    #[test]
    fn other_scenarios_and_models_are_named_but_another_place_of_the_same_url_is_not() {
        let mut a = run(USUAL);
        let mut b = a.clone();
        (a.name, a.target) = ("http://a/x".to_owned(), "http://a".to_owned());
        (b.name, b.target) = ("http://b:1/x".to_owned(), "http://b:1".to_owned());
        assert_eq!(compare_with(&a, &b, 1, 20).notes, Vec::<String>::new());
        (b.name, b.model) = ("checkout".to_owned(), "closed".to_owned());
        let comparison = compare_with(&a, &b, 1, 20);
        assert_eq!((comparison.overall, comparison.notes.len()), (Overall::Inconclusive, 2), "{comparison}");
    }

    #[test]
    fn runs_without_requests_are_inconclusive() {
        let plan = plan(10, 30);
        let mut recorder = Recorder::for_part(&plan, Part { index: 0, of: 1 });
        let took = Duration::from_secs(30);
        let empty = Report::new(&plan, recorder.take(), SystemTime::UNIX_EPOCH, took, Generator::default());
        let comparison = compare(&empty, &empty, 1);
        assert_eq!((comparison.rows.len(), comparison.overall), (0, Overall::Inconclusive));
        let text = comparison.to_string();
        assert!(text.contains("inconclusive"), "{text}");
    }

    #[test]
    fn a_tail_of_few_requests_is_not_judged() {
        let natures = [Nature { rate: 10, ..USUAL }, Nature { rate: 10, seed: 2, slower: 3.0, ..USUAL }];
        let [a, b] = natures.map(run);
        let comparison = compare_with(&a, &b, 1, 50);
        assert_eq!(
            (change(&comparison, "p99"), change(&comparison, "p50")),
            (Change::Unknown, Change::Worse)
        );
    }

    #[test]
    fn the_table_tells_everything() {
        let (a, b) = (run(USUAL), run(Nature { seed: 2, slower: 1.2, failing: 0.001, ..USUAL }));
        insta::assert_snapshot!(compare(&a, &b, 1));
    }
}
