//! Processes: what they do without their database, at their bounds, beside each other, and when they are told to leave.

mod harness;

use std::io::Write as _;
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};

use harness::{Answer, eventually, letter, request, running, spawn, start, stored, submit};
use rustix::process::Signal;

#[test]
fn a_site_whose_database_is_away_shows_its_pages_and_recovers_by_itself() {
    let folder = tempfile::tempdir().unwrap();
    let away = folder.path().join("later");
    let site = start(&away.join("r.db"), &[]);
    let ready = site.get("/ready");
    assert_eq!((ready.status, &ready.json()["status"]), (503, &"waiting".into()));
    assert_eq!(ready.json()["checks"]["database"]["status"], "down");
    assert_eq!(site.get("/health").status, 200);
    for target in ["/", "/projects", "/projects/undertow", "/contact"] {
        assert_eq!(site.get(target).status, 200, "{target}");
    }
    let lost = submit(&site, &letter(), &[]);
    assert_eq!((lost.status, lost.header("retry-after")), (503, Some("5")));
    assert!(lost.text().contains("Is the buoy yours?"), "what was written is not lost");
    assert!(!lost.text().contains("later/r.db"), "the inside stays inside");

    std::fs::create_dir(&away).unwrap();
    assert_eq!(site.get("/ready").status, 200);
    assert_eq!(submit(&site, &letter(), &[]).status, 303);
    assert_eq!(stored(&site), 1);
}

#[test]
fn a_database_that_is_moved_away_is_missed_and_found_again() {
    let folder = tempfile::tempdir().unwrap();
    let (here, there) = (folder.path().join("here"), folder.path().join("there"));
    std::fs::create_dir(&here).unwrap();
    let site = start(&here.join("r.db"), &[]);
    assert_eq!(submit(&site, &letter(), &[]).status, 303);

    std::fs::rename(&here, &there).unwrap();
    let ready = site.get("/ready");
    assert_eq!(ready.status, 503);
    let detail = ready.json()["checks"]["database"]["detail"].as_str().unwrap().to_owned();
    assert!(detail.contains("is not the file that was opened; put it back"), "{detail}");
    assert_eq!(submit(&site, &letter(), &[]).status, 503, "not stored where nobody would find it");
    assert_eq!(site.get("/").status, 200);

    std::fs::rename(&there, &here).unwrap();
    assert_eq!(site.get("/ready").status, 200);
    assert_eq!(stored(&site), 1);
}

#[test]
fn a_database_that_can_only_be_read_is_not_ready_and_the_pages_are_served() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("r.db");
    let site = start(&file, &["--lame-duck-s", "0"]);
    assert_eq!(submit(&site, &letter(), &[]).status, 303);
    site.signal(Signal::TERM);
    assert!(site.ended().success());

    // Byte 18 of the file is the version of whoever may write; SQLite only reads what is above its own
    // (sqlite.org/fileformat2.html, 1.3.3). Unlike the file's mode this also holds for root.
    let mut bytes = std::fs::read(&file).unwrap();
    bytes[18] = 3;
    std::fs::write(&file, bytes).unwrap();
    let site = start(&file, &[]);
    let ready = site.get("/ready");
    assert_eq!(ready.status, 503, "{}", ready.text());
    assert!(ready.text().contains("readonly"), "{}", ready.text());
    assert_eq!(site.get("/").status, 200);
    assert_eq!(submit(&site, &letter(), &[]).status, 503);
}

