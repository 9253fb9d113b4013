//! Paths, hosts and queries in the one spelling that routes are matched by. What is forwarded stays as the client
//! wrote it; these forms are for deciding only.

use core::net::Ipv6Addr;

use crate::{Malformed, encode};

/// Longest host name in bytes (RFC 1035 section 2.3.4).
pub const MAX_HOST_BYTES: usize = 255;

/// The spelling of a path that equal paths share (RFC 3986 section 6.2.2): escapes of unreserved characters are
/// decoded, other escapes get upper-case digits (so `%2F` stays apart from `/`), dot segments are removed even
/// when they were written with `%2e`, and so are empty segments, because enough apps read `//` as `/` for a rule
/// about `/admin` to be got round by `//admin`. The empty path is `/`.
///
/// Borrows `path` when nothing has to be done, else writes to `scratch`, which is cleared first and keeps its
/// memory for the next call.
///
/// # Errors
/// - [`Malformed::EscapeInvalid`]: a `%` without two hexadecimal digits.
/// - [`Malformed::Nul`]: a NUL byte or `%00`.
/// - [`Malformed::BadTarget`]: a path that does not begin with `/`, or a byte that [`RequestHead::parse`]
///   refuses in a path: control, space, `#`, `?`, `\`, not ASCII.
/// - [`Malformed::PathEscapesRoot`]: more `..` than segments before them.
/// - [`Malformed::DotSegmentParameters`]: `.;x` or `..;x` as a segment, which some servers read as a dot segment.
///
/// [`RequestHead::parse`]: crate::RequestHead::parse
pub fn normalise<'a>(path: &'a [u8], scratch: &'a mut Vec<u8>) -> Result<&'a [u8], Malformed> {
    if path.is_empty() {
        return Ok(b"/");
    }
    if path[0] != b'/' {
        return Err(Malformed::BadTarget);
    }
    let mut before = 0;
    for &byte in path {
        // A dot that begins a segment may be a dot segment, and an escape may be anything.
        if BYTES[byte as usize] & PLAIN == 0 && (before == b'/' || !matches!(byte, b'.' | b'/')) {
            return rewrite(path, scratch);
        }
        before = byte;
    }
    Ok(path)
}

/// A host in the one spelling that routes are matched by.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Host<'a> {
    /// Lower case, without port and trailing dot. An IPv6 literal keeps its brackets and has the spelling of
    /// RFC 5952.
    pub name: &'a [u8],
    /// The port if one was given; `example.com:` gives none.
    pub port: Option<u16>,
}

/// Reads `host[:port]` (RFC 3986 section 3.2.2) as it stands in Host or in a target. Borrows `authority` when it is
/// spelled as wanted already, else writes to `scratch`, which is cleared first.
///
/// # Errors
/// [`Malformed::HostInvalid`] for user information, a port above 65535, an IPv6 literal that is none or has a zone,
/// an empty label, more than [`MAX_HOST_BYTES`], and a name with other characters than letters, digits, `-`, `.`,
/// `_` and `~`. RFC 3986 would let sub-delimiters and escapes pass; no resolvable name has them, and they are
/// spelled so that one reader sees another host than the next.
pub fn host<'a>(authority: &'a [u8], scratch: &'a mut Vec<u8>) -> Result<Host<'a>, Malformed> {
    let (name, port) = split_port(authority)?;
    Ok(Host { name: host_name(name, scratch), port })
}

/// The one spelling of a name that has been checked already: the part of [`host`] that
/// [`RequestHead::host`](crate::RequestHead::host) leaves to be done.
pub fn host_name<'a>(name: &'a [u8], scratch: &'a mut Vec<u8>) -> &'a [u8] {
    if let Some(Ok(address)) = ipv6_literal(name) {
        scratch.clear();
        encode::display(scratch, format_args!("[{address}]"));
        return scratch;
    }
    let name = name.strip_suffix(b".").unwrap_or(name);
    if !name.iter().any(u8::is_ascii_uppercase) {
        return name;
    }
    scratch.clear();
    scratch.extend(name.iter().map(u8::to_ascii_lowercase));
    scratch
}

