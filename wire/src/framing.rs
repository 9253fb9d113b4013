//! Where a body ends: the rules of RFC 9112 section 6.3, read as strictly as two independent readers need.

use crate::headers::list;
use crate::{Field, Headers, Malformed, Method, Version};

/// How the end of a body is found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Framing {
    /// There is no body.
    None,
    /// So many bytes; may be zero.
    Length(u64),
    /// Chunked coding (RFC 9112 section 7.1).
    Chunked,
    /// Until the connection closes. Only responses have this.
    Close,
}

/// The framing of a request. Anything that a second reader could read differently is refused.
pub(crate) fn of_request(buf: &[u8], headers: &Headers, version: Version) -> Result<Framing, Malformed> {
    let length = headers.get(Field::ContentLength);
    if let Some(coding) = headers.get(Field::TransferEncoding) {
        check_coding_allowed(length.is_some(), version)?;
        if headers.repeats(Field::TransferEncoding) {
            return Err(Malformed::TransferEncodingRepeated);
        }
        let coding = coding.value.of(buf);
        if coding.eq_ignore_ascii_case(b"chunked") {
            return Ok(Framing::Chunked);
        }
        return Err(name_coding(coding));
    }
    let Some(length) = length else { return Ok(Framing::None) };
    if headers.repeats(Field::ContentLength) {
        return Err(Malformed::LengthConflict);
    }
    let length = length.value.of(buf);
    decimal(length).map(Framing::Length).ok_or_else(|| {
        let all_plain =
            length.split(|&byte| byte == b',').all(|member| decimal(member.trim_ascii()).is_some());
        if all_plain { Malformed::LengthConflict } else { Malformed::LengthInvalid }
    })
}

/// The framing of a response to a request with `method`.
///
/// The header lines are checked even where the status or the method says that there is no body: a response
/// that contradicts itself comes from a party whose next response cannot be trusted to begin where it should.
pub(crate) fn of_response(
    buf: &[u8],
    headers: &Headers,
    version: Version,
    status: u16,
    method: Method,
) -> Result<Framing, Malformed> {
    let framing = response_lines(buf, headers, version)?;
    let tunnel = method == Method::Connect && (200..300).contains(&status);
    let bodiless = method == Method::Head || matches!(status, 100..=199 | 204 | 304);
    Ok(if tunnel || bodiless { Framing::None } else { framing })
}

fn response_lines(buf: &[u8], headers: &Headers, version: Version) -> Result<Framing, Malformed> {
    let has_length = headers.contains(Field::ContentLength);
    if headers.contains(Field::TransferEncoding) {
        check_coding_allowed(has_length, version)?;
        return response_coding(buf, headers);
    }
    if !has_length {
        return Ok(Framing::Close);
    }
    // Equal values are one value said twice (RFC 9110 section 8.6), and apps behind middleware do say it twice.
    let mut agreed = None;
    for header in headers.all(Field::ContentLength) {
        for member in header.value.of(buf).split(|&byte| byte == b',') {
            let length = decimal(member.trim_ascii()).ok_or(Malformed::LengthInvalid)?;
            if *agreed.get_or_insert(length) != length {
                return Err(Malformed::LengthConflict);
            }
        }
    }
    agreed.map(Framing::Length).ok_or(Malformed::LengthInvalid)
}

/// Codings that end in chunked must be chunked alone, since nothing else can be undone here; codings that do
/// not end in chunked reach until the connection closes.
fn response_coding(buf: &[u8], headers: &Headers) -> Result<Framing, Malformed> {
    let codings = || headers.all(Field::TransferEncoding).flat_map(|header| list(header.value.of(buf)));
    let chunked = |coding: &[u8]| coding.eq_ignore_ascii_case(b"chunked");
    let (total, times) = (codings().count(), codings().filter(|coding| chunked(coding)).count());
    match codings().last() {
        Some(last) if chunked(last) => match (total, times) {
            (1, _) => Ok(Framing::Chunked),
            (_, 1) => Err(Malformed::TransferEncodingUnknown),
            _ => Err(Malformed::TransferEncodingRepeated),
        },
        _ => Ok(Framing::Close),
    }
}

fn check_coding_allowed(has_length: bool, version: Version) -> Result<(), Malformed> {
    if has_length {
        return Err(Malformed::LengthWithTransferEncoding);
    }
    if version == Version::Http10 {
        return Err(Malformed::TransferEncodingOnHttp10);
    }
    Ok(())
}

/// Why a Transfer-Encoding that is not exactly `chunked` is refused in a request.
fn name_coding(value: &[u8]) -> Malformed {
    let chunked = |coding: &[u8]| coding.eq_ignore_ascii_case(b"chunked");
    let times = value.split(|&byte| byte == b',').filter(|coding| chunked(coding.trim_ascii())).count();
    let last = value.rsplit(|&byte| byte == b',').next().unwrap_or_default();
    match times {
        2.. => Malformed::TransferEncodingRepeated,
        1 if chunked(last.trim_ascii()) => Malformed::TransferEncodingUnknown,
        _ => Malformed::TransferEncodingNotFinal,
    }
}

/// `1*DIGIT` that fits 64 bits, and nothing else: no sign, no space, no other radix.
fn decimal(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0_u64, |value, &digit| match digit {
        b'0'..=b'9' => value.checked_mul(10)?.checked_add(u64::from(digit - b'0')),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_plain_decimal() {
        assert_eq!(decimal(b"0"), Some(0));
        assert_eq!(decimal(b"007"), Some(7));
        assert_eq!(decimal(b"18446744073709551615"), Some(u64::MAX));
        for bad in ["", "+1", "-1", "0x10", "1 ", "1_000", "18446744073709551616", "1e3", "\u{661}"] {
            assert_eq!(decimal(bad.as_bytes()), None, "{bad:?}");
        }
    }

    #[test]
    fn wrong_codings_are_named() {
        assert_eq!(name_coding(b"gzip, chunked"), Malformed::TransferEncodingUnknown);
        assert_eq!(name_coding(b", chunked"), Malformed::TransferEncodingUnknown);
        assert_eq!(name_coding(b"chunked, chunked"), Malformed::TransferEncodingRepeated);
        for other in
            ["", "gzip", "xchunked", "chunked, gzip", "chunked;q=1", "chunked,", "identity", "\"chunked\""]
        {
            assert_eq!(name_coding(other.as_bytes()), Malformed::TransferEncodingNotFinal, "{other:?}");
        }
    }
}
