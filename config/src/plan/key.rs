//! What tells requests apart: one grammar for balancing, limits and fair queues.

use core::fmt;

/// What tells requests apart. Whatever a request has of it is its key; a request that has none of it has no key.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum RequestKey {
    /// The client's address; of an IPv6 address the /64, for whoever has one address of a /64 has all of them.
    Client,
    /// Value of this request header (lower-case name).
    Header(String),
    /// Value of this cookie.
    Cookie(String),
    /// Value of this query parameter.
    Query(String),
    /// Value of this claim of the request's token, if that is valid.
    Claim(String),
    /// The path.
    Path,
    /// Value of this parameter of the route's path.
    Parameter(String),
    /// The route.
    Route,
    /// All requests have the same key.
    Global,
}

impl fmt::Display for RequestKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Client => f.write_str("client"),
            Self::Header(name) => write!(f, "header:{name}"),
            Self::Cookie(name) => write!(f, "cookie:{name}"),
            Self::Query(name) => write!(f, "query:{name}"),
            Self::Claim(name) => write!(f, "jwt:{name}"),
            Self::Path => f.write_str("path"),
            Self::Parameter(name) => write!(f, "path:{name}"),
            Self::Route => f.write_str("route"),
            Self::Global => f.write_str("global"),
        }
    }
}
