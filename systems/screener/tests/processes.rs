//! Several processes over one database file, and how one of them leaves.

mod harness;

use std::io::Write as _;
use std::net::TcpStream;

use harness::{Answer, TOKEN, eventually, request, spawn, start};
use rustix::process::Signal;
use serde_json::json;

#[test]
fn four_processes_that_start_at_once_fill_the_database_once() {
    for _ in 0..3 {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("s.db");
        let starting = [(); 4].map(|()| spawn(&database, &["--count", "1000"]));
        let running = starting.map(harness::Starting::listening);
        let lines = running.iter().flat_map(|screener| &screener.logged);
        assert_eq!(lines.filter(|line| line.contains("filled the database")).count(), 1);
        let answers = running.each_ref().map(|screener| screener.get("/api/stocks?sort=pe"));
        assert_eq!(answers[0].json()["total"], 1000);
        for other in &answers[1..] {
            assert_eq!(other.body, answers[0].body);
            assert_eq!(
                other.header("etag"),
                answers[0].header("etag"),
                "any of them can say 304 for the others"
            );
        }
    }
}

#[test]
fn a_screen_saved_through_one_process_is_on_the_pages_of_the_others_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("s.db");
    let (one, other) = (start(&database, &["--count", "20"]), start(&database, &[]));
    assert!(!other.get("/").text().contains("Cheap ones"), "the other process has the page in memory now");

    let saved = one.post_json("/api/screens", &json!({ "name": "Cheap ones", "query": "pe_max=10" }));
    assert_eq!(saved.status, 201);
    let screen = saved.header("location").unwrap().to_owned();
    assert!(other.get("/").text().contains("Cheap ones"));
    assert_eq!(other.json(&screen), saved.json());

    assert_eq!(other.ask("DELETE", &screen, &[], b"").status, 204);
    assert!(!one.get("/").text().contains("Cheap ones"));
    assert_eq!(one.get(&screen).status, 404);
}

#[test]
fn sigterm_finishes_the_request_in_flight_and_ends_cleanly() {
    let folder = tempfile::tempdir().unwrap();
    let screener = start(&folder.path().join("s.db"), &["--count", "20", "--lame-duck-s", "0"]);
    let csv = screener.get("/api/stocks.csv").body;
    let authorization = format!("Bearer {TOKEN}");
    let whole = request("POST", "/api/import", &[("authorization", &authorization)], &csv);
    let (first, second) = whole.split_at(whole.len() - 100);

    let mut stream = screener.connect();
    stream.write_all(first).unwrap();
    eventually("the request is in flight", || screener.get("/metrics").text().contains("in_flight 2\n"));
    screener.signal(Signal::TERM);
    eventually("no connection is accepted any more", || TcpStream::connect(screener.address).is_err());

    stream.write_all(second).unwrap();
    let answer = Answer::read(&mut stream, false);
    assert_eq!((answer.status, answer.json()), (200, json!({ "imported": 20, "total": 20 })));
    assert_eq!(answer.header("connection"), Some("close"));
    assert!(screener.ended().success());
}

#[test]
fn during_the_lame_duck_it_serves_and_says_that_it_leaves() {
    let folder = tempfile::tempdir().unwrap();
    let screener = start(&folder.path().join("s.db"), &["--count", "20", "--lame-duck-s", "300"]);
    assert_eq!(screener.json("/ready")["status"], "ready");
    screener.signal(Signal::TERM);
    eventually("readiness fails", || screener.get("/ready").status == 503);
    assert_eq!(screener.get("/ready").json()["status"], "stopping");
    assert_eq!(screener.get("/api/stocks").status, 200);
    // A second signal ends the wait.
    screener.signal(Signal::TERM);
    assert!(screener.ended().success());
}

#[test]
fn what_cannot_be_started_says_why_and_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let running = start(&folder.path().join("s.db"), &["--count", "5"]);
    let failing = |options: &[&str]| {
        let (status, said) = spawn(&folder.path().join("s.db"), options).failing();
        assert!(!status.success(), "{said}");
        said
    };
    let taken = failing(&["--port", &running.address.port().to_string()]);
    assert!(
        taken.contains("cannot listen on 127.0.0.1:") && taken.contains("choose another with --port"),
        "{taken}"
    );
    let later = failing(&["--database", "postgres://me:secret@host/db"]);
    assert!(later.contains("PostgreSQL comes in a later version") && !later.contains("secret"), "{later}");
    assert!(failing(&["--database", "no/such/folder/s.db"]).contains("error: database"));
    assert!(failing(&["--count", "0"]).contains("1..=50000"));
}

#[test]
fn a_full_database_keeps_its_stocks_whatever_seed_it_is_started_with() {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("s.db");
    let before = start(&database, &["--count", "20"]).get("/api/stocks.csv").body;
    let again = start(&database, &["--count", "30", "--seed", "7"]);
    assert_eq!(again.get("/api/stocks.csv").body, before);
}
