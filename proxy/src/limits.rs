//! The guard that counts: who is refused or exempt by address, and what limits say about a request.
//!
//! ```text
//!   denied? ─▶ 403     allowed, or no limit? ─▶ on
//!   for each limit: its key ─▶ missing? share, pass or 400 ─▶ place among those in flight? 429
//!   all rates at once: admitted, or 429 and none is charged ─▶ bytes are paced from here on
//! ```

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use config::{Missing, Plan, RequestKey};
use signals::{LimitSlot, LimitedKey, Signals};
use traffic::limit::{CHECKS_MAX, Check, Key, Left, Outcome, Settings, Store};
use traffic::{Moment, Refusal};
use wire::encode;

use crate::client::Client;
use crate::core::Core;
use crate::exchange::Exchange;
use crate::live::Live;
use crate::request_key::{self, Source};
use crate::stream::Stream;

/// What signals call the route of limits that hold for all of them.
const SERVER: &str = "(server)";

/// Key of requests without one, where they share it: no other key is empty, but that of all requests, which none lacks.
const SHARED: &[u8] = b"";

/// A limit that is in force.
#[derive(Clone, Debug)]
pub struct Limit {
    /// What was configured.
    pub plan: Arc<config::Limit>,
    /// Name of its route.
    route: Arc<str>,
    /// Its buckets.
    buckets: Arc<traffic::limit::Limit>,
    slot: LimitSlot,
}

/// What a limit has to do with an answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limited {
    /// Its place among those of the route.
    at: u8,
    /// When the same request would be admitted; none where nobody knows.
    pub wait: Option<Duration>,
}

/// What is left of the limit that is nearest.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Nearest {
    at: u8,
    left: Left,
}

/// Memory for keys: that of before a reload, or as much as the plan says, once there is a limit.
pub fn store(plan: &Plan, before: Option<&Live>) -> Arc<Store> {
    let has_limits = plan.has_limits();
    let kept = before.filter(|before| !has_limits || before.plan.has_limits());
    kept.map_or_else(
        || {
            let memory_bytes = if has_limits { plan.server.limits.limit_memory_bytes } else { 0 };
            Arc::new(Store::new(memory_bytes, fastrand::u64(..)))
        },
        |before| Arc::clone(&before.limits),
    )
}

/// What counts how often clients connect, if that is limited.
pub fn of_connections(
    plan: &Plan,
    store: &Store,
    before: Option<&Live>,
) -> Option<Arc<traffic::limit::Limit>> {
    let settings = Settings { rule: plan.server.limits.connection_rate, ..Settings::default() };
    settings.rule?;
    Some(buckets(store, settings, before.and_then(|before| before.connection_rate.as_ref())))
}

/// One connection more of this client.
///
/// # Errors
/// It connects too often, and may again after this time.
pub fn connect(live: &Live, client: IpAddr, now: Moment) -> Result<(), Duration> {
    let Some(limit) = &live.connection_rate else { return Ok(()) };
    let key = limit.key(&request_key::address(client));
    let outcome = live.limits.check(now, &[Check { limit, key, cost: 1 }], false);
    outcome.verdict.map_err(|refused| refused.wait)
}

/// Limits that are in force already, by their route and name.
pub fn known(before: Option<&Live>) -> BTreeMap<(&str, &str), &Limit> {
    let limits = before.into_iter().flat_map(Live::all_limits);
    limits.map(|limit| ((&*limit.route, limit.plan.name.as_str()), limit)).collect()
}

/// The limits of a route, or of the server: those that are known keep their buckets, also where they say something else
/// now, so that nobody has all of his quota again because it was changed.
pub fn build(
    route: Option<&str>,
    planned: &[Arc<config::Limit>],
    store: &Store,
    signals: &Signals,
    known: &BTreeMap<(&str, &str), &Limit>,
) -> Vec<Limit> {
    let route: Arc<str> = route.unwrap_or(SERVER).into();
    let one = |plan: &Arc<config::Limit>| {
        let known = known.get(&(&*route, plan.name.as_str())).filter(|known| known.plan.by == plan.by);
        Limit {
            buckets: buckets(store, plan.settings, known.map(|known| &known.buckets)),
            slot: signals.limit(&route, &plan.name),
            route: Arc::clone(&route),
            plan: Arc::clone(plan),
        }
    };
    planned.iter().map(one).collect()
}

