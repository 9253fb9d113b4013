//! The response as the client gets it: every field written anew, framed for what the client
//! speaks, the marks of this hop added.

use std::time::Duration;

use cache::status::{self, Forwarded, Outcome};
use config::HeaderEdit;
use wire::encode::{self, field};
use wire::{Field, Framing, Method, Version};

use crate::browser::{self, Varies};
use crate::compress::{self, Shape};
use crate::core::Core;
use crate::exchange::Exchange;
use crate::limits;
use crate::lines::Lines;
use crate::live::Live;
use crate::outbound::{edited, edits, request_id, via};

/// How a response's body goes to the client.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Delivery {
    /// No body.
    Empty,
    /// As many bytes as the head says.
    Length,
    /// In chunks.
    Chunked,
    /// Until the connection closes: a client of HTTP/1.0, a body of unknown length.
    Close,
}

/// Chooses how the body goes to the client.
pub fn delivery(exchange: &Exchange, shape: Shape) -> Delivery {
    match framing(exchange, shape) {
        Framing::None => Delivery::Empty,
        Framing::Length(_) => Delivery::Length,
        Framing::Chunked | Framing::Close if exchange.takes_chunks() => Delivery::Chunked,
        Framing::Chunked | Framing::Close => Delivery::Close,
    }
}

/// The framing of the endpoint's response, or what coding makes of it.
fn framing(exchange: &Exchange, shape: Shape) -> Framing {
    match (exchange.response.framing, shape) {
        (Framing::None, _) => Framing::None,
        (_, Shape::Coded { length: Some(length), .. }) => Framing::Length(length),
        (_, Shape::Coded { length: None, .. }) => Framing::Chunked,
        (framing, _) => framing,
    }
}

/// What this hop knows of a response besides the response itself.
#[derive(Clone, Copy, Debug)]
pub struct Hop<'a> {
    /// The core, for its clock.
    pub core: &'a Core,
    /// The configuration that the request began with.
    pub live: &'a Live,
    /// Its route.
    pub route: &'a config::Route,
    /// The client's connection stays open.
    pub keep_alive: bool,
    /// `Set-Cookie` that names the endpoint.
    pub sticky: Option<&'a [u8]>,
    /// Whether the body is coded on the way.
    pub shape: Shape,
}

/// Writes the response's head into `out`; `buffer` is what the endpoint's head was parsed from.
pub fn head(out: &mut Vec<u8>, hop: Hop<'_>, exchange: &Exchange, buffer: &[u8]) {
    let response = &exchange.response;
    let varies = Varies::of(hop.route, exchange, hop.shape.varies());
    let is_kept = |field, name: &[u8]| match field {
        Field::Vary => !varies.any(),
        Field::Other => hop.route.cors.is_none() || !browser::is_ours(name),
        // It has come to whom it was meant for.
        Field::TidegateCacheControl => hop.route.cache.is_none() || exchange.is_fill(),
        field => !hop.shape.replaces(field),
    };
    status_and_fields(out, exchange, buffer, hop.route, is_kept);
    let goes_on = response.headers.contains(Field::Date) && !response.ends_here(buffer, b"date");
    let has_date = goes_on || exchange.is_fill();
    if !has_date && !edited(&hop.route.response_headers, b"date") {
        // Whoever passes a response on says when it came, if nobody did (RFC 9110 section 6.6.1); the cache does so
        // by its own clock.
        hop.core.date(out);
    }
    length(out, hop, exchange, buffer);
    marks(out, hop.live, exchange, response.version);
    if let Some(why) = exchange.says_bypass {
        let forwarded = Forwarded { why: why.into(), status: None, stored: false, collapsed: false };
        status::write(Outcome::Forwarded(forwarded), None, Some(why.code()), out);
    }
    if let config::Action::Upstream(index) = hop.route.action
        && hop.live.plan.upstreams[index].queue.server_timing
        && !exchange.is_fill()
    {
        queue_time(out, exchange.facts.times.queued);
    }
    if let Some(cookie) = hop.sticky {
        field(out, b"Set-Cookie", cookie);
    }
    representation(out, hop, exchange, buffer);
    if varies.any() {
        varies.write(out, || response.headers.all(Field::Vary).map(|line| line.value.of(buffer)));
    }
    browser::fields(out, hop.route, exchange, |name| response.headers.find(buffer, name).is_some());
    if exchange.is_fill() && response.status == 304 {
        refreshing_edits(out, exchange, buffer, hop.route);
    } else {
        edits(out, &hop.route.response_headers);
    }
    connection(out, exchange.head.version, hop.keep_alive);
    out.extend_from_slice(b"\r\n");
}

/// How long the request waited for a slot (Server Timing), in milliseconds.
fn queue_time(out: &mut Vec<u8>, queued: Duration) {
    out.extend_from_slice(b"Server-Timing: queue;dur=");
    let tenths = queued.as_micros() as u64 / 100;
    encode::decimal(out, tenths / 10);
    out.push(b'.');
    encode::decimal(out, tenths % 10);
    out.extend_from_slice(b"\r\n");
}

