//! nginx as the app: what it serves comes through byte for byte, over connections that are kept.

#[path = "support/mod.rs"]
mod stage;

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read, Write};

use stage::{Connection, Nginx, Origin, Tidegate, endpoints, front, get, request};
use tempfile::TempDir;

/// Bytes without a pattern that a mistake could hide in.
fn noise(count: usize) -> Vec<u8> {
    let mut state = 0x9E37_79B9_u32;
    let next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state as u8
    };
    std::iter::repeat_with(next).take(count).collect()
}

const SIZES: [(&str, usize); 4] =
    [("/empty", 0), ("/1k", 1024), ("/64k", 64 * 1024), ("/5m", 5 * 1024 * 1024)];

struct Site {
    running: Tidegate,
    nginx: Nginx,
    _root: TempDir,
}

/// Files of all sizes behind nginx behind Tidegate.
fn site(more: &str) -> Site {
    let root = tempfile::tempdir().unwrap();
    for (name, size) in SIZES {
        std::fs::write(root.path().join(&name[1..]), noise(size)).unwrap();
    }
    let nginx = Nginx::files(root.path(), more);
    let running = Tidegate::start(&front("", &endpoints(&[nginx.address])));
    Site { running, nginx, _root: root }
}

#[test]
fn files_of_every_size_arrive_byte_for_byte() {
    let site = site("");
    let mut connection = Connection::open(site.running.address).unwrap();
    for round in 0..3 {
        for (name, size) in SIZES {
            let answer = connection.get(name).unwrap();
            assert_eq!(answer.status, 200);
            assert!(answer.body == noise(size), "round {round}: {name} arrives whole");
            assert_eq!(answer.header("content-length"), Some(&*size.to_string()));
        }
    }
}

#[test]
fn head_says_what_get_would_and_the_connection_goes_on() {
    let site = site("");
    let mut connection = Connection::open(site.running.address).unwrap();
    for (name, size) in SIZES {
        let head = connection.request("HEAD", name, &[], b"").unwrap();
        let get = connection.get(name).unwrap();
        assert_eq!(head.status, 200);
        assert_eq!(head.header("content-length"), Some(&*size.to_string()));
        assert_eq!(head.header("etag"), get.header("etag"));
    }
}

#[test]
fn ranges_are_the_origins_business() {
    let site = site("");
    let mut connection = Connection::open(site.running.address).unwrap();
    let mut range = |range: &str| connection.request("GET", "/64k", &[("Range", range)], b"").unwrap();
    let whole = noise(64 * 1024);

    let part = range("bytes=100-299");
    assert_eq!(part.status, 206);
    assert_eq!(part.header("content-range"), Some("bytes 100-299/65536"));
    assert!(part.body == whole[100..300]);

    let last = range("bytes=-5");
    assert_eq!((last.status, &last.body[..]), (206, &whole[65531..]));

    let several = range("bytes=0-9,1000-1009");
    assert_eq!(several.status, 206);
    assert!(several.header("content-type").unwrap().starts_with("multipart/byteranges; boundary="));
    for piece in [&whole[..10], &whole[1000..1010]] {
        assert!(several.body.windows(10).any(|window| window == piece));
    }

    let beyond = range("bytes=70000-");
    assert_eq!(beyond.status, 416);
    assert_eq!(beyond.header("content-range"), Some("bytes */65536"));
}

#[test]
fn what_the_client_has_is_not_sent_again() {
    let site = site("");
    let mut connection = Connection::open(site.running.address).unwrap();
    let first = connection.get("/1k").unwrap();
    let (etag, modified) = (first.header("etag").unwrap(), first.header("last-modified").unwrap());
    for condition in [("If-None-Match", etag), ("If-Modified-Since", modified)] {
        let again = connection.request("GET", "/1k", &[condition], b"").unwrap();
        assert_eq!((again.status, again.body.len()), (304, 0), "{condition:?}");
        assert_eq!(again.header("etag"), Some(etag));
    }
    let other = connection.request("GET", "/1k", &[("If-None-Match", "\"other\"")], b"").unwrap();
    assert!(other.status == 200 && other.body == noise(1024));
}

#[test]
fn compressed_content_passes_untouched() {
    let more = "gzip on; gzip_types *; gzip_min_length 1; gzip_http_version 1.0; gzip_proxied any;";
    let site = site(&format!("location /zip/ {{ {more} alias ${{FOLDER}}/; }}"));
    std::fs::write(site.nginx.folder().join("page"), "a page that repeats itself\n".repeat(3000)).unwrap();
    let accept = [("Accept-Encoding", "gzip")];
    let direct = request(site.nginx.address, "GET", "/zip/page", &accept, b"").unwrap();
    let through = request(site.running.address, "GET", "/zip/page", &accept, b"").unwrap();
    assert_eq!(through.header("content-encoding"), Some("gzip"));
    assert!(through.body.len() < 10_000 && through.body == direct.body);
    assert_eq!(through.header("etag"), direct.header("etag"));
    let plain = get(site.running.address, "/zip/page").unwrap();
    assert_eq!((plain.header("content-encoding"), plain.body.len()), (None, 81_000));
}

#[test]
fn connections_to_the_origin_are_used_again() {
    let site = site("location /count { return 200 \"$connection $connection_requests\"; }");
    let mut seen = BTreeSet::new();
    let mut most = 0;
    for _ in 0..40 {
        let answer = get(site.running.address, "/count").unwrap().text();
        let (connection, requests) = answer.split_once(' ').unwrap();
        seen.insert(connection.to_owned());
        most = most.max(requests.parse::<u32>().unwrap());
    }
    // One client after the other never needs more than one connection on each of the two threads.
    assert!(seen.len() <= 2, "connections {seen:?} for 40 requests");
    assert!(most >= 20, "the busier one carried {most}");
    assert!(site.running.metric("tidegate_upstream_connections_total", "origin=\"reused\"") >= 38.0);
}

