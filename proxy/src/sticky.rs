//! The cookie that ties a client to an endpoint, and the keys that the hashing policies balance by.

use std::fmt::Write as _;

use config::{BalanceKey, StickyCookie};
use traffic::balance::hash_key;
use traffic::upstream::Lease;
use wire::Field;

use crate::core::Peer;
use crate::exchange::Exchange;
use crate::live::Upstream;

/// Value of the sticky cookie that the client sent.
pub fn sent<'a>(upstream: &config::Upstream, exchange: &'a Exchange) -> Option<&'a [u8]> {
    cookie_value(exchange, &upstream.sticky_cookie.as_ref()?.name)
}

/// `Set-Cookie` that names the endpoint, where the client does not have it yet.
pub fn cookie(upstream: &config::Upstream, lease: &Lease) -> Option<Vec<u8>> {
    let tag = lease.cookie()?;
    let StickyCookie { name, max_age } = upstream.sticky_cookie.as_ref()?;
    let mut cookie = format!("{name}={tag}; Path=/; HttpOnly; SameSite=Lax");
    if let Some(age) = max_age {
        // Writing to a String does not fail.
        let _ = write!(cookie, "; Max-Age={}", age.as_secs());
    }
    Some(cookie.into_bytes())
}

impl Upstream {
    /// Hash of what the upstream balances by. A request that lacks it is balanced by its client.
    pub fn balance_key(&self, exchange: &Exchange, peer: Peer) -> Option<u64> {
        let value = match &self.plan.balance_key {
            BalanceKey::None => return None,
            BalanceKey::Client => None,
            BalanceKey::Header(name) => exchange.header(name),
            BalanceKey::Cookie(name) => cookie_value(exchange, name),
            BalanceKey::Query(name) => query_value(exchange, name),
            BalanceKey::Path => Some(&exchange.path[..]),
        };
        Some(value.map_or_else(|| client_key(exchange, peer), hash_key))
    }
}

fn client_key(exchange: &Exchange, peer: Peer) -> u64 {
    let ip = exchange.asker.map_or(peer.ip, |asker| asker.ip);
    match ip {
        std::net::IpAddr::V4(ip) => hash_key(&ip.octets()),
        std::net::IpAddr::V6(ip) => hash_key(&ip.octets()),
    }
}

/// Value of a cookie (RFC 6265 section 4.2.1).
fn cookie_value<'a>(exchange: &'a Exchange, name: &str) -> Option<&'a [u8]> {
    exchange.head.headers.all(Field::Cookie).find_map(|header| {
        header.value.of(&exchange.input).split(|&byte| byte == b';').find_map(|pair| {
            let pair = pair.trim_ascii();
            let value = pair.strip_prefix(name.as_bytes())?;
            value.strip_prefix(b"=")
        })
    })
}

/// Value of a query parameter, as sent.
fn query_value<'a>(exchange: &'a Exchange, name: &str) -> Option<&'a [u8]> {
    let query = exchange.head.query?.of(&exchange.input);
    wire::uri::query_pairs(query).find(|(key, _)| *key == name.as_bytes()).map(|(_, value)| value)
}
