//! The parts that `/openapi.json` is made of (OpenAPI 3.1). Parameters and schemas come from the tables that the
//! code itself reads, so a new field appears by itself.

use kit::openapi::{list_of, object};
use serde_json::{Map, Value, json};

use crate::filter::{LIST_MAX, PAGE_MAX, PER_PAGE_DEFAULT, PER_PAGE_MAX, SortBy, TEXT_MAX_BYTES};
use crate::stock::FIELDS;
use crate::store::NAME_MAX_BYTES;

/// The parameters of a filter; `paged` adds the page.
pub(crate) fn filter_parameters(paged: bool) -> Vec<Value> {
    let text = json!({ "type": "string", "maxLength": TEXT_MAX_BYTES });
    let list = json!({ "type": "array", "maxItems": LIST_MAX, "items": text });
    let orders: Vec<String> =
        SortBy::all().flat_map(|by| [by.name().to_owned(), format!("-{}", by.name())]).collect();
    let mut parameters = vec![
        query("q", "part of a name, or the beginning of a symbol", &text),
        query("sector", "any of these sectors; repeat the parameter for each", &list),
        query("industry", "any of these industries; repeat the parameter for each", &list),
        query(
            "sort",
            "order; a minus sorts downwards; stocks without the number come last",
            &json!({ "type": "string", "enum": orders, "default": "-market_cap" }),
        ),
    ];
    if paged {
        let whole = |max: u32, standard: u32| json!({ "type": "integer", "minimum": 1, "maximum": max, "default": standard });
        parameters.push(query("page", "which page, from 1", &whole(PAGE_MAX, 1)));
        parameters.push(query("per_page", "stocks on a page", &whole(PER_PAGE_MAX, PER_PAGE_DEFAULT)));
    }
    let number = json!({
        "type": "string",
        "pattern": "^[-+]?[0-9]*\\.?[0-9]+([eE][-+]?[0-9]+)?[KkMmBbTt]?%?$",
        "examples": ["12.5", "10B"]
    });
    for about in &FIELDS {
        parameters.push(query(
            &format!("{}_min", about.name),
            &format!("at least; {}", about.meaning),
            &number,
        ));
        parameters.push(query(
            &format!("{}_max", about.name),
            &format!("at most; {}", about.meaning),
            &number,
        ));
    }
    parameters
}

/// The whole description.
pub(crate) fn document(paths: &Map<String, Value>) -> Value {
    let info = json!({
        "title": "Screener",
        "version": env!("CARGO_PKG_VERSION"),
        "description": "Filter and sort a universe of stocks. Companies marked synthetic do not exist."
    });
    let schemes = json!({ "importToken": { "type": "http", "scheme": "bearer" } });
    kit::openapi::document(&info, paths, &schemes, schemas())
}

fn query(name: &str, meaning: &str, schema: &Value) -> Value {
    json!({ "name": name, "in": "query", "description": meaning, "schema": schema })
}

fn stock_members() -> Value {
    let mut members = json!({
        "symbol": { "type": "string", "description": "ticker symbol" },
        "name": { "type": "string" },
        "sector": { "type": "string" },
        "industry": { "type": "string" },
        "synthetic": { "type": "boolean", "description": "whether the company was made up" }
    });
    for about in &FIELDS {
        let number = if about.unit.is_whole() { "integer" } else { "number" };
        let kind = if about.optional { json!([number, "null"]) } else { json!(number) };
        members[about.name] = json!({ "type": kind, "description": about.meaning });
    }
    members
}

fn schemas() -> Value {
    let integer = json!({ "type": "integer" });
    let string = json!({ "type": "string" });
    let mut listing = stock_members();
    listing["closes"] = json!({
        "type": "array", "items": { "type": "number" },
        "description": "weekly closing prices in dollars, oldest first; empty when unknown"
    });
    let name = json!({ "type": "string", "minLength": 1, "maxLength": NAME_MAX_BYTES });
    json!({
        "Stock": object(&stock_members(), &[]),
        "Listing": object(&listing, &[]),
        "StockList": object(&json!({
            "total": { "type": "integer", "description": "stocks that match, on all pages" },
            "page": integer, "per_page": integer, "pages": integer,
            "sort": string,
            "next": { "type": ["string", "null"], "description": "where the next page is" },
            "stocks": list_of("Stock")
        }), &[]),
        "Sectors": object(&json!({
            "total": integer,
            "synthetic": { "type": "integer", "description": "how many of them were made up" },
            "sectors": list_of("Sector")
        }), &[]),
        "Sector": object(&json!({ "name": string, "count": integer, "industries": list_of("Industry") }), &[]),
        "Industry": object(&json!({ "name": string, "count": integer }), &[]),
        "NewScreen": object(&json!({
            "name": name,
            "query": { "type": "string", "description": "parameters as in the address of the table page" }
        }), &[]),
        "Screen": object(&json!({
            "id": integer, "name": name,
            "query": { "type": "string", "description": "the filter's one query string" },
            "created_at": { "type": "string", "format": "date-time" },
            "page": { "type": "string", "description": "where its table page is" },
            "stocks": { "type": "string", "description": "where its stocks are" }
        }), &[]),
        "ScreenList": object(&json!({ "screens": list_of("Screen") }), &[]),
        "Imported": object(&json!({
            "imported": { "type": "integer", "description": "stocks that the file held" },
            "total": { "type": "integer", "description": "stocks in the universe afterwards" }
        }), &[])
    })
}
