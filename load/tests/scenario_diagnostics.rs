//! What people are told about mistakes in scenarios: all of them at once, each with its place and its remedy.

mod support;

const TARGET: &str = "target = \"http://127.0.0.1:8080\"\n";
const STAGE: &str = "[[stage]]\nfor = \"1s\"\nrate = \"10/s\"\n";
const STEP: &str = "[[step]]\npath = \"/\"\n";

fn told(text: &str) -> String {
    support::read(text).map_or_else(|told| told.to_string(), |plan| format!("no mistake: {plan:?}"))
}

/// A scenario that is sound but for these keys at its top.
fn top(keys: &str) -> String {
    told(&format!("{TARGET}{keys}\n{STAGE}{STEP}"))
}

fn stage(keys: &str) -> String {
    told(&format!("{TARGET}{STEP}[[stage]]\n{keys}\n"))
}

fn step(keys: &str) -> String {
    told(&format!("{TARGET}{STAGE}[[step]]\n{keys}\n"))
}

#[test]
fn an_empty_scenario_lacks_target_stage_and_something_to_ask() {
    insta::assert_snapshot!(told(""));
}

#[test]
fn every_mistake_is_told_at_once() {
    insta::assert_snapshot!(told(
        r#"
target = "127.0.0.1:8080"
model = "opne"
timeout = 5
thresholds = ["p95 <", "p99(serach) < 5ms", "succes > 1%"]
[[stage]]
for = "1 fortnight"
rate = 100
[[step]]
name = "search"
pth = "/x"
path = "x?q={{colour"
headers = { "content-length" = "1", "a b" = "c", "x-a" = "{{nobody}}" }
expect = { status = 99, headers = { etag = { matches = "(" } }, body = { json = { "a" = 1 } } }
capture = { token = { header = "a", json = "/b" } }
"#
    ));
}

#[test]
fn targets_that_cannot_be_asked_are_refused() {
    let targets = ["https://127.0.0.1", "h2://127.0.0.1", "http://127.0.0.1/x", "http://nowhere"];
    let all: Vec<String> =
        targets.iter().map(|target| told(&format!("target = \"{target}\"\n{STAGE}{STEP}"))).collect();
    insta::assert_snapshot!(all.join("\n\n"));
}

#[test]
fn the_level_of_a_stage_fits_the_model() {
    let closed = told(&format!("{TARGET}model = \"closed\"\nspacing = \"even\"\nusers = 5\n{STAGE}{STEP}"));
    let sockets = told(&format!("{TARGET}{STAGE}[websocket]\n"));
    let all = [stage("for = \"1s\"\nusers = 5"), stage("for = \"1s\""), closed, sockets];
    insta::assert_snapshot!(all.join("\n\n"));
}

#[test]
fn shapes_of_stages_make_sense() {
    let all = [
        stage("for = \"1s\"\nrate = { from = \"1/s\", to = \"2/s\", spike = \"5/s\" }"),
        stage("for = \"1s\"\nrate = { from = \"1/s\", steps = 4 }"),
        stage("for = \"1s\"\nrate = { to = \"1/s\" }"),
        stage("for = \"1s\"\nrate = \"0/s\""),
        stage("for = \"0s\"\nrate = \"1/s\""),
        stage("for = \"1s\"\nrate = \"100000001/s\""),
    ];
    insta::assert_snapshot!(all.join("\n\n"));
}

#[test]
fn variables_are_made_in_one_way() {
    insta::assert_snapshot!(top(r#"
[variables]
"a b" = 1
mark = 2
both = { value = 1, make = "uuid" }
none = {}
range = { random = { from = 5, to = 1 } }
choice = { choice = [] }
made = { make = "guid" }
empty = { jwt = { secret = "" } }
times = { jwt = { secret = "s", claims = { exp = 1 } } }
nested = { jwt = { secret = "s", claims = { t = "{{times}}" } } }
"#));
}

#[test]
fn files_of_data_are_checked() {
    let data = |file: &str| top(&format!("data.d.file = \"{file}\""));
    let all = ["none.csv", "empty.csv", "ragged.csv", "twice.csv", "wide.csv", "large.csv"].map(data);
    insta::assert_snapshot!(all.join("\n\n"));
}

#[test]
fn columns_of_a_file_that_cannot_be_read_are_not_mistakes_too() {
    let data = "[data.d]\nfile = \"none.csv\"\n[[step]]\npath = \"/{{d.a}}\"\nheaders.x = \"{{e.a}}\"\n";
    insta::assert_snapshot!(told(&format!("{TARGET}{STAGE}{data}")));
}

#[test]
fn steps_are_told_apart_and_have_one_body() {
    let all = [
        told(&format!("{TARGET}{STAGE}{STEP}{STEP}")),
        step("path = \"/\"\nbody = \"a\"\njson = 1"),
        step("path = \"/\"\nmethod = \"CONNECT\""),
        step("path = \"/a b\""),
        step("path = \"/\"\nheaders = { x = \"a\\nb\" }"),
        step(
            "path = \"/\"\ncapture = { x = {}, y = { header = \"a b\" } }\nexpect.headers = { \"c d\" = true }",
        ),
        told(&format!(
            "{TARGET}{STAGE}[[flow]]\nname = \"f\"\n[[flow]]\nstep = [{{ path = \"/\", weight = 2 }}]\n"
        )),
    ];
    insta::assert_snapshot!(all.join("\n\n"));
}

#[test]
fn a_captured_name_is_no_variable() {
    insta::assert_snapshot!(told(&format!(
        "{TARGET}{STAGE}[variables]\na = 1\n[[step]]\npath = \"/\"\ncapture.a = \"/a\"\n"
    )));
}

#[test]
fn sockets_stand_alone() {
    let stage = "[[stage]]\nfor = \"1s\"\nconnections = 10\n";
    let all = [
        told(&format!("{TARGET}model = \"open\"\nkeep_alive = false\n{stage}{STEP}[websocket]\n")),
        told(&format!(
            "{TARGET}{stage}[websocket]\nheaders = {{ Sec-WebSocket-Key = \"a\", upgrade = \"b\" }}\n\
             subprotocol = \"a b\"\nwelcome = \"\"\nhello = [\"{{{{mark}}}}\"]\n\
             send = {{ text = \"remark\", every = \"0s\", receivers = \"all\" }}\nstorm = {{ at = \"0s\", share = 0 }}\n"
        )),
        told(&format!("{TARGET}{stage}[websocket]\nstorm = {{ at = \"2s\" }}\n")),
    ];
    insta::assert_snapshot!(all.join("\n\n"));
}

#[test]
fn local_addresses_are_of_the_targets_family_and_not_too_many() {
    let many = "sources = [\"127.0.0.0-127.0.15.255\", \"127.1.0.0\"]";
    let all = [top("sources = [\"::1\"]"), top("sources = [\"127.0.0.9-127.0.0.1\"]"), top(many)];
    insta::assert_snapshot!(all.join("\n\n"));
}

#[test]
fn users_are_exactly_or_up_to() {
    insta::assert_snapshot!(top("users = { exactly = 5, up_to = 10 }"));
}
