//! The cache's part in a request: look, and deliver what is there; else fill, or follow whoever fills already.
//!
//! ```text
//!            ┌─ fresh, or stale and refreshed behind ──▶ deliver::entry
//!  look ─────┼─ nothing, or to be validated ──▶ fill::spawn ─┐
//!   ▲        ├─ somebody fills already ──────────────────────┴▶ Part::play ─▶ deliver::streaming, deliver::entry
//!   │        └─ not for the cache ──▶ forward                       │    └─▶ for the one who asked alone: forward
//!   └─────────────── for others, such as another variant ───────────┘
//! ```

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use cache::filling::{Begun, Head, Reader};
use cache::freshness::{self, Use};
use cache::status::{Forwarded, Why};
use cache::{Ask, Bypass, Entry, Found, Key, Rules, UnixMs, invalidation, key::Url, range};
use config::RouteCache;
use signals::request::{Cached, Stage, Who};
use traffic::Refusal;
use traffic::client::Proto;
use traffic::route::{Params, Query};

use crate::breaker::{self, forward};
use crate::client::Client;
use crate::core::Core;
use crate::deliver::{self, Said};
use crate::disk;
use crate::exchange::Exchange;
use crate::fill::{self, Told};
use crate::forward::To;
use crate::live::Live;
use crate::pipeline::Stop;
use crate::respond::settle_body;

/// How often somebody who waits for a fill is looked after: whether the client is still there.
const LOOK_AGAIN: Duration = Duration::from_millis(200);

/// How often a request looks anew, when what it followed turned out to be for others. Then it asks the origin by itself.
const LOOKS: u8 = 3;

/// Serves a request of a route that has a cache.
pub async fn serve(
    to: To<'_>,
    cache: &RouteCache,
    client: &mut Client,
    exchange: &mut Exchange,
) -> Result<(), Stop> {
    let mut why = Bypass::Crowded;
    for _ in 0..LOOKS {
        let part = match look(to, cache, client, exchange) {
            Step::Deliver(entry) => {
                return deliver::entry(to, cache, client, exchange, &entry, Said::Hit).await;
            }
            Step::NotHere => {
                let below = Box::pin(disk::given_alone(to.core, exchange, &cache.rules)).await;
                let Some(entry) = below else { return Err(Stop::Refused(Refusal::NotCached)) };
                if origin_decides(exchange, &cache.rules, &entry) {
                    why = Bypass::Condition;
                    break;
                }
                exchange.facts.cached = Some(Cached::Hit);
                return deliver::entry(to, cache, client, exchange, &entry, Said::Found).await;
            }
            Step::Pass(bypass) => {
                why = bypass;
                break;
            }
            Step::Read(part) => part,
        };
        // Most requests are hits, and their connections need not have room for this.
        match Box::pin(part.play(to, client, exchange)).await {
            End::Answered(result) => return result,
            End::Pass(bypass) => {
                why = bypass;
                break;
            }
            End::Again => {}
        }
    }
    exchange.facts.cached = Some(Cached::Bypass(why));
    exchange.says_bypass = cache.status.then_some(why);
    forward(to, client, exchange).await
}

/// What a look comes to.
enum Step<'a> {
    /// It is stored, fresh or stale.
    Deliver(Arc<Entry>),
    /// It is on its way.
    Read(Part<'a>),
    /// The request is forwarded as if there were no cache.
    Pass(Bypass),
    /// It wants only what is stored, and that is not in memory.
    NotHere,
}

