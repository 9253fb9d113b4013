//! Liveness and readiness: what `/health` and `/ready` say, and the flag that a stopping app raises first.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

/// How long one dependency may take to answer before it counts as down. Below a probe's usual timeout of 2 s, so
/// that the probe gets the answer that names the culprit.
const CHECK_TIMEOUT: Duration = Duration::from_secs(1);

type Outcome = Pin<Box<dyn Future<Output = Result<String, String>> + Send>>;
type Check = Arc<dyn Fn() -> Outcome + Send + Sync>;

/// The dependencies that an app needs to serve, each with a way to ask how it is.
#[derive(Default)]
pub struct Checks {
    stopping: AtomicBool,
    checks: Vec<(&'static str, Check)>,
}

/// The answer of `/ready`.
///
/// ```text
///   waiting ──(every check up)──> ready ──(SIGTERM)──> stopping
///      ^                            │
///      └────────(a check down)──────┘
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Every dependency answers: send requests.
    Ready,
    /// A dependency is down: send requests elsewhere.
    Waiting,
    /// The process was told to stop and finishes what it has: send requests elsewhere.
    Stopping,
}

/// What `/ready` answers with: 200 when ready, else 503.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// The sum of it.
    pub status: State,
    /// Each dependency by name.
    pub checks: BTreeMap<&'static str, Dependency>,
}

/// One dependency's state.
#[derive(Debug, Clone, Serialize)]
pub struct Dependency {
    status: &'static str,
    detail: String,
    took_ms: f64,
}

impl Checks {
    /// No dependencies: ready from the start.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a dependency. `check` answers with a detail for people when it is up, or with the reason why not;
    /// longer than one second counts as down.
    #[must_use]
    pub fn with<F, Fut>(mut self, name: &'static str, check: F) -> Self
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<String, String>> + Send + 'static,
    {
        self.checks.push((name, Arc::new(move || Box::pin(check()))));
        self
    }

    /// From now on `/ready` answers 503 and answers close their connections.
    pub fn stop(&self) {
        self.stopping.store(true, Ordering::Relaxed);
    }

    /// Whether [`stop`](Self::stop) was called.
    pub fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }

    /// Asks every dependency, all at once.
    pub async fn report(&self) -> Report {
        let mut running = tokio::task::JoinSet::new();
        for (name, check) in &self.checks {
            let (name, outcome) = (*name, check());
            running.spawn(async move { (name, ask(outcome).await) });
        }
        let checks: BTreeMap<_, _> = running.join_all().await.into_iter().collect();
        let status = if self.is_stopping() {
            State::Stopping
        } else if checks.values().all(|dependency| dependency.status == "up") {
            State::Ready
        } else {
            State::Waiting
        };
        Report { status, checks }
    }
}

impl std::fmt::Debug for Checks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<_> = self.checks.iter().map(|(name, _)| name).collect();
        f.debug_struct("Checks").field("stopping", &self.stopping).field("checks", &names).finish()
    }
}

async fn ask(outcome: Outcome) -> Dependency {
    let started = Instant::now();
    let answer = tokio::time::timeout(CHECK_TIMEOUT, outcome).await;
    let (status, detail) = match answer {
        Ok(Ok(detail)) => ("up", detail),
        Ok(Err(reason)) => ("down", reason),
        Err(_) => ("down", format!("no answer within {} ms", CHECK_TIMEOUT.as_millis())),
    };
    let took_ms = (started.elapsed().as_secs_f64() * 1e6).round() / 1e3;
    Dependency { status, detail, took_ms }
}

impl IntoResponse for Report {
    fn into_response(self) -> Response {
        let status =
            if self.status == State::Ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
        let mut response = (status, Json(self)).into_response();
        response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_dependency_down_names_itself_and_makes_the_app_unready() {
        let checks = Checks::new()
            .with("database", || async { Ok("5000 rows".to_owned()) })
            .with("queue", || async { Err("connect refused".to_owned()) });
        let report = checks.report().await;
        assert_eq!(report.status, State::Waiting);
        assert_eq!(report.checks["database"].status, "up");
        assert_eq!(report.checks["queue"].detail, "connect refused");
        assert_eq!(report.into_response().status(), 503);
    }

    #[tokio::test(start_paused = true)]
    async fn a_dependency_that_never_answers_is_down_after_a_second() {
        let checks = Checks::new().with("database", std::future::pending);
        let report = checks.report().await;
        assert_eq!(report.status, State::Waiting);
        assert_eq!(report.checks["database"].detail, "no answer within 1000 ms");
    }

    #[tokio::test]
    async fn stopping_wins_over_dependencies_that_are_up() {
        let checks = Checks::new().with("database", || async { Ok(String::new()) });
        assert_eq!(checks.report().await.status, State::Ready);
        checks.stop();
        assert_eq!(checks.report().await.status, State::Stopping);
    }
}
