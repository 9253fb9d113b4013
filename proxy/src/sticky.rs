//! The cookie that ties a client to an endpoint, and the keys that the hashing policies balance by.

use std::fmt::Write as _;

use config::StickyCookie;
use traffic::upstream::Lease;

use crate::exchange::Exchange;
use crate::live::Upstream;
use crate::request_key::{self, Source, cookie_value};

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
    pub fn balance_key(&self, of: Source<'_>) -> Option<u64> {
        self.plan.balance_key.as_ref().map(|key| request_key::hash(of, key))
    }
}
