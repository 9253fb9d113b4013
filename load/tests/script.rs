//! Scripts: what is rendered, what is remembered, what is judged.

use fastrand::Rng;
use proptest::prelude::*;
use tidegate_load::failure::Failure;
use tidegate_load::plan::Pause;
use tidegate_load::script::{
    Algorithm, At, BodyRule, Capture, Draft, Encoding, Expect, From, HeaderRule, MAX_CAPTURED_BYTES, Memory,
    Order, Pointer, Request, Script, Secret, Source, Table, Template, TooMany, Wanted,
};
use wire::{Limits, Method, ResponseHead};

/// A draft that has one variable of each kind.
fn draft() -> Draft {
    let mut draft = Draft::new("app:8080", true);
    let mut users = Table::new(Order::InTurn, 2);
    for cell in ["ann", "a&b/c", "bob", "x\r\ny"] {
        assert!(users.push(cell.as_bytes()));
    }
    draft.table("users", &["name".to_owned(), "odd".to_owned()], users);
    draft.variable("word", Source::Constant(Box::from(*b"a b")));
    draft.variable("n", Source::Random { from: -3, to: 3 });
    draft.variable("pick", Source::Choice(Box::new([Box::from(*b"red"), Box::from(*b"blue")])));
    draft.variable("id", Source::Uuid);
    draft.variable("count", Source::Counter);
    draft.variable("now", Source::UnixTime);
    draft.variable("got", Source::Captured);
    let claims = draft.template(r#"{"sub":"{{users.name}}"}"#, Encoding::Json).unwrap();
    let secret = Secret::new(Algorithm::Hs256, b"s", claims, std::time::Duration::from_mins(1));
    draft.variable("token", Source::Token(Box::new(secret)));
    draft
}

fn request(draft: &mut Draft, path: &str, body: Option<&str>) -> Request {
    Request {
        method: if body.is_some() { "POST" } else { "GET" }.to_owned(),
        path: draft.path(path).unwrap(),
        fields: Vec::new(),
        body: body.map(|text| draft.body(text, None).unwrap()),
    }
}

fn add(draft: &mut Draft, request: &Request) {
    draft.step("step", request, Pause::default(), Expect::default(), Vec::new());
    draft.flow(1);
}

/// A script with one step, begun once.
fn begun(mut draft: Draft, request: &Request) -> (Script, At, Memory) {
    add(&mut draft, request);
    let script = draft.finish().unwrap();
    let mut memory = Memory::default();
    let at = script.begin(1, &mut Rng::with_seed(1), &mut memory);
    (script, at, memory)
}

fn rendered(script: &Script, at: At, memory: &mut Memory) -> String {
    let mut out = Vec::new();
    script.render(at, memory, &mut Rng::new(), 1_700_000_000, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn requests_without_variables_are_bytes_and_leave_nothing_to_remember() {
    let mut draft = Draft::new("app", false);
    let mut asked = request(&mut draft, "/x?y=1", Some("[1]"));
    asked.fields.push(("X-A".to_owned(), Template::of(b"b")));
    let (script, at, memory) = begun(draft, &asked);
    let wanted = "POST /x?y=1 HTTP/1.1\r\nHost: app\r\nUser-Agent: tidegate-load\r\nX-A: b\r\n\
                  Connection: close\r\nContent-Type: application/json\r\nContent-Length: 3\r\n\r\n[1]";
    assert_eq!(std::str::from_utf8(script.fixed(at).unwrap()).unwrap(), wanted);
    assert_eq!(rendered(&script, at, &mut memory.clone()), wanted);
    assert_eq!(format!("{memory:?}"), "Memory(None)");
}

#[test]
fn a_host_of_ones_own_replaces_the_usual_one() {
    let mut draft = Draft::new("app", true);
    let mut asked = request(&mut draft, "/", None);
    asked.fields.push(("host".to_owned(), Template::of(b"shop")));
    asked.fields.push(("User-Agent".to_owned(), Template::of(b"me")));
    let (script, at, _) = begun(draft, &asked);
    assert_eq!(script.fixed(at).unwrap(), b"GET / HTTP/1.1\r\nhost: shop\r\nUser-Agent: me\r\n\r\n");
}

#[test]
fn constants_are_put_in_once_and_keep_a_request_fixed() {
    let mut draft = draft();
    let asked = request(&mut draft, "/{{word}}", None);
    let (script, at, _) = begun(draft, &asked);
    assert!(script.fixed(at).unwrap().starts_with(b"GET /a%20b HTTP/1.1\r\n"));
}

#[test]
fn values_are_encoded_for_where_they_stand() {
    let mut draft = draft();
    let mut asked = request(&mut draft, "/{{users.odd}}?q={{users.name}}", Some(r#"{"v":"{{users.odd}}"}"#));
    asked.fields.push(("X-V".to_owned(), draft.template("<{{users.odd}}>", Encoding::Field).unwrap()));
    let (script, at, mut memory) = begun(draft, &asked);
    let text = rendered(&script, at, &mut memory);
    assert!(text.starts_with("POST /x%0D%0Ay?q=bob HTTP/1.1\r\n"), "{text}");
    assert!(text.contains("\r\nX-V: <x  y>\r\n"), "{text}");
    assert!(text.ends_with("Content-Length: 14\r\n\r\n{\"v\":\"x\\r\\ny\"}"), "{text}");
}

#[test]
fn values_of_a_flow_stay_the_same_until_the_next_one() {
    let mut draft = draft();
    let path = "/{{n}}/{{pick}}/{{id}}/{{count}}/{{users.name}}/{{now}}";
    let asked = request(&mut draft, path, None);
    let (script, at, mut memory) = begun(draft, &asked);
    let first = rendered(&script, at, &mut memory);
    assert!(first.contains("/1/bob/1700000000 "), "{first}");
    assert_eq!(rendered(&script, at, &mut memory), first);
    script.begin(2, &mut Rng::with_seed(2), &mut memory);
    let second = rendered(&script, at, &mut memory);
    assert!(second.contains("/2/ann/1700000000 "), "{second}");
    let id = |text: &str| text.split('/').nth(3).unwrap().to_owned();
    assert_ne!(id(&first), id(&second));
    assert_eq!(id(&first).len(), 36);
}

#[test]
fn random_numbers_reach_both_bounds_and_choices_every_one() {
    let mut draft = draft();
    let asked = request(&mut draft, "/{{n}}/{{pick}}", None);
    let (script, at, mut memory) = begun(draft, &asked);
    let (mut seen, mut rng) = (std::collections::BTreeSet::new(), Rng::with_seed(7));
    for arrival in 0..500 {
        script.begin(arrival, &mut rng, &mut memory);
        let text = rendered(&script, at, &mut memory);
        seen.extend(text.split([' ', '/']).skip(2).take(2).map(str::to_owned));
    }
    let wanted: std::collections::BTreeSet<String> =
        (-3..=3).map(|n: i32| n.to_string()).chain(["red".to_owned(), "blue".to_owned()]).collect();
    assert_eq!(seen, wanted);
}

#[test]
fn a_token_follows_the_row_of_its_user_and_is_signed_once_a_flow() {
    let mut draft = draft();
    let asked = request(&mut draft, "/{{token}}", None);
    let (script, at, mut memory) = begun(draft, &asked);
    let first = rendered(&script, at, &mut memory);
    assert_eq!(rendered(&script, at, &mut memory), first);
    let mut later = Vec::new();
    script.render(at, &mut memory, &mut Rng::with_seed(5), 1_700_000_060, &mut later).unwrap();
    assert_ne!(later, first.as_bytes(), "the first one has expired");
    script.begin(2, &mut Rng::with_seed(1), &mut memory);
    assert_ne!(rendered(&script, at, &mut memory), first);
}

#[test]
fn a_value_that_was_never_captured_fails_the_request() {
    let mut draft = draft();
    let asked = request(&mut draft, "/{{got}}", None);
    let (script, at, mut memory) = begun(draft, &asked);
    assert_eq!(
        script.render(at, &mut memory, &mut Rng::with_seed(5), 0, &mut Vec::new()),
        Err(Failure::Capture)
    );
}

#[test]
fn flows_are_drawn_by_weight_and_steps_counted_through() {
    let mut draft = draft();
    let asked = request(&mut draft, "/", None);
    for (weight, steps) in [(1, 1), (3, 2), (4, 1)] {
        for step in 0..steps {
            let name = format!("{weight}.{step}");
            draft.step(&name, &asked, Pause::default(), Expect::default(), Vec::new());
        }
        draft.flow(weight);
    }
    let script = draft.finish().unwrap();
    assert_eq!(script.step_names(), ["1.0", "3.0", "3.1", "4.0"]);
    let at = |flow, step| script.facts(At { flow, step });
    assert!(at(0, 0).is_last && !at(1, 0).is_last && at(1, 1).is_last && at(2, 0).is_last);
    assert_eq!((at(1, 1).index, at(2, 0).index), (2, 3));
    let (mut drawn, mut rng) = ([0_u32; 3], Rng::with_seed(3));
    for arrival in 0..8000 {
        drawn[usize::from(script.begin(arrival, &mut rng, &mut Memory::default()).flow)] += 1;
    }
    let near = |count: u32, wanted: u32| count.abs_diff(wanted) < 200;
    assert!(near(drawn[0], 1000) && near(drawn[1], 3000) && near(drawn[2], 4000), "{drawn:?}");
}

#[test]
fn texts_keep_their_mark_and_draw_anew_each_time() {
    let mut draft = draft();
    let text = draft.text(r#"{"m":"{{mark}}","id":"{{id}}"}"#).unwrap();
    let asked = request(&mut draft, "/", None);
    let (script, _, mut memory) = begun(draft, &asked);
    let (mut one, mut other, mut rng) = (Vec::new(), Vec::new(), Rng::with_seed(1));
    script.render_text(&text, &mut memory, &mut rng, 0, &mut one).unwrap();
    script.render_text(&text, &mut memory, &mut rng, 0, &mut other).unwrap();
    assert!(one.starts_with(br#"{"m":"{{mark}}","id":""#));
    assert_ne!(one, other);
}

/// Judges one answer by a step with these expectations and captures into `got`.
fn judged(
    expect: Expect,
    capture: Option<(From, Option<&str>)>,
    head: &str,
    body: &[u8],
) -> (Result<(), Failure>, Memory) {
    let mut draft = draft();
    let asked = request(&mut draft, "/{{got}}", None);
    let captures = capture.map(|(from, regex)| {
        let part = regex.map(|regex| (regex::bytes::Regex::new(regex).unwrap(), 1));
        Capture { variable: draft.position("got").unwrap(), from, part }
    });
    draft.step("step", &asked, Pause::default(), expect, captures.into_iter().collect());
    draft.flow(1);
    let script = draft.finish().unwrap();
    let mut memory = Memory::default();
    let at = script.begin(0, &mut Rng::with_seed(1), &mut memory);
    let mut parsed = ResponseHead::new();
    let buf = format!("HTTP/1.1 {head}\r\n\r\n");
    assert_eq!(parsed.parse(buf.as_bytes(), Method::Get, &Limits::default()), Ok(true));
    let verdict = script.judge(at, &parsed, buf.as_bytes(), body, body.len() as u64, &mut memory);
    (verdict, memory)
}

#[test]
fn statuses_below_400_succeed_unless_others_are_expected() {
    let plain = |head| judged(Expect::default(), None, head, b"").0;
    assert_eq!(plain("399 x"), Ok(()));
    assert_eq!(plain("400 x"), Err(Failure::Status));
    let other = || Expect { statuses: Box::new([(200, 299), (404, 404)]), ..Expect::default() };
    assert_eq!(judged(other(), None, "404 x", b"").0, Ok(()));
    assert_eq!(judged(other(), None, "302 x", b"").0, Err(Failure::Status));
}

#[test]
fn header_fields_are_looked_at_line_by_line() {
    let rule = |wanted| Expect {
        headers: Box::new([HeaderRule { name: "set-cookie".to_owned(), wanted }]),
        ..Expect::default()
    };
    let head = "200 OK\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2";
    let contains = |text: &str| Wanted::Contains(Box::new(memchr::memmem::Finder::new(text).into_owned()));
    assert_eq!(judged(rule(Wanted::Present), None, head, b"").0, Ok(()));
    assert_eq!(judged(rule(Wanted::Equals(Box::from(*b"b=2"))), None, head, b"").0, Ok(()));
    assert_eq!(judged(rule(contains("=2")), None, head, b"").0, Ok(()));
    assert_eq!(judged(rule(contains("=3")), None, head, b"").0, Err(Failure::Header));
    let regex = Wanted::Matches(regex::bytes::Regex::new("^b=\\d$").unwrap());
    assert_eq!(judged(rule(regex), None, head, b"").0, Ok(()));
    assert_eq!(judged(rule(Wanted::Present), None, "200 OK", b"").0, Err(Failure::Header));
}

#[test]
fn bodies_are_judged_by_length_text_and_json() {
    let body = br#"{"items":[{"id":7}],"ok":true}"#;
    let verdict =
        |rule| judged(Expect { body: Box::new([rule]), ..Expect::default() }, None, "200 OK", body).0;
    let pointer = |text| Pointer::parse(text).unwrap();
    assert_eq!(verdict(BodyRule::Length(30)), Ok(()));
    assert_eq!(verdict(BodyRule::Length(29)), Err(Failure::Body));
    assert_eq!(verdict(BodyRule::Json(pointer("/items/0/id"), 7.into())), Ok(()));
    assert_eq!(verdict(BodyRule::Json(pointer("/ok"), false.into())), Err(Failure::Body));
    assert_eq!(verdict(BodyRule::Json(pointer("/none"), false.into())), Err(Failure::Body));
    let regex = Wanted::Matches(regex::bytes::Regex::new(r#""id":\d+"#).unwrap());
    assert_eq!(verdict(BodyRule::Text(regex)), Ok(()));
}

#[test]
fn captured_values_come_back_in_later_requests() {
    let body = br#"{"token":"a b","n":5,"none":null}"#;
    let json = |text| (From::Json(Pointer::parse(text).unwrap()), None);
    let head = "200 OK\r\nLocation: /x\r\nSet-Cookie: a=1\r\nSet-Cookie: sid=xyz; Path=/";
    for (from, wanted) in [
        ((From::Header("location".to_owned()), None), Some("/x")),
        ((From::Header("set-cookie".to_owned()), Some("sid=([^;]+)")), Some("xyz")),
        ((From::Body, Some(r#""n":(\d)"#)), Some("5")),
        (json("/token"), Some("a b")),
        (json("/n"), Some("5")),
        (json("/none"), None),
        (json("/absent"), None),
        ((From::Header("etag".to_owned()), None), None),
        ((From::Body, Some("(x)")), None),
    ] {
        let (verdict, memory) = judged(Expect::default(), Some(from.clone()), head, body);
        match wanted {
            Some(wanted) => {
                assert_eq!(verdict, Ok(()), "{from:?}");
                assert!(format!("{memory:?}").contains(&format!("Captured({:?})", wanted.as_bytes())));
            }
            None => assert_eq!(verdict, Err(Failure::Capture), "{from:?}"),
        }
    }
}

#[test]
fn a_script_has_a_bounded_number_of_steps_and_variables() {
    let with = |steps: usize, variables: usize| {
        let mut draft = Draft::new("app", true);
        let asked = request(&mut draft, "/", None);
        (0..steps).for_each(|_| add(&mut draft, &asked));
        for number in 0..variables {
            draft.variable(&number.to_string(), Source::Uuid);
            draft.position(&number.to_string());
        }
        draft.finish().map(|_| ())
    };
    assert_eq!(with(65_535, 0), Ok(()));
    assert_eq!(with(65_536, 0), Err(TooMany("steps")));
    assert_eq!(with(1, 65_534), Ok(()));
    assert_eq!(with(1, 65_535), Err(TooMany("variables")));
    assert_eq!(with(1, 65_536), Err(TooMany("variables")));
}

#[test]
fn what_is_captured_is_bounded() {
    let fits = vec![b'x'; MAX_CAPTURED_BYTES];
    let longer = vec![b'x'; MAX_CAPTURED_BYTES + 1];
    let taken = |body: &[u8]| judged(Expect::default(), Some((From::Body, Some("(x*)"))), "200 OK", body).0;
    assert_eq!(taken(&fits), Ok(()));
    assert_eq!(taken(&longer), Err(Failure::Capture));
}

proptest! {
    #[test]
    fn no_answer_panics(body in any::<Vec<u8>>(), status in 100_u16..1000) {
        let expect = Expect {
            body: Box::new([
                BodyRule::Json(Pointer::parse("/a").unwrap(), 1.into()),
                BodyRule::Text(Wanted::Matches(regex::bytes::Regex::new("a+").unwrap())),
            ]),
            ..Expect::default()
        };
        let capture = (From::Json(Pointer::parse("").unwrap()), None);
        let _ = judged(expect, Some(capture), &format!("{status} x"), &body);
    }

    #[test]
    fn a_rendered_request_is_one_that_a_server_reads(
        value in any::<Vec<u8>>(),
        body in "[a-z{]{0,8}",
    ) {
        let mut draft = Draft::new("app", true);
        draft.variable("v", Source::Choice(Box::new([value.into()])));
        let mut asked = Request {
            method: "POST".to_owned(),
            path: draft.path("/{{v}}?{{v}}={{v}}").unwrap(),
            fields: vec![("X-V".to_owned(), draft.template("a{{v}}b", Encoding::Field).unwrap())],
            body: None,
        };
        asked.body = draft.body(&format!("[{body}{{{{v}}}}"), None).ok();
        let (script, at, mut memory) = begun(draft, &asked);
        let mut out = Vec::new();
        script.render(at, &mut memory, &mut Rng::with_seed(5), 0, &mut out).unwrap();
        let limits = Limits { head_bytes: 1 << 20, ..Limits::default() };
        let mut head = wire::RequestHead::new();
        prop_assert_eq!(head.parse(&out, &limits), Ok(true));
        if let wire::Framing::Length(length) = head.framing {
            prop_assert_eq!(length as usize, out.len() - head.len as usize);
        }
    }
}
