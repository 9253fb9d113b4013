//! What `/openapi.json` says of the parts that speak JSON. Bounds come from the code that keeps them.

use kit::openapi::{Body, Operation, object};
use serde_json::{Map, Value, json};

use crate::message::{EMAIL_MAX, NAME_MAX, TEXT_MAX, TEXT_MIN};

/// The whole description.
pub(crate) fn document() -> Value {
    let mut paths = Map::new();
    kit::openapi::add_watched(&mut paths);
    let send = Operation::new("Send a message to the owner", "contact", "sendMessage")
        .takes("application/json", "NewMessage")
        .answers(201, "stored", Body::Schema("Receipt"))
        .refuses(&[400, 403, 413, 415, 429]);
    paths.insert("/api/contact".to_owned(), json!({ "post": send.into_json() }));
    let own = Operation::new("This description", "operations", "describe").ok(Body::AnyJson).kept();
    paths.insert("/openapi.json".to_owned(), json!({ "get": own.into_json() }));

    let info = json!({
        "title": "A personal site",
        "version": env!("CARGO_PKG_VERSION"),
        "description": "The parts that speak JSON. The person whom the site is about is synthetic."
    });
    let text = |min: usize, max: usize| json!({ "type": "string", "minLength": min, "maxLength": max });
    let schemas = json!({
        "NewMessage": object(&json!({
            "name": text(1, NAME_MAX),
            "email": { "type": "string", "format": "email", "maxLength": EMAIL_MAX },
            "message": text(TEXT_MIN, TEXT_MAX)
        }), &[]),
        "Receipt": object(&json!({
            "id": { "type": "integer" },
            "received_at": { "type": "string", "format": "date-time" }
        }), &[])
    });
    kit::openapi::document(&info, &paths, &json!({}), schemas)
}