/// The buckets of a limit with these settings: those that are known, or new ones.
fn buckets(
    store: &Store,
    settings: Settings,
    known: Option<&Arc<traffic::limit::Limit>>,
) -> Arc<traffic::limit::Limit> {
    match known {
        None => store.limit(settings),
        Some(known) if *known.settings() == settings => Arc::clone(known),
        Some(known) => known.with(settings),
    }
}

impl Limit {
    /// Its place in signals.
    pub fn slot(&self) -> LimitSlot {
        self.slot
    }

    /// Its buckets.
    pub fn buckets(&self) -> &traffic::limit::Limit {
        &self.buckets
    }

    /// What the request costs.
    fn cost(&self, exchange: &Exchange) -> u64 {
        let cost = &self.plan.cost;
        let said = cost.header.as_ref().and_then(|name| exchange.header(name)).and_then(number);
        let method = exchange.head.method_name.of(&exchange.input);
        let by_method =
            || cost.methods.iter().find(|(name, _)| name.as_bytes() == method).map(|(_, cost)| *cost);
        said.or_else(by_method).unwrap_or(cost.usual)
    }
}

/// A number of digits only, which cannot be too long.
fn number(text: &[u8]) -> Option<u64> {
    let is_number = (1..=18).contains(&text.len()) && text.iter().all(u8::is_ascii_digit);
    is_number.then(|| text.iter().fold(0, |sum, digit| sum * 10 + u64::from(digit - b'0')))
}

/// Lets a request pass, or says why not; what it holds meanwhile is given back with its exchange. Those that no route takes
/// are counted as well, or guessing names would cost nothing.
///
/// # Errors
/// It is refused: by its address, or by a limit.
#[allow(clippy::redundant_allocation)] // As the core holds it.
pub fn pass(
    core: &Rc<Core>,
    live: &Rc<Arc<Live>>,
    client: &mut Client,
    exchange: &mut Exchange,
) -> Result<(), Refusal> {
    let route = exchange.facts.route_index;
    let ip = exchange.asker.map_or(client.peer.ip, |asker| asker.ip);
    if access(live, route).any(|access| access.denies(ip)) {
        return Err(Refusal::AddressDenied);
    }
    let limits = live.limits_of(route);
    if let Stream::Paced(paced) = &mut client.stream {
        paced.clear();
    }
    if limits.is_empty() || access(live, route).any(|access| access.allows(ip)) {
        return Ok(());
    }
    let mut flights = std::mem::take(&mut exchange.flights);
    let of = Source { live, exchange, peer: client.peer.ip };
    let asked = Asked { core, live, limits, of, now: exchange.facts.begun.unwrap_or_default() };
    let mut keys = [None; CHECKS_MAX];
    let result = asked.keys(&mut keys).and_then(|()| {
        asked.enter(&keys, &mut flights)?;
        asked.rates(&keys)
    });
    if result.is_err() {
        flights.clear();
    }
    exchange.flights = flights;
    match result {
        Ok(nearest) => exchange.nearest = nearest,
        Err(no) => {
            exchange.nearest = no.nearest;
            exchange.facts.limited = Some(no.limited);
            return Err(no.refusal);
        }
    }
    for (at, (limit, key)) in limits.iter().zip(keys).enumerate() {
        if let Some(key) = key.filter(|_| limit.plan.settings.pace.is_some() && !limit.plan.settings.dry_run)
        {
            client.stream.pace(core, live, route, at, key);
        }
    }
    Ok(())
}

/// Whom the server lets in and whom not, and whom a route does.
fn access(live: &Live, route: Option<usize>) -> impl Iterator<Item = &config::Access> {
    std::iter::once(&live.plan.server.access).chain(route.map(|route| &live.plan.routes[route].access))
}

/// A request that limits are asked about.
struct Asked<'a> {
    core: &'a Core,
    live: &'a Live,
    limits: &'a [Limit],
    of: Source<'a>,
    now: Moment,
}

