//! Parts of what is stored (RFC 9110 section 14).

use testkit::{Framing, Message, scene};

use crate::support::{ORIGIN, answer, answer_with, app, cached, get, request, status};

const FIELDS: &[&str] = &[
    "Cache-Control: max-age=600",
    "ETag: \"v1\"",
    "Last-Modified: Sun, 15 Nov 2020 12:00:00 GMT",
    "Content-Type: text/plain",
];

/// Plays with an origin that has this body, after it was stored, or with nothing stored yet.
fn ask(body: &'static str, fields: &[&str], stored: bool) -> Message {
    let response = std::cell::RefCell::new(None);
    scene(cached("true")).origin(ORIGIN, app(move |_, _| answer(FIELDS, body))).run(async |scene| {
        let mut client = scene.client();
        if stored {
            client.get("/").await;
        }
        *response.borrow_mut() = Some(client.ask(&get(fields)).await);
        assert_eq!(client.get("/").await.text(), body, "the connection goes on, and the whole is stored");
        let requests = scene.requests();
        assert_eq!((requests.len(), requests[0].header("range")), (1, None));
    });
    response.into_inner().expect("the scene was played")
}

/// RFC 9110 sections 14.1.2, 14.2 and 15.3.7.1.
#[test]
fn one_range_is_cut_out_on_hits_and_misses() {
    for (range, part, place) in [
        ("bytes=0-3", "0123", "bytes 0-3/10"),
        ("bytes=4-", "456789", "bytes 4-9/10"),
        ("bytes=-3", "789", "bytes 7-9/10"),
        ("bytes=-99", "0123456789", "bytes 0-9/10"),
        ("bytes=8-99", "89", "bytes 8-9/10"),
        ("bytes=0-1,2-3", "0123", "bytes 0-3/10"),
    ] {
        for stored in [true, false] {
            let response = ask("0123456789", &[&format!("Range: {range}")], stored);
            assert_eq!((response.status(), response.text()), (206, part), "{range}");
            assert_eq!(response.header("content-range"), Some(place));
            assert_eq!(
                (response.framing, response.header("etag")),
                (Framing::Length(part.len()), Some("\"v1\""))
            );
            let said = if stored { "hit; ttl=600" } else { "fwd=uri-miss; fwd-status=200; stored; ttl=600" };
            assert_eq!(status(&response), said);
        }
    }
}

/// RFC 9110 section 15.3.7.2.
#[test]
fn several_ranges_come_in_parts() {
    let response = ask("0123456789", &["Range: bytes=0-1, -2"], true);
    assert_eq!((response.status(), response.header("content-range")), (206, None));
    let kind = response.header("content-type").expect("a type");
    let boundary = kind.strip_prefix("multipart/byteranges; boundary=").expect(kind);
    let part = |place: &str, text: &str| {
        format!("--{boundary}\r\nContent-Type: text/plain\r\nContent-Range: {place}/10\r\n\r\n{text}\r\n")
    };
    let whole = format!("{}{}--{boundary}--\r\n", part("bytes 0-1", "01"), part("bytes 8-9", "89"));
    assert_eq!((response.text(), response.is_whole), (&*whole, true));
    let other = ask("0123456789", &["Range: bytes=0-1, -2"], true);
    assert_ne!(other.header("content-type"), Some(kind), "nobody can know the boundary before");
}

/// Parts in any order need the whole, and who asks for them while it comes in gets that.
#[test]
fn several_ranges_on_a_miss_get_the_whole_or_the_parts() {
    let slow = async |mut conn: testkit::Conn| {
        conn.request().await;
        let response = answer(FIELDS, "0123456789");
        conn.send(&response[..response.len() - 5]).await;
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
        conn.send("56789").await;
        conn.stay_silent().await;
    };
    scene(cached("true")).origin(ORIGIN, slow).run(async |scene| {
        let mut client = scene.client();
        let response = client.ask(&get(&["Range: bytes=0-1,8-9"])).await;
        assert_eq!((response.status(), response.text()), (200, "0123456789"));
        assert_eq!(client.ask(&get(&["Range: bytes=0-1,8-9"])).await.status(), 206);
    });
}

/// RFC 9110 section 15.5.17.
#[test]
fn a_range_behind_the_end_is_not_satisfiable() {
    for stored in [true, false] {
        for range in ["bytes=10-", "bytes=99-100", "bytes=-0"] {
            let response = ask("0123456789", &[&format!("Range: {range}")], stored);
            assert_eq!((response.status(), response.text()), (416, ""), "{range}");
            assert_eq!(response.header("content-range"), Some("bytes */10"));
        }
    }
}

