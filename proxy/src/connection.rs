//! The life of a client connection: head after head, until one side has had enough.

use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use signals::log::LogHandle;
use signals::request::{Finished, Stage, Who};
use traffic::Refusal;
use wire::{Field, Version};

use crate::client::{Arrival, Client};
use crate::core::{Core, Peer};
use crate::exchange::Exchange;
use crate::limits;
use crate::live::Live;
use crate::pipeline::{self, Stop};
use crate::preamble;
use crate::respond;
use crate::stream::Stream;

/// Least and most clients that are waited for at once after they were told that there is no place for
/// them; in between it is a quarter of the places.
const TURNED_AWAY: std::ops::RangeInclusive<usize> = 4..=64;

/// What a listener demands of its connections.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rules {
    /// A PROXY preamble comes before the first request.
    pub proxy_protocol: bool,
}

/// Serves a connection until it ends.
pub async fn serve(core: Rc<Core>, stream: Stream, peer: Peer, rules: Rules) {
    let mut client = Client::new(&core, stream, peer);
    let Some(mut place) = Place::take(&core) else {
        return turn_away(&core, client, Refusal::TooManyConnections, None).await;
    };
    if rules.proxy_protocol && !preamble::take(&core, &mut client).await {
        return;
    }
    if let Err((refusal, wait)) = place.count(client.peer) {
        return turn_away(&core, client, refusal, wait).await;
    }
    loop {
        let (mut exchange, refusal) = match client.next_head(&core).await {
            Arrival::Head(exchange) => (exchange, None),
            Arrival::Refused(refusal, exchange) => (exchange, Some(refusal)),
            Arrival::Left => return,
        };
        let live = core.live();
        // A client that said so itself sends nothing more.
        let is_last = refusal.is_none() && !exchange.head.keep_alive;
        client.is_torn = true;
        let result = one(&core, &live, &mut client, &mut exchange, refusal).await;
        client.is_torn = matches!(result, Err(Stop::Cut(who, _)) if who != Who::Client);
        client.timer.clear();
        drop(exchange);
        drop(live);
        match result {
            Ok(()) if client.keep_alive => client.rest(),
            Ok(()) if is_last && !client.unread && client.pending.is_empty() => return,
            Ok(()) => return client.linger(&core).await,
            Err(_) => return,
        }
    }
}

/// Serves one request and says how it went: the one place that turns refusals into responses, and
/// that tells signals.
#[allow(clippy::redundant_allocation)] // As the core holds it.
async fn one(
    core: &Rc<Core>,
    live: &Rc<Arc<Live>>,
    client: &mut Client,
    exchange: &mut Exchange,
    refusal: Option<Refusal>,
) -> Result<(), Stop> {
    client.served += 1;
    client.unread = false;
    let most = live.plan.server.limits.requests_per_connection;
    client.keep_alive = refusal.is_none()
        && exchange.head.keep_alive
        && !core.shared.is_draining()
        && (most == 0 || client.served < most);
    let result = match refusal {
        Some(refusal) => Err(Stop::Refused(refusal)),
        None => pipeline::serve(core, live, client, exchange).await,
    };
    let (result, who, stage) = match result {
        Ok(()) => (Ok(()), Who::Complete, Stage::Done),
        Err(Stop::Cut(who, stage)) => (Err(Stop::Cut(who, stage)), who, stage),
        Err(Stop::Refused(refusal)) => {
            let (who, stage) = blame(refusal);
            (respond::refuse(core, live, client, exchange, refusal).await, who, stage)
        }
    };
    core.count_served(live);
    let ended = exchange.facts.answered.unwrap_or_else(|| core.now());
    exchange.facts.times.total = exchange.facts.elapsed(ended);
    finished(core, live, exchange, who, stage);
    result
}

/// Whose doing a refusal is, and at which stage.
fn blame(refusal: Refusal) -> (Who, Stage) {
    match refusal {
        Refusal::Malformed(_) | Refusal::HeadTimeout => (Who::Client, Stage::Head),
        Refusal::ConnectRefused
        | Refusal::ExpectationUnknown
        | Refusal::NoRoute
        | Refusal::MethodNotAllowed
        | Refusal::OriginRefused
        | Refusal::TooManyConnections
        | Refusal::TooManyClientConnections
        | Refusal::ConnectionRateLimited
        | Refusal::Draining
        | Refusal::NotCached
        | Refusal::PurgeForbidden
        | Refusal::RateLimited
        | Refusal::TooManyInFlight
        | Refusal::LimitKeyMissing
        | Refusal::AddressDenied
        | Refusal::WaitingRoom => (Who::Tidegate, Stage::Route),
        Refusal::FileNotFound | Refusal::FilesUnavailable => (Who::Tidegate, Stage::Deliver),
        Refusal::BodyTooLarge => (Who::Tidegate, Stage::Send),
        Refusal::BodyTimeout => (Who::Client, Stage::Send),
        Refusal::NoEndpoint
        | Refusal::AllEndpointsDown
        | Refusal::QueueFull
        | Refusal::QueueTimeout
        | Refusal::QueueShed
        | Refusal::QueueDisplaced
        | Refusal::SurgeShed
        | Refusal::BreakerOpen => (Who::Tidegate, Stage::Connect),
        Refusal::ConnectFailed | Refusal::ConnectTimeout => (Who::Endpoint, Stage::Connect),
        Refusal::ResponseTimeout
        | Refusal::ResponseClosed
        | Refusal::ResponseMalformed(_)
        | Refusal::UpgradeUnasked => (Who::Endpoint, Stage::Wait),
    }
}

