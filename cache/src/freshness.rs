//! How old a response is, how long it is fresh, and what a request may be given of it (RFC 9111 section 4.2, RFC 5861).

use core::time::Duration;

use wire::{Field, Headers};

use crate::control::{Directives, MAX_SECONDS, delta_seconds};
use crate::{Ask, Bypass, Rules, Storable, Terms, UnixMs, storable, vary};

/// Longest lifetime that is guessed, however old the response's last change is: a day (RFC 9111 section 4.2.2 asks
/// for no more than a tenth of that age).
pub const MAX_GUESS_MS: u64 = 24 * 60 * 60 * 1000;

/// When a response was asked for and when it came: its age is counted from both (RFC 9111 section 4.2.3).
///
/// Ages are counted on a clock that is never set back, or what is stored would grow younger. Dates are written by the
/// wall's clock, and are compared with nothing else.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Times {
    /// When the request was sent.
    pub asked_ms: UnixMs,
    /// When the head had come.
    pub arrived_ms: UnixMs,
    /// The same moment on the wall's clock.
    pub wall_ms: UnixMs,
}

impl Times {
    /// The moments of a response while both clocks say the same.
    pub const fn new(asked_ms: UnixMs, arrived_ms: UnixMs) -> Self {
        Self { asked_ms, arrived_ms, wall_ms: arrived_ms }
    }
}

/// What a request may be given of what is stored.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Use {
    /// It is fresh: deliver it.
    Fresh,
    /// It is stale: deliver it and refresh it behind (RFC 5861 section 3).
    StaleWhileRevalidate,
    /// It is stale, and the request takes it so (RFC 9111 section 5.2.1.2): deliver it.
    StaleWanted,
    /// Ask the origin first.
    Validate(Cause),
    /// It is not for this request, which goes its own way.
    Pass(Bypass),
}

/// Why the origin has to be asked before a stored response is used.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Cause {
    /// Its lifetime has passed.
    Expired,
    /// The response says `no-cache` (RFC 9111 section 5.2.2.4).
    NoCache,
    /// The request says `no-cache` (section 5.2.1.4).
    RequestNoCache,
    /// It is older than the request's `max-age` (section 5.2.1.1).
    RequestMaxAge,
    /// It is not fresh for as long as the request's `min-fresh` (section 5.2.1.3).
    RequestMinFresh,
}

impl Cause {
    /// Whether it lies in the request, and the stored response is good for others.
    pub const fn is_of_request(self) -> bool {
        matches!(self, Self::RequestNoCache | Self::RequestMaxAge | Self::RequestMinFresh)
    }

    /// The word in logs and in `Cache-Status` details.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Expired => "expired",
            Self::NoCache => "no-cache",
            Self::RequestNoCache => "request-no-cache",
            Self::RequestMaxAge => "request-max-age",
            Self::RequestMinFresh => "request-min-fresh",
        }
    }
}

/// Decides what a request may be given of the variant that it selects.
#[inline]
pub fn decide(terms: &Terms, ask: &Ask<'_>, now: UnixMs) -> Use {
    if ask.authorised() && !terms.public {
        return Use::Pass(Bypass::Authorization);
    }
    if terms.always_validate {
        return Use::Validate(Cause::NoCache);
    }
    let wishes = ask.wishes();
    if wishes.no_cache {
        return Use::Validate(Cause::RequestNoCache);
    }
    if wishes.max_age.is_some_and(|most| age_s(terms, now) > most) {
        return Use::Validate(Cause::RequestMaxAge);
    }
    if wishes.min_fresh.is_some_and(|least| terms.fresh_until_ms < now.saturating_add(least * 1000)) {
        return Use::Validate(Cause::RequestMinFresh);
    }
    if now < terms.fresh_until_ms {
        return Use::Fresh;
    }
    decide_stale(terms, ask, now)
}

#[cold]
fn decide_stale(terms: &Terms, ask: &Ask<'_>, now: UnixMs) -> Use {
    let wishes = ask.wishes();
    let limit = match wishes.max_stale {
        Some(most) => terms.fresh_until_ms.saturating_add(most.saturating_mul(1000)),
        // A request that names an age wants nothing stale unless it says so.
        None if wishes.max_age.is_some() => terms.fresh_until_ms,
        None => UnixMs::MAX,
    };
    if now < terms.stale_until_ms.min(limit) {
        return Use::StaleWhileRevalidate;
    }
    if wishes.max_stale.is_some() && now < limit && !terms.never_stale {
        return Use::StaleWanted;
    }
    Use::Validate(Cause::Expired)
}

/// Whether a request may read along while another one's response comes in: the variant is its own, and what it gets
/// needs no validation of its own (RFC 9111 section 4). Whoever may not has to look again.
pub fn may_follow(storable: &Storable, ask: &Ask<'_>, now: UnixMs) -> bool {
    storable.vary.as_deref().is_none_or(|spec| vary::matches(spec, ask))
        && !matches!(decide(&storable.terms, ask, now), Use::Validate(_) | Use::Pass(_))
}

/// Whether a stored response may stand in for an origin that failed (RFC 5861 section 4).
#[inline]
pub const fn may_stand_in(terms: &Terms, now: UnixMs) -> bool {
    !terms.always_validate && now < terms.error_until_ms
}

/// Whether a stored response may stand in for an origin that takes no requests at all, so long after its lifetime. What
/// must not be served stale is not (RFC 9111 section 4.2.4).
pub const fn may_fall_back(terms: &Terms, now: UnixMs, late_ms: u64) -> bool {
    !terms.always_validate && !terms.never_stale && now < terms.fresh_until_ms.saturating_add(late_ms)
}

