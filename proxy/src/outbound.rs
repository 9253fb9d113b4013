//! The request as its endpoint gets it: every field written anew, hop-by-hop fields gone, the
//! marks of this hop added.

use std::ops::Range;

use config::{HeaderEdit, HostField, Rewrite};
use traffic::client::Proto;
use traffic::endpoint::EndpointId;
use traffic::route::Params;
use traffic::trace::Trace;
use wire::encode::{self, field, pieces};
use wire::{Field, Framing, Header, TargetForm, Version};

use crate::core::{Core, Peer};
use crate::exchange::Exchange;
use crate::lines::Lines;
use crate::live::{Live, Upstream};

/// Writes the head of the request for one try into `out`.
pub fn head(
    out: &mut Vec<u8>,
    live: &Live,
    exchange: &Exchange,
    peer: Peer,
    route: &config::Route,
    upstream: &Upstream,
    endpoint: EndpointId,
) {
    let input = &exchange.input[..];
    let lines = if upstream.plan.host == HostField::Client
        && route.rewrite == Rewrite::None
        && let Some((start, host)) = verbatim(exchange)
    {
        let mut lines = Lines::behind(out, input, start);
        lines.keep(host);
        lines
    } else {
        pieces(out, &[exchange.head.method_name.of(input), b" "]);
        target(out, live, exchange, route);
        let directory;
        let host = match &upstream.plan.host {
            HostField::Client => exchange.head.authority.of(input),
            HostField::Fixed(host) => host.as_bytes(),
            HostField::Endpoint => {
                directory = upstream.directory.load();
                let listed = directory.iter().find(|listed| listed.id == endpoint);
                listed.map_or(&b""[..], |listed| listed.host.as_bytes())
            }
        };
        pieces(out, &[b" HTTP/1.1\r\nHost: ", host, b"\r\n"]);
        Lines::new(out, input)
    };
    kept_fields(lines, live, exchange, route);
    framing(out, exchange);
    forwarded(out, live, exchange, peer);
    marks(out, live, exchange);
    edits(out, &route.request_headers);
    out.extend_from_slice(b"\r\n");
}

/// The request line and the Host behind it, where they came as they would be written.
fn verbatim(exchange: &Exchange) -> Option<(Range<usize>, &Header)> {
    let head = &exchange.head;
    let host = head.headers.as_slice().first().filter(|first| first.field == Field::Host)?;
    let (method, target) = (head.method_name.range(), head.target.range());
    let is_plain = head.form == TargetForm::Origin
        && method.end + 1 == target.start
        && exchange.input.get(target.end..host.name.range().start) == Some(b" HTTP/1.1\r\n");
    is_plain.then_some((method.start..host.name.range().start, host))
}

/// The target: the client's own bytes, unless the route rewrites the path.
fn target(out: &mut Vec<u8>, live: &Live, exchange: &Exchange, route: &config::Route) {
    let head = &exchange.head;
    if head.form == TargetForm::Asterisk {
        out.push(b'*');
        return;
    }
    match &route.rewrite {
        Rewrite::None if head.form == TargetForm::Origin => {
            out.extend_from_slice(exchange.target());
            return;
        }
        Rewrite::None => {
            let path = head.path.of(&exchange.input);
            out.extend_from_slice(if path.is_empty() { b"/" } else { path });
        }
        Rewrite::Strip(prefix) => {
            let rest =
                exchange.path.strip_prefix(prefix.trim_end_matches('/').as_bytes()).unwrap_or(&exchange.path);
            if !rest.starts_with(b"/") {
                out.push(b'/');
            }
            out.extend_from_slice(rest);
        }
        Rewrite::Replace(template) => expand(out, template, live, exchange, route),
    }
    if let Some(query) = head.query {
        out.push(b'?');
        out.extend_from_slice(query.of(&exchange.input));
    }
}

/// Fills the `{names}` of a template with the route's parameters, `{rest}`, `{path}`, `{query}`
/// and `{host}`; a name that is none of these is empty.
pub fn expand(out: &mut Vec<u8>, template: &str, live: &Live, exchange: &Exchange, route: &config::Route) {
    let mut params = Params::new();
    let header = |name: &str| exchange.header(name);
    // Known to select this route: it did a moment ago.
    let _ = live.table.select(&exchange.query(&header), &mut params);
    let mut left = template;
    while let Some(open) = left.find('{') {
        out.extend_from_slice(&left.as_bytes()[..open]);
        let Some(length) = left[open..].find('}') else { break };
        match &left[open + 1..open + length] {
            "rest" => out.extend_from_slice(rest(&exchange.path, &route.rule.path.to_string())),
            "path" => out.extend_from_slice(&exchange.path),
            "query" => {
                out.extend_from_slice(exchange.head.query.map_or(b"", |query| query.of(&exchange.input)));
            }
            "host" => out.extend_from_slice(&exchange.host),
            name => out.extend_from_slice(params.value(name, &exchange.path).unwrap_or_default()),
        }
        left = &left[open + length + 1..];
    }
    out.extend_from_slice(left.as_bytes());
}