/// Emits the one event of a request.
fn finished(core: &Core, live: &Live, exchange: &Exchange, who: Who, stage: Stage) {
    let facts = &exchange.facts;
    let event = Finished {
        who,
        stage,
        route: facts.route,
        upstream: facts.upstream,
        endpoint: facts.endpoint,
        status: facts.status,
        refusal: facts.refusal,
        tries: facts.tries,
        reused: facts.reused,
        received_bytes: facts.received_bytes,
        sent_bytes: facts.sent_bytes,
        times: facts.times,
        cached: facts.cached,
        ..Finished::default()
    };
    core.shard.finished(&event);
    if let Some(log) = core.log.borrow_mut().as_mut() {
        write_line(log, live, exchange, &event);
    }
}

/// Writes the line of a request into the access log, which is the only one to show its text.
fn write_line(log: &mut LogHandle, live: &Live, exchange: &Exchange, event: &Finished<'_>) {
    let facts = &exchange.facts;
    let input = &exchange.input[..];
    let head = facts.begun.is_some().then_some(&exchange.head);
    let value =
        |field| head.and_then(|head| head.headers.get(field)).map_or(&b""[..], |line| line.value.of(input));
    let event = Finished {
        limit: limits::name(live, exchange),
        client: exchange.asker.map(|asker| asker.ip),
        method: head.map_or(b"", |head| head.method_name.of(input)),
        target: head.map_or_else(|| first_line(input), |head| head.target.of(input)),
        host: head.map_or(b"", |head| head.authority.of(input)),
        version: if head.is_some_and(|head| head.version == Version::Http10) { 10 } else { 11 },
        referer: value(Field::Referer),
        user_agent: value(Field::UserAgent),
        request_id: &exchange.request_id,
        trace_id: exchange.traceparent.get(3..35).unwrap_or_default(),
        ..*event
    };
    let route = facts.route_index.map_or("", |index| &live.plan.routes[index].name);
    let upstream =
        facts.upstream.and_then(|slot| live.upstreams.iter().find(|upstream| upstream.slot == slot));
    let name = upstream.map_or("", |upstream| &upstream.plan.name);
    let directory = upstream.map(|upstream| upstream.directory.load());
    let endpoint =
        directory.as_ref().and_then(|listed| listed.iter().find(|l| Some(l.slot) == facts.endpoint));
    let address = endpoint.map_or("", |listed| &listed.address);
    log.write(&event, route, name, address, std::time::SystemTime::now());
}

/// What a malformed request began with, for the log.
fn first_line(input: &[u8]) -> &[u8] {
    let end = input.iter().position(|&byte| byte == b'\r' || byte == b'\n').unwrap_or(input.len());
    &input[..end.min(200)]
}

/// A connection's place among those that are allowed; given back when dropped.
struct Place<'a> {
    core: &'a Core,
    counted: Option<std::net::IpAddr>,
}

impl<'a> Place<'a> {
    /// A place among all connections.
    fn take(core: &'a Core) -> Option<Self> {
        let most = core.live().plan.server.limits.connections;
        if core.shared.connections.fetch_add(1, Ordering::Relaxed) >= most {
            core.shared.connections.fetch_sub(1, Ordering::Relaxed);
            return None;
        }
        core.shard.connection_opened();
        Some(Self { core, counted: None })
    }

    /// A place among the client's own. A trusted hop stands for many clients and is not counted. If there is none, the
    /// reason, and after which time there may be one, where that is known.
    fn count(&mut self, peer: Peer) -> Result<(), (Refusal, Option<Duration>)> {
        let live = self.core.live();
        if live.plan.server.trusted.contains(peer.ip) {
            return Ok(());
        }
        limits::connect(&live, peer.ip, self.core.now())
            .map_err(|wait| (Refusal::ConnectionRateLimited, Some(wait)))?;
        let most = live.plan.server.limits.connections_per_client;
        if most > 0 {
            if !self.core.shared.census.enter(peer.ip, most) {
                return Err((Refusal::TooManyClientConnections, None));
            }
            self.counted = Some(peer.ip);
        }
        Ok(())
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        if let Some(ip) = self.counted {
            self.core.shared.census.leave(ip);
        }
        self.core.shared.connections.fetch_sub(1, Ordering::Relaxed);
        self.core.shard.connection_closed();
    }
}

/// Tells a client that there is no place for its connection, without reading what it wants. Few are
/// waited for until they have left, for a crowd of them must not take the descriptors of the others.
async fn turn_away(core: &Core, mut client: Client, refusal: Refusal, wait: Option<Duration>) {
    let live = core.live();
    core.shard.connection_refused(refusal);
    client.keep_alive = false;
    let most = (live.plan.server.limits.connections / 4).clamp(*TURNED_AWAY.start(), *TURNED_AWAY.end());
    let is_crowd = core.shared.turned_away.fetch_add(1, Ordering::Relaxed) >= most;
    let mut exchange = core.exchanges.take();
    exchange.retry_after = wait.map(|wait| respond::at_least(core, wait));
    if respond::refuse(core, &live, &mut client, &mut exchange, refusal).await.is_ok() && !is_crowd {
        drop(exchange);
        client.linger(core).await;
    }
    core.shared.turned_away.fetch_sub(1, Ordering::Relaxed);
}

/// Whether this peer may say in a preamble who its client is.
pub fn is_trusted(live: &Live, peer: Peer) -> bool {
    live.plan.server.trusted.contains(peer.ip)
}
