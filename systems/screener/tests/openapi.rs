//! The API's description is complete (every route is in it) and true (real answers have the shape it gives).

mod harness;

use std::collections::{BTreeMap, BTreeSet};

use harness::{Answer, Program, import, start};
use serde_json::{Value, json};

/// Every path and method that the screener serves, by hand: a route that is added without a thought for its
/// description, or the other way round, shows here.
const SERVED: [(&str, &[&str]); 16] = [
    ("/", &["get"]),
    ("/api/import", &["post"]),
    ("/api/screens", &["get", "post"]),
    ("/api/screens/{id}", &["delete", "get"]),
    ("/api/sectors", &["get"]),
    ("/api/stocks", &["get"]),
    ("/api/stocks.csv", &["get"]),
    ("/api/stocks/{symbol}", &["get"]),
    ("/health", &["get"]),
    ("/metrics", &["get"]),
    ("/openapi.json", &["get"]),
    ("/ready", &["get"]),
    ("/screens", &["post"]),
    ("/screens/{id}/delete", &["post"]),
    ("/static/{file}", &["get"]),
    ("/stocks/{symbol}", &["get"]),
];

/// What speaks against `value` having the shape of `schema`; empty when nothing does.
fn against(document: &Value, schema: &Value, value: &Value, at: &str) -> Vec<String> {
    if let Some(reference) = schema["$ref"].as_str() {
        let target = document.pointer(&reference[1..]).unwrap_or_else(|| panic!("{reference} leads nowhere"));
        return against(document, target, value, at);
    }
    let mut found = Vec::new();
    let kinds: Vec<&str> = match &schema["type"] {
        Value::String(kind) => vec![kind],
        Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).collect(),
        _ => return found,
    };
    if !kinds.iter().any(|kind| is_kind(kind, value)) {
        found.push(format!("{at} is {value}, not {kinds:?}"));
    }
    if let Some(choices) = schema["enum"].as_array()
        && !choices.contains(value)
    {
        found.push(format!("{at} is {value}, not one of {choices:?}"));
    }
    if let Some(members) = value.as_object() {
        for required in schema["required"].as_array().into_iter().flatten() {
            if !members.contains_key(required.as_str().unwrap()) {
                found.push(format!("{at} lacks {required}"));
            }
        }
        for (name, member) in members {
            let known = &schema["properties"][name];
            let other = &schema["additionalProperties"];
            let at = format!("{at}.{name}");
            match (known, other) {
                (Value::Null, Value::Bool(false)) => found.push(format!("{at} is not described")),
                (Value::Null, other) => found.extend(against(document, other, member, &at)),
                (known, _) => found.extend(against(document, known, member, &at)),
            }
        }
    }
    for (place, item) in value.as_array().into_iter().flatten().enumerate() {
        found.extend(against(document, &schema["items"], item, &format!("{at}[{place}]")));
    }
    found
}

fn is_kind(kind: &str, value: &Value) -> bool {
    match kind {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        other => panic!("the test does not know the type {other}"),
    }
}

/// Checks an answer's status, media type and body against the description of its operation.
fn check(document: &Value, method: &str, path: &str, answer: &Answer) {
    let operation = &document["paths"][path][method];
    let mut response = &operation["responses"][answer.status.to_string()];
    assert!(response.is_object(), "{method} {path} may not answer {}: {}", answer.status, answer.text());
    if let Some(reference) = response["$ref"].as_str() {
        response = document.pointer(&reference[1..]).unwrap();
    }
    let Some(content) = response["content"].as_object() else {
        assert!(answer.body.is_empty(), "{method} {path} {} has no body", answer.status);
        return;
    };
    let media = answer.header("content-type").unwrap().split(';').next().unwrap();
    let described = content.get(media).or_else(|| content.get("*/*"));
    let described = described.unwrap_or_else(|| panic!("{method} {path} gives {media}, not {content:?}"));
    if media.ends_with("json") {
        let wrong = against(document, &described["schema"], &answer.json(), path);
        assert!(wrong.is_empty(), "{method} {path} {}: {wrong:#?}", answer.status);
    }
}

#[test]
fn every_route_is_described_and_every_description_served() {
    let folder = tempfile::tempdir().unwrap();
    let screener = start(&folder.path().join("s.db"), &["--count", "20"]);
    let document = screener.json("/openapi.json");
    let described: BTreeMap<&str, BTreeSet<&str>> = document["paths"]
        .as_object()
        .unwrap()
        .iter()
        .map(|(path, operations)| {
            (path.as_str(), operations.as_object().unwrap().keys().map(String::as_str).collect())
        })
        .collect();
    let served = SERVED.into_iter().map(|(path, methods)| (path, methods.iter().copied().collect()));
    assert_eq!(described, served.collect());

    // What the router itself says of each path's methods.
    for (path, methods) in SERVED {
        let target = path.replace("{id}", "1").replace("{symbol}", "A").replace("{file}", "icon.svg");
        let refused = screener.ask("BREW", &target, &[], b"");
        assert_eq!(refused.status, 405, "{path}");
        let allowed: BTreeSet<String> =
            refused.header("allow").unwrap().split(',').map(str::to_lowercase).collect();
        let mut wanted: BTreeSet<String> = methods.iter().map(|method| (*method).to_owned()).collect();
        if wanted.contains("get") {
            wanted.insert("head".to_owned());
        }
        assert_eq!(allowed, wanted, "{path}");
    }
}

