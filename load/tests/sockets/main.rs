//! WebSocket load against targets with all kinds of manners, over real sockets.

mod target;

use std::io::{Read as _, Write as _};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use target::{Target, frame};
use tidegate_load::engine::{Clock, drive};
use tidegate_load::failure::Failure;
use tidegate_load::plan::{
    Model, Part, Pause, Plan, Receivers, Send, Sockets, Spacing, Stage, Storm, Transport, Users, Work,
};
use tidegate_load::record::Record;
use tidegate_load::script::{Draft, Expect, Request};
use wire::websocket::{FrameHead, Opcode, encode_head};

const MS: fn(u64) -> Duration = Duration::from_millis;

/// A plan that holds `sockets` for 400 ms, with a welcome; each sends every 10 ms what `receivers` should get.
fn plan(target: &Target, sockets: u32, receivers: Receivers) -> Plan {
    let mut draft = Draft::new("app", true);
    let path = draft.path("/ws").unwrap();
    let request = Request { method: "GET".into(), path, fields: Vec::new(), body: None };
    let hello = vec![draft.text("hello").unwrap()];
    let text = draft.text(r#"{"text":"{{mark}}"}"#).unwrap();
    draft.step("open", &request, Pause::default(), Expect::default(), Vec::new());
    draft.flow(1);
    let every = Pause { least: MS(10), most: MS(10) };
    let sockets_plan = Sockets {
        script: draft.finish().unwrap(),
        hello,
        welcome: Some("welcome".into()),
        send: Some(Send { text, every, senders: None, receivers }),
        storm: None,
    };
    Plan {
        name: "sockets".into(),
        target: tidegate_load::plan::Target {
            origin: format!("http://{}", target.address),
            authority: "app".into(),
            addresses: vec![target.address],
            transport: Transport::Plain,
        },
        model: Model::Open(Spacing::Even),
        stages: vec![stage(400, sockets, sockets)],
        requests: None,
        work: Work::Sockets(sockets_plan),
        users: Users::UpTo(sockets),
        keep_alive: true,
        sources: Vec::new(),
        timeout: Duration::from_secs(5),
        grace: Duration::from_secs(2),
        thresholds: Vec::new(),
        seed: 7,
    }
}

fn stage(duration_ms: u64, from: u32, to: u32) -> Stage {
    Stage { name: "stage".into(), duration: MS(duration_ms), from: from.into(), to: to.into() }
}

fn sockets(plan: &mut Plan) -> &mut Sockets {
    match &mut plan.work {
        Work::Sockets(sockets) => sockets,
        Work::Http(_) => unreachable!("the plan is for sockets"),
    }
}

/// Carries a plan out in so many threads.
fn run_in(plan: &Plan, of: u32) -> Record {
    let (clock, stop, all) = (Clock::start(), AtomicBool::new(false), Mutex::new(Record::default()));
    std::thread::scope(|scope| {
        for index in 0..of {
            let (stop, all) = (&stop, &all);
            scope.spawn(move || {
                let mut report = |record: Record| all.lock().unwrap().merge(&record);
                drive(plan, Part { index, of }, clock, stop, &mut report).unwrap();
            });
        }
    });
    all.into_inner().unwrap()
}

fn run(plan: &Plan) -> Record {
    run_in(plan, 1)
}

/// Published, delivered, lost, duplicated, reordered.
fn messages(record: &Record) -> (u64, u64, u64, u64, u64) {
    let sockets = &record.sockets;
    let delivered = sockets.delivery.count();
    (sockets.published, delivered, sockets.lost, sockets.duplicated, sockets.reordered)
}

fn echo(peer: &mut target::Peer<'_>, text: &str) {
    if text != "hello" {
        peer.send(text);
    }
}

#[test]
fn an_echo_brings_every_message_back_and_sockets_close_as_they_should() {
    let target = Target::new(echo);
    let record = run(&plan(&target, 5, Receivers::Sender));
    let published = record.sockets.published;
    assert!(published >= 5, "{published}");
    assert_eq!(messages(&record), (published, published, 0, 0, 0));
    assert_eq!((record.requests(), record.succeeded(), record.connect.count()), (5, 5, 5));
    assert_eq!(record.statuses().count(101), 5);
    assert_eq!((record.due, record.most_open(), record.sockets.disconnected), (5, 5, 0));
    assert_eq!(record.sockets.received, 5, "the welcomes have no mark");
    let seen = target.seen();
    assert_eq!(seen.texts.iter().filter(|text| *text == "hello").count(), 5);
    assert_eq!(seen.closes, [1000; 5]);
    assert_eq!(seen.broken, 0);
}

#[test]
fn a_ramp_opens_sockets_one_by_one_and_closes_the_newest_first() {
    let target = Target::new(echo);
    let mut plan = plan(&target, 10, Receivers::Sender);
    plan.stages = vec![stage(200, 0, 10), stage(200, 10, 2)];
    let record = run(&plan);
    assert_eq!((record.succeeded(), record.sockets.disconnected, record.sockets.lost), (10, 0, 0));
    let seen = target.seen();
    assert_eq!((seen.opened, &seen.closes[..]), (10, &[1000; 10][..]));
}

#[test]
fn what_an_echo_swallows_repeats_and_swaps_is_counted_to_the_message() {
    let dropped = Arc::new(AtomicUsize::new(0));
    let (doubled, swapped) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let held = Mutex::new(std::collections::HashMap::new());
    let counts = (Arc::clone(&dropped), Arc::clone(&doubled), Arc::clone(&swapped));
    let target = Target::new(move |peer, text| {
        let count = |counter: &AtomicUsize| counter.fetch_add(1, Ordering::Relaxed);
        // The hello is number 0.
        match (peer.number + 9) % 10 {
            _ if peer.number == 0 => {}
            2 => {
                count(&counts.0);
            }
            4 => {
                count(&counts.1);
                peer.send(text);
                peer.send(text);
            }
            6 => {
                held.lock().unwrap().insert(peer.id, text.to_owned());
            }
            7 => {
                count(&counts.2);
                peer.send(text);
                let held = held.lock().unwrap().remove(&peer.id).unwrap();
                peer.send(&held);
            }
            _ => peer.send(text),
        }
    });
    let mut plan = plan(&target, 4, Receivers::Sender);
    plan.grace = MS(400);
    let record = run(&plan);
    let count = |counter: &AtomicUsize| counter.load(Ordering::Relaxed) as u64;
    assert!(count(&dropped) > 0 && count(&doubled) > 0 && count(&swapped) > 0);
    let (published, delivered, lost, duplicated, reordered) = messages(&record);
    assert_eq!((duplicated, reordered), (count(&doubled), count(&swapped)));
    // A message that was held at the end and never let go is lost too.
    assert!(lost >= count(&dropped) && lost <= count(&dropped) + 4, "{lost} of {}", count(&dropped));
    assert_eq!(delivered + lost, published);
}

#[test]
fn a_broadcast_reaches_every_socket_of_every_part() {
    let target = Target::new(|peer, text| {
        if text != "hello" {
            peer.send_to_all(text);
        }
    });
    let mut plan = plan(&target, 6, Receivers::All);
    sockets(&mut plan).send.as_mut().unwrap().senders = Some(2);
    let record = run_in(&plan, 2);
    let (published, delivered, lost, duplicated, reordered) = messages(&record);
    assert!(published > 10);
    // All six were open from the beginning, but for the first moments.
    assert!(delivered > published * 5 && delivered <= published * 6, "{delivered} of {published} to each");
    assert_eq!((lost, duplicated, reordered), (0, 0, 0));
}

#[test]
fn those_who_join_late_and_leave_early_are_judged_on_the_time_between() {
    let target = Target::new(|peer, text| {
        if text != "hello" {
            peer.send_to_others(text);
        }
    });
    let mut plan = plan(&target, 12, Receivers::Others);
    plan.stages = vec![stage(200, 2, 12), stage(200, 12, 2)];
    sockets(&mut plan).storm = Some(Storm { at: MS(200), share: 0.5, within: MS(50) });
    let record = run_in(&plan, 2);
    let (published, delivered, lost, duplicated, reordered) = messages(&record);
    assert!(delivered > published);
    assert_eq!((lost, duplicated, reordered), (0, 0, 0));
    assert_eq!(record.sockets.received, record.connect.count(), "the welcomes, and nobody's own messages");
}

#[test]
fn a_receiver_that_gets_nothing_is_missed_and_so_is_the_last_message() {
    // Peer 1 hears nothing; nobody hears what is dropped.
    let target = Target::new(|peer, text| {
        if text != "hello" {
            peer.send_where(|id| id != 1, &frame(Opcode::Text, text));
        }
    });
    let mut plan = plan(&target, 3, Receivers::All);
    plan.grace = MS(400);
    sockets(&mut plan).send.as_mut().unwrap().senders = Some(1);
    let record = run(&plan);
    let (published, delivered, lost, ..) = messages(&record);
    assert!(published > 5);
    assert_eq!(delivered, published * 2);
    assert!(lost >= published - 1 && lost <= published, "{lost} of {published}");
}

#[test]
fn an_echo_that_had_no_time_to_come_is_not_lost() {
    let target = Target::new(|_, _| {});
    let mut plan = plan(&target, 2, Receivers::Sender);
    plan.stages = vec![stage(100, 2, 2), stage(50, 0, 0)];
    let record = run(&plan);
    assert!(record.sockets.published > 2);
    assert_eq!(
        (record.sockets.lost, record.sockets.disconnected, &target.seen().closes[..]),
        (0, 0, &[1000; 2][..])
    );
    plan.stages = vec![stage(100, 2, 2)];
    plan.grace = MS(300);
    let record = run(&plan);
    assert_eq!(record.sockets.lost, record.sockets.published);
}

#[test]
fn pings_are_answered() {
    let target = Target::new(|peer, text| {
        peer.ping("there?");
        echo(peer, text);
    });
    let record = run(&plan(&target, 2, Receivers::Sender));
    let seen = target.seen();
    assert_eq!(seen.pongs, seen.texts.len());
    assert_eq!(record.sockets.lost, 0);
}

#[test]
fn a_socket_that_the_target_closes_comes_back() {
    let target = Target::new(|peer, text| match peer.number {
        3 if peer.id < 2 => peer.close(1012),
        _ => echo(peer, text),
    });
    let record = run(&plan(&target, 2, Receivers::Sender));
    assert_eq!(record.sockets.disconnected, 2);
    assert_eq!((record.requests(), record.succeeded(), record.connect.count()), (4, 4, 4));
    assert_eq!(record.sockets.lost, 0, "what was on its way when the connection ended is not owed");
    let mut closes = target.seen().closes.clone();
    closes.sort_unstable();
    assert_eq!(closes, [1000, 1000, 1012, 1012]);
}

#[test]
fn a_storm_cuts_the_share_and_all_come_back() {
    let target = Target::new(echo);
    let mut plan = plan(&target, 10, Receivers::Sender);
    sockets(&mut plan).storm = Some(Storm { at: MS(150), share: 0.5, within: MS(100) });
    let record = run(&plan);
    assert_eq!((record.connect.count(), record.succeeded(), record.sockets.disconnected), (15, 15, 0));
    assert_eq!(record.sockets.lost, 0);
    let seen = target.seen();
    assert_eq!((seen.opened, seen.broken, &seen.closes[..]), (15, 5, &[1000; 10][..]));
}

/// Runs against a target that does something else than shake hands, and says how opening failed.
fn failure_of(serve: impl Fn(std::net::TcpStream) + std::marker::Send + Sync + 'static) -> (Failure, Record) {
    let target = Target::raw(move |mut stream, _, _| {
        let mut request = Vec::new();
        let mut buffer = [0; 1024];
        while !request.ends_with(b"\r\n\r\n") {
            match stream.read(&mut buffer) {
                Ok(count) if count > 0 => request.extend_from_slice(&buffer[..count]),
                _ => return,
            }
        }
        serve(stream);
    });
    let mut plan = plan(&target, 1, Receivers::Sender);
    // It is over before another attempt is due.
    plan.stages = vec![stage(40, 1, 1)];
    plan.timeout = MS(50);
    let record = run(&plan);
    assert_eq!((record.requests(), record.succeeded(), record.sockets.disconnected), (1, 0, 0));
    assert_eq!(record.failures(), record.not_connected);
    (record.failures().ranked()[0].0, record)
}

#[test]
fn every_wrong_answer_to_the_handshake_has_its_name() {
    let answer =
        |text: &'static str| failure_of(move |mut stream| stream.write_all(text.as_bytes()).unwrap());
    let (failure, record) = answer("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    assert_eq!((failure, record.statuses().count(200)), (Failure::Handshake, 1));
    let wrong = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                 Sec-WebSocket-Accept: AAAAAAAAAAAAAAAAAAAAAAAAAAA=\r\n\r\n";
    assert_eq!(answer(wrong).0, Failure::Handshake);
    assert_eq!(answer("SSH-2.0-OpenSSH\r\n\r\n").0, Failure::Garbage);
    assert_eq!(answer("HTTP/1.1 101 Swi").0, Failure::ShortBody);
    assert_eq!(answer("").0, Failure::ClosedEarly);
}

#[test]
fn an_answer_or_a_welcome_that_never_comes_is_a_timeout() {
    // The stream is held until the other side lets go.
    let silent = |mut stream: std::net::TcpStream| drop(stream.read(&mut [0]));
    assert_eq!(failure_of(silent).0, Failure::Timeout);
    let target = Target::new(|_, _| {});
    let mut plan = plan(&target, 1, Receivers::Sender);
    sockets(&mut plan).welcome = Some("another welcome".into());
    plan.stages = vec![stage(40, 1, 1)];
    plan.timeout = MS(50);
    let record = run(&plan);
    assert_eq!((record.failures().count(Failure::Timeout), record.requests()), (1, 1));
}

#[test]
fn a_target_that_is_not_there_is_refused_again_and_again_with_growing_pauses() {
    let target = Target::new(echo);
    let mut plan = plan(&target, 1, Receivers::Sender);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    plan.target.addresses = vec![listener.local_addr().unwrap()];
    drop(listener);
    let record = run(&plan);
    let refused = record.failures().count(Failure::Refused);
    assert_eq!((refused, record.succeeded()), (record.requests(), 0));
    // At 0, then after 50 to 100 ms, 100 to 200, 200 to 400.
    assert!((3..=4).contains(&refused), "{refused}");
}

/// Has a target answer the third text with these bytes.
fn broken_by(bytes: &[u8]) -> (Record, Vec<u16>) {
    let bytes = bytes.to_vec();
    let target = Target::new(move |peer, text| match peer.number {
        3 if peer.id == 0 => peer.send_bytes(&bytes),
        _ => echo(peer, text),
    });
    let record = run(&plan(&target, 1, Receivers::Sender));
    let closes = target.seen().closes.clone();
    (record, closes)
}

#[test]
fn frames_that_break_the_rules_end_the_socket_as_garbage() {
    let mut oversize = Vec::new();
    let head = FrameHead { fin: true, opcode: Opcode::Binary, mask: None, payload_bytes: 2 << 20 };
    encode_head(&mut oversize, &head);
    let mut masked = Vec::new();
    wire::websocket::encode_frame(&mut masked, Opcode::Text, Some([1, 2, 3, 4]), b"hello");
    for bytes in [&oversize[..], &masked, b"\xc1\x00", b"\x81\x01\xff", b"\x83\x00"] {
        let (record, closes) = broken_by(bytes);
        assert_eq!((record.sockets.disconnected, record.not_connected.count(Failure::Garbage)), (1, 1));
        assert_eq!((record.succeeded(), closes), (2, vec![1002, 1000]), "{bytes:?}");
    }
}

#[test]
fn a_target_that_does_not_read_shows_up_as_latency_not_as_memory() {
    // It shakes hands, reads nothing for a while, then echoes everything.
    let (let_go, held) = std::sync::mpsc::channel::<()>();
    let held = Mutex::new(held);
    let target = Target::raw(move |stream, _, _| {
        let mut socket = tungstenite::accept(stream).unwrap();
        socket.send("welcome".into()).unwrap();
        let _ = held.lock().unwrap().recv();
        while let Ok(message) = socket.read() {
            if message.is_text() && !message.to_text().is_ok_and(|text| text == "hello") {
                let _ = socket.send(message);
            }
        }
    });
    let mut plan = plan(&target, 1, Receivers::Sender);
    let mut draft = Draft::new("app", true);
    let text = format!("{{{{mark}}}}{}", "x".repeat(100_000));
    sockets(&mut plan).send.as_mut().unwrap().text = draft.text(&text).unwrap();
    sockets(&mut plan).send.as_mut().unwrap().every = Pause { least: MS(2), most: MS(2) };
    plan.grace = Duration::from_secs(20);
    let mut record = Record::default();
    let mut let_go = Some(let_go);
    drive(&plan, Part { index: 0, of: 1 }, Clock::start(), &AtomicBool::new(false), &mut |report| {
        // The first report comes when the stages are over.
        let_go.take();
        record.merge(&report);
    })
    .unwrap();
    let (published, delivered, lost, ..) = messages(&record);
    assert!(published > 20, "what had become due was sent once there was room: {published}");
    assert_eq!((delivered, lost), (published, 0));
}

#[test]
fn a_run_that_is_stopped_closes_its_sockets_and_reports() {
    let target = Target::new(echo);
    let mut plan = plan(&target, 3, Receivers::Sender);
    plan.stages = vec![stage(3_600_000, 3, 3)];
    let stop = AtomicBool::new(false);
    let mut record = Record::default();
    drive(&plan, Part { index: 0, of: 1 }, Clock::start(), &stop, &mut |report| {
        record.merge(&report);
        stop.store(true, Ordering::Relaxed);
    })
    .unwrap();
    assert_eq!((record.succeeded(), record.sockets.lost, record.sockets.disconnected), (3, 0, 0));
    assert_eq!(target.seen().closes, [1000; 3]);
}
