//! Every key of the schema is read, and changes the plan.

mod support;

use std::collections::BTreeSet;

use serde_json::Value;
use tidegate_load::scenario::{reference, schema};

/// Scenarios in which `@` is the place for keys, each with a name.
const PLACES: &[(&str, &str)] = &[
    ("top", "seed = 1\n@\n[[stage]]\nfor = '1s'\nrate = '1/s'\n[[step]]\npath = '/{{a}}'\nname = 's'\n"),
    ("stage", "seed = 1\n[[stage]]\n@\n[[step]]\npath = '/'\n"),
    ("closed", "seed = 1\nmodel = 'closed'\n[[stage]]\n@\n[[step]]\npath = '/'\n"),
    ("step", "seed = 1\n[[stage]]\nfor = '1s'\nrate = '1/s'\n[[step]]\n@\n[[step]]\npath = '/2'\n"),
    (
        "flow",
        "seed = 1\n[[stage]]\nfor = '1s'\nrate = '1/s'\n[[flow]]\n@\n[[flow]]\nstep = [{ path = '/2' }]\n",
    ),
    ("free", "seed = 1\n@\n[[step]]\npath = '/'\n"),
    ("connected", "seed = 1\n[[stage]]\n@\n[websocket]\n"),
    ("sockets", "seed = 1\n[[stage]]\nfor = '1m'\nconnections = 5\n[websocket]\n@\n"),
];

