//! What heads that are fine say once they are parsed, and what happens at each limit.

use tidegate_wire::{
    Field, Framing, Limits, MAX_HEADERS, Malformed, Method, RequestHead, ResponseHead, TargetForm, Version,
    encode, uri,
};

fn request(bytes: &str) -> RequestHead {
    let mut head = RequestHead::new();
    assert_eq!(head.parse(bytes.as_bytes(), &Limits::default()), Ok(true), "{bytes:?}");
    head
}

fn response(bytes: &str, method: Method) -> ResponseHead {
    let mut head = ResponseHead::new();
    assert_eq!(head.parse(bytes.as_bytes(), method, &Limits::default()), Ok(true), "{bytes:?}");
    head
}

fn refusal(bytes: &str, limits: &Limits) -> Option<Malformed> {
    RequestHead::new().parse(bytes.as_bytes(), limits).err()
}

#[test]
fn a_request_head_gives_its_parts() {
    let bytes = "\r\nPATCH /notes/1?a=b?c HTTP/1.1\r\nHost: app.example:8080\r\nX-Empty:\r\nX-Note: \t a  b \t\r\n\r\nbody";
    let buf = bytes.as_bytes();
    let head = request(bytes);
    assert_eq!((head.method, head.method_name.of(buf)), (Method::Patch, b"PATCH".as_slice()));
    assert_eq!(head.target.of(buf), b"/notes/1?a=b?c");
    assert_eq!((head.form, head.path.of(buf)), (TargetForm::Origin, b"/notes/1".as_slice()));
    assert_eq!(head.query.unwrap().of(buf), b"a=b?c");
    assert_eq!(head.authority.of(buf), b"app.example:8080");
    assert_eq!(head.version, Version::Http11);
    assert_eq!(head.headers.find(buf, b"x-note").unwrap().value.of(buf), b"a  b");
    assert!(head.headers.find(buf, b"x-empty").unwrap().value.is_empty());
    assert_eq!(&buf[head.len as usize..], b"body");
    assert_eq!((head.framing, head.keep_alive, head.upgrade), (Framing::None, true, None));
}

#[test]
fn the_four_forms_of_a_target_are_told_apart() {
    let mut scratch = Vec::new();
    for (line, form, path, query, authority) in [
        ("GET / HTTP/1.1", TargetForm::Origin, "/", None, "h"),
        ("GET /? HTTP/1.1", TargetForm::Origin, "/", Some(""), "h"),
        ("GET //x/y HTTP/1.1", TargetForm::Origin, "//x/y", None, "h"),
        ("GET http://a HTTP/1.1", TargetForm::Absolute, "", None, "a"),
        ("GET HTTPS://a:1?q HTTP/1.1", TargetForm::Absolute, "", Some("q"), "a:1"),
        ("GET http://[::1]:1/x?q HTTP/1.1", TargetForm::Absolute, "/x", Some("q"), "[::1]:1"),
        ("OPTIONS * HTTP/1.1", TargetForm::Asterisk, "*", None, "h"),
        ("CONNECT a:443 HTTP/1.1", TargetForm::Authority, "", None, "a:443"),
    ] {
        let bytes = format!("{line}\r\nHost: h\r\n\r\n");
        let (head, buf) = (request(&bytes), bytes.as_bytes());
        assert_eq!(head.form, form, "{line}");
        assert_eq!(head.path.of(buf), path.as_bytes(), "{line}");
        assert_eq!(head.query.map(|query| query.of(buf)), query.map(str::as_bytes), "{line}");
        assert_eq!(head.authority.of(buf), authority.as_bytes(), "{line}");
        let parts = uri::host(authority.as_bytes(), &mut scratch).unwrap();
        assert_eq!((head.host.of(buf), head.port), (parts.name, parts.port), "{line}");
    }
}

#[test]
fn persistence_follows_version_and_connection() {
    for (version, connection, keep_alive) in [
        ("HTTP/1.1", "X: y", true),
        ("HTTP/1.1", "Connection: close", false),
        ("HTTP/1.1", "Connection: keep-alive, Close", false),
        ("HTTP/1.1", "Connection: x\r\nConnection: close", false),
        ("HTTP/1.1", "Connection: closed", true),
        ("HTTP/1.0", "X: y", false),
        ("HTTP/1.0", "Connection: Keep-Alive", true),
        ("HTTP/1.0", "Connection: keep-alive, close", false),
    ] {
        let head = request(&format!("GET / {version}\r\nHost: a\r\n{connection}\r\n\r\n"));
        assert_eq!(head.keep_alive, keep_alive, "{version} {connection}");
        let head = response(&format!("{version} 204 No Content\r\n{connection}\r\n\r\n"), Method::Get);
        assert_eq!(head.keep_alive, keep_alive, "{version} {connection}");
    }
}

