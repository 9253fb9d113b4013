//! What the process does at this moment, for people and programs: the answer of `/status`.

use core::time::Duration;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};
use signals::{
    BreakerReading, EndpointTotals, Latency, NONE, OTHER, QueueReading, RoomReading, RouteTotals, Signals,
    SurgeReading, Totals,
};

use crate::control::Control;
use crate::rates::Since;
use crate::stored::CacheStatus;

/// Most keys that are shown of those that limits refuse.
const LIMITED_KEYS: usize = 20;

/// Everything that `tidegate status` shows.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Status {
    /// Version that runs.
    pub version: String,
    /// Time since the process began, in milliseconds.
    pub uptime_ms: u64,
    /// Why it takes no traffic, as [`NotReady::code`](crate::NotReady::code); empty when it does.
    pub not_ready: Vec<String>,
    /// Addresses that are listened on.
    pub listeners: Vec<String>,
    /// Client connections.
    pub connections: ConnectionStatus,
    /// Finished requests.
    pub requests: u64,
    /// Finished requests per second, over the last ten seconds or so, as every rate here.
    pub per_second: f64,
    /// What the cache holds and has done.
    pub cache: CacheStatus,
    /// What limits hold and have done.
    pub limits: LimitsStatus,
    /// Waiting rooms.
    #[serde(default)]
    pub rooms: Vec<RoomStatus>,
    /// Surges that can be switched on.
    #[serde(default)]
    pub surges: Vec<SurgeStatus>,
    /// By route, in the order in which they were first configured.
    pub routes: Vec<RouteStatus>,
    /// By upstream, in the same order.
    pub upstreams: Vec<UpstreamStatus>,
}

/// A waiting room.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct RoomStatus {
    /// Its name.
    pub name: String,
    /// People in line.
    pub waiting: u64,
    /// People inside.
    pub inside: u64,
    /// How long somebody waits who comes now, in milliseconds, estimated.
    pub wait_ms: u64,
    /// People who came in.
    pub admitted: u64,
    /// Cookies that were worth nothing.
    pub refused_cookies: u64,
}

/// A surge profile.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SurgeStatus {
    /// Its name.
    pub profile: String,
    /// What it tightens, in words.
    pub tightens: String,
    /// For how long it has been on, in milliseconds; none while it is off.
    pub on_ms: Option<u64>,
    /// How long it stays on, in milliseconds; none where it does not end by itself.
    pub left_ms: Option<u64>,
}

impl From<SurgeReading<'_>> for SurgeStatus {
    fn from(reading: SurgeReading<'_>) -> Self {
        let ms = |time: Duration| time.as_millis() as u64;
        Self {
            profile: reading.profile.to_owned(),
            tightens: reading.tightens.to_owned(),
            on_ms: reading.on.map(ms),
            left_ms: reading.left.map(ms),
        }
    }
}

impl SurgeStatus {
    /// Every one that there is.
    pub(crate) fn read(control: &dyn Control) -> Vec<Self> {
        let mut surges = Vec::new();
        control.surges(&mut |reading| surges.push(reading.into()));
        surges
    }
}

impl From<RoomReading<'_>> for RoomStatus {
    fn from(RoomReading { name, reading }: RoomReading<'_>) -> Self {
        Self {
            name: name.to_owned(),
            waiting: reading.waiting,
            inside: reading.inside,
            wait_ms: reading.wait.as_millis() as u64,
            admitted: reading.admitted,
            refused_cookies: reading.invalid.iter().sum(),
        }
    }
}

/// Client connections.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ConnectionStatus {
    /// Open now.
    pub open: u64,
    /// Accepted since the process began.
    pub accepted: u64,
    /// Turned away since the process began.
    pub refused: u64,
    /// Of those open, how many are tunnels.
    pub tunnels: u64,
}

/// What limits hold and have done.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct LimitsStatus {
    /// Keys that have a bucket.
    pub entries: u64,
    /// Keys that have room.
    pub capacity: u64,
    /// Memory set aside.
    pub memory_bytes: u64,
    /// Keys that have requests in flight which are counted.
    pub in_flight: u64,
    /// Buckets that were forgotten before they were full again.
    pub overflowed: u64,
    /// Each of them.
    pub each: Vec<LimitStatus>,
    /// Keys that are refused most, the first one first.
    pub top: Vec<LimitedStatus>,
}

