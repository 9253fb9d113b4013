//! Every way in which a target can fail a request, by name, over real sockets.

mod targets;

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::time::Duration;

use socket2::{Domain, Socket, Type};
use targets::{OK, Target, closed, open, outcome, read_request, reset, run};
use tidegate_load::failure::Failure;
use tidegate_load::plan::{Pause, Plan, Users, Work};
use tidegate_load::script::{Draft, Expect, Request};

/// Asks a target that answers each request with these bytes and closes, and says how the request failed.
fn failure_of(answer: &'static [u8]) -> Vec<(Failure, u64)> {
    let target = Target::new(move |mut stream, _| {
        read_request(&mut stream);
        let _ = stream.write_all(answer);
        let _ = stream.shutdown(Shutdown::Write);
        let _ = stream.read_to_end(&mut Vec::new());
    });
    let record = run(&closed(target.address, 1));
    assert_eq!(record.requests(), 1);
    record.failures().ranked()
}

#[test]
fn a_port_that_nobody_listens_on_refuses() {
    let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap();
    for plan in [closed(address, 2), open(address, 100.0, Duration::from_millis(50), Users::UpTo(3))] {
        let record = run(&plan);
        let requests = record.requests();
        assert!(requests >= 2);
        assert_eq!(outcome(&record), (requests, 0, vec![(Failure::Refused, requests)]));
        assert_eq!(record.not_connected.count(Failure::Refused), requests);
        assert_eq!(record.sent_bytes, 0);
    }
}

#[test]
fn a_source_address_that_is_not_ours_is_unreachable() {
    let target = Target::answering(OK);
    let mut plan = closed(target.address, 1);
    plan.sources = vec!["192.0.2.1".parse().unwrap()];
    assert_eq!(outcome(&run(&plan)), (1, 0, vec![(Failure::Unreachable, 1)]));
}

#[test]
fn a_full_backlog_is_a_connect_timeout() {
    let listener = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    listener.bind(&"127.0.0.1:0".parse::<std::net::SocketAddr>().unwrap().into()).unwrap();
    listener.listen(0).unwrap();
    let address = listener.local_addr().unwrap().as_socket().unwrap();
    let _fills_it = TcpStream::connect(address).unwrap();
    let mut plan = closed(address, 1);
    plan.timeout = Duration::from_millis(50);
    assert_eq!(outcome(&run(&plan)), (1, 0, vec![(Failure::ConnectTimeout, 1)]));
}

#[test]
fn a_reset_before_the_answer_and_one_within_it_are_resets() {
    let before = Target::new(|mut stream, _| {
        read_request(&mut stream);
        reset(stream);
    });
    assert_eq!(outcome(&run(&closed(before.address, 2))), (2, 0, vec![(Failure::Reset, 2)]));
    // Whether the reset overtakes what was sent before it makes no difference.
    let within = Target::new(|mut stream, _| {
        read_request(&mut stream);
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhello").unwrap();
        reset(stream);
    });
    assert_eq!(outcome(&run(&closed(within.address, 1))), (1, 0, vec![(Failure::Reset, 1)]));
}

#[test]
fn an_end_before_the_first_byte_is_closed_early() {
    assert_eq!(failure_of(b""), [(Failure::ClosedEarly, 1)]);
}

#[test]
fn an_end_within_the_answer_is_a_short_body() {
    for answer in [
        &b"HTTP/1.1 200 OK\r\nContent-Le"[..],
        b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
        b"HTTP/1.1 103 Early Hints\r\n\r\n",
    ] {
        assert_eq!(failure_of(answer), [(Failure::ShortBody, 1)], "{}", answer.escape_ascii());
    }
}

#[test]
fn what_is_not_http_is_garbage() {
    for answer in [
        &b"SSH-2.0-OpenSSH_9\r\n"[..],
        b"\r\n\r\n",
        b"HTTP/1.1 200 OK\nContent-Length: 0\n\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5, 6\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nno\r\n",
        // More than was asked for.
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello!",
    ] {
        assert_eq!(failure_of(answer), [(Failure::Garbage, 1)], "{}", answer.escape_ascii());
    }
}

