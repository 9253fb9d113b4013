//! What browsers are told: security fields and CORS.

use core::ops::Range;
use std::fmt::Write as _;
use std::sync::Arc;

use toml::Spanned;

use super::Lowering;
use crate::field::{is_token, is_value};
use crate::file::{self, OpenerPolicy, ReferrerPolicy, ResourcePolicy};
use crate::plan::{Cors, Origins, SecurityField, SecurityHeaders};
use crate::read::{Key, List, OneOrMany, Toggle};

/// What browsers ask for before they build a host in: a year.
const PRELOAD_SECONDS: u64 = 31_536_000;

impl Lowering<'_> {
    pub(super) fn security(
        &mut self,
        written: Option<&Spanned<Toggle<file::SecurityHeaders>>>,
    ) -> Option<Arc<SecurityHeaders>> {
        let (span, security) = (written?.span(), written?.get_ref().on()?);
        let mut fields: Vec<SecurityField> = Vec::new();
        let mut add = |name, shown: &str, value: &str| {
            fields.push(SecurityField { name, line: format!("{shown}: {value}\r\n").into_bytes().into() });
        };
        if security.nosniff() {
            add("x-content-type-options", "X-Content-Type-Options", "nosniff");
        }
        let (policy, frame_options) = self.content_policy(security);
        if let Some(value) = frame_options {
            add("x-frame-options", "X-Frame-Options", value);
        }
        if let Some(value) = security.referrer_policy().on() {
            add("referrer-policy", "Referrer-Policy", referrer_policy(*value));
        }
        if let Some(value) = security.permissions_policy().on() {
            self.sendable("permissions_policy", security.permissions_policy.span(), value);
            add("permissions-policy", "Permissions-Policy", value);
        }
        if !policy.is_empty() {
            add("content-security-policy", "Content-Security-Policy", &policy);
        }
        if let Some(value) = security.opener_policy.get() {
            add("cross-origin-opener-policy", "Cross-Origin-Opener-Policy", opener_policy(*value));
        }
        if let Some(value) = security.resource_policy.get() {
            add("cross-origin-resource-policy", "Cross-Origin-Resource-Policy", resource_policy(*value));
        }
        let hsts_line = security.hsts().on().map(|hsts| self.hsts(hsts)).unwrap_or_default();
        if fields.is_empty() && hsts_line.is_empty() {
            self.error(span, "security_headers sends nothing".to_owned(), "write security_headers = false");
        }
        let lines = fields.iter().flat_map(|field| field.line.iter().copied()).collect();
        Some(Arc::new(SecurityHeaders { lines, fields: fields.into(), hsts_line }))
    }

    fn sendable(&mut self, key: &str, span: Option<Range<usize>>, value: &str) {
        if value.is_empty() || !is_value(value) || !value.is_ascii() {
            let help = "write plain ASCII without line breaks, and no blanks at the ends";
            self.error(span, format!("security_headers.{key} cannot be sent"), help);
        }
    }

    /// The whole Content-Security-Policy, and X-Frame-Options where it can say the same about frames.
    fn content_policy(&mut self, security: &file::SecurityHeaders) -> (String, Option<&'static str>) {
        let mut policy = security.csp.get().cloned().unwrap_or_default();
        if let Some(csp) = security.csp.written() {
            self.sendable("csp", Some(csp.span()), csp.get_ref());
            let names_frames = |directive: &str| {
                let name = directive.split_ascii_whitespace().next().unwrap_or_default();
                name.eq_ignore_ascii_case("frame-ancestors")
            };
            if policy.split(';').any(names_frames) {
                if !security.frame_ancestors.is_absent() {
                    let help = "leave one of them out";
                    let message = "security_headers: csp and frame_ancestors both say who may show frames";
                    self.error(security.frame_ancestors.span(), message.to_owned(), help);
                }
                return (policy, None);
            }
        }
        let ancestors = security.frame_ancestors();
        let Some(ancestors) = ancestors.on() else { return (policy, None) };
        let (sources, frame_options) = self.frame_ancestors(security, ancestors);
        let end = policy.trim_end_matches([';', ' ']).len();
        policy.truncate(end);
        let between = if policy.is_empty() { "" } else { "; " };
        let _ = write!(policy, "{between}frame-ancestors {sources}");
        (policy, frame_options)
    }

    fn frame_ancestors(
        &mut self,
        security: &file::SecurityHeaders,
        ancestors: &OneOrMany<String>,
    ) -> (String, Option<&'static str>) {
        let mut sources = Vec::new();
        for entry in &ancestors.0 {
            match entry.get_ref().as_str() {
                "self" => sources.push("'self'".to_owned()),
                "none" => sources.push("'none'".to_owned()),
                _ => sources.extend(self.origin("security_headers.frame_ancestors", entry)),
            }
        }
        let has_none = sources.iter().any(|source| source == "'none'");
        if ancestors.0.is_empty() || (has_none && sources.len() > 1) {
            let help = "write \"none\", \"self\", or origins such as [\"self\", \"https://example.org\"]";
            let message = "security_headers.frame_ancestors does not say who";
            self.error(security.frame_ancestors.span(), message.to_owned(), help);
        }
        let frame_options = match sources.as_slice() {
            [one] if one == "'self'" => Some("SAMEORIGIN"),
            [one] if one == "'none'" => Some("DENY"),
            _ => None,
        };
        (sources.join(" "), frame_options)
    }

    fn hsts(&mut self, hsts: &file::Hsts) -> Box<[u8]> {
        let seconds = hsts.max_age().0.as_secs();
        if hsts.preload() && (seconds < PRELOAD_SECONDS || !hsts.subdomains()) {
            let help = "write max_age = \"365d\" and subdomains = true, or leave preload out";
            let message = "security_headers.hsts: preload needs a year and subdomains";
            self.error(hsts.preload.span(), message.to_owned(), help);
        }
        let subdomains = if hsts.subdomains() { "; includeSubDomains" } else { "" };
        let preload = if hsts.preload() { "; preload" } else { "" };
        format!("Strict-Transport-Security: max-age={seconds}{subdomains}{preload}\r\n").into_bytes().into()
    }

    pub(super) fn cors(&mut self, written: Option<&Spanned<Toggle<file::Cors>>>) -> Option<Arc<Cors>> {
        let (span, cors) = (written?.span(), written?.get_ref().on()?);
        let origins = self.origins(cors);
        if origins.is_none() && cors.origins.is_absent() {
            let help = "write cors = { origins = [\"https://example.org\"] }";
            self.error(span, "cors names no origin".to_owned(), help);
        }
        let mut lines = String::new();
        if cors.credentials() {
            lines.push_str("Access-Control-Allow-Credentials: true\r\n");
        }
        let mut preflight_lines = lines.clone();
        let expose = self.names(cors, "expose", &cors.expose, &cors.expose());
        let methods = self.names(cors, "methods", &cors.methods, &cors.methods());
        let headers = self.names(cors, "headers", &cors.headers, &cors.headers());
        field(&mut lines, "Access-Control-Expose-Headers", &expose);
        field(&mut preflight_lines, "Access-Control-Allow-Methods", &methods);
        field(&mut preflight_lines, "Access-Control-Allow-Headers", &headers);
        field(&mut preflight_lines, "Access-Control-Max-Age", &cors.max_age().0.as_secs().to_string());
        Some(Arc::new(Cors {
            origins: origins.unwrap_or(Origins::Listed(Vec::new())),
            lines: lines.into_bytes().into(),
            preflight_lines: preflight_lines.into_bytes().into(),
        }))
    }

    fn origins(&mut self, cors: &file::Cors) -> Option<Origins> {
        let written = cors.origins.written()?;
        let entries = &written.get_ref().0;
        if entries.iter().any(|entry| entry.get_ref() == "*") {
            if entries.len() > 1 {
                let help = "take the others away, or the star";
                self.error(written.span(), "cors.origins: \"*\" is everybody already".to_owned(), help);
            }
            if cors.credentials() {
                let help = "name the origins, or leave credentials out: browsers refuse both together";
                let message = "cors.credentials: not for everybody's pages".to_owned();
                self.error(cors.credentials.span(), message, help);
            }
            return Some(Origins::Any);
        }
        if entries.is_empty() {
            let help = "name at least one, or write cors = false";
            self.error(written.span(), "cors.origins names no origin".to_owned(), help);
        }
        Some(Origins::Listed(entries.iter().filter_map(|entry| self.origin("cors.origins", entry)).collect()))
    }

    /// An origin as browsers write it: in lower case, without the scheme's own port.
    fn origin(&mut self, key: &str, entry: &Spanned<String>) -> Option<String> {
        let lower = entry.get_ref().to_ascii_lowercase();
        let parts = lower.split_once("://").and_then(|(scheme, authority)| {
            let name = authority.strip_prefix("*.").unwrap_or(authority);
            let mut scratch = Vec::new();
            let host = wire::uri::host(name.as_bytes(), &mut scratch).ok()?;
            let sound = is_scheme(scheme) && !host.name.is_empty() && !name.ends_with('.');
            sound.then_some((scheme, authority))
        });
        let Some((scheme, authority)) = parts else {
            let help = "write a scheme and a host such as \"https://example.org\", and nothing behind";
            self.error(entry.span(), format!("{key}: \"{}\" is no origin", entry.get_ref()), help);
            return None;
        };
        let port = match scheme {
            "https" => ":443",
            "http" => ":80",
            _ => "",
        };
        Some(format!("{scheme}://{}", authority.strip_suffix(port).unwrap_or(authority)))
    }

    /// A list of methods or header names, as one value.
    fn names(
        &mut self,
        cors: &file::Cors,
        key: &str,
        written: &Key<List<String>>,
        names: &List<String>,
    ) -> String {
        for name in &names.0 {
            let text = name.get_ref();
            let upper = text.to_ascii_uppercase();
            if !is_token(text) {
                self.error(
                    name.span(),
                    format!("cors.{key}: \"{text}\" is no name"),
                    "write letters, digits and \"-\"",
                );
            } else if text == "*" && cors.credentials() {
                let help = "name them: with credentials, browsers take the star as a name";
                self.error(written.span(), format!("cors.{key}: \"*\" does not go with credentials"), help);
            } else if key == "methods" && *text != upper && super::route::METHODS.contains(&upper.as_str()) {
                let help = format!("methods are case-sensitive: write \"{upper}\"");
                self.error(name.span(), format!("cors.methods: no client sends \"{text}\""), help);
            }
        }
        names.0.iter().map(|name| name.get_ref().as_str()).collect::<Vec<_>>().join(", ")
    }
}

