//! What a file is answered with: its head, conditions and ranges by the rules of crate `cache`, the marks of this hop.

use cache::Terms;
use cache::condition::{self, Verdict};
use cache::range::{self, Choice};
use signals::request::{Stage, Who};
use traffic::Refusal;
use wire::encode::{self, field};
use wire::{Method, Version};

use super::coded::{self, How};
use super::deliver::{Boundary, Parts, deliver};
use super::item::Item;
use super::{ALLOW, At};
use crate::browser::{self, Varies};
use crate::client::Client;
use crate::exchange::Exchange;
use crate::outbound::{edited, edits};
use crate::pipeline::Stop;
use crate::{inbound, respond};

/// Answers with a file, or a part of it, or says that the client has it already. `fallback` says that it stands in for
/// a path that is no file, which only browsers get.
pub async fn file(
    at: At<'_>,
    client: &mut Client,
    exchange: &mut Exchange,
    item: &Item,
    fallback: bool,
    mut how: How,
) -> Result<(), Stop> {
    let encoder = if let How::Piecewise(_, encoder) = &mut how { encoder.take() } else { None };
    let item = if let How::Whole(coded) = &how { coded } else { item };
    let mut whole = std::mem::take(&mut exchange.reply);
    let terms = match &how {
        How::Piecewise(algorithm, _) => coded::write_head(at.core, item, *algorithm, &mut whole),
        How::Plain { .. } | How::Whole(_) => {
            item.write_head(at.core, &mut whole);
            item.terms
        }
    };
    write_varies(item, &how, &mut whole);
    if fallback {
        field(&mut whole, b"Vary", b"Accept");
    }
    let is_made = item.is_made || matches!(how, How::Piecewise(..));
    let (status, parts) = choose(at, exchange, item, (&whole, &terms), is_made);
    exchange.facts.status = status;
    let encoder = encoder.filter(|_| status == 200);
    if encoder.is_some() {
        // How long it will be nobody knows.
        client.keep_alive &= exchange.takes_chunks();
        if exchange.takes_chunks() {
            field(&mut whole, b"Transfer-Encoding", b"chunked");
        }
    }
    head(at, client, exchange, |out| match &parts {
        Parts::One(slice) if status == 206 => range::write_head_of_one(&whole, *slice, item.len, out),
        Parts::Several(slices, boundary) => {
            range::write_head_of_several(&whole, slices, item.len, boundary, out);
        }
        _ => match status {
            304 => condition::write_not_modified(&whole, out),
            412 => {
                encode::status_line(out, 412);
                at.core.date(out);
                out.extend_from_slice(b"Content-Length: 0\r\n");
            }
            416 => {
                range::write_unsatisfiable(item.len, out);
                at.core.date(out);
            }
            _ => out.extend_from_slice(&whole),
        },
    });
    exchange.reply = whole;
    match encoder {
        Some(encoder) => coded::deliver(at, client, exchange, item, encoder).await,
        None => deliver(at, client, exchange, item, parts).await,
    }
}

/// Says that others get the file coded, if its head does not say so already.
fn write_varies(item: &Item, how: &How, out: &mut Vec<u8>) {
    if !item.varies && matches!(how, How::Plain { varies: true }) {
        field(out, b"Vary", b"Accept-Encoding");
    }
}

/// Answers 404 with the folder's own page.
pub async fn not_found(
    at: At<'_>,
    client: &mut Client,
    exchange: &mut Exchange,
    item: &Item,
    how: How,
) -> Result<(), Stop> {
    let item = if let How::Whole(coded) = &how { coded } else { item };
    exchange.facts.refusal = Some(Refusal::FileNotFound);
    exchange.facts.status = 404;
    head(at, client, exchange, |out| {
        item.write_not_found_head(at.core, out);
        write_varies(item, &how, out);
    });
    let parts = if exchange.head.method == Method::Head { Parts::None } else { Parts::whole(item) };
    deliver(at, client, exchange, item, parts).await
}

/// Answers with the address that a file has instead.
pub async fn moved(
    at: At<'_>,
    client: &mut Client,
    exchange: &mut Exchange,
    location: &[u8],
) -> Result<(), Stop> {
    exchange.facts.status = 308;
    head(at, client, exchange, |out| {
        encode::status_line(out, 308);
        at.core.date(out);
        field(out, b"Location", location);
        out.extend_from_slice(b"Content-Length: 0\r\n");
    });
    send_head(at, client, exchange).await
}