/// What a prefix pattern left over: the path behind as many segments as the pattern has.
fn rest<'a>(path: &'a [u8], pattern: &str) -> &'a [u8] {
    let Some(prefix) = pattern.strip_suffix('*').or((pattern == "/").then_some("/")) else { return b"" };
    let segments = prefix.bytes().filter(|&byte| byte == b'/').count();
    let mut rest = path;
    for _ in 0..segments {
        match rest.iter().position(|&byte| byte == b'/') {
            Some(slash) => rest = &rest[slash + 1..],
            None => return b"",
        }
    }
    rest
}

/// The client's fields that go on as they are.
#[allow(clippy::match_same_arms)] // Each line is a reason of its own.
fn kept_fields(mut lines: Lines<'_>, live: &Live, exchange: &Exchange, route: &config::Route) {
    let input = &exchange.input[..];
    let marks = &live.plan.server.marks;
    let trusted = exchange.is_trusted();
    for header in &exchange.head.headers {
        let name = header.name.of(input);
        let keep = match header.field {
            Field::Host | Field::ContentLength | Field::TransferEncoding | Field::Expect => false,
            Field::XForwardedFor | Field::XForwardedProto | Field::XForwardedHost | Field::Forwarded => false,
            Field::XForwardedPort | Field::XRealIp => trusted,
            Field::XRequestId => !marks.request_id,
            Field::Traceparent => !marks.traceparent,
            Field::Tracestate => !marks.traceparent || exchange.is_trace_continued,
            // What CGI would hand to an app as the proxy to use for its own requests.
            Field::Proxy => false,
            Field::Other => !is_lookalike(name),
            field => !field.is_hop_by_hop(),
        };
        if keep && !exchange.head.ends_here(input, name) && !edited(&route.request_headers, name) {
            lines.keep(header);
        }
    }
}

/// Whether a name turns into one of ours once an app's gateway interface has made dashes and
/// underscores alike, so that it would be believed as if we had written it.
fn is_lookalike(name: &[u8]) -> bool {
    let mut dashed = [0_u8; 32];
    let Some(dashed) = dashed.get_mut(..name.len()) else { return false };
    if !name.contains(&b'_') {
        return false;
    }
    for (to, from) in dashed.iter_mut().zip(name) {
        *to = if *from == b'_' { b'-' } else { *from };
    }
    Field::classify(dashed) != Field::Other
}

/// Content-Length or Transfer-Encoding, as the body will be framed, and the upgrade that is asked for.
fn framing(out: &mut Vec<u8>, exchange: &Exchange) {
    match exchange.head.framing {
        Framing::Length(length) => encode::content_length(out, length),
        Framing::Chunked => out.extend_from_slice(b"Transfer-Encoding: chunked\r\n"),
        Framing::None | Framing::Close => {}
    }
    if exchange.head.expect_continue {
        out.extend_from_slice(b"Expect: 100-continue\r\n");
    }
    if let Some(upgrade) = upgrade_asked(exchange) {
        pieces(out, &[b"Connection: Upgrade\r\nUpgrade: ", upgrade, b"\r\n"]);
    }
}

/// The protocol that the client asks to switch to. HTTP/2 by upgrade is not passed on: behind a
/// gateway it would be a way around every rule of the route (RFC 9113 section 3.1 dropped it).
pub fn upgrade_asked(exchange: &Exchange) -> Option<&[u8]> {
    let upgrade = exchange.head.upgrade?.of(&exchange.input);
    (!upgrade.is_empty() && !upgrade.to_ascii_lowercase().windows(3).any(|part| part == b"h2c"))
        .then_some(upgrade)
}

