//! Keeps web pages from giving orders.
//!
//! A browser on the operator's machine reaches the loopback address too, and any page that it shows may post there.
//! Two things give such a request away: the `Origin` that browsers add names the page's site (RFC 6454 section 7), and
//! where the page's own name was pointed at this address (DNS rebinding), `Host` is that name. So an order is taken
//! only without `Origin` or with that of this very host, and only under a `Host` that no name server can point
//! anywhere: an IP address or `localhost`. The command line sends the address.

use core::net::IpAddr;

use axum::http::header::{CONTENT_LENGTH, HOST, ORIGIN, TRANSFER_ENCODING};
use axum::http::{HeaderMap, StatusCode};

/// Longest body of an order in bytes; none needs one, some clients send a few bytes all the same.
const BODY_BYTES: u64 = 64 * 1024;

/// Why an order is not taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Forbidden {
    /// There is no single Host (RFC 9112 section 3.2).
    HostMissing,
    /// Host is a name, which whoever owns the name can point here.
    HostForeign,
    /// Origin is another site than this host.
    OriginForeign,
    /// The body is longer than any order needs, or of unknown length.
    BodyTooLarge,
}

impl Forbidden {
    /// The word for programs.
    pub const fn code(self) -> &'static str {
        match self {
            Self::HostMissing => "host_missing",
            Self::HostForeign => "host_foreign",
            Self::OriginForeign => "origin_foreign",
            Self::BodyTooLarge => "body_too_large",
        }
    }

    /// What is wrong and how to mend it.
    pub const fn what(self) -> &'static str {
        match self {
            Self::HostMissing => "the request names no host; send exactly one Host header",
            Self::HostForeign => {
                "orders are taken only under an ip address or localhost; use that in the url"
            }
            Self::OriginForeign => "orders from pages of other sites are not taken; use the command line",
            Self::BodyTooLarge => "the body is longer than any order needs; leave it out",
        }
    }

    /// The status that answers it.
    pub const fn status(self) -> StatusCode {
        match self {
            Self::HostMissing => StatusCode::BAD_REQUEST,
            Self::HostForeign | Self::OriginForeign => StatusCode::FORBIDDEN,
            Self::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        }
    }
}

/// Decides whether a request may give orders, by its head alone.
///
/// # Errors
/// Why it may not.
pub fn check(headers: &HeaderMap) -> Result<(), Forbidden> {
    let mut hosts = headers.get_all(HOST).iter();
    let host = hosts.next().and_then(|host| host.to_str().ok()).ok_or(Forbidden::HostMissing)?;
    if hosts.next().is_some() {
        return Err(Forbidden::HostMissing);
    }
    if !is_fixed(host) {
        return Err(Forbidden::HostForeign);
    }
    for origin in headers.get_all(ORIGIN) {
        let site = origin.to_str().ok().and_then(|origin| origin.split_once("://")).map(|(_, site)| site);
        if !site.is_some_and(|site| site.eq_ignore_ascii_case(host)) {
            return Err(Forbidden::OriginForeign);
        }
    }
    let length =
        headers.get(CONTENT_LENGTH).map(|length| length.to_str().ok().and_then(|text| text.parse().ok()));
    let is_short = length.is_none_or(|length| length.is_some_and(|length: u64| length <= BODY_BYTES));
    if !is_short || headers.contains_key(TRANSFER_ENCODING) {
        return Err(Forbidden::BodyTooLarge);
    }
    Ok(())
}

/// Whether the host, with or without a port, is an address or `localhost`.
fn is_fixed(host: &str) -> bool {
    if let Some(rest) = host.strip_prefix('[') {
        let Some((address, port)) = rest.split_once(']') else { return false };
        let is_port = port.is_empty() || port.strip_prefix(':').is_some_and(is_number);
        return is_port && address.parse::<core::net::Ipv6Addr>().is_ok();
    }
    let (name, is_port) = host.split_once(':').map_or((host, true), |(name, port)| (name, is_number(port)));
    is_port && (name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok_and(|ip| ip.is_ipv4()))
}

fn is_number(text: &str) -> bool {
    text.parse::<u16>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    #[test]
    fn orders_under_an_address_or_localhost_are_taken() {
        for host in [
            "127.0.0.1:9900",
            "127.0.0.1",
            "localhost:9900",
            "LocalHost",
            "[::1]:9900",
            "[::1]",
            "10.0.0.5:1",
        ] {
            assert_eq!(check(&headers(&[("host", host)])), Ok(()), "{host}");
        }
    }

    #[test]
    fn orders_under_a_name_are_not() {
        for host in [
            "evil.example:9900",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "::1",
            "[::1",
            "1:x",
            "",
        ] {
            assert_eq!(check(&headers(&[("host", host)])), Err(Forbidden::HostForeign), "{host}");
        }
    }

    #[test]
    fn exactly_one_host_is_needed() {
        assert_eq!(check(&headers(&[])), Err(Forbidden::HostMissing));
        let mut twice = headers(&[("host", "127.0.0.1")]);
        twice.append(HOST, "evil.example".parse().unwrap());
        assert_eq!(check(&twice), Err(Forbidden::HostMissing));
    }

    #[test]
    fn only_an_origin_of_the_same_host_may_give_orders() {
        let host = ("host", "127.0.0.1:9900");
        assert_eq!(check(&headers(&[host, ("origin", "http://127.0.0.1:9900")])), Ok(()));
        for origin in ["http://127.0.0.1:9901", "http://127.0.0.1", "https://evil.example", "null", ""] {
            assert_eq!(
                check(&headers(&[host, ("origin", origin)])),
                Err(Forbidden::OriginForeign),
                "{origin}"
            );
        }
    }

    #[test]
    fn long_bodies_and_those_of_unknown_length_are_refused() {
        let host = ("host", "localhost");
        assert_eq!(check(&headers(&[host, ("content-length", "65536")])), Ok(()));
        for long in [("content-length", "65537"), ("content-length", "x"), ("transfer-encoding", "chunked")] {
            assert_eq!(check(&headers(&[host, long])), Err(Forbidden::BodyTooLarge), "{long:?}");
        }
    }
}
