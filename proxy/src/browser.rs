//! What browsers are told by a route: fields that make them careful, whose pages may read its answers (CORS, of the
//! Fetch standard), and what answers differ by.
//!
//! A field that the app sends, or that the route's own edits name, is left as it is; but where a route has CORS, the
//! app's `Access-Control-*` fields give way, for two answers to one question are none.

use std::iter;

use config::{Cors, HeaderEdit, SecurityHeaders};
use traffic::client::Proto;
use wire::encode::field;
use wire::{Field, Method, RequestHead};

use crate::exchange::Exchange;
use crate::outbound::edited;

/// The method that a preflight asks for; `None`: the request is none.
pub fn preflight<'b>(head: &RequestHead, buf: &'b [u8]) -> Option<&'b [u8]> {
    if head.method != Method::Options || !head.headers.contains(Field::Origin) {
        return None;
    }
    head.headers.find(buf, b"access-control-request-method").map(|header| header.value.of(buf))
}

/// Whether the pages of the request's origin may use the route.
pub fn is_allowed(route: &config::Route, exchange: &Exchange) -> bool {
    route.cors.as_ref().is_none_or(|cors| cors.allow_origin(origin(exchange)).is_some())
}

/// Whether a response's field gives way to the route's CORS.
pub fn is_ours(name: &[u8]) -> bool {
    const PREFIX: &[u8] = b"access-control-";
    name.get(..PREFIX.len()).is_some_and(|start| start.eq_ignore_ascii_case(PREFIX))
}

/// Writes a route's security fields, but for those that were `sent` (asked in lower case), and its CORS fields.
pub fn fields(out: &mut Vec<u8>, route: &config::Route, exchange: &Exchange, sent: impl Fn(&[u8]) -> bool) {
    if let Some(security) = &route.security {
        let is_set = |name: &str| names(&route.response_headers, name) || sent(name.as_bytes());
        careful(out, security, exchange, is_set);
    }
    if let Some(cors) = &route.cors
        && let Some(allowed) = cors.allow_origin(origin(exchange))
    {
        field(out, b"Access-Control-Allow-Origin", allowed);
        out.extend_from_slice(if exchange.is_preflight { &cors.preflight_lines } else { &cors.lines });
    }
}

/// Writes security fields, but for those that are set already (asked in lower case).
pub fn careful(
    out: &mut Vec<u8>,
    security: &SecurityHeaders,
    exchange: &Exchange,
    is_set: impl Fn(&str) -> bool,
) {
    if security.fields.iter().any(|field| is_set(field.name)) {
        for field in security.fields.iter().filter(|field| !is_set(field.name)) {
            out.extend_from_slice(&field.line);
        }
    } else {
        out.extend_from_slice(&security.lines);
    }
    // Browsers do not listen to it over plain connections (RFC 6797 section 8.1); a trusted hop says which it was.
    let proto = exchange.asker.and_then(|asker| asker.proto);
    if proto == Some(Proto::Https) && !is_set("strict-transport-security") {
        out.extend_from_slice(&security.hsts_line);
    }
}

/// What responses of a route differ by, besides what their app says: the words to be added to `Vary`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Varies {
    /// Responses may be coded.
    pub accept_encoding: bool,
    /// Responses name the origin that may read them.
    pub origin: bool,
    /// The response answers a preflight.
    pub preflight: bool,
}

impl Varies {
    /// What the responses of a route to this request differ by.
    pub fn of(route: &config::Route, exchange: &Exchange, accept_encoding: bool) -> Self {
        // Who takes Vary away, or writes another one, is taken at their word.
        let is_wanted = !edited(&route.response_headers, b"vary");
        Self {
            accept_encoding: is_wanted && accept_encoding,
            origin: is_wanted && route.cors.as_deref().is_some_and(Cors::varies),
            preflight: is_wanted && exchange.is_preflight,
        }
    }

    /// Whether there is anything to add.
    pub const fn any(self) -> bool {
        self.accept_encoding || self.origin || self.preflight
    }

    /// Writes one `Vary` of what the app's lines say and what is not among that yet.
    pub fn write<'a, L: Iterator<Item = &'a [u8]>>(self, out: &mut Vec<u8>, lines: impl Fn() -> L) {
        let words = || lines().flat_map(|line| line.split(|&byte| byte == b',')).map(<[u8]>::trim_ascii);
        let added = [
            (self.accept_encoding, "Accept-Encoding"),
            (self.origin, "Origin"),
            (self.preflight, "Access-Control-Request-Method"),
            (self.preflight, "Access-Control-Request-Headers"),
        ];
        let added = added.into_iter().filter(|(is_added, _)| *is_added).map(|(_, name)| name.as_bytes());
        // Behind a star there is nothing left to vary by.
        let is_said = |name: &&[u8]| words().any(|word| word == b"*" || word.eq_ignore_ascii_case(name));
        let said = words().filter(|word| !word.is_empty());
        for (word, before) in said
            .chain(added.filter(|name| !is_said(name)))
            .zip(iter::once("Vary: ").chain(iter::repeat(", ")))
        {
            out.extend_from_slice(before.as_bytes());
            out.extend_from_slice(word);
        }
        out.extend_from_slice(b"\r\n");
    }
}

/// The request's `Origin`, or nothing.
fn origin(exchange: &Exchange) -> &[u8] {
    exchange.head.headers.get(Field::Origin).map_or(b"", |header| header.value.of(&exchange.input))
}

/// Whether any of a list of edits is about this field.
fn names(edits: &[HeaderEdit], name: &str) -> bool {
    edits.iter().any(|edit| match edit {
        HeaderEdit::Add(edited, _) | HeaderEdit::Set(edited, _) | HeaderEdit::Remove(edited) => {
            edited.eq_ignore_ascii_case(name)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vary_is_one_line_without_repetitions() {
        let both = Varies { accept_encoding: true, origin: true, preflight: false };
        for (lines, expected) in [
            (&[][..], "Vary: Accept-Encoding, Origin\r\n"),
            (&["Cookie"], "Vary: Cookie, Accept-Encoding, Origin\r\n"),
            (&["accept-encoding"], "Vary: accept-encoding, Origin\r\n"),
            (&["Cookie , ORIGIN", ",Accept-Encoding"], "Vary: Cookie, ORIGIN, Accept-Encoding\r\n"),
            (&["*"], "Vary: *\r\n"),
            (&["Accept-Encoding-X"], "Vary: Accept-Encoding-X, Accept-Encoding, Origin\r\n"),
        ] {
            let mut out = Vec::new();
            both.write(&mut out, || lines.iter().map(|line| line.as_bytes()));
            assert_eq!(String::from_utf8(out).unwrap(), expected, "{lines:?}");
        }
    }

    #[test]
    fn only_the_fields_of_cors_give_way() {
        assert!(is_ours(b"Access-Control-Allow-Origin") && is_ours(b"access-control-max-age"));
        assert!(!is_ours(b"Access-Controls") && !is_ours(b"X-Access-Control-Allow-Origin"));
    }
}
