//! Which parts of a stored body a request gets, and how they are framed (RFC 9110 section 14).

use wire::{Field, encode};

use crate::condition;
use crate::freshness::http_date_s;
use crate::storable::{stored_lines, stored_values};
use crate::{Ask, Terms};

/// Most ranges that are looked at. A request with more gets the whole (RFC 9110 section 14.2 lets us, and section 17.15
/// says why).
pub const MAX_RANGES: usize = 16;

/// Ranges that may overlap another one. Beyond that it is no reader who asks.
const MAX_OVERLAPS: usize = 2;

/// A part of a body, in bytes. Never empty.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Slice {
    /// The first byte.
    pub start: u64,
    /// One past the last byte.
    pub end: u64,
}

impl Slice {
    /// Length in bytes.
    pub const fn len(self) -> u64 {
        self.end - self.start
    }

    /// Whether there is nothing in it, which no chosen slice is.
    pub const fn is_empty(self) -> bool {
        self.end == self.start
    }
}

/// What of a body a request gets.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Choice {
    /// All of it: 200.
    Whole,
    /// One part: 206.
    One(Slice),
    /// At least two parts that do not touch, in the order in which they were asked for: 206 in multipart/byteranges.
    Several(Box<[Slice]>),
    /// None of what is asked for is there: 416.
    Unsatisfiable,
}

/// Chooses what a request gets of a stored body of `len` bytes. `head` is the stored head that `terms` speak of,
/// `status` its status; only 200 has parts (RFC 9110 section 14.2).
pub fn choose(ask: &Ask<'_>, terms: &Terms, head: &[u8], status: u16, len: u64) -> Choice {
    let headers = &ask.head.headers;
    if !ask.ranged() || status != 200 || headers.repeats(Field::Range) || !if_range_holds(ask, terms, head) {
        return Choice::Whole;
    }
    if is_made_anew(terms, head) {
        return Choice::Whole;
    }
    headers.get(Field::Range).map_or(Choice::Whole, |line| select(line.value.of(ask.buf), len))
}

/// Whether a request for a part is better put to the origin, which sends parts of what is not kept: this is the whole of
/// it, and may be of any length. `head` is that of the response as it would be stored.
pub fn is_for_origin(ask: &Ask<'_>, head: &[u8], status: u16) -> bool {
    let sends_parts =
        || stored_values(head, Field::AcceptRanges).any(|unit| unit.eq_ignore_ascii_case(b"bytes"));
    ask.ranged() && status == 200 && sends_parts()
}

/// Whether the bytes of a body may be others the next time, although it means the same: it is coded, and has no tag that
/// vouches for its bytes. Parts of one would not fit parts of the other.
fn is_made_anew(terms: &Terms, head: &[u8]) -> bool {
    let is_strong = terms.etag.is_some_and(|etag| !etag.of(head).starts_with(b"W/"));
    !is_strong && stored_values(head, Field::ContentEncoding).next().is_some()
}

/// Chooses by the value of Range alone. What is not in order, or has another unit than bytes, is not there.
pub fn select(value: &[u8], len: u64) -> Choice {
    let Some(at) = memchr::memchr(b'=', value) else { return Choice::Whole };
    if !value[..at].eq_ignore_ascii_case(b"bytes") {
        return Choice::Whole;
    }
    let mut chosen = Chosen { slots: [Slice::default(); MAX_RANGES], len: 0 };
    let (mut asked, mut overlaps) = (0, 0);
    for spec in value[at + 1..].split(|&byte| byte == b',').map(<[u8]>::trim_ascii) {
        if spec.is_empty() {
            continue;
        }
        asked += 1;
        match parse(spec, len) {
            _ if asked > MAX_RANGES => return Choice::Whole,
            Spec::Invalid | Spec::All => return Choice::Whole,
            Spec::Beyond => {}
            Spec::Slice(slice) => overlaps += usize::from(add(&mut chosen, slice)),
        }
    }
    match &chosen.slots[..chosen.len] {
        _ if overlaps > MAX_OVERLAPS || asked == 0 => Choice::Whole,
        [] => Choice::Unsatisfiable,
        [slice] => Choice::One(*slice),
        several => Choice::Several(several.into()),
    }
}

/// Appends the head of a 206: the stored head with another status line, and with the length and, for several parts,
/// the type of what is sent. `len` is that of the whole body. Age and the empty line are for the caller to add.
pub fn write_head_of_one(head: &[u8], slice: Slice, len: u64, out: &mut Vec<u8>) {
    write_partial_head(head, slice.len(), false, out);
    write_content_range(slice, len, out);
}

/// The same for several parts. Nothing in the body may look like `boundary`: make it of 24 or more random letters and
/// digits.
pub fn write_head_of_several(head: &[u8], slices: &[Slice], len: u64, boundary: &[u8], out: &mut Vec<u8>) {
    write_partial_head(head, multipart_len(head, slices, len, boundary), true, out);
    out.extend_from_slice(b"Content-Type: multipart/byteranges; boundary=");
    out.extend_from_slice(boundary);
    out.extend_from_slice(b"\r\n");
}

/// Appends what stands before a part's bytes. `first` says whether it is the first one.
pub fn write_part_head(head: &[u8], slice: Slice, len: u64, boundary: &[u8], first: bool, out: &mut Vec<u8>) {
    out.extend_from_slice(if first { b"--" } else { b"\r\n--" });
    out.extend_from_slice(boundary);
    out.extend_from_slice(b"\r\n");
    if let Some(value) = content_type(head) {
        encode::field(out, b"Content-Type", value);
    }
    write_content_range(slice, len, out);
    out.extend_from_slice(b"\r\n");
}

/// Appends what stands behind the last part.
pub fn write_parts_end(boundary: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(b"\r\n--");
    out.extend_from_slice(boundary);
    out.extend_from_slice(b"--\r\n");
}