/// One limit.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct LimitStatus {
    /// Name of its route.
    pub route: String,
    /// Its name.
    pub name: String,
    /// Requests that it had nothing against.
    pub admitted: u64,
    /// Requests that it refused.
    pub limited: u64,
    /// Requests that it would have refused if it did not only count.
    pub dry_run: u64,
}

/// A key that a limit refuses often.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct LimitedStatus {
    /// Name of the limit's route.
    pub route: String,
    /// Name of the limit.
    pub limit: String,
    /// The key; of what may be a secret only the beginning.
    pub key: String,
    /// Refusals of late: they fade by half every ten minutes.
    pub refused: u64,
    /// By how much that may be too high.
    pub error: u64,
}

/// One route.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct RouteStatus {
    /// Its name.
    pub name: String,
    /// Finished requests.
    pub requests: u64,
    /// Finished requests per second.
    pub per_second: f64,
    /// Requests answered with 4xx.
    pub client_errors: u64,
    /// Requests answered with 5xx.
    pub server_errors: u64,
    /// Half of the requests took no longer, in milliseconds, estimated; none before the first request.
    pub p50_ms: Option<f64>,
    /// 99 of 100 requests took no longer.
    pub p99_ms: Option<f64>,
    /// What the cache did for it; none before the first request that it was asked about.
    pub cache: Option<HitStatus>,
}

/// What the cache did for a route.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct HitStatus {
    /// Requests that the cache was asked about, those included that it had no part in.
    pub requests: u64,
    /// Of those, how many were answered without a request of their own to the origin.
    pub hits: u64,
    /// Bytes sent to clients.
    pub sent_bytes: u64,
    /// Of those, how many in answers that count as hits.
    pub hit_bytes: u64,
}

impl HitStatus {
    /// Share of requests that were hits, 0.0 to 1.0.
    pub fn ratio(&self) -> f64 {
        self.hits as f64 / self.requests.max(1) as f64
    }

    /// Share of bytes that were those of hits, 0.0 to 1.0.
    pub fn byte_ratio(&self) -> f64 {
        self.hit_bytes as f64 / self.sent_bytes.max(1) as f64
    }
}

/// One upstream.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct UpstreamStatus {
    /// Its name.
    pub name: String,
    /// Finished requests.
    pub requests: u64,
    /// Finished requests per second.
    pub per_second: f64,
    /// Tries after the first.
    pub retries: u64,
    /// Slots, and who waits for them.
    pub queue: Option<QueueStatus>,
    /// Half of the responses began after no longer, in milliseconds, estimated.
    pub wait_p50_ms: Option<f64>,
    /// 99 of 100 responses began after no longer.
    pub wait_p99_ms: Option<f64>,
    /// Requests that something else answered, because nothing here had seen them.
    #[serde(default)]
    pub fallbacks: u64,
    /// Its circuit breaker, if it has one.
    #[serde(default)]
    pub breaker: Option<BreakerStatus>,
    /// Who serves.
    pub endpoints: Vec<EndpointStatus>,
}

/// Slots of an upstream, and who waits for them.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct QueueStatus {
    /// Slots of the usable endpoints together; none without a limit.
    pub limit: Option<u64>,
    /// Whether the limit is found out.
    pub adaptive: bool,
    /// Slots that are taken.
    pub taken: u64,
    /// Requests in flight, streams and tunnels included.
    pub in_flight: u64,
    /// Requests that wait, critical, normal and low ones.
    pub waiting: [usize; 3],
    /// Most that may wait.
    pub most_waiting: usize,
    /// Requests that got no slot.
    pub refused: u64,
    /// Half of those that waited waited no longer, in milliseconds, estimated.
    pub queued_p50_ms: Option<f64>,
    /// 99 of 100 waited no longer.
    pub queued_p99_ms: Option<f64>,
}

