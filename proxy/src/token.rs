//! Tokens (JWT, RFC 7519) whose claims are keys of requests: verified once, and remembered.
//!
//! Verifying a signature costs more than all the rest of a request, so each core remembers what it has verified, as
//! long as the token is valid, in a bounded memory; also what was not valid, for a short while. A claim counts only if
//! the signature does.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::SystemTime;

use config::Jwt;
use jsonwebtoken::{Validation, decode};
use quick_cache::Weighter;
use quick_cache::unsync::Cache;
use serde_json::{Map, Value};
use wire::Field;

use crate::core::unix_s;
use crate::exchange::Exchange;
use crate::live::Live;
use crate::request_key::cookie_value;

/// Tokens that one core remembers, about, and the bytes of them all.
const TOKENS: usize = 4096;
const TOKENS_BYTES: u64 = 4 << 20;

/// Longest token that is looked at.
const TOKEN_BYTES: usize = 8 * 1024;

/// How long a token that is not valid is remembered: it may become so.
const INVALID_SECONDS: u64 = 10;

/// Longest claim that can be a key.
const CLAIM_BYTES: usize = 256;

thread_local! {
    // A thread is a core. What is asked for keys need not have the core at hand.
    static KNOWN: RefCell<Known> = RefCell::new(Known::new());
}

/// What is remembered, of the configuration that it was verified by.
struct Known {
    live_id: u64,
    tokens: Cache<Box<[u8]>, Rc<Token>, Weight>,
}

/// A token that was looked at.
struct Token {
    /// Its scalar claims; none if it is not valid.
    claims: Vec<(String, Rc<[u8]>)>,
    /// Seconds since 1970 past which it has to be looked at again.
    until: u64,
}

#[derive(Clone)]
struct Weight;

impl Weighter<Box<[u8]>, Rc<Token>> for Weight {
    fn weight(&self, key: &Box<[u8]>, token: &Rc<Token>) -> u64 {
        let claims: usize = token.claims.iter().map(|(name, value)| name.len() + value.len() + 64).sum();
        (key.len() + claims + 128) as u64
    }
}

impl Known {
    fn new() -> Self {
        Self { live_id: 0, tokens: Cache::with_weighter(TOKENS, TOKENS_BYTES, Weight) }
    }
}

/// Value of a claim of the request's token, if there is one and it is valid.
pub fn claim(live: &Live, exchange: &Exchange, name: &str) -> Option<Rc<[u8]>> {
    let jwt = live.plan.server.jwt.as_deref()?;
    let token = match &jwt.cookie {
        Some(cookie) => cookie_value(exchange, cookie)?,
        None => bearer(exchange.head.headers.get(Field::Authorization)?.value.of(&exchange.input))?,
    };
    if token.len() > TOKEN_BYTES {
        return None;
    }
    let now = unix_s(SystemTime::now());
    KNOWN.with_borrow_mut(|known| {
        if known.live_id != live.id {
            *known = Known { live_id: live.id, ..Known::new() };
        }
        let remembered = known.tokens.get(token).filter(|token| now < token.until).map(Rc::clone);
        let looked_at = remembered.unwrap_or_else(|| {
            let fresh = Rc::new(verify(jwt, token, now));
            known.tokens.insert(token.into(), Rc::clone(&fresh));
            fresh
        });
        looked_at.claims.iter().find(|(known, _)| known == name).map(|(_, value)| Rc::clone(value))
    })
}

/// The token of an Authorization field (RFC 6750 section 2.1).
fn bearer(value: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = value.split_at_checked(7)?;
    scheme.eq_ignore_ascii_case(b"bearer ").then(|| token.trim_ascii())
}

fn verify(jwt: &Jwt, token: &[u8], now: u64) -> Token {
    let mut validation = Validation::new(jwt.algorithm);
    validation.leeway = jwt.leeway.as_secs();
    validation.validate_nbf = true;
    // A token without an end is the issuer's business; one that has ended is not valid.
    validation.required_spec_claims.clear();
    match &jwt.issuer {
        Some(issuer) => {
            validation.set_issuer(&[issuer]);
            validation.required_spec_claims.insert("iss".to_owned());
        }
        None => validation.iss = None,
    }
    match &jwt.audience {
        Some(audience) => {
            validation.set_audience(&[audience]);
            validation.required_spec_claims.insert("aud".to_owned());
        }
        None => validation.validate_aud = false,
    }
    let decoded = decode::<Map<String, Value>>(token, &jwt.key, &validation).ok();
    // What has to be understood is not (RFC 7515 section 4.1.11).
    let Some(decoded) = decoded.filter(|decoded| decoded.header.crit.is_none()) else {
        return Token { claims: Vec::new(), until: now + INVALID_SECONDS };
    };
    let ends = decoded.claims.get("exp").and_then(Value::as_f64).map_or(u64::MAX, |end| end as u64);
    let claims = decoded.claims.into_iter().filter_map(|(name, value)| Some((name, scalar(&value)?)));
    Token { claims: claims.collect(), until: ends.saturating_add(jwt.leeway.as_secs()) }
}

/// A claim that can be a key: text, a number, true or false.
fn scalar(value: &Value) -> Option<Rc<[u8]>> {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Number(_) | Value::Bool(_) => value.to_string(),
        Value::Null | Value::Array(_) | Value::Object(_) => return None,
    };
    (1..=CLAIM_BYTES).contains(&text.len()).then(|| Rc::from(text.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scheme_is_bearer_in_any_case() {
        assert_eq!(bearer(b"Bearer abc"), Some(&b"abc"[..]));
        assert_eq!(bearer(b"bEARER  abc "), Some(&b"abc"[..]));
        for value in [&b"Basic abc"[..], b"Bearer", b"abc", b""] {
            assert_eq!(bearer(value), None);
        }
    }

    #[test]
    fn claims_that_are_no_scalars_are_no_keys() {
        assert_eq!(scalar(&Value::from("a")).as_deref(), Some(&b"a"[..]));
        assert_eq!(scalar(&Value::from(7)).as_deref(), Some(&b"7"[..]));
        assert!(scalar(&Value::from("")).is_none() && scalar(&Value::from(vec![1])).is_none());
        assert!(scalar(&Value::from("x".repeat(CLAIM_BYTES + 1))).is_none());
    }
}
