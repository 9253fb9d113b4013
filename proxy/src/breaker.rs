//! The circuit breaker around forwarding, and what answers when nothing at the upstream can.

use std::time::Duration;

use cache::{Entry, freshness};
use signals::request::{Stage, Who};
use traffic::Refusal;
use traffic::breaker::{Breaker, Pass, State, Transition, Verdict};

use crate::client::Client;
use crate::core::Core;
use crate::exchange::Exchange;
use crate::forward::{self, To};
use crate::live::Upstream;
use crate::pipeline::Stop;
use crate::respond;

/// Forwards a request, unless the upstream's breaker is open.
pub async fn forward(to: To<'_>, client: &mut Client, exchange: &mut Exchange) -> Result<(), Stop> {
    let pass = enter(to, exchange).map_err(Stop::Refused)?;
    let result = forward::forward(to, client, exchange).await;
    if let (Some(pass), Some(plan)) = (pass, &to.upstream.plan.breaker)
        && let Some(verdict) = verdict(to.core, plan, exchange, result)
    {
        let told = pass.end(verdict, to.core.now(), &plan.settings, &mut to.core.rng.borrow_mut());
        note(to.upstream, told);
    }
    result
}

fn enter<'a>(to: To<'a>, exchange: &mut Exchange) -> Result<Option<Pass<'a>>, Refusal> {
    let Some(plan) = &to.upstream.plan.breaker else { return Ok(None) };
    match to.upstream.breaker.enter(to.core.now(), &plan.settings) {
        Ok((pass, told)) => {
            note(to.upstream, told);
            Ok(Some(pass))
        }
        Err(short) => {
            exchange.facts.upstream = Some(to.upstream.slot);
            exchange.retry_after = Some(respond::at_least(to.core, short.wait));
            Err(Refusal::BreakerOpen)
        }
    }
}

/// What the end of a request says about its upstream; `None` is nothing.
fn verdict(
    core: &Core,
    plan: &config::Breaker,
    exchange: &Exchange,
    result: Result<(), Stop>,
) -> Option<Verdict> {
    let facts = &exchange.facts;
    let is_failed = plan.statuses.iter().any(|statuses| statuses.contains(&facts.status));
    match result {
        Err(
            Stop::Refused(
                Refusal::NoEndpoint
                | Refusal::AllEndpointsDown
                | Refusal::ConnectFailed
                | Refusal::ConnectTimeout
                | Refusal::ResponseTimeout
                | Refusal::ResponseClosed
                | Refusal::ResponseMalformed(_)
                | Refusal::UpgradeUnasked,
            )
            | Stop::Cut(Who::Endpoint, _),
        ) => Some(Verdict::Failed),
        Err(Stop::Cut(Who::Client, Stage::Wait)) => {
            // Whoever gives up because it takes too long has seen that it does.
            let waited = core.now().since(facts.sent);
            plan.settings.slow.filter(|slow| waited > *slow).map(|_| Verdict::Answered(waited))
        }
        Err(Stop::Refused(_)) => None,
        Err(Stop::Cut(..)) if facts.status == 0 => None,
        Ok(()) | Err(Stop::Cut(..)) if is_failed => Some(Verdict::Failed),
        Ok(()) | Err(Stop::Cut(..)) => Some(Verdict::Answered(facts.times.wait)),
    }
}

/// Says a change in the log; it is counted by the breaker itself.
fn note(upstream: &Upstream, told: Option<Transition>) {
    let name = &upstream.plan.name;
    match told.map(|told| told.to) {
        None => {}
        Some(State::Open { why, .. }) => {
            tracing::warn!("upstream {name}: the breaker opens ({})", why.code());
        }
        Some(state) => tracing::info!("upstream {name}: the breaker is {}", state.code()),
    }
}

/// Whether something stored may answer in place of an upstream that takes nothing.
pub fn may_answer(to: To<'_>, entry: &Entry, why: Refusal) -> bool {
    let late = to.route.fallback.as_deref().and_then(|fallback| fallback.stale);
    let late_ms = |late: Duration| u64::try_from(late.as_millis()).unwrap_or(u64::MAX);
    why.is_unserved()
        && late.is_some_and(|late| freshness::may_fall_back(&entry.terms(), to.core.unix_ms(), late_ms(late)))
}

/// Lets something else answer a request that nothing at its upstream has seen: another upstream, then a page. What is
/// stored has been looked at before, where the cache is.
pub async fn fall_back(
    to: To<'_>,
    client: &mut Client,
    exchange: &mut Exchange,
    why: Refusal,
) -> Result<(), Stop> {
    let Some(fallback) = to.route.fallback.as_deref() else { return Err(Stop::Refused(why)) };
    let retry_after = exchange.retry_after;
    if let Some(index) = fallback.upstream {
        let spare = To { upstream: &to.live.upstreams[index], ..to };
        let result = forward(spare, client, exchange).await;
        // What the other one takes as little is answered as if it had not been asked.
        if !matches!(result, Err(Stop::Refused(refusal)) if refusal.is_unserved()) {
            to.core.shard.fell_back(to.upstream.slot, "upstream");
            return result;
        }
    }
    exchange.retry_after = retry_after;
    match &fallback.page {
        Some(page) => {
            to.core.shard.fell_back(to.upstream.slot, "file");
            respond::stand_in(to.core, to.live, client, exchange, to.route, page).await
        }
        None => Err(Stop::Refused(why)),
    }
}

/// The breaker in words, for whoever asks what would be done.
pub fn explain(plan: &config::Breaker, breaker: &Breaker, now: traffic::Moment) -> String {
    let settings = &plan.settings;
    match breaker.state() {
        State::Closed if settings.error_share <= 1.0 => {
            format!("closed; opens when {:.0} % of ten seconds' requests fail", settings.error_share * 100.0)
        }
        State::Closed => "closed".to_owned(),
        State::Open { why, until } if now < until => {
            format!("open: {why}; requests are let through again in {:.1?}", until.since(now))
        }
        State::Open { why, .. } => format!("open: {why}; the next request tries the upstream"),
        State::HalfOpen { running, passed } => {
            format!(
                "half open: of {} requests that try it, {running} are under way, {passed} succeeded",
                settings.probes
            )
        }
    }
}
