//! What a request has of a [`RequestKey`]: the bytes that balancing, limits and fair queues tell it apart by.

use std::net::IpAddr;
use std::ops::Deref;
use std::rc::Rc;

use config::RequestKey;
use traffic::balance::hash_key;
use traffic::client;
use traffic::route::Params;
use wire::{Field, uri};

use crate::exchange::Exchange;
use crate::live::Live;
use crate::token;

/// Longest address: an IPv6 one.
const ADDRESS_BYTES: usize = 16;

/// Where keys are read from.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    /// The configuration that the request began with.
    pub live: &'a Live,
    /// The request, once its route is selected.
    pub exchange: &'a Exchange,
    /// The address of the peer, for a request whose client is not known by then.
    pub peer: IpAddr,
}

/// The bytes of a key.
#[derive(Clone, Debug)]
pub enum Value<'a> {
    /// A part of the request.
    Part(&'a [u8]),
    /// An address, and how long it is.
    Address([u8; ADDRESS_BYTES], usize),
    /// What was made of it: a claim that was verified, a parameter that was decoded.
    Made(Rc<[u8]>),
}

impl Deref for Value<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Part(bytes) => bytes,
            Self::Made(bytes) => bytes,
            Self::Address(bytes, len) => &bytes[..*len],
        }
    }
}

/// The bytes of this key that the request has; `None` when it has none of it, or only an empty one.
pub fn read<'a>(of: Source<'a>, key: &'a RequestKey) -> Option<Value<'a>> {
    let exchange = of.exchange;
    let part = match key {
        RequestKey::Client => return Some(client(of)),
        RequestKey::Header(name) => exchange.header(name),
        RequestKey::Cookie(name) => cookie_value(exchange, name),
        RequestKey::Query(name) => return query_value(exchange, name).filter(|value| !value.is_empty()),
        RequestKey::Claim(name) => return token::claim(of.live, exchange, name).map(Value::Made),
        RequestKey::Path => Some(&exchange.path[..]),
        RequestKey::Parameter(name) => parameter(of, name),
        RequestKey::Route => {
            return Some(Value::Part(of.live.plan.routes[exchange.facts.route_index?].name.as_bytes()));
        }
        RequestKey::Global => return Some(Value::Part(b"")),
    };
    part.filter(|part| !part.is_empty()).map(Value::Part)
}

/// A number that stands for this key of the request; for its client, where it has none.
pub fn hash(of: Source<'_>, key: &RequestKey) -> u64 {
    hash_key(&read(of, key).unwrap_or_else(|| client(of)))
}

/// The client's address, as limits count it.
fn client(of: Source<'_>) -> Value<'static> {
    address(of.exchange.asker.map_or(of.peer, |asker| asker.ip))
}

/// A client's address, as limits count it.
pub fn address(ip: IpAddr) -> Value<'static> {
    let mut bytes = [0; ADDRESS_BYTES];
    match client::group(ip) {
        IpAddr::V4(ip) => {
            bytes[..4].copy_from_slice(&ip.octets());
            Value::Address(bytes, 4)
        }
        IpAddr::V6(ip) => {
            bytes[..8].copy_from_slice(&ip.octets()[..8]);
            Value::Address(bytes, 8)
        }
    }
}

/// Value of a cookie (RFC 6265 section 4.2.1).
pub fn cookie_value<'a>(exchange: &'a Exchange, name: &str) -> Option<&'a [u8]> {
    exchange.head.headers.all(Field::Cookie).find_map(|header| {
        header.value.of(&exchange.input).split(|&byte| byte == b';').find_map(|pair| {
            let pair = pair.trim_ascii();
            let value = pair.strip_prefix(name.as_bytes())?;
            value.strip_prefix(b"=")
        })
    })
}

/// Value of a query parameter, as the app will read it: else whoever spells it in another way has another quota.
fn query_value<'a>(exchange: &'a Exchange, name: &str) -> Option<Value<'a>> {
    let query = exchange.head.query?.of(&exchange.input);
    let (_, value) = uri::query_pairs(query).find(|(key, _)| *decoded(key) == *name.as_bytes())?;
    Some(decoded(value))
}

/// A name or a value of a query without its escapes. What has one that is none stays as it was sent.
fn decoded(text: &[u8]) -> Value<'_> {
    if !text.iter().any(|byte| matches!(byte, b'%' | b'+')) {
        return Value::Part(text);
    }
    let spaced: Vec<u8> = text.iter().map(|&byte| if byte == b'+' { b' ' } else { byte }).collect();
    uri::percent_decode(&spaced, &mut Vec::new()).map_or(Value::Part(text), |plain| Value::Made(plain.into()))
}

/// Value of a parameter of the route's path.
fn parameter<'a>(of: Source<'a>, name: &str) -> Option<&'a [u8]> {
    let exchange = of.exchange;
    let mut params = Params::new();
    let header = |name: &str| exchange.header(name);
    // Known to select the request's route: it did a moment ago.
    let _ = of.live.table.select(&exchange.query(&header), &mut params);
    params.value(name, &exchange.path)
}
