//! Taking a slot at an upstream: at once where one is free, else after waiting in its queue, which also holds requests
//! while no endpoint takes connections. Whoever waits is watched: a client that leaves gives its place up at once.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::{Context, Poll};
use std::time::Duration;

use config::PrioritySource;
use signals::request::{Stage, Who};
use traffic::queue::{Joining, Priority, Ticket, Unserved, Waited};
use traffic::upstream::{Ask, Lease, NoEndpoint};
use traffic::{Moment, Refusal};
use wire::Framing;

use crate::client::Client;
use crate::exchange::Exchange;
use crate::forward::{To, is_refused_connection};
use crate::pipeline::Stop;
use crate::request_key::{self, Source};
use crate::sticky;

/// How often one who waits looks at the state of the house, whether anybody wakes it or not.
const LOOK: Duration = Duration::from_secs(1);

/// Takes a slot at an endpoint where one is free; else says why none is, for [`wait`]. No future of its own, since
/// nearly every request comes this way. `last` is the failure of the try before.
pub fn enter(
    to: To<'_>,
    client: &Client,
    exchange: &Exchange,
    last: Refusal,
) -> Result<Result<Lease, NoEndpoint>, Stop> {
    if to.live.plan.sheds(priority(to.route, exchange)) {
        return Err(unserved(to, exchange, Unserved::Surge, last));
    }
    let now = match exchange.facts.tries {
        0 => exchange.facts.begun.unwrap_or_default(),
        _ => to.core.now(),
    };
    // Who has knocked at as many endpoints as it can remember waits before it begins anew.
    let has_knocked = exchange.tried.is_full() && is_refused_connection(last) && is_held(to, exchange);
    if has_knocked {
        return Ok(Err(NoEndpoint::AllTried));
    }
    let ask = ask(to, source(to, client, exchange), now);
    Ok(to.upstream.traffic.admit(&ask, &mut to.core.rng.borrow_mut()))
}

/// Where the keys of a request are read from.
fn source<'a>(to: To<'a>, client: &Client, exchange: &'a Exchange) -> Source<'a> {
    Source { live: to.live, exchange, peer: client.peer.ip }
}

/// What a pick has to know about a request.
fn ask<'a>(to: To<'a>, source: Source<'a>, now: Moment) -> Ask<'a> {
    let exchange = source.exchange;
    Ask {
        now,
        key: to.upstream.balance_key(source),
        sticky: sticky::sent(&to.upstream.plan, exchange),
        tried: exchange.tried.as_slice(),
        priority: priority(to.route, exchange),
    }
}

/// How much a request matters.
pub fn priority(route: &config::Route, exchange: &Exchange) -> Priority {
    match &route.priority {
        PrioritySource::Fixed(priority) => *priority,
        PrioritySource::Header(name) => {
            exchange.header(name).and_then(|word| Priority::named(word.trim_ascii())).unwrap_or_default()
        }
    }
}

/// Whether it may still wait for an endpoint that takes connections.
fn is_held(to: To<'_>, exchange: &Exchange) -> bool {
    exchange.facts.elapsed(to.core.now()) < to.upstream.plan.hold
}

/// Waits for a slot at an endpoint, `why` being why there was none. When all endpoints have failed this request, the
/// `last` failure is the answer.
pub async fn wait(
    to: To<'_>,
    client: &mut Client,
    exchange: &mut Exchange,
    last: Refusal,
    why: NoEndpoint,
) -> Result<Lease, Stop> {
    let mut why = why;
    loop {
        match why {
            NoEndpoint::Full => {}
            NoEndpoint::AllTried if is_refused_connection(last) && is_held(to, exchange) => {
                exchange.tried.clear();
                to.upstream.traffic.queue().shut(to.core.now());
            }
            NoEndpoint::AllTried => return Err(Stop::Refused(last)),
            NoEndpoint::Empty | NoEndpoint::AllDown if is_held(to, exchange) => {}
            NoEndpoint::Empty | NoEndpoint::AllDown => {
                return Err(Stop::Refused(Unserved::NoEndpoint(why).refusal()));
            }
        }
        let ticket = join(to, client, exchange).map_err(|why| unserved(to, exchange, why, last))?;
        let waited = served(to, client, exchange, &ticket).await;
        client.timer.clear();
        let (held, queued) = match &waited {
            Ok(waited) => (waited.held, waited.queued),
            Err(_) => ticket.waited(to.core.now()),
        };
        exchange.facts.times.held += held;
        exchange.facts.times.queued += queued;
        let waited = waited?;
        exchange.facts.sent = to.core.now();
        match waited.result {
            Ok(lease) => return Ok(lease),
            // Those that it has not tried are gone meanwhile.
            Err(Unserved::NoEndpoint(NoEndpoint::AllTried)) => why = NoEndpoint::AllTried,
            Err(why) => return Err(unserved(to, exchange, why, last)),
        }
    }
}

fn join(to: To<'_>, client: &Client, exchange: &Exchange) -> Result<Ticket, Unserved> {
    let source = source(to, client, exchange);
    let fair_by = to.upstream.plan.queue.fair_by.as_ref();
    to.upstream.traffic.join(&Joining {
        ask: ask(to, source, to.core.now()),
        begun: exchange.facts.begun.unwrap_or_default(),
        fair_key: fair_by.map_or(0, |key| request_key::hash(source, key)),
        is_retry: exchange.facts.tries > 0,
    })
}

/// Counts a request that got no slot, and says how it is told.
fn unserved(to: To<'_>, exchange: &Exchange, why: Unserved, last: Refusal) -> Stop {
    to.core.shard.shed(to.upstream.slot, why, priority(to.route, exchange));
    Stop::Refused(if why == Unserved::Unreached { last } else { why.refusal() })
}

/// Waits until it is known what becomes of the request.
async fn served(
    to: To<'_>,
    client: &mut Client,
    exchange: &Exchange,
    ticket: &Ticket,
) -> Result<Waited, Stop> {
    let is_whole = is_whole(exchange);
    client.timer.set(LOOK);
    // The core's timers are too coarse for the moment at which a slot is due.
    let mut look = pin!(None);
    poll_fn(|cx: &mut Context<'_>| {
        loop {
            if let Poll::Ready(waited) = ticket.poll(to.core.now(), cx.waker()) {
                return Poll::Ready(Ok(waited));
            }
            look.set(ticket.next_look().map(|at| tokio::time::sleep(at.since(to.core.now()))));
            if look.as_mut().as_pin_mut().is_none_or(|look| look.poll(cx).is_pending()) {
                break;
            }
        }
        // What waits for a slot is finished; what waits for an app that is away would hold up the leaving.
        if to.core.shared.is_draining() && ticket.is_held() {
            return Poll::Ready(Err(Stop::Refused(Refusal::Draining)));
        }
        if is_whole && client.poll_left(cx, to.core).is_ready() {
            return Poll::Ready(Err(Stop::Cut(Who::Client, Stage::Connect)));
        }
        while client.timer.poll(cx).is_ready() {
            client.timer.set(LOOK);
        }
        Poll::Pending
    })
    .await
}

/// With nothing more of this request to come, what can be read is the end, or the next request.
fn is_whole(exchange: &Exchange) -> bool {
    match exchange.head.framing {
        Framing::None => exchange.behind_head().is_empty(),
        Framing::Length(length) => exchange.behind_head().len() as u64 == length,
        Framing::Chunked | Framing::Close => false,
    }
}