/// Bytes of the body that several parts make: heads, parts and end.
pub fn multipart_len(head: &[u8], slices: &[Slice], len: u64, boundary: &[u8]) -> u64 {
    let type_len = content_type(head).map_or(0, |value| "Content-Type: \r\n".len() + value.len()) as u64;
    let fixed = "\r\n--\r\nContent-Range: bytes -/\r\n\r\n".len() + boundary.len();
    let parts = slices.iter().map(|slice| {
        fixed as u64 + type_len + digits(slice.start) + digits(slice.end - 1) + digits(len) + slice.len()
    });
    // The first part has no line break before it.
    parts.sum::<u64>() - 2 + ("\r\n----\r\n".len() + boundary.len()) as u64
}

/// Appends the head of a 416 (RFC 9110 section 15.5.17), without Date and the empty line. It has no body.
pub fn write_unsatisfiable(len: u64, out: &mut Vec<u8>) {
    encode::status_line(out, 416);
    out.extend_from_slice(b"Content-Range: bytes */");
    encode::decimal(out, len);
    out.extend_from_slice(b"\r\nContent-Length: 0\r\n");
}

/// The parts chosen so far.
struct Chosen {
    slots: [Slice; MAX_RANGES],
    len: usize,
}

/// What one range-spec comes to.
enum Spec {
    Slice(Slice),
    /// Behind the end.
    Beyond,
    /// The last bytes of an empty body: satisfiable, and yet no part that could be named.
    All,
    Invalid,
}

fn parse(spec: &[u8], len: u64) -> Spec {
    let Some(dash) = memchr::memchr(b'-', spec) else { return Spec::Invalid };
    let (first, last) = (&spec[..dash], &spec[dash + 1..]);
    match (first, last) {
        ([], []) => Spec::Invalid,
        ([], suffix) => match position(suffix) {
            None => Spec::Invalid,
            Some(0) => Spec::Beyond,
            Some(_) if len == 0 => Spec::All,
            Some(suffix) => Spec::Slice(Slice { start: len.saturating_sub(suffix), end: len }),
        },
        (first, last) => {
            let last = if last.is_empty() { Some(u64::MAX) } else { position(last) };
            match (position(first), last) {
                (Some(first), Some(last)) if first > last => Spec::Invalid,
                (Some(first), Some(_)) if first >= len => Spec::Beyond,
                (Some(first), Some(last)) => {
                    Spec::Slice(Slice { start: first, end: last.saturating_add(1).min(len) })
                }
                _ => Spec::Invalid,
            }
        }
    }
}

/// `1*DIGIT`; what is too large is the largest number, which lies behind the end of everything.
fn position(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0_u64, |value, &digit| {
        digit.is_ascii_digit().then(|| value.saturating_mul(10).saturating_add(u64::from(digit - b'0')))
    })
}

/// Adds a slice and joins it with those that it touches (RFC 9110 section 15.3.7.2), at the place of the first of
/// them. Says whether it overlapped one.
fn add(chosen: &mut Chosen, mut slice: Slice) -> bool {
    let (mut kept, mut place, mut overlapped) = (0, None, false);
    for at in 0..chosen.len {
        let other = chosen.slots[at];
        if slice.start > other.end || other.start > slice.end {
            chosen.slots[kept] = other;
            kept += 1;
            continue;
        }
        overlapped |= slice.start < other.end && other.start < slice.end;
        slice = Slice { start: slice.start.min(other.start), end: slice.end.max(other.end) };
        if place.is_none() {
            place = Some(kept);
            kept += 1;
        }
    }
    let place = place.unwrap_or_else(|| {
        kept += 1;
        kept - 1
    });
    chosen.slots[place] = slice;
    chosen.len = kept;
    overlapped
}

/// Whether the ranges are of what is stored (RFC 9110 section 13.1.5).
fn if_range_holds(ask: &Ask<'_>, terms: &Terms, head: &[u8]) -> bool {
    let headers = &ask.head.headers;
    let Some(line) = headers.get(Field::IfRange) else { return true };
    if headers.repeats(Field::IfRange) {
        return false;
    }
    let wanted = line.value.of(ask.buf);
    if wanted.starts_with(b"\"") || wanted.starts_with(b"W/") {
        return terms.etag.is_some_and(|etag| condition::strong(wanted, etag.of(head)));
    }
    let (Some(wanted_s), Some((changed_s, _))) = (http_date_s(wanted), terms.last_modified) else {
        return false;
    };
    // A date is a strong validator only if nothing can have changed within its second (section 8.8.2.2).
    let date_s = stored_values(head, Field::Date).next().and_then(http_date_s);
    wanted_s == changed_s && date_s.is_some_and(|date_s| date_s > changed_s)
}

fn write_partial_head(head: &[u8], body_len: u64, several: bool, out: &mut Vec<u8>) {
    encode::status_line(out, 206);
    for (name, value) in stored_lines(head) {
        match Field::classify(name) {
            Field::ContentLength | Field::ContentRange => {}
            Field::ContentType if several => {}
            _ => encode::field(out, name, value),
        }
    }
    encode::content_length(out, body_len);
}

fn write_content_range(slice: Slice, len: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(b"Content-Range: bytes ");
    encode::decimal(out, slice.start);
    out.push(b'-');
    encode::decimal(out, slice.end - 1);
    out.push(b'/');
    encode::decimal(out, len);
    out.extend_from_slice(b"\r\n");
}

fn content_type(head: &[u8]) -> Option<&[u8]> {
    stored_values(head, Field::ContentType).next()
}

fn digits(number: u64) -> u64 {
    u64::from(number.checked_ilog10().unwrap_or(0)) + 1
}
