//! What request and response heads share: the strict checks that the tokeniser leaves out, and the naming of
//! what it refused.
//!
//! The tokeniser (httparse) finds the parts of a head quickly and says little about why it stopped. So the
//! usual path asks it first and only a refused head is walked again, line by line, to find the name of the
//! first thing wrong with it.

use core::mem::MaybeUninit;

use crate::headers::connection_options;
use crate::{Field, Headers, Limits, MAX_HEADERS, MAX_METHOD_BYTES, Malformed, Version};

/// Slots for the tokeniser, left uninitialised because clearing four kilobytes would cost more than parsing.
pub(crate) type Slots<'b> = [MaybeUninit<httparse::Header<'b>>; MAX_HEADERS];

/// Empty slots.
#[inline]
pub(crate) fn slots<'b>() -> Slots<'b> {
    [const { MaybeUninit::uninit() }; MAX_HEADERS]
}

/// The part of `buf` that a head may fill.
#[inline]
pub(crate) fn within<'b>(buf: &'b [u8], limits: &Limits) -> &'b [u8] {
    &buf[..buf.len().min(limits.head_bytes as usize)]
}

/// Refuses a line feed that no carriage return precedes: the one leniency of the tokeniser that matters.
#[inline]
pub(crate) fn refuse_bare_lf(head: &[u8]) -> Result<(), Malformed> {
    for at in memchr::memchr_iter(b'\n', head) {
        if at == 0 || head[at - 1] != b'\r' {
            return Err(Malformed::BareLf);
        }
    }
    Ok(())
}

/// The same for both ends of a head whose header lines [`Headers::fill`] has checked, or will: the tokeniser
/// takes line feeds nowhere else.
#[inline]
pub(crate) fn check_ends(head: &[u8]) -> Result<(), Malformed> {
    if matches!(head.first(), Some(b'\r' | b'\n')) {
        return refuse_bare_lf(head); // Empty lines before a request.
    }
    if head.ends_with(b"\r\n\r\n") { Ok(()) } else { Err(Malformed::BareLf) }
}

/// What a head that is not complete yet can already be refused for. `head` is cut to the limit.
pub(crate) fn check_partial(head: &[u8], limits: &Limits, request: bool) -> Result<(), Malformed> {
    refuse_bare_lf(head)?;
    if request {
        check_partial_request_line(head, limits)?;
    }
    if head.len() >= limits.head_bytes as usize { Err(Malformed::HeadTooLarge) } else { Ok(()) }
}

/// Names what the tokeniser refused in a request head.
#[cold]
pub(crate) fn name_request_error(head: &[u8], error: httparse::Error) -> Malformed {
    name_error(head, error, name_request_line)
}

/// Names what the tokeniser refused in a response head.
#[cold]
pub(crate) fn name_response_error(head: &[u8], error: httparse::Error) -> Malformed {
    name_error(head, error, name_status_line)
}

/// Whether the connection stays open after the message (RFC 9112 section 9.3), and what else Connection lists.
#[inline]
pub(crate) fn persistence(buf: &[u8], headers: &Headers, version: Version) -> Persistence {
    let (mut close, mut keep_alive, mut upgrade, mut names_fields) = (false, false, false, false);
    let mut read = |option: &[u8]| match option.len() {
        5 if option.eq_ignore_ascii_case(b"close") => close = true,
        10 if option.eq_ignore_ascii_case(b"keep-alive") => keep_alive = true,
        7 if option.eq_ignore_ascii_case(b"upgrade") => upgrade = true,
        _ => names_fields = true,
    };
    // Nearly always it is one option alone, and taking a list apart costs more than reading that.
    match headers.get(Field::Connection).map(|header| header.value.of(buf)) {
        None => {}
        Some(option @ (b"keep-alive" | b"close")) if !headers.repeats(Field::Connection) => read(option),
        Some(_) => connection_options(buf, headers).for_each(read),
    }
    Persistence { keep_alive: !close && (keep_alive || version == Version::Http11), upgrade, names_fields }
}

/// What Connection says.
pub(crate) struct Persistence {
    pub(crate) keep_alive: bool,
    pub(crate) upgrade: bool,
    /// It lists something that is none of the options which HTTP itself knows.
    pub(crate) names_fields: bool,
}

/// Whether a byte may stand in a token (RFC 9110 section 5.6.2).
pub(crate) const fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'!' | b'#'
                | b'$'
                | b'%'
                | b'&'
                | b'\''
                | b'*'
                | b'+'
                | b'-'
                | b'.'
                | b'^'
                | b'_'
                | b'`'
                | b'|'
                | b'~'
        )
}

/// Whether a byte may stand in a field value (RFC 9110 section 5.5).
pub(crate) const fn is_value(byte: u8) -> bool {
    byte == b'\t' || (byte >= b' ' && byte != 0x7f)
}

