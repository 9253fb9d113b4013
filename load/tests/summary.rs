//! From a record to a report, to its files and back, and from several reports to one.

mod support;

use std::time::{Duration, SystemTime};

use proptest::prelude::*;
use tidegate_load::failure::Failure;
use tidegate_load::plan::{Part, Plan};
use tidegate_load::record::{Done, Event, Record, Recorder};
use tidegate_load::report::{Generator, Report, Verdict, json, junit, merge};

const S: u64 = 1_000_000_000;
const MS: u64 = 1_000_000;

/// Ten seconds in two stages, two steps.
fn plan(thresholds: &[&str]) -> Plan {
    let texts: Vec<String> = thresholds.iter().map(|text| format!("{text:?}")).collect();
    let thresholds =
        if texts.is_empty() { String::new() } else { format!("thresholds = [{}]\n", texts.join(", ")) };
    support::read(&format!(
        "name = \"shop <&>\"\ntarget = \"http://127.0.0.1:8080\"\n{thresholds}\
         [[stage]]\nname = \"rise\"\nrate = {{ from = \"0/s\", to = \"100/s\" }}\nfor = \"5s\"\n\
         [[stage]]\nname = \"hold\"\nrate = \"100/s\"\nfor = \"5s\"\n\
         [[step]]\nname = \"home\"\npath = \"/\"\n[[step]]\nname = \"search\"\npath = \"/search\"\n"
    ))
    .unwrap_or_else(|mistakes| panic!("{}", mistakes.render(false)))
}

fn done(step: u16, due: u64, took: u64) -> Done {
    Done {
        step,
        due,
        sent: Some(due + took / 10),
        at: due + took,
        status: 200,
        outcome: Ok(()),
        received_bytes: 2_000,
        sent_bytes: 200,
    }
}

/// A thousand requests over ten seconds; one in a hundred fails, and nothing is due in the fourth second.
fn play(plan: &Plan, part: Part, lag: u64) -> Record {
    let mut recorder = Recorder::for_part(plan, part);
    for user in 0..8 {
        recorder.event(user * MS, Event::Connected { took: MS + user * MS / 4 });
        recorder.open(user * MS, user as u32 + 1);
    }
    for number in (0..1000_u64).filter(|number| !(300..400).contains(number)) {
        let (due, took) = (number * 10 * MS, (1 + number % 50) * MS);
        recorder.due(due, lag);
        let done = done((number % 3 == 0).into(), due, took);
        recorder.done(&match number % 100 {
            0 => Done { status: 503, outcome: Err(Failure::Status), ..done },
            50 if number == 150 => Done { status: 0, outcome: Err(Failure::Timeout), ..done },
            _ => done,
        });
    }
    recorder.take()
}

const WHOLE: Part = Part { index: 0, of: 1 };

fn generator() -> Generator {
    Generator { processes: 1, threads: 2, cpu: 0.31, resident_bytes: 12 << 20, limit: None }
}

fn report(plan: &Plan, record: Record) -> Report {
    summed_up(plan, record, Duration::from_millis(10_060), generator())
}

fn summed_up(plan: &Plan, record: Record, took: Duration, generator: Generator) -> Report {
    let started_at = SystemTime::UNIX_EPOCH + Duration::from_secs(1_709_210_096);
    Report::new(plan, record, started_at, took, generator)
}

/// The JSON report without the record, whose text is as long as it is unreadable.
fn without_record(report: &Report) -> String {
    let mut value: serde_json::Value = serde_json::from_str(&json::write(report)).unwrap();
    value["record"] = "(elided)".into();
    serde_json::to_string_pretty(&value).unwrap()
}

#[test]
fn a_report_has_every_figure() {
    let plan = plan(&["success >= 99%", "p95 < 40ms", "p99(search) < 1s", "rate >= 80/s"]);
    let report = report(&plan, play(&plan, WHOLE, 30_000));
    insta::assert_snapshot!("report", without_record(&report));
}

#[test]
fn a_report_reads_as_it_was_written() {
    let plan = plan(&[]);
    let text = json::write(&report(&plan, play(&plan, WHOLE, 0)));
    let read = json::read(&text).unwrap();
    assert!(json::write(&read) == text, "every figure is read to its last digit");
    assert_eq!(read.record, play(&plan, WHOLE, 0));
}

#[test]
fn what_is_no_report_is_refused_with_the_reason() {
    let plan = plan(&[]);
    let text = json::write(&report(&plan, play(&plan, WHOLE, 0)));
    let broken = |from: &str, to: &str| {
        assert!(text.contains(from), "{from}");
        json::read(&text.replacen(from, to, 1)).unwrap_err()
    };
    assert!(json::read("hello").unwrap_err().starts_with("it is not a JSON report of tidegate load"));
    assert!(json::read("{}").unwrap_err().starts_with("it is not a JSON report of tidegate load"));
    assert_eq!(
        broken("\"version\": 1", "\"version\": 99"),
        "it has version 99 of the format, and this tidegate reads version 1"
    );
    assert!(broken("\"verdict\": \"fail\"", "\"verdict\": \"perhaps\"").starts_with("it is broken"));
    assert_eq!(broken("\"to_s\": 5.0", "\"to_s\": -5.0"), "it is broken: its stages are not in order");
    assert!(broken("\"cpu\": 0.31", "\"cpu\": 31").contains("share of CPU"));
    assert!(
        broken("\"text\": \"success >= 99.9%\"", "\"text\": \"luck\"").contains("nothing is called \"luck\"")
    );
}

