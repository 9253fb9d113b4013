//! The JSON API. Lists come from the kept answers; what changes data goes to the database.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, RawQuery, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use kit::input::{json_texts, read_body};
use kit::{FieldError, Problem};
use serde::Serialize;

use crate::answers::{Freshness, Question};
use crate::app::App;
use crate::csv;
use crate::filter::Filter;
use crate::stock::{Stock, is_symbol};
use crate::store::{Facet, Found, Mode, NAME_MAX_BYTES, Screen};

/// The largest body of a request that saves a screen.
pub(crate) const SCREEN_BODY_MAX_BYTES: usize = 16 << 10;

type Answered = Result<Response, Problem>;

/// `GET /api/stocks`: one page of the stocks that match.
pub(crate) async fn stocks(
    State(app): State<Arc<App>>,
    RawQuery(query): RawQuery,
    asked: HeaderMap,
) -> Answered {
    let filter = Filter::parse(&query.unwrap_or_default()).strict().map_err(Problem::invalid)?;
    let making = async {
        let found = app.store.find(&filter, false).await?;
        Ok::<_, Problem>(Freshness::Shared.answer(JSON, list(&filter, &found)))
    };
    Ok(app.answers.get_or_make(Question::Stocks, filter.to_query(), making).await?.respond(&asked))
}

/// `GET /api/stocks/{symbol}`: one stock with its price history.
pub(crate) async fn stock(
    State(app): State<Arc<App>>,
    Path(symbol): Path<String>,
    asked: HeaderMap,
) -> Answered {
    let symbol = known_form(&symbol)?;
    let making = async {
        let listing = app.store.stock(&symbol).await?.ok_or_else(|| no_such_stock(&symbol))?;
        Ok::<_, Problem>(Freshness::Shared.answer(JSON, json(&listing)))
    };
    Ok(app.answers.get_or_make(Question::Stock, symbol.clone(), making).await?.respond(&asked))
}

/// `GET /api/stocks.csv`: every stock that matches, in the form that an import reads.
pub(crate) async fn stocks_csv(State(app): State<Arc<App>>, RawQuery(query): RawQuery) -> Answered {
    let query = query.unwrap_or_default();
    let mut parsed = Filter::parse(&query);
    for (name, _) in form_urlencoded::parse(query.as_bytes()) {
        if name == "page" || name == "per_page" {
            let error = FieldError::new(name, "does not apply: the file holds every stock that matches");
            parsed.errors.push(error.help("leave it out"));
        }
    }
    let filter = parsed.strict().map_err(Problem::invalid)?;
    let listings = app.store.find_all(&filter).await?;
    let is_synthetic = listings.iter().any(|listing| listing.stock.synthetic);
    let name = if is_synthetic { "synthetic-stocks.csv" } else { "stocks.csv" };
    let headers = [
        (header::CONTENT_TYPE, "text/csv; charset=utf-8".to_owned()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"{name}\"")),
        (header::CACHE_CONTROL, "no-store".to_owned()),
    ];
    Ok((headers, csv::write(&listings)).into_response())
}

/// `GET /api/sectors`: sectors and industries with their numbers of stocks.
pub(crate) async fn sectors(State(app): State<Arc<App>>, asked: HeaderMap) -> Answered {
    let making = async {
        let facets = app.store.facets().await?;
        Ok::<_, Problem>(Freshness::Shared.answer(JSON, json(&Universe::of(&facets))))
    };
    Ok(app.answers.get_or_make(Question::Sectors, String::new(), making).await?.respond(&asked))
}

/// `GET /api/screens`: every saved screen.
pub(crate) async fn screens(State(app): State<Arc<App>>) -> Answered {
    let screens = app.store.screens().await?;
    Ok(unkept(StatusCode::OK, &serde_json::json!({ "screens": shown_all(&screens) })))
}

/// `GET /api/screens/{id}`: one saved screen.
pub(crate) async fn screen(State(app): State<Arc<App>>, Path(id): Path<String>) -> Answered {
    let id = screen_id(&id)?;
    let screen = app.store.screen(id).await?.ok_or_else(no_such_screen)?;
    Ok(unkept(StatusCode::OK, &ShownScreen::of(&screen)))
}

