//! The page for what went wrong.

use axum::response::Response;
use kit::Problem;
use kit::page::{escaped, sentence};

use super::layout::{Place, page};
use super::telling;

/// The page for a problem.
pub(crate) fn error(problem: &Problem) -> Response {
    let status = problem.status();
    let title = status.canonical_reason().unwrap_or("Error");
    let main = format!(
        "<section class=\"narrow notice\"><p class=\"eyebrow\">{}</p><h1>{title}</h1><p class=\"lede\">{}</p>\
         <p><a class=\"button\" href=\"/\">To the beginning</a></p></section>",
        status.as_u16(),
        escaped(&sentence(problem.detail())),
    );
    telling(problem, page(title, problem.detail(), Place::Elsewhere, &main))
}
