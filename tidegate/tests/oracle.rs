//! nginx as the oracle: what it passes on as a proxy, Tidegate passes on too. The same requests go through both to the
//! same origins; status, body and end-to-end fields agree, but for the marks that each adds.

#[path = "support/mod.rs"]
mod stage;

use std::collections::BTreeMap;
use std::net::SocketAddr;

use stage::{Connection, Heard, Nginx, Origin, Tidegate, endpoints, front};

/// Fields that each hop writes for itself, or that say when and not what.
const MARKS: [&str; 9] = [
    "connection",
    "keep-alive",
    "date",
    "server",
    "transfer-encoding",
    "via",
    "x-request-id",
    "content-length",
    "proxy-authenticate",
];

/// Fields of requests that each proxy writes for itself.
const REQUEST_MARKS: [&str; 10] = [
    "connection",
    "content-length",
    "transfer-encoding",
    "via",
    "traceparent",
    "x-request-id",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "host",
];

struct Ask {
    method: &'static str,
    target: &'static str,
    headers: &'static [(&'static str, &'static str)],
    body: &'static [u8],
}

const fn ask(method: &'static str, target: &'static str) -> Ask {
    Ask { method, target, headers: &[], body: b"" }
}

const fn with(
    method: &'static str,
    target: &'static str,
    headers: &'static [(&'static str, &'static str)],
) -> Ask {
    Ask { method, target, headers, body: b"" }
}

const fn send(method: &'static str, target: &'static str, body: &'static [u8]) -> Ask {
    Ask { method, target, headers: &[("Content-Type", "text/plain")], body }
}

/// What is asked of files that nginx serves.
const OF_FILES: [Ask; 27] = [
    ask("GET", "/page.html"),
    ask("HEAD", "/page.html"),
    ask("GET", "/"),
    ask("GET", "/none"),
    ask("HEAD", "/none"),
    ask("GET", "/folder"),
    ask("GET", "/folder/"),
    ask("GET", "/page.html?query=1&b=%20"),
    ask("GET", "/sp%20ace.txt"),
    ask("GET", "/%70age.html"),
    ask("GET", "/big.bin"),
    ask("HEAD", "/big.bin"),
    ask("OPTIONS", "/page.html"),
    ask("DELETE", "/page.html"),
    send("POST", "/page.html", b"a body"),
    send("PUT", "/page.html", b"a body"),
    with("GET", "/big.bin", &[("Range", "bytes=0-0")]),
    with("GET", "/big.bin", &[("Range", "bytes=10-19")]),
    with("GET", "/big.bin", &[("Range", "bytes=-100")]),
    with("GET", "/big.bin", &[("Range", "bytes=99999999-")]),
    with("GET", "/big.bin", &[("Range", "chapters=1-2")]),
    with("HEAD", "/big.bin", &[("Range", "bytes=10-19")]),
    with("GET", "/big.bin", &[("Range", "bytes=0-9"), ("If-Range", "\"other\"")]),
    with("GET", "/page.html", &[("If-Modified-Since", "Fri, 31 Dec 2099 23:59:59 GMT")]),
    with("GET", "/page.html", &[("If-Unmodified-Since", "Thu, 01 Jan 1970 00:00:00 GMT")]),
    with("GET", "/page.html", &[("If-Match", "\"other\"")]),
    with("GET", "/page.html", &[("Accept-Encoding", "gzip, br"), ("Accept-Language", "de")]),
];

/// What is asked of an app that tells what it heard.
const OF_THE_APP: [Ask; 19] = [
    ask("GET", "/echo"),
    ask("GET", "/echo?a=1&a=2&c"),
    ask("GET", "/echo/%E2%82%AC/%c3%bc"),
    ask("GET", "/echo//twice//slashed"),
    ask("GET", "/echo;param=1"),
    ask("GET", "/echo/a%2Fb"),
    ask("DELETE", "/echo"),
    ask("PATCH", "/echo"),
    ask("REPORT", "/echo"),
    send("POST", "/echo", b"0123456789"),
    send("PUT", "/echo", b"x"),
    send("DELETE", "/echo", b"with a body"),
    with("GET", "/echo", &[("Cookie", "a=1; b=2"), ("Authorization", "Basic eDp5")]),
    with("GET", "/echo", &[("Connection", "x-private, keep-alive"), ("X-Open", "1")]),
    with("GET", "/echo", &[("X-Twice", "1"), ("X-Twice", "2"), ("x-empty", "")]),
    with("GET", "/echo", &[("User-Agent", "curl/8"), ("Referer", "http://a/"), ("Origin", "http://a")]),
    ask("GET", "/cookies"),
    ask("GET", "/teapot"),
    ask("GET", "/nothing"),
];