/// RFC 9110 section 14.2: what is not understood is not there; more than is sensible is not served in parts.
#[test]
fn other_ranges_get_the_whole() {
    let many = (0..17).map(|at| format!("{}-{}", at * 5, at * 5)).collect::<Vec<_>>().join(",");
    for range in ["lines=1-2", "bytes=x", "bytes=3-1", "bytes=0-9,0-9,0-9,0-9", &format!("bytes={many}")] {
        let response = ask("0123456789", &[&format!("Range: {range}")], true);
        assert_eq!((response.status(), response.text()), (200, "0123456789"), "{range}");
    }
}

/// RFC 9110 section 13.1.5.
#[test]
fn if_range_gives_the_whole_of_what_has_changed() {
    for (condition, code) in [
        ("If-Range: \"v1\"", 206),
        ("If-Range: \"v0\"", 200),
        ("If-Range: W/\"v1\"", 200),
        ("If-Range: Sun, 15 Nov 2020 12:00:00 GMT", 206),
        ("If-Range: Sun, 15 Nov 2020 12:00:01 GMT", 200),
    ] {
        for stored in [true, false] {
            let response = ask("0123456789", &["Range: bytes=0-3", condition], stored);
            assert_eq!(response.status(), code, "{condition}");
        }
    }
}

/// RFC 9110 section 13.2.2: a condition goes before a range; only GET has ranges.
#[test]
fn conditions_go_before_ranges_and_head_has_none() {
    let response = ask("0123456789", &["Range: bytes=0-3", "If-None-Match: \"v1\""], true);
    assert_eq!(response.status(), 304);
    scene(cached("true")).origin(ORIGIN, app(|_, _| answer(FIELDS, "0123456789"))).run(async |scene| {
        let response = scene.client().ask(&request("HEAD / HTTP/1.1", &["Range: bytes=0-3"])).await;
        assert_eq!((response.status(), response.header("content-length")), (200, Some("10")));
    });
}

/// Ranges of a large body that came in many pieces, cut anywhere, over a connection that takes little at once.
#[test]
fn any_range_of_a_large_body_is_what_it_says() {
    let body: Vec<u8> = (0..300_000_u32).map(|at| (at / 7 % 251) as u8).collect();
    let response = [
        format!("HTTP/1.1 200 OK\r\nCache-Control: max-age=600\r\nContent-Length: {}\r\n\r\n", body.len())
            .as_bytes(),
        &body,
    ]
    .concat();
    scene(cached("true"))
        .pipe_bytes(10_000)
        .origin(ORIGIN, async move |mut conn| {
            conn.request().await;
            conn.send(&response).await;
            conn.stay_silent().await;
        })
        .run(async |scene| {
            let mut client = scene.client();
            let mut rng = scene.rng();
            assert!(client.get("/").await.body == body);
            for _ in 0..30 {
                let (one, other) = (rng.usize(..body.len()), rng.usize(..body.len()));
                let (start, end) = (one.min(other), one.max(other));
                let response = client.ask(&get(&[&format!("Range: bytes={start}-{end}")])).await;
                assert!(response.status() == 206 && response.body == body[start..=end], "{start}-{end}");
            }
            let response = client.ask(&get(&["Range: bytes=5-99999,150000-299999"])).await;
            let has = |part: &[u8]| response.body.windows(part.len()).any(|window| window == part);
            assert!(response.is_whole && has(&body[5..=99_999]) && has(&body[150_000..]));
            assert_eq!(scene.requests().len(), 1);
        });
}

/// A film that is too large to be kept is looked at by its parts: players that get the whole of it give up.
#[test]
fn a_part_of_what_is_not_kept_comes_from_an_origin_that_sends_parts() {
    for sends_parts in [true, false] {
        let film = move |_: usize, request: &Message| {
            let unit = if sends_parts { "Accept-Ranges: bytes" } else { "Accept-Ranges: none" };
            if sends_parts && request.header("range").is_some() {
                return answer_with(
                    206,
                    &["Cache-Control: private", "Content-Range: bytes 0-1/10", unit],
                    "01",
                );
            }
            answer(&["Cache-Control: private", unit], "0123456789")
        };
        scene(cached("true")).origin(ORIGIN, app(film)).run(async |scene| {
            for number in [1, 2] {
                let response = scene.client().ask(&get(&["Range: bytes=0-1"])).await;
                let wanted = if sends_parts { (206, "01") } else { (200, "0123456789") };
                assert_eq!((response.status(), response.text()), wanted);
                let asked = if sends_parts { number + 1 } else { number };
                assert_eq!(scene.requests().len(), asked, "asked for the whole once, to see if it is kept");
                let detail = if number == 1 { "private" } else { "recently-uncacheable" };
                assert!(status(&response).ends_with(detail), "{}", status(&response));
            }
        });
    }
}
