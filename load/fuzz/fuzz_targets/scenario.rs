//! Any text as a scenario: nothing panics, every mistake has its place in the text, and what is sound can be asked.

#![no_main]

use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use fastrand::Rng;
use libfuzzer_sys::fuzz_target;
use load::plan::Work;
use load::scenario::{Surroundings, parse};
use load::script::Memory;

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
    let script = match &plan.work {
        Work::Http(script) => script,
        Work::Sockets(sockets) => &sockets.script,
    };
    let (mut memory, mut rng, mut out) = (Memory::default(), Rng::with_seed(1), Vec::new());
    let at = script.begin(1, &mut rng, &mut memory);
    if script.render(at, &mut memory, &mut rng, 0, &mut out).is_ok() {
        assert!(script.fixed(at).is_none_or(|fixed| fixed == out));
    }
});