#[test]
fn expect_continue_counts_only_in_http_1_1() {
    for (version, expect, waits) in [
        ("HTTP/1.1", "100-continue", true),
        ("HTTP/1.1", "100-Continue", true),
        ("HTTP/1.1", "200-maybe", false),
        ("HTTP/1.0", "100-continue", false),
    ] {
        let head =
            request(&format!("PUT / {version}\r\nHost: a\r\nExpect: {expect}\r\nContent-Length: 1\r\n\r\n"));
        assert_eq!(head.expect_continue, waits, "{version} {expect}");
    }
}

#[test]
fn nothing_of_the_last_head_is_left_in_the_next() {
    let mut head = RequestHead::new();
    let first = b"POST http://a/x?y HTTP/1.0\r\nHost: b\r\nConnection: upgrade\r\nExpect: 100-continue\r\n\
        Upgrade: x\r\nContent-Length: 9\r\n\r\n";
    let second = b"GET / HTTP/1.1\r\nHost: c\r\n\r\n";
    assert_eq!(head.parse(first, &Limits::default()), Ok(true));
    assert_eq!(head.parse(second, &Limits::default()), Ok(true));
    let fresh = request(core::str::from_utf8(second).unwrap());
    assert_eq!(format!("{head:?}"), format!("{fresh:?}"));
}

#[test]
fn the_framing_of_a_response_depends_on_the_request_and_the_status() {
    let (length, chunked) = ("Content-Length: 9", "Transfer-Encoding: chunked");
    for (method, status, line, framing) in [
        (Method::Get, 200, length, Framing::Length(9)),
        (Method::Get, 200, chunked, Framing::Chunked),
        (Method::Get, 200, "X: y", Framing::Close),
        (Method::Get, 200, "Transfer-Encoding: identity", Framing::Close),
        (Method::Get, 200, "Transfer-Encoding: chunked, gzip", Framing::Close),
        (Method::Get, 999, length, Framing::Length(9)),
        (Method::Head, 200, length, Framing::None),
        (Method::Head, 200, chunked, Framing::None),
        (Method::Get, 103, "Link: </a>", Framing::None),
        (Method::Get, 204, "X: y", Framing::None),
        (Method::Get, 304, length, Framing::None),
        (Method::Connect, 200, "X: y", Framing::None),
        (Method::Connect, 403, length, Framing::Length(9)),
    ] {
        let head = response(&format!("HTTP/1.1 {status} x\r\n{line}\r\n\r\n"), method);
        assert_eq!(head.framing, framing, "{method:?} {status} {line}");
        assert_eq!(head.keep_alive, framing != Framing::Close && !head.upgrade, "{method:?} {status} {line}");
        assert_eq!(head.upgrade, method == Method::Connect && status == 200, "{method:?} {status} {line}");
        assert_eq!(head.is_interim(), status == 103, "{status}");
    }
}

#[test]
fn response_codings_that_cannot_be_undone_are_refused() {
    for (lines, reason) in [
        ("Transfer-Encoding: gzip, chunked", Malformed::TransferEncodingUnknown),
        ("Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked", Malformed::TransferEncodingUnknown),
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", Malformed::TransferEncodingRepeated),
    ] {
        let bytes = format!("HTTP/1.1 200 OK\r\n{lines}\r\n\r\n");
        let found = ResponseHead::new().parse(bytes.as_bytes(), Method::Get, &Limits::default());
        assert_eq!(found, Err(reason), "{lines}");
    }
}

#[test]
fn status_lines_are_read_strictly_but_a_phrase_is_not_needed() {
    for line in ["HTTP/1.1 200 OK", "HTTP/1.1 200 ", "HTTP/1.1 200", "HTTP/1.0 200 all is well"] {
        assert_eq!(response(&format!("{line}\r\n\r\n"), Method::Get).status, 200, "{line}");
    }
    let not_ascii = response("HTTP/1.1 200 tr\u{e8}s bien\r\n\r\n", Method::Get);
    assert!(not_ascii.reason.is_empty());
    for line in [
        "HTTP/1.1 20 OK",
        "HTTP/1.1 2000 OK",
        "HTTP/1.1 099 x",
        "HTTP/1.1  200 OK",
        "HTTP/1.1 200OK",
        "HTTP/1.1 -20 x",
        "x",
    ] {
        let bytes = format!("{line}\r\n\r\n");
        let found = ResponseHead::new().parse(bytes.as_bytes(), Method::Get, &Limits::default());
        assert_eq!(found, Err(Malformed::BadStatus), "{line}");
    }
}

