//! Every route with its handler and its description, side by side: what is served and what `/openapi.json` says
//! cannot drift apart.

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::{HeaderMap, Uri, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{MethodRouter, delete, get, post};
use kit::Problem;
use kit::openapi::{Body, Operation};
use kit::page::wants_page;
use serde_json::{Map, Value, json};

use crate::app::App;
use crate::{api, csv, openapi, page, statics};

/// The router, and the `paths` of the API's description.
pub(crate) struct Routes {
    pub(crate) router: Router<Arc<App>>,
    paths: Map<String, Value>,
}

/// Every route.
pub(crate) fn all() -> Routes {
    let mut routes = Routes { router: Router::new(), paths: Map::new() };
    add_stocks(&mut routes);
    add_screens(&mut routes);
    add_pages(&mut routes);
    kit::openapi::add_watched(&mut routes.paths);
    let own = Operation::new("This description", "operations", "describe").ok(Body::AnyJson);
    routes.describe("get", "/openapi.json", own);
    let document = openapi::document(&routes.paths);
    let document = axum::body::Bytes::from(serde_json::to_vec_pretty(&document).expect("a value prints"));
    let kept = [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "public, max-age=3600")];
    routes.router = routes
        .router
        .route("/openapi.json", get(move || async move { (kept, document) }))
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed);
    routes
}

fn add_stocks(routes: &mut Routes) {
    let list = Operation::new("Stocks that match, one page of them", "stocks", "listStocks");
    let list = list
        .parameters(openapi::filter_parameters(true))
        .ok(Body::Schema("StockList"))
        .kept()
        .refuses(&[400]);
    routes.add("get", "/api/stocks", get(api::stocks), list);

    let export = Operation::new(
        "Every stock that matches, as a CSV file that imports again",
        "stocks",
        "exportStocks",
    );
    let export =
        export.parameters(openapi::filter_parameters(false)).ok(Body::Text("text/csv")).refuses(&[400]);
    routes.add("get", "/api/stocks.csv", get(api::stocks_csv), export);

    let one = Operation::new("One stock with its weekly closing prices", "stocks", "getStock");
    let one = one
        .path("symbol", "string", "ticker symbol, any case")
        .ok(Body::Schema("Listing"))
        .kept()
        .refuses(&[404]);
    routes.add("get", "/api/stocks/{symbol}", get(api::stock), one);

    let sectors =
        Operation::new("Sectors and industries with their numbers of stocks", "stocks", "listSectors");
    routes.add("get", "/api/sectors", get(api::sectors), sectors.ok(Body::Schema("Sectors")).kept());

    let import = Operation::new(
        "Import a CSV file: all of it, or nothing when a row is wrong",
        "stocks",
        "importStocks",
    );
    let import = import
        .parameters(vec![json!({
            "name": "mode", "in": "query",
            "description": "replace the universe, or merge the file into it",
            "schema": { "type": "string", "enum": ["replace", "merge"], "default": "replace" }
        })])
        .takes_text("text/csv")
        .needs("importToken")
        .ok(Body::Schema("Imported"))
        .refuses(&[400, 401, 403, 409, 413]);
    routes.add(
        "post",
        "/api/import",
        post(api::import).layer(DefaultBodyLimit::max(csv::FILE_MAX_BYTES)),
        import,
    );
}

fn add_screens(routes: &mut Routes) {
    let screens = Operation::new("Every saved screen, by name", "screens", "listScreens");
    routes.add("get", "/api/screens", get(api::screens), screens.ok(Body::Schema("ScreenList")));

    let save =
        Operation::new("Save a screen", "screens", "saveScreen").takes("application/json", "NewScreen");
    let save = save.answers(201, "saved", Body::Schema("Screen")).refuses(&[400, 409, 413, 415]);
    routes.add(
        "post",
        "/api/screens",
        post(api::save_screen).layer(DefaultBodyLimit::max(api::SCREEN_BODY_MAX_BYTES)),
        save,
    );

    let id = "a saved screen's id";
    let screen = Operation::new("One saved screen", "screens", "getScreen").path("id", "integer", id);
    let screen = screen.ok(Body::Schema("Screen")).refuses(&[404]);
    routes.add("get", "/api/screens/{id}", get(api::screen), screen);

    let forget = Operation::new("Delete a saved screen", "screens", "deleteScreen").path("id", "integer", id);
    let forget = forget.answers(204, "deleted", Body::None).refuses(&[404]);
    routes.add("delete", "/api/screens/{id}", delete(api::delete_screen), forget);
}

fn add_pages(routes: &mut Routes) {
    let table = Operation::new("The table page", "pages", "tablePage");
    let table = table.parameters(openapi::filter_parameters(true)).ok(Body::Text("text/html")).kept();
    let table = table.answers(400, "the page with what is wrong in the filter", Body::Text("text/html"));
    routes.add("get", "/", get(page::table), table);

    let stock = Operation::new("One stock's page", "pages", "stockPage");
    let stock = stock.path("symbol", "string", "ticker symbol, any case").ok(Body::Text("text/html")).kept();
    let stock = stock.answers(404, "no such stock", Body::Text("text/html"));
    routes.add("get", "/stocks/{symbol}", get(page::stock), stock);

    let form = "application/x-www-form-urlencoded";
    let refused = |operation: Operation, statuses: &[u16]| {
        statuses.iter().fold(operation, |operation, status| {
            operation.answers(*status, "a page that says what is wrong", Body::Text("text/html"))
        })
    };
    let save = Operation::new("Save a screen from the page's form", "pages", "saveScreenForm");
    let save = save.takes(form, "NewScreen").answers(303, "saved; shows the screen", Body::None);
    routes.add(
        "post",
        "/screens",
        post(page::save_screen).layer(DefaultBodyLimit::max(api::SCREEN_BODY_MAX_BYTES)),
        refused(save, &[400, 403, 409, 413]),
    );

    let forget = Operation::new("Delete a screen from the page's form", "pages", "deleteScreenForm");
    let forget = forget.path("id", "integer", "a saved screen's id").answers(303, "deleted", Body::None);
    routes.add("post", "/screens/{id}/delete", post(page::delete_screen), refused(forget, &[403, 404]));

    let file = Operation::new("The page's style, script or icon", "pages", "staticFile");
    let file = file.path("file", "string", "file name").ok(Body::Text("*/*")).kept().refuses(&[404]);
    routes.add("get", "/static/{file}", get(statics::get), file);
}

impl Routes {
    fn add(&mut self, method: &str, path: &str, handler: MethodRouter<Arc<App>>, operation: Operation) {
        self.router = std::mem::take(&mut self.router).route(path, handler);
        self.describe(method, path, operation);
    }

    fn describe(&mut self, method: &str, path: &str, operation: Operation) {
        let operations = self.paths.entry(path).or_insert_with(|| json!({}));
        operations[method] = operation.into_json();
    }
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
