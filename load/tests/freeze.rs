//! The oracle: what a target that stands still for a while does to latencies is known from arithmetic.

mod targets;

use std::io::Write;
use std::net::SocketAddr;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::Duration;

use targets::{OK, Target, closed, ms, open, outcome, read_request, run_with};
use tidegate_load::engine::Clock;
use tidegate_load::plan::{Plan, Stage, Users};
use tidegate_load::record::Record;

/// The target answers nothing from one second after the beginning of the run on, until two and a half.
const FROZEN_FROM_MS: u64 = 1_000;
const FROZEN_TO_MS: u64 = 2_500;

/// One run at a time has the machine to itself.
static MACHINE: Mutex<()> = Mutex::new(());

/// Carries out a plan for a target on this machine that freezes. Says too by how much the target overslept, in
/// milliseconds.
fn run_through_a_freeze(plan: impl FnOnce(SocketAddr) -> Plan) -> (Record, f64) {
    let _alone = MACHINE.lock().unwrap_or_else(PoisonError::into_inner);
    let clock = Clock::start();
    let overslept = Arc::new(OnceLock::new());
    let first = overslept.clone();
    let target = Target::new(move |mut stream, _| {
        while read_request(&mut stream).is_some() {
            let now = clock.now();
            if (ms(FROZEN_FROM_MS)..ms(FROZEN_TO_MS)).contains(&now) {
                thread::sleep(Duration::from_nanos(ms(FROZEN_TO_MS) - now));
                first.get_or_init(|| (clock.now() - ms(FROZEN_TO_MS)) as f64 / 1e6);
            }
            if stream.write_all(OK).is_err() {
                return;
            }
        }
    });
    let record = run_with(&plan(target.address), clock, &AtomicBool::new(false));
    (record, *overslept.get().expect("some request came while it stood still"))
}

#[test]
fn an_open_run_reports_a_freeze_in_full() {
    let (record, overslept_ms) =
        run_through_a_freeze(|address| open(address, 100.0, Duration::from_secs(6), Users::UpTo(8)));
    assert_eq!(outcome(&record), (600, 600, vec![]));
    // Of 600 requests, 150 were due while the target stood still, one every 10 ms: they take 1500 ms, 1490 ms and so
    // on. 60 of them, the longest 10 % of all, take more than 900 ms, and 6 of them more than 1440 ms.
    let response = record.response();
    for (quantile, arithmetic_ms) in [(0.9, 900.0), (0.99, 1_440.0)] {
        let (measured_ms, expected_ms) =
            (response.quantile_ms(quantile).unwrap(), arithmetic_ms + overslept_ms);
        let off = (measured_ms / expected_ms - 1.0).abs();
        assert!(off < 0.02, "p{}: {measured_ms} ms instead of {expected_ms} ms", quantile * 100.0);
    }
    // From sending, only the eight that it had taken in look slow.
    assert!(record.service().quantile_ms(0.9).unwrap() < 450.0, "the service time hides the freeze");
}

#[test]
fn a_closed_run_hides_the_same_freeze() {
    let (record, _) = run_through_a_freeze(|address| {
        let stages =
            vec![Stage { name: "only".into(), duration: Duration::from_secs(3), from: 4.0, to: 4.0 }];
        Plan { stages, requests: None, users: Users::Exactly(4), ..closed(address, 1) }
    });
    assert_eq!(record.succeeded(), record.requests());
    let response = record.response();
    assert!(response.max_ms().unwrap() > 1_400.0, "four requests have seen all of it");
    assert!(response.quantile_ms(0.99).unwrap() < 450.0, "and they are lost among the others");
}
