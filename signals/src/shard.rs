//! What one thread of the data plane counts.

use cache::Bypass;
use traffic::Refusal;
use traffic::queue::{Priority, Unserved};
use wire::Malformed;

use crate::chunked::Chunked;
use crate::counter::{Counter, Histogram, Reasons, Reset};
use crate::outcome::{self, CLASSES, Coding};
use crate::request::{Cached, Finished, Stage, Times, Who};
use crate::slot::{EndpointSlot, LimitSlot, RouteSlot, UpstreamSlot};

/// Counters of one thread. Every method is for that thread alone: two threads that write the same shard lose events.
/// None of them locks or waits; none allocates, except for the first event of a chunk of 64 slots.
///
/// Reasons (`why`) are words of a fixed set, the `code()` of an enum; see each metric for the set's size.
// The alignment keeps the counters of two threads out of one cache line, and out of the pair that is fetched together.
#[repr(align(128))]
#[derive(Default)]
pub struct Shard {
    pub(crate) ends: [[Counter; Stage::ALL.len()]; Who::ALL.len()],
    pub(crate) refusals: ByReason<{ Refusal::ALL.len() }>,
    pub(crate) malformed_requests: ByReason<{ Malformed::ALL.len() }>,
    pub(crate) malformed_responses: ByReason<{ Malformed::ALL.len() }>,
    pub(crate) bypasses: [Counter; Bypass::ALL.len()],
    pub(crate) connections_opened: Counter,
    pub(crate) connections_closed: Counter,
    pub(crate) connections_refused: ByReason<{ Refusal::ALL.len() }>,
    pub(crate) tunnels_opened: Counter,
    pub(crate) tunnels_closed: Counter,
    pub(crate) coded_input: [Counter; Coding::ALL.len()],
    pub(crate) coded_output: [Counter; Coding::ALL.len()],
    pub(crate) left_plain: Reasons<12>,
    pub(crate) routes: Chunked<RouteCounters, { crate::MAX_ROUTES / 64 }>,
    pub(crate) upstreams: Chunked<UpstreamCounters, { crate::MAX_UPSTREAMS / 64 }>,
    pub(crate) limits: Chunked<LimitCounters, { crate::MAX_LIMITS / 64 }>,
    pub(crate) endpoints: Chunked<EndpointCounters, { crate::MAX_ENDPOINTS / 64 }>,
}

/// One counter per reason, in the order of the reasons; there may be more of them than arrays know a default for.
pub(crate) struct ByReason<const N: usize>(pub(crate) [Counter; N]);

impl<const N: usize> Default for ByReason<N> {
    fn default() -> Self {
        Self([const { Counter::new() }; N])
    }
}

/// What is counted by route.
#[derive(Default)]
pub(crate) struct RouteCounters {
    pub(crate) classes: [Counter; CLASSES.len()],
    pub(crate) total: Histogram,
    pub(crate) received_bytes: Counter,
    pub(crate) sent_bytes: Counter,
    pub(crate) cached: [Counter; Cached::CODES.len()],
    pub(crate) hit_bytes: Counter,
}

/// What is counted by upstream.
#[derive(Default)]
pub(crate) struct UpstreamCounters {
    pub(crate) classes: [Counter; CLASSES.len()],
    pub(crate) wait: Histogram,
    pub(crate) connect: Histogram,
    pub(crate) held: Histogram,
    pub(crate) queued: Histogram,
    /// By [`Unserved::OWN`] and [`Priority`].
    pub(crate) shed: [[Counter; Priority::ALL.len()]; Unserved::OWN.len()],
    pub(crate) connected: Counter,
    pub(crate) reused: Counter,
    pub(crate) closed: Reasons<12>,
    pub(crate) retries: Reasons<12>,
    pub(crate) retries_refused: Reasons<12>,
    pub(crate) resolved: Counter,
    pub(crate) unresolved: Counter,
    pub(crate) fallbacks: Reasons<12>,
}

/// What is counted by limit.
#[derive(Default)]
pub(crate) struct LimitCounters {
    pub(crate) admitted: Counter,
    pub(crate) refused: Counter,
    pub(crate) dry: Counter,
}

/// What is counted by endpoint.
#[derive(Default)]
pub(crate) struct EndpointCounters {
    pub(crate) classes: [Counter; CLASSES.len()],
    pub(crate) failures: Reasons<12>,
    pub(crate) ejections: Reasons<12>,
    pub(crate) returns: Counter,
    pub(crate) probes_passed: Counter,
    pub(crate) probes_failed: Counter,
}