#[test]
fn past_its_bound_a_process_refuses_at_once_and_its_probes_pass() {
    let (_folder, site) = running(&["--in-flight-max", "2"]);
    let whole = request("POST", "/contact", &[], &letter());
    let (first, second) = whole.split_at(whole.len() - 10);
    let mut held: Vec<TcpStream> = (0..2).map(|_| site.connect()).collect();
    for stream in &mut held {
        stream.write_all(first).unwrap();
    }
    eventually("both are in flight", || site.get("/metrics").text().contains("in_flight 3\n"));
    for target in ["/", "/contact", "/no/such"] {
        let refused = site.get(target);
        assert_eq!((refused.status, refused.header("retry-after")), (503, Some("1")), "{target}");
        assert_eq!(
            (refused.json()["code"].as_str(), refused.header("cache-control")),
            (Some("full"), Some("no-store"))
        );
    }
    assert_eq!((site.get("/health").status, site.get("/ready").status), (200, 200));
    for stream in &mut held {
        stream.write_all(second).unwrap();
        assert_eq!(Answer::read(stream, false).status, 303);
    }
    assert_eq!(site.get("/").status, 200);
    assert_eq!(stored(&site), 2);
}

#[test]
fn four_processes_share_one_database() {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("r.db");
    let starting = [(); 4].map(|()| spawn(&database, &[]));
    let sites = starting.map(harness::Starting::listening);
    for site in &sites {
        assert_eq!(submit(site, &letter(), &[]).status, 303);
    }
    for site in &sites {
        assert_eq!(stored(site), 4);
    }
}

#[test]
fn under_load_a_process_that_leaves_cuts_nobody_off() {
    let (_folder, site) = running(&["--lame-duck-s", "0", "--messages-per-hour", "100000"]);
    let whole = request("POST", "/contact", &[], &letter());
    let (first, second) = whole.split_at(whole.len() - 10);
    let mut held = site.connect();
    held.write_all(first).unwrap();
    eventually("it is in flight", || site.get("/metrics").text().contains("in_flight 2\n"));

    let is_over = AtomicBool::new(false);
    let address = site.address;
    let whole_answers = std::thread::scope(|scope| {
        let loads: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    let mut whole_answers = 0_u32;
                    while !is_over.load(Ordering::Relaxed) {
                        // Once it is taken in, a request is answered whole; before that the port may be closed.
                        let Ok(mut stream) = TcpStream::connect(address) else { break };
                        if stream.write_all(&request("GET", "/", &[], b"")).is_err() {
                            break;
                        }
                        let mut answer = Vec::new();
                        let read = std::io::Read::read_to_end(&mut stream, &mut answer);
                        if answer.is_empty() {
                            break;
                        }
                        read.unwrap();
                        assert!(answer.starts_with(b"HTTP/1.1 200") && answer.ends_with(b"</html>\n"));
                        whole_answers += 1;
                    }
                    whole_answers
                })
            })
            .collect();
        eventually("load is on", || site.get("/metrics").text().contains("route=\"/\""));
        site.signal(Signal::TERM);
        eventually("no connection is accepted any more", || TcpStream::connect(address).is_err());
        is_over.store(true, Ordering::Relaxed);
        loads.into_iter().map(|load| load.join().unwrap()).sum::<u32>()
    });
    assert!(whole_answers > 0);

    held.write_all(second).unwrap();
    let answer = Answer::read(&mut held, false);
    assert_eq!((answer.status, answer.header("connection")), (303, Some("close")));
    assert!(site.ended().success());
}

#[test]
fn what_cannot_be_started_says_why_and_what_to_do() {
    let (folder, running) = running(&[]);
    let failing = |options: &[&str]| {
        let (status, said) = spawn(&folder.path().join("r.db"), options).failing();
        assert!(!status.success(), "{said}");
        said
    };
    let taken = failing(&["--port", &running.address.port().to_string()]);
    assert!(taken.contains("cannot listen on 127.0.0.1:"), "{taken}");
    let later = failing(&["--database", "postgres://me:secret@host/db"]);
    assert!(later.contains("PostgreSQL comes in a later version") && !later.contains("secret"), "{later}");
    assert!(failing(&["--owner-token", "short"]).contains("5 bytes, of at least 16"));
    assert!(failing(&["--in-flight-max", "0"]).contains("1..=100000"));
}