/// A refusal by a limit.
struct No {
    refusal: Refusal,
    limited: Limited,
    nearest: Option<Nearest>,
}

impl Asked<'_> {
    /// The request's key for each limit that counts it.
    fn keys(&self, keys: &mut [Option<Key>; CHECKS_MAX]) -> Result<(), No> {
        for (at, (limit, key)) in self.limits.iter().zip(keys).enumerate() {
            *key = match (request_key::read(self.of, &limit.plan.by), limit.plan.missing) {
                (Some(bytes), _) => Some(limit.buckets.key(&bytes)),
                (None, Missing::Share) => Some(limit.buckets.key(SHARED)),
                (None, Missing::Pass) => None,
                (None, Missing::Refuse) if limit.plan.settings.dry_run => {
                    self.core.shard.limit_dry(limit.slot);
                    None
                }
                (None, Missing::Refuse) => {
                    self.core.shard.limit_refused(limit.slot);
                    let limited = Limited { at: at as u8, wait: None };
                    return Err(No { refusal: Refusal::LimitKeyMissing, limited, nearest: None });
                }
            };
        }
        Ok(())
    }

    /// A place among those in flight, for each limit that counts them.
    fn enter(
        &self,
        keys: &[Option<Key>; CHECKS_MAX],
        flights: &mut Vec<traffic::limit::Flight>,
    ) -> Result<(), No> {
        for (at, (limit, key)) in self.limits.iter().zip(keys).enumerate() {
            let Some(key) = key.filter(|_| limit.plan.settings.concurrency > 0) else { continue };
            match self.live.limits.enter(&limit.buckets, key) {
                Some(flight) => flights.push(flight),
                None if limit.plan.settings.dry_run => self.core.shard.limit_dry(limit.slot),
                None => {
                    let limited = Limited { at: at as u8, wait: None };
                    self.note(at, key);
                    return Err(No { refusal: Refusal::TooManyInFlight, limited, nearest: None });
                }
            }
        }
        Ok(())
    }

    /// All rates at once.
    fn rates(&self, keys: &[Option<Key>; CHECKS_MAX]) -> Result<Option<Nearest>, No> {
        let mut places = [0_u8; CHECKS_MAX];
        let mut checks = [const { None }; CHECKS_MAX];
        let mut count = 0;
        for (at, (limit, key)) in self.limits.iter().zip(keys).enumerate() {
            if let Some(key) = *key {
                places[count] = at as u8;
                checks[count] =
                    Some(Check { limit: &limit.buckets, key, cost: limit.cost(self.of.exchange) });
                count += 1;
            }
        }
        let Some(first) = checks[0] else { return Ok(None) };
        let wants_left = self.live.plan.server.rate_limit_headers;
        let outcome = if count == 1 {
            self.live.limits.check(self.now, &[first], wants_left)
        } else {
            let checks = checks.map(|check| check.unwrap_or(first));
            self.live.limits.check(self.now, &checks[..count], wants_left)
        };
        let nearest = outcome.tightest.map(|(at, left)| Nearest { at: places[at], left });
        self.count(&outcome, &places[..count]);
        match outcome.verdict {
            Ok(()) => Ok(nearest),
            Err(refused) => {
                let at = places[refused.by];
                if let Some(key) = keys[usize::from(at)] {
                    self.note(usize::from(at), key);
                }
                let limited = Limited { at, wait: Some(refused.wait) };
                let nearest = nearest.map(|_| self.refused(at, keys)).unwrap_or_default();
                Err(No { refusal: Refusal::RateLimited, limited, nearest })
            }
        }
    }

    /// What is left of the limit that refuses.
    fn refused(&self, at: u8, keys: &[Option<Key>; CHECKS_MAX]) -> Option<Nearest> {
        let limit = &self.limits[usize::from(at)];
        let check = Check { limit: &limit.buckets, key: keys[usize::from(at)]?, cost: 1 };
        let left = self.live.limits.peek(self.now, &check).0?;
        Some(Nearest { at, left })
    }

    /// Tells signals what each limit had to say. What one refuses, the others have not admitted.
    fn count(&self, outcome: &Outcome, places: &[u8]) {
        for (at, place) in places.iter().enumerate() {
            let slot = self.limits[usize::from(*place)].slot;
            if outcome.dry & (1 << at) != 0 {
                self.core.shard.limit_dry(slot);
            } else if outcome.verdict.is_ok() {
                self.core.shard.limit_admitted(slot);
            }
        }
    }

    /// Notes who was refused.
    fn note(&self, at: usize, key: Key) {
        let limit = &self.limits[at];
        self.core.shard.limit_refused(limit.slot);
        let bytes = request_key::read(self.of, &limit.plan.by);
        let bytes = bytes.as_deref().unwrap_or(SHARED);
        let mut top = self.live.limits.top.lock().unwrap_or_else(PoisonError::into_inner);
        top.count(self.now, limit.buckets.number(), key.number(), bytes);
    }
}