impl Shard {
    /// Counts a finished request: everything that is counted by request comes from here.
    #[inline]
    pub fn finished(&self, finished: &Finished<'_>) {
        let class = outcome::class(finished.status);
        self.ends[finished.who as usize][finished.stage as usize].add(1);

        let route = self.routes.writing(finished.route.unwrap_or(RouteSlot::NONE).0);
        route.classes[class].add(1);
        route.total.observe(finished.times.total);
        route.received_bytes.add(finished.received_bytes);
        route.sent_bytes.add(finished.sent_bytes);
        if let Some(cached) = finished.cached {
            route.cached[cached.index()].add(1);
            if cached.is_hit() {
                route.hit_bytes.add(finished.sent_bytes);
            }
            if let Cached::Bypass(why) = cached {
                self.bypasses[why.index()].add(1);
            }
        }

        if let Some(slot) = finished.upstream {
            let upstream = self.upstreams.writing(slot.0);
            upstream.classes[class].add(1);
            // A stage that did not happen is zero and would only blur the histogram of those that did; but a clock
            // of milliseconds may also give zero for a stage that did, which its successors prove.
            let Times { wait, connect, held, queued, .. } = finished.times;
            let has_tried = finished.tries > 0;
            if !wait.is_zero() || has_tried && finished.stage as usize >= Stage::Deliver as usize {
                upstream.wait.observe(wait);
            }
            if !connect.is_zero()
                || has_tried && !finished.reused && finished.stage as usize > Stage::Connect as usize
            {
                upstream.connect.observe(connect);
            }
            if !held.is_zero() {
                upstream.held.observe(held);
            }
            if !queued.is_zero() {
                upstream.queued.observe(queued);
            }
        }
        if let Some(slot) = finished.endpoint {
            self.endpoints.writing(slot.0).classes[class].add(1);
        }
        if let Some(refusal) = finished.refusal {
            self.refused(refusal);
        }
    }

    /// A limit was asked and had nothing against it.
    #[inline]
    pub fn limit_admitted(&self, limit: LimitSlot) {
        self.limits.writing(limit.0).admitted.add(1);
    }

    /// A limit refused a request.
    pub fn limit_refused(&self, limit: LimitSlot) {
        self.limits.writing(limit.0).refused.add(1);
    }

    /// A limit that only counts would have refused a request.
    pub fn limit_dry(&self, limit: LimitSlot) {
        self.limits.writing(limit.0).dry.add(1);
    }

    /// A client connection was accepted.
    #[inline]
    pub fn connection_opened(&self) {
        self.connections_opened.add(1);
    }

    /// A client connection that was opened here has ended.
    #[inline]
    pub fn connection_closed(&self) {
        self.connections_closed.add(1);
    }

    /// A client connection was turned away before any request; it counts neither as opened nor as closed.
    pub fn connection_refused(&self, refusal: Refusal) {
        self.connections_refused.0[refusal.index()].add(1);
    }

    /// A new connection to an endpoint of the upstream stands.
    #[inline]
    pub fn upstream_connected(&self, upstream: UpstreamSlot) {
        self.upstreams.writing(upstream.0).connected.add(1);
    }

    /// A request went over a kept-alive connection.
    #[inline]
    pub fn upstream_reused(&self, upstream: UpstreamSlot) {
        self.upstreams.writing(upstream.0).reused.add(1);
    }

    /// A connection to an endpoint of the upstream was closed, by either side. At most 12 different reasons.
    pub fn upstream_closed(&self, upstream: UpstreamSlot, why: &'static str) {
        self.upstreams.writing(upstream.0).closed.add(why);
    }

    /// A request is tried again. At most 12 different reasons.
    pub fn retry(&self, upstream: UpstreamSlot, why: &'static str) {
        self.upstreams.writing(upstream.0).retries.add(why);
    }

    /// A failed try is not repeated. At most 12 different reasons.
    pub fn retry_refused(&self, upstream: UpstreamSlot, why: &'static str) {
        self.upstreams.writing(upstream.0).retries_refused.add(why);
    }

