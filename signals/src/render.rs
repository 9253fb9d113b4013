//! The page of `/metrics`, family by family.

use core::sync::atomic::Ordering::Relaxed;
use std::collections::HashSet;
use std::time::SystemTime;

use cache::{Bypass, Usage, disk};
use traffic::Refusal;
use traffic::breaker::Reason;
use traffic::queue::{Priority, Unserved};
use traffic::room::{Invalid, Reading};
use wire::Malformed;

use crate::OTHER;
use crate::counter::{HistogramTotal, ReasonTotals};
use crate::exposition::Page;
use crate::gather::{ByClass, EndpointTotals, LimitTotals, RouteTotals, Totals, UpstreamTotals};
use crate::metric::Metric;
use crate::names::{Reload, Signals};
use crate::observed::{BreakerReading, EndpointReading, Observed, RoomReading};
use crate::outcome::{CLASSES, Coding};
use crate::process;
use crate::request::{Cached, Stage, Who};

/// A metric and the number of `T` that it shows.
type Number<T> = (Metric, fn(&T) -> u64);

/// A metric and the part of `T` that it shows.
type Part<T, V> = (Metric, fn(&T) -> &V);

impl Signals {
    /// Everything counted, and the state that `observed` gives, in the Prometheus text exposition format 0.0.4.
    pub fn render(&self, observed: &dyn Observed) -> String {
        let mut page = Page::new();
        let totals = self.totals();
        page.family(Metric::BuildInfo);
        page.sample(&[env!("CARGO_PKG_VERSION")], 1);
        requests(&mut page, &totals);
        compression(&mut page, &totals);
        connections(&mut page, &totals);
        limits(&mut page, &totals, &observed.limits());
        cached(&mut page, &totals);
        stored(&mut page, &observed.cache());
        upstreams(&mut page, &totals.upstreams);
        endpoints(&mut page, &totals.endpoints);
        queues(&mut page, observed);
        readings(&mut page, observed);
        breakers(&mut page, observed);
        rooms(&mut page, observed);
        surges(&mut page, observed);
        self.own(&mut page);
        self.process(&mut page);
        page.finish()
    }

    /// What concerns Tidegate itself: reloads, the access log, the register of names.
    fn own(&self, page: &mut Page) {
        page.family(Metric::Reloads);
        for result in Reload::ALL {
            page.sample(&[result.code()], self.reloads[result as usize].load(Relaxed));
        }
        page.family(Metric::ReloadGood);
        page.sample(&[], self.is_last_reload_good.load(Relaxed).into());
        page.family(Metric::ConfiguredSeconds);
        page.sample_f64(&[], self.configured_ms.load(Relaxed) as f64 / 1e3);
        page.family(Metric::LogLines);
        for (fate, count) in self.log.counts() {
            page.sample(&[fate], count);
        }
        page.family(Metric::NamesTurnedAway);
        let names = self.names();
        page.sample(&["route"], names.routes.turned_away);
        page.sample(&["upstream"], names.upstreams.turned_away);
        page.sample(&["endpoint"], names.endpoints.turned_away);
        page.sample(&["limit"], names.limits.turned_away);
    }

    fn process(&self, page: &mut Page) {
        let process = process::read();
        if let Some(seconds) = process.cpu_seconds {
            page.family(Metric::ProcessCpu);
            page.sample_f64(&[], seconds);
        }
        let numbers = [
            (Metric::ProcessMemory, process.resident_bytes),
            (Metric::ProcessFds, process.open_fds),
            (Metric::ProcessMaxFds, process.max_fds),
        ];
        for (metric, number) in numbers {
            if let Some(number) = number {
                page.family(metric);
                page.sample(&[], number);
            }
        }
        page.family(Metric::ProcessStart);
        let started = self.started.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        page.sample_f64(&[], started.as_secs_f64());
    }
}

