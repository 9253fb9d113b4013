//! Who is asking: the peer of the connection, or whoever trusted proxies in front say it is.
//!
//! Anybody can write `X-Forwarded-For` or `Forwarded`, so they are read only when the peer itself is in
//! a trusted network, from the right, where the nearest proxy wrote, to the first hop that is not
//! trusted: the last one that a trusted proxy has seen with its own eyes. A hop that cannot be read ends
//! the walk, and the client is the hop to the right of it. Nobody is trusted unless named.

mod forwarded;
mod hop;

use core::fmt;
use core::net::{IpAddr, Ipv6Addr};
use hop::parse_hop;
use ipnet::IpNet;

/// The networks whose proxies are believed, and in which fields.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Trusted {
    networks: Vec<IpNet>,
    /// Which field names the hops.
    pub fields: Fields,
}

/// Which field names the hops. The other one may hold whatever a client wrote, for a proxy that keeps
/// one of them passes the other on untouched.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Fields {
    /// `X-Forwarded-For` if the request has it, else `Forwarded`. Right behind proxies that keep
    /// `X-Forwarded-For`, which nearly all do.
    #[default]
    XForwardedForFirst,
    /// Only `X-Forwarded-For`, with `X-Forwarded-Proto` and `X-Forwarded-Host`.
    XForwardedFor,
    /// Only `Forwarded` (RFC 7239).
    Forwarded,
}

/// The text is not a network.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BadNetwork(pub String);

impl fmt::Display for BadNetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\" is not a network, write 10.0.0.0/8, 192.0.2.1 or 2001:db8::/32", self.0)
    }
}

impl core::error::Error for BadNetwork {}

/// What a request says about the hops before the peer. Values of repeated fields in their order.
#[derive(Clone, Copy, Debug, Default)]
pub struct Claims<'a, X, F> {
    /// Values of `X-Forwarded-For`.
    pub x_forwarded_for: X,
    /// Value of `X-Forwarded-Proto`.
    pub x_forwarded_proto: Option<&'a [u8]>,
    /// Value of `X-Forwarded-Host`.
    pub x_forwarded_host: Option<&'a [u8]>,
    /// Values of `Forwarded`.
    pub forwarded: F,
}

/// The scheme that the client used.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Proto {
    /// Plain.
    Http,
    /// Over TLS.
    Https,
}

impl Proto {
    /// Reads a scheme, without regard to case.
    pub fn parse(text: &[u8]) -> Option<Self> {
        if text.eq_ignore_ascii_case(b"https") || text.eq_ignore_ascii_case(b"wss") {
            return Some(Self::Https);
        }
        (text.eq_ignore_ascii_case(b"http") || text.eq_ignore_ascii_case(b"ws")).then_some(Self::Http)
    }

    /// `http` or `https`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }
}

/// Who is asking.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Identity<'a> {
    /// The client's address; never an IPv4 address in IPv6 clothes.
    pub ip: IpAddr,
    /// The scheme that the client used, if a trusted proxy says so.
    pub proto: Option<Proto>,
    /// The host that the client asked for, if a trusted proxy says so.
    pub host: Option<&'a [u8]>,
    /// Whether the peer is in a trusted network, so that its fields are kept and added to.
    pub trusted_peer: bool,
}

impl Trusted {
    /// Trusts nobody; the same as `Trusted::default()`.
    pub fn nobody() -> Self {
        Self::default()
    }

    /// Trusts these networks.
    pub fn new(networks: Vec<IpNet>) -> Self {
        Self { networks, fields: Fields::default() }
    }

