//! What became of a request, in the words of Cache-Status (RFC 9211).

use wire::encode;

use crate::freshness::Cause;
use crate::{Bypass, Terms, UnixMs, freshness};

/// What became of a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// It was answered from the cache, without a word to the origin.
    Hit,
    /// It went to the origin.
    Forwarded(Forwarded),
}

/// A request that went to the origin, or waited for one that did.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Forwarded {
    /// Why.
    pub why: Why,
    /// What the origin answered, where the client got another status: a validation, or a failure that something
    /// stale stands in for.
    pub status: Option<u16>,
    /// Whether the response is kept.
    pub stored: bool,
    /// Whether it shared another request's answer.
    pub collapsed: bool,
}

/// Why a request went to the origin (RFC 9211 section 2.2).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Why {
    /// The cache is not to handle it.
    Bypass,
    /// The method cannot be answered from a cache.
    Method,
    /// Nothing is stored for the URL.
    UriMiss,
    /// What is stored for the URL is for other requests.
    VaryMiss,
    /// Nothing fits, for either reason.
    Miss,
    /// What is stored is fresh, and the request wants it validated.
    Request,
    /// What is stored is stale.
    Stale,
    /// What is stored has not the part that is asked for.
    Partial,
}

impl Why {
    /// The word in the field.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Bypass => "bypass",
            Self::Method => "method",
            Self::UriMiss => "uri-miss",
            Self::VaryMiss => "vary-miss",
            Self::Miss => "miss",
            Self::Request => "request",
            Self::Stale => "stale",
            Self::Partial => "partial",
        }
    }
}

impl From<Bypass> for Why {
    /// The word for a request that the cache had no part in, or whose answer it did not keep.
    fn from(why: Bypass) -> Self {
        match why {
            Bypass::Method => Self::Method,
            Bypass::Condition => Self::Request,
            Bypass::Off
            | Bypass::RequestBody
            | Bypass::Upgrade
            | Bypass::RequestNoStore
            | Bypass::RequestCookie => Self::Bypass,
            _ => Self::Miss,
        }
    }
}

impl From<Cause> for Why {
    /// The word for a validation.
    fn from(cause: Cause) -> Self {
        if cause.is_of_request() { Self::Request } else { Self::Stale }
    }
}

/// Appends the field line for an answer. `ttl_s` is how long it is fresh, negative since when it is stale: see
/// [`freshness::ttl_s`]. `detail` is a code of [`Bypass`], [`Cause`] or the caller's: letters, digits and `-`.
///
/// A Cache-Status of caches before this one stays in the head as it is. Lines of a list count in order, and the one
/// closest to the origin comes first, so this line has to follow theirs.
pub fn write(outcome: Outcome, ttl_s: Option<i64>, detail: Option<&str>, out: &mut Vec<u8>) {
    out.extend_from_slice(b"Cache-Status: Tidegate");
    match outcome {
        Outcome::Hit => out.extend_from_slice(b"; hit"),
        Outcome::Forwarded(forwarded) => {
            out.extend_from_slice(b"; fwd=");
            out.extend_from_slice(forwarded.why.code().as_bytes());
            if let Some(status) = forwarded.status {
                out.extend_from_slice(b"; fwd-status=");
                encode::decimal(out, u64::from(status));
            }
            if forwarded.stored {
                out.extend_from_slice(b"; stored");
            }
            if forwarded.collapsed {
                out.extend_from_slice(b"; collapsed");
            }
        }
    }
    if let Some(ttl_s) = ttl_s {
        out.extend_from_slice(if ttl_s < 0 { b"; ttl=-" } else { b"; ttl=" });
        // Integers of structured fields have at most 15 digits (RFC 9651 section 3.3.1).
        encode::decimal(out, ttl_s.unsigned_abs().min(999_999_999_999_999));
    }
    if let Some(detail) = detail {
        out.extend_from_slice(b"; detail=");
        out.extend_from_slice(detail.as_bytes());
    }
    out.extend_from_slice(b"\r\n");
}

/// Appends the field line for a hit that was not in memory.
pub fn write_found(terms: &Terms, now: UnixMs, out: &mut Vec<u8>) {
    write(Outcome::Hit, Some(freshness::ttl_s(terms, now)), Some("disk"), out);
}

/// Appends the field line for a hit, which says for itself whether what was delivered was stale.
#[inline]
pub fn write_hit(terms: &Terms, now: UnixMs, out: &mut Vec<u8>) {
    let detail = if now < terms.fresh_until_ms { None } else { Some("stale") };
    write(Outcome::Hit, Some(freshness::ttl_s(terms, now)), detail, out);
}