fn requests(page: &mut Page, totals: &Totals) {
    let routes = || totals.routes.iter().filter(|route| &*route.name != OTHER || route.requests() > 0);
    page.family(Metric::Requests);
    routes().for_each(|route| classes(page, &[&route.name], &route.classes));
    page.family(Metric::RequestSeconds);
    routes().for_each(|route| histogram(page, &route.name, &route.total));
    let sums: [Number<RouteTotals>; 2] = [
        (Metric::ReceivedBytes, |route| route.received_bytes),
        (Metric::SentBytes, |route| route.sent_bytes),
    ];
    for (metric, sum) in sums {
        page.family(metric);
        routes().for_each(|route| page.sample(&[&route.name], sum(route)));
    }

    page.family(Metric::Ends);
    for (who, stages) in Who::ALL.into_iter().zip(&totals.ends) {
        for (stage, &count) in Stage::ALL.into_iter().zip(stages) {
            if count > 0 {
                page.sample(&[who.code(), stage.code()], count);
            }
        }
    }
    page.family(Metric::Refusals);
    for (refusal, &count) in Refusal::ALL.into_iter().zip(&totals.refusals) {
        page.sample(&[refusal.code()], count);
    }
    page.family(Metric::Malformed);
    for (side, details) in
        [("request", &totals.malformed_requests), ("response", &totals.malformed_responses)]
    {
        for (detail, &count) in Malformed::ALL.iter().zip(details) {
            if count > 0 {
                page.sample(&[side, detail.code()], count);
            }
        }
    }
}

fn compression(page: &mut Page, totals: &Totals) {
    let sums = [(Metric::CodedInput, &totals.coded_input), (Metric::CodedOutput, &totals.coded_output)];
    for (metric, sums) in sums {
        page.family(metric);
        for (coding, &sum) in Coding::ALL.into_iter().zip(sums) {
            page.sample(&[coding.code()], sum);
        }
    }
    page.family(Metric::LeftPlain);
    reasons(page, &[], &totals.left_plain);
}

fn connections(page: &mut Page, totals: &Totals) {
    let sums = [
        (Metric::ConnectionsOpen, totals.connections_open),
        (Metric::Connections, totals.connections),
        (Metric::TunnelsOpen, totals.tunnels_open),
        (Metric::Tunnels, totals.tunnels),
    ];
    for (metric, sum) in sums {
        page.family(metric);
        page.sample(&[], sum);
    }
    page.family(Metric::ConnectionsRefused);
    for (refusal, &count) in Refusal::ALL.into_iter().zip(&totals.refused_connections) {
        if count > 0 {
            page.sample(&[refusal.code()], count);
        }
    }
}

/// What limits did for requests, and what they hold.
fn limits(page: &mut Page, totals: &Totals, usage: &traffic::limit::Usage) {
    page.family(Metric::LimitRequests);
    let is_shown =
        |limit: &&LimitTotals| &*limit.name != OTHER || limit.admitted + limit.refused + limit.dry > 0;
    for limit in totals.limits.iter().filter(is_shown) {
        let results = [("admitted", limit.admitted), ("limited", limit.refused), ("dry-run", limit.dry)];
        for (result, count) in results {
            page.sample(&[&limit.route, &limit.name, result], count);
        }
    }
    let numbers = [
        (Metric::LimitEntries, usage.entries),
        (Metric::LimitMemory, usage.memory_bytes),
        (Metric::LimitInFlight, usage.in_flight),
        (Metric::LimitOverflows, usage.overflowed),
    ];
    for (metric, number) in numbers {
        page.family(metric);
        page.sample(&[], number);
    }
}

/// What the cache did for requests. Routes without one are not shown.
fn cached(page: &mut Page, totals: &Totals) {
    let routes = || totals.routes.iter().filter(|route| route.cacheable() > 0);
    page.family(Metric::CacheRequests);
    for route in routes() {
        for (outcome, &count) in Cached::CODES.into_iter().zip(&route.cached) {
            page.sample(&[&route.name, outcome], count);
        }
    }
    page.family(Metric::CacheHitBytes);
    routes().for_each(|route| page.sample(&[&route.name], route.hit_bytes));
    page.family(Metric::CacheBypasses);
    bypasses(page, &totals.bypasses);
}