/// Where the request came from: X-Forwarded-For, -Proto, -Host and, if wanted, Forwarded (RFC 7239).
/// What the client says of itself counts only when it is trusted.
fn forwarded(out: &mut Vec<u8>, live: &Live, exchange: &Exchange, peer: Peer) {
    let input = &exchange.input[..];
    let headers = &exchange.head.headers;
    let trusted = exchange.is_trusted();
    let values = |field| headers.all(field).map(|header| header.value.of(input)).filter(|_| trusted);

    let proto = exchange.asker.and_then(|asker| asker.proto).unwrap_or(Proto::Http).as_str().as_bytes();
    out.extend_from_slice(b"X-Forwarded-For: ");
    for value in values(Field::XForwardedFor) {
        pieces(out, &[value, b", "]);
    }
    pieces(out, &[peer.text(), b"\r\nX-Forwarded-Proto: ", proto, b"\r\n"]);
    let host = values(Field::XForwardedHost).next().unwrap_or(exchange.head.authority.of(input));
    if !host.is_empty() {
        field(out, b"X-Forwarded-Host", host);
    }
    if live.plan.server.marks.forwarded {
        out.extend_from_slice(b"Forwarded: ");
        for value in values(Field::Forwarded) {
            pieces(out, &[value, b", "]);
        }
        let (open, close): (&[u8], &[u8]) =
            if peer.ip.is_ipv6() { (b"for=\"[", b"]\"") } else { (b"for=", b"") };
        pieces(out, &[open, peer.text(), close, b";proto=http"]);
        let host = exchange.head.authority.of(input);
        if !host.is_empty() {
            pieces(out, &[b";host=\"", host, b"\""]);
        }
        out.extend_from_slice(b"\r\n");
    }
}

/// Via (RFC 9110 section 7.6.3), X-Request-Id, traceparent.
fn marks(out: &mut Vec<u8>, live: &Live, exchange: &Exchange) {
    via(out, live, exchange.head.version);
    request_id(out, exchange);
    if !exchange.traceparent.is_empty() {
        field(out, b"traceparent", &exchange.traceparent);
    }
}

/// X-Request-Id, if requests have one.
pub fn request_id(out: &mut Vec<u8>, exchange: &Exchange) {
    if !exchange.request_id.is_empty() {
        field(out, b"X-Request-Id", &exchange.request_id);
    }
}

/// `Via: 1.1 name`, with the version that the message was received in, if this hop is to be named.
pub fn via(out: &mut Vec<u8>, live: &Live, version: Version) {
    let Some(name) = &live.plan.server.marks.via else { return };
    let start = match version {
        Version::Http10 => b"Via: 1.0 ",
        Version::Http11 => b"Via: 1.1 ",
    };
    pieces(out, &[start, name.as_bytes(), b"\r\n"]);
}

/// Whether a list of edits replaces or removes a field, so that what came is not passed on.
pub fn edited(edits: &[HeaderEdit], name: &[u8]) -> bool {
    edits.iter().any(|edit| match edit {
        HeaderEdit::Set(edited, _) | HeaderEdit::Remove(edited) => {
            edited.as_bytes().eq_ignore_ascii_case(name)
        }
        HeaderEdit::Add(..) => false,
    })
}

/// Adds the fields that a list of edits adds or sets.
pub fn edits(out: &mut Vec<u8>, edits: &[HeaderEdit]) {
    for edit in edits {
        if let HeaderEdit::Add(name, value) | HeaderEdit::Set(name, value) = edit {
            field(out, name.as_bytes(), value.as_bytes());
        }
    }
}

/// Fills in the request's id and trace parent, before the first try.
pub fn identify(core: &Core, live: &Live, exchange: &mut Exchange) {
    let marks = &live.plan.server.marks;
    let trusted = exchange.is_trusted();
    let mut rng = core.rng.borrow_mut();
    if marks.request_id {
        let sent = exchange.head.headers.get(Field::XRequestId).map(|header| header.value);
        match sent.filter(|id| trusted && (1..=128).contains(&id.len())) {
            Some(id) => exchange.request_id.extend_from_slice(id.of(&exchange.input)),
            None => hex(&mut exchange.request_id, rng.u128(..)),
        }
    }
    if marks.traceparent {
        let values =
            exchange.head.headers.all(Field::Traceparent).map(|header| header.value.of(&exchange.input));
        let trace = Trace::of(values, &mut rng);
        exchange.is_trace_continued = matches!(trace, Trace::Continued(_));
        exchange.traceparent.extend_from_slice(&trace.parent().format());
    }
}

/// 32 hex digits.
fn hex(out: &mut Vec<u8>, number: u128) {
    let [high, low] = [(number >> 64) as u64, number as u64].map(encode::hexadecimal_digits);
    pieces(out, &[&high, &low]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rest_is_what_the_prefix_left_over() {
        assert_eq!(rest(b"/api/v1/items", "/api/*"), b"v1/items");
        assert_eq!(rest(b"/api", "/api/*"), b"");
        assert_eq!(rest(b"/a/b/c", "/*"), b"a/b/c");
        assert_eq!(rest(b"/t/7/x/y", "/t/{id}/*"), b"x/y");
        assert_eq!(rest(b"/exact", "/exact"), b"");
    }
}