#[test]
fn the_verdict_knows_when_the_generator_was_the_limit() {
    let verdict = |threshold: &str, lag: u64, cpu: f64| {
        let plan = plan(&[threshold]);
        let record = play(&plan, WHOLE, lag);
        let report = summed_up(&plan, record, Duration::from_secs(10), Generator { cpu, ..generator() });
        (report.verdict, report.verdict.exit_code(), report.reason)
    };
    let (kind, code, reason) = verdict("p50 < 1s", 0, 0.2);
    assert_eq!((kind, code, reason.as_str()), (Verdict::Pass, 0, "the threshold holds"));
    let (kind, code, reason) = verdict("p50 < 1ms", 0, 0.2);
    assert_eq!((kind, code), (Verdict::Fail, 1));
    assert!(reason.starts_with("p50 < 1ms does not hold (2"), "{reason}");
    let (kind, code, reason) = verdict("p50 < 1ms", 2 * MS, 0.2);
    assert_eq!((kind, code), (Verdict::Inconclusive, 2));
    assert!(reason.contains("its lag had a p99 of 2.0 ms"), "{reason}");
    let (kind, _, reason) = verdict("p50 < 1ms", 0, 0.81);
    assert_eq!(kind, Verdict::Inconclusive);
    assert!(reason.contains("its threads used 81% of their cores"), "{reason}");
    let (kind, _, reason) = verdict("p50 < 1s", 2 * MS, 0.2);
    assert_eq!(kind, Verdict::Pass);
    assert!(reason.contains("although the generator was at its limit"), "{reason}");
}

#[test]
fn a_limit_that_the_run_knows_of_is_believed() {
    let plan = plan(&["p50 < 1ms"]);
    let limit = Some("it ran out of ports".to_owned());
    let record = play(&plan, WHOLE, 0);
    let report = summed_up(&plan, record, Duration::from_secs(10), Generator { limit, ..generator() });
    assert_eq!(report.verdict, Verdict::Inconclusive);
    assert!(report.reason.ends_with("it ran out of ports"));
}

#[test]
fn rates_are_those_of_the_time_of_the_stages() {
    let plan = plan(&[]);
    let mut recorder = Recorder::for_part(&plan, WHOLE);
    for number in 0..100 {
        recorder.due(number * S / 10, 0);
        // The second half is answered in the grace after the last stage.
        recorder.done(&done(0, number * S / 10, if number < 50 { MS } else { 20 * S }));
    }
    let report = summed_up(&plan, recorder.take(), Duration::from_secs(31), generator());
    assert_eq!((report.stages_s(), report.offered_rate, report.achieved_rate), (10.0, 10.0, 5.0));
    assert_eq!((report.succeeded, report.success), (100, 1.0));
}

#[test]
fn a_run_that_ended_early_is_as_long_as_its_last_answer() {
    let plan = plan(&[]);
    let mut recorder = Recorder::for_part(&plan, WHOLE);
    (0..10).for_each(|number| recorder.done(&done(0, number * 10 * MS, 10 * MS)));
    let report = summed_up(&plan, recorder.take(), Duration::from_millis(250), generator());
    assert!((report.achieved_rate - 100.0).abs() < 1e-9, "{}", report.achieved_rate);
    let nothing = summed_up(&plan, Record::default(), Duration::ZERO, generator());
    assert_eq!((nothing.achieved_rate, nothing.success, nothing.curve.len()), (0.0, 0.0, 0));
    assert_eq!(nothing.verdict, Verdict::Fail);
}

#[test]
fn silent_seconds_are_in_the_timeline() {
    let plan = plan(&[]);
    let report = report(&plan, play(&plan, WHOLE, 0));
    let shape: Vec<_> = report.timeline.iter().map(|at| (at.at_s, at.offered, at.open)).collect();
    assert_eq!(shape.len(), 11);
    assert_eq!((shape[2], shape[3].1, shape[9]), ((2.0, 100, 8), 0, (9.0, 100, 8)));
    assert!((report.timeline[10].width_s - 0.06).abs() < 1e-9);
}

#[test]
fn the_curve_goes_as_far_as_requests_do() {
    let plan = plan(&[]);
    let mut recorder = Recorder::for_part(&plan, WHOLE);
    (1..=1000).for_each(|number| recorder.done(&done(0, 0, number * MS)));
    let report = report(&plan, recorder.take());
    assert_eq!(report.curve.last().map(|point| point.percentile), Some(99.9));
    assert!(report.curve.is_sorted_by(|a, b| a.response_ms <= b.response_ms && a.percentile < b.percentile));
    assert!((report.curve.last().unwrap().response_ms / 999.0 - 1.0).abs() < 0.001);
}

