//! One scene for each known way of making two HTTP parties disagree about where a message ends, whom it is for,
//! or what it asks. Every one has to end in a refusal with the right name, never in a guess.

use tidegate_wire::{BodyReader, Field, Framing, Limits, Malformed, Method, RequestHead, ResponseHead};

fn request(bytes: impl AsRef<[u8]>) -> Result<RequestHead, Malformed> {
    let mut head = RequestHead::new();
    let complete = head.parse(bytes.as_ref(), &Limits::default())?;
    assert!(complete, "the scene is cut short: {:?}", String::from_utf8_lossy(bytes.as_ref()));
    Ok(head)
}

fn response(bytes: impl AsRef<[u8]>) -> Result<ResponseHead, Malformed> {
    let mut head = ResponseHead::new();
    let complete = head.parse(bytes.as_ref(), Method::Get, &Limits::default())?;
    assert!(complete, "the scene is cut short: {:?}", String::from_utf8_lossy(bytes.as_ref()));
    Ok(head)
}

/// A POST with these header lines after Host; each line ends with its own CRLF.
fn post(lines: &str) -> Result<RequestHead, Malformed> {
    request(format!("POST / HTTP/1.1\r\nHost: a\r\n{lines}\r\n"))
}

/// Reads a chunked body to its end and returns the payload.
fn chunked(bytes: &[u8]) -> Result<Vec<u8>, Malformed> {
    let mut reader = BodyReader::new(Framing::Chunked, &Limits::default());
    let (mut payload, mut at) = (Vec::new(), 0);
    loop {
        let piece = reader.read(&bytes[at..])?;
        payload.extend_from_slice(&bytes[at..][piece.data]);
        at += piece.consumed;
        if piece.done {
            return Ok(payload);
        }
        if piece.consumed == 0 {
            return reader.finish().map(|()| payload);
        }
    }
}

#[track_caller]
fn refused<T>(found: Result<T, Malformed>, wanted: Malformed) {
    assert_eq!(found.err(), Some(wanted));
}

#[test]
fn cl_te_is_refused() {
    let attack = "Content-Length: 13\r\nTransfer-Encoding: chunked\r\n";
    refused(post(attack), Malformed::LengthWithTransferEncoding);
    refused(response(format!("HTTP/1.1 200 OK\r\n{attack}\r\n")), Malformed::LengthWithTransferEncoding);
}

#[test]
fn te_cl_is_refused() {
    refused(
        post("Transfer-Encoding: chunked\r\nContent-Length: 4\r\n"),
        Malformed::LengthWithTransferEncoding,
    );
    // A length that is not even a number does not make the pair any better.
    refused(
        post("Transfer-Encoding: chunked\r\nContent-Length: x\r\n"),
        Malformed::LengthWithTransferEncoding,
    );
    refused(
        post("Transfer-Encoding: identity\r\nContent-Length: 4\r\n"),
        Malformed::LengthWithTransferEncoding,
    );
}

