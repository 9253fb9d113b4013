//! What scenarios mean.

mod support;

use std::time::Duration;

use fastrand::Rng;
use support::read;
use tidegate_load::plan::{Model, Plan, Receivers, Spacing, Stage, Users, Work};
use tidegate_load::script::{At, Memory, Script};
use tidegate_load::threshold::Threshold;

const SMALLEST: &str =
    "target = \"http://127.0.0.1:8080\"\n[[stage]]\nfor = \"1s\"\nrate = \"10/s\"\n[[step]]\npath = \"/\"\n";
const WHOLE: &str = include_str!("whole.toml");
const SOCKETS: &str = include_str!("sockets.toml");

fn plan(text: &str) -> Plan {
    read(text).unwrap_or_else(|told| panic!("{told}"))
}

fn script(plan: &Plan) -> &Script {
    match &plan.work {
        Work::Http(script) => script,
        Work::Sockets(sockets) => &sockets.script,
    }
}

/// The requests of a flow of a script, in order.
fn requests(script: &Script, flow: u16) -> Vec<String> {
    let (mut memory, mut rng, mut out) = (Memory::default(), Rng::with_seed(1), Vec::new());
    while script.begin(0, &mut rng, &mut memory).flow != flow {}
    let mut at = At { flow, step: 0 };
    loop {
        let mut request = Vec::new();
        // What earlier answers would have given is not there.
        if script.render(at, &mut memory, &mut rng, 1_700_000_000, &mut request).is_ok() {
            out.push(String::from_utf8(request).unwrap());
        }
        if script.facts(at).is_last {
            return out;
        }
        at.step += 1;
    }
}

#[test]
fn the_smallest_scenario_has_every_default() {
    let plan = plan(SMALLEST);
    assert_eq!(plan.name, "scenario");
    assert_eq!((plan.target.authority.as_str(), plan.target.is_loopback()), ("127.0.0.1:8080", true));
    assert_eq!((plan.model, plan.users), (Model::Open(Spacing::Even), Users::UpTo(10_000)));
    assert_eq!((plan.requests, plan.keep_alive), (None, true));
    assert_eq!((plan.timeout, plan.grace), (Duration::from_secs(30), Duration::from_secs(30)));
    assert_eq!(plan.thresholds, [Threshold::usual()]);
    assert!(plan.sources.is_empty());
    let stage = Stage { name: "10/s".to_owned(), duration: Duration::from_secs(1), from: 10.0, to: 10.0 };
    assert_eq!(plan.stages, [stage]);
    let wanted = "GET / HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nUser-Agent: tidegate-load\r\n\r\n";
    assert_eq!(script(&plan).fixed(At { flow: 0, step: 0 }), Some(wanted.as_bytes()));
    assert_eq!(script(&plan).step_names(), ["GET /"]);
}

#[test]
fn the_whole_scenario_means_what_it_says() {
    let plan = plan(WHOLE);
    assert_eq!((plan.name.as_str(), plan.seed, plan.requests), ("shop", 7, Some(100_000)));
    assert_eq!((plan.model, plan.users), (Model::Open(Spacing::Poisson), Users::UpTo(500)));
    assert_eq!((plan.sources.len(), plan.thresholds.len()), (4, 3));
    assert_eq!(script(&plan).step_names(), ["search", "buy/log in", "buy/order"]);
    let facts = script(&plan).facts(At { flow: 0, step: 0 });
    assert!(facts.wants_body && facts.is_last);
    assert_eq!((facts.think.least, facts.think.most), (Duration::from_secs(1), Duration::from_secs(3)));
    let login = &requests(script(&plan), 1)[0];
    assert!(login.starts_with("POST /login HTTP/1.1\r\n"), "{login}");
    assert!(login.contains("\r\nContent-Type: application/json\r\n"), "{login}");
    let body: serde_json::Value = serde_json::from_str(login.split_once("\r\n\r\n").unwrap().1).unwrap();
    assert!(body["user"].as_str().unwrap().ends_with("@example.org"), "{body}");
    assert_eq!(body["at"], serde_json::json!([1, 2.5]));
}

#[test]
fn stages_become_straight_lines() {
    let shapes: Vec<(String, u128, f64, f64)> = plan(WHOLE)
        .stages
        .iter()
        .map(|stage| (stage.name.clone(), stage.duration.as_millis(), stage.from, stage.to))
        .collect();
    let wanted = [
        ("warm up", 10_000, 10.0, 100.0),
        ("100/s", 30_000, 100.0, 100.0),
        ("100/s", 6_000, 100.0, 100.0),
        ("200/s", 6_000, 200.0, 200.0),
        ("300/s", 6_000, 300.0, 300.0),
        ("400/s", 6_000, 400.0, 400.0),
        ("500/s", 6_000, 500.0, 500.0),
        ("1.5/s before", 10_000, 1.5, 1.5),
        ("2000/s spike", 10_000, 2000.0, 2000.0),
        ("1.5/s after", 10_000, 1.5, 1.5),
    ];
    assert_eq!(shapes, wanted.map(|(name, ms, from, to)| (name.to_owned(), ms, from, to)));
}

