//! Keys of requests as people write them.

use schemars::json_schema;

use crate::field::is_token;
use crate::plan::RequestKey;
use crate::read::{Read, Reader, Value};
use crate::value::inline_schema;

/// What tells requests apart, as written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum KeySource {
    /// Whatever `server.tenant` says.
    Tenant,
    /// This.
    Key(RequestKey),
}

/// What may be written.
const WRITE: &str = "write \"client\", \"header:NAME\", \"cookie:NAME\", \"query:NAME\", \"jwt:CLAIM\", \"path\", \
                     \"path:PARAMETER\", \"tenant\", \"route\" or \"global\"";

impl KeySource {
    /// Reads `client`, `header:x-tenant-id`, `tenant` and so on.
    pub fn parse(text: &str) -> Option<Self> {
        let key = match text.split_once(':') {
            None => match text {
                "tenant" => return Some(Self::Tenant),
                "client" => RequestKey::Client,
                "path" => RequestKey::Path,
                "route" => RequestKey::Route,
                "global" => RequestKey::Global,
                _ => return None,
            },
            Some(("header", name)) if is_token(name) => RequestKey::Header(name.to_ascii_lowercase()),
            Some(("cookie", name)) if is_token(name) => RequestKey::Cookie(name.to_owned()),
            Some(("query", name)) if !name.is_empty() => RequestKey::Query(name.to_owned()),
            Some(("jwt", name)) if !name.is_empty() => RequestKey::Claim(name.to_owned()),
            Some(("path", name)) if !name.is_empty() => RequestKey::Parameter(name.to_owned()),
            Some(_) => return None,
        };
        Some(Self::Key(key))
    }
}

impl Read for KeySource {
    fn read(reader: &mut Reader<'_>, value: &Value<'_>) -> Option<Self> {
        let text = reader.string(value, "a key such as \"header:x-tenant-id\"")?;
        let key = Self::parse(&text);
        if key.is_none() {
            reader.mistake(value.span(), format_args!("\"{text}\" is no key"), WRITE);
        }
        key
    }
}

inline_schema! {
    [] KeySource, "KeySource" => json_schema!({
        "type": "string", "title": "key",
        "examples": [
            "client", "header:x-tenant-id", "cookie:session", "query:id", "path", "path:id", "jwt:sub", "tenant", "route",
            "global",
        ],
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_written_as_it_is_shown() {
        for text in [
            "client",
            "header:x-a",
            "cookie:seat",
            "query:a b",
            "jwt:sub",
            "path",
            "path:id",
            "route",
            "global",
        ] {
            let Some(KeySource::Key(key)) = KeySource::parse(text) else { panic!("{text}") };
            assert_eq!(key.to_string(), text);
        }
        assert_eq!(KeySource::parse("tenant"), Some(KeySource::Tenant));
        assert_eq!(
            KeySource::parse("header:X-A"),
            Some(KeySource::Key(RequestKey::Header("x-a".to_owned())))
        );
        for text in ["", "clients", "header:", "header:a b", "cookie:", "query:", "path:", "jwt", "tenant:x"]
        {
            assert_eq!(KeySource::parse(text), None, "{text}");
        }
    }
}