/// What the store holds and has done.
fn stored(page: &mut Page, usage: &Usage) {
    page.family(Metric::CacheNotKept);
    bypasses(page, &usage.refused_total);
    page.family(Metric::CacheHits);
    page.sample(&[], usage.hits_total);
    page.family(Metric::CacheHitAge);
    page.sample_f64(&[], usage.hit_age_ms_total as f64 / 1e3);
    let numbers: [Number<Usage>; 6] = [
        (Metric::CacheFills, |usage| usage.fills_total),
        (Metric::CacheFilling, |usage| usage.fillings),
        (Metric::CacheEvictions, |usage| usage.evictions_total),
        (Metric::CachePurged, |usage| usage.purged_total),
        (Metric::CacheEntries, |usage| usage.entries),
        (Metric::CacheMarkers, |usage| usage.markers),
    ];
    for (metric, number) in numbers {
        page.family(metric);
        page.sample(&[], number(usage));
    }
    page.family(Metric::CacheMemory);
    for (part, bytes) in [
        ("heads", usage.head_bytes),
        ("bodies", usage.body_bytes),
        ("tables", usage.overhead_bytes),
        ("filling", usage.filling_bytes),
        ("leaving", usage.leaving_bytes),
    ] {
        page.sample(&[part], bytes);
    }
    page.family(Metric::CacheMemoryLimit);
    page.sample(&[], usage.memory_bytes);
    on_disk(page, &usage.disk);
}

/// The same of its tier on disk.
fn on_disk(page: &mut Page, usage: &disk::Usage) {
    let numbers: [Number<disk::Usage>; 5] = [
        (Metric::CacheDiskBytes, |usage| usage.used_bytes),
        (Metric::CacheDiskLimit, |usage| usage.limit_bytes),
        (Metric::CacheDiskEntries, |usage| usage.entries),
        (Metric::CacheDiskHits, |usage| usage.hits_total),
        (Metric::CacheDiskWrites, |usage| usage.written_total),
    ];
    for (metric, number) in numbers {
        page.family(metric);
        page.sample(&[], number(usage));
    }
    page.family(Metric::CacheDiskDropped);
    for (why, count) in disk::Dropped::ALL.into_iter().zip(usage.dropped_total) {
        page.sample(&[why.code()], count);
    }
    page.family(Metric::CacheDiskFaults);
    for (kind, count) in disk::Fault::ALL.into_iter().zip(usage.faults_total) {
        page.sample(&[kind.code()], count);
    }
}

fn bypasses(page: &mut Page, counts: &[u64]) {
    for (why, &count) in Bypass::ALL.into_iter().zip(counts) {
        if count > 0 {
            page.sample(&[why.code()], count);
        }
    }
}

fn upstreams(page: &mut Page, totals: &[UpstreamTotals]) {
    let shown = || totals.iter().filter(|upstream| &*upstream.name != OTHER || upstream.requests() > 0);
    page.family(Metric::UpstreamRequests);
    shown().for_each(|upstream| classes(page, &[&upstream.name], &upstream.classes));
    let histograms: [Part<UpstreamTotals, HistogramTotal>; 4] = [
        (Metric::UpstreamWaitSeconds, |upstream| &upstream.wait),
        (Metric::UpstreamConnectSeconds, |upstream| &upstream.connect),
        (Metric::UpstreamHeldSeconds, |upstream| &upstream.held),
        (Metric::QueueSeconds, |upstream| &upstream.queued),
    ];
    for (metric, total) in histograms {
        page.family(metric);
        shown().for_each(|upstream| histogram(page, &upstream.name, total(upstream)));
    }
    page.family(Metric::QueueRefused);
    for upstream in shown() {
        for (why, counts) in Unserved::OWN.into_iter().zip(&upstream.shed) {
            for (priority, &count) in Priority::ALL.into_iter().zip(counts).filter(|(_, count)| **count > 0) {
                page.sample(&[&upstream.name, why.refusal().code(), priority.code()], count);
            }
        }
    }
    page.family(Metric::UpstreamConnections);
    for upstream in shown() {
        page.sample(&[&upstream.name, "new"], upstream.connected);
        page.sample(&[&upstream.name, "reused"], upstream.reused);
    }
    let by_reason: [Part<UpstreamTotals, ReasonTotals>; 4] = [
        (Metric::UpstreamConnectionsClosed, |upstream| &upstream.closed),
        (Metric::Retries, |upstream| &upstream.retries),
        (Metric::RetriesRefused, |upstream| &upstream.retries_refused),
        (Metric::Fallbacks, |upstream| &upstream.fallbacks),
    ];
    for (metric, total) in by_reason {
        page.family(metric);
        shown().for_each(|upstream| reasons(page, &[&upstream.name], total(upstream)));
    }
    page.family(Metric::Resolutions);
    for upstream in shown().filter(|upstream| upstream.resolved + upstream.unresolved > 0) {
        page.sample(&[&upstream.name, "answered"], upstream.resolved);
        page.sample(&[&upstream.name, "failed"], upstream.unresolved);
    }
}

