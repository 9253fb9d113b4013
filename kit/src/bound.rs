//! A bound on what an app works on at once.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use tokio::sync::Semaphore;

use crate::Problem;

/// Lets at most `max` requests be in flight in the routes of `router`, each from its head until its answer is made.
/// Past it clients get a 503 and may come back after a second: work that cannot be done soon is better refused than
/// piled up. Bound the router before [`watch`](crate::watch), so that probes and scrapes pass under full load.
pub fn at_most(router: Router, max: u32) -> Router {
    let places = Arc::new(Semaphore::new(max as usize));
    router.layer(axum::middleware::from_fn_with_state(places, admit))
}

async fn admit(State(places): State<Arc<Semaphore>>, request: Request, next: Next) -> Response {
    let Ok(_place) = places.try_acquire() else {
        return Problem::unavailable("full", "as many requests as may be are in flight", 1).into_response();
    };
    next.run(request).await
}
