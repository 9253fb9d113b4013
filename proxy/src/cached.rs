//! The cache's part in a request: look, and deliver what is there; else fill, or follow whoever fills already.

use std::future::poll_fn;
use std::task::Poll;
use std::time::Duration;

use cache::filling::{Begun, Reader};
use cache::status::{Forwarded, Outcome, Why};
use cache::{Ask, Bypass, Found, Key, freshness, invalidation, key::Url};
use config::RouteCache;
use signals::request::{Cached, Stage, Who};
use traffic::Refusal;
use traffic::client::Proto;

use crate::client::Client;
use crate::deliver::{self, Said};
use crate::exchange::Exchange;
use crate::fill::{self, Told};
use crate::forward::{To, forward};
use crate::pipeline::Stop;

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
    for _ in 0..LOOKS {
        let found = match look(to, cache, exchange) {
            Ok(found) => found,
            Err(why) => return pass(to, cache, client, exchange, why).await,
        };
        let (reader, told) = match found {
            Found::Hit(entry) => {
                exchange.facts.cached = Some(Cached::Hit);
                return deliver::entry(to, cache, client, exchange, &entry, Said::Hit).await;
            }
            Found::Stale { entry, refresh } => {
                if let Some(ticket) = refresh {
                    fill::spawn(to, cache, ticket, exchange, client.peer);
                }
                exchange.facts.cached = Some(Cached::Stale);
                return deliver::entry(to, cache, client, exchange, &entry, Said::Hit).await;
            }
            Found::Fill(ticket) => {
                let reader = ticket.leader();
                let validates = ticket.stored().is_some();
                let told = fill::spawn(to, cache, ticket, exchange, client.peer);
                (reader, Some((told, validates)))
            }
            Found::Follow(filling) => match filling.read_along() {
                Some(reader) => (reader, None),
                None => return pass(to, cache, client, exchange, Bypass::Crowded).await,
            },
            Found::Pass(why) => return pass(to, cache, client, exchange, why).await,
            Found::NotHere => return Err(Stop::Refused(Refusal::NotCached)),
        };
        let part = Part { reader, told, rules: cache };
        if let Some(result) = part.play(to, client, exchange).await {
            return match result {
                Err(Next::Pass(why)) => pass(to, cache, client, exchange, why).await,
                Err(Next::Stop(stop)) => Err(stop),
                Ok(()) => Ok(()),
            };
        }
    }
    pass(to, cache, client, exchange, Bypass::Crowded).await
}

/// Reads the request and asks the store.
fn look(to: To<'_>, cache: &RouteCache, exchange: &mut Exchange) -> Result<Found, Bypass> {
    let store = &to.core.shared.cache;
    let Exchange { input, head, host, path, key, asker, .. } = exchange;
    let ask = Ask::read(head, input, &cache.rules)?;
    let url = url(head, input, host, path, asker.and_then(|asker| asker.proto));
    let key = Key::write(key, &url, &ask, &cache.rules, store.seed());
    Ok(store.look(&key, &ask, &cache.rules, to.core.unix_ms()))
}

/// The URL that a request means.
pub fn url<'a>(
    head: &wire::RequestHead,
    input: &'a [u8],
    host: &'a [u8],
    path: &'a [u8],
    proto: Option<Proto>,
) -> Url<'a> {
    let raw = head.path.of(input);
    Url {
        scheme: proto.unwrap_or(Proto::Http).as_str(),
        host,
        path: if raw.is_empty() { path } else { raw },
        query: head.query.map(|query| query.of(input)),
    }
}

/// Forwards a request as if there were no cache; what it changes is forgotten.
async fn pass(
    to: To<'_>,
    cache: &RouteCache,
    client: &mut Client,
    exchange: &mut Exchange,
    why: Bypass,
) -> Result<(), Stop> {
    exchange.facts.cached = Some(Cached::Bypass(why));
    exchange.says_bypass = cache.status.then_some(why);
    forward(to, client, exchange).await
}

/// Forgets what a request has changed (RFC 9111 section 4.4). `buffer` is what the response's head was parsed from.
pub fn invalidate(to_core: &crate::core::Core, route: &config::Route, exchange: &Exchange, buffer: &[u8]) {
    let Some(cache) = &route.cache else { return };
    if !invalidation::applies(exchange.head.method, exchange.response.status) {
        return;
    }
    let Exchange { input, head, host, path, asker, response, .. } = exchange;
    let url = url(head, input, host, path, asker.and_then(|asker| asker.proto));
    let store = &to_core.shared.cache;
    let mut scratch = Vec::new();
    invalidation::targets(head.method, &url, response, buffer, &cache.rules, &mut scratch, |url| {
        store.invalidate(url);
    });
}

