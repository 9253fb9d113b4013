//! Conditions: those of clients, answered from what is stored, and our own, by which the origin says whether that is
//! still good (RFC 9110 section 13, RFC 9111 section 4.3).

use wire::{Field, Headers, ResponseHead, encode};

use crate::freshness::{date_s, http_date_s};
use crate::storable::{stored_lines, stored_values};
use crate::{Ask, Terms};

/// What a request's conditions come to, for a stored response that it may be given.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// Deliver it, or the range of it that is asked for.
    Deliver,
    /// The client has it already: 304.
    NotModified,
    /// If-Match or If-Unmodified-Since does not hold for what is stored. Whether it holds is for the origin to say,
    /// which may have something newer (RFC 9110 section 13.1.1), so the request is forwarded.
    Forward,
}

/// Evaluates the conditions of a request, in the order of RFC 9110 section 13.2.2. `head` is the stored head that
/// `terms` speak of, `status` its status; only a successful response has conditions (section 13.2.1).
pub fn evaluate(ask: &Ask<'_>, terms: &Terms, head: &[u8], status: u16) -> Verdict {
    if !(200..300).contains(&status) {
        return Verdict::Deliver;
    }
    let (headers, buf) = (&ask.head.headers, ask.buf);
    let etag = terms.etag.map(|span| span.of(head));
    if headers.contains(Field::IfMatch) {
        if !lists_match(headers, buf, Field::IfMatch, etag, strong) {
            return Verdict::Forward;
        }
    } else if let Some(limit_s) = only_date(headers, buf, Field::IfUnmodifiedSince)
        && terms.last_modified.is_none_or(|(changed_s, _)| changed_s > limit_s)
    {
        return Verdict::Forward;
    }
    let unmodified = if headers.contains(Field::IfNoneMatch) {
        lists_match(headers, buf, Field::IfNoneMatch, etag, weak)
    } else {
        only_date(headers, buf, Field::IfModifiedSince)
            .is_some_and(|since_s| changed_s(terms, head).is_some_and(|changed_s| changed_s <= since_s))
    };
    if unmodified { Verdict::NotModified } else { Verdict::Deliver }
}

/// Whether a field of a request stays out of the request that fills the cache: what is stored is to be whole, and
/// is for others as well.
pub const fn is_left_out(field: Field) -> bool {
    matches!(
        field,
        Field::IfMatch
            | Field::IfNoneMatch
            | Field::IfModifiedSince
            | Field::IfUnmodifiedSince
            | Field::IfRange
            | Field::Range
    )
}

/// Appends the fields by which a request validates a stored response (RFC 9111 section 4.3.1). Nothing is appended
/// when it has no validator.
pub fn write_validation(terms: &Terms, head: &[u8], out: &mut Vec<u8>) {
    if let Some(etag) = terms.etag {
        encode::field(out, b"If-None-Match", etag.of(head));
    }
    if let Some((_, changed)) = terms.last_modified {
        encode::field(out, b"If-Modified-Since", changed.of(head));
    }
}

/// Whether a 304 is about this stored response (RFC 9111 section 4.3.4). One that names a validator has to name ours;
/// one that names none answers our own question, in which there was only one response to mean.
pub fn freshens(terms: &Terms, stored: &[u8], head: &ResponseHead, buf: &[u8]) -> bool {
    if let Some(line) = head.headers.get(Field::Etag) {
        let new = line.value.of(buf);
        let Some(old) = terms.etag.map(|span| span.of(stored)) else { return false };
        return if is_weak(new) { weak(new, old) } else { strong(new, old) };
    }
    match (date_s(&head.headers, buf, Field::LastModified), terms.last_modified) {
        (Some(new_s), Some((old_s, _))) => new_s == old_s,
        (Some(_), None) => terms.etag.is_some(),
        (None, _) => true,
    }
}

/// Appends the head of a 304: those fields of the stored head that RFC 9110 section 15.4.5 asks for, and those that
/// say how the answer came about. Age and what else differs by client is for the caller to add, and the empty line.
pub fn write_not_modified(head: &[u8], out: &mut Vec<u8>) {
    encode::status_line(out, 304);
    let has_etag = stored_values(head, Field::Etag).next().is_some();
    for (name, value) in stored_lines(head) {
        let sent = match Field::classify(name) {
            Field::CacheControl
            | Field::CacheStatus
            | Field::CdnCacheControl
            | Field::ContentLocation
            | Field::Date
            | Field::Etag
            | Field::Expires
            | Field::Vary
            | Field::Via => true,
            Field::LastModified => !has_etag,
            _ => false,
        };
        if sent {
            encode::field(out, name, value);
        }
    }
}

/// Whether two entity tags are the same by strong comparison (RFC 9110 section 8.8.3.2).
pub fn strong(one: &[u8], other: &[u8]) -> bool {
    one == other && !is_weak(one) && is_entity_tag(one)
}

/// Whether two entity tags are the same by weak comparison (RFC 9110 section 8.8.3.2).
pub fn weak(one: &[u8], other: &[u8]) -> bool {
    let skip = |tag: &[u8]| if is_weak(tag) { 2 } else { 0 };
    let (one, other) = (&one[skip(one)..], &other[skip(other)..]);
    one == other && is_entity_tag(one)
}

/// Since when the response has been what it is, for If-Modified-Since; without Last-Modified it is as old as its Date
/// (RFC 9111 section 4.3.2).
fn changed_s(terms: &Terms, head: &[u8]) -> Option<u64> {
    match terms.last_modified {
        Some((changed_s, _)) => Some(changed_s),
        None => http_date_s(stored_values(head, Field::Date).next()?),
    }
}

/// The date of a condition. One that is no date, or comes twice, is not there (RFC 9110 section 13.1.3).
fn only_date(headers: &Headers, buf: &[u8], field: Field) -> Option<u64> {
    if headers.repeats(field) { None } else { date_s(headers, buf, field) }
}

fn lists_match(
    headers: &Headers,
    buf: &[u8],
    field: Field,
    etag: Option<&[u8]>,
    same: fn(&[u8], &[u8]) -> bool,
) -> bool {
    headers.all(field).any(|line| {
        let value = line.value.of(buf);
        // What is stored is a representation, which is all that an asterisk asks for.
        value == b"*" || etag.is_some_and(|etag| entity_tags(value).any(|tag| same(tag, etag)))
    })
}

/// The entity tags of a list, up to the first thing that is none. Between their quotes may be commas.
fn entity_tags(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = value;
    core::iter::from_fn(move || {
        while let [b',' | b' ' | b'\t', after @ ..] = rest {
            rest = after;
        }
        let prefix = if rest.starts_with(b"W/") { 2 } else { 0 };
        let inner = rest[prefix..].strip_prefix(b"\"")?;
        let len = prefix + 2 + memchr::memchr(b'"', inner)?;
        let (tag, after) = rest.split_at(len);
        rest = if matches!(after.first(), None | Some(b',' | b' ' | b'\t')) { after } else { b"" };
        Some(tag)
    })
}

fn is_weak(tag: &[u8]) -> bool {
    tag.starts_with(b"W/")
}

/// Whether it has the quotes without which it is nothing that anybody may compare.
fn is_entity_tag(tag: &[u8]) -> bool {
    tag.len() >= 2 && tag.starts_with(b"\"") && tag.ends_with(b"\"")
}