/// Name of the limit that refused a request, or nothing.
pub fn name<'a>(live: &'a Live, exchange: &Exchange) -> &'a str {
    let limits = live.limits_of(exchange.facts.route_index);
    exchange.facts.limited.map_or("", |limited| &limits[usize::from(limited.at)].plan.name)
}

/// RateLimit and RateLimit-Policy (draft-ietf-httpapi-ratelimit-headers), where they are switched on.
pub fn fields(out: &mut Vec<u8>, live: &Live, exchange: &Exchange) {
    let Some(Nearest { at, left }) = exchange.nearest else { return };
    let plan = &live.limits_of(exchange.facts.route_index)[usize::from(at)].plan;
    let Some(rule) = plan.settings.rule else { return };
    let mut member = |name: &[u8], parameters: [(&[u8], u64); 2]| {
        out.extend_from_slice(name);
        out.extend_from_slice(b": \"");
        out.extend_from_slice(plan.name.as_bytes());
        out.push(b'"');
        for (parameter, value) in parameters {
            out.extend_from_slice(parameter);
            encode::decimal(out, value);
        }
        out.extend_from_slice(b"\r\n");
    };
    member(b"RateLimit-Policy", [(b";q=", rule.burst()), (b";w=", seconds(rule.fills_within()))]);
    member(b"RateLimit", [(b";r=", left.requests), (b";t=", seconds(left.full_in))]);
}

/// Whole seconds, never too few.
pub fn seconds(time: Duration) -> u64 {
    time.as_secs() + u64::from(time.subsec_nanos() > 0)
}

