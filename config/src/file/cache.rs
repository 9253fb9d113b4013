//! `[cache]`, and what a route says about caching.

use schemars::json_schema;

use crate::address::Network;
use crate::read::{List, Read, Reader, Value};
use crate::table::{table, words};
use crate::value::{Count, Size, Time, inline_schema};

table! {
    /// The store that all routes share, and what holds for everything in it. Routes use it that say `cache`.
    pub struct Cache {
        /// Memory for everything that is kept, overheads included; `"0"` switches the cache off. What was used least
        /// goes first. Holes that the system's allocator leaves between small entries come on top: a tenth, about.
        memory: Size => default("256 MiB"),
        /// Parts that the store is divided into, each with a lock of its own: a power of two, or `"auto"` for four per
        /// thread where two of the largest bodies fit into each. A change takes effect at the next start.
        shards: Shards => default("auto"),
        /// A second tier on disk: what leaves the memory goes there, large bodies lie there from the start, and a restart
        /// finds it again. A purge is answered when it is noted there; what a POST or another unsafe request makes stale
        /// is noted a moment later, and a process killed within that moment may find it again.
        disk: Disk => absent("memory alone"),
        /// Largest body that is kept, unless the route says otherwise. One larger than a quarter of `memory` never is,
        /// neither in memory nor on disk.
        max_body: Size => default("32 MiB"),
        /// How long it is remembered that an answer could not be kept, so that requests for it do not wait for one
        /// another in vain.
        hit_for_miss: Time<0> => default("2m"),
        /// Requests that may wait for the same answer to come; past it, they are forwarded each on its own.
        waiters: Count<0, 1_000_000> => default(10000),
        /// How long one of them waits for that answer to begin; past it, it is forwarded on its own.
        wait: Time<1> => default("30s"),
    }

    /// The tier on disk.
    pub struct Disk {
        /// Folder that holds it, found from this file's folder; it is made if need be, and belongs to one process at a
        /// time. A change takes effect at the next start, and so does adding or taking away the whole.
        path: String => required("/var/cache/tidegate"),
        /// Most bytes that its files take. What is oldest goes first. A reload changes it.
        size: Size => default("10 GiB"),
    }

    /// How answers are cached. `cache = true` keeps what the app's own headers allow (RFC 9111) and nothing else;
    /// `cache = { ttl = "30s", grace = "5m" }` also keeps answers that say nothing.
    pub struct RouteCache {
        /// What kind of app this is: what `cookies` is when it is left out.
        template: Template => default("standard"),
        /// Lifetime of answers that say nothing about one: neither Cache-Control with a lifetime, nor Expires. Event streams
        /// that say nothing are not kept.
        ttl: Time<1> => absent("the standard's guess from Last-Modified, or they are not kept"),
        /// The same for 404, 405, 410, 414 and 501.
        negative: Time<1> => absent("they are kept only if they say how long"),
        /// How long after its lifetime an answer is still given, while it is fetched anew behind, where it does not say
        /// stale-while-revalidate itself (RFC 5861).
        grace: Time<0> => absent("not at all"),
        /// How long after its lifetime an answer is still given while the upstream fails, where it does not say
        /// stale-if-error itself (RFC 5861).
        stale_if_error: Time<0> => absent("not at all"),
        /// Do not listen to no-cache, no-store, max-age and the like in requests: no client can make the upstream
        /// work.
        ignore_request_directives: bool => default(false),
        /// What cookies of requests mean.
        cookies: Cookies => absent("what `template` says: \"ignore\" for \"standard\""),
        /// What a Set-Cookie of an answer means.
        set_cookie: SetCookie => default("bypass"),
        /// What tells answers apart besides scheme, host, path and query. Vary of an answer counts besides.
        key: CacheKey => table,
        /// Largest body that is kept.
        max_body: Size => absent("`cache.max_body`"),
        /// Most variants of one URL, told apart by Vary; past it, further ones are not kept.
        max_variants: Count<1, 10_000> => default(64),
        /// Say in Cache-Status (RFC 9211) what the cache did: `hit; ttl=30`, or why not.
        status: bool => default(true),
        /// Networks of clients that may take a URL out of the cache with the method PURGE: `["127.0.0.0/8"]`. All
        /// others get 403 for it. `Purge-Mode: soft` in the request makes it stale instead. What was asked for over
        /// http goes, and what was asked for over https.
        purge: List<Network> => absent("PURGE is a method like any other"),
    }

    /// What tells answers apart besides scheme, host, path and query. A request header that the app writes into what it
    /// answers, such as X-Original-URL, has to be named here or in Vary of the answer, or be removed by
    /// `request_headers`: else whoever asks first chooses what everybody sees.
    pub struct CacheKey {
        /// Request headers whose value is part of the key.
        headers: List<String> => default([]),
        /// Cookies whose value is part of the key.
        cookies: List<String> => default([]),
        /// Kind of device: mobile, tablet or desktop, from Sec-CH-UA-Mobile and User-Agent.
        device: bool => default(false),
        /// Which of the query's parameters count: `"all"`, `"none"`, `{ only = ["page"] }` or
        /// `{ except = ["utm_*"] }`. The upstream gets all of them.
        query: Query => default("all"),
        /// Whether `?a=1&b=2` and `?b=2&a=1` are the same.
        sort_query: bool => default(false),
    }

    /// Parameters of the query, by name. Exactly one of the two keys.
    pub struct QueryNames {
        /// Only these count.
        only: List<String> => absent("see `except`"),
        /// All but these count; `"utm_*"` stands for every name that begins so.
        except: List<String> => absent("see `only`"),
    }
}

