//! Reports as runs of every kind would leave them, for the tests of the views and for looking at the pages.

use tidegate_load::failure::Failure;
use tidegate_load::record::Record;
use tidegate_load::report::{
    Failed, Generator, Judged, Latencies, Moment, Percentile, Planned, Report, Sockets, Step, Verdict,
};

/// Every sample under its name.
pub fn all() -> Vec<(&'static str, Report)> {
    vec![
        ("pass", pass()),
        ("freeze", freeze()),
        ("inconclusive", inconclusive()),
        ("sockets", sockets()),
        ("closed", closed()),
        ("moment", moment()),
        ("empty", empty()),
    ]
}

/// A distribution whose tail grows with the square of the nines.
fn spread(count: u64, p50_ms: f64, p99_ms: f64) -> Latencies {
    let at = |percentile| curve_at(percentile, p50_ms, p99_ms);
    Latencies {
        count,
        mean_ms: p50_ms * 1.1 + p99_ms * 0.02,
        min_ms: p50_ms * 0.4,
        p50_ms,
        p75_ms: at(75.0),
        p90_ms: at(90.0),
        p95_ms: at(95.0),
        p99_ms,
        p999_ms: at(99.9),
        max_ms: at(99.995),
    }
}

fn curve_at(percentile: f64, p50_ms: f64, p99_ms: f64) -> f64 {
    let nines = -(1.0 - percentile / 100.0).max(1e-6).log10();
    let grown = ((nines - 0.301) / (2.0 - 0.301)).max(-0.15);
    p50_ms + (p99_ms - p50_ms) * grown * grown.abs()
}

fn curve(response: impl Fn(f64) -> f64, service: impl Fn(f64) -> f64) -> Vec<Percentile> {
    let nines = (0..=46).map(|tenth| 100.0 * (1.0 - 10_f64.powf(-f64::from(tenth) / 10.0)));
    nines.map(|p| Percentile { percentile: p, response_ms: response(p), service_ms: service(p) }).collect()
}

/// A number that wavers between 0.85 and 1.15, always the same for the same index.
fn waver(index: u32) -> f64 {
    1.0 + f64::from(index.wrapping_mul(2_654_435_761) >> 16 & 0xff) / 850.0 - 0.15
}

fn failed(failure: Failure, count: u64) -> Failed {
    Failed { name: failure.name().into(), meaning: failure.meaning().into(), count }
}

fn judged(text: &str, measured: &str, holds: bool) -> Judged {
    Judged { text: text.into(), measured: measured.into(), holds }
}

fn stage(name: &str, from_s: f64, to_s: f64, from: f64, to: f64) -> Planned {
    Planned { name: name.into(), from_s, to_s, from, to }
}

/// A run in which nothing ever happened.
pub fn empty() -> Report {
    Report {
        version: 1,
        name: "http://127.0.0.1:8080/".into(),
        target: "http://127.0.0.1:8080".into(),
        model: "open".into(),
        started_at: "2026-03-01T09:30:00Z".into(),
        duration_s: 0.0,
        verdict: Verdict::Fail,
        reason: "success >= 99.9% does not hold: nothing was measured".into(),
        thresholds: vec![judged("success >= 99.9%", "nothing measured", false)],
        offered_rate: 0.0,
        achieved_rate: 0.0,
        requests: 0,
        succeeded: 0,
        success: 0.0,
        received_bytes: 0,
        sent_bytes: 0,
        response: Latencies::default(),
        service: Latencies::default(),
        lag: Latencies::default(),
        connect: Latencies::default(),
        failures: Vec::new(),
        statuses: [].into(),
        by_status: [].into(),
        steps: Vec::new(),
        stages: vec![stage("constant", 0.0, 0.0, 0.0, 0.0)],
        timeline: Vec::new(),
        curve: Vec::new(),
        sockets: None,
        generator: Generator { processes: 1, threads: 2, cpu: 0.0, resident_bytes: 6 << 20, limit: None },
        record: Record::default(),
    }
}

/// What is due in a second of the four stages.
fn rate(second: u32) -> f64 {
    match second {
        0..10 => 100.0 * f64::from(second + 1),
        40..50 => 2_000.0,
        _ => 1_000.0,
    }
}