/// What limits would say of a request, in words; the refusal if there is one.
pub fn explain(
    live: &Live,
    exchange: &Exchange,
    client: IpAddr,
    now: Moment,
    say: &mut impl FnMut(&'static str, String),
) -> Result<(), Refusal> {
    let route = exchange.facts.route_index;
    if access(live, route).any(|access| access.denies(client)) {
        say("limit", format!("{client} is in a network that is refused"));
        return Err(Refusal::AddressDenied);
    }
    let limits = live.limits_of(route);
    if !limits.is_empty() && access(live, route).any(|access| access.allows(client)) {
        say("limit", format!("{client} is in a network that no limit counts"));
        return Ok(());
    }
    let mut verdict = Ok(());
    for limit in limits {
        let settings = &limit.plan.settings;
        let read = request_key::read(Source { live, exchange, peer: client }, &limit.plan.by);
        let (key, shown) = match (&read, limit.plan.missing) {
            (Some(bytes), _) => (limit.buckets.key(bytes), shown(&limit.plan.by, bytes)),
            (None, Missing::Share) => (limit.buckets.key(SHARED), "all that have none".to_owned()),
            (None, missing) => {
                let why = if missing == Missing::Pass { "not counted" } else { "refused" };
                say("limit", format!("{} by {}: {why}, for it has none", limit.plan.name, limit.plan.by));
                if missing == Missing::Refuse && !settings.dry_run {
                    verdict = verdict.and(Err(Refusal::LimitKeyMissing));
                }
                continue;
            }
        };
        // Writing to a String does not fail.
        let mut text = format!("{} of {} by {} {shown}:", limit.plan.name, limit.route, limit.plan.by);
        if settings.concurrency > 0 {
            let held = live.limits.in_flight(key);
            let _ = write!(text, " {held} of {} in flight", settings.concurrency);
            if held >= settings.concurrency && !settings.dry_run {
                verdict = verdict.and(Err(Refusal::TooManyInFlight));
            }
        }
        let check = Check { limit: &limit.buckets, key, cost: limit.cost(exchange) };
        if let ((Some(left), admitted), Some(rule)) = (live.limits.peek(now, &check), settings.rule) {
            let (requests, full_in) = (left.requests, left.full_in);
            let _ = write!(
                text,
                " {requests} of {} left, full in {full_in:.1?}, costs {}",
                rule.burst(),
                check.cost
            );
            if let Err(wait) = admitted {
                let _ = write!(text, ", would refuse for {wait:.1?}");
                if !settings.dry_run {
                    verdict = verdict.and(Err(Refusal::RateLimited));
                }
            }
        }
        if let Some(pace) = settings.pace {
            let _ = write!(text, " at most {} bytes per second", pace.bytes_per_second());
        }
        if settings.dry_run {
            text += ", only counts";
        }
        say("limit", text);
    }
    verdict
}

/// The keys that limits refuse most, the first one first.
pub fn limited(live: &Live, most: usize) -> Vec<LimitedKey> {
    let keys = live.limits.top.lock().unwrap_or_else(PoisonError::into_inner).list(most);
    let known = |number| live.all_limits().find(|limit| limit.buckets.number() == number);
    keys.iter()
        .filter_map(|top| {
            let limit = known(top.limit)?;
            Some(LimitedKey {
                route: limit.route.to_string(),
                limit: limit.plan.name.clone(),
                key: shown(&limit.plan.by, top.bytes()),
                refused: top.refused,
                error: top.error,
            })
        })
        .collect()
}

/// A key for people. Whatever may be somebody's secret is told by its beginning and a number alone.
fn shown(by: &RequestKey, bytes: &[u8]) -> String {
    let text = || String::from_utf8_lossy(bytes).into_owned();
    match (by, bytes) {
        (RequestKey::Global, _) => "all requests".to_owned(),
        (_, []) => "all that have none".to_owned(),
        (RequestKey::Client, &[a, b, c, d]) => std::net::Ipv4Addr::new(a, b, c, d).to_string(),
        (RequestKey::Client, bytes) => {
            let mut octets = [0; 16];
            octets[..bytes.len().min(8)].copy_from_slice(&bytes[..bytes.len().min(8)]);
            format!("{}/64", std::net::Ipv6Addr::from(octets))
        }
        (RequestKey::Cookie(_), _) => masked(bytes),
        (RequestKey::Header(name) | RequestKey::Query(name), _) if is_secret(name) => masked(bytes),
        _ => text(),
    }
}

/// Whether a field of this name mostly holds what lets somebody in.
fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    ["auth", "key", "token", "secret", "session", "cookie", "password", "sig"]
        .iter()
        .any(|word| name.contains(word))
}

fn masked(bytes: &[u8]) -> String {
    let beginning = String::from_utf8_lossy(&bytes[..bytes.len().min(4)]).into_owned();
    format!("{beginning}… ({:08x})", traffic::balance::hash_key(bytes) as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_not_shown_and_the_rest_is() {
        let header = |name: &str| RequestKey::Header(name.to_owned());
        assert_eq!(shown(&RequestKey::Client, &[192, 0, 2, 7]), "192.0.2.7");
        assert_eq!(shown(&RequestKey::Client, &[0x20, 1, 0xd, 0xb8, 0, 1, 0, 2]), "2001:db8:1:2::/64");
        assert_eq!(shown(&header("x-tenant-id"), b"acme"), "acme");
        for by in [header("authorization"), header("x-api-key"), RequestKey::Cookie("lang".to_owned())] {
            let text = shown(&by, b"0123456789abcdef");
            assert!(text.starts_with("0123… (") && !text.contains("456789"), "{text}");
        }
    }

    #[test]
    fn costs_are_digits() {
        assert_eq!(number(b"12"), Some(12));
        for text in [&b""[..], b"-1", b"1.5", b" 1", b"1234567890123456789"] {
            assert_eq!(number(text), None);
        }
    }
}