#[test]
fn moments_are_written_as_rfc_3339_has_them() {
    let plan = plan(&[]);
    for (unix_s, text) in [
        (0, "1970-01-01T00:00:00Z"),
        (951_782_399, "2000-02-28T23:59:59Z"),
        (951_782_400, "2000-02-29T00:00:00Z"),
        (1_709_210_096, "2024-02-29T12:34:56Z"),
        (4_107_542_400, "2100-03-01T00:00:00Z"),
        (1_767_225_599, "2025-12-31T23:59:59Z"),
    ] {
        let at = SystemTime::UNIX_EPOCH + Duration::from_secs(unix_s);
        let report = Report::new(&plan, Record::default(), at, Duration::ZERO, generator());
        assert_eq!(report.started_at, text);
    }
}

#[test]
fn each_threshold_is_a_test_of_junit() {
    let plan = plan(&["success >= 99.9%", "p95 < 1s", "p50(home) < 1ms"]);
    let report = report(&plan, play(&plan, WHOLE, 0));
    insta::assert_snapshot!("junit_fail", junit::write(&report));
}

#[test]
fn a_test_that_could_not_be_done_is_an_error_in_junit() {
    let plan = plan(&["success >= 99.9%", "p95 < 1s"]);
    let report = report(&plan, play(&plan, WHOLE, 5 * MS));
    insta::assert_snapshot!("junit_inconclusive", junit::write(&report));
}

#[test]
fn merged_reports_read_as_one_run_of_all_their_records() {
    let plan = plan(&["p99 < 40ms", "requests >= 1800"]);
    let (a, b) = (play(&plan, WHOLE, 0), play(&plan, WHOLE, 10_000));
    let (one, two) = (report(&plan, a.clone()), report(&plan, b.clone()));
    assert_eq!(one.verdict, Verdict::Fail);
    let both = merge(&[one.clone(), two]).unwrap();
    let mut record = a;
    record.merge_run(&b);
    assert_eq!(both.record, record);
    assert_eq!((both.requests, both.response.count), (1800, 1800));
    assert!((both.response.p99_ms - one.response.p99_ms).abs() < 1e-9);
    assert!((both.offered_rate - 2.0 * one.offered_rate).abs() < 1e-9);
    assert_eq!((both.stages[1].to, both.timeline[5].open), (200.0, 16));
    assert_eq!((both.generator.threads, both.generator.cpu), (4, 0.31));
    assert_eq!((both.thresholds[0].holds, both.thresholds[1].holds), (false, true));
    assert_eq!(json::write(&merge(std::slice::from_ref(&one)).unwrap()), json::write(&one));
}

#[test]
fn reports_that_do_not_belong_together_are_not_merged() {
    let plan = plan(&[]);
    let one = report(&plan, play(&plan, WHOLE, 0));
    let refused = |change: &dyn Fn(&mut Report)| {
        let mut other = one.clone();
        change(&mut other);
        merge(&[one.clone(), one.clone(), other]).unwrap_err()
    };
    assert_eq!(
        refused(&|other| other.name = "other".to_owned()),
        "report 3 does not belong to the first: its scenario is other, not shop <&>"
    );
    assert!(refused(&|other| other.model = "closed".to_owned()).ends_with("its model is closed, not open"));
    assert!(refused(&|other| other.steps.clear()).ends_with("it has other steps"));
    assert!(refused(&|other| other.stages[0].to_s = 4.0).ends_with("its stages are others"));
    assert!(refused(&|other| other.thresholds.clear()).ends_with("its thresholds are others"));
    assert!(merge(&[]).unwrap_err().contains("name at least one"));
}

#[test]
fn one_generator_at_its_limit_is_the_limit_of_all() {
    let plan = plan(&["p50 < 1ms"]);
    let usual = report(&plan, play(&plan, WHOLE, 0));
    let late = report(&plan, play(&plan, WHOLE, 3 * MS));
    assert_eq!(usual.verdict, Verdict::Fail);
    let both = merge(&[usual.clone(), late.clone()]).unwrap();
    assert_eq!((both.verdict, &both.generator.limit), (Verdict::Inconclusive, &late.generator.limit));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_damage_to_a_report_is_read_or_refused(at in any::<prop::sample::Index>(), byte in 32_u8..127, cut: bool) {
        let plan = plan(&[]);
        let mut text = json::write(&report(&plan, play(&plan, WHOLE, 0))).into_bytes();
        let at = at.index(text.len());
        text[at] = byte;
        if cut {
            text.truncate(at);
        }
        if let Ok(report) = json::read(&String::from_utf8(text).unwrap()) {
            // What was read can be merged and shown.
            let _ = merge(&[report.clone(), report.clone()]).map(|both| (json::write(&both), junit::write(&both)));
            let _ = tidegate_load::compare::compare(&report, &report, 1).to_string();
        }
    }
}
