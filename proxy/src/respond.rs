//! Answers that Tidegate gives by itself: refusals, redirects, fixed bodies.
//!
//! A refusal is small, honest and consistent: problem+json (RFC 9457) for programs, a plain HTML
//! page for browsers, whatever the route's own error page says for both. It names the reason and
//! the request's id, and nothing of the inside.

use std::io::Write as _;
use std::time::Duration;

use config::Action;
use signals::request::{Stage, Who};
use traffic::Refusal;
use traffic::route::{NoRoute, Params};
use wire::encode::{self, field};
use wire::{Field, Framing, Method, Version};

use crate::browser::{self, Varies};
use crate::client::Client;
use crate::compress::{self, Shape, Subject};
use crate::core::Core;
use crate::exchange::Exchange;
use crate::files;
use crate::inbound;
use crate::limits;
use crate::live::Live;
use crate::outbound::{edited, edits, expand};
use crate::pipeline::Stop;
use crate::room;

/// Least and most seconds that a client is asked to wait where nobody knows how long it will take.
const RETRY_AFTER_SECONDS: std::ops::RangeInclusive<u32> = 1..=5;

/// Error pages of a route.
#[derive(Clone, Debug, Default)]
pub struct Pages(Vec<config::ErrorPage>);

impl Pages {
    /// Pages as configured.
    pub fn new(pages: &[config::ErrorPage]) -> Self {
        Self(pages.to_vec())
    }

    fn get(&self, status: u16) -> Option<&config::ErrorPage> {
        self.0.iter().find(|page| page.status == status)
    }
}

/// What an answer says besides its body.
#[derive(Default)]
struct Answer<'a> {
    status: u16,
    content_type: &'a str,
    body: &'a [u8],
    location: Option<&'a [u8]>,
    retry_after: Option<u32>,
    allow: Option<&'a str>,
    /// It is for this moment, whatever its status says.
    is_passing: bool,
    /// What its page may do, in place of what the route allows.
    policy: Option<&'static str>,
}

/// Answers a preflight for the app: what the route's CORS fields say is all that it says.
pub async fn preflight(
    core: &Core,
    live: &Live,
    client: &mut Client,
    exchange: &mut Exchange,
    route: &config::Route,
) -> Result<(), Stop> {
    let answer = Answer { status: 204, ..Answer::default() };
    send(core, live, client, exchange, Some(route), &answer).await
}

/// Tells a client why its request was refused.
pub async fn refuse(
    core: &Core,
    live: &Live,
    client: &mut Client,
    exchange: &mut Exchange,
    refusal: Refusal,
) -> Result<(), Stop> {
    exchange.facts.refusal = Some(refusal);
    // After a fault in the framing nobody knows where the next request begins.
    if matches!(refusal, Refusal::Malformed(_) | Refusal::HeadTimeout | Refusal::BodyTimeout) {
        client.keep_alive = false;
    }
    let status = refusal.status();
    let route = exchange.facts.route_index.map(|index| (&live.plan.routes[index], &live.routes[index]));
    let page = route.and_then(|(_, parts)| parts.pages.get(status));
    let body;
    let mut policy = None;
    let (content_type, bytes): (&str, &[u8]) = match page {
        _ if let Some((page, is_own)) = waiting(live, route.map(|(route, _)| route), exchange) => {
            body = page.into_bytes();
            policy = is_own.then_some(room::POLICY);
            ("text/html; charset=utf-8", &body)
        }
        Some(page) if exchange.turn.is_none() => (&page.content_type, &page.body),
        _ if wants_html(exchange) => {
            body = html(refusal, exchange);
            ("text/html; charset=utf-8", &body)
        }
        _ => {
            body = problem(refusal, exchange);
            ("application/problem+json", &body)
        }
    };
    let allow = (refusal == Refusal::MethodNotAllowed).then(|| allowed(live, exchange));
    let answer = Answer {
        status,
        content_type,
        body: bytes,
        retry_after: refusal.is_passing().then(|| retry_after(core, exchange)),
        allow: allow.as_deref(),
        policy,
        ..Answer::default()
    };
    send(core, live, client, exchange, route.map(|(route, _)| route), &answer).await
}

