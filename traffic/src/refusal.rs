//! Every reason to answer a client without the upstream's answer, in one enum.
//!
//! The pipeline returns a [`Refusal`]; one match in the proxy turns it into a response; `signals`
//! counts it under [`Refusal::code`]. A new reason is a new variant here and nowhere else.

use wire::Malformed;

/// Why a request is answered by Tidegate itself with an error.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Refusal {
    /// The request breaks HTTP's framing rules (RFC 9112) or one of the wire limits.
    Malformed(Malformed),
    /// No route matches host and path.
    NoRoute,
    /// A route matches host and path, none of them this method (RFC 9110 section 15.5.6).
    MethodNotAllowed,
    /// CONNECT: Tidegate is a gateway and opens no tunnels to places that clients name.
    ConnectRefused,
    /// `Expect` names something else than `100-continue` (RFC 9110 section 10.1.1).
    ExpectationUnknown,
    /// The body is longer than the route allows.
    BodyTooLarge,
    /// The head did not arrive within its deadline.
    HeadTimeout,
    /// The body stopped arriving, or arrives more slowly than the least rate.
    BodyTimeout,
    /// The listener holds as many connections as it may.
    TooManyConnections,
    /// This client holds as many connections as one client may.
    TooManyClientConnections,
    /// The upstream has no endpoint at all (every name resolved to nothing, or all drained).
    NoEndpoint,
    /// Every endpoint of the upstream is down or ejected, longer than the configured hold.
    AllEndpointsDown,
    /// No endpoint accepted a connection.
    ConnectFailed,
    /// No connection to an endpoint within the connect timeout.
    ConnectTimeout,
    /// The endpoint did not begin its response in time.
    ResponseTimeout,
    /// The endpoint closed or reset the connection before its response head was complete.
    ResponseClosed,
    /// The endpoint's response breaks HTTP's framing rules or one of the wire limits.
    ResponseMalformed(Malformed),
    /// The endpoint switched protocols without being asked, or to another protocol than asked for.
    UpgradeUnasked,
    /// Tidegate is shutting down and takes no new work.
    Draining,
    /// The route's folder has no file for this path, or none that may be given out.
    FileNotFound,
    /// The route's folder cannot be read: it is gone, its disk fails, or descriptors are short.
    FilesUnavailable,
    /// A browser asks whether a page of another origin may use the route, and it may not (CORS, Fetch standard).
    OriginRefused,
    /// The request wanted only what is in the cache, and that is nothing (RFC 9111 section 5.2.1.7).
    NotCached,
    /// PURGE from a client that the route does not let purge.
    PurgeForbidden,
    /// A limit's rate is used up for this key.
    RateLimited,
    /// As many requests of this key are in flight as a limit lets be.
    TooManyInFlight,
    /// The request lacks what a limit counts by, and the limit wants it.
    LimitKeyMissing,
    /// The client is in a network that is refused.
    AddressDenied,
    /// As many requests wait for the upstream as may.
    QueueFull,
    /// No slot at the upstream became free within the longest wait.
    QueueTimeout,
    /// More comes than the upstream finishes, and the request has waited for longer than it may then.
    QueueShed,
    /// The queue was full, and its place went to a request that matters more, or of somebody who asks for less.
    QueueDisplaced,
    /// The circuit breaker of the upstream is open: too many requests failed or were slow there.
    BreakerOpen,
    /// More people want to come in than the route's waiting room lets in; this one has a place in line.
    WaitingRoom,
    /// This client connects more often than one client may.
    ConnectionRateLimited,
    /// A surge is on whose profile sheds requests of this priority.
    SurgeShed,
}

impl Refusal {
    /// One of each variant, for reference pages and metrics; nested reasons are given once.
    pub const ALL: [Self; 36] = [
        Self::Malformed(Malformed::BadTarget),
        Self::NoRoute,
        Self::MethodNotAllowed,
        Self::ConnectRefused,
        Self::ExpectationUnknown,
        Self::BodyTooLarge,
        Self::HeadTimeout,
        Self::BodyTimeout,
        Self::TooManyConnections,
        Self::TooManyClientConnections,
        Self::NoEndpoint,
        Self::AllEndpointsDown,
        Self::ConnectFailed,
        Self::ConnectTimeout,
        Self::ResponseTimeout,
        Self::ResponseClosed,
        Self::ResponseMalformed(Malformed::BadStatus),
        Self::UpgradeUnasked,
        Self::Draining,
        Self::FileNotFound,
        Self::FilesUnavailable,
        Self::OriginRefused,
        Self::NotCached,
        Self::PurgeForbidden,
        Self::RateLimited,
        Self::TooManyInFlight,
        Self::LimitKeyMissing,
        Self::AddressDenied,
        Self::QueueFull,
        Self::QueueTimeout,
        Self::QueueShed,
        Self::QueueDisplaced,
        Self::BreakerOpen,
        Self::WaitingRoom,
        Self::ConnectionRateLimited,
        Self::SurgeShed,
    ];

