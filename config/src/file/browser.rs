//! What browsers are told: security fields and CORS.

use crate::read::{List, OneOrMany, Switch, Toggle};
use crate::table::{table, words};
use crate::value::Time;

table! {
    /// Fields that tell browsers to be careful. `security_headers = true` sends those with a default. A field that the
    /// app sends itself stays as it is.
    pub struct SecurityHeaders {
        /// Strict-Transport-Security: browsers use TLS from then on. Sent only over TLS.
        hsts: Toggle<Hsts> => default(true),
        /// X-Content-Type-Options: browsers do not guess types.
        nosniff: bool => default(true),
        /// Who may show the pages in a frame: `"self"`, `"none"`, origins such as `"https://example.org"`, or `"off"`.
        /// It becomes a part of the Content-Security-Policy, and X-Frame-Options where that can say it.
        frame_ancestors: Switch<OneOrMany<String>> => default("self"),
        /// Referrer-Policy: how much other sites learn of where a visitor comes from, or `"off"`.
        referrer_policy: Switch<ReferrerPolicy> => default("strict-origin-when-cross-origin"),
        /// Permissions-Policy: what pages may not do at all, or `"off"`.
        permissions_policy: Switch<String> =>
            default("camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()"),
        /// Content-Security-Policy: where pages may load from, such as `"default-src 'self'"`. Only you know that.
        csp: String => absent("only `frame_ancestors`"),
        /// Cross-Origin-Opener-Policy: whether windows of other sites keep hold of each other.
        opener_policy: OpenerPolicy => absent("not sent"),
        /// Cross-Origin-Resource-Policy: which sites' pages may load the answers.
        resource_policy: ResourcePolicy => absent("not sent"),
    }

    /// Strict-Transport-Security (RFC 6797).
    pub struct Hsts {
        /// How long browsers remember it.
        max_age: Time<0> => default("365d"),
        /// Whether it holds for every name below as well.
        subdomains: bool => default(false),
        /// Whether browsers may have it built in. It is hard to take back; they ask for `subdomains` and a year.
        preload: bool => default(false),
    }

    /// Whose pages may read the answers (CORS). Preflights are answered without the upstream, and its own
    /// Access-Control fields are replaced.
    pub struct Cors {
        /// Origins such as `"https://example.org"` or `"https://*.example.org"`, or `"*"` for everybody.
        origins: OneOrMany<String> => needed,
        /// Methods that they may use. GET, HEAD and POST are always allowed.
        methods: List<String> => default(["GET", "HEAD", "POST"]),
        /// Request headers that they may send besides those that every page may.
        headers: List<String> => default(["content-type"]),
        /// Headers of answers that they may read besides the usual ones.
        expose: List<String> => default([]),
        /// Whether requests with cookies count as well.
        credentials: bool => default(false),
        /// How long browsers remember a preflight's answer.
        max_age: Time<0> => default("10m"),
    }
}

words! {
    /// How much other sites learn of where a visitor comes from.
    pub enum ReferrerPolicy {
        /// Nothing, and the own site neither.
        NoReferrer = "no-referrer",
        /// The whole URL, but nothing from TLS to plain.
        NoReferrerWhenDowngrade = "no-referrer-when-downgrade",
        /// Nothing but the origin.
        Origin = "origin",
        /// Others the origin, the own site the whole URL.
        OriginWhenCrossOrigin = "origin-when-cross-origin",
        /// Nothing; the own site the whole URL.
        SameOrigin = "same-origin",
        /// Nothing but the origin, and nothing from TLS to plain.
        StrictOrigin = "strict-origin",
        /// Others the origin, the own site the whole URL, and nothing from TLS to plain.
        StrictOriginWhenCrossOrigin = "strict-origin-when-cross-origin",
        /// The whole URL, always.
        UnsafeUrl = "unsafe-url",
    }
}

words! {
    /// Whether windows of other sites keep hold of each other.
    pub enum OpenerPolicy {
        /// They do.
        UnsafeNone = "unsafe-none",
        /// They do not, but windows that a page opens itself do.
        SameOriginAllowPopups = "same-origin-allow-popups",
        /// They do not.
        SameOrigin = "same-origin",
    }
}

words! {
    /// Which sites' pages may load the answers.
    pub enum ResourcePolicy {
        /// Pages of the same origin.
        SameOrigin = "same-origin",
        /// Pages of the same site.
        SameSite = "same-site",
        /// All.
        CrossOrigin = "cross-origin",
    }
}
