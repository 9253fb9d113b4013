//! What happens to a message that somebody sends, by the form or by the API, until it is stored.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Json;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use kit::Problem;
use kit::input::{json_texts, read_body};
use kit::page::same_origin;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

use crate::app::App;
use crate::message::Message;
use crate::page;
use crate::store::Receipt;

/// The largest body of a request that sends a message: every field at its longest, escaped, fits.
pub(crate) const BODY_MAX_BYTES: usize = 64 << 10;
/// A field of the form that people do not see and programs that fill in everything do.
pub(crate) const TRAP: &str = "website";
/// Where a person is led once the message is stored.
pub(crate) const THANKS: &str = "/contact/thanks";

/// What became of messages.
#[derive(Debug, Default)]
pub(crate) struct Outcomes(Family<OutcomeLabels, Counter>);

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabels {
    outcome: &'static str,
}

impl Outcomes {
    pub(crate) fn register(&self, registry: &mut Registry) {
        registry.register(
            "resume_messages",
            "Messages that somebody sent, by what became of them; paced and failed ones are lost to the owner \
             unless their writers come back",
            self.0.clone(),
        );
    }

    fn count(&self, outcome: &'static str) {
        self.0.get_or_create(&OutcomeLabels { outcome }).inc();
    }
}

/// `POST /api/contact`.
pub(crate) async fn send(State(app): State<Arc<App>>, request: Request) -> Result<Response, Problem> {
    same_origin(request.headers())?;
    let checked = json_texts(request, ["name", "email", "message"], Message::check).await;
    let message = checked.inspect_err(|_| app.outcomes.count("refused"))?;
    let receipt = store(&app, &message).await?;
    Ok((StatusCode::CREATED, [(header::CACHE_CONTROL, "no-store")], Json(receipt)).into_response())
}

/// What the form holds, as it was sent.
#[derive(Debug, Default)]
pub(crate) struct Form {
    pub(crate) name: String,
    pub(crate) email: String,
    pub(crate) message: String,
    trap: String,
}

/// `POST /contact`: the form. What is wrong brings the form back as it was filled in.
pub(crate) async fn submit(State(app): State<Arc<App>>, request: Request) -> Response {
    let mut form = Form::default();
    match submitted(&app, request, &mut form).await {
        Ok(()) => see(THANKS),
        Err(problem) => page::contact_again(&form, &problem),
    }
}

async fn submitted(app: &App, request: Request, form: &mut Form) -> Result<(), Problem> {
    same_origin(request.headers())?;
    *form = Form::read(&read_body(request).await?);
    if !form.trap.is_empty() {
        // The program is told what it wants to hear, so that it does not try something else.
        app.outcomes.count("trapped");
        return Ok(());
    }
    let checked = Message::check([form.name.clone(), form.email.clone(), form.message.clone()]);
    let message = checked.map_err(Problem::invalid).inspect_err(|_| app.outcomes.count("refused"))?;
    store(app, &message).await.map(drop)
}

async fn store(app: &App, message: &Message) -> Result<Receipt, Problem> {
    app.pace.take(Instant::now()).map_err(|wait| {
        app.outcomes.count("paced");
        too_many(wait)
    })?;
    let stored = app.store.add(message).await;
    app.outcomes.count(if stored.is_ok() { "stored" } else { "failed" });
    Ok(stored?)
}

fn too_many(wait: Duration) -> Problem {
    let detail = "more messages than usual arrive at the moment; try again later";
    let wait_s = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
    Problem::new(StatusCode::TOO_MANY_REQUESTS, "too-many-messages", detail).retry_after_s(wait_s)
}

/// 303: whoever sent a form sees another page, which can be loaded again without sending anything twice.
pub(crate) fn see(place: &'static str) -> Response {
    let mut headers = HeaderMap::new();
    headers.insert(header::LOCATION, HeaderValue::from_static(place));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    (StatusCode::SEE_OTHER, headers).into_response()
}

impl Form {
    fn read(body: &[u8]) -> Self {
        let mut form = Self::default();
        for (field, value) in form_urlencoded::parse(body) {
            match &*field {
                "name" => form.name = value.into_owned(),
                "email" => form.email = value.into_owned(),
                "message" => form.message = value.into_owned(),
                TRAP => form.trap = value.into_owned(),
                _ => {}
            }
        }
        form
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_is_read_whatever_else_it_holds() {
        let form = Form::read(b"message=a%0D%0Ab+c&name=%C3%84nn&colour=red&email=a%40b&website=");
        assert_eq!((&*form.name, &*form.email, &*form.message), ("Änn", "a@b", "a\r\nb c"));
        assert!(form.trap.is_empty());
    }

    #[test]
    fn a_wait_is_told_in_whole_seconds_and_never_too_short() {
        let answer = |wait| too_many(wait).into_response().headers()["retry-after"].clone();
        assert_eq!(answer(Duration::from_millis(1)), "1");
        assert_eq!(answer(Duration::from_mins(1)), "60");
    }
}
