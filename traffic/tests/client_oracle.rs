//! Client identity against an oracle that walks a list from the right, and against arbitrary bytes.

use proptest::prelude::*;
use std::net::{IpAddr, Ipv4Addr};
use tidegate_traffic::client::{Claims, Fields, Identity, Trusted, group};

const PEER: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));

fn trusted(fields: Fields) -> Trusted {
    let mut trusted = Trusted::parse(["10.0.0.0/8", "fd00::/8"]).unwrap();
    trusted.fields = fields;
    trusted
}

fn by_list(values: &[Vec<u8>]) -> Identity<'_> {
    trusted(Fields::XForwardedFor).identify(PEER, claims(values, &[]))
}

fn by_forwarded(values: &[Vec<u8>]) -> Identity<'_> {
    trusted(Fields::Forwarded).identify(PEER, claims(&[], values))
}

fn claims<'a>(
    x_forwarded_for: &'a [Vec<u8>],
    forwarded: &'a [Vec<u8>],
) -> Claims<'a, impl Iterator<Item = &'a [u8]>, impl Iterator<Item = &'a [u8]>> {
    Claims {
        x_forwarded_for: x_forwarded_for.iter().map(Vec::as_slice),
        x_forwarded_proto: None,
        x_forwarded_host: None,
        forwarded: forwarded.iter().map(Vec::as_slice),
    }
}

/// A hop as it is written in each field, and what it says.
#[derive(Clone, Debug)]
struct Hop {
    listed: String,
    forwarded: String,
    ip: Option<IpAddr>,
}

fn hop() -> impl Strategy<Value = Hop> {
    let trusted_v4 = (0_u8..4).prop_map(|last| IpAddr::from([10, 0, 0, last]));
    let other_v4 = (0_u8..4).prop_map(|last| IpAddr::from([192, 0, 2, last]));
    let trusted_v6 = (0_u16..4).prop_map(|last| IpAddr::from([0xfd00, 0, 0, 0, 0, 0, 0, last]));
    let other_v6 = (0_u16..4).prop_map(|last| IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, last]));
    let ip = prop_oneof![trusted_v4, other_v4, trusted_v6, other_v6];
    let named = (ip, prop::option::of(1_u16..)).prop_map(|(ip, port)| {
        let bare = if ip.is_ipv6() { format!("[{ip}]") } else { ip.to_string() };
        let listed = port.map_or(ip.to_string(), |port| format!("{bare}:{port}"));
        let quoted = port.map_or(bare.clone(), |port| format!("{bare}:{port}"));
        Hop { listed, forwarded: format!("proto=http;For=\"{quoted}\""), ip: Some(ip) }
    });
    let unnamed = prop::sample::select(vec!["unknown", "_hidden", "example.org", "1.2.3", "[::1"]);
    let unnamed =
        unnamed.prop_map(|text| Hop { listed: text.into(), forwarded: format!("for={text}"), ip: None });
    prop_oneof![4 => named, 1 => unnamed]
}

/// The rule as one would tell it: go left as long as the hop at hand is trusted and the next is readable.
fn oracle(hops: &[Hop]) -> IpAddr {
    let trusted = trusted(Fields::XForwardedFor);
    let mut client = PEER;
    for hop in hops.iter().rev() {
        if !trusted.contains(client) {
            break;
        }
        let Some(ip) = hop.ip else { break };
        client = ip;
    }
    client
}

/// Joins the hops into field values, cut into several fields at random places.
fn values(hops: &[Hop], cuts: &[bool], text: impl Fn(&Hop) -> &str) -> Vec<Vec<u8>> {
    let mut values: Vec<Vec<u8>> = Vec::new();
    for (position, hop) in hops.iter().enumerate() {
        match values.last_mut() {
            Some(last) if !cuts[position] => {
                last.extend_from_slice(b", ");
                last.extend_from_slice(text(hop).as_bytes());
            }
            _ => values.push(text(hop).as_bytes().to_vec()),
        }
    }
    values
}

/// Bytes that look like the fields more often than chance would have it.
fn noise() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let piece = prop_oneof![
        prop::sample::select(vec![
            "for=",
            "proto=",
            "host=",
            "\"",
            "\\",
            ";",
            ",",
            "[",
            "]",
            ":",
            "=",
            " ",
            "\t",
            "10.0.0.9",
            "::1",
            "_x",
            "192.0.2.1",
            "[fd00::1]",
            "4711",
        ])
        .prop_map(|text| text.as_bytes().to_vec()),
        prop::collection::vec(any::<u8>(), 0..4),
    ];
    let value = prop::collection::vec(piece, 0..20).prop_map(|pieces| pieces.concat());
    prop::collection::vec(value, 0..4)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn both_fields_name_the_client_that_a_walk_from_the_right_finds(
        hops in prop::collection::vec(hop(), 0..8),
        cuts in prop::collection::vec(any::<bool>(), 8),
    ) {
        let expected = oracle(&hops);
        prop_assert_eq!(by_list(&values(&hops, &cuts, |hop| &hop.listed)).ip, expected);
        prop_assert_eq!(by_forwarded(&values(&hops, &cuts, |hop| &hop.forwarded)).ip, expected);
    }

    #[test]
    fn what_a_client_writes_never_outweighs_what_the_proxy_adds(written in noise()) {
        let seen = IpAddr::from([203, 0, 113, 7]);
        let mut listed = written.clone();
        listed.push(seen.to_string().into_bytes());
        prop_assert_eq!(by_list(&listed).ip, seen);
        let mut forwarded = written.clone();
        forwarded.push(format!("for={seen};proto=https").into_bytes());
        prop_assert_eq!(by_forwarded(&forwarded).ip, seen);
    }

    /// A proxy may add to the client's own value instead of sending one of its own. An open quote can
    /// then hide what the proxy saw, but never put another address in its place.
    #[test]
    fn an_open_quote_can_hide_the_client_but_not_replace_it(written in noise()) {
        let seen = IpAddr::from([203, 0, 113, 7]);
        let mut joined = written.concat();
        joined.extend_from_slice(format!(", for=\"{seen}\";proto=https").as_bytes());
        let found = by_forwarded(&[joined.clone()]).ip;
        prop_assert!(found == seen || found == PEER, "{} from {}", found, joined.escape_ascii());
    }

    #[test]
    fn nobody_is_believed_unless_trusted(written in noise()) {
        for fields in [Fields::XForwardedForFirst, Fields::XForwardedFor, Fields::Forwarded] {
            let mut nobody = Trusted::nobody();
            nobody.fields = fields;
            let identity = nobody.identify(PEER, claims(&written, &written));
            let expected = Identity { ip: PEER, proto: None, host: None, trusted_peer: false };
            prop_assert_eq!(identity, expected);
        }
    }

    #[test]
    fn addresses_of_one_64_are_one_client(high in any::<u64>(), low in any::<u64>(), other in any::<u64>()) {
        // Mapped IPv4 addresses are clients of their own.
        prop_assume!(high != 0);
        let ip = |low: u64| IpAddr::from(((u128::from(high) << 64) | u128::from(low)).to_be_bytes());
        prop_assert_eq!(group(ip(low)), group(ip(other)));
        prop_assert_eq!(group(ip(low)), ip(0));
    }
}