/// `POST /api/screens`: saves a screen.
pub(crate) async fn save_screen(State(app): State<Arc<App>>, request: Request) -> Answered {
    let checked = json_texts(request, ["name", "query"], |[name, query]| checked_screen(&name, &query));
    let (name, filter) = checked.await?;
    let screen = app.store.save_screen(&name, &filter.to_query()).await?;
    app.refresh().await?;
    let mut response = unkept(StatusCode::CREATED, &ShownScreen::of(&screen));
    let location = HeaderValue::try_from(format!("/api/screens/{}", screen.id)).expect("an id is a value");
    response.headers_mut().insert(header::LOCATION, location);
    Ok(response)
}

/// `DELETE /api/screens/{id}`: forgets a saved screen.
pub(crate) async fn delete_screen(State(app): State<Arc<App>>, Path(id): Path<String>) -> Answered {
    if !app.store.delete_screen(screen_id(&id)?).await? {
        return Err(no_such_screen());
    }
    app.refresh().await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// `POST /api/import`: replaces the universe by a CSV file's, or merges the file into it.
pub(crate) async fn import(
    State(app): State<Arc<App>>,
    RawQuery(query): RawQuery,
    request: Request,
) -> Answered {
    authorise(app.import_token.as_deref(), request.headers())?;
    let mode = import_mode(&query.unwrap_or_default())?;
    let body = read_body(request).await?;
    // Checking 32 MB takes a good part of a second, which no other request should wait for.
    let listings = tokio::task::spawn_blocking(move || csv::read(&body)).await;
    let listings = listings.expect("reading a file does not panic").map_err(Problem::invalid)?;
    let imported = app.store.import(&listings, mode).await?;
    app.refresh().await?;
    tracing::info!(imported = imported.imported, total = imported.total, ?mode, "imported over HTTP");
    Ok(unkept(StatusCode::OK, &imported))
}

/// A screen's name and filter from what a client wrote; every mistake named.
pub(crate) fn checked_screen(name: &str, query: &str) -> Result<(String, Filter), Vec<FieldError>> {
    let mut errors = Vec::new();
    let name = name.trim();
    if name.is_empty() {
        errors.push(FieldError::new("name", "missing").help("give the screen a name"));
    } else if name.len() > NAME_MAX_BYTES {
        errors.push(FieldError::new("name", format!("{} bytes, of at most {NAME_MAX_BYTES}", name.len())));
    } else if name.chars().any(char::is_control) {
        errors.push(FieldError::new("name", "holds a control character"));
    }
    let parsed = Filter::parse(query.strip_prefix('?').unwrap_or(query));
    errors.extend(
        parsed
            .errors
            .into_iter()
            .map(|error| FieldError { field: format!("query.{}", error.field), ..error }),
    );
    if errors.is_empty() { Ok((name.to_owned(), parsed.filter.first_page())) } else { Err(errors) }
}

/// The symbol in its one spelling, or a 404 for what can be none.
pub(crate) fn known_form(symbol: &str) -> Result<String, Problem> {
    let upper = symbol.to_ascii_uppercase();
    if is_symbol(&upper) { Ok(upper) } else { Err(no_such_stock(symbol)) }
}

/// 404 for a symbol that names no stock.
pub(crate) fn no_such_stock(symbol: &str) -> Problem {
    let shown: String = symbol.chars().take(20).collect();
    Problem::new(StatusCode::NOT_FOUND, "no-such-stock", format!("no stock has the symbol {shown:?}"))
}

/// 404 for an id that no saved screen has.
pub(crate) fn no_such_screen() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "no-such-screen", "no saved screen has this id")
}

/// A screen's id from its path; what is no number names no screen.
pub(crate) fn screen_id(id: &str) -> Result<i64, Problem> {
    id.parse().map_err(|_| no_such_screen())
}

const JSON: &str = "application/json";

fn json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("our own types have string keys and finite numbers")
}