/// Seconds that a client is asked to wait: what is known; else at random, but never fewer than its limit needs, where one
/// says.
fn retry_after(core: &Core, exchange: &Exchange) -> u32 {
    if let Some(seconds) = exchange.retry_after {
        return seconds;
    }
    match exchange.facts.limited.and_then(|limited| limited.wait) {
        Some(wait) => at_least(core, wait),
        None => core.rng.borrow_mut().u32(RETRY_AFTER_SECONDS),
    }
}

/// Seconds that a client is asked to wait who has no chance before: as many, and up to a quarter more or 2 s, so that those
/// who were refused together do not come back together.
pub fn at_least(core: &Core, wait: Duration) -> u32 {
    let least = u32::try_from(limits::seconds(wait)).unwrap_or(u32::MAX).max(1);
    least.saturating_add(core.rng.borrow_mut().u32(0..=(least / 4).max(2)))
}

/// Answers with a redirect.
pub async fn redirect(
    core: &Core,
    live: &Live,
    client: &mut Client,
    exchange: &mut Exchange,
    route: &config::Route,
    to: &str,
    status: u16,
) -> Result<(), Stop> {
    let mut location = Vec::new();
    expand(&mut location, to, live, exchange, route);
    let answer = Answer {
        status,
        content_type: "text/plain; charset=utf-8",
        location: Some(&location),
        ..Answer::default()
    };
    send(core, live, client, exchange, Some(route), &answer).await
}

/// Answers with a fixed body.
#[allow(clippy::too_many_arguments)]
pub async fn fixed(
    core: &Core,
    live: &Live,
    client: &mut Client,
    exchange: &mut Exchange,
    route: &config::Route,
    status: u16,
    body: &str,
    content_type: &str,
) -> Result<(), Stop> {
    let answer = Answer { status, content_type, body: body.as_bytes(), ..Answer::default() };
    send(core, live, client, exchange, Some(route), &answer).await
}

/// Answers with a page in place of an upstream that takes nothing.
pub async fn stand_in(
    core: &Core,
    live: &Live,
    client: &mut Client,
    exchange: &mut Exchange,
    route: &config::Route,
    page: &config::ErrorPage,
) -> Result<(), Stop> {
    let retry_after = (page.status >= 500).then(|| retry_after(core, exchange));
    let answer = Answer {
        status: page.status,
        content_type: &page.content_type,
        body: &page.body,
        retry_after,
        is_passing: true,
        ..Answer::default()
    };
    send(core, live, client, exchange, Some(route), &answer).await
}

/// The page of a waiting room for somebody who waits there and can look at one.
fn waiting(live: &Live, route: Option<&config::Route>, exchange: &Exchange) -> Option<(String, bool)> {
    let turn = exchange.turn.as_ref().filter(|_| wants_html(exchange))?;
    Some(room::page(&live.rooms[route?.room?], turn))
}

/// Tells a program how it stands; the answer is for this moment alone.
pub async fn told(
    core: &Core,
    live: &Live,
    client: &mut Client,
    exchange: &mut Exchange,
    route: &config::Route,
    body: String,
) -> Result<(), Stop> {
    let answer = Answer {
        status: 200,
        content_type: "application/json",
        body: body.as_bytes(),
        is_passing: true,
        ..Answer::default()
    };
    send(core, live, client, exchange, Some(route), &answer).await
}

async fn send(
    core: &Core,
    live: &Live,
    client: &mut Client,
    exchange: &mut Exchange,
    route: Option<&config::Route>,
    answer: &Answer<'_>,
) -> Result<(), Stop> {
    settle_body(client, exchange);
    client.keep_alive &= !core.shared.is_draining();
    exchange.facts.status = answer.status;
    write(core, live, client, exchange, route, answer);
    let sent = client.flush(live, exchange).await;
    if sent { Ok(()) } else { Err(Stop::Cut(Who::Client, Stage::Deliver)) }
}

