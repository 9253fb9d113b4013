//! Addresses as people write them: where to listen, where an endpoint is, which networks are meant.

use core::fmt;
use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use ipnet::IpNet;
use schemars::json_schema;

use crate::plan::{EndpointAddress, ListenAddress};
use crate::read::{Read, Reader, Value};
use crate::value::inline_schema;

/// Longest path of a Unix-domain socket: `sun_path` has 108 bytes, one of them for the NUL.
const UNIX_PATH_BYTES: usize = 107;

/// Why a text is no address, and what to write instead.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BadAddress {
    /// What is wrong.
    pub what: String,
    /// How to mend it.
    pub help: &'static str,
}

impl fmt::Display for BadAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {}", self.what, self.help)
    }
}

impl core::error::Error for BadAddress {}

fn bad<T>(what: impl Into<String>, help: &'static str) -> Result<T, BadAddress> {
    Err(BadAddress { what: what.into(), help })
}

/// Reads where to listen: `0.0.0.0:8080`, `[::]:8080`, `:8080` or `*:8080` (all IPv4 interfaces),
/// `localhost:8080`, `unix:/run/tidegate.sock`. Port 0 lets the system choose.
pub fn parse_listen(text: &str) -> Result<ListenAddress, BadAddress> {
    const WRITE: &str = "write \"0.0.0.0:8080\", \"[::]:8080\", \":8080\" or \"unix:/run/tidegate.sock\"";
    let text = text.trim();
    if let Some(path) = text.strip_prefix("unix:") {
        return unix(path).map(ListenAddress::Unix);
    }
    if let Ok(address) = text.parse() {
        return Ok(ListenAddress::Tcp(address));
    }
    let Some((host, port)) = text.rsplit_once(':') else {
        return bad(format!("\"{text}\" has no port"), WRITE);
    };
    let Some(port) = parse_port(port) else {
        return bad(format!("\"{text}\" has no valid port"), WRITE);
    };
    match host {
        "" | "*" => Ok(ListenAddress::Tcp((Ipv4Addr::UNSPECIFIED, port).into())),
        "localhost" => Ok(ListenAddress::Tcp((Ipv4Addr::LOCALHOST, port).into())),
        _ => bad(format!("\"{text}\" is no address of this machine"), WRITE),
    }
}

/// Reads where an endpoint is: `127.0.0.1:3000`, `[::1]:3000`, `app.internal:3000`, `:3000` (this
/// machine), `unix:/run/app.sock`.
pub fn parse_endpoint(text: &str) -> Result<EndpointAddress, BadAddress> {
    const WRITE: &str = "write \"127.0.0.1:3000\", \"app.internal:3000\" or \"unix:/run/app.sock\"";
    let text = text.trim();
    if let Some(path) = text.strip_prefix("unix:") {
        return unix(path).map(EndpointAddress::Unix);
    }
    if let Some((scheme, _)) = text.split_once("://") {
        let what = format!("\"{text}\" is a URL, an endpoint is an address");
        return match scheme {
            "http" => bad(what, "leave \"http://\" and everything after the port away"),
            _ => bad(what, "endpoints are reached over plain HTTP; write \"host:port\""),
        };
    }
    let address = match text.parse() {
        Ok(address) => EndpointAddress::Ip(address),
        Err(_) => named(text, WRITE)?,
    };
    match address {
        EndpointAddress::Ip(ip) if ip.port() == 0 => bad(format!("\"{text}\" has port 0"), WRITE),
        EndpointAddress::Ip(ip) if ip.ip().is_unspecified() => {
            bad(format!("\"{text}\" is the address of every interface, not of an endpoint"), WRITE)
        }
        address => Ok(address),
    }
}

/// `name:port`, `localhost:port` or `:port`.
fn named(text: &str, write: &'static str) -> Result<EndpointAddress, BadAddress> {
    let Some((host, port)) = text.rsplit_once(':') else {
        return bad(format!("\"{text}\" has no port"), write);
    };
    let Some(port) = parse_port(port) else {
        return bad(format!("\"{text}\" has no valid port"), write);
    };
    if host.is_empty() {
        return Ok(EndpointAddress::Ip((Ipv4Addr::LOCALHOST, port).into()));
    }
    if !is_dns_name(host) {
        return bad(format!("\"{host}\" is neither an IP address nor a DNS name"), write);
    }
    if port == 0 {
        return bad(format!("\"{text}\" has port 0"), write);
    }
    Ok(EndpointAddress::Name(host.to_ascii_lowercase(), port))
}

/// Digits only: `u16::from_str` would take a plus sign too.
fn parse_port(text: &str) -> Option<u16> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

fn unix(path: &str) -> Result<PathBuf, BadAddress> {
    const WRITE: &str = "write \"unix:\" and a path, such as \"unix:/run/app.sock\"";
    if path.is_empty() || path.contains('\0') {
        return bad("the path of the socket is empty or holds a NUL", WRITE);
    }
    if path.len() > UNIX_PATH_BYTES {
        return bad(format!("the path of the socket has {} bytes, the system takes 107", path.len()), WRITE);
    }
    Ok(PathBuf::from(path))
}

