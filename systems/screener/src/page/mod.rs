//! The pages that people look at, rendered here and complete without a script. The script in `static/` only saves
//! them page loads.

mod chart;
mod form;
mod layout;
mod listing;
mod show;
mod table;

use std::sync::Arc;

use axum::extract::{Path, RawQuery, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use kit::Problem;
use kit::page::{HTML, dress, same_origin};

use crate::answers::{Freshness, Question};
use crate::api;
use crate::app::App;
use crate::filter::{Filter, Parsed};

/// `GET /`: the table.
pub(crate) async fn table(
    State(app): State<Arc<App>>,
    RawQuery(query): RawQuery,
    asked: HeaderMap,
) -> Response {
    let parsed = Filter::parse(&query.unwrap_or_default());
    answer_table(&app, parsed, &asked).await.unwrap_or_else(|problem| error(&problem))
}

async fn answer_table(app: &App, parsed: Parsed, asked: &HeaderMap) -> Result<Response, Problem> {
    app.refresh().await?;
    if !parsed.errors.is_empty() {
        let html = render_table(app, &parsed).await?;
        return Ok(dress(
            (StatusCode::BAD_REQUEST, [(header::CACHE_CONTROL, "no-store")], html).into_response(),
        ));
    }
    let subject = parsed.filter.to_query();
    let making = async {
        let html = render_table(app, &parsed).await?;
        Ok::<_, Problem>(Freshness::Asked.answer(HTML, html))
    };
    Ok(dress(app.answers.get_or_make(Question::TablePage, subject, making).await?.respond(asked)))
}

async fn render_table(app: &App, parsed: &Parsed) -> Result<String, Problem> {
    let found = app.store.find(&parsed.filter, true).await?;
    let facets = app.store.facets().await?;
    let screens = app.store.screens().await?;
    Ok(table::render(&parsed.filter, &parsed.errors, &found, &facets, &screens))
}

/// `GET /stocks/{symbol}`: one stock.
pub(crate) async fn stock(
    State(app): State<Arc<App>>,
    Path(symbol): Path<String>,
    asked: HeaderMap,
) -> Response {
    answer_stock(&app, &symbol, &asked).await.unwrap_or_else(|problem| error(&problem))
}

async fn answer_stock(app: &App, symbol: &str, asked: &HeaderMap) -> Result<Response, Problem> {
    let symbol = api::known_form(symbol)?;
    app.refresh().await?;
    let making = async {
        let listing = app.store.stock(&symbol).await?.ok_or_else(|| api::no_such_stock(&symbol))?;
        Ok::<_, Problem>(Freshness::Asked.answer(HTML, listing::render(&listing)))
    };
    Ok(dress(app.answers.get_or_make(Question::StockPage, symbol.clone(), making).await?.respond(asked)))
}

/// `POST /screens`: the form that saves a screen.
pub(crate) async fn save_screen(State(app): State<Arc<App>>, request: Request) -> Response {
    match saved(&app, request).await {
        Ok(query) => see(&format!("/?{query}")),
        Err(problem) => error(&problem),
    }
}

async fn saved(app: &App, request: Request) -> Result<String, Problem> {
    same_origin(request.headers())?;
    let body = kit::input::read_body(request).await?;
    let (mut name, mut query) = (String::new(), String::new());
    for (field, value) in form_urlencoded::parse(&body) {
        match &*field {
            "name" => name = value.into_owned(),
            "query" => query = value.into_owned(),
            _ => {}
        }
    }
    let (name, filter) = api::checked_screen(&name, &query).map_err(Problem::invalid)?;
    Ok(app.store.save_screen(&name, &filter.to_query()).await?.query)
}

/// `POST /screens/{id}/delete`: the button that forgets one.
pub(crate) async fn delete_screen(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    asked: HeaderMap,
) -> Response {
    let deleted = async {
        same_origin(&asked)?;
        if app.store.delete_screen(api::screen_id(&id)?).await? { Ok(()) } else { Err(api::no_such_screen()) }
    };
    match deleted.await {
        Ok(()) => see(&came_from(&asked)),
        Err(problem) => error(&problem),
    }
}

/// A page that says what went wrong.
pub(crate) fn error(problem: &Problem) -> Response {
    let mut response =
        (problem.status(), [(header::CACHE_CONTROL, "no-store")], layout::error(problem)).into_response();
    if problem.status() == StatusCode::SERVICE_UNAVAILABLE {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    }
    dress(response)
}

fn see(place: &str) -> Response {
    let place = HeaderValue::try_from(place).unwrap_or(HeaderValue::from_static("/"));
    let headers = [(header::LOCATION, place), (header::CACHE_CONTROL, HeaderValue::from_static("no-store"))];
    (StatusCode::SEE_OTHER, headers).into_response()
}

/// Where on this site the client was, or the table. Only path and query are taken: the rest would let another site
/// choose where our answer leads.
fn came_from(asked: &HeaderMap) -> String {
    let referer = asked.get(header::REFERER).and_then(|referer| referer.to_str().ok()).unwrap_or_default();
    let uri: axum::http::Uri = referer.parse().unwrap_or_default();
    match uri.path_and_query() {
        Some(place) if place.path() == "/" => place.to_string(),
        _ => "/".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderName;

    use super::*;

    fn headers(name: &'static str, value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(HeaderName::from_static(name), HeaderValue::from_static(value))])
    }

    #[test]
    fn a_deleted_screen_leads_back_to_the_table_of_this_site_only() {
        let back = |referer| came_from(&headers("referer", referer));
        assert_eq!(back("http://here:8080/?sector=Energy"), "/?sector=Energy");
        assert_eq!(back("https://elsewhere.example/trap"), "/");
        assert_eq!(back("not a url"), "/");
    }
}