/// A request's body that nobody reads: what came of it is dropped; if all of it came, the
/// connection stays usable, otherwise it ends with this answer (RFC 9112 section 9.3).
pub fn settle_body(client: &mut Client, exchange: &mut Exchange) {
    if exchange.facts.tries > 0 {
        // A try has begun to read the body; where it stands is not known here.
        client.unread = exchange.head.framing != Framing::None;
        client.keep_alive &= !client.unread;
        return;
    }
    let limits = wire::Limits::default();
    let mut reader = wire::BodyReader::new(exchange.head.framing, &limits);
    let mut rest = if exchange.facts.begun.is_some() { exchange.behind_head() } else { &[] };
    while !reader.is_done() {
        match reader.read(rest) {
            Ok(piece) if piece.consumed > 0 => rest = &rest[piece.consumed..],
            _ => {
                client.keep_alive = false;
                client.unread = true;
                return;
            }
        }
    }
    if client.pending.is_empty() {
        client.pending.extend_from_slice(rest);
    }
}

/// Puts the answer into the backlog of the client.
fn write(
    core: &Core,
    live: &Live,
    client: &Client,
    exchange: &mut Exchange,
    route: Option<&config::Route>,
    answer: &Answer<'_>,
) {
    let mut out = core.out.borrow_mut();
    out.clear();
    encode::status_line(&mut out, answer.status);
    core.date(&mut out);
    let mut coded = core.coded.borrow_mut();
    let shape = route.map_or(Shape::Plain, |route| shape(core, route, exchange, answer, &mut coded));
    let body = if matches!(shape, Shape::Coded { .. }) { &coded } else { answer.body };
    let bodiless = matches!(answer.status, 100..=199 | 204 | 304);
    if !bodiless {
        encode::content_length(&mut out, body.len() as u64);
    }
    own_fields(&mut out, route.map_or(&[], |route| &route.response_headers), answer, bodiless);
    match (route, &live.plan.server.security) {
        (Some(route), _) => route_fields(&mut out, route, exchange, shape, answer.policy),
        (None, Some(security)) => browser::careful(&mut out, security, exchange, |_| false),
        (None, None) => {}
    }
    inbound::marks(&mut out, live, exchange, Version::Http11);
    if let Some(route) = route {
        edits(&mut out, &route.response_headers);
    }
    let version = if exchange.facts.begun.is_some() { exchange.head.version } else { Version::Http11 };
    inbound::connection(&mut out, version, client.keep_alive);
    out.extend_from_slice(b"\r\n");
    let is_head = exchange.facts.begun.is_some() && exchange.head.method == Method::Head;
    if !is_head && !bodiless {
        out.extend_from_slice(body);
    }
    exchange.facts.sent_bytes += out.len() as u64;
    exchange.download.push(&out);
}

/// Whether the body of an answer is coded; if so, into `coded`.
fn shape(
    core: &Core,
    route: &config::Route,
    exchange: &Exchange,
    answer: &Answer<'_>,
    coded: &mut Vec<u8>,
) -> Shape {
    let subject = Subject {
        status: answer.status,
        content_type: Some(answer.content_type.as_bytes()),
        is_coded: false,
        no_transform: false,
        has_digest: false,
        length: Some(answer.body.len() as u64),
    };
    compress::decide(core, route, exchange, &subject)
        .and_then(|coding| compress::once(core, coding, answer.body, coded))
        .unwrap_or_else(|shape| shape)
}

/// The fields that the route's settings add to every answer.
fn route_fields(
    out: &mut Vec<u8>,
    route: &config::Route,
    exchange: &Exchange,
    shape: Shape,
    policy: Option<&str>,
) {
    if let Some(policy) = policy {
        field(out, b"Content-Security-Policy", policy.as_bytes());
    }
    if let Shape::Coded { algorithm, .. } = shape {
        field(out, b"Content-Encoding", algorithm.token().as_bytes());
    }
    let varies = Varies::of(route, exchange, shape.varies());
    if varies.any() {
        varies.write(out, std::iter::empty);
    }
    browser::fields(out, route, exchange, |name| policy.is_some() && name == b"content-security-policy");
}

