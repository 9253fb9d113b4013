//! What browsers are told about a route's answers: security fields, and who else's pages may read them.

/// Fields that tell browsers to be careful, ready to be written. A field that the app sends itself stays as it is, and
/// the one here is left out.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SecurityHeaders {
    /// Every line, each with its line end, in one piece: for answers of apps that send none of `fields`.
    pub lines: Box<[u8]>,
    /// The lines one by one, in the order of `lines`.
    pub fields: Box<[SecurityField]>,
    /// The line of Strict-Transport-Security with its end, or nothing. Only for connections over TLS: browsers do not
    /// listen to it otherwise (RFC 6797 section 8.1).
    pub hsts_line: Box<[u8]>,
}

/// One field of [`SecurityHeaders`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SecurityField {
    /// Name in lower case.
    pub name: &'static str,
    /// The line with its end.
    pub line: Box<[u8]>,
}

/// Who else's pages may read a route's answers (the CORS protocol of the Fetch standard). Every `Access-Control-*` field
/// that the app sends is taken away, and preflights are answered without it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Cors {
    /// Whose pages.
    pub origins: Origins,
    /// Lines behind `Access-Control-Allow-Origin` on answers to origins that may: credentials, exposed fields.
    pub lines: Box<[u8]>,
    /// The same on answers to preflights: credentials, methods, fields, how long to remember it.
    pub preflight_lines: Box<[u8]>,
}

/// Whose pages may read answers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Origins {
    /// Everybody's.
    Any,
    /// Those of these origins, in lower case: `https://example.org`, or `https://*.example.org` for every name below
    /// it.
    Listed(Vec<String>),
}

impl Cors {
    /// Value of `Access-Control-Allow-Origin` for a request with this `Origin`; `None`: none of these fields is sent.
    pub fn allow_origin<'o>(&self, origin: &'o [u8]) -> Option<&'o [u8]> {
        match &self.origins {
            Origins::Any => Some(b"*"),
            Origins::Listed(origins) => {
                origins.iter().any(|known| is_origin(known, origin)).then_some(origin)
            }
        }
    }

    /// Whether answers differ by `Origin`, so that every one of them, allowed or not, has to say `Vary: Origin`.
    pub fn varies(&self) -> bool {
        matches!(self.origins, Origins::Listed(_))
    }
}

/// Whether an `Origin` is one that a pattern means. Browsers write origins in lower case and without default ports, so
/// bytes are compared; what stands for a star is one or more labels.
fn is_origin(pattern: &str, origin: &[u8]) -> bool {
    let Some((start, end)) = pattern.split_once('*') else { return pattern.as_bytes() == origin };
    let labels = origin.strip_prefix(start.as_bytes()).and_then(|rest| rest.strip_suffix(end.as_bytes()));
    let in_name = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._".contains(byte);
    labels.is_some_and(|labels| !labels.is_empty() && labels.iter().all(in_name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(origins: &[&str]) -> Cors {
        let origins = Origins::Listed(origins.iter().map(|origin| (*origin).to_owned()).collect());
        Cors { origins, lines: Box::default(), preflight_lines: Box::default() }
    }

    #[test]
    fn origins_are_compared_whole() {
        let cors = listed(&["https://example.org", "https://*.example.net:8443"]);
        for (origin, may) in [
            ("https://example.org", true),
            ("http://example.org", false),
            ("https://example.org.evil.test", false),
            ("https://evil-example.org", false),
            ("https://a.example.net:8443", true),
            ("https://a.b.example.net:8443", true),
            ("https://.example.net:8443", false),
            ("https://example.net:8443", false),
            ("https://a.example.net", false),
            ("https://evil.test/.example.net:8443", false),
            ("https://evil.test:1@a.example.net:8443", false),
            ("null", false),
            ("", false),
        ] {
            assert_eq!(cors.allow_origin(origin.as_bytes()), may.then_some(origin.as_bytes()), "{origin}");
        }
        assert!(cors.varies());
    }

    #[test]
    fn everybody_is_told_so_by_a_star() {
        let cors = Cors { origins: Origins::Any, ..listed(&[]) };
        assert_eq!(cors.allow_origin(b"https://example.org"), Some(&b"*"[..]));
        assert!(!cors.varies());
    }
}
