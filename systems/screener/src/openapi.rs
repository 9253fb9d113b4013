//! The parts that `/openapi.json` is made of (OpenAPI 3.1). Parameters and schemas come from the tables that the
//! code itself reads, so a new field appears by itself.

use serde_json::{Map, Value, json};

use crate::filter::{LIST_MAX, PAGE_MAX, PER_PAGE_DEFAULT, PER_PAGE_MAX, SortBy, TEXT_MAX_BYTES};
use crate::stock::FIELDS;
use crate::store::NAME_MAX_BYTES;

/// What an answer's body is.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Body {
    /// There is none.
    None,
    /// JSON that matches a schema of [`document`].
    Schema(&'static str),
    /// JSON of any shape.
    AnyJson,
    /// Text of this media type.
    Text(&'static str),
}

/// One operation of one path.
pub(crate) struct Operation(Value);

impl Operation {
    pub(crate) fn new(summary: &str, tag: &str, id: &str) -> Self {
        Self(
            json!({ "summary": summary, "operationId": id, "tags": [tag], "parameters": [], "responses": {} }),
        )
    }

    pub(crate) fn parameters(mut self, parameters: Vec<Value>) -> Self {
        self.0["parameters"] = Value::Array(parameters);
        self
    }

    pub(crate) fn path(self, name: &str, kind: &str, meaning: &str) -> Self {
        let schema = json!({ "type": kind });
        self.parameters(vec![
            json!({ "name": name, "in": "path", "required": true, "description": meaning, "schema": schema }),
        ])
    }

    pub(crate) fn takes(mut self, media: &str, schema: &str) -> Self {
        self.0["requestBody"] =
            json!({ "required": true, "content": { media: { "schema": reference(schema) } } });
        self
    }

    pub(crate) fn takes_text(mut self, media: &str) -> Self {
        self.0["requestBody"] =
            json!({ "required": true, "content": { media: { "schema": { "type": "string" } } } });
        self
    }

    pub(crate) fn needs_token(mut self) -> Self {
        self.0["security"] = json!([{ "importToken": [] }]);
        self
    }

    pub(crate) fn ok(self, body: Body) -> Self {
        self.answers(200, "as asked", body)
    }

    pub(crate) fn answers(mut self, status: u16, meaning: &str, body: Body) -> Self {
        let mut response = json!({ "description": meaning });
        match body {
            Body::None => {}
            Body::Schema(name) => {
                response["content"] = json!({ "application/json": { "schema": reference(name) } });
            }
            Body::AnyJson => response["content"] = json!({ "application/json": { "schema": {} } }),
            Body::Text(media) => response["content"] = json!({ media: { "schema": { "type": "string" } } }),
        }
        self.0["responses"][status.to_string()] = response;
        self
    }

    /// The answer has an ETag, and a client that has it already gets a 304.
    pub(crate) fn kept(mut self) -> Self {
        let etag = json!({ "description": "digest of the body", "schema": { "type": "string" } });
        self.0["responses"]["200"]["headers"] = json!({ "ETag": etag });
        self.answers(304, "the client has it already (If-None-Match)", Body::None)
    }

    /// Refusals as problems, beside the 503 that every operation may give.
    pub(crate) fn refuses(mut self, statuses: &[u16]) -> Self {
        for status in statuses {
            self.0["responses"][status.to_string()] = json!({ "$ref": "#/components/responses/Problem" });
        }
        self
    }

    pub(crate) fn into_json(mut self) -> Value {
        self.0["responses"]["503"] = json!({ "$ref": "#/components/responses/Problem" });
        self.0
    }
}

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

/// The paths that [`kit::watch`] serves.
pub(crate) fn add_watched(paths: &mut Map<String, Value>) {
    let live =
        Operation::new("Liveness: the process answers", "operations", "health").ok(Body::Text("text/plain"));
    paths.insert("/health".to_owned(), json!({ "get": live.into_json() }));
    let ready = Operation::new("Readiness: each dependency's state", "operations", "ready");
    let ready = ready.ok(Body::Schema("Readiness"));
    let mut ready = ready.into_json();
    ready["responses"]["503"] = ready["responses"]["200"].clone();
    ready["responses"]["503"]["description"] = json!("not ready, or stopping");
    paths.insert("/ready".to_owned(), json!({ "get": ready }));
    let metrics = Operation::new("Metrics for Prometheus", "operations", "metrics");
    let metrics = metrics.ok(Body::Text("application/openmetrics-text"));
    paths.insert("/metrics".to_owned(), json!({ "get": metrics.into_json() }));
}

/// The whole description.
pub(crate) fn document(paths: &Map<String, Value>) -> Value {
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Screener",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Filter and sort a universe of stocks. Companies marked synthetic do not exist."
        },
        "servers": [{ "url": "/" }],
        "paths": paths,
        "components": {
            "securitySchemes": { "importToken": { "type": "http", "scheme": "bearer" } },
            "responses": {
                "Problem": {
                    "description": "why not, after RFC 9457",
                    "content": { "application/problem+json": { "schema": reference("Problem") } }
                }
            },
            "schemas": schemas()
        }
    })
}

fn query(name: &str, meaning: &str, schema: &Value) -> Value {
    json!({ "name": name, "in": "query", "description": meaning, "schema": schema })
}

fn reference(schema: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{schema}") })
}

/// An object with exactly these members; those in `optional` may be left out.
fn object(members: &Value, optional: &[&str]) -> Value {
    let required: Vec<String> = members
        .as_object()
        .map(|members| members.keys().filter(|name| !optional.contains(&name.as_str())).cloned().collect())
        .unwrap_or_default();
    json!({ "type": "object", "properties": members, "required": required, "additionalProperties": false })
}

fn list_of(schema: &str) -> Value {
    json!({ "type": "array", "items": reference(schema) })
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
        }), &[]),
        "Readiness": object(&json!({
            "status": { "type": "string", "enum": ["ready", "waiting", "stopping"] },
            "checks": { "type": "object", "additionalProperties": reference("Dependency") }
        }), &[]),
        "Dependency": object(&json!({
            "status": { "type": "string", "enum": ["up", "down"] },
            "detail": string,
            "took_ms": { "type": "number" }
        }), &[]),
        "Problem": object(&json!({
            "type": string, "title": string, "status": integer,
            "code": { "type": "string", "description": "stable, to branch on" },
            "detail": string,
            "errors": list_of("FieldError")
        }), &["errors"]),
        "FieldError": object(&json!({
            "field": string,
            "line": { "type": "integer", "description": "line of the file, from 1" },
            "message": string,
            "help": string
        }), &["line", "help"])
    })
}