    /// Parses networks (`10.0.0.0/8`) and single addresses (`192.0.2.1`).
    pub fn parse<'t>(texts: impl IntoIterator<Item = &'t str>) -> Result<Self, BadNetwork> {
        let network = |text: &str| {
            let single = text.parse::<IpAddr>().map(IpNet::from);
            single.or_else(|_| text.parse::<IpNet>()).map_err(|_| BadNetwork(text.to_owned()))
        };
        texts.into_iter().map(network).collect::<Result<_, _>>().map(Self::new)
    }

    /// Whether the address is in one of the networks.
    pub fn contains(&self, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        self.networks.iter().any(|network| network.contains(&ip))
    }

    /// Who is asking. Allocates nothing.
    pub fn identify<'a, X, F>(&self, peer: IpAddr, claims: Claims<'a, X, F>) -> Identity<'a>
    where
        X: IntoIterator<Item = &'a [u8]>,
        F: IntoIterator<Item = &'a [u8]>,
    {
        let peer = peer.to_canonical();
        let mut identity = Identity { ip: peer, proto: None, host: None, trusted_peer: self.contains(peer) };
        if !identity.trusted_peer {
            return identity;
        }
        let mut x_forwarded_for = claims.x_forwarded_for.into_iter().peekable();
        let by_forwarded = match self.fields {
            Fields::XForwardedForFirst => x_forwarded_for.peek().is_none(),
            Fields::XForwardedFor => false,
            Fields::Forwarded => true,
        };
        let mut forwarded = claims.forwarded.into_iter().peekable();
        if by_forwarded && (self.fields == Fields::Forwarded || forwarded.peek().is_some()) {
            let mut walk = Walk::new(self);
            for element in forwarded.flat_map(forwarded::elements) {
                walk.pass(element.hop, element);
            }
            if let Some((ip, element, _)) = walk.end() {
                (identity.ip, identity.proto, identity.host) = (ip, element.proto, element.host);
            }
            return identity;
        }
        let mut walk = Walk::new(self);
        for hop in x_forwarded_for.flat_map(list) {
            walk.pass(parse_hop(hop), ());
        }
        let mut depth = 0;
        if let Some((ip, (), from_the_right)) = walk.end() {
            (identity.ip, depth) = (ip, from_the_right);
        }
        identity.proto = claims.x_forwarded_proto.and_then(|value| Proto::parse(at_depth(value, depth)?));
        identity.host =
            claims.x_forwarded_host.and_then(|value| at_depth(value, depth)).filter(|host| is_host(host));
        identity
    }
}

/// What limits count a client by: an IPv4 address, or the /64 of an IPv6 address, since whoever has one
/// address of a /64 has all of them.
pub fn group(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V4(ip) => IpAddr::V4(ip),
        IpAddr::V6(ip) => IpAddr::V6(Ipv6Addr::from_bits(ip.to_bits() >> 64 << 64)),
    }
}

/// The walk from the right, made from the left so that it needs no memory: of all hops passed so far,
/// it holds the one at which a walk from the right would have ended had the list ended here.
struct Walk<'t, T> {
    trusted: &'t Trusted,
    /// The hop, what came with it, and its place.
    end: Option<(IpAddr, T, usize)>,
    passed: usize,
}

impl<'t, T> Walk<'t, T> {
    fn new(trusted: &'t Trusted) -> Self {
        Self { trusted, end: None, passed: 0 }
    }

    fn pass(&mut self, hop: Option<IpAddr>, with: T) {
        match hop {
            // A walk from the right would not get past this one, and would not stop on it either.
            None => self.end = None,
            Some(ip) if self.end.is_none() || !self.trusted.contains(ip) => {
                self.end = Some((ip, with, self.passed));
            }
            Some(_) => {}
        }
        self.passed += 1;
    }

    /// The hop, what came with it, and its place counted from the right.
    fn end(self) -> Option<(IpAddr, T, usize)> {
        let passed = self.passed;
        self.end.map(|(ip, with, place)| (ip, with, passed - 1 - place))
    }
}

/// The members of a comma-separated list; empty ones do not count (RFC 9110 section 5.6.1).
fn list(value: &[u8]) -> impl DoubleEndedIterator<Item = &[u8]> {
    value.split(|&byte| byte == b',').map(<[u8]>::trim_ascii).filter(|member| !member.is_empty())
}