/// What came of a request: status, fields that are no marks, body.
type Outcome = (u16, BTreeMap<String, Vec<String>>, String);

fn outcome(proxy: SocketAddr, connection: &mut Connection, ask: &Ask) -> Outcome {
    let answer = connection
        .request(ask.method, ask.target, ask.headers, ask.body)
        .unwrap_or_else(|error| panic!("{} {}: {error}", ask.method, ask.target));
    if answer.header("connection") == Some("close") {
        *connection = Connection::open(proxy).unwrap();
    }
    let mut fields = BTreeMap::<String, Vec<String>>::new();
    for (name, value) in &answer.headers {
        let name = name.to_ascii_lowercase();
        if !MARKS.contains(&&*name) {
            fields.entry(name).or_default().push(value.clone());
        }
    }
    (answer.status, fields, answer.text())
}

/// nginx as a proxy, set up as the manual says for an HTTP/1.1 origin.
fn proxy_by_nginx(origin: SocketAddr) -> Nginx {
    Nginx::start(&format!(
        "upstream app {{ server {origin}; keepalive 8; }}\nserver {{ listen ${{ADDRESS}}; location / {{\n\
         proxy_pass http://app; proxy_http_version 1.1; proxy_set_header Connection \"\";\n\
         proxy_set_header Host $http_host; }} }}"
    ))
}

fn compare(origin: SocketAddr, asked: &[Ask]) {
    let oracle = proxy_by_nginx(origin);
    let running = Tidegate::start(&front("", &endpoints(&[origin])));
    let mut differ = Vec::new();
    let mut by_oracle = Connection::open(oracle.address).unwrap();
    let mut by_tidegate = Connection::open(running.address).unwrap();
    for ask in asked {
        let (wanted, got) =
            (outcome(oracle.address, &mut by_oracle, ask), outcome(running.address, &mut by_tidegate, ask));
        if wanted != got {
            let (method, target, headers) = (ask.method, ask.target, ask.headers);
            differ
                .push(format!("{method} {target} {headers:?}\n  nginx:    {wanted:?}\n  tidegate: {got:?}"));
        }
    }
    assert!(differ.is_empty(), "{} of {} differ:\n{}", differ.len(), asked.len(), differ.join("\n"));
}

#[test]
fn files_come_through_as_they_do_through_nginx() {
    let root = tempfile::tempdir().unwrap();
    std::fs::create_dir(root.path().join("folder")).unwrap();
    let page = "<!doctype html><title>a page</title>".repeat(100);
    for (name, body) in
        [("page.html", &page[..]), ("sp ace.txt", "spaced"), ("big.bin", &"0123456789".repeat(30_000))]
    {
        std::fs::write(root.path().join(name), body).unwrap();
    }
    let more = "gzip on; gzip_proxied any; gzip_types *; absolute_redirect off;";
    let origin = Nginx::files(root.path(), more);
    compare(origin.address, &OF_FILES);
}

/// Tells what it heard, without the marks of the hop.
fn echo(heard: &Heard) -> Vec<u8> {
    let mut fields: Vec<String> = heard
        .headers
        .iter()
        .map(|(name, value)| format!("{}: {value}", name.to_ascii_lowercase()))
        .filter(|line| !REQUEST_MARKS.iter().any(|mark| line.starts_with(&format!("{mark}:"))))
        .collect();
    fields.sort();
    let body = String::from_utf8_lossy(&heard.body);
    Heard::ok(format!("{}\n{}\n\n{body}", heard.line, fields.join("\n")))
}

fn app(heard: &Heard) -> Vec<u8> {
    match heard.line.split(' ').nth(1) {
        Some("/cookies") => b"HTTP/1.1 200 OK\r\nSet-Cookie: a=1; Path=/\r\nSet-Cookie: b=2; HttpOnly\r\n\
              Vary: Cookie\r\nCache-Control: private\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
            .to_vec(),
        Some("/teapot") => b"HTTP/1.1 418 I'm a teapot\r\nContent-Length: 0\r\nX-Pot: 1\r\n\r\n".to_vec(),
        Some("/nothing") => b"HTTP/1.1 204 No Content\r\nETag: \"n\"\r\n\r\n".to_vec(),
        _ => echo(heard),
    }
}

#[test]
fn requests_reach_the_app_as_they_do_through_nginx() {
    let origin = Origin::answering(app);
    compare(origin.address, &OF_THE_APP);
}
