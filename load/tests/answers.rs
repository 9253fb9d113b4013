//! What a well-behaved target may answer, and what a run asks of it.

mod targets;

use std::io::Write;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use targets::{OK, Target, closed, open, outcome, read_request, run, run_part, run_with};
use tidegate_load::engine::{Clock, monotonic};
use tidegate_load::plan::{Model, Part, Pause, Spacing, Stage, Users, Work};
use tidegate_load::scenario::quick::{self, Options};
use tidegate_load::script::{Draft, Expect, Request};

#[test]
fn every_framing_is_understood() {
    let big = "x".repeat(1_000_000);
    for (answer, connections) in [
        ("HTTP/1.1 204 No Content\r\n\r\n".to_owned(), 1),
        ("HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n".to_owned(), 1),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n3\r\nyou\r\n0\r\nA: b\r\n\r\n".to_owned(), 1),
        ("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".to_owned(), 1),
        (format!("HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n{big}"), 1),
        ("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello".to_owned(), 4),
        ("HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello".to_owned(), 4),
    ] {
        let bytes = answer.len() as u64;
        let shown = answer[..answer.len().min(100)].to_owned();
        let target = Target::new(move |mut stream, _| {
            while read_request(&mut stream).is_some() && stream.write_all(answer.as_bytes()).is_ok() {}
        });
        let record = run(&closed(target.address, 4));
        assert_eq!(outcome(&record), (4, 4, vec![]), "{shown}");
        assert_eq!(record.received_bytes, 4 * bytes, "{shown}");
        assert_eq!(target.accepted(), connections, "{shown}");
    }
}

#[test]
fn a_body_may_end_with_the_connection() {
    let target = Target::new(|mut stream, _| {
        read_request(&mut stream);
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\nhello");
    });
    assert_eq!(outcome(&run(&closed(target.address, 3))), (3, 3, vec![]));
    assert_eq!(target.accepted(), 3);
}

#[test]
fn an_answer_may_come_byte_by_byte() {
    let target = Target::new(|mut stream, _| {
        while read_request(&mut stream).is_some() {
            for byte in b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n" {
                stream.write_all(&[*byte]).unwrap();
            }
        }
    });
    assert_eq!(outcome(&run(&closed(target.address, 3))), (3, 3, vec![]));
    assert_eq!(target.accepted(), 1);
}

#[test]
fn head_has_no_body_whatever_its_length_says() {
    let target = Target::answering(b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n");
    let plan = quick::plan(&Options {
        url: format!("http://{}/", target.address),
        closed: true,
        connections: Some(1),
        requests: Some(3),
        method: Some("HEAD".into()),
        ..Options::default()
    })
    .unwrap();
    assert_eq!(outcome(&run(&plan)), (3, 3, vec![]));
}

#[test]
fn a_request_larger_than_any_buffer_arrives_whole() {
    let body = "b".repeat(20_000_000);
    let (seen, sizes) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Mutex::new(Vec::new())));
    let (bodies, lengths) = (seen.clone(), sizes.clone());
    let target = Target::new(move |mut stream, _| {
        while let Some(request) = read_request(&mut stream) {
            bodies.lock().unwrap().push(request.bytes().filter(|byte| *byte == b'b').count());
            lengths.lock().unwrap().push(request.len() as u64);
            stream.write_all(OK).unwrap();
        }
    });
    let plan = quick::plan(&Options {
        url: format!("http://{}/", target.address),
        closed: true,
        connections: Some(1),
        requests: Some(2),
        body: Some(body),
        ..Options::default()
    })
    .unwrap();
    let record = run(&plan);
    assert_eq!(outcome(&record), (2, 2, vec![]));
    assert!(seen.lock().unwrap().iter().all(|count| *count >= 20_000_000));
    assert_eq!(record.sent_bytes, sizes.lock().unwrap().iter().sum::<u64>());
}

#[test]
fn without_keep_alive_every_request_has_a_connection() {
    let target = Target::answering(OK);
    let plan = quick::plan(&Options {
        url: format!("http://{}/", target.address),
        rate: Some("200/s".into()),
        requests: Some(7),
        no_keepalive: true,
        ..Options::default()
    })
    .unwrap();
    let record = run(&plan);
    assert_eq!(outcome(&record), (7, 7, vec![]));
    assert_eq!(target.accepted(), 7);
    assert_eq!((record.connect.count(), record.sockets.disconnected), (7, 0));
}

#[test]
fn exact_users_are_connected_before_the_run_begins_and_take_turns() {
    let of = Arc::new(Mutex::new([0; 5]));
    let counts = of.clone();
    let target = Target::new(move |mut stream, number| {
        while read_request(&mut stream).is_some() {
            counts.lock().unwrap()[number] += 1;
            stream.write_all(OK).unwrap();
        }
    });
    let mut plan = open(target.address, 200.0, Duration::from_millis(100), Users::Exactly(5));
    plan.requests = Some(20);
    let clock = Clock { origin: monotonic() + 100_000_000 };
    let record = run_with(&plan, clock, &AtomicBool::new(false));
    assert_eq!(outcome(&record), (20, 20, vec![]));
    assert_eq!(*of.lock().unwrap(), [4; 5], "the one who has been idle longest is next");
    assert_eq!((target.accepted(), record.connect.count()), (5, 5));
}