/// An answer that nobody should keep.
fn unkept(status: StatusCode, value: &impl Serialize) -> Response {
    let headers = [(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"))];
    (status, headers, Json(value)).into_response()
}

/// A page of stocks as it is sent.
#[derive(Serialize)]
struct List<'a> {
    total: i64,
    page: u32,
    per_page: u32,
    pages: i64,
    sort: String,
    next: Option<String>,
    stocks: Vec<&'a Stock>,
}

fn list(filter: &Filter, found: &Found) -> Vec<u8> {
    let page = filter.page;
    let pages = found.total.div_euclid(page.size.into()) + i64::from(found.total % i64::from(page.size) > 0);
    let has_next = i64::from(page.number) < pages;
    json(&List {
        total: found.total,
        page: page.number,
        per_page: page.size,
        pages,
        sort: filter.sort.to_string(),
        next: has_next.then(|| format!("/api/stocks?{}", filter.at_page(page.number + 1).to_query())),
        stocks: found.listings.iter().map(|listing| &listing.stock).collect(),
    })
}

/// The universe by sector and industry as it is sent.
#[derive(Serialize)]
struct Universe<'a> {
    total: i64,
    synthetic: i64,
    sectors: Vec<SectorCount<'a>>,
}

#[derive(Serialize)]
struct SectorCount<'a> {
    name: &'a str,
    count: i64,
    industries: Vec<IndustryCount<'a>>,
}

#[derive(Serialize)]
struct IndustryCount<'a> {
    name: &'a str,
    count: i64,
}

impl<'a> Universe<'a> {
    fn of(facets: &'a [Facet]) -> Self {
        let sectors = facets.chunk_by(|a, b| a.sector == b.sector).map(|industries| SectorCount {
            name: &industries[0].sector,
            count: industries.iter().map(|facet| facet.count).sum(),
            industries: industries
                .iter()
                .map(|facet| IndustryCount { name: &facet.industry, count: facet.count })
                .collect(),
        });
        Self {
            total: facets.iter().map(|facet| facet.count).sum(),
            synthetic: facets.iter().map(|facet| facet.synthetic).sum(),
            sectors: sectors.collect(),
        }
    }
}

/// A saved screen as it is sent, with the addresses that it opens.
#[derive(Serialize)]
struct ShownScreen<'a> {
    #[serde(flatten)]
    screen: &'a Screen,
    page: String,
    stocks: String,
}

impl<'a> ShownScreen<'a> {
    fn of(screen: &'a Screen) -> Self {
        let query = &screen.query;
        Self { screen, page: format!("/?{query}"), stocks: format!("/api/stocks?{query}") }
    }
}

fn shown_all(screens: &[Screen]) -> Vec<ShownScreen<'_>> {
    screens.iter().map(ShownScreen::of).collect()
}

fn import_mode(query: &str) -> Result<Mode, Problem> {
    let mut mode = Mode::Replace;
    let mut errors = Vec::new();
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        match (&*name, &*value) {
            ("mode", "replace") => mode = Mode::Replace,
            ("mode", "merge") => mode = Mode::Merge,
            ("mode", other) => {
                errors.push(FieldError::new("mode", format!("neither replace nor merge: {other:?}")));
            }
            (other, _) => {
                errors.push(FieldError::new(other, "unknown parameter").help("the one known is mode"));
            }
        }
    }
    if errors.is_empty() { Ok(mode) } else { Err(Problem::invalid(errors)) }
}

/// Importing replaces everything, so it is refused unless whoever runs the app has set a token and the client
/// has it.
fn authorise(token: Option<&str>, headers: &HeaderMap) -> Result<(), Problem> {
    let Some(token) = token.filter(|token| !token.is_empty()) else {
        let detail = "importing over HTTP is off; start the screener with SCREENER_IMPORT_TOKEN to allow it";
        return Err(Problem::new(StatusCode::FORBIDDEN, "import-off", detail));
    };
    let given = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let given = given.and_then(|value| value.strip_prefix("Bearer ")).unwrap_or_default();
    if kit::is_same_secret(given.as_bytes(), token.as_bytes()) {
        return Ok(());
    }
    let detail = "importing needs the header authorization: Bearer TOKEN with the screener's import token";
    Err(Problem::new(StatusCode::UNAUTHORIZED, "wrong-token", detail))
}