/// How long the body is, or how its end is told.
fn length(out: &mut Vec<u8>, hop: Hop<'_>, exchange: &Exchange, buffer: &[u8]) {
    let response = &exchange.response;
    match framing(exchange, hop.shape) {
        // Nobody knows the length of what would be coded.
        Framing::None if matches!(hop.shape, Shape::Coded { .. }) => {}
        // What a HEAD or a 304 says of a length is said on (RFC 9110 section 8.6).
        Framing::None if exchange.head.method == Method::Head || response.status == 304 => {
            if let Some(length) = response.headers.get(Field::ContentLength) {
                field(out, b"Content-Length", length.value.of(buffer));
            }
        }
        Framing::None if response.status >= 200 && response.status != 204 => {
            out.extend_from_slice(b"Content-Length: 0\r\n");
        }
        Framing::Length(length) => encode::content_length(out, length),
        Framing::Chunked | Framing::Close if exchange.takes_chunks() => {
            out.extend_from_slice(b"Transfer-Encoding: chunked\r\n");
        }
        _ => {}
    }
}

/// What is said of a body that is coded on the way, in place of what the app said of it.
fn representation(out: &mut Vec<u8>, hop: Hop<'_>, exchange: &Exchange, buffer: &[u8]) {
    if let Shape::Coded { algorithm, .. } = hop.shape {
        field(out, b"Content-Encoding", algorithm.token().as_bytes());
    }
    if hop.shape.is_weak()
        && !edited(&hop.route.response_headers, b"etag")
        && let Some(etag) = exchange.response.headers.get(Field::Etag)
    {
        compress::weak_etag(out, etag.value.of(buffer));
    }
}

/// What the route adds to a 304 that refreshes what is stored. A field that it does not mention stays as it is stored,
/// with what the route has added to it then, and would be replaced by what the route adds now.
fn refreshing_edits(out: &mut Vec<u8>, exchange: &Exchange, buffer: &[u8], route: &config::Route) {
    for edit in &route.response_headers {
        if let HeaderEdit::Add(name, value) = edit
            && exchange.response.headers.find(buffer, name.as_bytes()).is_some()
        {
            field(out, name.as_bytes(), value.as_bytes());
        }
    }
}

/// Writes an interim response (RFC 9110 section 15.2).
pub fn interim(out: &mut Vec<u8>, exchange: &Exchange, buffer: &[u8], route: &config::Route) {
    status_and_fields(out, exchange, buffer, route, |_, _| true);
    out.extend_from_slice(b"\r\n");
}

/// Writes the 101 that opens a tunnel.
pub fn switching(out: &mut Vec<u8>, live: &Live, exchange: &Exchange, buffer: &[u8], route: &config::Route) {
    let response = &exchange.response;
    status_and_fields(out, exchange, buffer, route, |_, _| true);
    if let Some(upgrade) = response.headers.get(Field::Upgrade) {
        out.extend_from_slice(b"Connection: Upgrade\r\n");
        field(out, b"Upgrade", upgrade.value.of(buffer));
    }
    marks(out, live, exchange, response.version);
    edits(out, &route.response_headers);
    out.extend_from_slice(b"\r\n");
}

/// `Connection`, where HTTP's default is not what will happen.
pub fn connection(out: &mut Vec<u8>, version: Version, keep_alive: bool) {
    match (version, keep_alive) {
        (Version::Http11, false) => out.extend_from_slice(b"Connection: close\r\n"),
        (Version::Http10, true) => out.extend_from_slice(b"Connection: keep-alive\r\n"),
        _ => {}
    }
}

/// The status line, which goes over as it came where that is what would be written.
fn status_line<'a>(out: &'a mut Vec<u8>, exchange: &Exchange, buffer: &'a [u8]) -> Lines<'a> {
    let response = &exchange.response;
    let reason = response.reason.range();
    let end = reason.end + 2;
    if buffer.starts_with(b"HTTP/1.1 ") && reason.start == 13 && buffer.get(reason.end..end) == Some(b"\r\n")
    {
        return Lines::behind(out, buffer, 0..end);
    }
    encode::status_line_as(out, response.status, &buffer[reason]);
    Lines::new(out, buffer)
}

/// The status line, and the endpoint's fields that go on as they are: those that end here by HTTP's rules are left out,
/// and those that are not kept.
fn status_and_fields(
    out: &mut Vec<u8>,
    exchange: &Exchange,
    buffer: &[u8],
    route: &config::Route,
    is_kept: impl Fn(Field, &[u8]) -> bool,
) {
    let response = &exchange.response;
    let mut lines = status_line(out, exchange, buffer);
    for header in &response.headers {
        let name = header.name.of(buffer);
        let keep = match header.field {
            Field::ContentLength | Field::TransferEncoding => false,
            Field::XRequestId => exchange.request_id.is_empty(),
            field => !field.is_hop_by_hop(),
        };
        if keep
            && is_kept(header.field, name)
            && !response.ends_here(buffer, name)
            && !edited(&route.response_headers, name)
        {
            lines.keep(header);
        }
    }
}

/// The marks of this hop on a response that came in `version`.
pub fn marks(out: &mut Vec<u8>, live: &Live, exchange: &Exchange, version: Version) {
    via(out, live, version);
    // What is stored gets those of each request that it answers.
    if !exchange.is_fill() {
        own_marks(out, live, exchange);
    }
}

/// The marks that belong to this request alone.
pub fn own_marks(out: &mut Vec<u8>, live: &Live, exchange: &Exchange) {
    request_id(out, exchange);
    limits::fields(out, live, exchange);
    out.extend_from_slice(&exchange.lines);
}
