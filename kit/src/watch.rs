//! The middleware between the socket and the router: request ids, durations, a bound on the time an answer takes,
//! and the three paths that whoever runs the app asks for.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use tracing::Instrument as _;

use crate::{Checks, Metrics, Problem};

/// The header that carries a request's id from the edge through every log line.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Longer ids are replaced: they go into every log line.
const REQUEST_ID_MAX_BYTES: usize = 128;
/// An answer slower than this is worth a line in the log.
const SLOW: Duration = Duration::from_secs(1);

/// Adds `/health`, `/ready` and `/metrics` to the router, and around every route: a request id (taken from
/// `X-Request-Id`, else made here) on the answer and on every log line, the request's duration in the metrics, and
/// `request_timeout`, after which the client gets a 503.
///
/// While the app is stopping every answer carries `Connection: close`, so that kept-alive connections end between
/// two requests and never within one.
pub fn watch(router: Router, metrics: &Metrics, checks: &Arc<Checks>, request_timeout: Duration) -> Router {
    let ready = Arc::clone(checks);
    let scraped = metrics.clone();
    let watcher = Watcher { metrics: metrics.clone(), checks: Arc::clone(checks), timeout: request_timeout };
    router
        .route("/health", get(|| async { ([(header::CACHE_CONTROL, "no-store")], "ok\n") }))
        .route("/ready", get(move || async move { ready.report().await }))
        .route("/metrics", get(move || async move { scraped }))
        .layer(axum::middleware::from_fn_with_state(watcher, observe))
}

#[derive(Clone)]
struct Watcher {
    metrics: Metrics,
    checks: Arc<Checks>,
    timeout: Duration,
}

async fn observe(State(watcher): State<Watcher>, request: Request, next: Next) -> Response {
    let started = Instant::now();
    let _in_flight = watcher.metrics.in_flight();
    let id = request_id(request.headers());
    let route = request.extensions().get::<MatchedPath>().cloned();
    let method = request.method().clone();
    let span = tracing::info_span!(
        "request",
        id = id.to_str().unwrap_or_default(),
        %method,
        path = request.uri().path()
    );

    let answer = tokio::time::timeout(watcher.timeout, next.run(request)).instrument(span.clone()).await;
    let mut response = answer.unwrap_or_else(|_| {
        let detail = format!("no answer within {} s", watcher.timeout.as_secs_f64());
        Problem::unavailable("timeout", detail, 1).into_response()
    });

    let took = started.elapsed();
    let status = response.status();
    let took_ms = took.as_secs_f64() * 1e3;
    if status.is_server_error() && !watcher.checks.is_stopping() {
        tracing::warn!(parent: &span, status = status.as_u16(), took_ms, "answered with an error");
    } else if took > SLOW {
        tracing::warn!(parent: &span, status = status.as_u16(), took_ms, "answered slowly");
    } else {
        tracing::debug!(parent: &span, status = status.as_u16(), took_ms, "answered");
    }
    let route = route.as_ref().map_or("unmatched", MatchedPath::as_str);
    watcher.metrics.finished(route, &method, status, took);

    response.headers_mut().insert(REQUEST_ID, id);
    if watcher.checks.is_stopping() {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// The client's id when it is short and printable, else a random one of 128 bits.
fn request_id(headers: &HeaderMap) -> HeaderValue {
    match headers.get(&REQUEST_ID) {
        Some(id) if is_fit_for_logs(id.as_bytes()) => id.clone(),
        _ => HeaderValue::try_from(format!("{:032x}", fastrand::u128(..))).expect("hex digits are a value"),
    }
}

fn is_fit_for_logs(id: &[u8]) -> bool {
    !id.is_empty() && id.len() <= REQUEST_ID_MAX_BYTES && id.iter().all(u8::is_ascii_graphic)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sound_request_id_is_kept_and_any_other_replaced() {
        let mut headers = HeaderMap::new();
        headers.insert(REQUEST_ID, HeaderValue::from_static("edge-7f3a"));
        assert_eq!(request_id(&headers), "edge-7f3a");
        for unsound in ["", "two words", &"x".repeat(129)] {
            headers.insert(REQUEST_ID, HeaderValue::try_from(unsound).unwrap());
            let made = request_id(&headers);
            assert_eq!(made.len(), 32, "made in place of {unsound:?}: {made:?}");
        }
    }
}