/// The `name=value` pairs of a query as they were sent, escapes and plus signs included. A pair without `=` has
/// the empty value; empty pairs are skipped.
pub fn query_pairs(query: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    query.split(|&byte| byte == b'&').filter(|pair| !pair.is_empty()).map(|pair| {
        match memchr::memchr(b'=', pair) {
            Some(at) => (&pair[..at], &pair[at + 1..]),
            None => (pair, &pair[pair.len()..]),
        }
    })
}

/// Decodes every percent escape (RFC 3986 section 2.1). Plus signs stay. Borrows `text` when it has no escape,
/// else writes to `scratch`, which is cleared first.
///
/// # Errors
/// [`Malformed::EscapeInvalid`] for a `%` without two hexadecimal digits.
pub fn percent_decode<'a>(text: &'a [u8], scratch: &'a mut Vec<u8>) -> Result<&'a [u8], Malformed> {
    let Some(mut at) = memchr::memchr(b'%', text) else { return Ok(text) };
    scratch.clear();
    scratch.extend_from_slice(&text[..at]);
    while at < text.len() {
        if text[at] == b'%' {
            scratch.push(escape(&text[at..])?);
            at += 3;
        } else {
            scratch.push(text[at]);
            at += 1;
        }
    }
    Ok(scratch)
}

/// Splits `host[:port]` and checks both. An IPv6 literal keeps its brackets.
#[inline]
pub(crate) fn split_port(authority: &[u8]) -> Result<(&[u8], Option<u16>), Malformed> {
    let is_literal = authority.first() == Some(&b'[');
    let name_len = if is_literal {
        memchr::memchr(b']', authority).map_or(authority.len(), |at| at + 1)
    } else {
        name_len(authority)?
    };
    let (name, rest) = authority.split_at(name_len);
    let port = match rest {
        [] => None,
        [b':', digits @ ..] => port(digits)?,
        _ => return Err(Malformed::HostInvalid),
    };
    if is_literal && let Some(address) = ipv6_literal(name) {
        address?;
    }
    Ok((name, port))
}

/// Whether a byte may stand in a path as it is sent. Wider than RFC 3986 by the visible characters that browsers
/// leave alone, except the backslash, which some of them and some servers read as a slash.
#[inline]
pub(crate) const fn is_path(byte: u8) -> bool {
    BYTES[byte as usize] & PATH != 0
}

/// Whether a byte may stand in a query as it is sent: visible ASCII except `#`.
#[inline]
pub(crate) const fn is_query(byte: u8) -> bool {
    BYTES[byte as usize] & QUERY != 0
}

/// The characters that mean the same escaped or not (RFC 3986 section 2.3), which are also those of a host name.
#[inline]
const fn is_unreserved(byte: u8) -> bool {
    BYTES[byte as usize] & UNRESERVED != 0
}

const PATH: u8 = 1;
const QUERY: u8 = 2;
const UNRESERVED: u8 = 4;
/// May stand in a path and means nothing but itself there.
const PLAIN: u8 = 8;

static BYTES: [u8; 256] = {
    let mut classes = [0; 256];
    let mut byte = 0x21_u8;
    while byte < 0x7f {
        let mut class = 0;
        if !matches!(byte, b'#' | b'?' | b'\\') {
            class |= PATH;
            if !matches!(byte, b'%' | b'.' | b'/') {
                class |= PLAIN;
            }
        }
        if byte != b'#' {
            class |= QUERY;
        }
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            class |= UNRESERVED;
        }
        classes[byte as usize] = class;
        byte += 1;
    }
    classes
};

/// The slow part of [`normalise`]: one pass that decodes into `scratch` and closes each segment as it ends.
fn rewrite<'a>(path: &[u8], scratch: &'a mut Vec<u8>) -> Result<&'a [u8], Malformed> {
    scratch.clear();
    scratch.push(b'/');
    let mut segment = 1;
    let mut at = 1;
    while at < path.len() {
        match path[at] {
            b'/' if scratch.len() == segment => at += 1,
            b'/' => {
                if close_segment(scratch, segment)? == Segment::Kept {
                    scratch.push(b'/');
                }
                segment = scratch.len();
                at += 1;
            }
            b'%' => {
                let byte = escape(&path[at..])?;
                match byte {
                    0 => return Err(Malformed::Nul),
                    _ if is_unreserved(byte) => scratch.push(byte),
                    _ => scratch.extend(path[at..at + 3].iter().map(u8::to_ascii_uppercase)),
                }
                at += 3;
            }
            0 => return Err(Malformed::Nul),
            byte if is_path(byte) => {
                scratch.push(byte);
                at += 1;
            }
            _ => return Err(Malformed::BadTarget),
        }
    }
    close_segment(scratch, segment)?;
    Ok(scratch)
}

