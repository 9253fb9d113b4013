//! What holds for any input: nothing panics, what was written reads back, and it never matters where the bytes of
//! a message were cut on their way here.

use core::net::SocketAddr;

use proptest::collection::vec;
use proptest::prelude::*;
use tidegate_wire::preamble::{self, Preamble};
use tidegate_wire::{BodyReader, Framing, Limits, Malformed, Method, RequestHead, ResponseHead, encode, uri};

/// A request head made of valid parts, with the method, target and header lines it was made of.
#[derive(Clone, Debug)]
struct Written {
    bytes: Vec<u8>,
    method: String,
    path: String,
    query: Option<String>,
    lines: Vec<(String, String)>,
}

fn written() -> impl Strategy<Value = Written> {
    let lines = vec(("x-[A-Za-z0-9!#$%&'*+.^`|~-]{0,12}", "[!-~]([ -~]{0,20}[!-~])?|"), 0..12);
    let query = proptest::option::of("[!$-~]{0,12}".prop_filter("no fragment", |query| !query.contains('#')));
    ("[A-Z]{1,10}", "(/[a-z0-9%._~-]{0,8}){1,4}", query, lines, 0..3_usize)
        .prop_filter("CONNECT has another form of target", |parts| parts.0 != "CONNECT")
        .prop_map(|(method, path, query, lines, empty_lines)| {
            let mut head = "\r\n".repeat(empty_lines);
            head.extend([&method, " ", &path]);
            if let Some(query) = &query {
                head += "?";
                head += query;
            }
            head += " HTTP/1.1\r\nHost: a\r\n";
            for (name, value) in &lines {
                head.extend([name, ": ", value, "\r\n"]);
            }
            head += "\r\n";
            Written { bytes: head.into_bytes(), method, path, query, lines }
        })
}

/// Cuts `bytes` at every one of `cuts` and feeds the pieces to a reader the way a connection would: what was not
/// consumed is offered again together with the next piece.
fn read_in_pieces(
    framing: Framing,
    bytes: &[u8],
    cuts: &[usize],
) -> Result<(Vec<u8>, usize, bool), Malformed> {
    let mut ends: Vec<usize> = cuts.iter().map(|cut| cut % (bytes.len() + 1)).collect();
    ends.push(bytes.len());
    ends.sort_unstable();
    let mut reader = BodyReader::new(framing, &Limits::default());
    let (mut payload, mut at) = (Vec::new(), 0);
    for end in ends {
        loop {
            let input = &bytes[at..end];
            let piece = reader.read(input)?;
            assert!(piece.data.start <= piece.data.end && piece.data.end <= piece.consumed);
            assert!(piece.consumed <= input.len());
            payload.extend_from_slice(&input[piece.data]);
            at += piece.consumed;
            if piece.done {
                assert!(reader.is_done());
                return Ok((payload, at, true));
            }
            if piece.consumed == 0 {
                break;
            }
        }
    }
    Ok((payload, at, false))
}

/// Bytes that look enough like HTTP to get past the first check.
fn nearly_http() -> impl Strategy<Value = Vec<u8>> {
    let word = prop_oneof![
        Just("GET / HTTP/1.1\r\n"),
        Just("HTTP/1.1 200 OK\r\n"),
        Just("Host: a\r\n"),
        Just("Content-Length: 5"),
        Just("Transfer-Encoding: chunked"),
        Just("Connection: close, upgrade\r\n"),
        Just("\r\n"),
        Just("\r"),
        Just("\n"),
        Just("\0"),
        Just(" "),
        Just(":"),
        Just(","),
        Just("5\r\nhello\r\n"),
        Just("0\r\n\r\n"),
        Just(";a=b"),
        Just("http://a"),
        Just("%2e"),
    ];
    let noise = vec(any::<u8>(), 0..4);
    vec(prop_oneof![8 => word.prop_map(|word| word.as_bytes().to_vec()), 1 => noise], 0..16)
        .prop_map(|words| words.concat())
}

