//! Any text as a scenario: nothing panics, every mistake has its place in the text, and what is sound can be asked:
//! arrivals come in order, and every request is one, with nothing behind it.

#![no_main]

use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use fastrand::Rng;
use libfuzzer_sys::fuzz_target;
use load::plan::{Model, Part, Plan, Work};
use load::scenario::{Surroundings, parse};
use load::schedule::{self, Arrivals};
use load::script::{At, Memory, Script};
use wire::{Framing, Limits, Malformed, RequestHead, ResponseHead, uri};

fuzz_target!(|text: &str| {
    let around = Surroundings {
        name: "scenario.toml",
        env: &|name| (name.len() == 1).then(|| name.to_owned()),
        read: &|path, _| match path.to_str() {
            Some("users.csv") => Ok(b"email,password\na,b\n".to_vec()),
            _ => Err(io::ErrorKind::NotFound.into()),
        },
        resolve: &|_, port| Ok(vec![SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port)]),
    };
    let plan = match parse(text, around) {
        Ok(plan) => plan,
        Err(told) => {
            for item in told.items() {
                assert!(item.span.clone().is_none_or(|span| text.get(span).is_some()), "{item:?}");
            }
            assert!(!told.render(true).is_empty());
            return;
        }
    };
    assert!(!plan.stages.is_empty() && !plan.thresholds.is_empty() && plan.users.most() > 0);
    let (mut memory, mut rng, mut out) = (Memory::default(), Rng::with_seed(1), Vec::new());
    uri::host(plan.target.authority.as_bytes(), &mut out).expect("Host is one that servers take");
    timely(&plan);
    let script = match &plan.work {
        Work::Http(script) => script,
        Work::Sockets(sockets) => &sockets.script,
    };
    for arrival in 0..4 {
        let mut at = script.begin(arrival, &mut rng, &mut memory);
        loop {
            out.clear();
            if script.render(at, &mut memory, &mut rng, 0, &mut out).is_ok() {
                assert!(script.fixed(at).is_none_or(|fixed| fixed == out));
                whole(&out);
            }
            answer(script, at, &mut memory);
            if script.facts(at).is_last {
                break;
            }
            at.step += 1;
        }
    }
});

/// The first arrivals are in order and within the stages, and their level is known at each of them.
fn timely(plan: &Plan) {
    let Model::Open(spacing) = plan.model else { return };
    let (alone, length) = (Part { index: 0, of: 1 }, schedule::length(&plan.stages));
    let mut last = 0;
    for (_, due) in Arrivals::new(&plan.stages, spacing, plan.requests, alone, plan.seed).take(500) {
        assert!(last <= due && due <= length);
        assert!(schedule::level(&plan.stages, due) >= 0.0);
        last = due;
    }
}

/// The bytes are one request, with the body that its head speaks of.
fn whole(bytes: &[u8]) {
    let limits = Limits { head_bytes: u32::MAX, target_bytes: u32::MAX, headers: 128, ..Limits::default() };
    let mut head = RequestHead::new();
    match head.parse(bytes, &limits) {
        Ok(true) => {}
        // A scenario may ask for more lines than are looked at, and in the words of others: another Host, any method.
        Err(
            Malformed::TooManyHeaders
            | Malformed::HostInvalid
            | Malformed::HostRepeated
            | Malformed::BadMethod,
        ) => {
            return;
        }
        // What a path cannot have for us, some servers take.
        Err(Malformed::BadTarget) if bytes.contains(&b'\\') => return,
        read => panic!("{read:?}: {:?}", bytes.escape_ascii().to_string()),
    }
    let body = match head.framing {
        Framing::Length(bytes) => bytes,
        _ => 0,
    };
    assert_eq!(u64::from(head.len) + body, bytes.len() as u64);
}

/// Judges an answer to a step, from which there is much to capture.
fn answer(script: &Script, at: At, memory: &mut Memory) {
    const HEAD: &[u8] =
        b"HTTP/1.1 200 OK\r\nContent-Length: 22\r\nSet-Cookie: sid=a;b\r\nETag: \"a\"\r\n\r\n";
    const BODY: &[u8] = br#"{"a":[1,{"b":"\n"}]} "#;
    let mut head = ResponseHead::new();
    assert_eq!(head.parse(HEAD, script.facts(at).method, &Limits::default()), Ok(true));
    let _ = script.judge(at, &head, HEAD, BODY, BODY.len() as u64, memory);
}
