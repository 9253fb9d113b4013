//! Bodies of requests, read whole and checked.

use axum::body::Bytes;
use axum::extract::{FromRequest as _, Request};
use axum::http::{HeaderMap, StatusCode, header};
use serde_json::Value;

use crate::{FieldError, Problem};

/// The whole body; 413 past the limit that the route sets, 400 when the client stops midway.
pub async fn read_body(request: Request) -> Result<Bytes, Problem> {
    Bytes::from_request(request, &()).await.map_err(|rejection| {
        let code = match rejection.status() {
            StatusCode::PAYLOAD_TOO_LARGE => "body-too-large",
            _ => "body-broken",
        };
        Problem::new(rejection.status(), code, rejection.body_text().to_lowercase())
    })
}

/// What `check` makes of a request's body: a JSON object that has exactly the members `names`, all of them strings,
/// given in that order.
///
/// # Errors
///
/// 415 when the body is not called JSON. 400 when it is not such an object, or when `check` finds a value wrong;
/// every member that is unknown, missing, no string or wrong is named.
pub async fn json_texts<const N: usize, T>(
    request: Request,
    names: [&'static str; N],
    check: impl FnOnce([String; N]) -> Result<T, Vec<FieldError>>,
) -> Result<T, Problem> {
    if !is_called_json(request.headers()) {
        let detail = "the body has to be application/json";
        return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "not-json", detail));
    }
    checked_texts(&read_body(request).await?, names, check)
}

fn is_called_json(headers: &HeaderMap) -> bool {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let essence = content_type.and_then(|value| value.split(';').next()).map(str::trim);
    essence.is_some_and(|essence| essence.eq_ignore_ascii_case("application/json"))
}

fn checked_texts<const N: usize, T>(
    body: &[u8],
    names: [&'static str; N],
    check: impl FnOnce([String; N]) -> Result<T, Vec<FieldError>>,
) -> Result<T, Problem> {
    let value = serde_json::from_slice(body).map_err(|error| {
        Problem::new(StatusCode::BAD_REQUEST, "not-json", format!("the body is not JSON: {error}"))
    })?;
    let Value::Object(mut members) = value else {
        let detail = format!("the body is not a JSON object with {}", names.join(", "));
        return Err(Problem::new(StatusCode::BAD_REQUEST, "not-an-object", detail));
    };
    let help = format!("the members are {}", names.join(", "));
    let unknown = members.keys().filter(|name| !names.contains(&name.as_str()));
    let mut errors: Vec<_> =
        unknown.map(|name| FieldError::new(name, "unknown member").help(&help)).collect();
    let texts = names.map(|name| match members.remove(name) {
        Some(Value::String(text)) => text,
        other => {
            let what = if other.is_some() { "not a string" } else { "missing" };
            errors.push(FieldError::new(name, what));
            String::new()
        }
    });
    match check(texts) {
        Ok(checked) if errors.is_empty() => Ok(checked),
        found => {
            // A member that is not there was checked as an empty text; it is named once.
            let absent: Vec<String> = errors.iter().map(|error| error.field.clone()).collect();
            errors.extend(found.err().into_iter().flatten().filter(|error| !absent.contains(&error.field)));
            Err(Problem::invalid(errors))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_member_that_is_wrong_is_named_once() {
        let read = |body: &str| {
            checked_texts(body.as_bytes(), ["name", "text", "by"], |texts| {
                let wrong = ["name", "text", "by"].iter().zip(&texts).filter(|(_, text)| text.len() != 1);
                let errors: Vec<_> =
                    wrong.map(|(name, _)| FieldError::new(*name, "not one letter")).collect();
                if errors.is_empty() { Ok(texts) } else { Err(errors) }
            })
        };
        assert_eq!(read(r#"{"text":"b","by":"c","name":"a"}"#).unwrap(), ["a", "b", "c"]);
        let problem = read(r#"{"name":1,"nmae":"a","by":"long"}"#).unwrap_err();
        let named: Vec<_> = problem.errors().iter().map(|error| error.field.as_str()).collect();
        assert_eq!(named, ["nmae", "name", "text", "by"]);
        assert_eq!(read("[]").unwrap_err().detail(), "the body is not a JSON object with name, text, by");
        assert!(read("{").unwrap_err().detail().starts_with("the body is not JSON: "));
    }
}
