//! The path of a file below its root, out of the path of a request.

use config::Rewrite;
use wire::uri::percent_decode;

use super::Missing;
use crate::exchange::Exchange;
use crate::live::Live;
use crate::outbound::expand;

/// The one name with a dot in front that is public (RFC 8615).
const WELL_KNOWN: &[u8] = b".well-known";

/// Writes the path of a request, as its route rewrites it, into `out`: decoded once and relative to the root, with a
/// slash at its end if it names a folder. The root itself is `/`, or nothing where the request does not say that it
/// means a folder.
///
/// # Errors
/// Why no file may have that name.
pub fn within(
    out: &mut Vec<u8>,
    live: &Live,
    exchange: &Exchange,
    route: &config::Route,
) -> Result<(), Missing> {
    out.clear();
    match &route.rewrite {
        Rewrite::Replace(template) => {
            let mut written = Vec::new();
            expand(&mut written, template, live, exchange, route);
            decode(out, &written)
        }
        Rewrite::Strip(prefix) => {
            let prefix = prefix.trim_end_matches('/').as_bytes();
            decode(out, exchange.path.strip_prefix(prefix).unwrap_or(&exchange.path))
        }
        Rewrite::None => decode(out, &exchange.path),
    }
}

/// Decodes a path in the spelling of [`wire::uri::normalise`]. What was escaped twice is a name with a percent sign.
fn decode(out: &mut Vec<u8>, path: &[u8]) -> Result<(), Missing> {
    if path.windows(3).any(|escape| escape.eq_ignore_ascii_case(b"%2f")) {
        return Err(Missing::Unnameable);
    }
    let decoded = percent_decode(path, out).map_err(|_| Missing::Unnameable)?;
    if decoded.as_ptr() == path.as_ptr() {
        out.extend_from_slice(path);
    }
    check(out)
}

/// Whether every segment may be the name of a file or a folder.
fn check(path: &[u8]) -> Result<(), Missing> {
    if path.iter().any(|&byte| byte == b'\\' || byte.is_ascii_control()) {
        return Err(Missing::Unnameable);
    }
    for segment in path.split(|&byte| byte == b'/') {
        match segment {
            b"." | b".." => return Err(Missing::Unnameable),
            [b'.', ..] if segment != WELL_KNOWN => return Err(Missing::Hidden),
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(path: &str) -> Result<String, Missing> {
        let mut out = Vec::new();
        decode(&mut out, path.as_bytes())?;
        Ok(String::from_utf8(out).expect("text"))
    }

    #[test]
    fn paths_are_decoded_once() {
        for (path, name) in [
            ("/a/b.css", "/a/b.css"),
            ("/", "/"),
            ("", ""),
            ("/sp%20ace.txt", "/sp ace.txt"),
            ("/%C3%BC", "/ü"),
            ("/%252e%252e/x", "/%2e%2e/x"),
            ("/a%3Fb", "/a?b"),
            ("/.well-known/security.txt", "/.well-known/security.txt"),
            ("/a..b/...c", "/a..b/...c"),
        ] {
            let wanted = if name.contains("/...") { Err(Missing::Hidden) } else { Ok(name.to_owned()) };
            assert_eq!(decoded(path), wanted, "{path}");
        }
    }

    #[test]
    fn what_no_file_may_be_called_is_refused() {
        for path in [
            "/..",
            "/../x",
            "/a/..",
            "/./a",
            "/%2E%2E/x",
            "/%2e%2e%2fetc/passwd",
            "/a%2Fb",
            "/a%5Cb",
            "/a\\b",
            "/%00",
            "/a%0Ab",
            "/a%7F",
            "/%",
            "/%zz",
        ] {
            assert_eq!(decoded(path), Err(Missing::Unnameable), "{path}");
        }
        for path in ["/.env", "/.git/config", "/a/.b/c", "/%2Eenv", "/.well-known/.env", "/.well-knownx"] {
            assert_eq!(decoded(path), Err(Missing::Hidden), "{path}");
        }
    }
}
