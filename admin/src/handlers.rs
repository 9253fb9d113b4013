//! The endpoints of the admin listener: each takes the question apart, asks, and puts the answer into words.

mod stored;
mod surge;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use axum::Router;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, Request, State};
use axum::http::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde::Serialize;
use signals::{Reload, Signals};

use crate::control::{Control, NotReady, Question};
use crate::guard;
use crate::rates::Rates;
use crate::status::Status;

/// What is said of a query that is none.
const NO_QUERY: &str = "the query is not valid; percent-encode its values";

/// The parameters of a query.
type Pairs = Result<Query<Vec<(String, String)>>, QueryRejection>;

/// What every handler needs.
pub(crate) struct Desk {
    pub(crate) signals: Arc<Signals>,
    pub(crate) control: Arc<dyn Control>,
    pub(crate) rates: Mutex<Rates>,
}

type Shared = State<Arc<Desk>>;

/// Every path, with the guard in front of those that give orders.
pub(crate) fn router(desk: Arc<Desk>) -> Router {
    let orders = Router::new()
        .route("/reload", post(reload))
        .route("/cache/purge", post(stored::purge))
        .route("/surge/on", post(surge::on))
        .route("/surge/off", post(surge::off))
        .route("/drain/{upstream}/{endpoint}", post(drain))
        .route("/undrain/{upstream}/{endpoint}", post(undrain))
        .route_layer(from_fn(guarded));
    Router::new()
        .route("/metrics", get(metrics))
        .route("/health", get(health))
        .route("/ready", get(ready))
        .route("/status", get(status))
        .route("/explain", get(explain))
        .route("/surge", get(surge::status))
        .merge(stored::router())
        .merge(orders)
        .fallback(nothing_here)
        .with_state(desk)
}

const TEXT: &str = "text/plain; charset=utf-8";
const METRICS: &str = "text/plain; version=0.0.4; charset=utf-8";
const JSON: &str = "application/json";

async fn metrics(State(desk): Shared) -> Response {
    answer(StatusCode::OK, METRICS, desk.signals.render(&*desk.control))
}

async fn health() -> Response {
    text(StatusCode::OK, "healthy")
}

async fn ready(State(desk): Shared) -> Response {
    #[derive(Serialize)]
    struct Readiness {
        ready: bool,
        reasons: Vec<Reason>,
    }
    #[derive(Serialize)]
    struct Reason {
        code: &'static str,
        what: &'static str,
    }
    let reasons = desk.control.not_ready();
    let ready = reasons.is_empty();
    let reason = |reason: NotReady| Reason { code: reason.code(), what: reason.what() };
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    json(status, &Readiness { ready, reasons: reasons.into_iter().map(reason).collect() })
}

async fn status(State(desk): Shared) -> Response {
    let rates = desk.rates.lock().unwrap_or_else(PoisonError::into_inner);
    let status = Status::read(&desk.signals, &*desk.control, rates.since_oldest(Instant::now()));
    drop(rates);
    json(StatusCode::OK, &status)
}

async fn explain(State(desk): Shared, headers: HeaderMap, query: Pairs) -> Response {
    let bad = |what: &str| text(StatusCode::BAD_REQUEST, what);
    let Ok(Query(pairs)) = query else { return bad(NO_QUERY) };
    let (mut method, mut url, mut fields, mut client) = ("GET".to_owned(), None, Vec::new(), None);
    for (name, value) in pairs {
        match (name.as_str(), value.split_once(':')) {
            ("method", _) => method = value,
            ("url", _) => url = Some(value),
            ("client", _) => match value.parse() {
                Ok(address) => client = Some(address),
                Err(_) => return bad(&format!("client {value:?} is no address; write client=192.0.2.7")),
            },
            ("header", Some((name, value))) => fields.push((name.trim().to_owned(), value.trim().to_owned())),
            ("header", None) => return bad(&format!("header {value:?} has no colon; write \"name: value\"")),
            _ => {
                return bad(&format!(
                    "parameter {name:?} is not known; there are method, url, header and client"
                ));
            }
        }
    }
    let Some(url) = url else { return bad("which request? add url=http://host/path") };
    // Whatever goes into a head must not be able to end its line.
    if fields.iter().flat_map(|(name, value)| [name, value]).chain([&method, &url]).any(|part| is_torn(part))
    {
        return bad("a control character is no part of a request head; take it out");
    }
    match desk.control.explain(&Question { method, url, headers: fields, client }) {
        Err(what) => bad(&what),
        Ok(explanation) if wants_text(&headers) => text(StatusCode::OK, explanation.to_string().trim_end()),
        Ok(explanation) => json(StatusCode::OK, &explanation),
    }
}