/// The member that stands as far from the right as the hop it belongs to. Most proxies keep a single
/// value and do not add to it, so when there are fewer members than hops it is the left-most.
fn at_depth(value: &[u8], depth: usize) -> Option<&[u8]> {
    list(value).rev().take(depth.saturating_add(1)).last()
}

fn is_host(host: &[u8]) -> bool {
    host.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-._:[]".contains(byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identify<'a>(
        trusted: &[&str],
        peer: &str,
        x_forwarded_for: &[&'a str],
        forwarded: &[&'a str],
    ) -> Identity<'a> {
        let trusted = Trusted::parse(trusted.iter().copied()).unwrap();
        let claims = Claims {
            x_forwarded_for: x_forwarded_for.iter().map(|value| value.as_bytes()),
            x_forwarded_proto: None,
            x_forwarded_host: None,
            forwarded: forwarded.iter().map(|value| value.as_bytes()),
        };
        trusted.identify(peer.parse().unwrap(), claims)
    }

    fn by_list(trusted: &[&str], peer: &str, values: &[&str]) -> String {
        identify(trusted, peer, values, &[]).ip.to_string()
    }

    #[test]
    fn nobody_is_trusted_by_default() {
        let identity = identify(&[], "10.0.0.1", &["6.6.6.6"], &["for=6.6.6.6;proto=https"]);
        assert_eq!(identity.ip.to_string(), "10.0.0.1");
        assert_eq!((identity.proto, identity.host, identity.trusted_peer), (None, None, false));
    }

    #[test]
    fn the_walk_from_the_right_ends_at_the_first_untrusted_hop() {
        let trusted = ["10.0.0.0/8"];
        assert_eq!(by_list(&trusted, "10.0.0.1", &["6.6.6.6, 1.2.3.4"]), "1.2.3.4");
        assert_eq!(by_list(&trusted, "10.0.0.1", &["6.6.6.6, 1.2.3.4, 10.0.0.2"]), "1.2.3.4");
        assert_eq!(by_list(&trusted, "10.0.0.1", &["6.6.6.6", "1.2.3.4", "10.0.0.3,10.0.0.2"]), "1.2.3.4");
        assert_eq!(by_list(&trusted, "10.0.0.1", &["10.0.0.3, 10.0.0.2"]), "10.0.0.3");
        assert_eq!(by_list(&trusted, "10.0.0.1", &[]), "10.0.0.1");
        assert_eq!(by_list(&trusted, "8.8.8.8", &["1.2.3.4"]), "8.8.8.8");
    }

    #[test]
    fn a_hop_that_cannot_be_read_ends_the_walk() {
        let trusted = ["10.0.0.0/8"];
        assert_eq!(by_list(&trusted, "10.0.0.1", &["1.2.3.4, unknown"]), "10.0.0.1");
        assert_eq!(by_list(&trusted, "10.0.0.1", &["1.2.3.4, garbage, 10.0.0.2"]), "10.0.0.2");
        assert_eq!(by_list(&trusted, "10.0.0.1", &["garbage, 1.2.3.4, 10.0.0.2"]), "1.2.3.4");
        assert_eq!(by_list(&trusted, "10.0.0.1", &["1.2.3.4,, 10.0.0.2,"]), "1.2.3.4");
    }

    #[test]
    fn ports_and_ipv6_are_read_in_both_fields() {
        let trusted = ["10.0.0.0/8", "fd00::/8"];
        assert_eq!(by_list(&trusted, "fd00::1", &["1.2.3.4:5678"]), "1.2.3.4");
        assert_eq!(by_list(&trusted, "fd00::1", &["[2001:db8::7]:443"]), "2001:db8::7");
        assert_eq!(by_list(&trusted, "fd00::1", &["2001:db8::7"]), "2001:db8::7");
        assert_eq!(by_list(&trusted, "::ffff:10.0.0.1", &["::ffff:1.2.3.4"]), "1.2.3.4");
        let identity =
            identify(&trusted, "fd00::1", &[], &["for=\"[2001:db8::7]:4711\";proto=https;host=a.example"]);
        assert_eq!(identity.ip.to_string(), "2001:db8::7");
        assert_eq!(identity.proto, Some(Proto::Https));
        assert_eq!(identity.host, Some(&b"a.example"[..]));
    }

    #[test]
    fn forwarded_is_walked_like_the_other_field() {
        let by = |values: &[&str]| identify(&["10.0.0.0/8"], "10.0.0.1", &[], values).ip.to_string();
        assert_eq!(by(&["for=6.6.6.6, For=1.2.3.4;by=_x, for=10.0.0.2"]), "1.2.3.4");
        assert_eq!(by(&["for=1.2.3.4, for=_hidden, for=10.0.0.2"]), "10.0.0.2");
        assert_eq!(by(&["for=1.2.3.4, for=unknown"]), "10.0.0.1");
        assert_eq!(by(&["for=6.6.6.6;x=\"", "for=1.2.3.4"]), "1.2.3.4");
        assert_eq!(by(&["for=6.6.6.6;x=\", for=1.2.3.4"]), "10.0.0.1");
    }

    #[test]
    fn only_the_chosen_field_is_believed() {
        let mut trusted = Trusted::parse(["10.0.0.0/8"]).unwrap();
        let mut by = |fields: Fields, x: Option<&'static str>, f: Option<&'static str>| {
            trusted.fields = fields;
            let claims = Claims {
                x_forwarded_for: x.map(str::as_bytes),
                x_forwarded_proto: None,
                x_forwarded_host: None,
                forwarded: f.map(str::as_bytes),
            };
            trusted.identify("10.0.0.1".parse().unwrap(), claims).ip.to_string()
        };
        let (x, f) = (Some("1.1.1.1"), Some("for=2.2.2.2"));
        assert_eq!(by(Fields::XForwardedForFirst, x, f), "1.1.1.1");
        assert_eq!(by(Fields::XForwardedForFirst, None, f), "2.2.2.2");
        assert_eq!(by(Fields::XForwardedFor, None, f), "10.0.0.1");
        assert_eq!(by(Fields::Forwarded, x, f), "2.2.2.2");
        assert_eq!(by(Fields::Forwarded, x, None), "10.0.0.1");
    }

    #[test]
    fn proto_and_host_belong_to_the_hop_they_stand_beside() {
        let trusted = Trusted::parse(["10.0.0.0/8"]).unwrap();
        let proto = |hops: &'static str, proto: &'static str| {
            let claims = Claims {
                x_forwarded_for: Some(hops.as_bytes()),
                x_forwarded_proto: Some(proto.as_bytes()),
                x_forwarded_host: Some(&b"a b"[..]),
                forwarded: None,
            };
            let identity = trusted.identify("10.0.0.1".parse().unwrap(), claims);
            assert_eq!(identity.host, None, "a host with a space was believed");
            identity.proto
        };
        assert_eq!(proto("1.2.3.4", "https"), Some(Proto::Https));
        assert_eq!(proto("1.2.3.4, 10.0.0.2", "https"), Some(Proto::Https));
        assert_eq!(proto("1.2.3.4, 10.0.0.2", "https, http"), Some(Proto::Https));
        assert_eq!(proto("6.6.6.6, 1.2.3.4, 10.0.0.2", "gopher, https, http"), Some(Proto::Https));
        assert_eq!(proto("1.2.3.4", "gopher"), None);
    }

    #[test]
    fn an_ipv6_client_is_its_64() {
        let group = |ip: &str| group(ip.parse().unwrap()).to_string();
        assert_eq!(group("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
        assert_eq!(group("192.0.2.7"), "192.0.2.7");
        assert_eq!(group("::ffff:192.0.2.7"), "192.0.2.7");
    }

    #[test]
    fn networks_are_refused_with_their_text() {
        assert_eq!(Trusted::parse(["10.0.0.0/8", "ten"]), Err(BadNetwork("ten".to_owned())));
        assert!(Trusted::parse(["192.0.2.1"]).unwrap().contains("192.0.2.1".parse().unwrap()));
    }
}
