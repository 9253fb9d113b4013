//! The head as it is kept: status line and field lines, each ending in CR LF, ready to be sent.

use wire::{Field, Limits, MAX_HEADERS, Method, ResponseHead, Span, encode};

use super::{Storable, Terms, judge_aged};
use crate::freshness::{self, Times, http_date_s};
use crate::rules::SetCookie;
use crate::{Ask, Bypass, Rules, UnixMs};

/// Appends the head of a response as it is kept: without what is about one connection or one exchange, what is said
/// to this cache alone, and what the route says is to be dropped; with the moment of arrival, as the wall's clock has
/// it, as Date where it has none (RFC 9110 section 6.6.1). `buf` is what `head` was parsed from.
pub fn write_head(head: &ResponseHead, buf: &[u8], rules: &Rules, wall_ms: UnixMs, out: &mut Vec<u8>) {
    encode::status_line(out, head.status);
    for line in &head.headers {
        let name = line.name.of(buf);
        let dropped = line.field == Field::SetCookie && rules.set_cookie == SetCookie::Strip;
        if is_kept(line.field, name) && !dropped && !head.ends_here(buf, name) {
            encode::field(out, name, line.value.of(buf));
        }
    }
    if let Some(date) = own_date(head, buf, wall_ms) {
        encode::field(out, b"Date", date.as_bytes());
    }
}

/// Appends a stored head with what a 304 says in place of what was said before (RFC 9111 section 3.2). The body stays
/// the same, and so does what belongs to it: its length, coding and range. The moment of arrival is its Date if it has
/// none.
fn update_head(old: &[u8], head: &ResponseHead, buf: &[u8], wall_ms: UnixMs, out: &mut Vec<u8>) {
    let date = own_date(head, buf, wall_ms);
    let updates = |field, name: &[u8]| {
        is_kept(field, name)
            && !head.ends_here(buf, name)
            && !matches!(
                field,
                Field::ContentLength | Field::ContentEncoding | Field::ContentRange | Field::SetCookie
            )
    };
    out.extend_from_slice(status_line(old));
    for (name, value) in stored_lines(old) {
        let field = Field::classify(name);
        let is_said_anew = updates(field, name) && head.headers.find(buf, name).is_some()
            || field == Field::Date && date.is_some();
        if !is_said_anew {
            encode::field(out, name, value);
        }
    }
    for line in &head.headers {
        let name = line.name.of(buf);
        if updates(line.field, name) {
            encode::field(out, name, line.value.of(buf));
        }
    }
    if let Some(date) = date {
        encode::field(out, b"Date", date.as_bytes());
    }
}

/// Makes the new head and the new terms of a stored response from a 304 that is about it
/// ([`condition::freshens`](crate::condition::freshens)). `out` is cleared first. The variant stays what it was.
///
/// # Errors
/// Why the response may not be kept any longer. `out` is its head all the same, for the one who asked.
pub fn refresh(
    ask: &Ask<'_>,
    (old_head, old_vary): (&[u8], Option<&[u8]>),
    head: &ResponseHead,
    buf: &[u8],
    rules: &Rules,
    times: Times,
    out: &mut Vec<u8>,
) -> Result<Storable, Bypass> {
    out.clear();
    update_head(old_head, head, buf, times.wall_ms, out);
    // A cookie that may not be dropped is for the one who asked, and then so is the whole.
    if rules.set_cookie == SetCookie::Bypass {
        for line in head.headers.all(Field::SetCookie) {
            encode::field(out, line.name.of(buf), line.value.of(buf));
        }
    }
    let len = out.len();
    out.extend_from_slice(b"\r\n");
    let limits = Limits { head_bytes: u32::MAX, headers: MAX_HEADERS as u16, ..Limits::default() };
    let mut updated = ResponseHead::new();
    let parsed = updated.parse(out, Method::Head, &limits);
    let age_ms = freshness::age_on_arrival_ms(&head.headers, buf, times);
    let judged = match parsed {
        Ok(true) => judge_aged(ask, &updated, out, rules, times, age_ms),
        // More lines than a head may have, now that both are in one.
        _ => Err(Bypass::Malformed),
    };
    out.truncate(len);
    let mut storable = judged?;
    // Where nothing varies any more there is still only this variant's body.
    storable.vary = storable.vary.or_else(|| old_vary.map(Box::from));
    locate_validators(&mut storable.terms, out);
    Ok(storable)
}

/// Finds the validators in a stored head. Two lines of one are none: nobody knows which is meant.
pub fn locate_validators(terms: &mut Terms, stored_head: &[u8]) {
    let only = |field: Field| {
        let mut lines = stored_values(stored_head, field);
        let first = lines.next()?;
        lines.next().is_none().then_some(first)
    };
    let span = |value: &[u8]| {
        let start = value.as_ptr().addr() - stored_head.as_ptr().addr();
        Span::new(start as u32, (start + value.len()) as u32)
    };
    terms.etag = only(Field::Etag).filter(|value| !value.is_empty()).map(span);
    terms.last_modified =
        only(Field::LastModified).and_then(|value| Some((http_date_s(value)?, span(value))));
}

/// The names and values in a stored head.
pub(crate) fn stored_lines(head: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    let mut rest = &head[status_line(head).len()..];
    core::iter::from_fn(move || {
        let end = memchr::memchr(b'\n', rest)?;
        let line = &rest[..end];
        rest = &rest[end + 1..];
        let colon = memchr::memchr(b':', line)?;
        Some((&line[..colon], line[colon + 1..].trim_ascii()))
    })
}

/// The values of a field in a stored head.
pub(crate) fn stored_values(head: &[u8], field: Field) -> impl Iterator<Item = &[u8]> {
    stored_lines(head).filter(move |(name, _)| Field::classify(name) == field).map(|(_, value)| value)
}

fn status_line(head: &[u8]) -> &[u8] {
    &head[..memchr::memchr(b'\n', head).map_or(head.len(), |at| at + 1)]
}

/// Whether a field is kept (RFC 9111 section 3.1). Age is counted anew; Tidegate-Cache-Control has come to whom it was
/// meant for.
fn is_kept(field: Field, name: &[u8]) -> bool {
    let proxy_only = field == Field::Other && name.eq_ignore_ascii_case(b"proxy-authentication-info");
    // The length is that of what is sent, which may be a part: whoever delivers it writes it.
    let ours = matches!(field, Field::Age | Field::ContentLength | Field::TidegateCacheControl);
    !field.is_hop_by_hop() && !ours && !proxy_only
}

/// The moment of arrival as Date, for a response that has none, or none that goes any further.
fn own_date(head: &ResponseHead, buf: &[u8], wall_ms: UnixMs) -> Option<String> {
    let has_date = head.headers.contains(Field::Date) && !head.ends_here(buf, b"date");
    if has_date { None } else { freshness::http_date(wall_ms) }
}
