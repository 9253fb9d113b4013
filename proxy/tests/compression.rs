//! Bodies compressed on their way to the client: who gets which coding, what is said of it, and what breaks off.

use std::fs::{self, File};
use std::io::Read as _;
use std::path::Path;
use std::time::{Duration, SystemTime};

use testkit::{Client, Framing, Message, Scene, scene};

const ORIGIN: &str = "127.0.0.1:3001";

/// One route that compresses.
const COMPRESSED: &str = r#"
[upstream.app]
endpoints = ["127.0.0.1:3001"]
[[route]]
upstream = "app"
compress = { min = "200 B" }
"#;

fn text(bytes: usize) -> String {
    "every line of this is much like the one before\n".chars().cycle().take(bytes).collect()
}

/// A page of this body, with further fields.
fn page(fields: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nETag: \"v1\"\r\n{fields}Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// What is in a coded body, or in the beginning of one.
fn decoded(coding: &str, coded: &[u8]) -> Vec<u8> {
    let mut reader: Box<dyn std::io::Read> = match coding {
        "zstd" => Box::new(zstd::stream::read::Decoder::new(coded).expect("a decoder")),
        "br" => Box::new(brotli::Decompressor::new(coded, 4096)),
        "gzip" => Box::new(flate2::read::GzDecoder::new(coded)),
        other => panic!("{other} was not asked for"),
    };
    let mut body = Vec::new();
    let mut piece = [0; 1024];
    while let Ok(read @ 1..) = reader.read(&mut piece) {
        body.extend_from_slice(&piece[..read]);
    }
    body
}

/// Whether a coded body has its end.
fn is_ended(coding: &str, coded: &[u8]) -> bool {
    let mut body = Vec::new();
    match coding {
        "zstd" => zstd::stream::read::Decoder::new(coded).expect("a decoder").read_to_end(&mut body).is_ok(),
        "br" => brotli::Decompressor::new(coded, 4096).read_to_end(&mut body).is_ok(),
        _ => flate2::read::GzDecoder::new(coded).read_to_end(&mut body).is_ok(),
    }
}

/// The response to `request` (its fields behind the Host line) when the origin answers with `answer`, and what was
/// counted.
fn exchanged(config: &str, method: &str, fields: &str, answer: &str) -> (Message, signals::Totals) {
    let request = format!("{method} / HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
    let answer = answer.to_owned();
    let seen = std::rc::Rc::new(std::cell::RefCell::new(None));
    let into = std::rc::Rc::clone(&seen);
    let method = method.to_owned();
    scene(config)
        .origin(ORIGIN, async move |mut conn| {
            conn.request().await;
            conn.send(&answer).await;
        })
        .run(async |scene| {
            let mut client = scene.client();
            client.send(&request).await;
            let response = client.try_response(&method).await.expect("a response");
            assert!(
                scene.requests()[0].header("accept-encoding").is_none() || fields.contains("Accept-Encoding")
            );
            *into.borrow_mut() = Some((response, scene.totals()));
        });
    seen.take().expect("the scene was played")
}

fn got(fields: &str, answer: &str) -> Message {
    exchanged(COMPRESSED, "GET", fields, answer).0
}

#[test]
fn a_page_is_sent_in_the_coding_that_its_client_wants_most() {
    let body = text(5_000);
    for (accept, coding) in [("gzip, br, zstd", "zstd"), ("gzip, br", "br"), ("gzip, br;q=0.5", "gzip")] {
        let fields = format!("Accept-Encoding: {accept}\r\n");
        let (response, totals) =
            exchanged(COMPRESSED, "GET", &fields, &page("Accept-Ranges: bytes\r\n", &body));
        assert_eq!(response.header("content-encoding"), Some(coding), "{accept}");
        assert_eq!(response.header("vary"), Some("Accept-Encoding"));
        assert_eq!(response.header("etag"), Some("W/\"v1\""));
        assert_eq!(response.header("accept-ranges"), None, "ranges would be of other bytes");
        assert!(response.body.len() < 500, "{} bytes", response.body.len());
        assert_eq!(
            response.framing,
            Framing::Length(response.body.len()),
            "whole at once: its length is known"
        );
        assert_eq!(decoded(coding, &response.body), body.as_bytes());
        assert!(is_ended(coding, &response.body));
        let at = signals::Coding::ALL.into_iter().position(|known| known.code() == coding).expect("a coding");
        assert_eq!(totals.coded_input[at], 5_000);
        assert_eq!(totals.coded_output[at], response.body.len() as u64);
    }
}

#[test]
fn the_origin_is_asked_as_the_client_asks_and_its_own_coding_is_passed_on() {
    scene(COMPRESSED)
        .origin(ORIGIN, async |mut conn| {
            conn.request().await;
            conn.send(page("Content-Encoding: gzip\r\nVary: accept-encoding\r\n", &text(300))).await;
        })
        .run(async |scene| {
            let request = "GET / HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip;q=0.3, br\r\n\r\n";
            let response = scene.client().ask(request).await;
            assert_eq!(scene.requests()[0].header("accept-encoding"), Some("gzip;q=0.3, br"));
            assert_eq!(response.header("content-encoding"), Some("gzip"));
            assert_eq!((response.header("etag"), response.text()), (Some("\"v1\""), &*text(300)));
            assert_eq!(scene.totals().left_plain().get("coded"), Some(&1));
        });
}

#[test]
fn what_is_not_compressed_for_anybody_goes_as_it_came() {
    let body = text(300);
    let long = page("", &body);
    for (answer, why) in [
        (page("Cache-Control: max-age=9, no-transform\r\n", &body), "no-transform"),
        (page("Content-Digest: sha-256=:AA==:\r\n", &body), "digest"),
        (page("", &text(199)), "tiny"),
        (long.replace("text/html", "image/png"), "type"),
        (long.replace("text/html", "text/event-stream"), "type"),
        (long.replace("200 OK", "206 Partial Content\r\nContent-Range: bytes 0-299/999"), "status"),
    ] {
        let (response, totals) = exchanged(COMPRESSED, "GET", "Accept-Encoding: gzip\r\n", &answer);
        assert_eq!(response.all("content-encoding"), Vec::<&str>::new(), "{why}");
        assert_eq!((response.header("vary"), response.header("etag")), (None, Some("\"v1\"")), "{why}");
        assert!(answer.ends_with(response.text()), "{why}");
        assert_eq!(totals.left_plain().iter().collect::<Vec<_>>(), [(&why, &1)]);
    }
}

#[test]
fn a_client_that_wants_no_coding_is_told_that_others_get_one() {
    let no_transform = "Accept-Encoding: gzip\r\nCache-Control: no-transform\r\n";
    for (fields, why) in [
        ("", "unwanted"),
        ("Accept-Encoding: deflate, gzip;q=0\r\n", "unwanted"),
        (no_transform, "no-transform"),
    ] {
        let (response, totals) = exchanged(COMPRESSED, "GET", fields, &page("Vary: Cookie\r\n", &text(300)));
        assert_eq!(response.all("content-encoding"), Vec::<&str>::new());
        assert_eq!(response.all("vary"), ["Cookie, Accept-Encoding"]);
        assert_eq!((response.header("etag"), response.text()), (Some("\"v1\""), &*text(300)));
        assert_eq!(totals.left_plain().get(why), Some(&1), "{fields}");
    }
}

#[test]
fn a_route_without_compression_changes_nothing() {
    let answer = page("", &text(300));
    let (response, totals) = exchanged(testkit::APP, "GET", "Accept-Encoding: gzip\r\n", &answer);
    assert_eq!((response.header("content-encoding"), response.header("vary")), (None, None));
    assert!(totals.left_plain().is_empty());
}

#[test]
fn vary_is_merged_and_what_the_route_edits_is_left_to_it() {
    let accept = "Accept-Encoding: gzip\r\n";
    let said = page("Vary: ACCEPT-encoding\r\nVary: Cookie\r\n", &text(300));
    assert_eq!(got(accept, &said).all("vary"), ["ACCEPT-encoding, Cookie"]);
    assert_eq!(got(accept, &page("Vary: *\r\n", &text(300))).all("vary"), ["*"]);
    let edited =
        format!("{COMPRESSED}response_headers = {{ set = {{ Vary = \"Cookie\" }}, remove = [\"ETag\"] }}\n");
    let (response, _) = exchanged(&edited, "GET", accept, &page("", &text(300)));
    assert_eq!((response.all("vary"), response.header("etag")), (vec!["Cookie"], None));
    assert_eq!(response.header("content-encoding"), Some("gzip"));
}

#[test]
fn a_weak_etag_stays_as_it_is() {
    let answer = page("", &text(300)).replace("\"v1\"", "W/\"v1\"");
    assert_eq!(got("Accept-Encoding: gzip\r\n", &answer).header("etag"), Some("W/\"v1\""));
}

#[test]
fn a_head_says_what_its_get_would_say() {
    let head = page("", "").replace("Content-Length: 0", "Content-Length: 5000");
    let (response, _) = exchanged(COMPRESSED, "HEAD", "Accept-Encoding: br\r\n", &head);
    assert_eq!(response.header("content-encoding"), Some("br"));
    assert_eq!(
        (response.header("etag"), response.header("vary")),
        (Some("W/\"v1\""), Some("Accept-Encoding"))
    );
    assert_eq!(response.header("content-length"), None, "nobody knows it yet");
    let tiny = head.replace("5000", "50");
    let (response, _) = exchanged(COMPRESSED, "HEAD", "Accept-Encoding: br\r\n", &tiny);
    assert_eq!((response.header("content-encoding"), response.header("content-length")), (None, Some("50")));
}

#[test]
fn a_304_names_the_etag_that_the_client_knows() {
    let answer = "HTTP/1.1 304 Not Modified\r\nETag: \"v1\"\r\n\r\n";
    for (condition, etag, vary) in [
        ("W/\"v1\"", "W/\"v1\"", Some("Accept-Encoding")),
        ("\"v0\", W/\"v1\"", "W/\"v1\"", Some("Accept-Encoding")),
        ("\"v1\"", "\"v1\"", None),
        ("W/\"xv1\"", "\"v1\"", None),
    ] {
        let fields = format!("Accept-Encoding: gzip\r\nIf-None-Match: {condition}\r\n");
        let response = got(&fields, answer);
        assert_eq!(response.status(), 304);
        assert_eq!((response.header("etag"), response.header("vary")), (Some(etag), vary), "{condition}");
        assert_eq!(response.header("content-encoding"), None);
    }
}

/// Answers with the beginning of a chunked page, then does what `rest` does.
fn chunked(config: &str, rest: impl AsyncFn(&mut testkit::Conn) + 'static) -> testkit::Script {
    scene(config).origin(ORIGIN, async move |mut conn| {
        conn.request().await;
        conn.send("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nTransfer-Encoding: chunked\r\n\r\n").await;
        rest(&mut conn).await;
    })
}

async fn asked(client: &mut Client, coding: &str) -> Message {
    client.send(format!("GET / HTTP/1.1\r\nHost: a\r\nAccept-Encoding: {coding}\r\n\r\n")).await;
    let head = client.head().await;
    assert_eq!(head.header("content-encoding"), Some(coding));
    assert_eq!((head.header("transfer-encoding"), head.header("content-length")), (Some("chunked"), None));
    head
}

/// The data of the chunks in `bytes`, which end with a whole chunk.
fn unchunked(mut bytes: &[u8]) -> Vec<u8> {
    let mut data = Vec::new();
    while !bytes.is_empty() {
        let end = bytes.windows(2).position(|two| two == b"\r\n").expect("a size line");
        let size =
            usize::from_str_radix(std::str::from_utf8(&bytes[..end]).expect("text"), 16).expect("a size");
        data.extend_from_slice(&bytes[end + 2..][..size]);
        bytes = &bytes[end + 2 + size + 2..];
    }
    data
}

#[test]
fn what_has_come_is_sent_when_the_origin_pauses() {
    for coding in ["zstd", "br", "gzip"] {
        chunked(COMPRESSED, async |conn| {
            for piece in ["5\r\nfirst\r\n", "7\r\n second\r\n", "0\r\n\r\n"] {
                conn.send(piece).await;
                // The next piece comes when the client has asked for it, on its own connection to us.
                tokio::time::sleep(Duration::from_secs(10)).await;
            }
        })
        .run(async |scene| {
            let mut client = scene.client();
            asked(&mut client, coding).await;
            scene.settle().await;
            let mut seen = client.read().await;
            assert_eq!(decoded(coding, &unchunked(&seen)), b"first", "{coding}");
            scene.seconds(11).await;
            seen.extend(client.read().await);
            assert_eq!(decoded(coding, &unchunked(&seen)), b"first second", "{coding}");
            assert!(!is_ended(coding, &unchunked(&seen)));
            scene.seconds(11).await;
            seen.extend(client.read().await);
            assert!(seen.ends_with(b"0\r\n\r\n"), "{coding}");
            assert!(is_ended(coding, &unchunked(&seen)));
        });
    }
}

#[test]
fn long_bodies_in_any_pieces_come_out_as_they_went_in() {
    for (coding, version) in [("zstd", "1.1"), ("br", "1.0"), ("gzip", "1.1"), ("gzip", "1.0")] {
        let line = |number: u64| format!("{number} {}\n", number.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let body = (0..40_000).map(line).collect::<Vec<_>>().concat();
        let answer = page("", &body);
        scene(COMPRESSED)
            .origin(ORIGIN, async move |mut conn| {
                conn.request().await;
                let mut rng = fastrand::Rng::with_seed(7);
                conn.send_in_pieces(answer.as_bytes(), &mut rng).await;
            })
            .run(async |scene| {
                let request = format!("GET / HTTP/{version}\r\nHost: a\r\nAccept-Encoding: {coding}\r\n\r\n");
                let response = scene.client().ask(&request).await;
                let framing = if version == "1.1" { Framing::Chunked } else { Framing::Close };
                assert_eq!((response.framing, response.is_whole), (framing, true));
                assert_eq!(response.header("content-length"), None);
                assert!(decoded(coding, &response.body) == body.as_bytes(), "{coding} over HTTP/{version}");
                assert!(is_ended(coding, &response.body));
                let totals = scene.totals();
                assert_eq!(totals.coded_input.iter().sum::<u64>(), body.len() as u64);
                assert_eq!(totals.coded_output.iter().sum::<u64>(), response.body.len() as u64);
            });
    }
}

#[test]
fn a_body_that_lasts_until_its_connection_closes_is_ended_well() {
    scene(COMPRESSED)
        .origin(ORIGIN, async |mut conn| {
            conn.request().await;
            conn.send("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n").await;
            conn.send(text(70_000)).await;
        })
        .run(async |scene| {
            let response =
                scene.client().ask("GET / HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip\r\n\r\n").await;
            assert_eq!((response.framing, response.is_whole), (Framing::Chunked, true));
            assert!(
                is_ended("gzip", &response.body)
                    && decoded("gzip", &response.body) == text(70_000).as_bytes()
            );
        });
}

#[test]
fn a_body_that_breaks_off_has_no_end() {
    for (coding, version, rest) in [
        ("zstd", "1.1", "3e8\r\nno more than this"),
        ("gzip", "1.1", "5\r\nwhole\r\n"),
        ("br", "1.1", "5\r\nwhole\r\nnonsense\r\n"),
        ("gzip", "1.0", "3e8\r\nno more than this"),
    ] {
        chunked(COMPRESSED, async move |conn| {
            conn.send(rest).await;
        })
        .run(async |scene| {
            let mut client = scene.client();
            client
                .send(format!("GET / HTTP/{version}\r\nHost: a\r\nAccept-Encoding: {coding}\r\n\r\n"))
                .await;
            let response = client.response().await;
            assert_eq!(response.header("content-encoding"), Some(coding));
            assert!(!is_ended(coding, &response.body), "{coding} over HTTP/{version}");
            assert!(version == "1.0" || !response.is_whole, "the last chunk did not come");
            assert_eq!(scene.state(ORIGIN), "up");
        });
    }
}

#[test]
fn a_client_that_never_reads_is_cut_off_and_its_encoder_is_free_again() {
    chunked(COMPRESSED, async |conn| {
        let mut rng = fastrand::Rng::with_seed(3);
        loop {
            let noise: String = (0..16_384).map(|_| rng.alphanumeric()).collect();
            if !conn.send(format!("4000\r\n{noise}\r\n")).await {
                return;
            }
        }
    })
    .pipe_bytes(8 * 1024)
    .run(async |scene| {
        let mut client = scene.client();
        asked(&mut client, "zstd").await;
        scene.seconds(60).await;
        assert!(client.is_released(), "the write timeout has passed");
        let counted: u64 = scene.totals().coded_input.iter().sum();
        assert!(counted < 1 << 20, "no more is read than the client takes: {counted} bytes");
    });
}

#[test]
fn an_endless_body_that_codes_to_nothing_lets_others_have_their_turn() {
    chunked(COMPRESSED, async |conn| {
        let zeros = format!("4000\r\n{}\r\n", "0".repeat(16_384));
        for _ in 0..256 {
            if !conn.send(&zeros).await {
                return;
            }
        }
        conn.send("0\r\n\r\n").await;
    })
    .run(async |scene| {
        let mut client = scene.client();
        client.send("GET / HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip\r\n\r\n").await;
        let response = client.response().await;
        assert!(response.is_whole && response.body.len() < 64 * 1024);
        assert_eq!(decoded("gzip", &response.body).len(), 256 * 16_384);
    });
}

#[test]
fn more_bodies_than_there_are_encoders_for_go_as_they_are() {
    let most = tidegate_proxy::compress::MOST;
    chunked(COMPRESSED, async |conn| {
        conn.send("5\r\nfirst\r\n").await;
        conn.stay_silent().await;
    })
    .run(async |scene| {
        let mut clients = Vec::new();
        for _ in 0..most {
            let mut client = scene.client();
            asked(&mut client, "gzip").await;
            clients.push(client);
        }
        let mut client = scene.client();
        client.send("GET / HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip\r\n\r\n").await;
        let head = client.head().await;
        assert_eq!((head.header("content-encoding"), head.header("vary")), (None, Some("Accept-Encoding")));
        assert_eq!(client.exactly(10).await, b"5\r\nfirst\r\n");
        assert_eq!(scene.totals().left_plain().get("busy"), Some(&1));
        drop(clients);
        scene.settle().await;
        let mut client = scene.client();
        asked(&mut client, "gzip").await;
    });
}

#[test]
fn error_pages_are_compressed_as_well() {
    let config = format!("{COMPRESSED}error_pages = {{ 502 = \"down.html\" }}\n");
    scene(config).file("down.html", &text(2_000)).run(async |scene| {
        let mut client = scene.client();
        let response = client.ask("GET / HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip\r\n\r\n").await;
        assert_eq!((response.status(), response.header("content-encoding")), (502, Some("gzip")));
        assert_eq!(response.header("vary"), Some("Accept-Encoding"));
        assert_eq!(decoded("gzip", &response.body), text(2_000).as_bytes());
        client.send("HEAD / HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip\r\n\r\n").await;
        let head = client.try_response("HEAD").await.expect("a response");
        assert_eq!(head.header("content-length"), Some(&*response.body.len().to_string()));
    });
}

/// Writes a file that is old enough to be kept in memory.
fn write(root: &Path, name: &str, content: impl AsRef<[u8]>) {
    fs::write(root.join(name), content).expect("a file");
    let file = File::options().write(true).open(root.join(name)).expect("the file");
    file.set_modified(SystemTime::now() - Duration::from_hours(1)).expect("a time");
}

/// Plays a scene with a folder whose files are compressed.
fn of_files(prepare: impl FnOnce(&Path), play: impl AsyncFnOnce(&Scene, &Path)) {
    let folder = tempfile::TempDir::new().expect("a folder");
    write(folder.path(), "404.html", text(3_000));
    prepare(folder.path());
    let files = format!("root = \"{}\", not_found = \"404.html\"", folder.path().display());
    scene(format!("[[route]]\nfiles = {{ {files} }}\ncompress = true"))
        .pipe_bytes(16 * 1024)
        .run(async |scene| play(scene, folder.path()).await);
}

async fn asked_for(client: &mut Client, target: &str, fields: &str) -> Message {
    client.ask(&format!("GET {target} HTTP/1.1\r\nHost: a\r\n{fields}\r\n")).await
}

#[test]
fn a_small_file_is_compressed_once_for_each_coding_and_kept() {
    of_files(
        |root| write(root, "a.css", text(5_000)),
        async |scene, root| {
            let mut client = scene.client();
            let plain = client.get("/a.css").await;
            assert_eq!(
                (plain.header("content-encoding"), plain.header("vary")),
                (None, Some("Accept-Encoding"))
            );
            let tag = plain.header("etag").expect("a tag").to_owned();
            for accept in ["gzip, br, zstd", "zstd", "gzip;q=0.5, br;q=0.8", "br", "gzip", "deflate, gzip"] {
                let fields = format!("Accept-Encoding: {accept}\r\n");
                let response = asked_for(&mut client, "/a.css", &fields).await;
                let coding = response.header("content-encoding").expect("a coding");
                assert_eq!(decoded(coding, &response.body), text(5_000).as_bytes(), "{accept}");
                assert!(is_ended(coding, &response.body));
                assert_eq!(response.framing, Framing::Length(response.body.len()));
                assert_eq!(response.all("vary"), ["Accept-Encoding"]);
                assert_eq!(response.header("etag"), Some(&*format!("W/{tag}")));
                assert_eq!(response.header("accept-ranges"), None, "ranges would be of other bytes");
                assert_eq!(response.header("cache-control"), plain.header("cache-control"));
                assert_eq!(response.header("content-type"), Some("text/css; charset=utf-8"));
            }
            assert_eq!(scene.totals().coded_input, [5_000; 3], "each once");
            write(root, "a.css", text(6_000));
            scene.pass(Duration::from_millis(1200)).await;
            let response = asked_for(&mut client, "/a.css", "Accept-Encoding: br\r\n").await;
            assert_eq!(decoded("br", &response.body), text(6_000).as_bytes());
            assert_ne!(response.header("etag"), Some(&*format!("W/{tag}")));
        },
    );
}

#[test]
fn a_large_file_is_compressed_while_it_is_sent() {
    let body = text(700_000);
    of_files(
        |root| write(root, "a.txt", text(700_000)),
        async |scene, _| {
            let mut client = scene.client();
            for coding in ["zstd", "br", "gzip"] {
                let fields = format!("Accept-Encoding: {coding}\r\n");
                let response = asked_for(&mut client, "/a.txt", &fields).await;
                assert_eq!(response.framing, Framing::Chunked);
                assert_eq!(response.header("content-encoding"), Some(coding));
                assert!(
                    response.header("content-length").is_none() && response.header("accept-ranges").is_none()
                );
                assert!(
                    decoded(coding, &response.body) == body.as_bytes() && is_ended(coding, &response.body)
                );
                let tag = response.header("etag").expect("a tag");
                assert!(tag.starts_with("W/"));
                let fields = format!("{fields}If-None-Match: {tag}\r\n");
                let response = asked_for(&mut client, "/a.txt", &fields).await;
                assert_eq!((response.status(), response.header("etag")), (304, Some(tag)));
                assert_eq!(response.header("vary"), Some("Accept-Encoding"));
            }
            client.send("HEAD /a.txt HTTP/1.1\r\nHost: a\r\nAccept-Encoding: br\r\n\r\n").await;
            let head = client.try_response("HEAD").await.expect("a response");
            assert_eq!((head.header("content-encoding"), head.header("content-length")), (Some("br"), None));
            client.send("GET /a.txt HTTP/1.0\r\nHost: a\r\nAccept-Encoding: gzip\r\n\r\n").await;
            let response = client.response().await;
            assert_eq!(response.framing, Framing::Close);
            assert_eq!(decoded("gzip", &response.body), body.as_bytes());
        },
    );
}

#[test]
fn a_part_of_a_file_is_a_part_of_the_file_as_it_is() {
    for bytes in [5_000, 100_000] {
        let body = text(bytes);
        of_files(
            |root| write(root, "a.txt", text(bytes)),
            async |scene, _| {
                let mut client = scene.client();
                let fields = "Accept-Encoding: gzip\r\nRange: bytes=100-199\r\n";
                let response = asked_for(&mut client, "/a.txt", fields).await;
                assert_eq!((response.status(), response.text()), (206, &body[100..200]));
                assert_eq!(
                    (response.header("content-encoding"), response.header("vary")),
                    (None, Some("Accept-Encoding"))
                );
                assert!(!response.header("etag").expect("a tag").starts_with("W/"));
                let beyond = "Accept-Encoding: gzip\r\nRange: bytes=900000-\r\n";
                assert_eq!(asked_for(&mut client, "/a.txt", beyond).await.status(), 416);
                // What was coded is not gone on with.
                let coded = asked_for(&mut client, "/a.txt", "Accept-Encoding: gzip\r\n").await;
                let tag = coded.header("etag").expect("a tag");
                let response =
                    asked_for(&mut client, "/a.txt", &format!("{fields}If-Range: {tag}\r\n")).await;
                assert_eq!((response.status(), response.header("content-encoding")), (200, Some("gzip")));
                let fields = format!("Accept-Encoding: gzip\r\nIf-Match: {tag}\r\n");
                let response = asked_for(&mut client, "/a.txt", &fields).await;
                assert_eq!(response.status(), 412, "a weak tag promises no bytes");
            },
        );
    }
}

#[test]
fn files_that_are_compressed_already_or_of_other_types_go_as_they_are() {
    of_files(
        |root| {
            write(root, "a.css", text(5_000));
            write(root, "a.css.br", "made by the person");
            write(root, "a.png", text(5_000));
            write(root, "tiny.css", text(500));
        },
        async |scene, _| {
            let mut client = scene.client();
            let response = asked_for(&mut client, "/a.css", "Accept-Encoding: gzip, br\r\n").await;
            assert_eq!(
                (response.header("content-encoding"), response.text()),
                (Some("br"), "made by the person")
            );
            let response = asked_for(&mut client, "/a.css", "Accept-Encoding: gzip\r\n").await;
            assert_eq!(decoded("gzip", &response.body), text(5_000).as_bytes(), "there is no sibling for it");
            for name in ["/a.png", "/tiny.css"] {
                let response = asked_for(&mut client, name, "Accept-Encoding: gzip\r\n").await;
                assert_eq!(
                    (response.header("content-encoding"), response.header("vary")),
                    (None, None),
                    "{name}"
                );
                assert!(!response.header("etag").expect("a tag").starts_with("W/"));
            }
            let response = asked_for(&mut client, "/none", "Accept-Encoding: gzip\r\n").await;
            assert_eq!((response.status(), response.header("content-encoding")), (404, Some("gzip")));
            assert_eq!(response.all("vary"), ["Accept-Encoding"]);
            assert_eq!(decoded("gzip", &response.body), text(3_000).as_bytes());
            assert_eq!(asked_for(&mut client, "/none", "").await.all("vary"), ["Accept-Encoding"]);
        },
    );
}

#[test]
fn a_file_that_shrinks_while_it_is_compressed_breaks_off() {
    // What hardly gets smaller, so that the client is still behind when the file shrinks.
    let mut rng = fastrand::Rng::with_seed(7);
    let noise: String = std::iter::repeat_with(|| rng.alphanumeric()).take(900_000).collect();
    of_files(
        |root| write(root, "a.txt", noise),
        async |scene, root| {
            let mut client = scene.client();
            client.send("GET /a.txt HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip\r\n\r\n").await;
            assert_eq!(client.head().await.header("transfer-encoding"), Some("chunked"));
            File::options()
                .write(true)
                .open(root.join("a.txt"))
                .expect("the file")
                .set_len(500_000)
                .expect("shorter");
            let rest = client.rest().await;
            assert!(!rest.ends_with(b"0\r\n\r\n") && client.has_ended());
            scene.settle().await;
            assert_eq!(scene.core.encoders.used(), 0);
        },
    );
}