    /// Dense number of the variant, below `Refusal::ALL.len()`.
    pub const fn index(self) -> usize {
        match self {
            Self::Malformed(_) => 0,
            Self::NoRoute => 1,
            Self::MethodNotAllowed => 2,
            Self::ConnectRefused => 3,
            Self::ExpectationUnknown => 4,
            Self::BodyTooLarge => 5,
            Self::HeadTimeout => 6,
            Self::BodyTimeout => 7,
            Self::TooManyConnections => 8,
            Self::TooManyClientConnections => 9,
            Self::NoEndpoint => 10,
            Self::AllEndpointsDown => 11,
            Self::ConnectFailed => 12,
            Self::ConnectTimeout => 13,
            Self::ResponseTimeout => 14,
            Self::ResponseClosed => 15,
            Self::ResponseMalformed(_) => 16,
            Self::UpgradeUnasked => 17,
            Self::Draining => 18,
            Self::FileNotFound => 19,
            Self::FilesUnavailable => 20,
            Self::OriginRefused => 21,
            Self::NotCached => 22,
            Self::PurgeForbidden => 23,
            Self::RateLimited => 24,
            Self::TooManyInFlight => 25,
            Self::LimitKeyMissing => 26,
            Self::AddressDenied => 27,
            Self::QueueFull => 28,
            Self::QueueTimeout => 29,
            Self::QueueShed => 30,
            Self::QueueDisplaced => 31,
            Self::BreakerOpen => 32,
            Self::WaitingRoom => 33,
            Self::ConnectionRateLimited => 34,
            Self::SurgeShed => 35,
        }
    }