/// Whether a text is a DNS name (RFC 1123 section 2.1, and `_`, which container networks use). A last
/// label of digits only is a mistyped IPv4 address.
pub(crate) fn is_dns_name(text: &str) -> bool {
    let name = text.strip_suffix('.').unwrap_or(text);
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let last = name.rsplit('.').next().unwrap_or_default();
    name.len() <= 253 && name.split('.').all(label) && !last.bytes().all(|byte| byte.is_ascii_digit())
}

/// A network such as `10.0.0.0/8`; a single address is a network of one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Network(pub IpNet);

/// Address of the admin listener.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AdminAddress(pub SocketAddr);

impl Read for ListenAddress {
    fn read(reader: &mut Reader<'_>, value: &Value<'_>) -> Option<Self> {
        let text = reader.string(value, "an address such as \"0.0.0.0:8080\"")?;
        parse_listen(&text).map_err(|bad| reader.mistake(value.span(), bad.what, bad.help)).ok()
    }
}

impl Read for EndpointAddress {
    fn read(reader: &mut Reader<'_>, value: &Value<'_>) -> Option<Self> {
        let text = reader.string(value, "an address such as \"127.0.0.1:3000\"")?;
        parse_endpoint(&text).map_err(|bad| reader.mistake(value.span(), bad.what, bad.help)).ok()
    }
}

impl Read for AdminAddress {
    fn read(reader: &mut Reader<'_>, value: &Value<'_>) -> Option<Self> {
        match ListenAddress::read(reader, value)? {
            ListenAddress::Tcp(address) => Some(Self(address)),
            ListenAddress::Unix(_) => {
                reader.mistake(value.span(), "the admin listener takes TCP only", "write \"127.0.0.1:9900\"");
                None
            }
        }
    }
}

impl Read for Network {
    fn read(reader: &mut Reader<'_>, value: &Value<'_>) -> Option<Self> {
        let text = reader.string(value, "a network such as \"10.0.0.0/8\"")?;
        let single = || text.trim().parse::<IpAddr>().ok().map(IpNet::from);
        let network = text.trim().parse().ok().or_else(single);
        if network.is_none() {
            let help = "write \"10.0.0.0/8\", \"fd00::/8\" or a single address";
            reader.mistake(value.span(), format_args!("\"{text}\" is not a network"), help);
        }
        network.map(|network| Self(network.trunc()))
    }
}

inline_schema! {
    [] ListenAddress, "ListenAddress" => json_schema!({
        "type": "string", "title": "address",
        "examples": ["0.0.0.0:8080", "[::]:8080", ":8080", "unix:/run/tidegate.sock"],
    });
    [] EndpointAddress, "EndpointAddress" => json_schema!({
        "type": "string", "title": "address",
        "examples": ["127.0.0.1:3000", "[::1]:3000", "app.internal:3000", "unix:/run/app.sock"],
    });
    [] AdminAddress, "AdminAddress" => json_schema!({
        "type": "string", "title": "address", "examples": ["127.0.0.1:9900"],
    });
    [] Network, "Network" => json_schema!({
        "type": "string", "title": "network", "examples": ["10.0.0.0/8", "fd00::/8", "192.0.2.7"],
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listeners_take_every_usual_form() {
        for (text, wanted) in [
            ("0.0.0.0:8080", "0.0.0.0:8080"),
            ("[::]:80", "[::]:80"),
            (":8080", "0.0.0.0:8080"),
            ("*:8080", "0.0.0.0:8080"),
            ("localhost:0", "127.0.0.1:0"),
        ] {
            assert_eq!(parse_listen(text), Ok(ListenAddress::Tcp(wanted.parse().unwrap())), "{text}");
        }
        assert_eq!(parse_listen("unix:/run/x"), Ok(ListenAddress::Unix("/run/x".into())));
        for text in ["", "8080", "0.0.0.0", "example.com:80", ":+80", ":99999", "unix:", ":"] {
            assert!(parse_listen(text).is_err(), "{text}");
        }
    }

    #[test]
    fn endpoints_take_every_usual_form() {
        for (text, wanted) in [
            ("127.0.0.1:3000", EndpointAddress::Ip("127.0.0.1:3000".parse().unwrap())),
            ("[::1]:3000", EndpointAddress::Ip("[::1]:3000".parse().unwrap())),
            (":3000", EndpointAddress::Ip("127.0.0.1:3000".parse().unwrap())),
            ("App.internal:3000", EndpointAddress::Name("app.internal".to_owned(), 3000)),
            ("my_app:80", EndpointAddress::Name("my_app".to_owned(), 80)),
            ("unix:/run/app.sock", EndpointAddress::Unix("/run/app.sock".into())),
        ] {
            assert_eq!(parse_endpoint(text), Ok(wanted), "{text}");
        }
        for text in [
            "",
            "app",
            "127.0.0.1",
            "256.0.0.1:80",
            "0.0.0.0:80",
            "127.0.0.1:0",
            ":0",
            "app:0",
            "-a:80",
            "a..b:80",
            "a b:80",
            "::1:80",
            "http://a:80",
            "https://a",
        ] {
            assert!(parse_endpoint(text).is_err(), "{text}");
        }
        assert!(parse_endpoint(&format!("unix:/{}", "x".repeat(107))).is_err());
    }
}