/// A key, the place where it is written, lines without it and lines with it.
const CASES: &[(&str, &str, &str, &str)] = &[
    ("name", "top", "", "name = 'x'"),
    ("target", "top", "", "target = 'http://127.0.0.1:1'"),
    (
        "model",
        "free",
        "[[stage]]\nfor = '1s'\nrate = '1/s'",
        "model = 'closed'\n[[stage]]\nfor = '1s'\nusers = 1",
    ),
    ("spacing", "top", "", "spacing = 'poisson'"),
    ("users.up_to", "top", "", "users = { up_to = 5 }"),
    ("users.exactly", "top", "", "users = 5"),
    ("requests", "top", "", "requests = 5"),
    ("keep_alive", "top", "", "keep_alive = false"),
    ("timeout", "top", "", "timeout = '1s'"),
    ("grace", "top", "", "grace = '1s'"),
    ("seed", "top", "", "seed = 2"),
    ("sources", "top", "", "sources = ['127.0.0.2']"),
    ("thresholds", "top", "", "thresholds = ['p95 < 1ms']"),
    ("variables.NAME.value", "top", "variables.a = 1", "variables.a.value = 2"),
    (
        "variables.NAME.random.from",
        "top",
        "variables.a.random = { from = 1, to = 3 }",
        "variables.a.random = { from = 2, to = 3 }",
    ),
    (
        "variables.NAME.random.to",
        "top",
        "variables.a.random = { from = 1, to = 3 }",
        "variables.a.random = { from = 1, to = 4 }",
    ),
    ("variables.NAME.choice", "top", "variables.a.choice = ['b']", "variables.a.choice = ['c']"),
    ("variables.NAME.make", "top", "variables.a.make = 'uuid'", "variables.a.make = 'counter'"),
    ("variables.NAME.jwt.secret", "top", "variables.a.jwt = { secret = 's' }", "variables.a = 't'"),
    (
        "variables.NAME.jwt.algorithm",
        "top",
        "variables.a.jwt = { secret = 's' }",
        "variables.a.jwt = { secret = 's', algorithm = 'HS512' }",
    ),
    (
        "variables.NAME.jwt.claims",
        "top",
        "variables.a.jwt = { secret = 's' }",
        "variables.a.jwt = { secret = 's', claims.b = 'c' }",
    ),
    (
        "variables.NAME.jwt.expires_in",
        "top",
        "variables.a.jwt = { secret = 's' }",
        "variables.a.jwt = { secret = 's', expires_in = '1m' }",
    ),
    ("data.NAME.file", "top", "variables.a = 1", "variables.a = 1\ndata.d.file = 'users.csv'"),
    (
        "data.NAME.order",
        "top",
        "variables.a = 1\ndata.d.file = 'users.csv'",
        "variables.a = 1\ndata.d = { file = 'users.csv', order = 'random' }",
    ),
    ("stage.name", "stage", "for = '1s'\nrate = '1/s'", "for = '1s'\nrate = '1/s'\nname = 'x'"),
    ("stage.for", "stage", "for = '1s'\nrate = '1/s'", "for = '2s'\nrate = '1/s'"),
    ("stage.rate.from", "stage", "for = '1s'\nrate = '1/s'", "for = '1s'\nrate = '2/s'"),
    ("stage.rate.to", "stage", "for = '1s'\nrate = '1/s'", "for = '1s'\nrate = { from = '1/s', to = '2/s' }"),
    (
        "stage.rate.steps",
        "stage",
        "for = '1s'\nrate = { from = '1/s', to = '2/s' }",
        "for = '1s'\nrate = { from = '1/s', to = '2/s', steps = 2 }",
    ),
    (
        "stage.rate.spike",
        "stage",
        "for = '1s'\nrate = '1/s'",
        "for = '1s'\nrate = { from = '1/s', spike = '2/s' }",
    ),
    ("stage.users.from", "closed", "for = '1s'\nusers = 1", "for = '1s'\nusers = 2"),
    ("stage.users.to", "closed", "for = '1s'\nusers = 1", "for = '1s'\nusers = { from = 1, to = 2 }"),
    (
        "stage.users.steps",
        "closed",
        "for = '1s'\nusers = { from = 1, to = 2 }",
        "for = '1s'\nusers = { from = 1, to = 2, steps = 2 }",
    ),
    ("stage.users.spike", "closed", "for = '1s'\nusers = 1", "for = '1s'\nusers = { from = 1, spike = 2 }"),
    ("stage.connections.from", "connected", "for = '1s'\nconnections = 1", "for = '1s'\nconnections = 2"),
    (
        "stage.connections.to",
        "connected",
        "for = '1s'\nconnections = 1",
        "for = '1s'\nconnections = { from = 1, to = 2 }",
    ),
    (
        "stage.connections.steps",
        "connected",
        "for = '1s'\nconnections = { from = 1, to = 2 }",
        "for = '1s'\nconnections = { from = 1, to = 2, steps = 2 }",
    ),
    (
        "stage.connections.spike",
        "connected",
        "for = '1s'\nconnections = 1",
        "for = '1s'\nconnections = { from = 1, spike = 2 }",
    ),
    ("step.name", "step", "path = '/'", "path = '/'\nname = 'x'"),
    ("step.weight", "step", "path = '/'", "path = '/'\nweight = 2"),
    ("step.method", "step", "path = '/'", "path = '/'\nmethod = 'DELETE'"),
    ("step.path", "step", "path = '/'", "path = '/x'"),
    ("step.headers", "step", "path = '/'", "path = '/'\nheaders.a = 'b'"),
    ("step.body", "step", "path = '/'", "path = '/'\nbody = 'b'"),
    ("step.json", "step", "path = '/'", "path = '/'\njson = 1"),
    ("step.think", "step", "path = '/'", "path = '/'\nthink = '1s-2s'"),
    ("step.expect.status", "step", "path = '/'", "path = '/'\nexpect.status = '2xx'"),
    ("step.expect.within", "step", "path = '/'", "path = '/'\nexpect.within = '2s'"),
    ("step.expect.headers.NAME.equals", "step", "path = '/'", "path = '/'\nexpect.headers.a = 'b'"),
    (
        "step.expect.headers.NAME.contains",
        "step",
        "path = '/'",
        "path = '/'\nexpect.headers.a.contains = 'b'",
    ),
    ("step.expect.headers.NAME.matches", "step", "path = '/'", "path = '/'\nexpect.headers.a.matches = 'b'"),
    ("step.expect.body.equals", "step", "path = '/'", "path = '/'\nexpect.body.equals = 'b'"),
    ("step.expect.body.contains", "step", "path = '/'", "path = '/'\nexpect.body = 'b'"),
    ("step.expect.body.matches", "step", "path = '/'", "path = '/'\nexpect.body.matches = 'b'"),
    ("step.expect.body.json", "step", "path = '/'", "path = '/'\nexpect.body.json = { '/a' = 1 }"),
    ("step.expect.body.length", "step", "path = '/'", "path = '/'\nexpect.body.length = 1"),
    ("step.capture.NAME.json", "step", "path = '/'", "path = '/'\ncapture.x = '/a'"),
    ("step.capture.NAME.header", "step", "path = '/'", "path = '/'\ncapture.x.header = 'a'"),
    ("step.capture.NAME.regex", "step", "path = '/'", "path = '/'\ncapture.x.regex = 'a'"),
    ("flow.name", "flow", "step = [{ path = '/' }]", "step = [{ path = '/' }]\nname = 'f'"),
    ("flow.weight", "flow", "step = [{ path = '/' }]", "step = [{ path = '/' }]\nweight = 2"),
    ("flow.step", "flow", "step = [{ path = '/' }]", "step = [{ path = '/' }, { path = '/b' }]"),
    ("websocket.path", "sockets", "", "path = '/x'"),
    ("websocket.headers", "sockets", "", "headers.a = 'b'"),
    ("websocket.subprotocol", "sockets", "", "subprotocol = 'a'"),
    ("websocket.hello", "sockets", "", "hello = ['a']"),
    ("websocket.welcome", "sockets", "", "welcome = 'a'"),
    ("websocket.send.text", "sockets", "", "send = { text = 'a', every = '1s' }"),
    (
        "websocket.send.every",
        "sockets",
        "send = { text = 'a', every = '1s' }",
        "send = { text = 'a', every = '2s' }",
    ),
    (
        "websocket.send.senders",
        "sockets",
        "send = { text = 'a', every = '1s' }",
        "send = { text = 'a', every = '1s', senders = 1 }",
    ),
    (
        "websocket.send.receivers",
        "sockets",
        "send = { text = '{{mark}}', every = '1s' }",
        "send = { text = '{{mark}}', every = '1s', receivers = 'all' }",
    ),
    ("websocket.storm.at", "sockets", "", "storm.at = '1s'"),
    ("websocket.storm.share", "sockets", "storm.at = '1s'", "storm = { at = '1s', share = 0.5 }"),
    ("websocket.storm.within", "sockets", "storm.at = '1s'", "storm = { at = '1s', within = '2s' }"),
];

