//! The page that a request reads, top to bottom: every decision that Tidegate takes about it, in
//! the order in which it takes them. `tidegate explain` prints the same decisions for one request.

use std::rc::Rc;
use std::sync::Arc;

use config::Action;
use signals::request::{Stage, Who};
use traffic::Refusal;
use traffic::client::{Claims, Identity};
use traffic::route::{NoRoute, Params, Query, RouteId};
use wire::{Field, Framing, Malformed, Method, uri};

use crate::breaker;
use crate::browser;
use crate::cached;
use crate::client::Client;
use crate::core::Core;
use crate::exchange::{Asker, Exchange};
use crate::files;
use crate::forward::To;
use crate::limits;
use crate::live::Live;
use crate::outbound;
use crate::purge;
use crate::respond;
use crate::room;

/// Why a request ends before its response is whole.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stop {
    /// Nothing has been sent: the client is told why.
    Refused(Refusal),
    /// Too late to tell anything: the connection is cut off.
    Cut(Who, Stage),
}

/// Serves one request.
#[allow(clippy::redundant_allocation)] // As the core holds it.
pub async fn serve(
    core: &Rc<Core>,
    live: &Rc<Arc<Live>>,
    client: &mut Client,
    exchange: &mut Exchange,
) -> Result<(), Stop> {
    // 1. Which route is it?
    exchange.facts.begun = Some(core.now());
    identify(live, client, exchange);
    outbound::identify(core, live, exchange);
    let selected = select(live, exchange);
    if let Ok(id) = selected {
        exchange.facts.route = Some(live.route(id).1.slot);
        exchange.facts.route_index = Some(id.0 as usize);
    }

    // 2. Do limits, which also count what no route takes, and the route's guards let it pass?
    limits::pass(core, live, client, exchange).map_err(Stop::Refused)?;
    let (route, _) = live.route(selected.map_err(Stop::Refused)?);
    guard(route, exchange).map_err(Stop::Refused)?;
    if purge::is_asked(route, exchange).map_err(Stop::Refused)? {
        return purge::serve(core, live, client, exchange, route).await;
    }

    // 3. Does it only ask whether a page of another origin may use the route?
    if exchange.is_preflight {
        return respond::preflight(core, live, client, exchange, route).await;
    }

    // 4. Is there room for one more, or do people wait in line?
    room::hide(live, route.room, exchange);
    if let Some(index) = route.room {
        let told = room::enter(core, live, route, &live.rooms[index], exchange).map_err(Stop::Refused)?;
        if let Some(told) = told {
            return respond::told(core, live, client, exchange, route, told).await;
        }
    }

    match &route.action {
        // 5. Answers that need no endpoint.
        Action::Redirect { to, status } => {
            respond::redirect(core, live, client, exchange, route, to, *status).await
        }
        Action::Respond { status, body, content_type } => {
            respond::fixed(core, live, client, exchange, route, *status, body, content_type).await
        }
        Action::Files(folder) => files::serve(core, live, client, exchange, route, folder).await,
        // 6. Is it in the cache, or on its way there? Else it is fetched, for everybody who asks.
        // 7. Forward: pick an endpoint, try, judge, retry within the budget; deliver the response,
        //    or open a tunnel.
        Action::Upstream(index) => {
            let to = To { core, live, route, upstream: &live.upstreams[*index] };
            let result = match &route.cache {
                Some(cache) => cached::serve(to, cache, client, exchange).await,
                None => breaker::forward(to, client, exchange).await,
            };
            // 8. What nothing at the upstream has seen, something else may answer.
            match result {
                Err(Stop::Refused(why)) if why.is_unserved() => {
                    Box::pin(breaker::fall_back(to, client, exchange, why)).await
                }
                result => result,
            }
        }
    }
}

/// Finds out who asks: the peer, or whom trusted hops name.
fn identify(live: &Live, client: &Client, exchange: &mut Exchange) {
    let trusted = &live.plan.server.trusted;
    let ip = client.peer.ip;
    if !trusted.contains(ip) {
        exchange.asker = Some(Asker { ip, proto: None, is_trusted: false });
        return;
    }
    let input = &exchange.input;
    let headers = &exchange.head.headers;
    let values = |field| headers.all(field).map(|header| header.value.of(input));
    let claims = Claims {
        x_forwarded_for: values(Field::XForwardedFor),
        x_forwarded_proto: values(Field::XForwardedProto).next(),
        x_forwarded_host: values(Field::XForwardedHost).next(),
        forwarded: values(Field::Forwarded),
    };
    let Identity { ip, proto, trusted_peer, .. } = trusted.identify(ip, claims);
    exchange.asker = Some(Asker { ip, proto, is_trusted: trusted_peer });
}

/// Chooses the route by host, path, method and fields. A preflight goes to the route that it asks for, if that one
/// answers preflights.
pub fn select(live: &Live, exchange: &mut Exchange) -> Result<RouteId, Refusal> {
    let Exchange { input, head, host, path, is_preflight, .. } = exchange;
    if head.method == Method::Connect {
        return Err(Refusal::ConnectRefused);
    }
    // `path` serves as the scratch of both, one after the other.
    host.extend_from_slice(uri::host_name(head.host.of(input), path));
    let raw = head.path.of(input);
    normalise(if raw.starts_with(b"/") { raw } else { b"/" }, path).map_err(Refusal::Malformed)?;
    let header = |name: &str| head.headers.find(input, name.as_bytes()).map(|header| header.value.of(input));
    let query = |method| Query { host, path, method, header: &header };
    if let Some(asked) = browser::preflight(head, input)
        && let Ok(id) = live.table.select(&query(asked), &mut Params::new())
        && live.route(id).0.cors.is_some()
    {
        *is_preflight = true;
        return Ok(id);
    }
    let query = query(head.method_name.of(input));
    live.table.select(&query, &mut Params::new()).map_err(|why| match why {
        NoRoute::NotFound => Refusal::NoRoute,
        NoRoute::MethodNotAllowed { .. } => Refusal::MethodNotAllowed,
    })
}

/// Writes the normal form of a path into `out`.
fn normalise(raw: &[u8], out: &mut Vec<u8>) -> Result<(), Malformed> {
    let unchanged = uri::normalise(raw, out)?.as_ptr() == raw.as_ptr();
    if unchanged {
        out.clear();
        out.extend_from_slice(raw);
    }
    Ok(())
}

/// The rules that a request has to meet before anything is done for it.
pub fn guard(route: &config::Route, exchange: &Exchange) -> Result<(), Refusal> {
    if exchange.head.headers.contains(Field::Expect) && !exchange.head.expect_continue {
        return Err(Refusal::ExpectationUnknown);
    }
    if exchange.is_preflight && !browser::is_allowed(route, exchange) {
        return Err(Refusal::OriginRefused);
    }
    match exchange.head.framing {
        Framing::Length(length) if length > route.body_bytes => Err(Refusal::BodyTooLarge),
        _ => Ok(()),
    }
}