/// A request line can be too long before it is complete, and then it is the target that is to blame.
fn check_partial_request_line(head: &[u8], limits: &Limits) -> Result<(), Malformed> {
    let line = skip_empty_lines(head);
    let Some(space) = memchr::memchr(b' ', &line[..line.len().min(MAX_METHOD_BYTES + 1)]) else {
        return if line.len() > MAX_METHOD_BYTES { Err(Malformed::BadMethod) } else { Ok(()) };
    };
    let target = &line[space + 1..];
    let window = &target[..target.len().min(limits.target_bytes as usize + 1)];
    if window.len() > limits.target_bytes as usize && memchr::memchr2(b' ', b'\r', window).is_none() {
        return Err(Malformed::TargetTooLong);
    }
    Ok(())
}

fn name_error(head: &[u8], error: httparse::Error, first_line: fn(&[u8]) -> Option<Malformed>) -> Malformed {
    if error == httparse::Error::TooManyHeaders {
        return Malformed::TooManyHeaders;
    }
    let mut rest = skip_empty_lines(head);
    let mut name_line = first_line;
    while !rest.is_empty() {
        let end = memchr::memchr(b'\n', rest).map_or(rest.len(), |at| at + 1);
        let (line, after) = rest.split_at(end);
        if let Some(reason) = name_control(line).or_else(|| name_line(content(line))) {
            return reason;
        }
        rest = after;
        name_line = name_header_line;
    }
    match error {
        httparse::Error::HeaderName => Malformed::BadHeaderName,
        httparse::Error::HeaderValue => Malformed::BadHeaderValue,
        httparse::Error::NewLine => Malformed::BareCr,
        httparse::Error::Status => Malformed::BadStatus,
        httparse::Error::Token => Malformed::BadTarget,
        httparse::Error::TooManyHeaders => Malformed::TooManyHeaders,
        httparse::Error::Version => Malformed::BadVersion,
    }
}

/// NUL, and line endings that are not CRLF. `line` includes its line feed if it has one.
fn name_control(line: &[u8]) -> Option<Malformed> {
    if line.contains(&0) {
        return Some(Malformed::Nul);
    }
    let body = match line {
        [body @ .., b'\r', b'\n'] | [body @ .., b'\r'] => body,
        [.., b'\n'] => return Some(Malformed::BareLf),
        body => body,
    };
    body.contains(&b'\r').then_some(Malformed::BareCr)
}

fn name_request_line(line: &[u8]) -> Option<Malformed> {
    let mut parts = line.split(|&byte| byte == b' ');
    let method = parts.next().unwrap_or_default();
    if method.is_empty() || method.len() > MAX_METHOD_BYTES || !method.iter().copied().all(is_token) {
        return Some(Malformed::BadMethod);
    }
    // A method with nothing after it is HTTP/0.9 at best, and so is a target with nothing after it.
    let (Some(target), version, more) = (parts.next(), parts.next(), parts.next()) else {
        return Some(Malformed::BadVersion);
    };
    if target.is_empty() || !target.iter().all(u8::is_ascii_graphic) {
        return Some(Malformed::BadTarget);
    }
    match (version, more) {
        (Some(b"HTTP/1.0" | b"HTTP/1.1"), None) => None,
        // Words beyond the version are a target with spaces in it.
        (_, Some(_)) => Some(Malformed::BadTarget),
        _ => Some(Malformed::BadVersion),
    }
}

fn name_status_line(line: &[u8]) -> Option<Malformed> {
    match line.get(..9) {
        Some(b"HTTP/1.0 " | b"HTTP/1.1 ") => {}
        Some(start) if start.starts_with(b"HTTP/") => return Some(Malformed::BadVersion),
        _ => return Some(Malformed::BadStatus),
    }
    let rest = &line[9..];
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let tail = &rest[digits..];
    let fits = digits == 3 && (tail.is_empty() || tail[0] == b' ') && tail.iter().copied().all(is_value);
    (!fits).then_some(Malformed::BadStatus)
}

fn name_header_line(line: &[u8]) -> Option<Malformed> {
    if matches!(line.first(), Some(b' ' | b'\t')) {
        return Some(Malformed::ObsFold);
    }
    let name_len = line.iter().take_while(|&&byte| is_token(byte)).count();
    match line.get(name_len) {
        None => None,
        Some(b':') if name_len > 0 => {
            (!line[name_len + 1..].iter().copied().all(is_value)).then_some(Malformed::BadHeaderValue)
        }
        Some(b' ' | b'\t') if line[name_len..].trim_ascii_start().starts_with(b":") => {
            Some(Malformed::SpaceBeforeColon)
        }
        Some(_) => Some(Malformed::BadHeaderName),
    }
}

fn skip_empty_lines(mut head: &[u8]) -> &[u8] {
    while let Some(rest) = head.strip_prefix(b"\r\n") {
        head = rest;
    }
    head
}

/// The line without its line ending.
fn content(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}