#[test]
fn operations_have_their_own_names_and_every_reference_leads_somewhere() {
    let folder = tempfile::tempdir().unwrap();
    let screener = start(&folder.path().join("s.db"), &["--count", "20"]);
    let document = screener.json("/openapi.json");
    let mut names = BTreeSet::new();
    for (path, operations) in document["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            assert!(names.insert(operation["operationId"].to_string()), "{method} {path} shares its name");
            let in_path: Vec<_> = path.split(['{', '}']).skip(1).step_by(2).collect();
            let parameters = operation["parameters"].as_array().unwrap().iter();
            let described: Vec<_> = parameters
                .filter(|one| one["in"] == "path")
                .map(|one| one["name"].as_str().unwrap())
                .collect();
            assert_eq!(described, in_path, "{method} {path}");
        }
    }
    let text = document.to_string();
    for reference in text.split("\"$ref\":\"#").skip(1) {
        let pointer = reference.split('"').next().unwrap();
        assert!(document.pointer(pointer).is_some(), "{pointer} leads nowhere");
    }
}

#[test]
fn every_described_parameter_of_a_filter_is_understood() {
    let folder = tempfile::tempdir().unwrap();
    let screener = start(&folder.path().join("s.db"), &["--count", "20"]);
    let document = screener.json("/openapi.json");
    let parameters = document["paths"]["/api/stocks"]["get"]["parameters"].as_array().unwrap().clone();
    assert_eq!(parameters.len(), 26);
    for parameter in parameters {
        let name = parameter["name"].as_str().unwrap();
        let values: Vec<String> = match parameter["schema"]["enum"].as_array() {
            Some(choices) => choices.iter().map(|choice| choice.as_str().unwrap().to_owned()).collect(),
            None => vec!["1".to_owned()],
        };
        for value in values {
            assert_eq!(screener.get(&format!("/api/stocks?{name}={value}")).status, 200, "{name}={value}");
        }
    }
}

#[test]
fn real_answers_have_the_shape_that_is_described() {
    let folder = tempfile::tempdir().unwrap();
    let screener = start(&folder.path().join("s.db"), &["--count", "300"]);
    let document = screener.json("/openapi.json");
    let get = |path: &str, target: &str| check(&document, "get", path, &screener.get(target));
    get("/api/stocks", "/api/stocks?per_page=200&sort=pe");
    get("/api/stocks", "/api/stocks?page=9");
    get("/api/stocks", "/api/stocks?pe_min=x&nosuch=1");
    get("/api/stocks.csv", "/api/stocks.csv?pe_max=10");
    get("/api/stocks.csv", "/api/stocks.csv?page=1");
    let symbol = screener.json("/api/stocks?per_page=1")["stocks"][0]["symbol"].as_str().unwrap().to_owned();
    get("/api/stocks/{symbol}", &format!("/api/stocks/{symbol}"));
    get("/api/stocks/{symbol}", "/api/stocks/NOSUCH");
    get("/api/sectors", "/api/sectors");
    get("/openapi.json", "/openapi.json");
    get("/health", "/health");
    get("/ready", "/ready");
    get("/metrics", "/metrics");
    get("/", "/");
    get("/", "/?pe_min=x");
    get("/stocks/{symbol}", &format!("/stocks/{symbol}"));
    get("/stocks/{symbol}", "/stocks/NOSUCH");
    get("/static/{file}", "/static/icon.svg");
    get("/static/{file}", "/static/none");
    let etag = screener.get("/api/stocks").header("etag").unwrap().to_owned();
    check(
        &document,
        "get",
        "/api/stocks",
        &screener.ask("GET", "/api/stocks", &[("if-none-match", &etag)], b""),
    );
    changes_have_the_shape_that_is_described(&screener, &document);
}

fn changes_have_the_shape_that_is_described(screener: &Program, document: &Value) {
    let save = |body: &Value| {
        let answer = screener.post_json("/api/screens", body);
        check(document, "post", "/api/screens", &answer);
        answer
    };
    let good = json!({ "name": "Cheap", "query": "pe_max=10" });
    let screen = save(&good).json();
    assert_eq!(save(&good).status, 409);
    assert_eq!(save(&json!({ "query": "x=1" })).status, 400);
    check(document, "post", "/api/screens", &screener.ask("POST", "/api/screens", &[], b"x"));
    check(document, "get", "/api/screens", &screener.get("/api/screens"));
    let target = format!("/api/screens/{}", screen["id"]);
    check(document, "get", "/api/screens/{id}", &screener.get(&target));
    for status in [204, 404] {
        let answer = screener.ask("DELETE", &target, &[], b"");
        assert_eq!(answer.status, status);
        check(document, "delete", "/api/screens/{id}", &answer);
    }
    for (body, status) in [(&b"name=One&query="[..], 303), (b"name=One&query=", 409), (b"name=&query=", 400)]
    {
        let answer = screener.ask("POST", "/screens", &[], body);
        assert_eq!(answer.status, status);
        check(document, "post", "/screens", &answer);
    }
    let id = screener.json("/api/screens")["screens"][0]["id"].clone();
    for status in [303, 404] {
        let answer = screener.ask("POST", &format!("/screens/{id}/delete"), &[], b"");
        assert_eq!(answer.status, status);
        check(document, "post", "/screens/{id}/delete", &answer);
    }
    let csv = screener.get("/api/stocks.csv").body;
    check(document, "post", "/api/import", &import(screener, "/api/import", &csv));
    check(document, "post", "/api/import", &import(screener, "/api/import", b"symbol,nme\nA,B\n"));
    check(document, "post", "/api/import", &screener.ask("POST", "/api/import", &[], &csv));
}