#[test]
fn what_the_origin_refuses_is_its_own_answer() {
    let site = site("location /gone { return 410 \"gone\"; } location /break { return 444; }");
    let mut connection = Connection::open(site.running.address).unwrap();
    let posted = connection.request("POST", "/1k", &[], b"not for files").unwrap();
    assert_eq!(posted.status, 405);
    assert!(posted.text().contains("nginx"), "{}", posted.text());
    assert_eq!(connection.get("/gone").unwrap().text(), "gone");
    assert_eq!(connection.get("/nothing").unwrap().status, 404);
    // 444 closes without an answer: that one is Tidegate's to tell.
    let broken = connection.get("/break").unwrap();
    assert_eq!(broken.status, 502);
    assert!(broken.text().contains("response_closed"), "{}", broken.text());
    assert_eq!(connection.get("/1k").unwrap().body, noise(1024));
}

/// Writes a body in chunks of changing size.
fn chunked(body: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = body;
    for size in [1, 7, 300, 4096, 70_000].into_iter().cycle() {
        let (piece, more) = rest.split_at(size.min(rest.len()));
        out.extend_from_slice(format!("{:x}\r\n", piece.len()).as_bytes());
        out.extend_from_slice(piece);
        out.extend_from_slice(b"\r\n");
        if piece.is_empty() {
            return out;
        }
        rest = more;
    }
    out
}

#[test]
fn chunked_uploads_arrive_whole_at_nginx() {
    let site = site(
        "location /dav/ { root ${FOLDER}; dav_methods PUT; create_full_put_path on; client_max_body_size 0; }",
    );
    let body = noise(3 * 1024 * 1024);
    let mut connection = Connection::open(site.running.address).unwrap();
    for name in ["one", "two"] {
        let headers = [("Transfer-Encoding", "chunked")];
        let answer = connection.request("PUT", &format!("/dav/{name}"), &headers, &chunked(&body)).unwrap();
        assert_eq!(answer.status, 201, "{answer:?}");
        assert!(std::fs::read(site.nginx.folder().join("dav").join(name)).unwrap() == body);
    }
}

#[test]
fn bodies_stream_both_ways_at_once() {
    // The origin sends each piece back before the next one has come.
    let origin = Origin::start(|stream| {
        let mut reader = BufReader::new(stream.try_clone()?);
        let mut stream = stream;
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            reader.read_line(&mut head)?;
        }
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n")?;
        for _ in 0..5 {
            let mut piece = [0; 1000];
            reader.read_exact(&mut piece)?;
            stream.write_all(&piece)?;
        }
        Ok(())
    });
    let running = Tidegate::start(&front("", &endpoints(&[origin.address])));
    let mut connection = Connection::open(running.address).unwrap();
    connection.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5000\r\n\r\n").unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.extend(connection.take(1).unwrap());
    }
    assert!(head.starts_with(b"HTTP/1.1 200 OK\r\n"));
    for piece in noise(5000).chunks(1000) {
        connection.send(piece).unwrap();
        assert_eq!(connection.take(1000).unwrap(), piece);
    }
}

#[test]
fn a_compressed_page_is_validated_by_the_tag_that_its_client_knows() {
    let page = "every line of this page is much like the one before\n".repeat(20_000);
    let root = tempfile::tempdir().unwrap();
    std::fs::write(root.path().join("page.txt"), &page).unwrap();
    let nginx = Nginx::files(root.path(), "");
    let config = front("", &endpoints(&[nginx.address]));
    let running = Tidegate::start(&format!("{config}compress = true\n"));
    let mut connection = Connection::open(running.address).unwrap();
    let mut ask = |fields: &[(&str, &str)]| connection.request("GET", "/page.txt", fields, b"").unwrap();

    let coded = ask(&[("Accept-Encoding", "gzip")]);
    assert_eq!((coded.status, coded.header("content-encoding")), (200, Some("gzip")));
    assert_eq!((coded.header("content-length"), coded.header("vary")), (None, Some("Accept-Encoding")));
    assert!(coded.body.len() < page.len() / 20, "{} bytes", coded.body.len());
    let mut decoded = String::new();
    flate2::read::GzDecoder::new(&coded.body[..]).read_to_string(&mut decoded).unwrap();
    assert!(decoded == page);

    let tag = coded.header("etag").expect("a tag").to_owned();
    let plain = ask(&[]);
    assert_eq!((plain.header("content-encoding"), plain.body.len()), (None, page.len()));
    assert_eq!(Some(&*tag), plain.header("etag").map(|strong| format!("W/{strong}")).as_deref());

    let known = ask(&[("Accept-Encoding", "gzip"), ("If-None-Match", &tag)]);
    assert_eq!((known.status, known.header("etag")), (304, Some(&*tag)));
    let part = ask(&[("Accept-Encoding", "gzip"), ("Range", "bytes=0-9"), ("If-Range", &tag)]);
    assert_eq!((part.status, part.header("content-encoding")), (200, Some("gzip")), "no part of other bytes");
    let part = ask(&[("Accept-Encoding", "gzip"), ("Range", "bytes=0-9")]);
    assert_eq!((part.status, part.body.len(), part.header("content-encoding")), (206, 10, None));

    let saved = running.metric("tidegate_compress_input_bytes_total", "coding=\"gzip\"");
    assert!(saved >= 2.0 * page.len() as f64, "{saved}");
}