/// Four stages, three steps, and everything holds.
pub fn pass() -> Report {
    let timeline = (0..60).map(|second| {
        let (due, slow) = (rate(second), if (40..50).contains(&second) { 2.4 } else { 1.0 });
        Moment {
            at_s: second.into(),
            width_s: 1.0,
            offered: due as u64,
            completed: due as u64,
            failed: u64::from(second == 44) * 8,
            open: (due / 25.0 * waver(second)) as u64,
            delivered: 0,
            response: spread(
                due as u64,
                3.1 * slow * waver(second),
                11.0 * slow * slow * waver(second * 7 + 1),
            ),
        }
    });
    let timeline: Vec<Moment> = timeline.collect();
    let requests = timeline.iter().map(|moment| moment.completed).sum();
    Report {
        name: "screener, 1,000 users".into(),
        duration_s: 60.1,
        verdict: Verdict::Pass,
        reason: "all 3 thresholds hold".into(),
        thresholds: vec![
            judged("success >= 99.9%", "99.98%", true),
            judged("p95 < 100ms", "21.4 ms", true),
            judged("p99(search) < 250ms", "61.0 ms", true),
        ],
        offered_rate: 1_091.7,
        achieved_rate: 1_091.5,
        requests,
        succeeded: requests - 8,
        success: 1.0 - 8.0 / requests as f64,
        received_bytes: 812_000_000,
        sent_bytes: 9_400_000,
        response: spread(requests, 3.3, 31.0),
        service: spread(requests, 3.2, 29.0),
        lag: spread(requests, 0.018, 0.21),
        connect: spread(92, 0.12, 0.4),
        failures: vec![failed(Failure::Status, 8)],
        statuses: [(200, requests - 1_208), (304, 1_200), (503, 8)].into(),
        by_status: by_status(requests - 1_208),
        steps: vec![
            step("list", requests / 2, 0, 2.6, 14.0),
            step("detail", requests / 4, 0, 3.1, 17.0),
            step("search", requests / 4, 8, 8.9, 61.0),
        ],
        stages: vec![
            stage("warm up", 0.0, 10.0, 0.0, 1_000.0),
            stage("constant", 10.0, 40.0, 1_000.0, 1_000.0),
            stage("spike", 40.0, 50.0, 2_000.0, 2_000.0),
            stage("after", 50.0, 60.0, 1_000.0, 1_000.0),
        ],
        timeline,
        curve: curve(|p| curve_at(p, 3.3, 31.0), |p| curve_at(p, 3.2, 29.0)),
        generator: Generator { processes: 1, threads: 2, cpu: 0.214, resident_bytes: 14 << 20, limit: None },
        ..empty()
    }
}

fn by_status(fine: u64) -> std::collections::BTreeMap<u16, Latencies> {
    [(200, spread(fine, 3.4, 31.0)), (304, spread(1_200, 0.9, 4.1)), (503, spread(8, 0.4, 0.6))].into()
}

fn step(name: &str, requests: u64, failures: u64, p50_ms: f64, p99_ms: f64) -> Step {
    let mut statuses: std::collections::BTreeMap<u16, u64> = [(200, requests - failures)].into();
    if failures > 0 {
        statuses.insert(503, failures);
    }
    Step {
        name: name.into(),
        requests,
        succeeded: requests - failures,
        statuses,
        failures: (failures > 0).then(|| failed(Failure::Status, failures)).into_iter().collect(),
        response: spread(requests, p50_ms, p99_ms),
        service: spread(requests, p50_ms * 0.98, p99_ms * 0.95),
    }
}

