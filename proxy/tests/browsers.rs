//! What browsers are told: security fields and CORS, on answers of the app and on Tidegate's own.

use testkit::{Message, ok, scene};
use tidegate_proxy::explain::{Asked, explain};

const ORIGIN: &str = "127.0.0.1:3001";

const APP: &str = r#"
[upstream.app]
endpoints = ["127.0.0.1:3001"]
[[route]]
upstream = "app"
"#;

/// Pages of one origin may use the app, with cookies.
const CORS: &str = r#"cors = { origins = ["https://shop.example"], credentials = true, methods = ["PUT"], headers = ["x-token"], expose = ["x-total"] }
"#;

/// The answers to requests, in order, when the app answers each with `answer`; and how many reached it.
fn answers(config: &str, answer: &str, requests: &[&str]) -> (Vec<Message>, usize) {
    let answer = answer.to_owned();
    let seen = std::rc::Rc::new(std::cell::RefCell::new((Vec::new(), 0)));
    let into = std::rc::Rc::clone(&seen);
    let requests: Vec<String> = requests.iter().map(|&request| request.to_owned()).collect();
    scene(config).origin(ORIGIN, async move |mut conn| conn.answer_all(&answer).await).run(async |scene| {
        let mut all = Vec::new();
        for request in &requests {
            all.push(scene.client().ask(request).await);
        }
        *into.borrow_mut() = (all, scene.requests().len());
    });
    seen.take()
}

fn answer(config: &str, answer: &str, request: &str) -> Message {
    answers(config, answer, &[request]).0.remove(0)
}

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

#[test]
fn security_fields_are_added_to_what_the_app_does_not_say_itself() {
    let config = format!("{APP}security_headers = true\n");
    let response = answer(&config, &ok(""), GET);
    assert_eq!(response.header("x-content-type-options"), Some("nosniff"));
    assert_eq!(response.header("referrer-policy"), Some("strict-origin-when-cross-origin"));
    assert!(response.header("content-security-policy").is_some_and(|csp| csp.contains("frame-ancestors")));
    assert_eq!(response.header("strict-transport-security"), None, "not over TLS");

    let own = "HTTP/1.1 200 OK\r\nREFERRER-POLICY: no-referrer\r\nContent-Length: 0\r\n\r\n";
    let response = answer(&config, own, GET);
    assert_eq!(response.all("referrer-policy"), ["no-referrer"]);
    assert_eq!(response.all("x-content-type-options"), ["nosniff"]);
}

#[test]
fn security_fields_that_the_route_edits_are_left_to_it() {
    let config = format!(
        "{APP}security_headers = true\n\
         response_headers = {{ set = {{ Referrer-Policy = \"origin\" }}, remove = [\"X-Content-Type-Options\"] }}\n"
    );
    let response = answer(&config, &ok(""), GET);
    assert_eq!(response.all("referrer-policy"), ["origin"]);
    assert_eq!(response.all("x-content-type-options"), Vec::<&str>::new());
}

#[test]
fn hsts_is_sent_to_clients_that_came_over_tls() {
    let config = format!("server.trusted_proxies = [\"203.0.113.0/24\"]\n{APP}security_headers = true\n");
    let tls =
        "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-Proto: https\r\nX-Forwarded-For: 198.51.100.9\r\n\r\n";
    let response = answer(&config, &ok(""), tls);
    let hsts = response.header("strict-transport-security").expect("HSTS");
    assert!(hsts.starts_with("max-age=31536000"), "{hsts}");
    let own = "HTTP/1.1 200 OK\r\nStrict-Transport-Security: max-age=1\r\nContent-Length: 0\r\n\r\n";
    assert_eq!(answer(&config, own, tls).all("strict-transport-security"), ["max-age=1"]);
    assert_eq!(answer(&config, &ok(""), GET).header("strict-transport-security"), None);
    let untrusted = format!("{APP}security_headers = true\n");
    assert_eq!(
        answer(&untrusted, &ok(""), tls).header("strict-transport-security"),
        None,
        "anybody can say so"
    );
}