#[test]
fn exact_users_connect_again_when_the_target_closes_an_idle_connection() {
    let target = Target::new(|mut stream, number| if number > 0 && read_request(&mut stream).is_none() {});
    let plan = open(target.address, 0.0, Duration::from_millis(400), Users::Exactly(1));
    let record = run(&plan);
    assert_eq!(outcome(&record), (0, 0, vec![]));
    assert_eq!((target.accepted(), record.connect.count()), (2, 2));
    assert_eq!((record.sockets.disconnected, record.not_connected.total()), (1, 0));
}

#[test]
fn source_addresses_are_used_in_turn() {
    let peers = Arc::new(Mutex::new(Vec::new()));
    let seen = peers.clone();
    let target = Target::new(move |mut stream, _| {
        seen.lock().unwrap().push(stream.peer_addr().unwrap().ip().to_string());
        read_request(&mut stream);
        stream.write_all(OK).unwrap();
    });
    let mut plan = closed(target.address, 4);
    plan.keep_alive = false;
    plan.sources = vec!["127.0.0.2".parse().unwrap(), "127.0.0.3".parse().unwrap()];
    assert_eq!(outcome(&run(&plan)), (4, 4, vec![]));
    assert_eq!(*peers.lock().unwrap(), ["127.0.0.2", "127.0.0.3", "127.0.0.2", "127.0.0.3"]);
}

#[test]
fn parts_share_requests_and_users() {
    let target = Target::answering(OK);
    for model in [Model::Closed, Model::Open(Spacing::Even), Model::Open(Spacing::Poisson)] {
        let mut plan = open(target.address, 500.0, Duration::from_secs(20), Users::UpTo(4));
        (plan.model, plan.requests) = (model, Some(31));
        plan.stages[0].to = plan.stages[0].from;
        let (clock, stop) = (Clock::start(), AtomicBool::new(false));
        let (one, other) = std::thread::scope(|scope| {
            let other = scope.spawn(|| run_part(&plan, Part { index: 1, of: 2 }, clock, &stop));
            (run_part(&plan, Part { index: 0, of: 2 }, clock, &stop), other.join().unwrap())
        });
        assert_eq!((one.succeeded(), other.succeeded()), (16, 15), "{model:?}");
    }
}

#[test]
fn flows_go_on_with_what_was_captured_and_stop_where_they_fail() {
    let paths = Arc::new(Mutex::new(Vec::new()));
    let seen = paths.clone();
    let target = Target::new(move |mut stream, _| {
        while let Some(request) = read_request(&mut stream) {
            let path = request.split(' ').nth(1).unwrap().to_owned();
            let answer: &[u8] =
                if path == "/b" { b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n" } else { OK };
            seen.lock().unwrap().push(path);
            stream.write_all(answer).unwrap();
        }
    });
    let mut plan = open(target.address, 100.0, Duration::from_secs(10), Users::UpTo(1));
    let mut draft = Draft::new(&plan.target.authority, true);
    let think = Pause { least: Duration::from_millis(1), most: Duration::from_millis(2) };
    for (path, think) in [("/a", think), ("/b", Pause::default()), ("/c", Pause::default())] {
        let request =
            Request { method: "GET".into(), path: draft.path(path).unwrap(), fields: Vec::new(), body: None };
        draft.step(path, &request, think, Expect::default(), Vec::new());
    }
    draft.flow(1);
    (plan.work, plan.requests) = (Work::Http(draft.finish().unwrap()), Some(5));
    let record = run(&plan);
    assert_eq!(*paths.lock().unwrap(), ["/a", "/b", "/a", "/b", "/a"]);
    assert_eq!(record.requests(), 5);
    assert_eq!(record.due, 5, "later steps are due too");
    let steps: Vec<_> = record.steps.iter().map(|step| (step.requests, step.succeeded)).collect();
    assert_eq!(steps[..3], [(3, 3), (2, 0), (0, 0)]);
}

#[test]
fn the_stages_say_how_many_users_of_a_closed_model_there_are() {
    let target = Target::answering(OK);
    let mut plan = open(target.address, 0.0, Duration::ZERO, Users::Exactly(100));
    plan.model = Model::Closed;
    plan.stages = [(3.0, 3.0), (1.0, 1.0), (5.0, 5.0)]
        .map(|(from, to)| Stage { name: String::new(), duration: Duration::from_millis(60), from, to })
        .into();
    let record = run(&plan);
    assert_eq!(record.requests(), record.succeeded());
    assert_eq!(target.accepted(), 3 + 4, "two leave, and four come");
    assert_eq!(record.most_open(), 5);
}

#[test]
fn a_stopped_run_ends_soon_and_tells_what_it_has() {
    let target = Target::answering(OK);
    let mut plan = open(target.address, 1000.0, Duration::from_hours(1), Users::UpTo(4));
    plan.grace = Duration::from_hours(1);
    let stop = AtomicBool::new(false);
    let mut requests = 0;
    tidegate_load::engine::drive(&plan, Part { index: 0, of: 1 }, Clock::start(), &stop, &mut |record| {
        requests += record.requests();
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
    })
    .unwrap();
    assert!(requests > 0);
}
