//! Limits of routes and of the server, who is exempt from them, and how tokens are verified.

use std::path::Path;
use std::sync::Arc;

use jsonwebtoken::{Algorithm, DecodingKey};
use toml::Spanned;
use traffic::limit::{CHECKS_MAX, Pace, Rule, Settings};
use traffic::route::PathPattern;

use super::Lowering;
use crate::address::Network;
use crate::field::is_token;
use crate::file::{self, JwtAlgorithm};
use crate::plan::{Access, Cost, Jwt, Limit, Missing, RequestKey, Route};
use crate::read::{Key, List};

/// Limits of one route, and of the server: a request is checked against both.
const LIMITS_MAX: usize = CHECKS_MAX / 2;

/// Limits of all routes together.
const LIMITS_OF_ALL_MAX: usize = 10_000;

/// Least bandwidth: slower than that, clients would be taken to be gone.
const BANDWIDTH_MIN: u64 = 1024;

/// Shortest secret: as long as the hash (RFC 7518 section 3.2).
const SECRET_MIN: usize = 32;

impl Lowering<'_> {
    /// The limits of `whose`, a route with that path or the server.
    pub(super) fn limits_of(
        &mut self,
        whose: &str,
        written: &Key<List<file::Limit>>,
        path: Option<&PathPattern>,
    ) -> Vec<Arc<Limit>> {
        let Some(list) = written.get() else { return Vec::new() };
        if list.0.len() > LIMITS_MAX {
            let help = "take some away, or let one of them count for several";
            self.error(written.span(), format!("{whose}.limit has more than {LIMITS_MAX} limits"), help);
        }
        let mut limits: Vec<Arc<Limit>> = Vec::new();
        for limit in list.0.iter().take(LIMITS_MAX) {
            let Some(made) = self.limit(whose, limit, path) else { continue };
            if limits.iter().any(|known| known.name == made.name) {
                let help = "give one of them a name = \"…\" of its own";
                self.error(
                    limit.span(),
                    format!("two limits of the {whose} are named \"{}\"", made.name),
                    help,
                );
            }
            limits.push(Arc::new(made));
        }
        limits
    }

    /// What limits take is bounded, so their number is.
    pub(super) fn not_too_many_limits(&mut self, routes: &[Route]) {
        let count: usize = routes.iter().map(|route| route.limit.len()).sum();
        if count > LIMITS_OF_ALL_MAX {
            let help = "let one limit of the server count for several routes; a route counts once for each of its hosts";
            self.error(
                None,
                format!("all routes together have {count} limits, {LIMITS_OF_ALL_MAX} at most"),
                help,
            );
        }
    }

    fn limit(
        &mut self,
        whose: &str,
        spanned: &Spanned<file::Limit>,
        path: Option<&PathPattern>,
    ) -> Option<Limit> {
        let (span, limit) = (spanned.span(), spanned.get_ref());
        if limit.has_mistakes {
            return None;
        }
        let by = self.request_key(&Spanned::new(limit.by.span().unwrap_or(span.clone()), limit.by()))?;
        if let (RequestKey::Parameter(name), Some(path)) = (&by, path)
            && !path.to_string().contains(&format!("{{{name}}}"))
        {
            let help = format!("write path = \"…/{{{name}}}\", or count by something else");
            self.error(limit.by.span(), format!("the path has no parameter {{{name}}}"), help);
        }
        let settings = self.settings(limit);
        if [limit.rate.is_absent(), limit.concurrency.is_absent(), limit.bandwidth.is_absent()] == [true; 3] {
            let help = "add rate = \"100/s\", concurrency = 10 or bandwidth = \"1 MiB/s\"";
            self.error(span, format!("a limit of the {whose} does not say how much"), help);
            return None;
        }
        if limit.rate.is_absent() {
            for (key, span) in [("burst", limit.burst.span()), ("cost", limit.cost.span())] {
                if let Some(span) = span {
                    self.error(span, format!("limit.{key} needs limit.rate"), "add rate = \"100/s\"");
                }
            }
        }
        let name = limit.name.get().cloned().unwrap_or_else(|| by.to_string());
        let fits = |byte: u8| byte.is_ascii_graphic() && !b"\"\\,;{}".contains(&byte);
        if name.is_empty() || name.len() > 64 || !name.bytes().all(fits) {
            let help = "write 1 to 64 letters, digits and \"-\"";
            self.error(limit.name.span(), format!("limit.name: \"{name}\" cannot stand in answers"), help);
        }
        let missing = match limit.missing() {
            file::Missing::Share => Missing::Share,
            file::Missing::Pass => Missing::Pass,
            file::Missing::Refuse => Missing::Refuse,
        };
        Some(Limit { name, by, missing, settings, cost: self.cost(&limit.cost()) })
    }

    fn settings(&mut self, limit: &file::Limit) -> Settings {
        let rule = limit.rate.written().and_then(|rate| {
            let (count, per) = (rate.get_ref().count, rate.get_ref().per);
            let burst = limit.burst.get().map_or(count, |burst| burst.0);
            let rule = Rule::new(count, per, burst);
            if rule.is_none() {
                let help = "a bucket has to be full again within a year: lower burst or raise rate";
                self.error(rate.span(), "limit.rate is too slow for its burst".to_owned(), help);
            }
            rule
        });
        let bandwidth = limit.bandwidth.written();
        if let Some(bandwidth) = bandwidth.filter(|bandwidth| bandwidth.get_ref().0 < BANDWIDTH_MIN) {
            let help = "write at least \"1 KiB/s\"";
            self.error(bandwidth.span(), "limit.bandwidth is too little".to_owned(), help);
        }
        Settings {
            rule,
            concurrency: limit.concurrency.get().map_or(0, |most| most.0 as u32),
            pace: bandwidth.and_then(|bandwidth| Pace::new(bandwidth.get_ref().0)),
            dry_run: limit.dry_run(),
        }
    }

    fn cost(&mut self, cost: &file::Cost) -> Cost {
        let mut methods = Vec::new();
        for (method, count) in cost.methods().0 {
            if !is_token(method.get_ref()) {
                let help = "write a method such as \"POST\"";
                self.error(
                    method.span(),
                    format!("cost.methods: \"{}\" is no method", method.get_ref()),
                    help,
                );
            }
            methods.push((method.get_ref().clone(), count.get_ref().0));
        }
        if let Some(header) = cost.header.written().filter(|header| !is_token(header.get_ref())) {
            let help = "write letters, digits and \"-\"";
            self.error(header.span(), format!("cost.header: \"{}\" is no name", header.get_ref()), help);
        }
        Cost {
            usual: cost.usual().0,
            methods,
            header: cost.header.get().map(|header| header.to_ascii_lowercase()),
        }
    }

    /// Who is never limited, and who is refused.
    pub(super) fn access(&mut self, allow: &Key<List<Network>>, deny: &Key<List<Network>>) -> Access {
        for (key, list) in [("allow", allow), ("deny", deny)] {
            if let Some(list) = list.written().filter(|list| list.get_ref().0.is_empty()) {
                let help = format!("write {key} = [\"192.0.2.0/24\"], or leave it out");
                self.error(list.span(), format!("{key} names no network"), help);
            }
        }
        let networks = |list: &Key<List<Network>>| {
            list.get()
                .map(|list| list.0.iter().map(|network| network.get_ref().0).collect())
                .unwrap_or_default()
        };
        Access { allow: networks(allow), deny: networks(deny) }
    }

    /// How tokens are verified.
    pub(super) fn jwt(&mut self, written: &Key<file::Jwt>) -> Option<Arc<Jwt>> {
        let (span, jwt) = (written.span()?, written.get()?);
        let algorithm = match jwt.algorithm() {
            JwtAlgorithm::Hs256 => Algorithm::HS256,
            JwtAlgorithm::Rs256 => Algorithm::RS256,
            JwtAlgorithm::Es256 => Algorithm::ES256,
        };
        let (wanted, unwanted, span_of_unwanted) = match algorithm {
            Algorithm::HS256 => (&jwt.secret, "key", jwt.key.span()),
            _ => (&jwt.key, "secret", jwt.secret.span()),
        };
        if let Some(span) = span_of_unwanted {
            let help = format!("leave {unwanted} out, or choose another algorithm");
            self.error(span, format!("jwt.{unwanted} has nothing to do with {algorithm:?}"), help);
        }
        if wanted.is_absent() && !jwt.has_mistakes {
            let help = match algorithm {
                Algorithm::HS256 => "add secret = \"${JWT_SECRET}\"",
                _ => "add key = \"jwt.pem\"",
            };
            self.error(span, format!("server.jwt has nothing to verify {algorithm:?} with"), help);
        }
        let (key, secret) = self.decoding_key(algorithm, wanted.written()?)?;
        if let Some(cookie) = jwt.cookie.written().filter(|cookie| !is_token(cookie.get_ref())) {
            let help = "write letters, digits, \"-\" and \"_\"";
            self.error(cookie.span(), format!("\"{}\" is no name for a cookie", cookie.get_ref()), help);
        }
        Some(Arc::new(Jwt {
            algorithm,
            key,
            fingerprint: Jwt::fingerprint_of(&secret),
            cookie: jwt.cookie.get().cloned(),
            issuer: jwt.issuer.get().cloned(),
            audience: jwt.audience.get().cloned(),
            leeway: jwt.leeway().0,
        }))
    }

    fn decoding_key(
        &mut self,
        algorithm: Algorithm,
        written: &Spanned<String>,
    ) -> Option<(DecodingKey, Vec<u8>)> {
        let (span, text) = (written.span(), written.get_ref());
        if algorithm == Algorithm::HS256 {
            if text.len() < SECRET_MIN {
                let help = "whoever guesses it can be anybody: write 32 random characters or more";
                self.error(span, format!("jwt.secret has fewer than {SECRET_MIN} bytes"), help);
            }
            return Some((DecodingKey::from_secret(text.as_bytes()), text.clone().into_bytes()));
        }
        let pem = match (self.read)(Path::new(text)) {
            Ok(pem) => pem,
            Err(why) => {
                let help = "the path is taken from the folder of this file";
                self.error(span, format!("cannot read \"{text}\": {why}"), help);
                return None;
            }
        };
        let key = match algorithm {
            Algorithm::RS256 => DecodingKey::from_rsa_pem(&pem),
            _ => DecodingKey::from_ec_pem(&pem),
        };
        if key.is_err() {
            let help = "write the public key in PEM: -----BEGIN PUBLIC KEY-----";
            self.error(span, format!("\"{text}\" holds no public key for {algorithm:?}"), help);
        }
        Some((key.ok()?, pem))
    }
}