    /// A request of this priority got no slot at the upstream, for one of the queue's own reasons.
    pub fn shed(&self, upstream: UpstreamSlot, why: Unserved, priority: Priority) {
        if let Some(at) = Unserved::OWN.iter().position(|own| *own == why) {
            self.upstreams.writing(upstream.0).shed[at][priority as usize].add(1);
        }
    }

    /// The names among the upstream's endpoints were looked up; `is_known` when the answer held addresses.
    pub fn resolved(&self, upstream: UpstreamSlot, is_known: bool) {
        let upstream = self.upstreams.writing(upstream.0);
        if is_known { &upstream.resolved } else { &upstream.unresolved }.add(1);
    }

    /// Something else answered a request that nothing at the upstream had seen. At most 12 different words.
    pub fn fell_back(&self, upstream: UpstreamSlot, to: &'static str) {
        self.upstreams.writing(upstream.0).fallbacks.add(to);
    }

    /// A try at the endpoint failed, whatever became of the request. At most 12 different reasons.
    pub fn endpoint_failed(&self, endpoint: EndpointSlot, why: &'static str) {
        self.endpoints.writing(endpoint.0).failures.add(why);
    }

    /// The endpoint was taken out. At most 12 different reasons.
    pub fn endpoint_ejected(&self, endpoint: EndpointSlot, why: &'static str) {
        self.endpoints.writing(endpoint.0).ejections.add(why);
    }

    /// The endpoint was let back in.
    pub fn endpoint_returned(&self, endpoint: EndpointSlot) {
        self.endpoints.writing(endpoint.0).returns.add(1);
    }

    /// An active check of the endpoint ended; `has_passed` when it answered as it should.
    pub fn endpoint_probed(&self, endpoint: EndpointSlot, has_passed: bool) {
        let endpoint = self.endpoints.writing(endpoint.0);
        if has_passed { &endpoint.probes_passed } else { &endpoint.probes_failed }.add(1);
    }

    /// A tunnel (an upgraded connection) was opened.
    pub fn tunnel_opened(&self) {
        self.tunnels_opened.add(1);
    }

    /// A tunnel that was opened here has ended.
    pub fn tunnel_closed(&self) {
        self.tunnels_closed.add(1);
    }

    /// Bytes of a body were compressed: so many before, so many after.
    #[inline]
    pub fn coded(&self, coding: Coding, input_bytes: u64, output_bytes: u64) {
        self.coded_input[coding as usize].add(input_bytes);
        self.coded_output[coding as usize].add(output_bytes);
    }

    /// A response of a route that compresses went as it is. At most 12 different reasons.
    pub fn left_plain(&self, why: &'static str) {
        self.left_plain.add(why);
    }

    fn refused(&self, refusal: Refusal) {
        self.refusals.0[refusal.index()].add(1);
        match refusal {
            Refusal::Malformed(detail) => self.malformed_requests.0[detail as usize].add(1),
            Refusal::ResponseMalformed(detail) => self.malformed_responses.0[detail as usize].add(1),
            _ => {}
        }
    }
}

impl Reset for RouteCounters {
    fn reset(&self) {
        let Self { classes, total, received_bytes, sent_bytes, cached, hit_bytes } = self;
        classes.reset();
        total.reset();
        cached.reset();
        [received_bytes, sent_bytes, hit_bytes].into_iter().for_each(Reset::reset);
    }
}

impl Reset for UpstreamCounters {
    fn reset(&self) {
        let Self { classes, wait, connect, held, queued, shed, connected, reused, closed, .. } = self;
        let Self { retries, retries_refused, resolved, unresolved, fallbacks, .. } = self;
        classes.reset();
        shed.reset();
        [wait, connect, held, queued].into_iter().for_each(Reset::reset);
        [connected, reused, resolved, unresolved].into_iter().for_each(Reset::reset);
        [closed, retries, retries_refused, fallbacks].into_iter().for_each(Reset::reset);
    }
}

impl Reset for LimitCounters {
    fn reset(&self) {
        let Self { admitted, refused, dry } = self;
        [admitted, refused, dry].into_iter().for_each(Reset::reset);
    }
}

impl Reset for EndpointCounters {
    fn reset(&self) {
        let Self { classes, failures, ejections, returns, probes_passed, probes_failed } = self;
        classes.reset();
        failures.reset();
        ejections.reset();
        [returns, probes_passed, probes_failed].into_iter().for_each(Reset::reset);
    }
}
