//! Sending a request to an endpoint of its upstream: pick, try, judge, retry within the budget.

use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;

use signals::request::{Stage, Who};
use traffic::Refusal;
use traffic::endpoint::Endpoint;
use traffic::outlier::Failure;
use traffic::retry::RetryAsk;
use traffic::upstream::Lease;
use wire::Field;

use crate::client::Client;
use crate::control;
use crate::core::Core;
use crate::exchange::Exchange;
use crate::live::{Live, Upstream};
use crate::outbound;
use crate::pipeline::Stop;
use crate::queue;
use crate::sticky;
use crate::stream::Stream;
use crate::transfer::{Broken, End, Transfer, connect_refusal};
use crate::tunnel;

/// Kept-alive connections may turn out to be closed so often without using up a try: that says nothing
/// about who can serve.
const FREE_STALE_TRIES: u8 = 2;

/// What forwarding works on.
#[derive(Clone, Copy, Debug)]
pub struct To<'a> {
    /// The core.
    pub core: &'a Rc<Core>,
    /// The configuration that the request began with.
    #[allow(clippy::redundant_allocation)] // As the core holds it.
    pub live: &'a Rc<Arc<Live>>,
    /// Its route.
    pub route: &'a config::Route,
    /// Its upstream.
    pub upstream: &'a Upstream,
}

/// Forwards a request until an endpoint has answered, or says why none did.
pub async fn forward(to: To<'_>, client: &mut Client, exchange: &mut Exchange) -> Result<(), Stop> {
    let budget = to.upstream.traffic.retry_budget();
    let now = exchange.facts.begun.unwrap_or_default();
    exchange.facts.sent = now;
    budget.deposit(now);
    exchange.facts.upstream = Some(to.upstream.slot);
    // What is told when no endpoint is left to try.
    let mut last = Refusal::ConnectFailed;
    let mut stale = 0;
    let before = exchange.facts.tries;
    loop {
        let lease = match queue::enter(to, client, exchange, last)? {
            Ok(lease) => lease,
            // Few wait, and the others' connections need not have room for it.
            Err(why) => Box::pin(queue::wait(to, client, exchange, last, why)).await?,
        };
        exchange.facts.tries = exchange.facts.tries.saturating_add(1);
        let endpoint = lease.endpoint().id();
        let failed = match attempt(to, client, exchange, lease).await {
            Ok(()) => return Ok(()),
            Err(Failed::Stop(stop)) => return Err(stop),
            Err(Failed::Again(failed)) => failed,
        };
        last = failed.refusal;
        if !failed.stale {
            exchange.tried.push(endpoint);
        }
        if is_refused_connection(last) && exchange.facts.elapsed(to.core.now()) < to.upstream.plan.hold {
            continue;
        }
        stale += u8::from(failed.stale && stale < FREE_STALE_TRIES);
        let ask = RetryAsk {
            unsent: failed.unsent,
            idempotent: exchange.head.method.is_idempotent(),
            has_idempotency_key: exchange.head.headers.contains(Field::IdempotencyKey),
            body_replayable: failed.replayable,
            response_started: false,
            tries: exchange.facts.tries - before - stale,
            elapsed: exchange.facts.elapsed(to.core.now()),
        };
        if let Err(why) = budget.may_retry(&to.route.retry, to.core.now(), &ask) {
            to.core.shard.retry_refused(to.upstream.slot, why.code());
            return Err(Stop::Refused(failed.refusal));
        }
        to.core.shard.retry(to.upstream.slot, failed.refusal.code());
    }
}

/// A try that failed before the client heard anything.
struct Again {
    refusal: Refusal,
    unsent: bool,
    replayable: bool,
    /// A kept-alive connection that the endpoint had closed: no fault of the endpoint.
    stale: bool,
}

enum Failed {
    Stop(Stop),
    Again(Again),
}

/// Whether nobody took the connection: then the request may wait for somebody who does.
pub(crate) fn is_refused_connection(refusal: Refusal) -> bool {
    matches!(refusal, Refusal::ConnectFailed | Refusal::ConnectTimeout)
}

