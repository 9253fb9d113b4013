//! The endpoints about the cache: look at it, take things out.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::get;
use tokio::task::spawn_blocking;

use super::{Desk, Pairs, Shared, broken, json, read, text};
use crate::stored::{CacheStatus, PurgeOrder, PurgeWhat, Purged};

/// Entries in a list, unless it is said, and at most.
const LISTED: Bounds = Bounds { usual: 100, most: 10_000 };

/// The same of those that were hit most.
const TOP: Bounds = Bounds { usual: 20, most: 1_000 };

struct Bounds {
    usual: usize,
    most: usize,
}

/// Paths to look at.
pub(super) fn router() -> Router<Arc<Desk>> {
    Router::new().route("/cache", get(usage)).route("/cache/list", get(list)).route("/cache/top", get(top))
}

async fn usage(State(desk): Shared) -> Response {
    json(StatusCode::OK, &CacheStatus::from(desk.control.cache()))
}

async fn list(State(desk): Shared, pairs: Pairs) -> Response {
    let (prefix, limit) = match asked(pairs, &LISTED, true) {
        Ok(asked) => asked,
        Err(what) => return text(StatusCode::BAD_REQUEST, &what),
    };
    match spawn_blocking(move || desk.control.stored(prefix.as_deref(), limit)).await {
        Ok(Ok(entries)) => json(StatusCode::OK, &entries),
        Ok(Err(what)) => text(StatusCode::BAD_REQUEST, &what),
        Err(_) => broken(),
    }
}

async fn top(State(desk): Shared, pairs: Pairs) -> Response {
    let limit = match asked(pairs, &TOP, false) {
        Ok((_, limit)) => limit,
        Err(what) => return text(StatusCode::BAD_REQUEST, &what),
    };
    match spawn_blocking(move || desk.control.top(limit)).await {
        Ok(entries) => json(StatusCode::OK, &entries),
        Err(_) => broken(),
    }
}

pub(super) async fn purge(State(desk): Shared, pairs: Pairs) -> Response {
    let order = match order(pairs) {
        Ok(order) => order,
        Err(what) => return text(StatusCode::BAD_REQUEST, &what),
    };
    let soft = order.soft;
    let done = spawn_blocking(move || (desk.control.purge(&order), order.what.what())).await;
    match done {
        Ok((Ok(purged), what)) => {
            let purged = Purged { purged, soft };
            tracing::info!("admin: cache: {what}: {}", purged.what());
            json(StatusCode::OK, &purged)
        }
        Ok((Err(what), _)) => text(StatusCode::BAD_REQUEST, &what),
        Err(_) => broken(),
    }
}

/// Prefix and number of the entries that are asked for.
fn asked(pairs: Pairs, bounds: &Bounds, has_prefix: bool) -> Result<(Option<String>, usize), String> {
    let known = if has_prefix { "prefix and limit" } else { "limit" };
    let (mut prefix, mut limit) = (None, bounds.usual);
    for (name, value) in read(pairs)? {
        match name.as_str() {
            "prefix" if has_prefix => prefix = Some(value),
            "limit" => match value.parse() {
                Ok(number) if (1..=bounds.most).contains(&number) => limit = number,
                _ => return Err(format!("limit is a number from 1 to {}", bounds.most)),
            },
            _ => return Err(format!("parameter {name:?} is not known; there are {known}")),
        }
    }
    Ok((prefix, limit))
}

fn order(pairs: Pairs) -> Result<PurgeOrder, String> {
    const WHICH: &str = "what is to be purged? add one of url=, prefix=, tag= and all=true";
    let (mut what, mut soft) = (None, false);
    for (name, value) in read(pairs)? {
        let one = match (name.as_str(), value.as_str()) {
            ("url", _) => PurgeWhat::Url(value),
            ("prefix", _) => PurgeWhat::Prefix(value),
            ("tag", _) => PurgeWhat::Tag(value),
            ("all", "true") => PurgeWhat::All,
            ("soft", "true" | "false") => {
                soft = value == "true";
                continue;
            }
            ("all" | "soft", _) => return Err(format!("{name} is true, or left out")),
            _ => {
                return Err(format!(
                    "parameter {name:?} is not known; there are url, prefix, tag, all and soft"
                ));
            }
        };
        if what.replace(one).is_some() {
            return Err(WHICH.to_owned());
        }
    }
    what.map(|what| PurgeOrder { what, soft }).ok_or_else(|| WHICH.to_owned())
}