    /// The word for logs, metrics and the `code` member of problem+json.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Malformed(_) => "malformed",
            Self::NoRoute => "no_route",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::ConnectRefused => "connect_refused",
            Self::ExpectationUnknown => "expectation_unknown",
            Self::BodyTooLarge => "body_too_large",
            Self::HeadTimeout => "head_timeout",
            Self::BodyTimeout => "body_timeout",
            Self::TooManyConnections => "too_many_connections",
            Self::TooManyClientConnections => "too_many_client_connections",
            Self::NoEndpoint => "no_endpoint",
            Self::AllEndpointsDown => "all_endpoints_down",
            Self::ConnectFailed => "connect_failed",
            Self::ConnectTimeout => "connect_timeout",
            Self::ResponseTimeout => "response_timeout",
            Self::ResponseClosed => "response_closed",
            Self::ResponseMalformed(_) => "response_malformed",
            Self::UpgradeUnasked => "upgrade_unasked",
            Self::Draining => "draining",
            Self::FileNotFound => "file_not_found",
            Self::FilesUnavailable => "files_unavailable",
            Self::OriginRefused => "origin_refused",
            Self::NotCached => "not_cached",
            Self::PurgeForbidden => "purge_forbidden",
            Self::RateLimited => "rate_limited",
            Self::TooManyInFlight => "too_many_in_flight",
            Self::LimitKeyMissing => "limit_key_missing",
            Self::AddressDenied => "address_denied",
            Self::QueueFull => "queue_full",
            Self::QueueTimeout => "queue_timeout",
            Self::QueueShed => "queue_shed",
            Self::QueueDisplaced => "queue_displaced",
            Self::BreakerOpen => "breaker_open",
            Self::WaitingRoom => "waiting_room",
            Self::ConnectionRateLimited => "connection_rate_limited",
            Self::SurgeShed => "surge_shed",
        }
    }

    /// The nested reason, where there is one: which framing rule was broken.
    pub const fn detail(self) -> Option<Malformed> {
        match self {
            Self::Malformed(reason) | Self::ResponseMalformed(reason) => Some(reason),
            _ => None,
        }
    }

    /// HTTP status that the client is answered with.
    pub fn status(self) -> u16 {
        match self {
            Self::Malformed(reason) => reason.status(),
            Self::LimitKeyMissing => 400,
            Self::OriginRefused | Self::PurgeForbidden | Self::AddressDenied => 403,
            Self::NoRoute | Self::FileNotFound => 404,
            Self::MethodNotAllowed => 405,
            Self::ConnectRefused => 501,
            Self::ExpectationUnknown => 417,
            Self::BodyTooLarge => 413,
            Self::HeadTimeout | Self::BodyTimeout => 408,
            Self::TooManyClientConnections
            | Self::ConnectionRateLimited
            | Self::RateLimited
            | Self::TooManyInFlight => 429,
            Self::TooManyConnections
            | Self::NoEndpoint
            | Self::AllEndpointsDown
            | Self::Draining
            | Self::FilesUnavailable
            | Self::QueueFull
            | Self::QueueTimeout
            | Self::QueueShed
            | Self::QueueDisplaced
            | Self::BreakerOpen
            | Self::WaitingRoom
            | Self::SurgeShed => 503,
            Self::ConnectFailed
            | Self::ResponseClosed
            | Self::ResponseMalformed(_)
            | Self::UpgradeUnasked => 502,
            Self::ConnectTimeout | Self::ResponseTimeout | Self::NotCached => 504,
        }
    }

    /// One sentence for the person who meets the refusal; gives nothing of the inside away.
    pub fn what(self) -> &'static str {
        match self {
            Self::Malformed(reason) => reason.what(),
            Self::NoRoute => "nothing is served under this address",
            Self::MethodNotAllowed => "this address does not take that method",
            Self::ConnectRefused => "this server opens no tunnels",
            Self::ExpectationUnknown => "the only expectation this server meets is 100-continue",
            Self::BodyTooLarge => "the request body is longer than this address takes",
            Self::HeadTimeout => "the request head took too long to arrive",
            Self::BodyTimeout => "the request body took too long to arrive",
            Self::TooManyConnections => "the server holds as many connections as it can",
            Self::TooManyClientConnections => "too many connections from this client",
            Self::ConnectionRateLimited => {
                "too many new connections from this client, come back a little later"
            }
            Self::NoEndpoint | Self::AllEndpointsDown | Self::BreakerOpen => {
                "the application is not available at the moment"
            }
            Self::ConnectFailed => "the application could not be reached",
            Self::ConnectTimeout => "the application could not be reached in time",
            Self::ResponseTimeout => "the application took too long to answer",
            Self::ResponseClosed => "the application closed the connection before it answered",
            Self::ResponseMalformed(_) | Self::UpgradeUnasked => {
                "the application sent an answer that is not valid HTTP"
            }
            Self::WaitingRoom => "many people are here at once, and this one waits in line",
            Self::Draining => "the server is shutting down",
            Self::FileNotFound => "there is no page or file under this address",
            Self::FilesUnavailable => "what is under this address cannot be read at the moment",
            Self::OriginRefused => "pages of that origin may not use this address",
            Self::PurgeForbidden => "this client may not take anything out of the cache",
            Self::RateLimited => "too many requests, come back a little later",
            Self::TooManyInFlight => "too many requests at once, wait until some are answered",
            Self::LimitKeyMissing => "the request lacks what this address counts requests by",
            Self::AddressDenied => "this address is not open to this client",
            Self::QueueFull | Self::QueueShed | Self::QueueDisplaced | Self::SurgeShed => {
                "more is asked of the application than it can answer at the moment"
            }
            Self::QueueTimeout => "the application was too busy to take the request in time",
            Self::NotCached => "only a stored answer was asked for, and there is none",
        }
    }

    /// Whether nothing at the upstream has seen the request: then something else may answer for it.
    pub const fn is_unserved(self) -> bool {
        matches!(
            self,
            Self::BreakerOpen
                | Self::NoEndpoint
                | Self::AllEndpointsDown
                | Self::ConnectFailed
                | Self::ConnectTimeout
        )
    }

    /// Whether `Retry-After` makes sense: our load or a passing fault, not the request's own.
    pub fn is_passing(self) -> bool {
        matches!(self.status(), 429 | 502 | 503 | 504)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_variant_stands_at_its_index_with_a_code_of_its_own() {
        for (index, refusal) in Refusal::ALL.into_iter().enumerate() {
            assert_eq!(refusal.index(), index);
            assert!(Refusal::ALL.iter().filter(|other| other.code() == refusal.code()).count() == 1);
            assert!((400..600).contains(&refusal.status()), "{refusal:?}");
        }
    }
}
