//! What an idle WebSocket costs: a test of its own, because it looks at the memory of its whole process.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use tidegate_load::engine::{Clock, drive};
use tidegate_load::plan::{
    Model, Part, Pause, Plan, Sockets, Spacing, Stage, Target, Transport, Users, Work,
};
use tidegate_load::record::Record;
use tidegate_load::script::{Draft, Expect, Request};
use wire::websocket::handshake;
use wire::{Limits, RequestHead};

const SOCKETS: u32 = 2_000;

/// Shakes hands with everybody, one after the other, and then holds the connections.
fn hold(listener: &TcpListener) {
    let mut held = Vec::new();
    let mut head = RequestHead::new();
    let mut buffer = [0; 1024];
    for stream in listener.incoming() {
        let mut stream: TcpStream = stream.unwrap();
        let count = stream.read(&mut buffer).unwrap();
        assert_eq!(head.parse(&buffer[..count], &Limits::default()), Ok(true));
        let accept = handshake::check_request(&head, &buffer[..count]).unwrap();
        let mut answer = Vec::new();
        handshake::write_response(&mut answer, &accept, None, &[]);
        stream.write_all(&answer).unwrap();
        held.push(stream);
        if held.len() == SOCKETS as usize {
            break;
        }
    }
    // Until the other side lets go: the first byte of its closes.
    for stream in &mut held {
        let _ = stream.read(&mut buffer);
    }
}

fn plan(listener: &TcpListener) -> Plan {
    let mut draft = Draft::new("app", true);
    let path = draft.path("/ws").unwrap();
    let request = Request { method: "GET".into(), path, fields: Vec::new(), body: None };
    draft.step("open", &request, Pause::default(), Expect::default(), Vec::new());
    draft.flow(1);
    let script = draft.finish().unwrap();
    let sockets = Sockets { script, hello: Vec::new(), welcome: None, send: None, storm: None };
    Plan {
        name: "idle".into(),
        target: Target {
            origin: "http://app".into(),
            authority: "app".into(),
            addresses: vec![listener.local_addr().unwrap()],
            transport: Transport::Plain,
        },
        model: Model::Open(Spacing::Even),
        stages: vec![Stage {
            name: "ramp".into(),
            duration: Duration::from_secs(1),
            from: 0.0,
            to: SOCKETS.into(),
        }],
        requests: None,
        work: Work::Sockets(sockets),
        users: Users::UpTo(SOCKETS),
        keep_alive: true,
        sources: Vec::new(),
        timeout: Duration::from_secs(20),
        grace: Duration::from_secs(20),
        thresholds: Vec::new(),
        seed: 1,
    }
}

/// Resident bytes of this process.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}

#[test]
fn an_idle_socket_takes_a_fraction_of_4_kib() {
    let limits = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    let raised = rustix::process::Rlimit { current: limits.maximum, ..limits };
    rustix::process::setrlimit(rustix::process::Resource::Nofile, raised).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    rustix::net::listen(&listener, 4096).unwrap();
    let plan = plan(&listener);
    let target = std::thread::spawn(move || hold(&listener));

    let (mut least, mut most) = (u64::MAX, 0);
    let mut record = Record::default();
    drive(&plan, Part { index: 0, of: 1 }, Clock::start(), &AtomicBool::new(false), &mut |report| {
        record.merge(&report);
        least = least.min(resident());
        most = most.max(resident());
    })
    .unwrap();
    target.join().unwrap();
    assert_eq!((record.succeeded(), record.most_open()), (u64::from(SOCKETS), u64::from(SOCKETS)));
    // The first report comes after half of the ramp. Both ends are in this process, so this is too much rather than
    // too little.
    let per_socket = (most - least) / u64::from(SOCKETS / 2);
    println!("{per_socket} bytes per idle socket");
    assert!(per_socket < 1024, "{per_socket} bytes per idle socket");
}