/// RFC 3986 section 3.1.
fn is_scheme(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
}

/// Appends a field line, unless its value is empty.
fn field(lines: &mut String, name: &str, value: &str) {
    if !value.is_empty() {
        let _ = write!(lines, "{name}: {value}\r\n");
    }
}

fn referrer_policy(policy: ReferrerPolicy) -> &'static str {
    match policy {
        ReferrerPolicy::NoReferrer => "no-referrer",
        ReferrerPolicy::NoReferrerWhenDowngrade => "no-referrer-when-downgrade",
        ReferrerPolicy::Origin => "origin",
        ReferrerPolicy::OriginWhenCrossOrigin => "origin-when-cross-origin",
        ReferrerPolicy::SameOrigin => "same-origin",
        ReferrerPolicy::StrictOrigin => "strict-origin",
        ReferrerPolicy::StrictOriginWhenCrossOrigin => "strict-origin-when-cross-origin",
        ReferrerPolicy::UnsafeUrl => "unsafe-url",
    }
}

fn opener_policy(policy: OpenerPolicy) -> &'static str {
    match policy {
        OpenerPolicy::UnsafeNone => "unsafe-none",
        OpenerPolicy::SameOriginAllowPopups => "same-origin-allow-popups",
        OpenerPolicy::SameOrigin => "same-origin",
    }
}

fn resource_policy(policy: ResourcePolicy) -> &'static str {
    match policy {
        ResourcePolicy::SameOrigin => "same-origin",
        ResourcePolicy::SameSite => "same-site",
        ResourcePolicy::CrossOrigin => "cross-origin",
    }
}
