//! The oracle: what a target that stands still for a while does to latencies is known from arithmetic.

mod targets;

use std::io::Write;
use std::sync::Mutex;
use std::thread;
use std::time::Duration;

use targets::{OK, Target, closed, ms, open, outcome, read_request, run_with};
use tidegate_load::engine::Clock;
use tidegate_load::plan::{Plan, Stage, Users};
use tidegate_load::record::Record;

/// The target answers nothing from one second after the beginning of the run on, until two.
const FROZEN_FROM_MS: u64 = 1_000;
const FROZEN_TO_MS: u64 = 2_000;

/// One run at a time has the machine to itself.
static MACHINE: Mutex<()> = Mutex::new(());

/// Carries out a plan for a target on this machine that freezes.
fn run_through_a_freeze(plan: impl FnOnce(std::net::SocketAddr) -> Plan) -> Record {
    let _alone = MACHINE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let clock = Clock::start();
    let target = Target::new(move |mut stream, _| {
        while read_request(&mut stream).is_some() {
            let now = clock.now();
            if (ms(FROZEN_FROM_MS)..ms(FROZEN_TO_MS)).contains(&now) {
                thread::sleep(Duration::from_nanos(ms(FROZEN_TO_MS) - now));
            }
            if stream.write_all(OK).is_err() {
                return;
            }
        }
    });
    run_with(&plan(target.address), clock, &std::sync::atomic::AtomicBool::new(false))
}

#[test]
fn an_open_run_reports_a_freeze_in_full() {
    let record = run_through_a_freeze(|address| open(address, 100.0, Duration::from_secs(4), Users::UpTo(8)));
    assert_eq!(outcome(&record), (400, 400, vec![]));
    // Of 400 requests, 100 were due while the target stood still, one every 10 ms: they take 1000 ms, 990 ms and so on.
    // 40 of them, the longest 10 % of all, take more than 600 ms, and 4 of them more than 960 ms.
    let response = record.response();
    for (quantile, expected_ms) in [(0.9, 600.0), (0.99, 960.0)] {
        let measured_ms = response.quantile_ms(quantile).unwrap();
        let off = (measured_ms / expected_ms - 1.0).abs();
        assert!(off < 0.02, "p{}: {measured_ms} ms instead of {expected_ms} ms", quantile * 100.0);
    }
    // From sending, only the eight that it had taken in look slow.
    assert!(record.service().quantile_ms(0.9).unwrap() < 300.0, "the service time hides the freeze");
}

#[test]
fn a_closed_run_hides_the_same_freeze() {
    let record = run_through_a_freeze(|address| {
        let stages =
            vec![Stage { name: "only".into(), duration: Duration::from_secs(3), from: 4.0, to: 4.0 }];
        Plan { stages, requests: None, users: Users::Exactly(4), ..closed(address, 1) }
    });
    assert_eq!(record.succeeded(), record.requests());
    let response = record.response();
    assert!(response.max_ms().unwrap() > 900.0, "four requests have seen all of it");
    assert!(response.quantile_ms(0.99).unwrap() < 300.0, "and they are lost among the others");
}
