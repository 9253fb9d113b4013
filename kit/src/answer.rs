//! Whole answers that are made once and sent often, with the ETag that lets a client keep them.

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;

/// An answer, ready to send.
#[derive(Debug, Clone)]
pub struct Answer {
    body: Bytes,
    etag: HeaderValue,
    content_type: HeaderValue,
    cache_control: HeaderValue,
}

impl Answer {
    /// A 200 with this body. Its ETag is the body's digest, so that every process gives the same one.
    pub fn new(content_type: &'static str, cache_control: &'static str, body: impl Into<Bytes>) -> Self {
        let body = body.into();
        let etag = format!("\"{:016x}\"", digest(&body));
        Self {
            etag: HeaderValue::try_from(etag).expect("hex digits are a value"),
            content_type: HeaderValue::from_static(content_type),
            cache_control: HeaderValue::from_static(cache_control),
            body,
        }
    }

    /// The body.
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// The body, or a 304 when the client has it already (RFC 9110 section 13.1.2).
    pub fn respond(&self, asked: &HeaderMap) -> Response {
        let is_known = self.is_known(asked);
        let mut response =
            Response::new(if is_known { Body::empty() } else { Body::from(self.body.clone()) });
        let headers = response.headers_mut();
        headers.insert(header::ETAG, self.etag.clone());
        headers.insert(header::CACHE_CONTROL, self.cache_control.clone());
        if is_known {
            *response.status_mut() = StatusCode::NOT_MODIFIED;
        } else {
            headers.insert(header::CONTENT_TYPE, self.content_type.clone());
        }
        response
    }

    /// Whether `If-None-Match` names this ETag; compared weakly, as RFC 9110 section 13.1.2 says.
    fn is_known(&self, asked: &HeaderMap) -> bool {
        let lists = asked.get_all(header::IF_NONE_MATCH).into_iter().filter_map(|list| list.to_str().ok());
        lists.flat_map(|list| list.split(',')).map(str::trim).any(|candidate| {
            let opaque = candidate.strip_prefix("W/").unwrap_or(candidate);
            candidate == "*" || opaque.as_bytes() == self.etag.as_bytes()
        })
    }
}

/// FNV-1a of 64 bits (Fowler, Noll, Vo): the same in every process and version, which std's hasher does not promise.
pub fn digest(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_that_has_the_answer_gets_no_body() {
        let answer = Answer::new("text/plain", "no-cache", "hello");
        let etag = answer.etag.to_str().unwrap().to_owned();
        let status = |list: &str| {
            let mut asked = HeaderMap::new();
            asked.insert(header::IF_NONE_MATCH, HeaderValue::try_from(list).unwrap());
            let response = answer.respond(&asked);
            assert_eq!(response.headers()[header::ETAG], etag);
            assert_eq!(response.headers()[header::CACHE_CONTROL], "no-cache");
            response.status()
        };
        for known in ["*", &etag, &format!("W/{etag}"), &format!("\"other\", {etag}")] {
            assert_eq!(status(known), 304, "{known}");
        }
        for unknown in ["\"other\"", "", etag.trim_matches('"')] {
            assert_eq!(status(unknown), 200, "{unknown}");
        }
    }

    #[test]
    fn the_digest_is_the_published_one() {
        // The first and the last of the test vectors that its authors give for short inputs.
        assert_eq!(digest(b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(digest(b"foobar"), 0x8594_4171_f739_67e8);
    }
}
