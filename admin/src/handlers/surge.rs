//! The endpoints about surges: which there are, one on, none on.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use tokio::task::spawn_blocking;

use super::{Desk, Pairs, Shared, broken, json, read, text, wants_text};
use crate::control::SurgeOrder;
use crate::status::SurgeStatus;
use crate::table;

/// Longest time that can be asked for: a year.
const LONGEST_S: u64 = 366 * 24 * 3600;

pub(super) async fn status(State(desk): Shared, headers: HeaderMap) -> Response {
    let surges = SurgeStatus::read(&*desk.control);
    if wants_text(&headers) {
        return text(StatusCode::OK, table::surges(&surges).trim_end());
    }
    json(StatusCode::OK, &surges)
}

pub(super) async fn on(State(desk): Shared, pairs: Pairs) -> Response {
    match order(pairs) {
        Ok(order) => give(desk, order).await,
        Err(what) => text(StatusCode::BAD_REQUEST, &what),
    }
}

pub(super) async fn off(State(desk): Shared) -> Response {
    give(desk, SurgeOrder::Off).await
}

/// A switch builds as much as a reload does.
async fn give(desk: Arc<Desk>, order: SurgeOrder) -> Response {
    match spawn_blocking(move || desk.control.surge(&order)).await {
        Ok(Ok(what)) => {
            tracing::info!("admin: {what}");
            text(StatusCode::OK, &what)
        }
        Ok(Err(what)) => text(StatusCode::BAD_REQUEST, &what),
        Err(_) => broken(),
    }
}

fn order(pairs: Pairs) -> Result<SurgeOrder, String> {
    let (mut profile, mut lasts) = (None, None);
    for (name, value) in read(pairs)? {
        match name.as_str() {
            "profile" => profile = Some(value),
            "for_s" => {
                let seconds = value.parse().ok().filter(|seconds| (1..=LONGEST_S).contains(seconds));
                let what = || format!("for_s {value:?} is no number of seconds from 1 to {LONGEST_S}");
                lasts = Some(Duration::from_secs(seconds.ok_or_else(what)?));
            }
            _ => return Err(format!("parameter {name:?} is not known; there are profile and for_s")),
        }
    }
    Ok(SurgeOrder::On { profile, lasts })
}
