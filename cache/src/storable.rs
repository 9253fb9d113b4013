//! Whether a response may be kept, and on what terms (RFC 9111 section 3).

mod head;

use wire::{Field, Headers, ResponseHead};

use crate::control::Directives;
use crate::freshness::{self, Times};
use crate::key::tag_hash;
use crate::rules::SetCookie;
use crate::{Ask, Bypass, Rules, UnixMs, vary};

pub use head::{locate_validators, refresh, write_head};
pub(crate) use head::{stored_lines, stored_values};

/// Most tags of one response.
pub const MAX_TAGS: usize = 64;

/// What may be kept of a response, and how.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Storable {
    /// When and for whom.
    pub terms: Terms,
    /// What it varies on: lower-case names, and this variant's values, in one buffer made by [`crate::vary`].
    pub vary: Option<Box<[u8]>>,
    /// Hashes of its tags (Cache-Tag, Surrogate-Key), in order, by [`tag_hash`].
    pub tags: Box<[u64]>,
}

/// When and for whom a stored response may be served. Moments are absolute. A copy is cheap: entries keep them packed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Terms {
    /// Since when it has had its age: now − age on arrival (RFC 9111 section 4.2.3). Age at a moment = moment − this.
    pub born_ms: UnixMs,
    /// Fresh until then.
    pub fresh_until_ms: UnixMs,
    /// May be served stale, while it is refreshed behind, until then. Never before `fresh_until_ms`.
    pub stale_until_ms: UnixMs,
    /// May be served stale while the origin fails, until then. Never before `fresh_until_ms`.
    pub error_until_ms: UnixMs,
    /// Has to be validated before each use (no-cache).
    pub always_validate: bool,
    /// Never served stale, whatever the route or the request says (must-revalidate, proxy-revalidate, s-maxage). Only
    /// s-maxage leaves it to the response itself to say stale-while-revalidate or stale-if-error beside it.
    pub never_stale: bool,
    /// Was stored for a request with Authorization or may be served to one: says public or the like.
    pub public: bool,
    /// Its ETag, for conditions: position of the value within the stored head. Set by [`locate_validators`].
    pub etag: Option<wire::Span>,
    /// Last-Modified in Unix seconds, and its place in the stored head. Set by [`locate_validators`].
    pub last_modified: Option<(u64, wire::Span)>,
}

/// Judges a response to a GET, which may stand for a HEAD. `buf` is what `head` was parsed from. The positions of its
/// validators are not known before its head is written for the store: [`locate_validators`].
///
/// # Errors
/// Why it may not be kept.
pub fn judge(
    ask: &Ask<'_>,
    head: &ResponseHead,
    buf: &[u8],
    rules: &Rules,
    times: Times,
) -> Result<Storable, Bypass> {
    let age_ms = freshness::age_on_arrival_ms(&head.headers, buf, times);
    judge_aged(ask, head, buf, rules, times, age_ms)
}

fn judge_aged(
    ask: &Ask<'_>,
    head: &ResponseHead,
    buf: &[u8],
    rules: &Rules,
    times: Times,
    age_ms: u64,
) -> Result<Storable, Bypass> {
    let headers = &head.headers;
    let said = Directives::of_response(headers, buf);
    check_permission(ask, head, &said, rules)?;
    let lifetime_ms = freshness::lifetime_ms(&said, head.status, headers, buf, rules, times)?;
    let vary = vary::spec(head, buf, ask)?;
    let tags = tags(headers, buf)?;

    let never_stale = said.must_revalidate || said.proxy_revalidate || said.s_maxage.is_some();
    let window_ms = |own: Option<u64>, route: Option<u64>| {
        if said.must_revalidate || said.proxy_revalidate || said.no_cache {
            return 0;
        }
        own.map_or(if never_stale { 0 } else { route.unwrap_or(0) }, |seconds| seconds * 1000)
    };
    let stale_ms = window_ms(said.stale_while_revalidate, rules.grace_ms);
    let error_ms = window_ms(said.stale_if_error, rules.stale_if_error_ms);

    let born_ms = times.arrived_ms.saturating_sub(age_ms);
    // In this order, so that an age that reaches back before 1970 counts whole.
    let fresh_until_ms = times.arrived_ms.saturating_add(lifetime_ms).saturating_sub(age_ms);
    let terms = Terms {
        born_ms,
        fresh_until_ms,
        stale_until_ms: fresh_until_ms.saturating_add(stale_ms),
        error_until_ms: fresh_until_ms.saturating_add(error_ms),
        always_validate: said.no_cache,
        never_stale,
        public: is_for_authorised(&said),
        etag: None,
        last_modified: None,
    };
    let useful = !said.no_cache && times.arrived_ms < terms.stale_until_ms.max(terms.error_until_ms);
    if useful || has_validator(headers, buf) {
        Ok(Storable { terms, vary, tags })
    } else {
        Err(Bypass::Expired)
    }
}