/// What became of a segment when it ended.
#[derive(PartialEq, Eq)]
enum Segment {
    Kept,
    /// It was a dot segment. What is left of the path ends with a slash.
    Removed,
}

/// Removes the segment that begins at `start` if it is `.`, and the one before it as well if it is `..`.
fn close_segment(path: &mut Vec<u8>, start: usize) -> Result<Segment, Malformed> {
    match &path[start..] {
        b"." => path.truncate(start),
        b".." => {
            let parent = path[..start - 1].iter().rposition(|&byte| byte == b'/');
            path.truncate(parent.ok_or(Malformed::PathEscapesRoot)? + 1);
        }
        [b'.', b';', ..] | [b'.', b'.', b';', ..] => return Err(Malformed::DotSegmentParameters),
        _ => return Ok(Segment::Kept),
    }
    Ok(Segment::Removed)
}

/// The byte that the escape at the start of `text` stands for.
fn escape(text: &[u8]) -> Result<u8, Malformed> {
    let digit = |at: usize| text.get(at).and_then(|&byte| char::from(byte).to_digit(16));
    match (digit(1), digit(2)) {
        (Some(high), Some(low)) => Ok((high << 4 | low) as u8),
        _ => Err(Malformed::EscapeInvalid),
    }
}

/// A port as a decimal number; nothing at all is allowed and means none was given (RFC 3986 section 3.2.3).
fn port(digits: &[u8]) -> Result<Option<u16>, Malformed> {
    if digits.is_empty() {
        return Ok(None);
    }
    let value = digits.iter().try_fold(0_u16, |value, &digit| match digit {
        b'0'..=b'9' => value.checked_mul(10)?.checked_add(u16::from(digit - b'0')),
        _ => None,
    });
    value.map(Some).ok_or(Malformed::HostInvalid)
}

/// How many bytes of `authority` are a host name: labels that are not empty, and perhaps a trailing dot.
fn name_len(authority: &[u8]) -> Result<usize, Malformed> {
    let mut before = b'.';
    let mut len = 0;
    for &byte in authority {
        if byte == b'.' && before == b'.' {
            return Err(Malformed::HostInvalid);
        }
        if !is_unreserved(byte) {
            break;
        }
        before = byte;
        len += 1;
    }
    let most = MAX_HOST_BYTES + usize::from(before == b'.');
    if (1..=most).contains(&len) { Ok(len) } else { Err(Malformed::HostInvalid) }
}

