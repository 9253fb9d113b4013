//! The page's style, script and icon: built into the program, kept by browsers for an hour.

use std::sync::LazyLock;

use axum::extract::Path;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use kit::{Answer, Problem};

const KEPT: &str = "public, max-age=3600";

static FILES: LazyLock<[(&str, Answer); 3]> = LazyLock::new(|| {
    [
        ("screener.css", "text/css; charset=utf-8", include_str!("../static/screener.css")),
        ("screener.js", "text/javascript; charset=utf-8", include_str!("../static/screener.js")),
        ("icon.svg", "image/svg+xml", include_str!("../static/icon.svg")),
    ]
    .map(|(name, content_type, content)| (name, Answer::new(content_type, KEPT, content)))
});

/// The URL of a file. It changes with the content, so that a new version is seen before the hour is over.
pub(crate) fn url(name: &str) -> String {
    let file = file(name).expect("pages name only files that exist");
    format!("/static/{name}?v={:016x}", kit::digest(file.body()))
}

/// `GET /static/{file}`.
pub(crate) async fn get(Path(name): Path<String>, asked: HeaderMap) -> Result<Response, Problem> {
    match file(&name) {
        Some(file) => Ok(file.respond(&asked)),
        None => Err(Problem::new(StatusCode::NOT_FOUND, "no-such-file", "there is no such file")),
    }
}

fn file(name: &str) -> Option<&'static Answer> {
    FILES.iter().find(|(known, _)| *known == name).map(|(_, answer)| answer)
}
