//! The parts that an app's `/openapi.json` is made of (OpenAPI 3.1), and the descriptions of what every app has.

use serde_json::{Map, Value, json};

/// What an answer's body is.
#[derive(Debug, Clone, Copy)]
pub enum Body {
    /// There is none.
    None,
    /// JSON that matches a schema of the document.
    Schema(&'static str),
    /// JSON of any shape.
    AnyJson,
    /// Text of this media type.
    Text(&'static str),
}

/// One operation of one path.
#[derive(Debug)]
pub struct Operation(Value);

impl Operation {
    /// What it does, the group it belongs to, its own name.
    pub fn new(summary: &str, tag: &str, id: &str) -> Self {
        Self(
            json!({ "summary": summary, "operationId": id, "tags": [tag], "parameters": [], "responses": {} }),
        )
    }

    /// Sets its parameters.
    #[must_use]
    pub fn parameters(mut self, parameters: Vec<Value>) -> Self {
        self.0["parameters"] = Value::Array(parameters);
        self
    }

    /// Sets its one parameter: a part of the path, of a JSON type.
    #[must_use]
    pub fn path(self, name: &str, kind: &str, meaning: &str) -> Self {
        let schema = json!({ "type": kind });
        self.parameters(vec![
            json!({ "name": name, "in": "path", "required": true, "description": meaning, "schema": schema }),
        ])
    }

    /// Takes a body of this media type that matches a schema of the document.
    #[must_use]
    pub fn takes(mut self, media: &str, schema: &str) -> Self {
        self.0["requestBody"] =
            json!({ "required": true, "content": { media: { "schema": reference(schema) } } });
        self
    }

    /// Takes a body of text.
    #[must_use]
    pub fn takes_text(mut self, media: &str) -> Self {
        self.0["requestBody"] =
            json!({ "required": true, "content": { media: { "schema": { "type": "string" } } } });
        self
    }

    /// Needs what this security scheme of the document asks for.
    #[must_use]
    pub fn needs(mut self, scheme: &str) -> Self {
        self.0["security"] = json!([{ scheme: [] }]);
        self
    }

    /// Answers 200.
    #[must_use]
    pub fn ok(self, body: Body) -> Self {
        self.answers(200, "as asked", body)
    }

    /// Answers so in this case.
    #[must_use]
    pub fn answers(mut self, status: u16, meaning: &str, body: Body) -> Self {
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
    #[must_use]
    pub fn kept(mut self) -> Self {
        let etag = json!({ "description": "digest of the body", "schema": { "type": "string" } });
        self.0["responses"]["200"]["headers"] = json!({ "ETag": etag });
        self.answers(304, "the client has it already (If-None-Match)", Body::None)
    }

    /// Refusals as problems, beside the 503 that every operation may give.
    #[must_use]
    pub fn refuses(mut self, statuses: &[u16]) -> Self {
        for status in statuses {
            self.0["responses"][status.to_string()] = json!({ "$ref": "#/components/responses/Problem" });
        }
        self
    }

    /// As it stands in the document.
    pub fn into_json(mut self) -> Value {
        let responses = &mut self.0["responses"];
        if responses["503"].is_null() {
            responses["503"] = json!({ "$ref": "#/components/responses/Problem" });
        }
        self.0
    }
}

/// Adds the paths that [`watch`](crate::watch()) serves.
pub fn add_watched(paths: &mut Map<String, Value>) {
    let live =
        Operation::new("Liveness: the process answers", "operations", "health").ok(Body::Text("text/plain"));
    let ready = Operation::new("Readiness: each dependency's state", "operations", "ready");
    let ready = ready.ok(Body::Schema("Readiness"));
    let ready = ready.answers(503, "not ready, or stopping", Body::Schema("Readiness"));
    let metrics = Operation::new("Metrics for Prometheus", "operations", "metrics");
    let metrics = metrics.ok(Body::Text("application/openmetrics-text"));
    for (path, operation) in [("/health", live), ("/ready", ready), ("/metrics", metrics)] {
        paths.insert(path.to_owned(), json!({ "get": operation.into_json() }));
    }
}

/// A whole document. `info` has title, version and description; the schemas that every app has are added to
/// `schemas`.
pub fn document(
    info: &Value,
    paths: &Map<String, Value>,
    security_schemes: &Value,
    mut schemas: Value,
) -> Value {
    if let (Value::Object(own), Value::Object(shared)) = (&mut schemas, shared_schemas()) {
        own.extend(shared);
    }
    json!({
        "openapi": "3.1.0",
        "info": info,
        "servers": [{ "url": "/" }],
        "paths": paths,
        "components": {
            "securitySchemes": security_schemes,
            "responses": {
                "Problem": {
                    "description": "why not, after RFC 9457",
                    "content": { "application/problem+json": { "schema": reference("Problem") } }
                }
            },
            "schemas": schemas
        }
    })
}

/// A reference to a schema of the document.
pub fn reference(schema: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{schema}") })
}

/// An object with exactly these members; those in `optional` may be left out.
pub fn object(members: &Value, optional: &[&str]) -> Value {
    let required: Vec<String> = members
        .as_object()
        .map(|members| members.keys().filter(|name| !optional.contains(&name.as_str())).cloned().collect())
        .unwrap_or_default();
    json!({ "type": "object", "properties": members, "required": required, "additionalProperties": false })
}

/// A list of what matches a schema of the document.
pub fn list_of(schema: &str) -> Value {
    json!({ "type": "array", "items": reference(schema) })
}

fn shared_schemas() -> Value {
    let integer = json!({ "type": "integer" });
    let string = json!({ "type": "string" });
    json!({
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operation_may_be_refused_for_load_and_readiness_says_more() {
        let mut paths = Map::new();
        add_watched(&mut paths);
        let answer = |path: &str| &paths[path]["get"]["responses"]["503"];
        assert_eq!(answer("/health")["$ref"], "#/components/responses/Problem");
        assert_eq!(answer("/ready")["description"], "not ready, or stopping");
        let document = document(&json!({}), &paths, &json!({}), json!({ "Own": object(&json!({}), &[]) }));
        assert!(document.pointer("/components/schemas/Own").is_some());
        assert!(document.pointer("/components/schemas/Problem").is_some());
    }
}
