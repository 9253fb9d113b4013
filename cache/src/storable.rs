//! Whether a response may be kept, and on what terms (RFC 9111 section 3).

use wire::ResponseHead;

use crate::{Ask, Bypass, Rules, UnixMs};

/// When and for whom a stored response may be served. Moments are absolute.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Terms {
    /// Since when it has had its age: now − age on arrival (RFC 9111 section 4.2.3). Age at a moment = moment − this.
    pub born_ms: UnixMs,
    /// Fresh until then.
    pub fresh_until_ms: UnixMs,
    /// May be served stale, while it is refreshed behind, until then. Never before `fresh_until_ms`.
    pub stale_until_ms: UnixMs,
    /// May be served stale while the origin fails, until then.
    pub error_until_ms: UnixMs,
    /// Has to be validated before each use (no-cache).
    pub always_validate: bool,
    /// Never served stale, whatever the route or the request says (must-revalidate, proxy-revalidate, s-maxage).
    pub never_stale: bool,
    /// Was stored for a request with Authorization or may be served to one: says public or the like.
    pub public: bool,
    /// Fields of the response, for conditions: position of the value within the stored head.
    pub etag: Option<wire::Span>,
    /// Last-Modified in Unix seconds, and its place in the stored head.
    pub last_modified: Option<(u64, wire::Span)>,
    /// What it varies on: lower-case names, and this variant's values, in one buffer made by [`crate::vary`].
    pub vary: Option<Box<[u8]>>,
    /// Hashes of its tags (Cache-Tag, Surrogate-Key).
    pub tags: Box<[u64]>,
}

/// Judges a response. `buf` is what `head` was parsed from.
///
/// # Errors
/// Why it may not be kept.
pub fn judge(
    _ask: &Ask<'_>,
    _head: &ResponseHead,
    _buf: &[u8],
    _rules: &Rules,
    _now: UnixMs,
) -> Result<Terms, Bypass> {
    todo!()
}
