//! The `Forwarded` field (RFC 7239): elements between commas, pairs between semicolons, values that may
//! be quoted.
//!
//! An element that breaks the rules is an element without a hop, which ends the walk over the hops. A
//! quote that is never closed makes everything after it one such element: whoever wrote it cannot
//! swallow what a later proxy adds and put a hop of their own in its place.

use super::hop::parse_hop;
use super::{Proto, is_host};
use core::net::IpAddr;

/// One element, as far as it concerns us. Without a `for` that names an address there is no hop.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Element<'a> {
    pub(super) hop: Option<IpAddr>,
    pub(super) proto: Option<Proto>,
    pub(super) host: Option<&'a [u8]>,
}

/// The elements of one field value, from left to right; empty ones do not count.
pub(super) fn elements(value: &[u8]) -> impl Iterator<Item = Element<'_>> {
    pieces(value, b',')
        .filter(|piece| *piece != Some(b""))
        .map(|piece| piece.and_then(element).unwrap_or_default())
}

fn element(text: &[u8]) -> Option<Element<'_>> {
    let (mut address, mut proto, mut host) = (None, None, None);
    for pair in pieces(text, b';') {
        let pair = pair?;
        if pair.is_empty() {
            continue;
        }
        let equals = memchr::memchr(b'=', pair)?;
        let (name, value) = (&pair[..equals], Text::read(&pair[equals + 1..])?);
        let known = if name.eq_ignore_ascii_case(b"for") {
            &mut address
        } else if name.eq_ignore_ascii_case(b"proto") {
            &mut proto
        } else if name.eq_ignore_ascii_case(b"host") {
            &mut host
        } else if name.is_empty() || !name.iter().all(|&byte| is_token(byte)) {
            return None;
        } else {
            continue;
        };
        // A parameter must not occur twice in one element (RFC 7239 section 4).
        if known.replace(value).is_some() {
            return None;
        }
    }
    Some(Element {
        hop: address.and_then(|value| value.plain(parse_hop)),
        proto: proto.and_then(|value| value.plain(Proto::parse)),
        host: host.filter(|value| !value.escaped && is_host(value.raw)).map(|value| value.raw),
    })
}

/// A value without its quotes.
#[derive(Clone, Copy)]
struct Text<'a> {
    raw: &'a [u8],
    /// Whether backslashes are still in it.
    escaped: bool,
}

impl<'a> Text<'a> {
    /// Reads a token or quoted string. Bare values may hold brackets and colons, as many proxies leave
    /// the quotes around IPv6 addresses out.
    fn read(text: &'a [u8]) -> Option<Self> {
        if let Some(quoted) = text.strip_prefix(b"\"") {
            let raw = quoted.strip_suffix(b"\"")?;
            return Some(Self { raw, escaped: raw.contains(&b'\\') });
        }
        let bare = |byte: u8| is_token(byte) || b":[]".contains(&byte);
        (!text.is_empty() && text.iter().all(|&byte| bare(byte)))
            .then_some(Self { raw: text, escaped: false })
    }

    /// Reads the value with its backslashes taken out. No address and no scheme is longer than 64 bytes.
    fn plain<T>(self, read: impl Fn(&[u8]) -> Option<T>) -> Option<T> {
        let mut buffer = [0; 64];
        let mut len = 0;
        let mut bytes = self.raw.iter();
        while let Some(&byte) = bytes.next() {
            let byte = if byte == b'\\' { *bytes.next()? } else { byte };
            *buffer.get_mut(len)? = byte;
            len += 1;
        }
        read(&buffer[..len])
    }
}

/// Cuts at every separator outside of quotes. A piece with an open quote is `None`, and the last one.
fn pieces(text: &[u8], separator: u8) -> impl Iterator<Item = Option<&[u8]>> {
    let mut rest = Some(text);
    core::iter::from_fn(move || {
        let text = rest.take()?;
        let Some(end) = end_of_piece(text, separator) else { return Some(None) };
        rest = text.get(end + 1..);
        Some(Some(text[..end].trim_ascii()))
    })
}

fn end_of_piece(text: &[u8], separator: u8) -> Option<usize> {
    let mut quoted = false;
    let mut bytes = text.iter().enumerate();
    while let Some((at, &byte)) = bytes.next() {
        match byte {
            b'"' => quoted = !quoted,
            b'\\' if quoted => {
                bytes.next()?;
            }
            _ if byte == separator && !quoted => return Some(at),
            _ => {}
        }
    }
    (!quoted).then_some(text.len())
}

/// RFC 9110 section 5.6.2.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The hops, with a dash for one that names no address.
    fn hops(value: &str) -> Vec<String> {
        let text = |element: Element<'_>| element.hop.map_or("-".to_owned(), |hop| hop.to_string());
        elements(value.as_bytes()).map(text).collect()
    }

    #[test]
    fn the_examples_of_the_rfc_are_read() {
        assert_eq!(hops("for=\"_gazonk\""), ["-"]);
        assert_eq!(hops("For=\"[2001:db8:cafe::17]:4711\""), ["2001:db8:cafe::17"]);
        assert_eq!(hops("for=192.0.2.60;proto=http;by=203.0.113.43"), ["192.0.2.60"]);
        assert_eq!(hops("for=192.0.2.43, for=198.51.100.17"), ["192.0.2.43", "198.51.100.17"]);
        assert_eq!(hops("for=192.0.2.43,for=\"[2001:db8:cafe::17]\",for=unknown").len(), 3);
    }

    #[test]
    fn quotes_protect_separators_and_backslashes_protect_quotes() {
        assert_eq!(hops("x=\"a,b;c\\\"d\";for=192.0.2.1"), ["192.0.2.1"]);
        assert_eq!(hops("for=\"\\192.0.2.1\""), ["192.0.2.1"]);
        assert_eq!(hops("for=[::1]:80"), ["::1"]);
    }

    #[test]
    fn what_breaks_the_rules_has_no_hop() {
        for value in [
            "for=\"192.0.2.1",
            "for=192.0.2.1;for=192.0.2.2",
            "for",
            "=192.0.2.1",
            "for=",
            "for=192.0.2.1;b@d=x",
            "for=\"192.0.2.1\"x",
            "for=\"192.0.2.1\\",
            "for=192.0.2.1;x=\"a\\\"",
            "proto=https",
            "for=192.0.2.1 192.0.2.2",
        ] {
            assert_eq!(hops(value), ["-"], "{value}");
        }
        assert_eq!(hops(", ,"), [] as [&str; 0]);
        assert_eq!(hops("for=1.1.1.1, for=\"2.2.2.2, for=3.3.3.3"), ["1.1.1.1", "-"]);
    }

    #[test]
    fn a_host_that_is_no_host_is_not_passed_on() {
        let host = |value: &'static str| elements(value.as_bytes()).next().unwrap().host;
        assert_eq!(host("for=1.1.1.1;host=\"a.example:8080\""), Some(&b"a.example:8080"[..]));
        assert_eq!(host("for=1.1.1.1;host=\"a/b\""), None);
        assert_eq!(host("for=1.1.1.1;host=\"a\\b\""), None);
    }
}