#[test]
fn written_status_lines_read_back() {
    for status in 100..1000 {
        let mut bytes = Vec::new();
        encode::status_line(&mut bytes, status);
        bytes.extend_from_slice(b"\r\n");
        let mut head = ResponseHead::new();
        assert_eq!(head.parse(&bytes, Method::Get, &Limits::default()), Ok(true));
        assert_eq!((head.status, head.reason.of(&bytes)), (status, encode::reason(status).as_bytes()));
    }
}

#[test]
fn a_head_may_have_exactly_as_many_bytes_as_the_limit() {
    let bytes = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    let limits = |head_bytes: usize| Limits { head_bytes: head_bytes as u32, ..Limits::default() };
    assert_eq!(refusal(bytes, &limits(bytes.len())), None);
    assert_eq!(refusal(bytes, &limits(bytes.len() - 1)), Some(Malformed::HeadTooLarge));
    // Pipelined bytes behind it do not count, and a head that cannot end within the limit is refused before it ends.
    assert_eq!(refusal(&format!("{bytes}{bytes}"), &limits(bytes.len())), None);
    assert_eq!(refusal(&bytes[..20], &limits(20)), Some(Malformed::HeadTooLarge));
    assert_eq!(refusal(&bytes[..19], &limits(20)), None);
    let empty_lines = "\r\n".repeat(10);
    assert_eq!(refusal(&empty_lines, &limits(20)), Some(Malformed::HeadTooLarge));
    let answer = b"HTTP/1.1 200 OK\r\n\r\n";
    assert_eq!(ResponseHead::new().parse(answer, Method::Get, &limits(18)), Err(Malformed::HeadTooLarge));
}

#[test]
fn a_target_may_have_exactly_as_many_bytes_as_the_limit() {
    let limits = Limits { target_bytes: 8, ..Limits::default() };
    let head = |target: &str| format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(refusal(&head("/2345678"), &limits), None);
    assert_eq!(refusal(&head("/23456789"), &limits), Some(Malformed::TargetTooLong));
    assert_eq!(refusal("\r\nGET /23456789", &limits), Some(Malformed::TargetTooLong), "before the line ends");
    assert_eq!(refusal("GET /2345678", &limits), None);
}

#[test]
fn header_lines_are_counted() {
    let head = |lines: usize| format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: y\r\n".repeat(lines - 1));
    let limits = Limits { headers: 3, ..Limits::default() };
    assert_eq!(refusal(&head(3), &limits), None);
    assert_eq!(refusal(&head(4), &limits), Some(Malformed::TooManyHeaders));
    // More than there are slots for cannot be had, whatever the limit says.
    let limits = Limits { headers: u16::MAX, ..Limits::default() };
    assert_eq!(refusal(&head(MAX_HEADERS), &limits), None);
    assert_eq!(refusal(&head(MAX_HEADERS + 1), &limits), Some(Malformed::TooManyHeaders));
}

#[test]
fn a_method_is_bounded() {
    let head = |len: usize| format!("{} / HTTP/1.1\r\nHost: a\r\n\r\n", "M".repeat(len));
    assert_eq!(refusal(&head(32), &Limits::default()), None);
    assert_eq!(refusal(&head(33), &Limits::default()), Some(Malformed::BadMethod));
    assert_eq!(refusal(&"M".repeat(33), &Limits::default()), Some(Malformed::BadMethod), "before it ends");
}

#[test]
fn what_is_no_http_is_refused_on_the_first_bytes() {
    for (bytes, reason) in [
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".as_slice(), Malformed::Nul),
        (b"\x80\x2e\x01", Malformed::BadMethod),
        (b"{\"json\":1}", Malformed::BadMethod),
    ] {
        assert_eq!(RequestHead::new().parse(bytes, &Limits::default()), Err(reason));
    }
}

#[test]
fn hop_by_hop_fields_are_marked_when_parsed() {
    let bytes = "GET / HTTP/1.1\r\nHost: a\r\nKEEP-alive: 1\r\nProxy-Connection: x\r\nTE: trailers\r\nAccept: b\r\n\r\n";
    let head = request(bytes);
    let dropped: Vec<Field> =
        head.headers.iter().map(|header| header.field).filter(|field| field.is_hop_by_hop()).collect();
    assert_eq!(dropped, [Field::KeepAlive, Field::ProxyConnection, Field::Te]);
}