#[test]
fn te_te_obfuscations_are_refused() {
    use Malformed::*;
    for (lines, reason) in [
        ("Transfer-Encoding: xchunked\r\n", TransferEncodingNotFinal),
        ("Transfer-Encoding: chunkedx\r\n", TransferEncodingNotFinal),
        ("Transfer-Encoding: x chunked\r\n", TransferEncodingNotFinal),
        ("Transfer-Encoding: chunked;q=1\r\n", TransferEncodingNotFinal),
        ("Transfer-Encoding: chunked; foo\r\n", TransferEncodingNotFinal),
        ("Transfer-Encoding: \"chunked\"\r\n", TransferEncodingNotFinal),
        ("Transfer-Encoding: 'chunked'\r\n", TransferEncodingNotFinal),
        ("Transfer-Encoding:\r\n", TransferEncodingNotFinal),
        ("Transfer-Encoding: identity\r\n", TransferEncodingNotFinal),
        ("Transfer-Encoding: gzip\r\n", TransferEncodingNotFinal),
        ("Transfer-Encoding: chunked, identity\r\n", TransferEncodingNotFinal),
        ("Transfer-Encoding: chunked,\r\n", TransferEncodingNotFinal),
        ("Transfer-Encoding: ,chunked\r\n", TransferEncodingUnknown),
        ("Transfer-Encoding: gzip, chunked\r\n", TransferEncodingUnknown),
        ("Transfer-Encoding: identity, chunked\r\n", TransferEncodingUnknown),
        ("Transfer-Encoding: chunked, chunked\r\n", TransferEncodingRepeated),
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", TransferEncodingRepeated),
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n", TransferEncodingRepeated),
        ("Transfer-Encoding: x\r\ntransfer-encoding: chunked\r\n", TransferEncodingRepeated),
        ("Transfer-Encoding : chunked\r\n", SpaceBeforeColon),
        ("Transfer-Encoding\t: chunked\r\n", SpaceBeforeColon),
        (" Transfer-Encoding: chunked\r\n", ObsFold),
        ("Transfer-Encoding:\r\n chunked\r\n", ObsFold),
        ("X: x\r\n\tTransfer-Encoding: chunked\r\n", ObsFold),
        ("Transfer-Encoding: \x0bchunked\r\n", BadHeaderValue),
        ("Transfer-Encoding: chunked\x0b\r\n", BadHeaderValue),
        ("Transfer-Encoding: \x0cchunked\r\n", BadHeaderValue),
        ("Transfer-Encoding: chunked\x7f\r\n", BadHeaderValue),
        ("Transfer-Encoding: chun\0ked\r\n", Nul),
        ("Transfer-Encoding: \rchunked\r\n", BareCr),
        ("X: x\nTransfer-Encoding: chunked\r\n", BareLf),
        ("X: x\rTransfer-Encoding: chunked\r\n", BareCr),
        ("\"Transfer-Encoding\": chunked\r\n", BadHeaderName),
        ("Transfer-Encoding\x0b: chunked\r\n", BadHeaderName),
        ("Transfer\u{a0}Encoding: chunked\r\n", BadHeaderName),
        ("Transfer Encoding: chunked\r\n", BadHeaderName),
        ("Transfer_Encoding: chunked\r\n", FramingLookalike),
        ("TRANSFER_ENCODING: chunked\r\n", FramingLookalike),
    ] {
        match post(lines) {
            Ok(head) => panic!("{lines:?} was accepted as {:?}", head.framing),
            Err(found) => assert_eq!(found, reason, "{lines:?}"),
        }
    }
    // A coding that is not ASCII, whose lower case would be `chunked` under Unicode rules (KELVIN SIGN).
    refused(post("Transfer-Encoding: chun\u{212a}ed\r\n"), Malformed::TransferEncodingNotFinal);
}

#[test]
fn spellings_of_chunked_that_mean_chunked_still_work() {
    for line in ["Transfer-Encoding: chunked", "transfer-encoding:CHUNKED", "Transfer-Encoding:\tChunked \t"]
    {
        assert_eq!(post(&format!("{line}\r\n")).unwrap().framing, Framing::Chunked, "{line:?}");
    }
}