/// Reads the request, asks the store, and sends a fill on its way if that is called for.
fn look<'a>(to: To<'_>, cache: &'a RouteCache, client: &Client, exchange: &mut Exchange) -> Step<'a> {
    let found = match find(to, cache, exchange) {
        Ok(found) => found,
        Err(why) => return Step::Pass(why),
    };
    let (entry, cached) = match found {
        Found::Hit(entry) => (entry, Cached::Hit),
        Found::Stale { entry, refresh } => {
            if let Some(ticket) = refresh {
                fill::spawn(to, cache, ticket, exchange, client.peer);
            }
            (entry, Cached::Stale)
        }
        Found::Fill(ticket) => {
            let reader = ticket.leader();
            let told = fill::spawn(to, cache, ticket, exchange, client.peer);
            return Step::Read(Part { reader, told: Some(told), cache });
        }
        Found::Follow(filling) => {
            return filling.read_along().map_or(Step::Pass(Bypass::Crowded), |reader| {
                Step::Read(Part { reader, told: None, cache })
            });
        }
        Found::Pass(why) => return Step::Pass(why),
        Found::NotHere => return Step::NotHere,
    };
    if origin_decides(exchange, &cache.rules, &entry) {
        return Step::Pass(Bypass::Condition);
    }
    exchange.facts.cached = Some(cached);
    Step::Deliver(entry)
}

/// Whether a request has a condition that what is stored does not meet, so that only the origin can answer it.
fn origin_decides(exchange: &Exchange, rules: &Rules, entry: &Entry) -> bool {
    deliver::origin_decides(exchange, rules, entry.status(), entry.head(), || Some(entry.terms()))
}

/// Asks the store.
fn find(to: To<'_>, cache: &RouteCache, exchange: &mut Exchange) -> Result<Found, Bypass> {
    let store = &to.core.shared.cache;
    // The key is written into a buffer that the request keeps, while the rest of it is read.
    let mut buffer = std::mem::take(&mut exchange.key);
    let found = Ask::read(&exchange.head, &exchange.input, &cache.rules).map(|ask| {
        let ask = ask.by(exchange.is_trusted());
        let key = Key::write(&mut buffer, &url(exchange), &ask, &cache.rules, store.seed());
        store.look(&key, &ask, &cache.rules, to.core.unix_ms())
    });
    exchange.key = buffer;
    found
}

/// The URL that a request means.
pub fn url(exchange: &Exchange) -> Url<'_> {
    let Exchange { input, head, host, path, asker, .. } = exchange;
    let scheme = asker.and_then(|asker| asker.proto).unwrap_or(Proto::Http);
    let own_port = match scheme {
        Proto::Http => 80,
        Proto::Https => 443,
    };
    let raw = head.path.of(input);
    Url {
        scheme: scheme.as_str(),
        host,
        port: head.port.filter(|&port| port != own_port),
        path: if raw.is_empty() { path } else { raw },
        query: head.query.map(|query| query.of(input)),
    }
}

/// Forgets what a request has changed (RFC 9111 section 4.4). `buffer` is what the response's head was parsed from.
pub fn invalidate(core: &Core, live: &Live, route: &config::Route, exchange: &Exchange, buffer: &[u8]) {
    let Exchange { head, response, .. } = exchange;
    if !invalidation::applies(head.method, response.status) {
        return;
    }
    let Some(rules) = rules_of_target(live, route, exchange) else { return };
    let mut scratch = Vec::new();
    invalidation::targets(head.method, &url(exchange), response, buffer, rules, &mut scratch, |url| {
        core.shared.cache.invalidate(url);
    });
}

/// By what rules a GET of the same URL is kept, which may be another route's.
fn rules_of_target<'a>(live: &'a Live, route: &'a config::Route, exchange: &Exchange) -> Option<&'a Rules> {
    if let Some(cache) = &route.cache {
        return Some(&cache.rules);
    }
    let header = |name: &str| exchange.header(name);
    let query = Query { host: &exchange.host, path: &exchange.path, method: b"GET", header: &header };
    let id = live.table.select(&query, &mut Params::new()).ok()?;
    live.route(id).0.cache.as_ref().map(|cache| &cache.rules)
}

/// A request's part in a fill.
struct Part<'a> {
    reader: Reader,
    /// It caused the fill, and this is what it knows of it.
    told: Option<Told>,
    cache: &'a RouteCache,
}

