//! What is compressed on its way into the cache: stored coded, once for each variant, then coded harder beside the
//! traffic.

use std::io::Read as _;
use std::time::Duration;

use testkit::{Message, Scene, scene};

use crate::support::*;

const FIELDS: &[&str] = &["Cache-Control: max-age=60", "Content-Type: text/html", "ETag: \"v1\""];

fn text() -> String {
    let mut rng = fastrand::Rng::with_seed(1);
    let words = ["tide", "gate", "harbour", "lantern", "salt", "ledger", "quiet", "mast"];
    std::iter::repeat_with(|| *rng.choice(&words).expect("a word")).take(4_000).collect::<Vec<_>>().join(" ")
}

fn compressed(levels: &str) -> String {
    format!("{}compress = {{ {levels} }}\n", cached("true"))
}

fn plain(response: &Message) -> Vec<u8> {
    let mut body = Vec::new();
    let coded = &response.body[..];
    let read = match response.header("content-encoding") {
        Some("zstd") => zstd::stream::read::Decoder::new(coded).expect("a decoder").read_to_end(&mut body),
        Some("br") => brotli::Decompressor::new(coded, 4096).read_to_end(&mut body),
        Some("gzip") => flate2::read::GzDecoder::new(coded).read_to_end(&mut body),
        other => panic!("{other:?}"),
    };
    read.expect("it is whole");
    body
}

async fn asked(scene: &Scene, fields: &[&str]) -> Message {
    scene.client().ask(&get(fields)).await
}

/// Waits until the hits of `accept` are smaller than `bytes`.
async fn smaller(scene: &Scene, accept: &str, bytes: usize) -> Message {
    for _ in 0..1000 {
        let response = asked(scene, &[accept]).await;
        if response.body.len() < bytes {
            return response;
        }
        scene.pass(Duration::from_millis(1)).await;
    }
    panic!("it stays as large as it was");
}

#[test]
fn what_is_kept_is_compressed_once_and_then_harder() {
    let app = app(|_, _| answer(FIELDS, &text()));
    scene(compressed("level = { zstd = 1, br = 0, gzip = 1 }")).origin(ORIGIN, app).run(async |scene| {
        for accept in ["Accept-Encoding: br", "Accept-Encoding: gzip", "Accept-Encoding: zstd"] {
            // Whoever compresses harder is not to be faster than the client.
            let stalled = stall();
            let first = asked(scene, &[accept]).await;
            drop(stalled);
            let better = smaller(scene, accept, first.body.len()).await;
            assert_eq!(
                (plain(&first), plain(&better)),
                (text().into_bytes(), text().into_bytes()),
                "{accept}"
            );
            for name in ["etag", "content-encoding", "vary", "content-type"] {
                assert_eq!(first.header(name), better.header(name));
            }
            assert_eq!(better.header("etag"), Some("W/\"v1\""));
            assert!(status(&better).starts_with("hit; "), "{}", status(&better));
        }
        assert_eq!(scene.requests().len(), 3, "one for each variant");
        let usage = scene.shared.cache.usage();
        assert_eq!((usage.entries, usage.leaving_bytes, usage.filling_bytes), (3, 0, 0));
    });
}

#[test]
fn what_nobody_wants_harder_stays_as_it_came() {
    let app = app(|_, _| answer(FIELDS, &text()));
    let levels = "level = { br = 5 }, stored_level = { br = 5 }";
    scene(compressed(levels)).origin(ORIGIN, app).run(async |scene| {
        let first = asked(scene, &["Accept-Encoding: br"]).await;
        scene.settle().await;
        assert_eq!(asked(scene, &["Accept-Encoding: br"]).await.body, first.body);
        assert_eq!(scene.totals().coded_input.iter().sum::<u64>(), text().len() as u64, "it was coded once");
    });
}

/// Its bytes are others once it was coded again, or fetched anew, though its weak tag is the same.
#[test]
fn a_coded_body_is_given_whole() {
    let app = app(|_, _| answer(FIELDS, &text()));
    scene(compressed("")).origin(ORIGIN, app).run(async |scene| {
        let coded = asked(scene, &["Accept-Encoding: gzip"]).await;
        assert_eq!(coded.header("accept-ranges"), None);
        let part = asked(scene, &["Accept-Encoding: gzip", "Range: bytes=0-9"]).await;
        assert_eq!((part.status(), plain(&part)), (200, text().into_bytes()));
        asked(scene, &[]).await;
        let part = asked(scene, &["Range: bytes=0-9"]).await;
        assert_eq!((part.status(), part.text()), (206, &text()[..10]));
    });
}

/// A 304 is about the body that was coded here: it stays weak, and is the same for everybody.
#[test]
fn what_was_coded_is_validated_by_its_weak_tag() {
    let app = app(|number, request| {
        if number == 1 {
            return answer(&["Cache-Control: max-age=1", "Content-Type: text/html", "ETag: \"v1\""], &text());
        }
        assert_eq!(request.header("if-none-match"), Some("W/\"v1\""));
        not_modified(&["Cache-Control: max-age=60", "ETag: \"v1\""])
    });
    scene(compressed("")).origin(ORIGIN, app).run(async |scene| {
        asked(scene, &["Accept-Encoding: gzip"]).await;
        scene.seconds(2).await;
        let again = asked(scene, &["Accept-Encoding: gzip"]).await;
        assert_eq!((again.header("etag"), plain(&again)), (Some("W/\"v1\""), text().into_bytes()));
        let told = asked(scene, &["Accept-Encoding: gzip", "If-None-Match: W/\"v1\""]).await;
        assert_eq!((told.status(), told.header("etag")), (304, Some("W/\"v1\"")));
    });
}