/// A target that stood still from second 20 to second 30, and a name that tries to be HTML.
pub fn freeze() -> Report {
    let timeline = (0..62).map(|second| {
        let frozen = (20..30).contains(&second);
        let offered = if second < 60 { 1_000 } else { 0 };
        let (completed, failed, response) = match second {
            _ if frozen => (0, 0, Latencies::default()),
            30 => (10_650, 42, spread(10_650, 5_000.0, 9_910.0)),
            31 => (1_310, 0, spread(1_310, 320.0, 700.0)),
            60 => (40, 0, spread(40, 2.0, 6.0)),
            61 => (0, 0, Latencies::default()),
            _ => (1_000, 0, spread(1_000, 1.4 * waver(second), 7.5 * waver(second * 3 + 1))),
        };
        let open = if frozen { 100 } else { 4 + u64::from(second % 3) };
        Moment { at_s: second.into(), width_s: 1.0, offered, completed, failed, open, delivered: 0, response }
    });
    let response = |percentile: f64| {
        let share = percentile / 100.0;
        if share < 0.8333 { curve_at(percentile, 1.4, 7.5) } else { (share - 0.8333) * 60_000.0 + 5.0 }
    };
    let both = |of: u64, pick: &dyn Fn(f64) -> f64| Latencies {
        count: of,
        mean_ms: (0..1000).map(|part| pick(f64::from(part) / 10.0)).sum::<f64>() / 1000.0,
        min_ms: 0.4,
        p50_ms: pick(50.0),
        p75_ms: pick(75.0),
        p90_ms: pick(90.0),
        p95_ms: pick(95.0),
        p99_ms: pick(99.0),
        p999_ms: pick(99.9),
        max_ms: pick(99.99),
    };
    let service = |percentile: f64| {
        if percentile < 99.8 { curve_at(percentile, 1.4, 7.5).max(0.5) } else { 9_980.0 }
    };
    Report {
        name: "checkout <script>alert(\"hello\")</script> & co".into(),
        duration_s: 61.4,
        verdict: Verdict::Fail,
        reason: "p95 < 100ms does not hold: 7.00 s were measured".into(),
        thresholds: vec![
            judged("success >= 99.9%", "99.93%", true),
            judged("p95 < 100ms", "7.00 s", false),
            judged("rate >= 900/s", "999/s", true),
        ],
        offered_rate: 1_000.0,
        achieved_rate: 999.3,
        requests: 60_000,
        succeeded: 59_958,
        success: 59_958.0 / 60_000.0,
        received_bytes: 71_000_000,
        sent_bytes: 5_400_000,
        response: both(60_000, &response),
        service: both(59_990, &service),
        lag: spread(60_000, 0.02, 0.3),
        connect: spread(100, 0.1, 0.5),
        failures: vec![failed(Failure::Timeout, 32), failed(Failure::Unfinished, 10)],
        statuses: [(200, 59_958)].into(),
        steps: Vec::new(),
        stages: vec![stage("constant", 0.0, 60.0, 1_000.0, 1_000.0)],
        timeline: timeline.collect(),
        curve: curve(response, service),
        generator: Generator { processes: 1, threads: 1, cpu: 0.18, resident_bytes: 11 << 20, limit: None },
        ..empty()
    }
}

/// A threshold that does not hold, but the generator was too slow itself.
pub fn inconclusive() -> Report {
    Report {
        name: "http://127.0.0.1:8080/search?q=rent".into(),
        verdict: Verdict::Inconclusive,
        reason: "p99 < 5ms does not hold, but the generator was the limit: its lag p99 was 4.8 ms".into(),
        thresholds: vec![judged("p99 < 5ms", "31.0 ms", false)],
        lag: spread(65_000, 0.4, 4.8),
        steps: Vec::new(),
        generator: Generator {
            processes: 4,
            threads: 8,
            cpu: 0.93,
            resident_bytes: 210 << 20,
            limit: Some(
                "its lag p99 was 4.8 ms (more than 1 ms), its threads took 93% of their cores".into(),
            ),
        },
        ..pass()
    }
}