/// One try at one endpoint.
async fn attempt(
    to: To<'_>,
    client: &mut Client,
    exchange: &mut Exchange,
    lease: Lease,
) -> Result<(), Failed> {
    let endpoint = lease.endpoint();
    exchange.facts.endpoint = to.upstream.endpoint_slot(endpoint.id());
    let kept = kept(to, exchange, endpoint);
    let reused = kept.is_some();
    let mut link = match kept {
        Some(link) => link,
        None => connected(to, exchange, endpoint).await.map_err(|error| {
            let refusal = connect_refusal(&error);
            blame(to, exchange, &lease, failure(refusal, true));
            Failed::Again(Again { refusal, unsent: true, replayable: true, stale: false })
        })?,
    };
    exchange.facts.reused = reused;
    // What everybody gets must not bind anybody to an endpoint.
    let cookie = match client.stream {
        Stream::Fill(_) => None,
        _ => sticky::cookie(&to.upstream.plan, &lease),
    };
    let (result, replayable) = transfer(to, client, exchange, &mut link, &lease, cookie.as_deref()).await;
    if result.is_err() {
        to.core.shard.upstream_closed(to.upstream.slot, "failed");
    }
    match result {
        Ok(end) => {
            let latency = exchange.facts.times.wait;
            let now = exchange.facts.answered.unwrap_or_else(|| to.core.now());
            match exchange.facts.status {
                502..=504 => blame(to, exchange, &lease, Failure::Status5xx),
                _ => control::note(&to.core.shard, to.upstream, lease.succeed(now, latency)),
            }
            if end == End::Switched {
                return switch(to, client, exchange, link, lease).await.map_err(Failed::Stop);
            }
            // The endpoint is done with it, however long the client takes for the rest.
            give_back(to, link, &lease, end);
            drop(lease);
            if exchange.download.is_empty() {
                return Ok(());
            }
            exchange.facts.answered = None;
            if client.flush(to.live, exchange).await {
                Ok(())
            } else {
                Err(Failed::Stop(Stop::Cut(Who::Client, Stage::Deliver)))
            }
        }
        Err(Broken::Early { refusal, unsent }) => {
            let stale = reused && refusal == Refusal::ResponseClosed;
            if stale {
                to.core.pools.borrow_mut().stale(endpoint.id(), to.core.now_ms(), &to.core.shard);
            } else {
                blame(to, exchange, &lease, failure(refusal, false));
            }
            Err(Failed::Again(Again { refusal, unsent, replayable, stale }))
        }
        Err(Broken::Refused(refusal)) => Err(Failed::Stop(Stop::Refused(refusal))),
        Err(Broken::Midway) => {
            blame(to, exchange, &lease, Failure::Reset);
            Err(Failed::Stop(Stop::Cut(Who::Endpoint, Stage::Deliver)))
        }
        Err(Broken::Uncoded) => Err(Failed::Stop(Stop::Cut(Who::Tidegate, Stage::Deliver))),
        Err(Broken::ClientGone(stage)) => Err(Failed::Stop(Stop::Cut(Who::Client, stage))),
    }
}

/// Counts a failed try against its endpoint.
fn blame(to: To<'_>, exchange: &Exchange, lease: &Lease, failure: Failure) {
    if let Some(slot) = exchange.facts.endpoint {
        to.core.shard.endpoint_failed(slot, failure.code());
    }
    control::note(&to.core.shard, to.upstream, lease.fail(to.core.now(), failure));
}

/// Runs the try; also says whether it could be repeated.
async fn transfer(
    to: To<'_>,
    client: &mut Client,
    exchange: &mut Exchange,
    link: &mut Stream,
    lease: &Lease,
    cookie: Option<&[u8]>,
) -> (Result<End, Broken>, bool) {
    let peer = client.peer;
    let endpoint = lease.endpoint().id();
    let mut transfer = Transfer::new(to, client, exchange, link, lease, cookie);
    let mut begun = false;
    let result = poll_fn(|cx| {
        if !begun {
            begun = true;
            transfer.begin(cx, |out, exchange| {
                outbound::head(out, to.live, exchange, peer, to.route, to.upstream, endpoint);
            })?;
        }
        transfer.poll(cx)
    })
    .await;
    (result, transfer.is_replayable())
}

/// A connection to the endpoint that was kept.
fn kept(to: To<'_>, exchange: &Exchange, endpoint: &Endpoint) -> Option<Stream> {
    let once = !exchange.head.method.is_idempotent();
    let kept = to.core.pools.borrow_mut().take(endpoint.id(), once, to.core.now_ms(), &to.core.shard)?;
    to.core.shard.upstream_reused(to.upstream.slot);
    Some(kept)
}

/// A new connection to the endpoint.
async fn connected(to: To<'_>, exchange: &mut Exchange, endpoint: &Endpoint) -> std::io::Result<Stream> {
    let began = to.core.now();
    let connecting = to.core.connect.connect(endpoint.address());
    let stream = tokio::time::timeout(to.route.timeouts.connect, connecting)
        .await
        .unwrap_or_else(|_| Err(std::io::ErrorKind::TimedOut.into()))?;
    exchange.facts.sent = to.core.now();
    exchange.facts.times.connect = exchange.facts.sent.since(began);
    to.upstream.traffic.queue().open(exchange.facts.sent);
    to.core.shard.upstream_connected(to.upstream.slot);
    Ok(stream)
}

/// After the response: the connection goes back to its pool, if it can carry another request.
fn give_back(to: To<'_>, link: Stream, lease: &Lease, end: End) {
    if end != (End::Complete { reusable: true }) || to.core.shared.is_draining() {
        return to.core.shard.upstream_closed(to.upstream.slot, "not_reusable");
    }
    let pool = &to.upstream.plan.pool;
    let mut pools = to.core.pools.borrow_mut();
    if !pools.put(lease.endpoint(), link, to.upstream.slot, pool, to.core.now_ms()) {
        to.core.shard.upstream_closed(to.upstream.slot, "pool_full");
    }
}

/// After a 101: both sides speak another protocol from here on.
async fn switch(
    to: To<'_>,
    client: &mut Client,
    exchange: &mut Exchange,
    link: Stream,
    lease: Lease,
) -> Result<(), Stop> {
    exchange.facts.answered = None;
    client.keep_alive = false;
    if !client.flush(to.live, exchange).await {
        return Err(Stop::Cut(Who::Client, Stage::Tunnel));
    }
    lease.stream(to.core.now());
    tunnel::carry(to.core, client, link, to.live.plan.server.timeouts.tunnel, exchange).await
}

/// What a refusal says about the endpoint.
fn failure(refusal: Refusal, connecting: bool) -> Failure {
    match refusal {
        Refusal::ConnectTimeout => Failure::ConnectTimeout,
        Refusal::ResponseTimeout => Failure::Timeout,
        Refusal::ResponseMalformed(_) | Refusal::UpgradeUnasked => Failure::Malformed,
        _ if connecting => Failure::Connect,
        _ => Failure::Reset,
    }
}