fn endpoints(page: &mut Page, totals: &[EndpointTotals]) {
    let shown = || totals.iter().filter(|endpoint| &*endpoint.address != OTHER || endpoint.requests() > 0);
    page.family(Metric::EndpointRequests);
    shown().for_each(|endpoint| classes(page, &[&endpoint.upstream, &endpoint.address], &endpoint.classes));
    let by_reason: [Part<EndpointTotals, ReasonTotals>; 2] = [
        (Metric::EndpointFailures, |endpoint| &endpoint.failures),
        (Metric::EndpointEjections, |endpoint| &endpoint.ejections),
    ];
    for (metric, total) in by_reason {
        page.family(metric);
        shown().for_each(|endpoint| reasons(page, &[&endpoint.upstream, &endpoint.address], total(endpoint)));
    }
    page.family(Metric::EndpointReturns);
    shown().for_each(|endpoint| page.sample(&[&endpoint.upstream, &endpoint.address], endpoint.returns));
    page.family(Metric::EndpointProbes);
    for endpoint in shown().filter(|endpoint| endpoint.probes_passed + endpoint.probes_failed > 0) {
        page.sample(&[&endpoint.upstream, &endpoint.address, "passed"], endpoint.probes_passed);
        page.sample(&[&endpoint.upstream, &endpoint.address, "failed"], endpoint.probes_failed);
    }
}

/// Slots and who waits for them at this moment.
fn queues(page: &mut Page, observed: &dyn Observed) {
    let mut kept = Vec::new();
    observed.queues(&mut |reading| {
        kept.push((reading.upstream.to_owned(), reading.limit, reading.taken, reading.waiting));
    });
    page.family(Metric::QueueLimit);
    for (name, limit, ..) in &kept {
        if let Some(limit) = limit {
            page.sample(&[name], *limit);
        }
    }
    page.family(Metric::QueueTaken);
    for (name, _, taken, _) in &kept {
        page.sample(&[name], *taken);
    }
    page.family(Metric::QueueWaiting);
    for (name, .., waiting) in &kept {
        for (priority, count) in Priority::ALL.into_iter().zip(waiting) {
            page.sample(&[name, priority.code()], *count as u64);
        }
    }
}

/// State at this moment. An address that is given twice in one upstream is shown once: the format allows no repeats.
fn readings(page: &mut Page, observed: &dyn Observed) {
    struct Kept {
        upstream: String,
        address: String,
        state: &'static str,
        is_available: bool,
        in_flight: u64,
        weight: u32,
        ewma_seconds: Option<f64>,
    }
    let mut seen = HashSet::new();
    let mut kept = Vec::new();
    observed.endpoints(&mut |reading: EndpointReading<'_>| {
        if seen.insert((reading.upstream.to_owned(), reading.address.to_owned())) {
            kept.push(Kept {
                upstream: reading.upstream.to_owned(),
                address: reading.address.to_owned(),
                state: reading.state,
                is_available: reading.available,
                in_flight: reading.in_flight,
                weight: reading.weight,
                ewma_seconds: reading.ewma.map(|ewma| ewma.as_secs_f64()),
            });
        }
    });
    let gauges: [Number<Kept>; 3] = [
        (Metric::EndpointInFlight, |endpoint| endpoint.in_flight),
        (Metric::EndpointAvailable, |endpoint| endpoint.is_available.into()),
        (Metric::EndpointWeight, |endpoint| endpoint.weight.into()),
    ];
    for (metric, value) in gauges {
        page.family(metric);
        for endpoint in &kept {
            page.sample(&[&endpoint.upstream, &endpoint.address], value(endpoint));
        }
    }
    page.family(Metric::EndpointState);
    for endpoint in &kept {
        page.sample(&[&endpoint.upstream, &endpoint.address, endpoint.state], 1);
    }
    page.family(Metric::EndpointEwmaSeconds);
    for endpoint in &kept {
        if let Some(seconds) = endpoint.ewma_seconds {
            page.sample_f64(&[&endpoint.upstream, &endpoint.address], seconds);
        }
    }
}