/// Whether a status means that the origin failed, so that something stale may stand in for it (RFC 5861 section 4).
pub const fn is_failure(status: u16) -> bool {
    matches!(status, 500 | 502 | 503 | 504)
}

/// The value of Age at a moment, in seconds (RFC 9111 section 5.1).
#[inline]
pub const fn age_s(terms: &Terms, now: UnixMs) -> u64 {
    now.saturating_sub(terms.born_ms) / 1000
}

/// How long it is fresh from a moment on, in seconds; negative since when it is stale (RFC 9211 section 2.3).
#[inline]
pub const fn ttl_s(terms: &Terms, now: UnixMs) -> i64 {
    terms.fresh_until_ms.cast_signed().saturating_sub(now.cast_signed()).div_euclid(1000)
}

/// How long a response is fresh, in milliseconds from its birth.
///
/// # Errors
/// [`Bypass::Status`] and [`Bypass::NoLifetime`]: nobody says, and it may not or cannot be guessed.
pub(crate) fn lifetime_ms(
    said: &Directives,
    status: u16,
    headers: &Headers,
    buf: &[u8],
    rules: &Rules,
    times: Times,
) -> Result<u64, Bypass> {
    if let Some(seconds) = said.s_maxage.or(said.max_age) {
        return Ok(seconds * 1000);
    }
    let sent_ms = date_s(headers, buf, Field::Date).map_or(times.wall_ms, |seconds| seconds * 1000);
    if !said.targeted && headers.contains(Field::Expires) {
        return Ok(expires_ms(headers, buf, sent_ms));
    }
    // It has no end, and is nearly always for one client.
    if is_event_stream(headers, buf) {
        return Err(Bypass::NoLifetime);
    }
    let route = if storable::is_negative(status) { rules.negative_ttl_ms } else { rules.ttl_ms };
    let guessable = said.public || storable::is_heuristic(status);
    if let Some(ttl) = route.filter(|_| guessable) {
        return Ok(ttl);
    }
    // What says `no-cache` is validated before each use, however long it is kept.
    if said.no_cache && guessable {
        return Ok(0);
    }
    if !guessable {
        return Err(Bypass::Status);
    }
    let changed_s = date_s(headers, buf, Field::LastModified).ok_or(Bypass::NoLifetime)?;
    Ok((sent_ms.saturating_sub(changed_s * 1000) / 10).min(MAX_GUESS_MS))
}

/// Whether a response is a stream of server-sent events.
fn is_event_stream(headers: &Headers, buf: &[u8]) -> bool {
    let kind = headers.get(Field::ContentType).map(|line| line.value.of(buf));
    let kind = kind.and_then(|kind| kind.split(|&byte| byte == b';').next());
    kind.is_some_and(|kind| kind.trim_ascii().eq_ignore_ascii_case(b"text/event-stream"))
}

/// Expires less Date, and less the moment of arrival where there is no Date (RFC 9111 section 4.2.1). What is no date
/// has passed (section 5.3), and of two the earlier counts.
fn expires_ms(headers: &Headers, buf: &[u8], sent_ms: UnixMs) -> u64 {
    let lines = headers.all(Field::Expires).map(|line| http_date_s(line.value.of(buf)).unwrap_or(0));
    let expires_ms = lines.min().unwrap_or(0).saturating_mul(1000);
    expires_ms.saturating_sub(sent_ms).min(MAX_SECONDS * 1000)
}

/// How old a response is on arrival, in milliseconds (RFC 9111 section 4.2.3).
pub(crate) fn age_on_arrival_ms(headers: &Headers, buf: &[u8], times: Times) -> u64 {
    // Date knows seconds only, so that less than one of difference says nothing.
    let apparent_ms = date_s(headers, buf, Field::Date)
        .map_or(0, |date_s| (times.wall_ms / 1000).saturating_sub(date_s) * 1000);
    let delay_ms = times.arrived_ms.saturating_sub(times.asked_ms);
    apparent_ms.max(said_age_s(headers, buf) * 1000 + delay_ms)
}

/// What Age says: the first member, and nothing if that is no number (RFC 9111 section 5.1).
fn said_age_s(headers: &Headers, buf: &[u8]) -> u64 {
    headers.get(Field::Age).map_or(0, |line| {
        let first = line.value.of(buf).split(|&byte| byte == b',').next().unwrap_or_default();
        delta_seconds(first.trim_ascii()).unwrap_or(0)
    })
}

/// The date in the first line of a field, in Unix seconds. `None`: missing, or no date.
pub(crate) fn date_s(headers: &Headers, buf: &[u8], field: Field) -> Option<u64> {
    http_date_s(headers.get(field)?.value.of(buf))
}

/// A date of HTTP in any of its three forms (RFC 9110 section 5.6.7), in Unix seconds. `None`: it is none, or lies
/// before 1970.
pub fn http_date_s(value: &[u8]) -> Option<u64> {
    let moment = |text: &str| httpdate::parse_http_date(text).ok();
    Some(moment(str::from_utf8(value).ok()?)?.duration_since(moment(EPOCH)?).ok()?.as_secs())
}

/// A moment as a date of HTTP. `None` past the year 9999, for which there is no such date.
pub(crate) fn http_date(moment_ms: UnixMs) -> Option<String> {
    let epoch = httpdate::parse_http_date(EPOCH).ok()?;
    let within = moment_ms < MAX_DATE_MS;
    within.then(|| httpdate::fmt_http_date(epoch + Duration::from_millis(moment_ms)))
}

/// The moment 0. Read like any other date, since nothing here may name a clock.
const EPOCH: &str = "Thu, 01 Jan 1970 00:00:00 GMT";

/// The first moment of the year 10000.
const MAX_DATE_MS: UnixMs = 253_402_300_800_000;