/// Says which methods there are.
pub async fn options(at: At<'_>, client: &mut Client, exchange: &mut Exchange) -> Result<(), Stop> {
    exchange.facts.status = 204;
    head(at, client, exchange, |out| {
        encode::status_line(out, 204);
        at.core.date(out);
        field(out, b"Allow", ALLOW.as_bytes());
    });
    send_head(at, client, exchange).await
}

/// What a request gets of a file whose head as a 200 is `whole`; of what was coded here (`is_made`) no parts.
fn choose(
    at: At<'_>,
    exchange: &Exchange,
    item: &Item,
    (whole, terms): (&[u8], &Terms),
    is_made: bool,
) -> (u16, Parts) {
    let ask = cache::Ask::plain(&exchange.head, &exchange.input);
    let chosen = || if is_made { Choice::Whole } else { range::choose(&ask, terms, whole, 200, item.len) };
    match condition::evaluate(&ask, terms, whole, 200) {
        Verdict::NotModified => (304, Parts::None),
        // We are the origin, so nobody else is to be asked whether it holds.
        Verdict::Forward => (412, Parts::None),
        Verdict::Deliver => match chosen() {
            Choice::Whole if exchange.head.method == Method::Head => (200, Parts::None),
            Choice::Whole => (200, Parts::whole(item)),
            Choice::One(slice) => (206, Parts::One(slice)),
            Choice::Several(slices) => (206, Parts::Several(slices, boundary(at))),
            Choice::Unsatisfiable => (416, Parts::None),
        },
    }
}

/// A line that stands in no file but by a chance of one in 2^100.
fn boundary(at: At<'_>) -> Boundary {
    let mut rng = at.core.rng.borrow_mut();
    std::array::from_fn(|_| rng.alphanumeric() as u8)
}

/// Writes a head into the core's buffer: what `write` makes of it, without the fields that the route replaces or
/// removes, and with those of this hop. The request's body, if there is one, is nobody's.
fn head(at: At<'_>, client: &mut Client, exchange: &mut Exchange, write: impl FnOnce(&mut Vec<u8>)) {
    respond::settle_body(client, exchange);
    client.keep_alive &= !at.core.shared.is_draining();
    let changes = &at.route.response_headers[..];
    let mut out = at.core.out.borrow_mut();
    out.clear();
    write(&mut out);
    drop_edited(&mut out, changes);
    inbound::marks(&mut out, at.live, exchange, Version::Http11);
    let varies = Varies::of(at.route, exchange, false);
    if varies.any() {
        varies.write(&mut out, std::iter::empty);
    }
    browser::fields(&mut out, at.route, exchange, |_| false);
    edits(&mut out, changes);
    inbound::connection(&mut out, exchange.head.version, client.keep_alive);
    out.extend_from_slice(b"\r\n");
}

/// Takes the lines out of a head that the route replaces or removes, but for those that frame it.
fn drop_edited(head: &mut Vec<u8>, changes: &[config::HeaderEdit]) {
    if changes.is_empty() {
        return;
    }
    let mut kept = 0;
    let mut at = 0;
    while let Some(len) = head[at..].iter().position(|&byte| byte == b'\n') {
        let line = at..at + len + 1;
        at = line.end;
        let name = head[line.clone()].split(|&byte| byte == b':').next().unwrap_or_default();
        if edited(changes, name) && !name.eq_ignore_ascii_case(b"content-length") {
            continue;
        }
        head.copy_within(line.clone(), kept);
        kept += line.len();
    }
    head.truncate(kept);
}

/// Sends a head without a body.
async fn send_head(at: At<'_>, client: &mut Client, exchange: &mut Exchange) -> Result<(), Stop> {
    {
        let out = at.core.out.borrow();
        exchange.facts.sent_bytes += out.len() as u64;
        exchange.download.push(&out);
    }
    let sent = client.flush(at.live, exchange).await;
    if sent { Ok(()) } else { Err(Stop::Cut(Who::Client, Stage::Deliver)) }
}
