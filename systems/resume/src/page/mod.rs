//! The pages that people look at, complete without a script. Those that are the same for everybody are rendered once,
//! when the process starts.

mod error;
mod form;
mod home;
mod layout;
mod mailbox;
mod work;

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse as _, Response};
use kit::page::{HTML, dress};
use kit::{Answer, Problem};

pub(crate) use error::error;
pub(crate) use form::again as contact_again;
pub(crate) use mailbox::{delete as delete_message, list as messages};

use crate::app::App;
use crate::person::PROJECTS;

/// Pages change with a new version only; a minute is a fair wait for it, and after that somebody else fetches.
const KEPT: &str = "public, max-age=60, stale-while-revalidate=300";

/// The pages that never change while the process runs.
#[derive(Debug)]
pub(crate) struct Pages {
    home: Answer,
    projects: Answer,
    /// One per project, in their order.
    project: Vec<Answer>,
    contact: String,
    thanks: String,
}

impl Pages {
    /// Renders all of them.
    pub(crate) fn render() -> Self {
        let kept = |html: String| Answer::new(HTML, KEPT, html);
        Self {
            home: kept(home::render()),
            projects: kept(work::list()),
            project: (0..PROJECTS.len()).map(|place| kept(work::one(place))).collect(),
            contact: form::empty(),
            thanks: form::thanks(),
        }
    }
}

/// `GET /`.
pub(crate) async fn home(State(app): State<Arc<App>>, asked: HeaderMap) -> Response {
    dress(app.pages.home.respond(&asked))
}

/// `GET /projects`.
pub(crate) async fn projects(State(app): State<Arc<App>>, asked: HeaderMap) -> Response {
    dress(app.pages.projects.respond(&asked))
}

/// `GET /projects/{slug}`.
pub(crate) async fn project(
    State(app): State<Arc<App>>,
    Path(slug): Path<String>,
    asked: HeaderMap,
) -> Response {
    match PROJECTS.iter().position(|project| project.slug == slug) {
        Some(place) => dress(app.pages.project[place].respond(&asked)),
        None => error(&Problem::no_such_path(&format!("/projects/{slug}"))),
    }
}

/// `GET /contact`.
pub(crate) async fn contact(State(app): State<Arc<App>>) -> Response {
    unkept(app.pages.contact.clone().into_response())
}

/// `GET /contact/thanks`.
pub(crate) async fn thanks(State(app): State<Arc<App>>) -> Response {
    unkept(app.pages.thanks.clone().into_response())
}

/// A page that nobody may keep, because it is about one person's doing.
fn unkept(mut response: Response) -> Response {
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    dress(response)
}

/// A page that tells of a problem, with the problem's status and headers.
fn telling(problem: &Problem, html: String) -> Response {
    let mut response = problem.clone().into_response();
    *response.body_mut() = html.into();
    dress(response)
}