/// The fields that an answer has of its own, but for those that the route replaces or removes.
fn own_fields(out: &mut Vec<u8>, changes: &[config::HeaderEdit], answer: &Answer<'_>, bodiless: bool) {
    let mut own = |name: &[u8], value: &[u8]| {
        if !edited(changes, name) {
            field(out, name, value);
        }
    };
    if !bodiless && (!answer.body.is_empty() || answer.location.is_none()) {
        own(b"Content-Type", answer.content_type.as_bytes());
    }
    if let Some(location) = answer.location {
        own(b"Location", location);
    }
    if let Some(allow) = answer.allow {
        own(b"Allow", allow.as_bytes());
    }
    if let Some(seconds) = answer.retry_after {
        own(b"Retry-After", itoa::Buffer::new().format(seconds).as_bytes());
    }
    if answer.status >= 400 || answer.is_passing {
        own(b"Cache-Control", b"no-store");
    }
}

/// Whether the client would rather read a page than a document for programs.
fn wants_html(exchange: &Exchange) -> bool {
    exchange.facts.begun.is_some()
        && exchange.head.headers.all(Field::Accept).any(|accept| {
            let value = accept.value.of(&exchange.input);
            value.windows(9).any(|part| part.eq_ignore_ascii_case(b"text/html"))
        })
}

/// The methods that the routes of this host and path take.
fn allowed(live: &Live, exchange: &Exchange) -> String {
    let header = |name: &str| exchange.header(name);
    match live.table.select(&exchange.query(&header), &mut Params::new()) {
        Err(NoRoute::MethodNotAllowed { allow }) => allow.to_string(),
        // The route takes any method, and what it does with them does not.
        Ok(id) if matches!(live.route(id).0.action, Action::Files(_)) => files::ALLOW.to_owned(),
        _ => String::new(),
    }
}

/// RFC 9457.
fn problem(refusal: Refusal, exchange: &Exchange) -> Vec<u8> {
    let mut body = Vec::with_capacity(256);
    // Writing to a Vec does not fail. Every text in it is our own and needs no escaping, but for
    // the id, which a trusted hop may have chosen.
    let _ = write!(
        body,
        "{{\"title\":\"{}\",\"status\":{},\"detail\":\"{}\",\"code\":\"{}\"",
        encode::reason(refusal.status()),
        refusal.status(),
        refusal.what(),
        refusal.code()
    );
    if let Some(detail) = refusal.detail().filter(|_| matches!(refusal, Refusal::Malformed(_))) {
        let _ = write!(body, ",\"rule\":\"{}\"", detail.code());
    }
    if let Some(turn) = &exchange.turn {
        let mut members = String::new();
        room::members(&mut members, turn);
        body.extend_from_slice(members.as_bytes());
    }
    if !exchange.request_id.is_empty() {
        body.extend_from_slice(b",\"request_id\":\"");
        plain(&mut body, &exchange.request_id);
        body.push(b'"');
    }
    body.extend_from_slice(b"}\n");
    body
}

fn html(refusal: Refusal, exchange: &Exchange) -> Vec<u8> {
    let status = refusal.status();
    let mut body = Vec::with_capacity(1024);
    let _ = write!(
        body,
        concat!(
            "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n",
            "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n",
            "<title>{status} {reason}</title>\n",
            "<style>:root{{color-scheme:light dark}}body{{font:1rem/1.5 system-ui,sans-serif;max-width:32rem;",
            "margin:20vh auto;padding:0 1.5rem}}h1{{font-size:1.4rem;margin:0}}small{{opacity:.6}}</style>\n",
            "<h1>{reason}</h1>\n<p>{what}.</p>\n<small>{status} · {code}"
        ),
        status = status,
        reason = encode::reason(status),
        what = sentence(refusal.what()),
        code = refusal.code(),
    );
    if !exchange.request_id.is_empty() {
        body.extend_from_slice(" · ".as_bytes());
        plain(&mut body, &exchange.request_id);
    }
    body.extend_from_slice(b"</small>\n");
    body
}

/// The text with its first letter large.
fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// Letters, digits and what ids are made of; anything else would have to be escaped.
fn plain(out: &mut Vec<u8>, text: &[u8]) {
    out.extend(text.iter().filter(|byte| byte.is_ascii_alphanumeric() || b"-_.:/=+".contains(byte)));
}