fn is_torn(part: &str) -> bool {
    part.chars().any(char::is_control)
}

fn wants_text(headers: &HeaderMap) -> bool {
    headers
        .get(ACCEPT)
        .and_then(|accept| accept.to_str().ok())
        .is_some_and(|accept| accept.starts_with("text/plain"))
}

async fn reload(State(desk): Shared) -> Response {
    let reloaded = desk.control.reload().await;
    let status = match reloaded.result {
        Reload::Applied | Reload::Unchanged => StatusCode::OK,
        Reload::Refused => StatusCode::UNPROCESSABLE_ENTITY,
    };
    text(status, reloaded.text.trim_end())
}

async fn drain(desk: Shared, names: Path<(String, String)>) -> Response {
    set_drain(&desk, &names, true)
}

async fn undrain(desk: Shared, names: Path<(String, String)>) -> Response {
    set_drain(&desk, &names, false)
}

fn set_drain(desk: &Desk, names: &(String, String), is_on: bool) -> Response {
    let (upstream, endpoint) = names;
    match desk.control.drain(upstream, endpoint, is_on) {
        Ok(drain) => {
            let what = drain.what(upstream, endpoint, is_on);
            tracing::info!("admin: {what}");
            text(StatusCode::OK, &what)
        }
        Err(refused) => text(StatusCode::NOT_FOUND, &refused.what(upstream, endpoint)),
    }
}

/// The parameters of an order or a look at the cache, each with a value.
fn read(pairs: Pairs) -> Result<Vec<(String, String)>, String> {
    let Ok(Query(pairs)) = pairs else { return Err(NO_QUERY.to_owned()) };
    match pairs.iter().find(|(_, value)| value.is_empty() || is_torn(value)) {
        Some((name, _)) => Err(format!("{name:?} is empty or has a control character")),
        None => Ok(pairs),
    }
}

/// A thread of its own has panicked; the panic has been reported where it happened.
fn broken() -> Response {
    text(StatusCode::INTERNAL_SERVER_ERROR, "this cannot be said at the moment; look at the log")
}

async fn nothing_here() -> Response {
    text(
        StatusCode::NOT_FOUND,
        "nothing is served here; there are /metrics, /health, /ready, /status, /explain, /surge, \
         /cache, /cache/list, /cache/top, and to post to: /reload, /cache/purge, /surge/on, /surge/off, /drain/{upstream}/{endpoint}, /undrain/{upstream}/{endpoint}",
    )
}

/// Lets an order through only when no web page can have sent it.
async fn guarded(request: Request, next: Next) -> Response {
    match guard::check(request.headers()) {
        Ok(()) => next.run(request).await,
        Err(forbidden) => {
            tracing::warn!("admin: {} refused: {}", request.uri().path(), forbidden.code());
            text(forbidden.status(), &format!("{} ({})", forbidden.what(), forbidden.code()))
        }
    }
}

fn text(status: StatusCode, what: &str) -> Response {
    answer(status, TEXT, format!("{what}\n"))
}

fn json<T: Serialize>(status: StatusCode, value: &T) -> Response {
    match serde_json::to_string(value) {
        Ok(body) => answer(status, JSON, body + "\n"),
        Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, &format!("cannot be said in json: {error}")),
    }
}

/// Nothing here is worth a cache's room, and no browser shall guess a type.
fn answer(status: StatusCode, content_type: &'static str, body: String) -> Response {
    let headers: [(HeaderName, HeaderValue); 3] = [
        (CONTENT_TYPE, HeaderValue::from_static(content_type)),
        (CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    ];
    (status, headers, body).into_response()
}