/// The address between brackets. `None` when there are no brackets.
fn ipv6_literal(name: &[u8]) -> Option<Result<Ipv6Addr, Malformed>> {
    let literal = name.strip_prefix(b"[")?.strip_suffix(b"]");
    let address = literal.and_then(|literal| str::from_utf8(literal).ok()?.parse().ok());
    Some(address.ok_or(Malformed::HostInvalid))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn normalised(path: &str) -> Result<String, Malformed> {
        let mut scratch = Vec::new();
        normalise(path.as_bytes(), &mut scratch).map(|path| String::from_utf8(path.to_vec()).unwrap())
    }

    #[test]
    fn equal_paths_get_one_spelling() {
        for (sent, wanted) in [
            ("", "/"),
            ("/", "/"),
            ("/a/b", "/a/b"),
            ("/a//b/", "/a/b/"),
            ("//a///", "/a/"),
            ("/%2f/a", "/%2F/a"),
            ("/.well-known/x", "/.well-known/x"),
            ("/a/...", "/a/..."),
            ("/%7euser/%41", "/~user/A"),
            ("/a%2fb%3f", "/a%2Fb%3F"),
            ("/%252e", "/%252e"),
            ("/a/./b/../c", "/a/c"),
            ("/a/%2e/b/%2E%2e/c", "/a/c"),
            ("/a/b/..", "/a/"),
            ("/a/.", "/a/"),
            ("/a//..", "/"),
            ("/a/..", "/"),
            ("/a;v=1/b;x", "/a;v=1/b;x"),
            ("/a/.%2f", "/a/.%2F"),
        ] {
            assert_eq!(normalised(sent).as_deref(), Ok(wanted), "{sent:?}");
        }
    }

    #[test]
    fn paths_that_two_servers_could_read_differently_are_refused() {
        for (sent, reason) in [
            ("a", Malformed::BadTarget),
            ("/a b", Malformed::BadTarget),
            ("/a\\..\\b", Malformed::BadTarget),
            ("/a?b", Malformed::BadTarget),
            ("/a\u{7f}", Malformed::BadTarget),
            ("/\u{e9}", Malformed::BadTarget),
            ("/%", Malformed::EscapeInvalid),
            ("/%4", Malformed::EscapeInvalid),
            ("/%4g", Malformed::EscapeInvalid),
            ("/%+1", Malformed::EscapeInvalid),
            ("/a%00", Malformed::Nul),
            ("/a\0", Malformed::Nul),
            ("/..", Malformed::PathEscapesRoot),
            ("/a/../..", Malformed::PathEscapesRoot),
            ("/a/%2e%2e/%2e%2e/b", Malformed::PathEscapesRoot),
            ("/a/..;/b", Malformed::DotSegmentParameters),
            ("/a/%2e;x=1", Malformed::DotSegmentParameters),
        ] {
            assert_eq!(normalised(sent), Err(reason), "{sent:?}");
        }
    }

    #[test]
    fn a_path_in_order_is_borrowed_and_leaves_the_scratch_alone() {
        let mut scratch = Vec::new();
        let path = b"/assets/app.js".as_slice();
        assert!(core::ptr::eq(normalise(path, &mut scratch).unwrap(), path));
        assert_eq!(scratch.capacity(), 0);
    }

    #[test]
    fn hosts_get_one_spelling() {
        for (sent, name, port) in [
            ("example.com", "example.com", None),
            ("EXAMPLE.com.:8080", "example.com", Some(8080)),
            ("example.com:", "example.com", None),
            ("a_b.internal", "a_b.internal", None),
            ("127.0.0.1:0080", "127.0.0.1", Some(80)),
            ("host1", "host1", None),
            ("[::1]", "[::1]", None),
            ("[2001:DB8:0:0::0:1]:443", "[2001:db8::1]", Some(443)),
        ] {
            let mut scratch = Vec::new();
            let host = host(sent.as_bytes(), &mut scratch).unwrap();
            assert_eq!((host.name, host.port), (name.as_bytes(), port), "{sent:?}");
        }
    }

    #[test]
    fn hosts_that_no_one_can_resolve_are_refused() {
        let long = "a".repeat(MAX_HOST_BYTES + 1);
        for sent in [
            "",
            ".",
            ":80",
            "a..b",
            ".a",
            "a b",
            "a,b",
            "user@a",
            "user:pw@a",
            "a:65536",
            "a:+80",
            "a:80:80",
            "a/b",
            "*.a",
            "a%41",
            "\u{e9}",
            "[::1",
            "::1",
            "[]",
            "[::g]",
            "[fe80::1%25eth0]",
            "[v1.x]",
            "[::1]x",
            "[127.0.0.1]",
            &long,
        ] {
            assert_eq!(host(sent.as_bytes(), &mut Vec::new()), Err(Malformed::HostInvalid), "{sent:?}");
        }
    }

    #[test]
    fn query_pairs_come_as_they_were_sent() {
        let pairs: Vec<_> = query_pairs(b"a=1&&b&c=%20=x&=y").collect();
        let wanted: [(&[u8], &[u8]); 4] = [(b"a", b"1"), (b"b", b""), (b"c", b"%20=x"), (b"", b"y")];
        assert_eq!(pairs, wanted);
    }

    #[test]
    fn escapes_decode_to_any_byte_and_plus_stays() {
        assert_eq!(percent_decode(b"a%20b%fF+%00", &mut Vec::new()), Ok(b"a b\xff+\0".as_slice()));
        assert_eq!(percent_decode(b"plain", &mut Vec::new()), Ok(b"plain".as_slice()));
        assert_eq!(percent_decode(b"%2", &mut Vec::new()), Err(Malformed::EscapeInvalid));
    }
}