/// Keys whose cases are those of another place, which is read by the same table.
const ELSEWHERE: &[&str] = &["flow.step"];

fn plan(place: &str, lines: &str) -> String {
    let around = PLACES.iter().find(|(name, _)| *name == place).unwrap().1;
    let target = if lines.contains("target") { "" } else { "target = 'http://127.0.0.1:8080'\n" };
    let around = if lines.contains("seed") { around.replace("seed = 1", "") } else { around.to_owned() };
    let known = lines.contains("variables.a") || place != "top";
    let around = if known { around } else { around.replace("{{a}}", "a") };
    let text = format!("{target}{}", around.replace('@', lines));
    format!("{:?}", support::read(&text).unwrap_or_else(|told| panic!("{told}\n{text}")))
}

#[test]
fn every_key_changes_the_plan() {
    for (key, place, before, after) in CASES {
        assert_ne!(plan(place, before), plan(place, after), "{key} changes nothing");
    }
}

#[test]
fn every_key_of_the_schema_has_a_case() {
    let root: Value = serde_json::from_str(&schema()).unwrap();
    let mut known = BTreeSet::new();
    keys(&root, &root, "", &mut known);
    let elsewhere = |key: &String| ELSEWHERE.iter().any(|other| key.starts_with(other));
    let known: BTreeSet<String> = known.into_iter().filter(|key| !elsewhere(key)).collect();
    let cases: BTreeSet<String> =
        CASES.iter().map(|(key, ..)| (*key).to_owned()).filter(|key| !elsewhere(key)).collect();
    assert_eq!(known.difference(&cases).collect::<Vec<_>>(), Vec::<&String>::new());
    assert_eq!(cases.difference(&known).collect::<Vec<_>>(), Vec::<&String>::new());
}

#[test]
fn every_key_says_what_it_means_and_what_it_is_when_left_out() {
    let root: Value = serde_json::from_str(&schema()).unwrap();
    let tables = root["$defs"].as_object().unwrap().values().chain([&root]);
    for table in tables {
        assert_eq!(table["additionalProperties"], Value::Bool(false), "{table}");
        for (key, property) in table["properties"].as_object().unwrap() {
            assert!(property["description"].as_str().unwrap().len() > 4, "{key} has no meaning");
            let required =
                table["required"].as_array().is_some_and(|all| all.contains(&Value::from(key.as_str())));
            let has_default = property.get("default").is_some() || property.get("x-left-out").is_some();
            assert!(required || has_default || property.to_string().contains("$ref"), "{key} has no default");
        }
    }
}

#[test]
fn the_reference_has_a_section_for_every_table() {
    let page = reference();
    for title in ["[[stage]]", "[variables.NAME]", "[data.NAME]", "[[step]]", "[[flow]]", "[websocket]"] {
        assert!(page.contains(&format!("## `{title}`\n")), "{title} is missing:\n{page}");
    }
    assert!(page.contains("| `for` | duration | required | How long. |"), "{page}");
}

fn keys(root: &Value, schema: &Value, path: &str, out: &mut BTreeSet<String>) {
    if let Some(target) = schema["$ref"].as_str() {
        keys(root, root.pointer(&target[1..]).unwrap(), path, out);
    }
    for option in schema["anyOf"].as_array().into_iter().flatten() {
        keys(root, option, path, out);
    }
    if schema["items"].is_object() {
        keys(root, &schema["items"], path, out);
    }
    if schema["additionalProperties"].is_object() {
        keys(root, &schema["additionalProperties"], &format!("{path}.NAME"), out);
    }
    for (key, property) in schema["properties"].as_object().into_iter().flatten() {
        let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        keys(root, property, &path, out);
        if !out.iter().any(|known| known.starts_with(&format!("{path}."))) {
            out.insert(path);
        }
    }
}
