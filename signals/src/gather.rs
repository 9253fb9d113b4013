//! All shards added up, by name: what `/metrics` renders and `/status` shows.

use core::time::Duration;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Instant;

use cache::Bypass;
use traffic::Refusal;
use traffic::queue::{Priority, Unserved};
use wire::Malformed;

use crate::chunked::Chunked;
use crate::counter::{Counter, HistogramTotal, ReasonTotals, Reset};
use crate::names::{Shown, Signals};
use crate::outcome::{CLASSES, Coding};
use crate::request::{Cached, Stage, Who};
use crate::shard::{EndpointCounters, LimitCounters, RouteCounters, Shard, UpstreamCounters};
use crate::slot::{Slot, UpstreamSlot};

pub(crate) type ByClass = [u64; CLASSES.len()];

/// Everything counted since the process began, all threads together.
#[derive(Clone, Default, PartialEq, Debug)]
pub struct Totals {
    /// Client connections that are open now.
    pub connections_open: u64,
    /// Client connections accepted.
    pub connections: u64,
    /// Client connections turned away before any request.
    pub connections_refused: u64,
    /// Tunnels that are open now.
    pub tunnels_open: u64,
    /// Tunnels opened.
    pub tunnels: u64,
    /// By route, in the order in which the names came; the first two are [`OTHER`](crate::OTHER) and
    /// [`NONE`](crate::NONE).
    pub routes: Vec<RouteTotals>,
    /// By upstream; the first is [`OTHER`](crate::OTHER).
    pub upstreams: Vec<UpstreamTotals>,
    /// By limit; the first is [`OTHER`](crate::OTHER).
    pub limits: Vec<LimitTotals>,
    /// By endpoint; the first is [`OTHER`](crate::OTHER).
    pub endpoints: Vec<EndpointTotals>,
    /// Bytes of bodies that were compressed, before, by [`Coding`].
    pub coded_input: [u64; Coding::ALL.len()],
    /// The same after.
    pub coded_output: [u64; Coding::ALL.len()],
    pub(crate) left_plain: ReasonTotals,
    pub(crate) ends: [[u64; Stage::ALL.len()]; Who::ALL.len()],
    pub(crate) refusals: Vec<u64>,
    pub(crate) refused_connections: Vec<u64>,
    pub(crate) malformed_requests: Vec<u64>,
    pub(crate) malformed_responses: Vec<u64>,
    pub(crate) bypasses: [u64; Bypass::ALL.len()],
}

/// Counts of one route.
#[derive(Clone, Default, PartialEq, Debug)]
pub struct RouteTotals {
    /// Its name.
    pub name: Arc<str>,
    /// It is no longer part of the configuration, and shown for a while yet.
    pub has_left: bool,
    /// Bytes of request bodies.
    pub received_bytes: u64,
    /// Bytes sent to clients.
    pub sent_bytes: u64,
    /// Bytes sent to clients in answers that count as [hits](RouteTotals::hits).
    pub hit_bytes: u64,
    pub(crate) cached: [u64; Cached::CODES.len()],
    pub(crate) classes: ByClass,
    pub(crate) total: HistogramTotal,
}

/// Counts of one upstream.
#[derive(Clone, Default, PartialEq, Debug)]
pub struct UpstreamTotals {
    /// Its name.
    pub name: Arc<str>,
    /// It is no longer part of the configuration, and shown for a while yet.
    pub has_left: bool,
    /// Tries over new connections.
    pub connected: u64,
    /// Tries over kept-alive connections.
    pub reused: u64,
    pub(crate) classes: ByClass,
    pub(crate) wait: HistogramTotal,
    pub(crate) connect: HistogramTotal,
    pub(crate) held: HistogramTotal,
    pub(crate) queued: HistogramTotal,
    pub(crate) shed: [[u64; Priority::ALL.len()]; Unserved::OWN.len()],
    pub(crate) closed: ReasonTotals,
    pub(crate) retries: ReasonTotals,
    pub(crate) retries_refused: ReasonTotals,
    pub(crate) resolved: u64,
    pub(crate) unresolved: u64,
    pub(crate) fallbacks: ReasonTotals,
}

/// Counts of one limit.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct LimitTotals {
    /// Name of its route.
    pub route: Arc<str>,
    /// Its name.
    pub name: Arc<str>,
    /// It is no longer part of the configuration, and shown for a while yet.
    pub has_left: bool,
    /// Requests that it had nothing against.
    pub admitted: u64,
    /// Requests that it refused.
    pub refused: u64,
    /// Requests that it would have refused if it did not only count.
    pub dry: u64,
}

