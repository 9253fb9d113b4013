//! The pipeline's decisions about one request, in words and in the pipeline's order. They are taken by
//! the pipeline's own functions on a request that nobody sent, so the two cannot disagree.

mod stored;

use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr};

use config::{Action, Origins, Plan, Rewrite};
use traffic::queue::Priority;
use traffic::route::{Params, Query};
use traffic::upstream::{Ask, NoEndpoint};
use traffic::{Moment, Refusal};
use wire::Limits;

use crate::breaker;
use crate::core::Shared;
use crate::exchange::{Exchange, Store};
use crate::files;
use crate::limits;
use crate::live::{Live, Upstream};
use crate::pipeline::{guard, select};
use crate::queue;
use crate::request_key::Source;
use crate::room;
use crate::sticky;
use crate::surge;

/// One decision.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Step {
    /// What is decided: `request`, `surge`, `route`, `limit`, `guard`, `room`, `cache`, `upstream`, `breaker`, `fallback`, `queue`,
    /// `endpoint`, `answer`.
    pub stage: &'static str,
    /// How, and why.
    pub text: String,
}

/// A request that nobody sent.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Asked {
    /// Its head, as a client would send it.
    pub head: Vec<u8>,
    /// Its URL begins with https. The head does not say that, the key in the cache does.
    pub is_https: bool,
    /// Address of the client who would ask; this machine's own unless given.
    pub client: Option<IpAddr>,
}

/// Explains what would be done with a request. Without a running process (`shared`), nothing is known of what the cache
/// holds.
pub fn explain(live: &Live, shared: Option<&Shared>, asked: &Asked) -> Vec<Step> {
    let head = &asked.head[..];
    let now = shared.map_or_else(Moment::default, Shared::now);
    let mut steps = Vec::new();
    let mut say = |stage, text: String| steps.push(Step { stage, text });
    let mut exchange = Store::default().take();
    exchange.input.extend_from_slice(head);
    let parsed = exchange.head.parse(head, &live.plan.server.limits.wire);
    let selected = match parsed {
        Ok(true) => select(live, &mut exchange),
        Ok(false) => Err(Refusal::Malformed(wire::Malformed::Truncated)),
        Err(reason) => Err(Refusal::Malformed(reason)),
    };
    if let Err(refusal @ (Refusal::Malformed(_) | Refusal::ConnectRefused)) = selected {
        say("request", refused(refusal));
        return steps;
    }
    let exchange = &mut *exchange;
    say("request", request(exchange));
    if let Some(text) = surge::explain(live, shared.map(Shared::unix_ms)) {
        say("surge", text);
    }
    let header = |name: &str| exchange.header(name);
    let query = exchange.query(&header);
    for candidate in live.table.explain(&query) {
        say("route", format!("{}: {}", described(&live.plan, candidate.route.index()), candidate.verdict));
    }
    if selected.is_ok() {
        parameters(live, exchange, &query, &mut say);
    }
    let client = asked.client.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST));
    exchange.facts.route_index = selected.ok().map(|id| id.0 as usize);
    if let Err(refusal) = limits::explain(live, exchange, client, now, &mut say) {
        say("limit", refused(refusal));
        return steps;
    }
    let id = match selected {
        Ok(id) => id,
        Err(refusal) => {
            say("route", refused(refusal));
            return steps;
        }
    };
    let (route, _) = live.route(id);
    guards(route, &mut say);
    if let Err(refusal) = guard(route, exchange) {
        say("guard", refused(refusal));
        return steps;
    }
    if exchange.is_preflight {
        say("answer", "204, the route's answer to a preflight".to_owned());
        return steps;
    }
    room(live, shared, route, &mut say);
    match &route.action {
        Action::Redirect { to, status } => say("answer", format!("{status}, redirect to {to}")),
        Action::Respond { status, content_type, .. } => {
            say("answer", format!("{status}, fixed body, {content_type}"));
        }
        Action::Files(folder) => say("answer", files::explain(live, exchange, route, folder)),
        Action::Upstream(index) => {
            let of = stored::Of { live, shared, asked, route };
            if of.explain(exchange, &mut say).is_continue() {
                upstream(live, exchange, route, *index, now, &mut say);
            }
        }
    }
    steps
}