#[test]
fn tidegates_own_answers_have_security_fields_too() {
    let config = "server.security_headers = true\n[upstream.app]\nendpoints = [\"127.0.0.1:3009\"]\n\
                  [[route]]\npath = \"/app\"\nupstream = \"app\"\n[[route]]\npath = \"/fixed\"\nrespond = 200\n";
    let of = |target: &str| answer(config, &ok(""), &format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n"));
    for (target, status) in [("/app", 502), ("/fixed", 200), ("/none", 404)] {
        let response = of(target);
        assert_eq!(response.status(), status);
        assert_eq!(response.all("x-content-type-options"), ["nosniff"], "{target}");
    }
}

const PREFLIGHT: &str = "OPTIONS / HTTP/1.1\r\nHost: a\r\nOrigin: https://shop.example\r\n\
                         Access-Control-Request-Method: PUT\r\nAccess-Control-Request-Headers: x-token\r\n\r\n";

#[test]
fn a_preflight_is_answered_without_the_app() {
    let (mut responses, reached) = answers(&format!("{APP}{CORS}"), &ok(""), &[PREFLIGHT]);
    let response = responses.remove(0);
    assert_eq!((response.status(), reached), (204, 0));
    assert_eq!(response.all("access-control-allow-origin"), ["https://shop.example"]);
    assert_eq!(response.all("access-control-allow-credentials"), ["true"]);
    assert!(response.header("access-control-allow-methods").is_some_and(|methods| methods.contains("PUT")));
    assert!(response.header("access-control-allow-headers").is_some_and(|names| names.contains("x-token")));
    assert_eq!(response.header("access-control-max-age"), Some("600"));
    assert_eq!(response.header("access-control-expose-headers"), None, "that is for answers");
    assert_eq!(
        response.all("vary"),
        ["Origin, Access-Control-Request-Method, Access-Control-Request-Headers"]
    );
    assert_eq!(response.header("content-length"), None);
}

#[test]
fn a_preflight_of_another_origin_is_refused() {
    let other = PREFLIGHT.replace("shop.example", "evil.example");
    let (mut responses, reached) = answers(&format!("{APP}{CORS}"), &ok(""), &[&other]);
    let response = responses.remove(0);
    assert_eq!((response.status(), reached), (403, 0));
    assert!(response.text().contains("\"code\":\"origin_refused\""), "{}", response.text());
    assert!(!response.head.to_ascii_lowercase().contains("access-control-allow"), "{}", response.head);
    assert!(response.header("vary").is_some_and(|vary| vary.starts_with("Origin")));
}

#[test]
fn other_options_requests_and_preflights_without_cors_go_to_the_app() {
    let plain = "OPTIONS / HTTP/1.1\r\nHost: a\r\n\r\n";
    let no_method = "OPTIONS / HTTP/1.1\r\nHost: a\r\nOrigin: https://shop.example\r\n\r\n";
    assert_eq!(answers(&format!("{APP}{CORS}"), &ok(""), &[plain, no_method]).1, 2);
    let own = "HTTP/1.1 204 No Content\r\nAccess-Control-Allow-Origin: *\r\n\r\n";
    let (responses, reached) = answers(APP, own, &[PREFLIGHT]);
    assert_eq!((responses[0].header("access-control-allow-origin"), reached), (Some("*"), 1));
}

#[test]
fn a_preflight_is_answered_by_the_route_of_the_method_that_it_asks_for() {
    let config = format!("{APP}method = \"PUT\"\n{CORS}");
    let (responses, _) =
        answers(&config, &ok(""), &[PREFLIGHT, &PREFLIGHT.replace("Method: PUT", "Method: DELETE")]);
    assert_eq!((responses[0].status(), responses[1].status()), (204, 405));
}

#[test]
fn the_apps_own_fields_of_cors_give_way() {
    let own = "HTTP/1.1 200 OK\r\nAccess-Control-Allow-Origin: *\r\nAccess-Control-Expose-Headers: x-secret\r\n\
               Vary: Cookie\r\nContent-Length: 0\r\n\r\n";
    let get = "GET / HTTP/1.1\r\nHost: a\r\nOrigin: https://shop.example\r\n\r\n";
    let response = answer(&format!("{APP}{CORS}"), own, get);
    assert_eq!(response.all("access-control-allow-origin"), ["https://shop.example"]);
    assert_eq!(response.all("access-control-allow-credentials"), ["true"]);
    assert_eq!(response.all("access-control-expose-headers"), ["x-total"]);
    assert_eq!(response.all("access-control-allow-methods"), Vec::<&str>::new(), "that is for preflights");
    assert_eq!(response.all("vary"), ["Cookie, Origin"]);

    for origin in ["Origin: https://evil.example\r\n", "Origin: null\r\n", ""] {
        let response =
            answer(&format!("{APP}{CORS}"), own, &format!("GET / HTTP/1.1\r\nHost: a\r\n{origin}\r\n"));
        assert!(!response.head.to_ascii_lowercase().contains("access-control-"), "{}", response.head);
        assert_eq!((response.status(), response.all("vary")), (200, vec!["Cookie, Origin"]), "{origin}");
    }
}

#[test]
fn everybody_may_and_nothing_varies() {
    let config = format!("{APP}cors = {{ origins = \"*\" }}\n");
    for request in [GET, "GET / HTTP/1.1\r\nHost: a\r\nOrigin: https://any.example\r\n\r\n"] {
        let response = answer(&config, &ok(""), request);
        assert_eq!(
            (response.header("access-control-allow-origin"), response.header("vary")),
            (Some("*"), None)
        );
    }
}

#[test]
fn pages_may_read_why_they_were_refused() {
    let config = format!("{APP}{CORS}").replace("3001", "3009");
    let get = "GET / HTTP/1.1\r\nHost: a\r\nOrigin: https://shop.example\r\n\r\n";
    let response = answer(&config, &ok(""), get);
    assert_eq!(response.status(), 502);
    assert_eq!(response.header("access-control-allow-origin"), Some("https://shop.example"));
    assert_eq!(response.header("vary"), Some("Origin"));
}

#[test]
fn files_are_marked_as_everything_else() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("a.txt"), "hello").expect("a file");
    let root = folder.path().display();
    let config = format!("[[route]]\npath = \"/*\"\nfiles = \"{root}\"\nsecurity_headers = true\n{CORS}");
    let get = "GET /a.txt HTTP/1.1\r\nHost: a\r\nOrigin: https://shop.example\r\n\r\n";
    let (responses, _) = answers(&config, "", &[get, PREFLIGHT]);
    assert_eq!((responses[0].status(), responses[0].text()), (200, "hello"));
    assert_eq!(responses[0].all("x-content-type-options"), ["nosniff"]);
    assert_eq!(responses[0].all("access-control-allow-origin"), ["https://shop.example"]);
    assert_eq!(responses[0].all("vary"), ["Origin"]);
    assert_eq!(responses[1].status(), 204);
}

#[test]
fn explain_takes_the_same_decisions() {
    scene(format!("{APP}{CORS}")).run(async |scene| {
        let live = scene.core.live();
        let last = |head: &str| {
            let asked = Asked { head: head.into(), is_https: false, client: None };
            let steps = explain(&live, Some(&scene.shared), &asked);
            steps.last().map(|step| (step.stage, step.text.clone())).expect("a step")
        };
        assert!(last(PREFLIGHT).1.starts_with("204"), "{:?}", last(PREFLIGHT));
        let (stage, text) = last(&PREFLIGHT.replace("shop", "evil"));
        assert_eq!(stage, "guard");
        assert!(text.starts_with("refused with 403"), "{text}");
    });
}