#[test]
fn parts_of_a_stage_add_up_to_it() {
    for shape in ["{ from = 1, to = 9, steps = 7 }", "{ from = 1, spike = 9 }", "{ from = 1, to = 9 }"] {
        let text = SMALLEST
            .replace("rate = \"10/s\"", &format!("users = {shape}"))
            .replace("[[stage]]", "model = \"closed\"\n[[stage]]");
        let plan = plan(&text);
        assert_eq!(plan.stages.iter().map(|stage| stage.duration).sum::<Duration>(), Duration::from_secs(1));
        assert_eq!((plan.users, plan.model), (Users::Exactly(9), Model::Closed), "{shape}");
        assert!(plan.stages.iter().all(|stage| stage.from.fract() == 0.0 && stage.to.fract() == 0.0));
    }
}

#[test]
fn sockets_have_a_handshake_texts_and_a_storm() {
    let plan = plan(SOCKETS);
    assert_eq!((plan.users, plan.target.origin.as_str()), (Users::Exactly(1000), "ws://127.0.0.1:8080"));
    let Work::Sockets(sockets) = &plan.work else { panic!("no sockets") };
    let handshake = &requests(&sockets.script, 0)[0];
    assert!(handshake.starts_with("GET /ws?room="), "{handshake}");
    assert!(handshake.contains("\r\norigin: http://example.org\r\n"), "{handshake}");
    assert!(handshake.ends_with("\r\nSec-WebSocket-Protocol: chat.v1\r\n\r\n"), "{handshake}");
    assert_eq!((sockets.hello.len(), sockets.welcome.as_deref()), (1, Some("joined")));
    let send = sockets.send.as_ref().unwrap();
    assert_eq!((send.senders, send.receivers), (Some(10), Receivers::Others));
    assert_eq!(send.every.least, Duration::from_millis(500));
    let (mut memory, mut rng, mut out) = (Memory::default(), Rng::with_seed(1), Vec::new());
    sockets.script.begin(0, &mut rng, &mut memory);
    sockets.script.render_text(&send.text, &mut memory, &mut rng, 0, &mut out).unwrap();
    assert_eq!(out, br#"{"say":"{{mark}}"}"#);
    let storm = sockets.storm.unwrap();
    assert_eq!((storm.at, storm.share, storm.within), (Duration::from_secs(40), 0.5, Duration::from_secs(5)));
}

#[test]
fn the_environment_and_exact_users_are_taken() {
    let text = SMALLEST.replace("127.0.0.1", "${HOST}").replace("[[stage]]", "users = 5\n[[stage]]");
    let plan = plan(&text);
    assert_eq!((plan.users, plan.target.authority.as_str()), (Users::Exactly(5), "127.0.0.1:8080"));
}

#[test]
fn a_body_is_escaped_by_what_it_is() {
    let body = |keys: &str| {
        let text = SMALLEST
            .replace("path = \"/\"", &format!("path = \"/\"\n{keys}"))
            .replace("[[stage]]", "[variables]\nv = { choice = ['a\"&b c'] }\n[[stage]]");
        requests(script(&plan(&text)), 0)[0].split_once("\r\n\r\n").unwrap().1.to_owned()
    };
    assert_eq!(body(r#"body = '["{{v}}"]'"#), r#"["a\"&b c"]"#);
    assert_eq!(body("body = '{{v}}'"), "a\"&b c");
    assert_eq!(body("body = '<{{v}}>'\nheaders.content-type = 'application/problem+json'"), "<a\\\"&b c>");
    let form = "body = 'v={{v}}'\nheaders.content-type = 'application/x-www-form-urlencoded'";
    assert_eq!(body(form), "v=a%22%26b%20c");
    assert_eq!(body("json = { v = '<{{v}}>' }"), r#"{"v":"<a\"&b c>"}"#);
}

#[test]
fn files_are_found_from_the_folder_of_the_scenario() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s.toml");
    std::fs::write(folder.path().join("users.csv"), support::USERS).unwrap();
    std::fs::write(&path, WHOLE).unwrap();
    assert_eq!(tidegate_load::scenario::load(&path).unwrap().name, "shop");
    let told = tidegate_load::scenario::load(&folder.path().join("none.toml")).unwrap_err().to_string();
    assert!(told.starts_with("error: cannot read ") && told.contains("\nhelp: name a scenario"), "{told}");
    std::fs::write(&path, vec![b' '; (1 << 20) + 1]).unwrap();
    let told = tidegate_load::scenario::load(&path).unwrap_err().to_string();
    assert!(told.contains("larger than 1 MiB"), "{told}");
}
