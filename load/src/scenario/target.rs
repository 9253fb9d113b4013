//! Who is asked: a URL to an origin, its addresses and a path.

use std::fmt;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};

use crate::plan::{Target, Transport};

/// How a host and a port become addresses.
pub(crate) type Resolve<'a> = &'a dyn Fn(&str, u16) -> io::Result<Vec<SocketAddr>>;

/// Why a URL cannot be asked, and what to write instead.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BadTarget {
    /// What is wrong.
    pub what: String,
    /// How to mend it.
    pub help: String,
}

impl fmt::Display for BadTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {}", self.what, self.help)
    }
}

impl std::error::Error for BadTarget {}

fn bad<T>(what: impl Into<String>, help: impl Into<String>) -> Result<T, BadTarget> {
    Err(BadTarget { what: what.into(), help: help.into() })
}

/// The system's way to resolve a name.
pub(crate) fn system(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    (host, port).to_socket_addrs().map(Iterator::collect)
}

/// Reads `http://host[:port][/path?query]` (or `ws://…`) and resolves the host. The path is `/` when none is written.
///
/// # Errors
/// Another scheme, no host, no port, a path with characters that a path cannot have, a host without addresses.
pub(crate) fn parse(text: &str, resolve: Resolve<'_>) -> Result<(Target, String), BadTarget> {
    const WRITE: &str = "write a URL such as \"http://127.0.0.1:8080\"";
    let text = text.trim();
    let Some((scheme, rest)) = text.split_once("://") else {
        return match text.split(['/', '?']).next().unwrap_or_default() {
            "" => bad("the target is empty", WRITE),
            _ => bad(format!("\"{text}\" has no scheme"), format!("write \"http://{text}\"")),
        };
    };
    match scheme.to_ascii_lowercase().as_str() {
        "http" | "ws" => {}
        "https" | "wss" => {
            let what =
                format!("{scheme} is not spoken yet: TLS joins the load generator when Tidegate speaks it");
            let plain = if scheme.starts_with("ws") { "ws" } else { "http" };
            return bad(what, format!("load the plain listener behind TLS: \"{plain}://{rest}\""));
        }
        "h2" | "h2c" => {
            let what = format!("{scheme} is not spoken yet: HTTP/2 joins the load generator with TLS");
            return bad(what, format!("load it over HTTP/1.1: \"http://{rest}\""));
        }
        _ => return bad(format!("there is no scheme \"{scheme}\""), WRITE),
    }
    let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    if authority.contains('@') {
        return bad(
            "a user name in a URL is not sent",
            "send it as a header field: authorization = \"Basic …\"",
        );
    }
    let (host, port) = host_and_port(authority).ok_or_else(|| BadTarget {
        what: format!("\"{authority}\" is no host with a port"),
        help: WRITE.to_owned(),
    })?;
    let addresses = match resolve(host, port) {
        Ok(addresses) if !addresses.is_empty() => addresses,
        Ok(_) => {
            return bad(format!("\"{host}\" has no address"), "write an address, or a name that has one");
        }
        Err(error) => {
            let help = "write an address, or a name that this machine can resolve";
            return bad(format!("\"{host}\" cannot be resolved: {error}"), help);
        }
    };
    let path = path.split('#').next().unwrap_or_default();
    let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
    if let Some(found) = wrong_in_path(path.as_bytes()) {
        return bad(found, "percent-encode it");
    }
    let shown = authority.strip_suffix(":80").unwrap_or(authority).to_ascii_lowercase();
    let origin = format!("{}://{}", scheme.to_ascii_lowercase(), authority.to_ascii_lowercase());
    Ok((Target { origin, authority: shown, addresses, transport: Transport::Plain }, path))
}

/// What in these bytes cannot stand in a path or a query.
pub(crate) fn wrong_in_path(path: &[u8]) -> Option<String> {
    let wrong = |byte: &u8| !(0x21..0x7F).contains(byte) || *byte == b'#';
    let at = path.iter().position(wrong)?;
    let shown = String::from_utf8_lossy(&path[at..]);
    Some(format!("{:?} cannot stand in a path", shown.chars().next().unwrap_or_default()))
}

/// Host without brackets, and port, 80 by default. It has to be one that a server takes in Host.
fn host_and_port(authority: &str) -> Option<(&str, u16)> {
    wire::uri::host(authority.as_bytes(), &mut Vec::new()).ok()?;
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']')?;
            host.parse::<std::net::Ipv6Addr>().ok()?;
            (host, port.strip_prefix(':').or(port.is_empty().then_some(""))?)
        }
        None => authority.split_once(':').unwrap_or((authority, "")),
    };
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:".contains(&byte);
    if host.is_empty() || !host.bytes().all(is_name) || !port.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let port = if port.is_empty() { 80 } else { port.parse().ok().filter(|port| *port > 0)? };
    Some((host, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<(Target, String), BadTarget> {
        parse(text, &|host, port| match host.parse() {
            Ok(ip) => Ok(vec![SocketAddr::new(ip, port)]),
            Err(_) if host == "app" => Ok(vec![([127, 0, 0, 1], port).into(), ([127, 0, 0, 2], port).into()]),
            Err(_) => Err(io::Error::other("no such name")),
        })
    }

    #[test]
    fn urls_have_origin_authority_addresses_and_path() {
        for (text, origin, authority, address, path) in [
            ("http://127.0.0.1:8080", "http://127.0.0.1:8080", "127.0.0.1:8080", "127.0.0.1:8080", "/"),
            ("HTTP://App/a?b=c#d", "http://app", "app", "127.0.0.1:80", "/a?b=c"),
            ("http://app:80?x", "http://app:80", "app", "127.0.0.1:80", "/?x"),
            ("ws://[::1]:9/", "ws://[::1]:9", "[::1]:9", "[::1]:9", "/"),
        ] {
            let (target, found) = read(&text.replace("App", "app")).unwrap();
            assert_eq!((target.origin.as_str(), target.authority.as_str()), (origin, authority), "{text}");
            assert_eq!((target.addresses[0], found.as_str()), (address.parse().unwrap(), path), "{text}");
        }
        assert_eq!(read("http://app").unwrap().0.addresses.len(), 2);
    }

    #[test]
    fn what_cannot_be_asked_is_told_with_a_remedy() {
        let told: Vec<String> = [
            "",
            "127.0.0.1:8080/x",
            "https://app:8443/x",
            "wss://app/ws",
            "h2://app",
            "ftp://app",
            "http://",
            "http://:80",
            "http://app:0",
            "http://app:99999",
            "http://user@app",
            "http://[::1",
            "http://a b",
            "http://a..",
            "http://nowhere",
            "http://app/ü",
        ]
        .iter()
        .map(|text| read(text).unwrap_err().to_string())
        .collect();
        insta::assert_snapshot!(told.join("\n"));
    }
}
