//! What pages for browsers need: text inside HTML, their headers, and forms that only they themselves may send.

use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::Response;

use crate::Problem;

/// The media type of every page.
pub const HTML: &str = "text/html; charset=utf-8";
/// Everything comes from here; nothing may frame the page; forms go nowhere else.
const POLICY: &str = "default-src 'self'; base-uri 'none'; frame-ancestors 'none'; form-action 'self'";

/// Text inside HTML, in an element or in a quoted attribute.
pub fn escaped(text: &str) -> String {
    let mut html = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => html += "&amp;",
            '<' => html += "&lt;",
            '>' => html += "&gt;",
            '"' => html += "&quot;",
            '\'' => html += "&#39;",
            other => html.push(other),
        }
    }
    html
}

/// Whether whoever asked would rather see a page than a problem: browsers say that they take HTML.
pub fn wants_page(asked: &HeaderMap) -> bool {
    let accept = asked.get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
    accept.is_some_and(|accept| accept.contains("text/html"))
}

/// An error's text as a sentence: in lower case among other words, alone on a page it begins with a capital and ends
/// with a full stop.
pub fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|first| first.to_uppercase().collect::<String>());
    first.map_or(String::new(), |first| first + letters.as_str() + ".")
}

/// Adds the headers of every page: what it may load and who may frame it, its type as said, and no address of ours
/// told to other sites.
pub fn dress(mut response: Response) -> Response {
    const DRESS: [(HeaderName, &str); 3] = [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "same-origin"),
    ];
    let headers = response.headers_mut();
    for (name, value) in DRESS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if response.status() != StatusCode::NOT_MODIFIED {
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(HTML));
    }
    response
}

/// Refuses what another site made a browser send. Browsers say whose page sent a request (Fetch Metadata), over
/// plain HTTP at least its origin, which has to name the host that was asked. Clients that say neither are no
/// browsers that could be misled.
pub fn same_origin(asked: &HeaderMap) -> Result<(), Problem> {
    let is_ours = match (asked.get("sec-fetch-site"), asked.get(header::ORIGIN)) {
        (Some(site), _) => matches!(site.as_bytes(), b"same-origin" | b"none"),
        (None, Some(origin)) => names_host(origin, asked.get(header::HOST)),
        (None, None) => true,
    };
    if is_ours {
        return Ok(());
    }
    let detail = "a form of another site cannot change anything here";
    Err(Problem::new(StatusCode::FORBIDDEN, "foreign-form", detail))
}

/// Whether an origin (`scheme://host:port`, or `null`) is that of `host`. The scheme is left out: whoever ends TLS
/// stands in front of us.
fn names_host(origin: &HeaderValue, host: Option<&HeaderValue>) -> bool {
    let authority = origin.to_str().ok().and_then(|origin| origin.split_once("://")).map(|(_, rest)| rest);
    let host = host.and_then(|host| host.to_str().ok());
    authority.zip(host).is_some_and(|(authority, host)| authority.eq_ignore_ascii_case(host))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(lines: &[(&'static str, &'static str)]) -> bool {
        let lines = lines
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
        same_origin(&lines.collect()).is_ok()
    }

    #[test]
    fn forms_of_other_sites_are_refused() {
        assert!(judge(&[]), "no browser");
        assert!(judge(&[("sec-fetch-site", "same-origin")]));
        assert!(judge(&[("sec-fetch-site", "none")]), "typed by the person");
        assert!(!judge(&[("sec-fetch-site", "cross-site")]));
        assert!(!judge(&[("sec-fetch-site", "same-site")]), "a neighbour is another site");
        assert!(judge(&[("origin", "http://here:8080"), ("host", "here:8080")]));
        assert!(judge(&[("origin", "https://Here.example"), ("host", "here.example")]));
        assert!(!judge(&[("origin", "http://there:8080"), ("host", "here:8080")]));
        assert!(!judge(&[("origin", "http://here:8080"), ("host", "here")]));
        assert!(!judge(&[("origin", "null"), ("host", "null")]));
        assert!(!judge(&[("sec-fetch-site", "cross-site"), ("origin", "http://here"), ("host", "here")]));
    }

    #[test]
    fn an_error_alone_on_a_page_is_a_sentence() {
        assert_eq!(sentence("nothing is at /x"), "Nothing is at /x.");
        assert_eq!(sentence(""), "");
    }

    #[test]
    fn html_in_names_stays_text() {
        assert_eq!(escaped("<b>\"A&B's\""), "&lt;b&gt;&quot;A&amp;B&#39;s&quot;");
    }
}