/// The request as it was understood.
fn request(exchange: &Exchange) -> String {
    let shown = String::from_utf8_lossy;
    let method = shown(exchange.head.method_name.of(&exchange.input));
    format!("{method} host {} path {}", shown(&exchange.host), shown(&exchange.path))
}

fn parameters(
    live: &Live,
    exchange: &Exchange,
    query: &Query<'_>,
    say: &mut impl FnMut(&'static str, String),
) {
    let mut params = Params::new();
    // Known to select this route: it did a moment ago.
    let _ = live.table.select(query, &mut params);
    for (name, range) in params.iter() {
        say("route", format!("{{{name}}} is {}", String::from_utf8_lossy(&exchange.path[range])));
    }
}

fn refused(refusal: Refusal) -> String {
    format!("refused with {}: {}", refusal.status(), refusal.what())
}

fn described(plan: &Plan, index: usize) -> String {
    let route = &plan.routes[index];
    match route.line {
        0 => route.name.clone(),
        line => format!("{} (line {line})", route.name),
    }
}

fn guards(route: &config::Route, say: &mut impl FnMut(&'static str, String)) {
    say("guard", format!("a body longer than {} bytes is refused with 413", route.body_bytes));
    if let Some(cors) = &route.cors {
        let whose = match &cors.origins {
            Origins::Any => "any origin".to_owned(),
            Origins::Listed(origins) => origins.join(", "),
        };
        say("guard", format!("pages of {whose} may use it, preflights of others are refused with 403"));
    }
    match &route.rewrite {
        Rewrite::None => {}
        Rewrite::Strip(prefix) => say("guard", format!("{prefix} is taken off the path")),
        Rewrite::Replace(template) => say("guard", format!("the path becomes {template}")),
    }
}

fn room(
    live: &Live,
    shared: Option<&Shared>,
    route: &config::Route,
    say: &mut impl FnMut(&'static str, String),
) {
    if let Some(index) = route.room {
        say("room", room::explain(&live.rooms[index], shared.map(Shared::unix_ms)));
    } else if let Some(index) = route.surge_room {
        say(
            "room",
            format!(
                "waiting room {} is open: people wait only while a surge is on",
                live.plan.rooms[index].name
            ),
        );
    }
}

/// What answers when nothing at the upstream can.
fn stands_in(live: &Live, fallback: &config::Fallback) -> String {
    let stale = fallback.stale.map(|late| format!("what is stored, up to {late:?} after its lifetime"));
    let spare = fallback.upstream.map(|index| format!("upstream {}", live.upstreams[index].plan.name));
    let page = fallback.page.as_ref().map(|page| format!("a file, with {}", page.status));
    let all: Vec<String> = [stale, spare, page].into_iter().flatten().collect();
    format!("while the upstream takes nothing, {}", all.join(", then "))
}

fn upstream(
    live: &Live,
    exchange: &Exchange,
    route: &config::Route,
    index: usize,
    now: Moment,
    say: &mut impl FnMut(&'static str, String),
) {
    let upstream = &live.upstreams[index];
    let (plan, traffic) = (&upstream.plan, &upstream.traffic);
    let (policy, tries) = (plan.traffic.policy.code(), route.retry.attempts);
    let within = route.timeouts.response;
    say(
        "upstream",
        format!("{}: balanced by {policy}, up to {tries} tries, response within {within:?}", plan.name),
    );
    if let Some(settings) = &plan.breaker {
        say("breaker", breaker::explain(settings, &upstream.breaker, now));
    }
    if let Some(fallback) = &route.fallback {
        say("fallback", stands_in(live, fallback));
    }
    let key = upstream.balance_key(Source { live, exchange, peer: IpAddr::V4(Ipv4Addr::LOCALHOST) });
    let priority = queue::priority(route, exchange);
    if live.plan.sheds(priority) {
        say("queue", format!("priority {}: {}", priority.code(), refused(Refusal::SurgeShed)));
        return;
    }
    let ask = Ask { now, key, sticky: sticky::sent(plan, exchange), tried: &[], priority };
    say("queue", slots(upstream, priority, now));
    let mut usable = false;
    for (endpoint, verdict) in traffic.explain(&ask) {
        usable |= verdict.is_ok();
        let mut text = format!("{}: ", endpoint.address());
        // Writing to a String does not fail.
        let _ = match verdict {
            Ok(()) => write!(text, "{}, can be picked", endpoint.state(now).code()),
            Err(why) => write!(text, "{why}"),
        };
        let _ = write!(text, ", weight {}, {} in flight", endpoint.weight(), endpoint.in_flight());
        say("endpoint", text);
    }
    let fixed = key.is_some() || ask.sticky.is_some();
    let answer = if usable && !fixed {
        "from the endpoint that the policy picks among these".to_owned()
    } else {
        // A pick that goes by a key, or finds nobody, changes nothing.
        match traffic.pick(&ask, &mut fastrand::Rng::with_seed(0)) {
            Ok(lease) => {
                format!("from {}, as long as that key and these endpoints stay", lease.endpoint().address())
            }
            Err(NoEndpoint::Full) => "from the next endpoint with a free slot".to_owned(),
            Err(why) if plan.hold.is_zero() => format!("503: {why}"),
            Err(why) => format!("503 unless an endpoint is back within {:?}: {why}", plan.hold),
        }
    };
    say("answer", answer);
}

/// Whether the request would find a slot now, and what if not.
fn slots(upstream: &Upstream, priority: Priority, now: Moment) -> String {
    let slots = upstream.traffic.slots(now);
    let settings = &upstream.plan.traffic.queue;
    let Some(limit) = slots.limit else {
        return format!("no limit, {} in flight", slots.in_flight);
    };
    let how = if slots.is_adaptive { "found out" } else { "fixed" };
    let mut text = format!("{} of {limit} slots taken ({how}), {} in flight", slots.taken, slots.in_flight);
    let waiting: usize = slots.standing.waiting.iter().sum();
    // Writing to a String does not fail.
    let _ = write!(text, ", {waiting} of at most {} wait; priority {}: ", settings.limit, priority.code());
    let _ = if slots.taken < limit && !upstream.traffic.queue().is_waited(priority) {
        write!(text, "goes at once")
    } else if waiting >= settings.limit {
        write!(
            text,
            "refused with 503, {}, unless its place goes before another's",
            Refusal::QueueFull.code()
        )
    } else if slots.standing.stands {
        write!(text, "waits up to {:?}, for more is asked than is answered", settings.target)
    } else {
        write!(text, "waits up to {:?}", settings.timeout)
    };
    text
}

impl Asked {
    /// The request that somebody who asks for a URL, as a person writes it, would send.
    ///
    /// # Errors
    /// What is wrong with the URL.
    pub fn read(method: &str, url: &str, headers: &[(String, String)]) -> Result<Self, String> {
        let is_https = url.starts_with("https://");
        let rest = url.strip_prefix(if is_https { "https://" } else { "http://" });
        let rest = rest.ok_or_else(|| format!("{url} is no url: it begins with http:// or https://"))?;
        let rest = rest.split('#').next().unwrap_or(rest);
        let (host, target) = rest.find(['/', '?']).map_or((rest, ""), |end| rest.split_at(end));
        if host.is_empty() {
            return Err(format!("{url} names no host"));
        }
        let slash = if target.starts_with('/') { "" } else { "/" };
        let mut head = format!("{method} {slash}{target} HTTP/1.1\r\nHost: {host}\r\n");
        for (name, value) in headers {
            // Writing to a String does not fail.
            let _ = write!(head, "{name}: {value}\r\n");
        }
        head.push_str("\r\n");
        if head.len() > Limits::default().head_bytes as usize {
            return Err("the head is longer than any that would be taken".to_owned());
        }
        Ok(Self { head: head.into_bytes(), is_https, client: None })
    }
}