/// Sockets that rise to 10,000, with messages to all.
pub fn sockets() -> Report {
    let timeline = (0..40u32).map(|second| {
        let open = u64::from(second.min(20)) * 500;
        let delivered = (open as f64 * 2.0 * waver(second)) as u64;
        Moment {
            at_s: second.into(),
            width_s: 1.0,
            offered: 0,
            completed: if second < 20 { 500 } else { 5_000 * u64::from(second == 30) },
            failed: 4 * u64::from(second == 30),
            open: if second == 30 { 5_100 } else { open },
            delivered,
            response: spread(
                delivered,
                1.2 + open as f64 / 3_000.0,
                6.0 + open as f64 / 400.0 * waver(second),
            ),
        }
    });
    let delivery = spread(612_000, 3.9, 28.0);
    Report {
        name: "market room".into(),
        duration_s: 40.3,
        verdict: Verdict::Fail,
        reason: "lost = 0 does not hold: 12 were lost".into(),
        thresholds: vec![judged("lost = 0", "12", false), judged("p99(delivery) < 100ms", "28.0 ms", true)],
        requests: 15_004,
        succeeded: 15_000,
        success: 15_000.0 / 15_004.0,
        response: spread(15_004, 1.1, 14.0),
        service: spread(15_004, 0.9, 12.0),
        connect: spread(15_000, 0.9, 12.0),
        failures: vec![failed(Failure::Reset, 4)],
        statuses: [(101, 15_000)].into(),
        steps: vec![Step {
            name: "room".into(),
            requests: 15_004,
            succeeded: 15_000,
            statuses: [(101, 15_000)].into(),
            failures: vec![failed(Failure::Reset, 4)],
            response: spread(15_004, 1.1, 14.0),
            service: spread(15_004, 0.9, 12.0),
        }],
        stages: vec![
            stage("rise", 0.0, 20.0, 0.0, 10_000.0),
            stage("hold and storm", 20.0, 40.0, 10_000.0, 10_000.0),
        ],
        timeline: timeline.collect(),
        curve: curve(|p| curve_at(p, 1.1, 14.0), |p| curve_at(p, 0.9, 12.0)),
        sockets: Some(Sockets {
            opened: 15_000,
            not_opened: 4,
            disconnected: 3,
            most_open: 10_000,
            published: 61,
            delivered: 612_000,
            received: 15_000,
            lost: 12,
            duplicated: 0,
            reordered: 0,
            delivery,
        }),
        generator: Generator { processes: 2, threads: 2, cpu: 0.41, resident_bytes: 43 << 20, limit: None },
        ..empty()
    }
}

/// The closed model at full speed, nothing failed.
pub fn closed() -> Report {
    let timeline = (0..10u32).map(|half| Moment {
        at_s: f64::from(half) / 2.0,
        width_s: 0.5,
        offered: 0,
        completed: (21_000.0 * waver(half)) as u64,
        failed: 0,
        open: 64,
        delivered: 0,
        response: spread(21_000, 1.4 * waver(half), 3.1 * waver(half + 40)),
    });
    let latencies = spread(208_400, 1.4, 3.3);
    Report {
        model: "closed".into(),
        duration_s: 5.0,
        verdict: Verdict::Pass,
        reason: "the threshold holds, although the generator was at its limit: its threads took 97% of their cores"
            .into(),
        thresholds: vec![judged("success >= 99.9%", "100%", true)],
        achieved_rate: 41_680.0,
        requests: 208_400,
        succeeded: 208_400,
        success: 1.0,
        received_bytes: 250_000_000,
        sent_bytes: 12_000_000,
        response: latencies,
        service: latencies,
        connect: spread(64, 0.1, 0.3),
        statuses: [(200, 208_400)].into(),
        stages: vec![stage("constant", 0.0, 5.0, 64.0, 64.0)],
        timeline: timeline.collect(),
        curve: curve(|p| curve_at(p, 1.4, 3.3), |p| curve_at(p, 1.4, 3.3)),
        generator: Generator {
            processes: 1,
            threads: 1,
            cpu: 0.97,
            resident_bytes: 5 << 20,
            limit: Some("its threads took 97% of their cores".into()),
        },
        ..empty()
    }
}

/// A run so short that it is one moment: three requests, one of them refused.
pub fn moment() -> Report {
    let response = spread(3, 0.8, 1.1);
    Report {
        duration_s: 0.3,
        reason: "success >= 99.9% does not hold: 66.66% were measured".into(),
        thresholds: vec![judged("success >= 99.9%", "66.66%", false)],
        offered_rate: 10.0,
        achieved_rate: 6.7,
        requests: 3,
        succeeded: 2,
        success: 2.0 / 3.0,
        received_bytes: 420,
        sent_bytes: 210,
        response,
        service: response,
        failures: vec![failed(Failure::Refused, 1)],
        statuses: [(200, 2)].into(),
        steps: vec![step("list", 2, 0, 0.8, 1.1)],
        stages: vec![stage("constant", 0.0, 0.3, 10.0, 10.0)],
        timeline: vec![Moment {
            at_s: 0.0,
            width_s: 0.3,
            offered: 3,
            completed: 3,
            failed: 1,
            open: 1,
            delivered: 0,
            response,
        }],
        curve: vec![Percentile { percentile: 100.0, response_ms: 1.1, service_ms: 1.1 }],
        ..empty()
    }
}
