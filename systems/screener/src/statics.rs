//! The page's style, script and icon: built into the program, kept by browsers for an hour.

use std::sync::LazyLock;

use axum::extract::Path;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use kit::Problem;

use crate::answers::{etag, is_known};

const FILES: [(&str, &str, &str); 3] = [
    ("screener.css", "text/css; charset=utf-8", include_str!("../static/screener.css")),
    ("screener.js", "text/javascript; charset=utf-8", include_str!("../static/screener.js")),
    ("icon.svg", "image/svg+xml", include_str!("../static/icon.svg")),
];

static ETAGS: LazyLock<[HeaderValue; FILES.len()]> =
    LazyLock::new(|| FILES.map(|(_, _, content)| etag(content.as_bytes())));

/// The URL of a file. It changes with the content, so that a new version is seen before the hour is over.
pub(crate) fn url(name: &str) -> String {
    let place = place(name).expect("pages name only files that exist");
    format!("/static/{name}?v={}", ETAGS[place].to_str().unwrap_or_default().trim_matches('"'))
}

/// `GET /static/{file}`.
pub(crate) async fn get(Path(name): Path<String>, asked: HeaderMap) -> Result<Response, Problem> {
    let Some(place) = place(&name) else {
        return Err(Problem::new(StatusCode::NOT_FOUND, "no-such-file", "there is no such file"));
    };
    let (_, content_type, content) = FILES[place];
    let kept = [(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=3600"))];
    let tag = [(header::ETAG, ETAGS[place].clone())];
    if is_known(&asked, &ETAGS[place]) {
        return Ok((StatusCode::NOT_MODIFIED, kept, tag).into_response());
    }
    Ok((kept, tag, [(header::CONTENT_TYPE, content_type)], content).into_response())
}

fn place(name: &str) -> Option<usize> {
    FILES.iter().position(|(file, ..)| *file == name)
}