/// Counts of one endpoint.
#[derive(Clone, Default, PartialEq, Debug)]
pub struct EndpointTotals {
    /// Name of its upstream.
    pub upstream: Arc<str>,
    /// Its address.
    pub address: Arc<str>,
    /// It is no longer part of the configuration, and shown for a while yet.
    pub has_left: bool,
    /// How often it was let back in.
    pub returns: u64,
    /// Active checks passed.
    pub probes_passed: u64,
    /// Active checks failed.
    pub probes_failed: u64,
    pub(crate) classes: ByClass,
    pub(crate) failures: ReasonTotals,
    pub(crate) ejections: ReasonTotals,
}

/// Estimates out of a histogram: where a share of the events stayed within.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Latency {
    /// Half of them.
    pub p50: Duration,
    /// 99 of 100.
    pub p99: Duration,
}

impl Totals {
    /// Responses of routes that compress which went as they are, by reason.
    pub fn left_plain(&self) -> &BTreeMap<&'static str, u64> {
        &self.left_plain.0
    }
}

impl RouteTotals {
    /// Finished requests.
    pub fn requests(&self) -> u64 {
        self.classes.iter().sum()
    }

    /// Finished requests by class of status: index 0 is nothing sent, 1 to 5 are 1xx to 5xx.
    pub fn by_class(&self) -> [u64; 6] {
        self.classes
    }

    /// Finished requests that the cache was asked about, bypasses included; zero where the route has no cache.
    pub fn cacheable(&self) -> u64 {
        self.cached.iter().sum()
    }

    /// Of those, how many were answered without a request of their own to the origin ([`Cached::is_hit`]).
    pub fn hits(&self) -> u64 {
        [Cached::Hit, Cached::Stale, Cached::Collapsed].map(|cached| self.cached[cached.index()]).iter().sum()
    }

    /// Time from the request's head to the response's last byte; `None` before the first request.
    pub fn latency(&self) -> Option<Latency> {
        latency(&self.total)
    }
}

impl UpstreamTotals {
    /// Finished requests.
    pub fn requests(&self) -> u64 {
        self.classes.iter().sum()
    }

    /// Finished requests by class of status, as [`RouteTotals::by_class`].
    pub fn by_class(&self) -> [u64; 6] {
        self.classes
    }

    /// Time from the request sent to the response's head; `None` before the first response.
    pub fn wait(&self) -> Option<Latency> {
        latency(&self.wait)
    }

    /// Requests that got no slot for one of the queue's own reasons.
    pub fn shed(&self) -> u64 {
        self.shed.iter().flatten().sum()
    }

    /// Time that requests waited for a slot; `None` before the first that did.
    pub fn queued(&self) -> Option<Latency> {
        latency(&self.queued)
    }

    /// Tries after the first.
    pub fn retries(&self) -> u64 {
        self.retries.sum()
    }

    /// Requests that something else answered.
    pub fn fallbacks(&self) -> u64 {
        self.fallbacks.sum()
    }

    /// Failed tries that were not repeated.
    pub fn retries_refused(&self) -> u64 {
        self.retries_refused.sum()
    }
}

impl EndpointTotals {
    /// Finished requests whose last try was here.
    pub fn requests(&self) -> u64 {
        self.classes.iter().sum()
    }

    /// Tries that failed.
    pub fn failures(&self) -> u64 {
        self.failures.sum()
    }

    /// How often it was taken out.
    pub fn ejections(&self) -> u64 {
        self.ejections.sum()
    }
}

impl Signals {
    /// Everything counted until now, all threads together.
    pub fn totals(&self) -> Totals {
        let mut totals = Totals {
            refusals: vec![0; Refusal::ALL.len()],
            refused_connections: vec![0; Refusal::ALL.len()],
            malformed_requests: vec![0; Malformed::ALL.len()],
            malformed_responses: vec![0; Malformed::ALL.len()],
            ..Totals::default()
        };
        let mut closed = (0, 0);
        for shard in &self.shards {
            // What closed is read before what opened, so that a gauge made of both never falls below zero.
            closed.0 += shard.connections_closed.get();
            closed.1 += shard.tunnels_closed.get();
            totals.connections += shard.connections_opened.get();
            totals.tunnels += shard.tunnels_opened.get();
            for (sums, counters) in totals.ends.iter_mut().zip(&shard.ends) {
                add_all(sums, counters);
            }
            add_all(&mut totals.coded_input, &shard.coded_input);
            add_all(&mut totals.coded_output, &shard.coded_output);
            shard.left_plain.add_to(&mut totals.left_plain);
            add_all(&mut totals.refusals, &shard.refusals.0);
            add_all(&mut totals.refused_connections, &shard.connections_refused.0);
            add_all(&mut totals.malformed_requests, &shard.malformed_requests.0);
            add_all(&mut totals.malformed_responses, &shard.malformed_responses.0);
            add_all(&mut totals.bypasses, &shard.bypasses);
        }
        totals.connections_open = totals.connections.saturating_sub(closed.0);
        totals.tunnels_open = totals.tunnels.saturating_sub(closed.1);
        totals.connections_refused = totals.refused_connections.iter().sum();
        self.named(&mut totals);
        totals
    }

