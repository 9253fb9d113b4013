//! JSON Web Tokens made from a secret (RFC 7519, HMAC of RFC 7518 section 3.2).
//!
//! A user's token is signed once and used until a tenth of its life is left, or until a value in its claims
//! changes.

use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jsonwebtoken::EncodingKey;
use wire::encode;

use super::template::Template;

/// How a token is signed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Algorithm {
    /// HMAC with SHA-256.
    Hs256,
    /// HMAC with SHA-384.
    Hs384,
    /// HMAC with SHA-512.
    Hs512,
}

impl Algorithm {
    const fn name(self) -> &'static str {
        match self {
            Self::Hs256 => "HS256",
            Self::Hs384 => "HS384",
            Self::Hs512 => "HS512",
        }
    }
}

impl std::convert::From<Algorithm> for jsonwebtoken::Algorithm {
    fn from(algorithm: Algorithm) -> Self {
        match algorithm {
            Algorithm::Hs256 => Self::HS256,
            Algorithm::Hs384 => Self::HS384,
            Algorithm::Hs512 => Self::HS512,
        }
    }
}

/// What makes tokens: key, claims, how long they hold.
#[derive(Clone, Debug)]
pub struct Secret {
    algorithm: Algorithm,
    key: EncodingKey,
    /// A JSON object; `iat` and `exp` are added to it when it is signed.
    claims: Template,
    life_s: u64,
}

/// A token that a user holds.
#[derive(Clone, Debug)]
pub(super) struct Held {
    pub(super) text: String,
    renew_at_unix_s: u64,
    version: u64,
}

impl Held {
    /// Whether it can still be used: not about to expire, and its claims say what they would say now.
    pub(super) fn holds(&self, secret: &Secret, version: u64, unix_s: u64) -> bool {
        unix_s < self.renew_at_unix_s && (self.version == version || secret.claims.as_fixed().is_some())
    }
}

impl Secret {
    /// Makes tokens with these claims, a template of a JSON object without `iat` and `exp`, that hold for `life`
    /// (at least a second).
    pub fn new(algorithm: Algorithm, secret: &[u8], claims: Template, life: Duration) -> Self {
        let life_s = life.as_secs().max(1);
        Self { algorithm, key: EncodingKey::from_secret(secret), claims, life_s }
    }

    pub(super) fn claims(&self) -> &Template {
        &self.claims
    }

    /// Signs rendered claims. `None` when the library refuses, which it does for no key of HMAC.
    pub(super) fn sign(&self, mut claims: Vec<u8>, version: u64, unix_s: u64) -> Option<Held> {
        // The claims end with the brace of their object; two more go in before it.
        claims.pop();
        claims.extend_from_slice(if claims == b"{" { b"\"iat\":" } else { b",\"iat\":" });
        encode::decimal(&mut claims, unix_s);
        claims.extend_from_slice(b",\"exp\":");
        encode::decimal(&mut claims, unix_s + self.life_s);
        claims.push(b'}');
        let mut text = String::new();
        let head = format!(r#"{{"alg":"{}","typ":"JWT"}}"#, self.algorithm.name());
        BASE64_URL_SAFE_NO_PAD.encode_string(head, &mut text);
        text.push('.');
        BASE64_URL_SAFE_NO_PAD.encode_string(claims, &mut text);
        let signature = jsonwebtoken::crypto::sign(text.as_bytes(), &self.key, self.algorithm.into()).ok()?;
        text.push('.');
        text.push_str(&signature);
        // A token of a few seconds is signed anew each second rather than used when it has just expired.
        let renew_at_unix_s = unix_s + self.life_s - (self.life_s / 10).max(1).min(self.life_s - 1);
        Some(Held { text, renew_at_unix_s, version })
    }
}

#[cfg(test)]
mod tests {
    use jsonwebtoken::{DecodingKey, Validation, decode};
    use serde_json::{Value, json};

    use super::*;

    fn secret(algorithm: Algorithm, claims: &str, life_s: u64) -> Secret {
        let mut template = Template::default();
        template.fixed(claims.as_bytes());
        Secret::new(algorithm, b"a secret", template, Duration::from_secs(life_s))
    }

    #[test]
    fn tokens_are_accepted_by_an_independent_reader() {
        for (ours, theirs) in [
            (Algorithm::Hs256, jsonwebtoken::Algorithm::HS256),
            (Algorithm::Hs384, jsonwebtoken::Algorithm::HS384),
            (Algorithm::Hs512, jsonwebtoken::Algorithm::HS512),
        ] {
            for (claims, wanted) in [
                (r#"{"sub":"u1"}"#, json!({"sub": "u1", "iat": 1000, "exp": 1060})),
                ("{}", json!({"iat": 1000, "exp": 1060})),
            ] {
                let held = secret(ours, claims, 60).sign(claims.into(), 0, 1000).unwrap();
                let mut validation = Validation::new(theirs);
                validation.validate_exp = false;
                let key = DecodingKey::from_secret(b"a secret");
                assert_eq!(decode::<Value>(&held.text, &key, &validation).unwrap().claims, wanted);
                assert!(
                    decode::<Value>(&held.text, &DecodingKey::from_secret(b"other"), &validation).is_err()
                );
            }
        }
    }

    #[test]
    fn a_token_is_renewed_before_it_expires_and_when_its_claims_change() {
        let fixed = secret(Algorithm::Hs256, "{}", 100);
        let held = fixed.sign(b"{}".to_vec(), 1, 1000).unwrap();
        assert!(held.holds(&fixed, 1, 1089) && !held.holds(&fixed, 1, 1090));
        assert!(held.holds(&fixed, 2, 1000), "nothing in these claims changes");
        let mut varying = fixed.clone();
        varying.claims.value(0, super::super::Encoding::Json);
        assert!(held.holds(&varying, 1, 1000) && !held.holds(&varying, 2, 1000));
        let short = secret(Algorithm::Hs256, "{}", 1);
        let held = short.sign(b"{}".to_vec(), 1, 1000).unwrap();
        assert!(held.holds(&short, 1, 1000) && !held.holds(&short, 1, 1001));
    }
}