proptest! {
    #[test]
    fn a_written_request_reads_back(written in written()) {
        let (buf, mut head) = (&written.bytes, RequestHead::new());
        prop_assert_eq!(head.parse(buf, &Limits::default()), Ok(true));
        prop_assert_eq!(head.len as usize, buf.len());
        prop_assert_eq!(head.method_name.of(buf), written.method.as_bytes());
        prop_assert_eq!(head.path.of(buf), written.path.as_bytes());
        prop_assert_eq!(head.query.map(|query| query.of(buf)), written.query.as_ref().map(String::as_bytes));
        prop_assert_eq!(head.headers.len(), written.lines.len() + 1);
        for (header, (name, value)) in head.headers.iter().skip(1).zip(&written.lines) {
            prop_assert_eq!(header.name.of(buf), name.as_bytes());
            prop_assert_eq!(header.value.of(buf), value.as_bytes());
        }
    }

    /// What is left of the Cookie lines is what was there without the cookie, and nothing else of the head changes.
    #[test]
    fn a_cookie_is_taken_out_and_nothing_else(
        lines in vec(vec(("(room|ro|roo[a-z]|a)", "=?[ -:<-~]{0,6}", "[ ]{0,2}"), 0..5), 0..4),
    ) {
        let line = |pairs: &[(String, String, String)]| {
            pairs.iter().map(|(name, value, blank)| format!("{blank}{name}{value}")).collect::<Vec<_>>().join(";")
        };
        let mut bytes = b"GET /x HTTP/1.1\r\nHost: a\r\n".to_vec();
        for pairs in &lines {
            bytes.extend_from_slice(format!("Cookie: {}\r\nX-A: 1\r\n", line(pairs)).as_bytes());
        }
        bytes.extend_from_slice(b"\r\n");
        let (mut head, mut out) = (RequestHead::new(), Vec::new());
        prop_assert_eq!(head.parse(&bytes, &Limits::default()), Ok(true));
        let found = head.headers.take_cookie(&mut bytes, b"room", &mut out);
        let is_room = |pair: &(String, String, String)| pair.0 == "room" && pair.1.starts_with('=');
        let first = lines.iter().flatten().find(|pair| is_room(pair));
        prop_assert_eq!(found, first.is_some());
        prop_assert_eq!(out, first.map_or(String::new(), |pair| pair.1[1..].trim_end().to_owned()).into_bytes());
        let left = lines.iter().filter_map(|pairs| {
            let kept: Vec<_> = pairs.iter().filter(|pair| !is_room(pair)).cloned().collect();
            let text = line(&kept).trim().to_owned();
            // A line that held nothing before is left alone while nothing is taken.
            (!found || !text.is_empty()).then_some(text)
        });
        let seen: Vec<String> = head
            .headers
            .all(tidegate_wire::Field::Cookie)
            .map(|header| String::from_utf8(header.value.of(&bytes).to_vec()).unwrap().trim().to_owned())
            .collect();
        prop_assert_eq!(seen, left.collect::<Vec<_>>());
        prop_assert_eq!(head.headers.all(tidegate_wire::Field::Other).count(), lines.len());
        prop_assert_eq!(head.path.of(&bytes), b"/x");
    }

    #[test]
    fn no_prefix_of_a_valid_request_is_refused(written in written()) {
        let mut head = RequestHead::new();
        for len in 0..written.bytes.len() {
            prop_assert_eq!(head.parse(&written.bytes[..len], &Limits::default()), Ok(false), "{} bytes", len);
        }
    }

    #[test]
    fn what_follows_a_head_does_not_change_it(written in written(), tail in vec(any::<u8>(), 0..64)) {
        let (mut alone, mut followed) = (RequestHead::new(), RequestHead::new());
        prop_assert_eq!(alone.parse(&written.bytes, &Limits::default()), Ok(true));
        let bytes = [written.bytes.as_slice(), &tail].concat();
        prop_assert_eq!(followed.parse(&bytes, &Limits::default()), Ok(true));
        prop_assert_eq!(format!("{alone:?}"), format!("{followed:?}"));
    }

    #[test]
    fn a_head_that_parses_is_not_refused_on_the_way(bytes in nearly_http()) {
        let limits = Limits::default();
        let (mut request, mut response) = (RequestHead::new(), ResponseHead::new());
        if request.parse(&bytes, &limits) == Ok(true) {
            for len in 0..request.len as usize {
                prop_assert_eq!(RequestHead::new().parse(&bytes[..len], &limits), Ok(false));
            }
            prop_assert_ne!(request.framing, Framing::Close);
        }
        if response.parse(&bytes, Method::Get, &limits) == Ok(true) {
            for len in 0..response.len as usize {
                prop_assert_eq!(ResponseHead::new().parse(&bytes[..len], Method::Get, &limits), Ok(false));
            }
        }
    }

    #[test]
    fn every_line_of_an_accepted_head_ends_in_crlf(bytes in nearly_http()) {
        let mut request = RequestHead::new();
        if request.parse(&bytes, &Limits::default()) == Ok(true) {
            let head = &bytes[..request.len as usize];
            prop_assert!(head.ends_with(b"\r\n\r\n"));
            for (at, &byte) in head.iter().enumerate() {
                prop_assert!(byte != b'\r' || head.get(at + 1) == Some(&b'\n'));
                prop_assert!(byte != b'\n' || head[at - 1] == b'\r');
                prop_assert!(byte != 0);
            }
        }
    }

    #[test]
    fn heads_never_panic(bytes in vec(any::<u8>(), 0..300)) {
        let limits = Limits { head_bytes: 200, target_bytes: 20, headers: 4, ..Limits::default() };
        let _ = RequestHead::new().parse(&bytes, &limits);
        for method in [Method::Get, Method::Head, Method::Connect] {
            let _ = ResponseHead::new().parse(&bytes, method, &limits);
        }
    }

    #[test]
    fn chunks_read_back_wherever_they_are_cut(
        chunks in vec(vec(any::<u8>(), 0..40), 0..8),
        cuts in vec(any::<usize>(), 0..12),
        tail in vec(any::<u8>(), 0..8),
    ) {
        let mut bytes = Vec::new();
        for data in &chunks {
            encode::chunk(&mut bytes, data);
        }
        bytes.extend_from_slice(encode::LAST_CHUNK);
        let end = bytes.len();
        bytes.extend_from_slice(&tail);
        prop_assert_eq!(read_in_pieces(Framing::Chunked, &bytes, &cuts), Ok((chunks.concat(), end, true)));
    }

    #[test]
    fn a_length_body_reads_back_wherever_it_is_cut(
        body in vec(any::<u8>(), 0..100),
        cuts in vec(any::<usize>(), 0..12),
        tail in vec(any::<u8>(), 0..8),
    ) {
        let bytes = [body.as_slice(), &tail].concat();
        let found = read_in_pieces(Framing::Length(body.len() as u64), &bytes, &cuts);
        prop_assert_eq!(found, Ok((body.clone(), body.len(), true)));
    }

    #[test]
    fn cutting_any_chunked_input_changes_neither_payload_nor_refusal(
        bytes in nearly_http(),
        cuts in vec(any::<usize>(), 0..12),
    ) {
        let whole = read_in_pieces(Framing::Chunked, &bytes, &[]);
        prop_assert_eq!(read_in_pieces(Framing::Chunked, &bytes, &cuts), whole);
    }

    #[test]
    fn normalising_twice_changes_nothing(path in "/([a-zA-Z0-9._~;/-]|%[0-9a-fA-F]{2}|%2[eEfF]|\\.\\.?/){0,20}") {
        let (mut first, mut second) = (Vec::new(), Vec::new());
        if let Ok(once) = uri::normalise(path.as_bytes(), &mut first) {
            let decoded = uri::percent_decode(once, &mut second).unwrap().to_vec();
            let mut third = Vec::new();
            prop_assert_eq!(uri::normalise(once, &mut third), Ok(once));
            prop_assert!(once.starts_with(b"/") && !decoded.contains(&0));
            prop_assert!(!once.split(|&byte| byte == b'/').any(|segment| segment == b"." || segment == b".."));
        }
    }

    #[test]
    fn reading_a_host_twice_changes_nothing(authority in "[a-zA-Z0-9._~-]{1,12}(:[0-9]{0,5})?|\\[[0-9a-fA-F:.]{2,20}\\]") {
        let (mut first, mut second) = (Vec::new(), Vec::new());
        if let Ok(host) = uri::host(authority.as_bytes(), &mut first) {
            let again = uri::host(host.name, &mut second).unwrap();
            prop_assert_eq!(again.name, host.name);
        }
    }

    #[test]
    fn uris_never_panic(bytes in vec(any::<u8>(), 0..60)) {
        let mut scratch = Vec::new();
        let _ = uri::normalise(&bytes, &mut scratch);
        let _ = uri::host(&bytes, &mut scratch);
        let _ = uri::percent_decode(&bytes, &mut scratch);
        let pairs = uri::query_pairs(&bytes).map(|(name, value)| name.len() + value.len()).sum::<usize>();
        prop_assert!(pairs <= bytes.len());
    }

    #[test]
    fn preambles_read_back_and_no_prefix_is_refused(
        source in any::<SocketAddr>(),
        destination in any::<SocketAddr>(),
        tail in vec(any::<u8>(), 0..8),
    ) {
        let preamble = Preamble { source: Some(source), destination: Some(destination) };
        let plain = |address: SocketAddr| SocketAddr::new(address.ip(), address.port());
        let wanted = if source.is_ipv4() == destination.is_ipv4() {
            Preamble { source: Some(plain(source)), destination: Some(plain(destination)) }
        } else {
            Preamble { source: None, destination: None }
        };
        for encode in [preamble::encode_v1, preamble::encode_v2] {
            let mut bytes = Vec::new();
            encode(&mut bytes, &preamble);
            let len = bytes.len();
            for cut in 0..len {
                prop_assert_eq!(preamble::parse(&bytes[..cut]), Ok(None), "{} of {} bytes", cut, len);
            }
            bytes.extend_from_slice(&tail);
            prop_assert_eq!(preamble::parse(&bytes), Ok(Some((wanted, len))));
        }
    }

    #[test]
    fn preambles_never_panic(bytes in vec(any::<u8>(), 0..80), block in vec(any::<u8>(), 0..60)) {
        let _ = preamble::parse(&bytes);
        let v2 = [b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00".as_slice(), &[block.len() as u8], &block].concat();
        if let Ok(Some((_, len))) = preamble::parse(&v2) {
            prop_assert!(len <= v2.len());
        }
    }
}