    fn named(&self, totals: &mut Totals) {
        let now = Instant::now();
        let names = self.names();
        for Shown { slot, name, has_left } in names.routes.shown(now) {
            totals.routes.push(RouteTotals { has_left, ..self.route_totals(slot, name) });
        }
        let mut upstreams = HashMap::new();
        for Shown { slot, name, has_left } in names.upstreams.shown(now) {
            upstreams.insert(UpstreamSlot(slot), Arc::clone(name));
            totals.upstreams.push(UpstreamTotals { has_left, ..self.upstream_totals(slot, name) });
        }
        for Shown { slot, name: (route, name), has_left } in names.limits.shown(now) {
            let limit = self.limit_totals(slot, route, name);
            totals.limits.push(LimitTotals { has_left, ..limit });
        }
        for Shown { slot, name: (upstream, address), has_left } in names.endpoints.shown(now) {
            if let Some(upstream) = upstreams.get(upstream) {
                let endpoint = self.endpoint_totals(slot, upstream, address);
                totals.endpoints.push(EndpointTotals { has_left, ..endpoint });
            }
        }
    }

    fn route_totals(&self, slot: Slot, name: &Arc<str>) -> RouteTotals {
        let mut totals = RouteTotals { name: Arc::clone(name), ..Default::default() };
        self.each(
            slot,
            |shard| &shard.routes,
            |counters: &RouteCounters| {
                add_all(&mut totals.classes, &counters.classes);
                counters.total.add_to(&mut totals.total);
                totals.received_bytes += counters.received_bytes.get();
                totals.sent_bytes += counters.sent_bytes.get();
                totals.hit_bytes += counters.hit_bytes.get();
                add_all(&mut totals.cached, &counters.cached);
            },
        );
        totals
    }

    fn upstream_totals(&self, slot: Slot, name: &Arc<str>) -> UpstreamTotals {
        let mut totals = UpstreamTotals { name: Arc::clone(name), ..Default::default() };
        self.each(
            slot,
            |shard| &shard.upstreams,
            |counters: &UpstreamCounters| {
                add_all(&mut totals.classes, &counters.classes);
                counters.wait.add_to(&mut totals.wait);
                counters.connect.add_to(&mut totals.connect);
                counters.held.add_to(&mut totals.held);
                counters.queued.add_to(&mut totals.queued);
                for (sums, counters) in totals.shed.iter_mut().zip(&counters.shed) {
                    add_all(sums, counters);
                }
                counters.closed.add_to(&mut totals.closed);
                counters.retries.add_to(&mut totals.retries);
                counters.retries_refused.add_to(&mut totals.retries_refused);
                totals.connected += counters.connected.get();
                totals.reused += counters.reused.get();
                totals.resolved += counters.resolved.get();
                totals.unresolved += counters.unresolved.get();
                counters.fallbacks.add_to(&mut totals.fallbacks);
            },
        );
        totals
    }

    fn limit_totals(&self, slot: Slot, route: &Arc<str>, name: &Arc<str>) -> LimitTotals {
        let (route, name) = (Arc::clone(route), Arc::clone(name));
        let mut totals = LimitTotals { route, name, ..Default::default() };
        self.each(
            slot,
            |shard| &shard.limits,
            |counters: &LimitCounters| {
                totals.admitted += counters.admitted.get();
                totals.refused += counters.refused.get();
                totals.dry += counters.dry.get();
            },
        );
        totals
    }

    fn endpoint_totals(&self, slot: Slot, upstream: &Arc<str>, address: &Arc<str>) -> EndpointTotals {
        let (upstream, address) = (Arc::clone(upstream), Arc::clone(address));
        let mut totals = EndpointTotals { upstream, address, ..Default::default() };
        self.each(
            slot,
            |shard| &shard.endpoints,
            |counters: &EndpointCounters| {
                add_all(&mut totals.classes, &counters.classes);
                counters.failures.add_to(&mut totals.failures);
                counters.ejections.add_to(&mut totals.ejections);
                totals.returns += counters.returns.get();
                totals.probes_passed += counters.probes_passed.get();
                totals.probes_failed += counters.probes_failed.get();
            },
        );
        totals
    }

    fn each<T: Default + Reset, const CHUNKS: usize>(
        &self,
        slot: Slot,
        of: impl Fn(&Shard) -> &Chunked<T, CHUNKS>,
        mut add: impl FnMut(&T),
    ) {
        self.shards.iter().filter_map(|shard| of(shard).reading(slot)).for_each(&mut add);
    }
}

fn add_all(sums: &mut [u64], counters: &[Counter]) {
    for (sum, counter) in sums.iter_mut().zip(counters) {
        *sum += counter.get();
    }
}

fn latency(total: &HistogramTotal) -> Option<Latency> {
    Some(Latency { p50: total.quantile(0.5)?, p99: total.quantile(0.99)? })
}
