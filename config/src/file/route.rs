//! `[[route]]`: what requests match, and what is done then.

use schemars::json_schema;
use toml::Spanned;
use toml::de::DeValue;

use super::upstream::{Fallback, RouteRetry, RouteTimeouts};
use crate::address::Network;
use crate::file::{Compress, Cors, Files, Limit, PrioritySource, RouteCache, RouteRoom, SecurityHeaders};
use crate::read::{Key, List, Named, OneOrMany, Read, Reader, Short, Shortened, Switch, Toggle, Value};
use crate::table::table;
use crate::value::{Count, Size, inline_schema};

table! {
    /// What a request matches, and what is done then. Exactly one of `upstream`, `files`, `redirect` and
    /// `respond` says what is done.
    ///
    /// The most specific route wins: host before path, path segment by segment (literal, parameter, `*`),
    /// then more headers, then a method.
    pub struct Route {
        /// Name in metrics, logs and `tidegate explain`; unique.
        name: String => absent("host and path as written"),
        /// Host or hosts: `"example.org"`, or `"*.example.org"` for every name below it.
        host: OneOrMany<String> => default("*"),
        /// Path: `"/x"` is exactly that, `"/x/*"` that and everything below, `"/x/{id}"` has a parameter,
        /// `"/"` is everything, `"=/"` the root alone.
        path: String => default("/"),
        /// Method or methods. GET takes HEAD too.
        method: OneOrMany<String> => absent("any method"),
        /// Headers that must match: `{ "x-beta" = "on" }` wants that value, `{ "x-beta" = true }` any.
        header: Named<HeaderMatch> => absent("any headers"),
        /// Forward to the upstream of this name.
        upstream: String => absent("nothing is forwarded"),
        /// Answer with the files of this folder.
        files: Shortened<Files> => absent("no files"),
        /// Answer with a redirect to this target.
        redirect: Shortened<Redirect> => absent("no redirect"),
        /// Answer with this status or text.
        respond: Shortened<Respond> => absent("no fixed answer"),
        /// Take this prefix off the path before it is forwarded: `"/api"` makes `/users` of `/api/users`.
        strip: String => absent("the path goes on as it came; with `files`, without the part before `*`"),
        /// Replace the path before it is forwarded; may hold the path's `{parameters}`, and `{rest}`, which
        /// is what the `*` matched: `"/v2/{rest}"`.
        rewrite: String => absent("the path goes on as it came"),
        /// Fields changed on the way to the endpoint.
        request_headers: HeaderEdits => table,
        /// Fields changed on the way to the client.
        response_headers: HeaderEdits => table,
        /// Bytes of a request body; past it 413.
        body_limit: Size => absent("`server.limits.body`"),
        /// How much a client, or whatever else counts, may take:
        /// `limit = [{ rate = "100/s", burst = 200, by = "client" }]`. The server's limits count besides.
        limit: List<Limit> => absent("only `server.limit`"),
        /// Networks of clients that no limit counts here.
        allow: List<Network> => absent("only `server.allow`"),
        /// Networks of clients that get 403 here.
        deny: List<Network> => absent("only `server.deny`"),
        /// Deadlines that differ from the upstream's.
        timeouts: RouteTimeouts => absent("the upstream's"),
        /// Retries that differ from the upstream's, or `"off"`.
        retry: Switch<RouteRetry> => absent("the upstream's"),
        /// How much its requests matter while they wait for a slot at their upstream: `"critical"` ones go first, `"low"` ones
        /// get what is left. `"header:NAME"` takes the word from the request, so only if whoever is in front sets it.
        priority: PrioritySource => default("normal"),
        /// What answers requests that nothing at the upstream has seen, instead of what the upstream says of it; or
        /// `"off"`.
        fallback: Switch<Fallback> => absent("the upstream's"),
        /// Pages that replace Tidegate's own errors: `{ 502 = "errors/502.html" }`. Files are found from this
        /// file's folder and read when it is loaded; .html, .json, .txt and .xml, at most 256 KiB each.
        error_pages: Named<String> => absent("Tidegate's own pages"),
        /// Keep answers of the upstream and give them again: `true`, or how.
        cache: Toggle<RouteCache> => absent("nothing is cached"),
        /// Let people in at a rate, and let the others wait in line on a page that tells their place: `true`, or how.
        waiting_room: RouteRoom => absent("everybody comes in at once"),
        /// Compress bodies: `true`, or how; `false` where the server's setting is not wanted.
        compress: Toggle<Compress> => absent("`server.compress`"),
        /// Send fields that tell browsers to be careful: `true`, or which.
        security_headers: Toggle<SecurityHeaders> => absent("`server.security_headers`"),
        /// Whose pages may read the answers; `false` leaves it to the app.
        cors: Toggle<Cors> => absent("`server.cors`"),
    }

    /// A redirect. One value alone is its `to`.
    pub struct Redirect {
        /// Target; may hold `{path}`, `{query}` and the path's `{parameters}`:
        /// `"https://example.org{path}"`.
        to: String => required("https://example.org{path}"),
        /// Status: 301, 302, 303, 307 or 308.
        status: Count<301, 308> => default(308),
    }

    /// A fixed answer. A number alone is its `status`.
    pub struct Respond {
        /// Status.
        status: Count<200, 599> => default(200),
        /// Body.
        body: String => default(""),
        /// Content-Type.
        content_type: String => default("text/plain; charset=utf-8"),
    }

    /// Changes of header fields, done in this order: remove, set, add.
    pub struct HeaderEdits {
        /// Fields that are taken away: `["server"]`.
        remove: List<String> => default([]),
        /// Fields that replace every field of their name: `{ "x-frame-options" = "DENY" }`.
        set: Named<String> => default({}),
        /// Fields that are added to whatever is there: `{ "link" = "</a.css>; rel=preload" }`.
        add: Named<String> => default({}),
    }
}

impl Short for Redirect {
    type Value = String;
    fn from_value(value: Spanned<String>) -> Self {
        Self { to: Key::Written(value), ..Self::default() }
    }
}

impl Short for Respond {
    type Value = Count<200, 599>;
    fn from_value(value: Spanned<Self::Value>) -> Self {
        Self { status: Key::Written(value), ..Self::default() }
    }
}

/// What a header must hold.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum HeaderMatch {
    /// Anything, as long as it is there.
    Present,
    /// This value.
    Value(String),
}

impl Read for HeaderMatch {
    fn read(reader: &mut Reader<'_>, value: &Value<'_>) -> Option<Self> {
        match value.get_ref() {
            DeValue::Boolean(true) => Some(Self::Present),
            DeValue::Boolean(false) => {
                let help = "write a value or true; a route without the header is the one to fall back to";
                reader.mistake(value.span(), "a header cannot be forbidden", help);
                None
            }
            _ => reader.string(value, "a string or true").map(Self::Value),
        }
    }
}

inline_schema! {
    [] HeaderMatch, "HeaderMatch" => json_schema!({
        "title": "a string or true", "anyOf": [{ "type": "string" }, { "const": true }],
    });
}
