//! What a route says about caching.

/// How one route caches. Times in milliseconds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rules {
    /// Lifetime of responses that say nothing about one. `None`: they are judged by the RFC alone (heuristic, or not
    /// kept).
    pub ttl_ms: Option<u64>,
    /// The same for errors that are worth remembering: 404, 405, 410, 414, 501.
    pub negative_ttl_ms: Option<u64>,
    /// How long after its lifetime a response may still be served while it is refreshed behind, where it does not say
    /// stale-while-revalidate itself.
    pub grace_ms: Option<u64>,
    /// The same while the origin fails, where it does not say stale-if-error itself.
    pub stale_if_error_ms: Option<u64>,
    /// Whether no-cache, no-store, max-age and the like of requests are not listened to.
    pub ignore_request_directives: bool,
    /// What cookies of requests mean.
    pub cookies: Cookies,
    /// Names of cookies that are not the app's: they mean nothing.
    pub own_cookies: Vec<String>,
    /// What a Set-Cookie of a response means.
    pub set_cookie: SetCookie,
    /// Parts of the key besides scheme, host, path and query.
    pub key: Vec<KeyPart>,
    /// Which of the query's parameters are part of the key.
    pub query: QueryKey,
    /// Whether the query's parameters are sorted in the key.
    pub sort_query: bool,
    /// Largest body that is kept, in bytes.
    pub body_bytes: u64,
    /// Most variants of one URL.
    pub variants: u32,
    /// How long an uncacheable answer is remembered, so that requests for it do not wait for each other.
    pub hit_for_miss_ms: u64,
    /// Most requests that wait for one fill.
    pub waiters: u32,
    /// Longest that one waits for the head of a fill.
    pub wait_ms: u64,
}

/// What cookies of requests mean.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Cookies {
    /// Nothing: the standard's way, where a response that depends on them says so.
    Ignore,
    /// A request with any of the app's is not answered from the cache: for apps with sessions.
    Bypass,
}

/// What a Set-Cookie of a response means.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SetCookie {
    /// The response is not kept.
    Bypass,
    /// The field is dropped, on the miss as well, and the response kept.
    Strip,
}

/// A part of the key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum KeyPart {
    /// The value of a request field (lower-case name).
    Header(String),
    /// The value of one cookie.
    Cookie(String),
    /// `mobile`, `tablet` or `desktop`, from Sec-CH-UA-Mobile and User-Agent.
    Device,
    /// A text that is the same for every request: keeps routes apart that match one URL by something else, such as
    /// a header, and go to different upstreams.
    Fixed(String),
}

/// Which of the query's parameters are part of the key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum QueryKey {
    /// All, as they were sent.
    All,
    /// Only these.
    Only(Vec<String>),
    /// All but these; `utm_*` leaves out every name that begins so.
    Except(Vec<String>),
    /// None.
    None,
}

impl Default for Rules {
    /// `cache = true`: only what the app's own headers allow.
    fn default() -> Self {
        Self {
            ttl_ms: None,
            negative_ttl_ms: None,
            grace_ms: None,
            stale_if_error_ms: None,
            ignore_request_directives: false,
            cookies: Cookies::Ignore,
            own_cookies: Vec::new(),
            set_cookie: SetCookie::Bypass,
            key: Vec::new(),
            query: QueryKey::All,
            sort_query: false,
            body_bytes: 32 << 20,
            variants: 64,
            hit_for_miss_ms: 120_000,
            waiters: 10_000,
            wait_ms: 30_000,
        }
    }
}
