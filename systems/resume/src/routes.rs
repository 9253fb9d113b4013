//! Every route with its handler.

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::{HeaderMap, Uri};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use kit::page::wants_page;
use kit::{Answer, Problem};

use crate::app::App;
use crate::{assets, contact, openapi, page};

/// Every route.
pub(crate) fn all() -> Router<Arc<App>> {
    let described = serde_json::to_vec_pretty(&openapi::document()).expect("a value prints");
    let described = Answer::new("application/json", "public, max-age=3600", described);
    Router::new()
        .route("/", get(page::home))
        .route("/projects", get(page::projects))
        .route("/projects/{slug}", get(page::project))
        .route("/contact", get(page::contact).post(contact::submit))
        .route(contact::THANKS, get(page::thanks))
        .route("/messages", get(page::messages))
        .route("/messages/{id}/delete", post(page::delete_message))
        .route("/api/contact", post(contact::send))
        .route("/assets/{file}", get(assets::get))
        .route("/openapi.json", get(move |asked: HeaderMap| async move { described.respond(&asked) }))
        .layer(DefaultBodyLimit::max(contact::BODY_MAX_BYTES))
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
}

async fn not_found(uri: Uri, asked: HeaderMap) -> Response {
    refuse(Problem::no_such_path(uri.path()), &asked)
}

async fn method_not_allowed(asked: HeaderMap) -> Response {
    refuse(Problem::method_not_allowed(), &asked)
}

/// A page for browsers, a problem for programs.
fn refuse(problem: Problem, asked: &HeaderMap) -> Response {
    if wants_page(asked) { page::error(&problem) } else { problem.into_response() }
}
