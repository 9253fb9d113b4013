//! The app's metrics and what `/metrics` prints: OpenMetrics text, which Prometheus reads.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric as _};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

/// Upper bounds in seconds: fine where a cache answers, coarse where something is wrong.
const DURATION_BOUNDS_S: [f64; 14] =
    [0.0001, 0.000_25, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0];

/// The registry of an app's metrics, with the metrics that every app has.
///
/// Every app has: `http_request_duration_seconds` by route, method and status class; `http_requests_in_flight`;
/// `process_start_time_seconds`; on Linux `process_resident_memory_bytes`.
#[derive(Clone)]
pub struct Metrics(Arc<Inner>);

struct Inner {
    registry: Mutex<Registry>,
    durations: Family<RequestLabels, Histogram, fn() -> Histogram>,
    in_flight: Gauge,
}

/// Bounded on purpose: the route is the pattern that matched, the method one of nine, the status a class.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    route: String,
    method: &'static str,
    status: &'static str,
}

impl Metrics {
    /// A registry with the metrics that every app has.
    pub fn new() -> Self {
        let durations =
            Family::new_with_constructor((|| Histogram::new(DURATION_BOUNDS_S)) as fn() -> Histogram);
        let in_flight = Gauge::default();
        let mut registry = Registry::default();
        registry.register(
            "http_request_duration_seconds",
            "Time from the request's head to the answer's head, by matched route; watch the 99th percentile",
            durations.clone(),
        );
        registry.register(
            "http_requests_in_flight",
            "Requests being answered now; a rise at steady traffic means something below is slow",
            in_flight.clone(),
        );
        registry.register_collector(Box::new(Process { started: SystemTime::now() }));
        Self(Arc::new(Inner { registry: Mutex::new(registry), durations, in_flight }))
    }

    /// Adds the app's own metrics.
    pub fn register(&self, add: impl FnOnce(&mut Registry)) {
        add(&mut self.0.registry.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Every metric as OpenMetrics text.
    pub fn render(&self) -> String {
        let registry = self.0.registry.lock().unwrap_or_else(PoisonError::into_inner);
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry)
            .expect("writing to a string cannot fail");
        text
    }

    /// Counts a request as being answered until the guard drops, also when its client goes away.
    pub(crate) fn in_flight(&self) -> InFlight {
        self.0.in_flight.inc();
        InFlight(self.0.in_flight.clone())
    }

    pub(crate) fn finished(&self, route: &str, method: &Method, status: StatusCode, took: Duration) {
        let labels = RequestLabels { route: route.to_owned(), method: known(method), status: class(status) };
        self.0.durations.get_or_create(&labels).observe(took.as_secs_f64());
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Metrics")
    }
}

impl IntoResponse for Metrics {
    fn into_response(self) -> Response {
        let content_type =
            HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");
        ([(header::CONTENT_TYPE, content_type)], self.render()).into_response()
    }
}

pub(crate) struct InFlight(Gauge);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.dec();
    }
}

fn known(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        Method::CONNECT => "CONNECT",
        _ => "other",
    }
}

fn class(status: StatusCode) -> &'static str {
    match status.as_u16() / 100 {
        1 => "1xx",
        2 => "2xx",
        3 => "3xx",
        4 => "4xx",
        _ => "5xx",
    }
}

/// What the process itself costs, read when it is asked for.
#[derive(Debug)]
struct Process {
    started: SystemTime,
}

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let started_s = self.started.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs_f64();
        ConstGauge::new(started_s).encode(encoder.encode_descriptor(
            "process_start_time_seconds",
            "When the process started, seconds since 1970",
            None,
            MetricType::Gauge,
        )?)?;
        if let Some(resident_bytes) = resident_bytes() {
            ConstGauge::new(resident_bytes).encode(encoder.encode_descriptor(
                "process_resident_memory_bytes",
                "Memory that the process holds in RAM",
                None,
                MetricType::Gauge,
            )?)?;
        }
        Ok(())
    }
}

/// The second number of `/proc/self/statm` counts resident pages (proc(5)). Absent outside Linux.
fn resident_bytes() -> Option<i64> {
    let statm = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: i64 = statm.split_ascii_whitespace().nth(1)?.parse().ok()?;
    Some(pages * i64::try_from(rustix::param::page_size()).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_counted_by_route_method_and_class() {
        let metrics = Metrics::new();
        let teapot = StatusCode::IM_A_TEAPOT;
        metrics.finished("/api/{id}", &Method::GET, StatusCode::OK, Duration::from_micros(300));
        metrics.finished("/api/{id}", &Method::from_bytes(b"BREW").unwrap(), teapot, Duration::ZERO);
        let text = metrics.render();
        assert!(text.contains(
            "http_request_duration_seconds_bucket{le=\"0.0005\",route=\"/api/{id}\",method=\"GET\",status=\"2xx\"} 1"
        ), "{text}");
        assert!(text.contains("method=\"other\",status=\"4xx\"} 1"), "{text}");
        assert!(text.ends_with("# EOF\n"));
    }

    #[test]
    fn a_request_is_in_flight_until_its_guard_drops() {
        let metrics = Metrics::new();
        let guard = metrics.in_flight();
        assert!(metrics.render().contains("http_requests_in_flight 1"));
        drop(guard);
        assert!(metrics.render().contains("http_requests_in_flight 0"));
    }
}