/// The circuit breaker of an upstream.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct BreakerStatus {
    /// `closed`, `open` or `half_open`.
    pub state: String,
    /// What it opened for; empty when it is not open.
    pub why: String,
    /// How long it stays open, in milliseconds.
    pub left_ms: Option<u64>,
    /// How often it opened.
    pub opened: u64,
    /// Requests that were not sent.
    pub short_circuited: u64,
}

impl From<BreakerReading<'_>> for BreakerStatus {
    fn from(reading: BreakerReading<'_>) -> Self {
        Self {
            state: reading.state.to_owned(),
            why: reading.why.to_owned(),
            left_ms: reading.left.map(|left| left.as_millis() as u64),
            opened: reading.counts.opened.iter().sum(),
            short_circuited: reading.counts.short_circuited,
        }
    }
}

/// One endpoint.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct EndpointStatus {
    /// Its address.
    pub address: String,
    /// Word of its state.
    pub state: String,
    /// Whether it takes new requests.
    pub available: bool,
    /// Why it is in that state; empty when there is nothing to say.
    pub why: String,
    /// Takes traffic only when no other endpoint can.
    pub backup: bool,
    /// Share of the traffic against the others.
    pub weight: u32,
    /// Requests that are there now.
    pub in_flight: u64,
    /// Finished requests whose last try was here.
    pub requests: u64,
    /// The same per second.
    pub per_second: f64,
    /// Tries that failed.
    pub failures: u64,
    /// How often it was taken out.
    pub ejections: u64,
    /// Weighted mean of its response times in milliseconds, where the policy keeps one.
    pub ewma_ms: Option<f64>,
}

impl Status {
    /// Reads the present status.
    pub(crate) fn read(signals: &Signals, control: &dyn Control, since: Since<'_>) -> Self {
        let totals = signals.totals();
        let routes = totals.routes.iter().filter(|route| !route.has_left);
        let routes = routes
            .filter(|route| route.requests() > 0 || ![OTHER, NONE].contains(&&*route.name))
            .map(|totals| route(totals, since))
            .collect::<Vec<_>>();
        let mut rooms = Vec::new();
        control.rooms(&mut |reading| rooms.push(reading.into()));
        Self {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            uptime_ms: SystemTime::now().duration_since(signals.started()).unwrap_or_default().as_millis()
                as u64,
            not_ready: control.not_ready().into_iter().map(|reason| reason.code().to_owned()).collect(),
            listeners: control.listeners(),
            connections: ConnectionStatus {
                open: totals.connections_open,
                accepted: totals.connections,
                refused: totals.connections_refused,
                tunnels: totals.tunnels_open,
            },
            requests: totals.routes.iter().map(RouteTotals::requests).sum(),
            per_second: routes.iter().map(|route| route.per_second).sum(),
            cache: control.cache().into(),
            limits: limits(&totals, control),
            rooms,
            surges: SurgeStatus::read(control),
            upstreams: upstreams(&totals, control, since),
            routes,
        }
    }
}

fn route(totals: &RouteTotals, since: Since<'_>) -> RouteStatus {
    let [.., client_errors, server_errors] = totals.by_class();
    let (p50_ms, p99_ms) = quantiles(totals.latency());
    RouteStatus {
        name: totals.name.to_string(),
        requests: totals.requests(),
        per_second: since.route(&totals.name, totals.requests()),
        client_errors,
        server_errors,
        p50_ms,
        p99_ms,
        cache: (totals.cacheable() > 0).then(|| HitStatus {
            requests: totals.cacheable(),
            hits: totals.hits(),
            sent_bytes: totals.sent_bytes,
            hit_bytes: totals.hit_bytes,
        }),
    }
}