/// A request's part in a fill.
struct Part<'a> {
    reader: Reader,
    /// It caused the fill; whether that validates what is stored.
    told: Option<(Told, bool)>,
    rules: &'a RouteCache,
}

/// How a part ends without an answer.
enum Next {
    Pass(Bypass),
    Stop(Stop),
}

impl Part<'_> {
    /// Waits for what comes of the fill, and delivers it. `None`: it is for others, look again.
    async fn play(
        mut self,
        to: To<'_>,
        client: &mut Client,
        exchange: &mut Exchange,
    ) -> Option<Result<(), Next>> {
        let leads = self.told.is_some();
        loop {
            let begun = match self.wait(to, client, exchange).await {
                Ok(begun) => begun,
                Err(next) => return Some(Err(next)),
            };
            let now = to.core.unix_ms();
            let fits = |exchange: &Exchange, fits: &dyn Fn(&Ask<'_>) -> bool| {
                leads
                    || Ask::read(&exchange.head, &exchange.input, &self.rules.rules)
                        .is_ok_and(|ask| fits(&ask))
            };
            let said = match begun {
                Begun::Streaming(head) => {
                    let may = head.storable.as_ref().is_ok_and(|storable| {
                        fits(exchange, &|ask| freshness::may_follow(storable, ask, now))
                    });
                    if !may && !leads {
                        return None;
                    }
                    let said = self.said(exchange, head.status, head.storable.is_ok());
                    let result =
                        deliver::streaming(to, self.rules, client, exchange, (&head, &mut self.reader), said)
                            .await;
                    self.tell(exchange);
                    return Some(result.map_err(Next::Stop));
                }
                Begun::Whole { entry, stale } => {
                    if !fits(exchange, &|ask| entry.fits(ask)) {
                        return None;
                    }
                    let said = self.said_whole(exchange, stale);
                    let result = deliver::entry(to, self.rules, client, exchange, &entry, said).await;
                    self.tell(exchange);
                    return Some(result.map_err(Next::Stop));
                }
                Begun::Lead(ticket) => {
                    let validates = ticket.stored().is_some();
                    let told = fill::spawn(to, self.rules, ticket, exchange, client.peer);
                    self.told = Some((told, validates));
                    continue;
                }
                Begun::Unshared(why) => Next::Pass(why),
                Begun::Failed(code) => {
                    let refusal = Refusal::ALL.get(usize::from(code)).copied();
                    Next::Stop(Stop::Refused(refusal.unwrap_or(Refusal::ResponseClosed)))
                }
            };
            self.tell(exchange);
            return Some(Err(said));
        }
    }

    /// Waits for the head, as long as the client does; whoever follows, no longer than the rules say.
    async fn wait(&mut self, to: To<'_>, client: &mut Client, exchange: &Exchange) -> Result<Begun, Next> {
        let most = Duration::from_millis(self.rules.rules.wait_ms);
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
                return Err(Next::Stop(Stop::Cut(Who::Client, Stage::Wait)));
            }
            if self.told.is_none() && exchange.facts.elapsed(to.core.now()) > most {
                return Err(Next::Pass(Bypass::Crowded));
            }
        }
    }

    /// What Cache-Status says of a response that comes from the origin.
    fn said(&self, exchange: &mut Exchange, status: u16, stored: bool) -> Said {
        let (why, cached) = match &self.told {
            Some((_, true)) => (Why::Stale, Cached::Miss),
            Some((_, false)) => (Why::UriMiss, Cached::Miss),
            None => (Why::UriMiss, Cached::Collapsed),
        };
        exchange.facts.cached = Some(cached);
        let collapsed = self.told.is_none();
        Said::Forwarded(Outcome::Forwarded(Forwarded { why, status: Some(status), stored, collapsed }))
    }

    /// The same of one that was whole at once.
    fn said_whole(&self, exchange: &mut Exchange, stale: bool) -> Said {
        let collapsed = self.told.is_none();
        if stale {
            exchange.facts.cached = Some(Cached::Stale);
            return Said::Hit;
        }
        let validated = matches!(self.told, Some((_, true)));
        exchange.facts.cached = Some(if validated { Cached::Revalidated } else { Cached::Collapsed });
        let why = if validated { Why::Stale } else { Why::UriMiss };
        let status = validated.then_some(304);
        Said::Forwarded(Outcome::Forwarded(Forwarded { why, status, stored: true, collapsed }))
    }

    /// Takes over what is known of the fill, for the request's event.
    fn tell(&self, exchange: &mut Exchange) {
        let Some(facts) = self.told.as_ref().and_then(|(told, _)| told.take()) else { return };
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