/// Circuit breakers, where there are any.
fn breakers(page: &mut Page, observed: &dyn Observed) {
    let mut kept = Vec::new();
    observed.breakers(&mut |BreakerReading { upstream, state, counts, .. }: BreakerReading<'_>| {
        kept.push((upstream.to_owned(), state, counts));
    });
    page.family(Metric::BreakerState);
    for (upstream, state, _) in &kept {
        page.sample(&[upstream, state], 1);
    }
    page.family(Metric::BreakerTransitions);
    for (upstream, _, counts) in &kept {
        page.sample(&[upstream, "closed"], counts.closed);
        page.sample(&[upstream, "half_open"], counts.half_opened);
        for (why, count) in Reason::ALL.into_iter().zip(counts.opened) {
            page.sample(&[upstream, why.code()], count);
        }
    }
    page.family(Metric::BreakerShortCircuited);
    for (upstream, _, counts) in &kept {
        page.sample(&[upstream], counts.short_circuited);
    }
}

/// Waiting rooms, where there are any.
fn rooms(page: &mut Page, observed: &dyn Observed) {
    let mut kept = Vec::new();
    observed
        .rooms(&mut |RoomReading { name, reading }: RoomReading<'_>| kept.push((name.to_owned(), reading)));
    let numbers: [Number<Reading>; 4] = [
        (Metric::RoomWaiting, |room| room.waiting),
        (Metric::RoomInside, |room| room.inside),
        (Metric::RoomAdmitted, |room| room.admitted),
        (Metric::RoomTold, |room| room.told),
    ];
    for (metric, number) in numbers {
        page.family(metric);
        for (name, room) in &kept {
            page.sample(&[name], number(room));
        }
    }
    page.family(Metric::RoomWait);
    for (name, room) in &kept {
        page.sample_f64(&[name], room.wait.as_secs_f64());
    }
    page.family(Metric::RoomInvalid);
    for (name, room) in &kept {
        for (why, count) in Invalid::ALL.into_iter().zip(room.invalid) {
            page.sample(&[name, why.code()], count);
        }
    }
}

/// Surges that can be switched on, where there are any.
fn surges(page: &mut Page, observed: &dyn Observed) {
    page.family(Metric::SurgeOn);
    observed.surges(&mut |reading| page.sample(&[reading.profile], u64::from(reading.on.is_some())));
}

/// 2xx to 5xx always, so that a rate over the first error sees it rise from zero; the rare classes once they happen.
fn classes(page: &mut Page, labels: &[&str], counts: &ByClass) {
    for (index, (class, &count)) in CLASSES.into_iter().zip(counts).enumerate() {
        if index >= 2 || count > 0 {
            page.sample(&[labels, &[class]].concat(), count);
        }
    }
}

/// A histogram of a name shows once it holds something: thousands of idle routes would drown the page.
fn histogram(page: &mut Page, label: &str, total: &HistogramTotal) {
    if total.count() > 0 {
        page.histogram(&[label], total);
    }
}

fn reasons(page: &mut Page, labels: &[&str], totals: &ReasonTotals) {
    for (word, &count) in &totals.0 {
        page.sample(&[labels, &[word]].concat(), count);
    }
}