/// How a part ends.
enum End {
    Answered(Result<(), Stop>),
    Pass(Bypass),
    /// What came is for others.
    Again,
}

impl Part<'_> {
    /// Waits for what comes of the fill, and delivers it.
    async fn play(mut self, to: To<'_>, client: &mut Client, exchange: &mut Exchange) -> End {
        // While it waits, the client is watched, and what comes then is behind what has come already.
        settle_body(client, exchange);
        let end = loop {
            match self.wait(to, client, exchange).await {
                Ok(Begun::Streaming(head)) => break self.stream(to, client, exchange, &head).await,
                Ok(Begun::Whole { entry, below: true, .. }) => {
                    break self.deliver_found(to, client, exchange, &entry).await;
                }
                Ok(Begun::Whole { entry, stale, below: false }) => {
                    let stale = stale.then_some("stale-if-error");
                    break self.deliver(to, client, exchange, &entry, stale).await;
                }
                Ok(Begun::Lead(ticket)) => {
                    self.told = Some(fill::spawn(to, self.cache, ticket, exchange, client.peer));
                }
                Ok(Begun::Unshared(why)) => break End::Pass(why),
                Ok(Begun::Failed(code)) => {
                    let why = fill::refusal(code);
                    let stored = self.reader.filling().stored().cloned();
                    if let Some(entry) = stored.filter(|entry| breaker::may_answer(to, entry, why)) {
                        to.core.shard.fell_back(to.upstream.slot, "stale");
                        break self.deliver(to, client, exchange, &entry, Some("fallback")).await;
                    }
                    break End::Answered(Err(Stop::Refused(why)));
                }
                Err(end) => break end,
            }
        };
        if matches!(end, End::Answered(_)) {
            self.tell(exchange);
        }
        end
    }

    /// Waits for the head, as long as the client does; whoever follows, no longer than the rules say.
    async fn wait(&mut self, to: To<'_>, client: &mut Client, exchange: &Exchange) -> Result<Begun, End> {
        let most = Duration::from_millis(self.cache.rules.wait_ms);
        loop {
            client.timer.set(LOOK_AGAIN);
            let begun = poll_fn(|cx| match self.reader.poll_head(cx) {
                Poll::Ready(begun) => Poll::Ready(Some(begun)),
                Poll::Pending => client.timer.poll(cx).map(|()| None),
            })
            .await;
            if let Some(begun) = begun {
                client.timer.clear();
                return Ok(begun);
            }
            if client.has_left(to.core) {
                return Err(End::Answered(Err(Stop::Cut(Who::Client, Stage::Wait))));
            }
            if self.told.is_none() && exchange.facts.elapsed(to.core.now()) > most {
                return Err(End::Pass(Bypass::Crowded));
            }
        }
    }

    /// Delivers what comes in.
    async fn stream(
        &mut self,
        to: To<'_>,
        client: &mut Client,
        exchange: &mut Exchange,
        head: &Arc<Head>,
    ) -> End {
        let (rules, now) = (&self.cache.rules, to.core.unix_ms());
        let storable = head.storable.as_ref();
        let follows =
            |ask: &Ask<'_>| storable.is_ok_and(|storable| freshness::may_follow(storable, ask, now));
        if self.told.is_none() && !asks(exchange, rules, follows) {
            return End::Again;
        }
        let terms = || storable.ok().map(|storable| storable.terms);
        if deliver::origin_decides(exchange, rules, head.status, &head.bytes, terms) {
            return End::Pass(Bypass::Condition);
        }
        if let Err(why) = storable
            && asks(exchange, rules, |ask| range::is_for_origin(ask, &head.bytes, head.status))
        {
            return End::Pass(*why);
        }
        let detail = storable.err().map(|why| why.code());
        let said = Said::Forwarded(self.forwarded(exchange, now, None, storable.is_ok()), detail);
        let leads = self.told.is_some();
        exchange.facts.cached = Some(if leads { Cached::Miss } else { Cached::Collapsed });
        let from = (&**head, &mut self.reader);
        End::Answered(deliver::streaming(to, self.cache, client, exchange, from, said).await)
    }

    /// Delivers what a lower tier had. It is in memory now, and what is not fresh is looked at there like anything else.
    async fn deliver_found(
        &self,
        to: To<'_>,
        client: &mut Client,
        exchange: &mut Exchange,
        entry: &Arc<Entry>,
    ) -> End {
        let (rules, now) = (&self.cache.rules, to.core.unix_ms());
        let is_fresh =
            |ask: &Ask<'_>| entry.fits(ask) && freshness::decide(&entry.terms(), ask, now) == Use::Fresh;
        if !asks(exchange, rules, is_fresh) {
            return End::Again;
        }
        if origin_decides(exchange, rules, entry) {
            return End::Pass(Bypass::Condition);
        }
        exchange.facts.cached = Some(Cached::Hit);
        End::Answered(deliver::entry(to, self.cache, client, exchange, entry, Said::Found).await)
    }

    /// Delivers what was whole at once: validated, come in meanwhile; or stale, for an origin that
    /// has failed, which Cache-Status says in the word that is given.
    async fn deliver(
        &mut self,
        to: To<'_>,
        client: &mut Client,
        exchange: &mut Exchange,
        entry: &Arc<Entry>,
        stale: Option<&'static str>,
    ) -> End {
        let (rules, now) = (&self.cache.rules, to.core.unix_ms());
        let fits = |ask: &Ask<'_>| {
            entry.fits(ask)
                && match freshness::decide(&entry.terms(), ask, now) {
                    Use::Pass(_) => false,
                    Use::Validate(_) => stale.is_some(),
                    Use::Fresh | Use::StaleWanted | Use::StaleWhileRevalidate => true,
                }
        };
        if self.told.is_none() && !asks(exchange, rules, fits) {
            return End::Again;
        }
        if origin_decides(exchange, rules, entry) {
            return End::Pass(Bypass::Condition);
        }
        // What the origin said is known to the one who caused the fill.
        let facts = self.told.as_ref().and_then(|told| told.get());
        let status = facts.map(|facts| facts.status).filter(|&status| status > 0);
        exchange.facts.cached = Some(match (status, &self.told) {
            _ if stale.is_some() => Cached::Stale,
            (Some(304), _) => Cached::Revalidated,
            (_, Some(_)) => Cached::Miss,
            (_, None) => Cached::Collapsed,
        });
        let status = status.filter(|&status| status != entry.status());
        let said = Said::Forwarded(self.forwarded(exchange, now, status, stale.is_none()), stale);
        End::Answered(deliver::entry(to, self.cache, client, exchange, entry, said).await)
    }

    /// What Cache-Status says of a response that comes from the origin.
    fn forwarded(&self, exchange: &Exchange, now: UnixMs, status: Option<u16>, stored: bool) -> Forwarded {
        let ask = Ask::read(&exchange.head, &exchange.input, &self.cache.rules);
        let why = ask.map_or(Why::Miss, |ask| self.reader.filling().why(&ask, now));
        Forwarded { why, status, stored, collapsed: self.told.is_none() }
    }

    /// Takes over what is known of the fill, for the request's event.
    fn tell(&self, exchange: &mut Exchange) {
        let Some(facts) = self.told.as_ref().and_then(|told| told.get()) else { return };
        let own = &mut exchange.facts;
        own.upstream = facts.upstream;
        own.endpoint = facts.endpoint;
        own.tries = facts.tries;
        own.reused = facts.reused;
        own.times.held = facts.times.held;
        own.times.connect = facts.times.connect;
        own.times.wait = facts.times.wait;
    }
}

/// Whether `what` is true for what a request asks of the cache.
fn asks(exchange: &Exchange, rules: &Rules, what: impl FnOnce(&Ask<'_>) -> bool) -> bool {
    Ask::read(&exchange.head, &exchange.input, rules).is_ok_and(|ask| what(&ask))
}