words! {
    /// What kind of app this is.
    pub enum Template {
        /// What an answer says about itself is all that counts.
        Standard = "standard",
        /// An app that knows people by a cookie and does not always say that its answers are for one of them:
        /// `cookies = "bypass"`.
        SessionApp = "session-app",
    }
}

words! {
    /// What cookies of requests mean.
    pub enum Cookies {
        /// Nothing: answers that depend on them have to say so.
        Ignore = "ignore",
        /// A request with a cookie is neither answered from the cache, nor is its answer kept. Those of Tidegate itself,
        /// of `balance = "sticky"` and of waiting rooms, do not count.
        Bypass = "bypass",
    }
}

words! {
    /// What a Set-Cookie of an answer means.
    pub enum SetCookie {
        /// The answer is for one client, and not kept.
        Bypass = "bypass",
        /// It is taken off, for the client that asked first as well, and the answer kept.
        Strip = "strip",
    }
}

words! {
    /// The query as a whole.
    pub enum WholeQuery {
        /// Every parameter counts.
        All = "all",
        /// None does.
        None = "none",
    }
}

/// Which of the query's parameters count.
#[derive(Clone, Debug)]
pub enum Query {
    /// All or none.
    Whole(WholeQuery),
    /// Some, by name.
    Named(QueryNames),
}

impl Read for Query {
    fn read(reader: &mut Reader<'_>, value: &Value<'_>) -> Option<Self> {
        if value.get_ref().is_table() {
            return QueryNames::read(reader, value).map(Self::Named);
        }
        WholeQuery::read(reader, value).map(Self::Whole)
    }
}

/// Parts that the store is divided into.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Shards {
    /// As many as the threads can use.
    Auto,
    /// This many.
    Exactly(u64),
}

impl Read for Shards {
    fn read(reader: &mut Reader<'_>, value: &Value<'_>) -> Option<Self> {
        if value.get_ref().as_str() == Some("auto") {
            return Some(Self::Auto);
        }
        let count = Count::<1, 1024>::read(reader, value)?.0;
        if !count.is_power_of_two() {
            let help = format!("write {} or {}", count.next_power_of_two() / 2, count.next_power_of_two());
            reader.mistake(value.span(), format_args!("{count} is no power of two"), &help);
            return None;
        }
        Some(Self::Exactly(count))
    }
}

inline_schema! {
    [] Shards, "Shards" => json_schema!({
        "title": "\"auto\" or 1 to 1024",
        "anyOf": [{ "const": "auto" }, { "type": "integer", "minimum": 1, "maximum": 1024 }, {
            "type": "string", "pattern": r"\$\{",
        }],
    });
}

impl schemars::JsonSchema for Query {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Query".into()
    }
    fn inline_schema() -> bool {
        true
    }
    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        json_schema!({
            "anyOf": [generator.subschema_for::<WholeQuery>(), generator.subschema_for::<QueryNames>()],
        })
    }
}
