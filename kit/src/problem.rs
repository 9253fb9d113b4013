//! Errors as a client reads them: `application/problem+json` after RFC 9457, with every field that is wrong named.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

/// One thing that is wrong in the input, and how to mend it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FieldError {
    /// The parameter, JSON member or CSV column at fault, as the client wrote it.
    pub field: String,
    /// The line of an uploaded file, counted from 1 (the header is line 1).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<u64>,
    /// What is wrong, lower case, without a full stop.
    pub message: String,
    /// How to mend it, when that can be said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
}

impl FieldError {
    /// An error about `field` that speaks for itself.
    pub fn new(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self { field: field.into(), line: None, message: message.into(), help: None }
    }

    /// Adds how to mend it.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Adds the line of the file, counted from 1.
    #[must_use]
    pub fn at_line(mut self, line: u64) -> Self {
        self.line = Some(line);
        self
    }
}

/// An error answer: a status, a stable code to branch on, and words for a person.
///
/// The body has the members of RFC 9457 section 3.1 (`type` is always `about:blank`, so `title` is the status's
/// own phrase) and two extensions: `code`, and `errors` with one entry per wrong field.
#[derive(Debug, Clone, Serialize)]
pub struct Problem {
    #[serde(rename = "type")]
    kind: &'static str,
    title: &'static str,
    status: u16,
    code: &'static str,
    detail: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<FieldError>,
    #[serde(skip)]
    retry_after_s: Option<u64>,
}

impl Problem {
    /// A problem with a status, a stable `code` (kebab-case) and a sentence that says what and why.
    pub fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self {
            kind: "about:blank",
            title: status.canonical_reason().unwrap_or("error"),
            status: status.as_u16(),
            code,
            detail: detail.into(),
            errors: Vec::new(),
            retry_after_s: None,
        }
    }

    /// 400: the input is wrong in these fields.
    pub fn invalid(errors: Vec<FieldError>) -> Self {
        let detail = match errors.as_slice() {
            [one] => format!("{}: {}", one.field, one.message),
            many => format!("{} fields are wrong, each listed in errors", many.len()),
        };
        Self { errors, ..Self::new(StatusCode::BAD_REQUEST, "invalid-input", detail) }
    }

    /// 404: no route matches this path.
    pub fn no_such_path(path: &str) -> Self {
        let shown: String = path.chars().take(100).collect();
        Self::new(StatusCode::NOT_FOUND, "no-such-path", format!("nothing is at {shown}"))
    }

    /// 405: a route matches the path, but not with this method. axum adds the header `Allow`.
    pub fn method_not_allowed() -> Self {
        let detail = "this path takes other methods; the header allow lists them";
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", detail)
    }

    /// 503 with `Retry-After`: the app cannot answer now, and the client may come back.
    pub fn unavailable(code: &'static str, detail: impl Into<String>, retry_after_s: u64) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, code, detail).retry_after_s(retry_after_s)
    }

    /// Adds a `Retry-After`: the client may come back after so many seconds.
    #[must_use]
    pub fn retry_after_s(mut self, seconds: u64) -> Self {
        self.retry_after_s = Some(seconds);
        self
    }

    /// The status that the answer carries.
    pub fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.status).expect("it was made from a status")
    }

    /// The sentence that says what and why.
    pub fn detail(&self) -> &str {
        &self.detail
    }

    /// The fields that are wrong; empty when the problem is not about input.
    pub fn errors(&self) -> &[FieldError] {
        &self.errors
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let retry_after_s = self.retry_after_s;
        let mut response = (self.status(), Json(self)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(seconds) = retry_after_s {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_has_the_members_of_the_rfc_and_names_each_field() {
        let problem = Problem::invalid(vec![
            FieldError::new("pe_min", "not a number: \"abc\""),
            FieldError::new("pe", "missing").at_line(3).help("add a value"),
        ]);
        let body = serde_json::to_value(&problem).unwrap();
        assert_eq!(body["type"], "about:blank");
        assert_eq!(body["title"], "Bad Request");
        assert_eq!(body["status"], 400);
        assert_eq!(body["code"], "invalid-input");
        assert_eq!(body["errors"][0]["field"], "pe_min");
        assert!(body["errors"][0].get("line").is_none());
        assert_eq!(body["errors"][1]["line"], 3);
    }

    #[test]
    fn unavailable_tells_when_to_come_back_and_is_never_stored() {
        let response = Problem::unavailable("database-busy", "the database is busy", 2).into_response();
        assert_eq!(response.status(), 503);
        assert_eq!(response.headers()["retry-after"], "2");
        assert_eq!(response.headers()["cache-control"], "no-store");
        assert_eq!(response.headers()["content-type"], "application/problem+json");
    }
}