#[test]
fn a_wrong_status_is_named_and_counted() {
    let target = Target::answering(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n");
    let record = run(&closed(target.address, 3));
    assert_eq!(outcome(&record), (3, 0, vec![(Failure::Status, 3)]));
    assert_eq!(record.statuses().count(503), 3);
    assert_eq!(target.accepted(), 1, "the connection is still good");
}

#[test]
fn a_right_answer_that_comes_too_late_is_late_and_keeps_its_status() {
    let target = Target::answering(OK);
    let plan = |within| {
        let mut draft = Draft::new("target", true);
        let request =
            Request { method: "GET".into(), path: draft.path("/").unwrap(), fields: vec![], body: None };
        let expect = Expect { within: Some(within), ..Expect::default() };
        draft.step("home", &request, Pause::default(), expect, Vec::new());
        draft.flow(1);
        Plan { work: Work::Http(draft.finish().unwrap()), ..closed(target.address, 2) }
    };
    assert_eq!(outcome(&run(&plan(Duration::from_secs(20)))), (2, 2, vec![]));
    let record = run(&plan(Duration::from_nanos(1)));
    assert_eq!(outcome(&record), (2, 0, vec![(Failure::Late, 2)]));
    assert_eq!(record.statuses().count(200), 2);
    let (status, times) = record.by_status.iter().next().unwrap();
    assert_eq!((status, times.count()), (200, 2));
    assert!(record.response().max_ms() >= times.min_ms());
}

#[test]
fn a_target_that_hangs_times_out_and_gets_a_new_connection() {
    let target = Target::new(|mut stream, number| {
        // The first connection is never answered.
        while read_request(&mut stream).is_some() {
            if number > 0 {
                stream.write_all(OK).unwrap();
            }
        }
    });
    let mut plan = closed(target.address, 3);
    plan.timeout = Duration::from_millis(100);
    let record = run(&plan);
    assert_eq!(outcome(&record), (3, 2, vec![(Failure::Timeout, 1)]));
    assert_eq!(target.accepted(), 2);
    assert!(record.response().max_ms().unwrap() >= 100.0);
}

#[test]
fn an_answer_that_never_ends_times_out() {
    let target = Target::new(|mut stream, _| {
        read_request(&mut stream);
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n");
        while stream.write_all(&[b'x'; 4096]).is_ok() {}
    });
    let mut plan = closed(target.address, 1);
    plan.timeout = Duration::from_millis(100);
    assert_eq!(outcome(&run(&plan)), (1, 0, vec![(Failure::Timeout, 1)]));
}

#[test]
fn a_connection_that_was_closed_between_requests_costs_no_failure() {
    // Each connection answers once and then ends, without having said so.
    let target = Target::new(|mut stream, _| {
        read_request(&mut stream);
        let _ = stream.write_all(OK);
    });
    let record = run(&closed(target.address, 5));
    assert_eq!(outcome(&record), (5, 5, vec![]));
    assert_eq!(target.accepted(), 5);
    assert!(record.sockets.disconnected >= 4, "the run may be over before the last one ends");
}

#[test]
fn a_request_is_sent_again_once_and_no_more() {
    // Every connection but the first ends upon its first request; the first one upon its second.
    let target = Target::new(|mut stream, number| {
        read_request(&mut stream);
        if number == 0 {
            let _ = stream.write_all(OK);
            read_request(&mut stream);
        }
    });
    let record = run(&closed(target.address, 2));
    assert_eq!(outcome(&record), (2, 1, vec![(Failure::ClosedEarly, 1)]));
    assert_eq!(target.accepted(), 2);
}

#[test]
fn what_is_open_when_the_run_ends_is_unfinished() {
    let target = Target::new(|mut stream, _| while read_request(&mut stream).is_some() {});
    let mut plan = open(target.address, 100.0, Duration::from_millis(200), Users::UpTo(4));
    plan.grace = Duration::from_millis(100);
    let record = run(&plan);
    // Four are open, the others wait for a user.
    assert_eq!(outcome(&record), (20, 0, vec![(Failure::Unfinished, 20)]));
    assert_eq!(record.due, 20);
    assert_eq!(target.accepted(), 4);
    let response = record.response();
    assert!(response.max_ms().unwrap() >= 300.0, "the first was due at 0");
    assert!(response.min_ms().unwrap() >= 109.0, "the last was due at 190 ms");
}