/// Whether the RFC lets a shared cache keep it at all.
fn check_permission(
    ask: &Ask<'_>,
    head: &ResponseHead,
    said: &Directives,
    rules: &Rules,
) -> Result<(), Bypass> {
    match head.status {
        206 => return Err(Bypass::Partial),
        ..200 | 304 => return Err(Bypass::Status),
        status if said.must_understand && !is_understood(status) => return Err(Bypass::Status),
        _ => {}
    }
    // Who understands the status does as it says, and not as is said to those who do not (section 5.2.2.3).
    if said.no_store && !said.must_understand {
        return Err(Bypass::NoStore);
    }
    if said.private {
        return Err(Bypass::Private);
    }
    if ask.authorised() && !is_for_authorised(said) {
        return Err(Bypass::Authorization);
    }
    if head.headers.contains(Field::SetCookie) && rules.set_cookie == SetCookie::Bypass {
        return Err(Bypass::SetCookie);
    }
    Ok(())
}

/// RFC 9111 section 3.5.
const fn is_for_authorised(said: &Directives) -> bool {
    said.public || said.s_maxage.is_some() || said.must_revalidate
}

/// Statuses whose response may be kept although nothing says how long (RFC 9110 section 15.1), without 206.
pub(crate) const fn is_heuristic(status: u16) -> bool {
    matches!(status, 200 | 203 | 204 | 300 | 301 | 308 | 404 | 405 | 410 | 414 | 501)
}

/// Errors that are worth remembering: the route's negative ttl is theirs.
pub(crate) const fn is_negative(status: u16) -> bool {
    matches!(status, 404 | 405 | 410 | 414 | 501)
}

/// Final statuses of RFC 9110 section 15, and a few more, whose meaning to a cache is known. Not 206 and 304, which
/// are no answers on their own.
const fn is_understood(status: u16) -> bool {
    matches!(
        status,
        200..=205 | 300..=303 | 305 | 307 | 308 | 400..=417 | 421 | 422 | 426 | 428 | 429 | 431 | 451 | 500..=505 | 511
    )
}

/// Whether there is something to make a request conditional with.
fn has_validator(headers: &Headers, buf: &[u8]) -> bool {
    (headers.contains(Field::Etag) && !headers.repeats(Field::Etag))
        || freshness::date_s(headers, buf, Field::LastModified).is_some()
}

/// The hashes of the tags: Cache-Tag has commas between them, Surrogate-Key spaces. Sorted, each once.
fn tags(headers: &Headers, buf: &[u8]) -> Result<Box<[u64]>, Bypass> {
    if !headers.contains(Field::CacheTag) && !headers.contains(Field::SurrogateKey) {
        return Ok(Box::default());
    }
    let mut tags = Vec::new();
    for (field, between) in [(Field::CacheTag, b','), (Field::SurrogateKey, b' ')] {
        let lines = headers.all(field).map(|line| line.value.of(buf));
        for tag in lines.flat_map(|line| line.split(|&byte| byte == between)).map(<[u8]>::trim_ascii) {
            let hash = tag_hash(tag);
            if tag.is_empty() || tags.contains(&hash) {
                continue;
            }
            if tags.len() == MAX_TAGS {
                return Err(Bypass::TooManyTags);
            }
            tags.push(hash);
        }
    }
    tags.sort_unstable();
    Ok(tags.into_boxed_slice())
}
