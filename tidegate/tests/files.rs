//! nginx as the oracle of files: the same folder, the same requests, the same answers: status, length, parts, bytes.
//! Where the answers differ on purpose, the last test says how.

#[path = "support/mod.rs"]
mod stage;

use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, SystemTime};

use stage::{Connection, Nginx, Response, Tidegate};
use tempfile::TempDir;

/// What is asked: method, target, fields. `{etag}` and `{modified}` stand for what the server itself said of the file.
type Ask = (&'static str, &'static str, &'static [(&'static str, &'static str)]);

const ASKED: [Ask; 53] = [
    ("GET", "/small.txt", &[]),
    ("HEAD", "/small.txt", &[]),
    ("GET", "/large.bin", &[]),
    ("HEAD", "/large.bin", &[]),
    ("GET", "/empty.txt", &[]),
    ("GET", "/", &[]),
    ("GET", "/folder/", &[]),
    ("GET", "/large.bin", &[("Range", "bytes=")]),
    ("GET", "/none", &[]),
    ("HEAD", "/none", &[]),
    ("GET", "/small.txt/", &[]),
    ("GET", "/small.txt/x", &[]),
    ("GET", "/sp%20ace.txt", &[]),
    ("GET", "/%73mall.txt?x=1", &[]),
    ("GET", "/%252e%252e/secret", &[]),
    ("GET", "/folder/../small.txt", &[]),
    ("GET", "//folder//index.html", &[]),
    ("GET", "/large.bin", &[("Range", "bytes=0-0")]),
    ("GET", "/large.bin", &[("Range", "bytes=0-")]),
    ("GET", "/large.bin", &[("Range", "bytes=10-19")]),
    ("GET", "/large.bin", &[("Range", "bytes=299999-")]),
    ("GET", "/large.bin", &[("Range", "bytes=299999-400000")]),
    ("GET", "/large.bin", &[("Range", "bytes=-1")]),
    ("GET", "/large.bin", &[("Range", "bytes=-400000")]),
    ("GET", "/large.bin", &[("Range", "bytes=300000-")]),
    ("GET", "/large.bin", &[("Range", "bytes=400000-500000")]),
    ("GET", "/large.bin", &[("Range", "bytes=-0")]),
    ("GET", "/large.bin", &[("Range", "chapters=1-2")]),
    ("GET", "/large.bin", &[("Range", "bytes = 1-2")]),
    ("GET", "/large.bin", &[("Range", "bytes=0-9,20-29")]),
    ("GET", "/large.bin", &[("Range", "bytes=20-29, 0-9 ,-5")]),
    ("GET", "/large.bin", &[("Range", "bytes=0-9,400000-")]),
    ("GET", "/small.txt", &[("Range", "bytes=0-1,3-4")]),
    ("GET", "/small.txt", &[("Range", "bytes=6-")]),
    ("GET", "/small.txt", &[("Range", "bytes=7-")]),
    ("GET", "/empty.txt", &[("Range", "bytes=-5")]),
    ("HEAD", "/none", &[("Range", "bytes=0-1")]),
    ("GET", "/large.bin", &[("Range", "bytes=0-9"), ("If-Range", "{etag}")]),
    ("GET", "/large.bin", &[("Range", "bytes=0-9"), ("If-Range", "\"other\"")]),
    ("GET", "/large.bin", &[("Range", "bytes=0-9"), ("If-Range", "{modified}")]),
    ("GET", "/large.bin", &[("Range", "bytes=0-9"), ("If-Range", "Sun, 06 Nov 1994 08:49:37 GMT")]),
    ("GET", "/large.bin", &[("If-None-Match", "{etag}")]),
    ("GET", "/large.bin", &[("If-None-Match", "*")]),
    ("GET", "/large.bin", &[("If-None-Match", "\"a\", {etag}"), ("Range", "bytes=0-9")]),
    ("GET", "/large.bin", &[("If-None-Match", "\"other\"")]),
    ("GET", "/large.bin", &[("If-Modified-Since", "{modified}")]),
    ("GET", "/large.bin", &[("If-Modified-Since", "Sun, 06 Nov 1994 08:49:37 GMT")]),
    ("GET", "/large.bin", &[("If-Modified-Since", "Thu, 31 Dec 2099 23:59:59 GMT")]),
    ("GET", "/large.bin", &[("If-Match", "{etag}")]),
    ("GET", "/large.bin", &[("If-Match", "\"other\"")]),
    ("GET", "/large.bin", &[("If-Unmodified-Since", "{modified}")]),
    ("GET", "/large.bin", &[("If-Unmodified-Since", "Sun, 06 Nov 1994 08:49:37 GMT")]),
    ("GET", "/zipped.js", &[("Accept-Encoding", "gzip")]),
];

/// What is compared of an answer.
#[derive(PartialEq, Eq, Debug)]
struct Outcome {
    status: u16,
    range: Option<String>,
    length: Option<String>,
    kind: Option<String>,
    coding: Option<String>,
    body: Vec<(String, Vec<u8>)>,
}

/// A folder, nginx and Tidegate over it.
struct Site {
    tidegate: Tidegate,
    nginx: Nginx,
    _folder: TempDir,
}

fn site() -> Site {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let root = folder.path().join("root");
    for (name, content) in [
        ("small.txt", "content".to_owned()),
        ("empty.txt", String::new()),
        ("sp ace.txt", "spaced".to_owned()),
        ("index.html", "<h1>home</h1>".to_owned()),
        ("folder/index.html", "<h1>folder</h1>".to_owned()),
        ("bare/a.txt", "a".to_owned()),
        ("large.bin", "0123456789abcdefghijklmnopqrstuvwxyz\n".repeat(9_000)[..300_000].to_owned()),
        ("zipped.js", "x".repeat(100)),
        ("zipped.js.gz", "not really".to_owned()),
    ] {
        write(&root.join(name), &content);
    }
    let types = "types { text/html html; text/plain txt; text/javascript js; application/octet-stream bin; } \
                 charset utf-8; charset_types text/html text/plain text/javascript; gzip_static on; \
                 if_modified_since before; absolute_redirect off;";
    let nginx = Nginx::files(&root, types);
    let tidegate = Tidegate::start(&format!(
        "[server]\nadmin = \"${{ADMIN}}\"\n[[listener]]\naddress = \"${{LISTEN}}\"\n[[route]]\nfiles = \"{}\"\n",
        root.display()
    ));
    Site { tidegate, nginx, _folder: folder }
}

fn write(path: &Path, content: &str) {
    fs::create_dir_all(path.parent().expect("a folder")).expect("a folder can be made");
    fs::write(path, content).expect("a file can be written");
    let file = File::options().write(true).open(path).expect("it is there");
    file.set_modified(SystemTime::now() - Duration::from_hours(1)).expect("a time can be set");
}

/// One request on a connection of its own, with the server's own validators in it.
fn ask(address: SocketAddr, (method, target, fields): Ask) -> Response {
    let known = stage::request(address, "HEAD", target, &[], b"").expect("an answer");
    let fill = |text: &str| {
        let text = text.replace("{etag}", known.header("etag").unwrap_or("\"none\""));
        text.replace("{modified}", known.header("last-modified").unwrap_or("never"))
    };
    let fields: Vec<_> = fields.iter().map(|(name, value)| (*name, fill(value))).collect();
    let fields: Vec<_> = fields.iter().map(|(name, value)| (*name, &**value)).collect();
    let mut connection = Connection::open(address).expect("a connection");
    connection.request(method, target, &fields, b"").expect("an answer")
}

fn outcome(response: &Response) -> Outcome {
    let header = |name: &str| response.header(name).map(str::to_owned);
    let is_success = (200..300).contains(&response.status);
    let kind = header("content-type").filter(|_| is_success);
    let boundary = kind.as_deref().and_then(|kind| kind.strip_prefix("multipart/byteranges; boundary="));
    let body = match boundary {
        Some(boundary) => parts(&response.body, boundary),
        // Each has error pages of its own.
        None if !is_success => Vec::new(),
        None => vec![(String::new(), response.body.clone())],
    };
    Outcome {
        status: response.status,
        range: header("content-range"),
        // The lines between parts may have other lengths.
        length: header("content-length").filter(|_| is_success && boundary.is_none()),
        coding: header("content-encoding"),
        body,
        kind: if boundary.is_some() { Some("multipart/byteranges".to_owned()) } else { kind },
    }
}

/// The parts of a body in parts: each one's Content-Type and Content-Range, and its bytes.
fn parts(body: &[u8], boundary: &str) -> Vec<(String, Vec<u8>)> {
    let text = String::from_utf8(body.to_vec()).expect("these files are text");
    let text = format!("\r\n{}", text.trim_start());
    let (text, end) = text.split_at(text.rfind(&format!("\r\n--{boundary}--")).expect("an end"));
    assert_eq!(end.trim_end(), format!("\r\n--{boundary}--"));
    text.split(&format!("\r\n--{boundary}\r\n"))
        .skip(1)
        .map(|part| {
            let (head, bytes) = part.split_once("\r\n\r\n").expect("a part has a head");
            (head.to_ascii_lowercase(), bytes.as_bytes().to_vec())
        })
        .collect()
}

#[test]
fn files_and_their_parts_are_what_nginx_gives() {
    let site = site();
    let mut differ = Vec::new();
    for asked in ASKED {
        // Twice, for the second answer comes out of memory.
        let wanted = outcome(&ask(site.nginx.address, asked));
        for _ in 0..2 {
            let got = outcome(&ask(site.tidegate.address, asked));
            if got != wanted {
                differ.push(format!("{asked:?}\n  nginx:    {wanted:?}\n  tidegate: {got:?}"));
            }
        }
    }
    assert!(differ.is_empty(), "{} of {} differ:\n{}", differ.len(), ASKED.len(), differ.join("\n"));
}

#[test]
fn where_nginx_is_not_followed() {
    let site = site();
    let differs = |asked: Ask, wanted: (u16, u16)| {
        let got = (ask(site.nginx.address, asked).status, ask(site.tidegate.address, asked).status);
        assert_eq!(got, wanted, "{asked:?}");
    };
    // A folder without its slash: 301 lets clients change the method, 308 does not.
    differs(("GET", "/folder", &[]), (301, 308));
    // A folder without an index: nobody is told that it is there.
    differs(("GET", "/bare/", &[]), (403, 404));
    // A Range that is not in order is not there (RFC 9110 section 14.2).
    differs(("GET", "/large.bin", &[("Range", "bytes=5-3")]), (416, 200));
    differs(("GET", "/large.bin", &[("Range", "bytes=a-b")]), (416, 200));
    // An empty file has no first byte (RFC 9110 section 14.1.2).
    differs(("GET", "/empty.txt", &[("Range", "bytes=0-")]), (200, 416));
    // Parts that touch are joined (RFC 9110 section 15.3.7.2), so what is asked for here is one part.
    let fields = [("Range", "bytes=0-9,5-19")];
    let joined = stage::request(site.tidegate.address, "GET", "/large.bin", &fields, b"").expect("an answer");
    assert_eq!(joined.header("content-range"), Some("bytes 0-19/300000"));
}