#[test]
fn transfer_encoding_on_http_1_0_is_refused() {
    refused(
        request("POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"),
        Malformed::TransferEncodingOnHttp10,
    );
    refused(
        response("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
        Malformed::TransferEncodingOnHttp10,
    );
}

#[test]
fn chunk_extension_tricks_are_refused() {
    // A line feed in the extension ends the line for lenient readers (TERM.EXT), and hides a chunk.
    refused(chunked(b"5;\nxxxxx\r\n0\r\n\r\n"), Malformed::BareLf);
    refused(chunked(b"5;a=\"\n\"\r\nhello\r\n0\r\n\r\n"), Malformed::BareLf);
    refused(chunked(b"5;a\rb\r\nhello\r\n0\r\n\r\n"), Malformed::BareCr);
    refused(chunked(b"5;a=\"\r\n\"\r\nhello\r\n0\r\n\r\n"), Malformed::ChunkFraming);
    refused(chunked(b"5;\0\r\nhello\r\n0\r\n\r\n"), Malformed::Nul);
    refused(chunked(b"5;\x0b\r\nhello\r\n0\r\n\r\n"), Malformed::ChunkFraming);
    // Whitespace around the size is "bad whitespace", which some skip and some read as the end of the number.
    for size in ["5 ", " 5", "5\t", "5 ;a=b", "\r\n5"] {
        refused(chunked(format!("{size}\r\nhello\r\n0\r\n\r\n").as_bytes()), Malformed::ChunkSizeInvalid);
    }
    let flood = "1;".to_owned() + &"x".repeat(5000) + "\r\na\r\n0\r\n\r\n";
    refused(chunked(flood.as_bytes()), Malformed::ChunkExtensionTooLong);
    assert_eq!(chunked(b"5;a=b;c=\"d e\"\r\nhello\r\n0;last\r\n\r\n"), Ok(b"hello".to_vec()));
}

#[test]
fn bare_lf_in_chunk_framing_is_refused() {
    for body in [
        "5\nhello\r\n0\r\n\r\n",
        "5\r\nhello\n0\r\n\r\n",
        "5\r\nhello\r\n0\n\r\n",
        "5\r\nhello\r\n0\r\n\n",
        "5\r\nhello\r\n0\r\nA: b\n\r\n",
    ] {
        match chunked(body.as_bytes()) {
            Ok(_) => panic!("{body:?} was accepted"),
            Err(reason) => assert_eq!(reason, Malformed::BareLf, "{body:?}"),
        }
    }
}

#[test]
fn chunks_that_do_not_end_where_their_size_says_are_refused() {
    // Two bytes after the payload are skipped unread by some: `xx` would pass for CRLF there.
    refused(chunked(b"5\r\nhelloxx0\r\n\r\n"), Malformed::ChunkFraming);
    refused(chunked(b"5\r\nhello\rX0\r\n\r\n"), Malformed::BareCr);
    refused(chunked(b"3\r\nhello\r\n0\r\n\r\n"), Malformed::ChunkFraming);
    refused(chunked(b"5\rXhello\r\n0\r\n\r\n"), Malformed::BareCr);
    refused(chunked(b"5\r\nhello\r\n0\r\n\rX"), Malformed::BareCr);
    refused(chunked(b"5\r\nhello\r\n"), Malformed::Truncated);
}

#[test]
fn bare_lf_in_a_head_is_refused() {
    for head in [
        "GET / HTTP/1.1\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\n\n",
        "GET / HTTP/1.1\r\nHost: a\n\n",
        "\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nX:\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nX: y\nHost: a",
        "GET /\n",
    ] {
        let found = RequestHead::new().parse(head.as_bytes(), &Limits::default());
        assert_eq!(found, Err(Malformed::BareLf), "{head:?}");
    }
    refused(response("HTTP/1.1 200 OK\nContent-Length: 0\r\n\r\n"), Malformed::BareLf);
    refused(response("HTTP/1.1 200\nContent-Length: 0\r\n\r\n"), Malformed::BareLf);
}

#[test]
fn bare_cr_in_a_head_is_refused() {
    for head in [
        "GET / HTTP/1.1\rHost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\n\rX: b\r\n\r\n",
        "GET / HTTP/1.1\r\n\r\rHost: a\r\n\r\n",
        "\rGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /\rHTTP/1.1\r\nHost: a\r\n\r\n",
    ] {
        match request(head) {
            Ok(_) => panic!("{head:?} was accepted"),
            Err(reason) => assert_eq!(reason, Malformed::BareCr, "{head:?}"),
        }
    }
}

#[test]
fn repeated_host_is_refused() {
    for lines in ["Host: a\r\nHost: b", "Host: a\r\nHost: a", "Host: a\r\nX: y\r\nhOST: b"] {
        refused(request(format!("GET / HTTP/1.1\r\n{lines}\r\n\r\n")), Malformed::HostRepeated);
    }
    // The second one hidden behind whitespace, as some readers fold it away and some do not.
    refused(request("GET / HTTP/1.1\r\nHost: a\r\n Host: b\r\n\r\n"), Malformed::ObsFold);
    refused(request("GET / HTTP/1.1\r\nHost: a\r\nHost : b\r\n\r\n"), Malformed::SpaceBeforeColon);
    refused(request("GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n"), Malformed::HostRepeated);
}

#[test]
fn missing_and_invalid_hosts_are_refused() {
    refused(request("GET / HTTP/1.1\r\n\r\n"), Malformed::HostMissing);
    refused(request("GET http://a/ HTTP/1.1\r\n\r\n"), Malformed::HostMissing);
    for host in
        ["", "a, b", "a b", "user@a", "a/b", "a?b", "a:80x", "a:-1", "a:99999", "[::1", "a\\b", "a%00"]
    {
        refused(request(format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n")), Malformed::HostInvalid);
    }
    assert!(request("GET / HTTP/1.0\r\n\r\n").unwrap().authority.is_empty());
}

#[test]
fn the_authority_of_an_absolute_target_wins_over_host_and_says_so() {
    let bytes = "GET http://inner.example:81/x?y HTTP/1.1\r\nHost: outer.example\r\n\r\n";
    let head = request(bytes).unwrap();
    assert_eq!(head.authority.of(bytes.as_bytes()), b"inner.example:81");
    assert_eq!(head.path.of(bytes.as_bytes()), b"/x");
    assert!(head.host_differs);
    let head = request("GET http://A.example/ HTTP/1.1\r\nHost: a.EXAMPLE\r\n\r\n").unwrap();
    assert!(!head.host_differs);
    let head = request("GET http://a.example/ HTTP/1.0\r\n\r\n").unwrap();
    assert!(head.host_differs, "a missing host has to be written too");
    refused(request("GET http://user@a/ HTTP/1.1\r\nHost: a\r\n\r\n"), Malformed::HostInvalid);
    refused(request("GET http:///x HTTP/1.1\r\nHost: a\r\n\r\n"), Malformed::HostInvalid);
    refused(request("GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n"), Malformed::BadTarget);
    refused(request("GET http:/a HTTP/1.1\r\nHost: a\r\n\r\n"), Malformed::BadTarget);
}

#[test]
fn repeated_content_length_is_refused_in_requests() {
    for lines in [
        "Content-Length: 5\r\nContent-Length: 6\r\n",
        "Content-Length: 5\r\nContent-Length: 5\r\n",
        "Content-Length: 5\r\ncontent-length: 5\r\n",
        "Content-Length: 5, 5\r\n",
        "Content-Length: 5,6\r\n",
    ] {
        refused(post(lines), Malformed::LengthConflict);
    }
    refused(post("Content-Length: 5\r\nContent_Length: 6\r\n"), Malformed::FramingLookalike);
    refused(post("Content-Length: 5\r\nContent-Length : 6\r\n"), Malformed::SpaceBeforeColon);
}

#[test]
fn repeated_content_length_in_a_response_has_to_agree() {
    for lines in ["Content-Length: 5\r\nContent-Length: 5", "Content-Length: 5, 5"] {
        let head = response(format!("HTTP/1.1 200 OK\r\n{lines}\r\n\r\n")).unwrap();
        assert_eq!(head.framing, Framing::Length(5));
    }
    for lines in ["Content-Length: 5\r\nContent-Length: 6", "Content-Length: 5, 6"] {
        refused(response(format!("HTTP/1.1 200 OK\r\n{lines}\r\n\r\n")), Malformed::LengthConflict);
    }
    refused(response("HTTP/1.1 200 OK\r\nContent-Length: 5,\r\n\r\n"), Malformed::LengthInvalid);
}

#[test]
fn lengths_that_are_not_plain_decimal_are_refused() {
    for length in [
        "-1",
        "+5",
        "0x5",
        "5 5",
        "5.0",
        "5e1",
        "5;",
        "\"5\"",
        "",
        ",",
        "5,",
        "five",
        "18446744073709551616",
        "99999999999999999999999",
        "\u{665}",
    ] {
        let found = post(&format!("Content-Length: {length}\r\n"));
        match found {
            Ok(head) => panic!("{length:?} was read as {:?}", head.framing),
            Err(reason) => assert_eq!(reason, Malformed::LengthInvalid, "{length:?}"),
        }
    }
    assert_eq!(post("Content-Length: 18446744073709551615\r\n").unwrap().framing, Framing::Length(u64::MAX));
}

#[test]
fn chunk_sizes_that_are_not_plain_hexadecimal_are_refused() {
    for size in ["", "-5", "+5", "0x5", "g", "5g", "5_0", "5,5", "5.", "\u{665}"] {
        refused(chunked(format!("{size}\r\nhello\r\n0\r\n\r\n").as_bytes()), Malformed::ChunkSizeInvalid);
    }
}

#[test]
fn chunk_sizes_that_overflow_are_refused() {
    // Truncated to 64 bits these would be 5, and to 32 bits the last one would be.
    refused(chunked(b"10000000000000005\r\nhello\r\n0\r\n\r\n"), Malformed::ChunkSizeOverflow);
    refused(chunked(b"fffffffffffffffff\r\nhello\r\n0\r\n\r\n"), Malformed::ChunkSizeOverflow);
    refused(chunked(b"00000000000000005\r\nhello\r\n0\r\n\r\n"), Malformed::ChunkSizeOverflow);
    refused(chunked(b"100000005\r\nhello\r\n0\r\n\r\n"), Malformed::Truncated);
}

#[test]
fn folded_headers_are_refused() {
    refused(post("X: a\r\n b\r\n"), Malformed::ObsFold);
    refused(post("X: a\r\n\tb\r\n"), Malformed::ObsFold);
    refused(request("GET / HTTP/1.1\r\n Host: a\r\n\r\n"), Malformed::ObsFold);
    refused(request("GET / HTTP/1.1\r\nHost:\r\n a\r\n\r\n"), Malformed::ObsFold);
    refused(response("HTTP/1.1 200 OK\r\nX: a\r\n b\r\n\r\n"), Malformed::ObsFold);
}

#[test]
fn whitespace_before_a_colon_is_refused() {
    refused(post("Content-Length : 5\r\n"), Malformed::SpaceBeforeColon);
    refused(post("Content-Length \t: 5\r\n"), Malformed::SpaceBeforeColon);
    refused(response("HTTP/1.1 200 OK\r\nContent-Length : 5\r\n\r\n"), Malformed::SpaceBeforeColon);
}

#[test]
fn nul_anywhere_in_a_head_is_refused() {
    for head in [
        "GET /\0 HTTP/1.1\r\nHost: a\r\n\r\n",
        "G\0T / HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\0\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX\0: b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX: \0\r\n\r\n",
    ] {
        refused(request(head), Malformed::Nul);
    }
    refused(response("HTTP/1.1 200 O\0K\r\n\r\n"), Malformed::Nul);
}

#[test]
fn http_0_9_lines_and_other_versions_are_refused() {
    for line in [
        "GET /",
        "GET / ",
        "GET",
        "GET / HTTP/0.9",
        "GET / HTTP/1.2",
        "GET / HTTP/2.0",
        "PRI * HTTP/2.0",
        "GET / http/1.1",
        "GET / HTTP/1.1x",
        "GET / HTTP/01.1",
        "GET / HTTP/1",
    ] {
        match request(format!("{line}\r\nHost: a\r\n\r\n")) {
            Ok(_) => panic!("{line:?} was accepted"),
            Err(reason) => assert_eq!(reason, Malformed::BadVersion, "{line:?}"),
        }
    }
    refused(response("HTTP/2 200 OK\r\n\r\n"), Malformed::BadVersion);
    refused(response("HTTP/0.9 200 OK\r\n\r\n"), Malformed::BadVersion);
}

#[test]
fn request_lines_with_extra_words_or_spaces_are_refused() {
    use Malformed::*;
    for (line, reason) in [
        ("GET  / HTTP/1.1", BadTarget),
        ("GET /a b HTTP/1.1", BadTarget),
        ("GET / HTTP/1.1 HTTP/1.1", BadTarget),
        ("GET\t/ HTTP/1.1", BadMethod),
        (" GET / HTTP/1.1", BadMethod),
        ("G(T / HTTP/1.1", BadMethod),
        ("GET /\t HTTP/1.1", BadTarget),
        ("GET /a#b HTTP/1.1", BadTarget),
        ("GET /a?b#c HTTP/1.1", BadTarget),
        ("GET /a\\b HTTP/1.1", BadTarget),
        ("GET /\u{e9} HTTP/1.1", BadTarget),
        ("GET a HTTP/1.1", BadTarget),
        ("GET * HTTP/1.1", BadTarget),
        ("GET a:80 HTTP/1.1", BadTarget),
        ("CONNECT / HTTP/1.1", BadTarget),
        ("CONNECT a HTTP/1.1", BadTarget),
        ("CONNECT http://a/ HTTP/1.1", BadTarget),
    ] {
        match request(format!("{line}\r\nHost: a\r\n\r\n")) {
            Ok(_) => panic!("{line:?} was accepted"),
            Err(found) => assert_eq!(found, reason, "{line:?}"),
        }
    }
}

#[test]
fn a_body_ends_exactly_where_the_next_request_begins() {
    let next = b"GET /next HTTP/1.1\r\nHost: a\r\n\r\n";
    for (lines, body) in [
        ("Content-Length: 5\r\n", "hello"),
        ("Transfer-Encoding: chunked\r\n", "5\r\nhello\r\n0\r\nT: x\r\n\r\n"),
        ("", ""),
    ] {
        let mut bytes = format!("POST / HTTP/1.1\r\nHost: a\r\n{lines}\r\n{body}").into_bytes();
        let end = bytes.len();
        bytes.extend_from_slice(next);
        let head = request(&bytes).unwrap();
        let rest = &bytes[head.len as usize..];
        let piece = BodyReader::new(head.framing, &Limits::default()).read(rest).unwrap();
        assert!(piece.done, "{lines:?}");
        assert_eq!(head.len as usize + piece.consumed, end, "{lines:?}");
        assert_eq!(request(&bytes[end..]).unwrap().method, Method::Get);
    }
}

#[test]
fn bytes_left_over_before_a_response_are_refused() {
    for left_over in ["\r\n", "\n", "\r\n\r\n", "hello", "0\r\n\r\n"] {
        refused(
            response(format!("{left_over}HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")),
            Malformed::BadStatus,
        );
    }
}

#[test]
fn an_upgrade_opens_nothing_without_101() {
    let ask = "GET /ws HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\r\n";
    assert_eq!(
        request(ask).unwrap().upgrade.map(|value| value.of(ask.as_bytes())),
        Some(b"websocket".as_slice())
    );
    for status in ["200 OK", "400 Bad Request", "426 Upgrade Required"] {
        let head = response(format!(
            "HTTP/1.1 {status}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 3\r\n\r\n"
        ));
        let head = head.unwrap();
        assert!(!head.upgrade);
        assert_eq!(head.framing, Framing::Length(3));
    }
    let head = response("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n").unwrap();
    assert!(head.upgrade && !head.is_interim() && head.framing == Framing::None);
    // Without the option in Connection, or before 1.1, Upgrade is a header like any other.
    for head in [
        "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\r\n",
        "GET / HTTP/1.0\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
    ] {
        let head = request(head).unwrap();
        assert!(head.upgrade.is_none() && head.headers.contains(Field::Upgrade));
    }
}

#[test]
fn a_connection_option_can_name_any_header_and_is_told() {
    let bytes =
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: X-Forwarded-For, close\r\nX-Forwarded-For: b\r\n\r\n";
    let head = request(bytes).unwrap();
    assert!(head.headers.named_by_connection(bytes.as_bytes(), b"x-forwarded-for"));
    assert!(!head.keep_alive);
}