fn limits(totals: &Totals, control: &dyn Control) -> LimitsStatus {
    let usage = control.limits();
    let each = totals.limits.iter().filter(|limit| !limit.has_left && &*limit.name != OTHER);
    let each = each.map(|limit| LimitStatus {
        route: limit.route.to_string(),
        name: limit.name.to_string(),
        admitted: limit.admitted,
        limited: limit.refused,
        dry_run: limit.dry,
    });
    let top = control.limited(LIMITED_KEYS).into_iter().map(|top| LimitedStatus {
        route: top.route,
        limit: top.limit,
        key: top.key,
        refused: top.refused,
        error: top.error,
    });
    LimitsStatus {
        entries: usage.entries,
        capacity: usage.capacity,
        memory_bytes: usage.memory_bytes,
        in_flight: usage.in_flight,
        overflowed: usage.overflowed,
        each: each.collect(),
        top: top.collect(),
    }
}

fn upstreams(totals: &Totals, control: &dyn Control, since: Since<'_>) -> Vec<UpstreamStatus> {
    let counted =
        totals.endpoints.iter().map(|endpoint| (name_of(endpoint), endpoint)).collect::<HashMap<_, _>>();
    let mut endpoints = HashMap::<String, Vec<EndpointStatus>>::new();
    control.endpoints(&mut |reading| {
        let name = (Arc::from(reading.upstream), Arc::from(reading.address));
        let totals = counted.get(&name);
        let requests = totals.map_or(0, |totals| totals.requests());
        endpoints.entry(reading.upstream.to_owned()).or_default().push(EndpointStatus {
            address: reading.address.to_owned(),
            state: reading.state.to_owned(),
            available: reading.available,
            why: reading.why.to_owned(),
            backup: reading.backup,
            weight: reading.weight,
            in_flight: reading.in_flight,
            requests,
            per_second: since.endpoint(&name, requests),
            failures: totals.map_or(0, |totals| totals.failures()),
            ejections: totals.map_or(0, |totals| totals.ejections()),
            ewma_ms: reading.ewma.map(ms),
        });
    });
    let mut queues = HashMap::new();
    control.queues(&mut |reading| {
        queues.insert(reading.upstream.to_owned(), queue(reading));
    });
    let mut breakers = HashMap::<String, BreakerStatus>::new();
    control.breakers(&mut |reading| {
        breakers.insert(reading.upstream.to_owned(), reading.into());
    });
    let shown = totals.upstreams.iter().filter(|upstream| !upstream.has_left && &*upstream.name != OTHER);
    shown
        .map(|totals| {
            let (wait_p50_ms, wait_p99_ms) = quantiles(totals.wait());
            UpstreamStatus {
                name: totals.name.to_string(),
                requests: totals.requests(),
                per_second: since.upstream(&totals.name, totals.requests()),
                retries: totals.retries(),
                queue: queues.remove(&*totals.name).map(|queue| QueueStatus {
                    refused: totals.shed(),
                    queued_p50_ms: quantiles(totals.queued()).0,
                    queued_p99_ms: quantiles(totals.queued()).1,
                    ..queue
                }),
                wait_p50_ms,
                wait_p99_ms,
                fallbacks: totals.fallbacks(),
                breaker: breakers.remove(&*totals.name),
                endpoints: endpoints.remove(&*totals.name).unwrap_or_default(),
            }
        })
        .collect()
}

fn queue(reading: QueueReading<'_>) -> QueueStatus {
    QueueStatus {
        limit: reading.limit,
        adaptive: reading.is_adaptive,
        taken: reading.taken,
        in_flight: reading.in_flight,
        waiting: reading.waiting,
        most_waiting: reading.most_waiting,
        refused: 0,
        queued_p50_ms: None,
        queued_p99_ms: None,
    }
}

fn name_of(endpoint: &EndpointTotals) -> (Arc<str>, Arc<str>) {
    (Arc::clone(&endpoint.upstream), Arc::clone(&endpoint.address))
}

fn quantiles(latency: Option<Latency>) -> (Option<f64>, Option<f64>) {
    (latency.map(|latency| ms(latency.p50)), latency.map(|latency| ms(latency.p99)))
}

fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

#[cfg(test)]
pub(crate) mod tests {
    use signals::{Finished, RouteSlot};

    /// A plain request that ran to its end.
    pub(crate) fn finished(route: RouteSlot) -> Finished<'static> {
        Finished {
            route: Some(route),
            status: 200,
            method: b"GET",
            target: b"/",
            version: 11,
            ..Finished::default()
        }
    }
}
