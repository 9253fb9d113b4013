//! The pipeline's decisions about one request, in words and in the pipeline's order.

use std::fmt::Write as _;

use config::{Action, Plan, Rewrite};
use traffic::Moment;
use traffic::route::{Params, Query};
use wire::{Limits, Method, RequestHead, uri};

use crate::live::Live;

/// One decision.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Step {
    /// What is decided: `request`, `route`, `guard`, `upstream`, `endpoint`, `answer`.
    pub stage: &'static str,
    /// How, and why.
    pub text: String,
}

/// Explains what would be done with a request. `head` is its head as a client would send it.
pub fn explain(live: &Live, head: &[u8], now: Moment) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut say = |stage, text: String| steps.push(Step { stage, text });
    let mut request = RequestHead::new();
    match request.parse(head, &live.plan.server.limits.wire) {
        Ok(true) => {}
        Ok(false) => {
            say("request", "refused: the head is not whole".to_owned());
            return steps;
        }
        Err(reason) => {
            say("request", format!("refused with {}: {}", reason.status(), reason.what()));
            return steps;
        }
    }
    if request.method == Method::Connect {
        say("request", "refused with 501: this server opens no tunnels".to_owned());
        return steps;
    }
    let (mut host_scratch, mut path_scratch) = (Vec::new(), Vec::new());
    let host =
        uri::host(request.authority.of(head), &mut host_scratch).map_or(&b""[..], |host| host.name).to_vec();
    let raw = request.path.of(head);
    let path = match uri::normalise(if raw.starts_with(b"/") { raw } else { b"/" }, &mut path_scratch) {
        Ok(path) => path.to_vec(),
        Err(reason) => {
            say("request", format!("refused with {}: {}", reason.status(), reason.what()));
            return steps;
        }
    };
    let method = request.method_name.of(head);
    let shown = String::from_utf8_lossy;
    say("request", format!("{} host {} path {}", shown(method), shown(&host), shown(&path)));
    let header = |name: &str| request.headers.find(head, name.as_bytes()).map(|header| header.value.of(head));
    let query = Query { host: &host, path: &path, method, header: &header };
    for candidate in live.table.explain(&query) {
        say("route", format!("{}: {}", described(&live.plan, candidate.route.index()), candidate.verdict));
    }
    let mut params = Params::new();
    let id = match live.table.select(&query, &mut params) {
        Ok(id) => id,
        Err(traffic::route::NoRoute::NotFound) => {
            say("route", "refused with 404: no route matches".to_owned());
            return steps;
        }
        Err(traffic::route::NoRoute::MethodNotAllowed { allow }) => {
            say("route", format!("refused with 405: the routes of this path take {allow}"));
            return steps;
        }
    };
    let (route, _) = live.route(id);
    for (name, range) in params.iter() {
        say("route", format!("{{{name}}} is {}", shown(&path[range])));
    }
    guards(route, &mut say);
    match &route.action {
        Action::Redirect { to, status } => say("answer", format!("{status}, redirect to {to}")),
        Action::Respond { status, content_type, .. } => {
            say("answer", format!("{status}, fixed body, {content_type}"));
        }
        Action::Upstream(index) => upstream(live, route, *index, now, &mut say),
    }
    steps
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
    match &route.rewrite {
        Rewrite::None => {}
        Rewrite::Strip(prefix) => say("guard", format!("{prefix} is taken off the path")),
        Rewrite::Replace(template) => say("guard", format!("the path becomes {template}")),
    }
}

fn upstream(
    live: &Live,
    route: &config::Route,
    index: usize,
    now: Moment,
    say: &mut impl FnMut(&'static str, String),
) {
    let upstream = &live.upstreams[index];
    let policy = &upstream.plan.traffic.policy;
    say(
        "upstream",
        format!(
            "{}: balanced by {}, up to {} tries, response within {:?}",
            upstream.plan.name,
            policy.code(),
            route.retry.attempts,
            route.timeouts.response
        ),
    );
    let endpoints = upstream.traffic.endpoints();
    for endpoint in endpoints.iter() {
        let state = endpoint.state(now);
        say(
            "endpoint",
            format!(
                "{}: {}, weight {}{}, {} in flight",
                endpoint.address(),
                state.code(),
                endpoint.weight(),
                if endpoint.backup() { ", backup" } else { "" },
                endpoint.in_flight()
            ),
        );
    }
    if endpoints.is_empty() {
        say("answer", "503: the upstream has no endpoint".to_owned());
    } else if !endpoints.iter().any(|endpoint| endpoint.state(now).is_usable()) {
        let hold = upstream.plan.hold;
        say("answer", format!("503 unless an endpoint is back within {hold:?}: none is usable"));
    } else {
        say("answer", "from the endpoint that the policy picks among the usable ones".to_owned());
    }
}

/// The head of a request as a client would send it, for a URL as a person writes it.
///
/// # Errors
/// What is wrong with the URL.
pub fn head_of(method: &str, url: &str, headers: &[(String, String)]) -> Result<Vec<u8>, String> {
    let rest = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://"));
    let rest = rest.ok_or_else(|| format!("{url} is no url: it begins with http:// or https://"))?;
    let (host, target) = rest.find('/').map_or((rest, "/"), |slash| rest.split_at(slash));
    if host.is_empty() {
        return Err(format!("{url} names no host"));
    }
    let target = target.split('#').next().unwrap_or(target);
    let mut head = format!("{method} {target} HTTP/1.1\r\nHost: {host}\r\n");
    for (name, value) in headers {
        // Writing to a String does not fail.
        let _ = write!(head, "{name}: {value}\r\n");
    }
    head.push_str("\r\n");
    if head.len() > Limits::default().head_bytes as usize {
        return Err("the head is longer than any that would be taken".to_owned());
    }
    Ok(head.into_bytes())
}
