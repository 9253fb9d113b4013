//! Why a request is answered without the cache, or a response is not kept.

/// Why the cache had no part in an answer, or did not keep it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Bypass {
    /// The route has no cache.
    Off,
    /// A method other than GET and HEAD (RFC 9111 section 3).
    Method,
    /// The request has a body.
    RequestBody,
    /// The request asks for an upgrade.
    Upgrade,
    /// The request says `no-store` (RFC 9111 section 5.2.1.5), and the route listens to that.
    RequestNoStore,
    /// The request has a cookie, and the route keeps requests with cookies apart.
    RequestCookie,
    /// An answer for this key was not storable a moment ago (hit-for-miss), so that requests do not queue for one
    /// another in vain.
    RecentlyUncacheable,
    /// The request has a condition that only the origin can answer, and what is stored does not meet it (RFC 9111
    /// section 4.3.2).
    Condition,
    /// Too many requests wait for the same fill, or this one has waited too long.
    Crowded,
    /// A status that may not be kept, or not without an explicit lifetime of its own (RFC 9110 section
    /// 15.1).
    Status,
    /// `no-store` (RFC 9111 section 5.2.2.5).
    NoStore,
    /// `private` (RFC 9111 section 5.2.2.7).
    Private,
    /// The request was authorised and the response does not say that it is for everybody (RFC 9111 section 3.5).
    Authorization,
    /// The response sets a cookie, and the route does not say that it may be dropped.
    SetCookie,
    /// `Vary: *` (RFC 9110 section 12.5.5).
    VaryStar,
    /// More variants than one key may have.
    TooManyVariants,
    /// No lifetime: nothing explicit, no validator to guess from, none set on the route.
    NoLifetime,
    /// Stale on arrival, and nothing to validate it with.
    Expired,
    /// A partial response (206), which is passed on and not kept.
    Partial,
    /// Larger than one entry may be.
    TooLarge,
    /// The body ended before its length, or the connection broke.
    Truncated,
    /// The response's head breaks a rule that storing depends on, such as two lengths or an unknown content coding
    /// in transfer.
    Malformed,
    /// It was purged, or invalidated by an unsafe request, while it was being fetched.
    Purged,
    /// The store has no room for it.
    NoRoom,
    /// More tags than are kept, so that a purge by one of the others would miss it.
    TooManyTags,
}

impl Bypass {
    /// Every reason.
    pub const ALL: [Self; 25] = [
        Self::Off,
        Self::Method,
        Self::RequestBody,
        Self::Upgrade,
        Self::RequestNoStore,
        Self::RequestCookie,
        Self::RecentlyUncacheable,
        Self::Condition,
        Self::Crowded,
        Self::Status,
        Self::NoStore,
        Self::Private,
        Self::Authorization,
        Self::SetCookie,
        Self::VaryStar,
        Self::TooManyVariants,
        Self::NoLifetime,
        Self::Expired,
        Self::Partial,
        Self::TooLarge,
        Self::Truncated,
        Self::Malformed,
        Self::Purged,
        Self::NoRoom,
        Self::TooManyTags,
    ];

    /// Position in [`Bypass::ALL`].
    pub const fn index(self) -> usize {
        self as usize
    }

    /// Whether the next request for the key is likely to fare the same after an answer with this status, so that it
    /// is worth remembering (hit-for-miss). Not so what lies in one request, in one attempt, or in an origin that
    /// fails at the moment.
    pub const fn is_lasting(self, status: u16) -> bool {
        if status >= 500 {
            return false;
        }
        matches!(
            self,
            Self::Status
                | Self::NoStore
                | Self::Private
                | Self::SetCookie
                | Self::VaryStar
                | Self::TooManyVariants
                | Self::NoLifetime
                | Self::Expired
                | Self::Partial
                | Self::TooLarge
                | Self::TooManyTags
        )
    }

    /// The word in metrics, logs and `Cache-Status` details.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Method => "method",
            Self::RequestBody => "request-body",
            Self::Upgrade => "upgrade",
            Self::RequestNoStore => "request-no-store",
            Self::RequestCookie => "request-cookie",
            Self::RecentlyUncacheable => "recently-uncacheable",
            Self::Condition => "condition",
            Self::Crowded => "crowded",
            Self::Status => "status",
            Self::NoStore => "no-store",
            Self::Private => "private",
            Self::Authorization => "authorization",
            Self::SetCookie => "set-cookie",
            Self::VaryStar => "vary-star",
            Self::TooManyVariants => "too-many-variants",
            Self::NoLifetime => "no-lifetime",
            Self::Expired => "expired",
            Self::Partial => "partial",
            Self::TooLarge => "too-large",
            Self::Truncated => "truncated",
            Self::Malformed => "malformed",
            Self::Purged => "purged",
            Self::NoRoom => "no-room",
            Self::TooManyTags => "too-many-tags",
        }
    }

    /// What it means and how to change it, for `tidegate explain` and the docs.
    pub const fn what(self) -> &'static str {
        match self {
            Self::Off => "the route has no cache; add cache = true, or cache = { ttl = \"30s\" }",
            Self::Method => "only GET and HEAD are answered from the cache",
            Self::RequestBody => "the request has a body",
            Self::Upgrade => "the request asks to switch protocols",
            Self::RequestNoStore => {
                "the request says no-store; ignore_request_directives = true does not listen to that"
            }
            Self::RequestCookie => {
                "the request has a cookie, and the route's cookies = \"bypass\" keeps such requests apart"
            }
            Self::RecentlyUncacheable => "the answer to this request was not cacheable a moment ago",
            Self::Condition => {
                "the request has If-Match or If-Unmodified-Since, and what is stored does not meet it"
            }
            Self::Crowded => "too many requests wait for the same answer, or this one waited too long",
            Self::Status => "this status is not kept unless the response itself says how long",
            Self::NoStore => "the response says no-store",
            Self::Private => "the response says private",
            Self::Authorization => "the request was authorised and the response does not say public",
            Self::SetCookie => {
                "the response sets a cookie; set_cookie = \"strip\" on the route drops it and keeps the response"
            }
            Self::VaryStar => "the response says Vary: *",
            Self::TooManyVariants => "the URL has more variants than are kept; vary on fewer fields",
            Self::NoLifetime => "nothing says how long: send Cache-Control: max-age, or set ttl on the route",
            Self::Expired => "the response was stale when it came, and has no validator",
            Self::Partial => "partial responses are passed on and not kept",
            Self::TooLarge => "the body is larger than max_body, or than a quarter of cache.memory",
            Self::Truncated => "the body ended too early",
            Self::Malformed => "the response's head is ambiguous",
            Self::Purged => "it was purged while it was being fetched",
            Self::NoRoom => "the store has no room for it; raise cache.memory",
            Self::TooManyTags => "the response has more than 64 tags in Cache-Tag and Surrogate-Key",
        }
    }
}
