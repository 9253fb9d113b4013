//! The one event of a finished request: everything that metrics and the access log say comes from it.

use core::net::IpAddr;
use core::time::Duration;

use traffic::Refusal;

use crate::{EndpointSlot, RouteSlot, UpstreamSlot};

/// Who ended a request.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub enum Who {
    /// Nobody: it ran to its end.
    #[default]
    Complete,
    /// The client went away, or broke the rules.
    Client,
    /// The endpoint failed.
    Endpoint,
    /// Tidegate refused or cut it off.
    Tidegate,
}

/// How far a request had come when it ended.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub enum Stage {
    /// Reading the request's head.
    Head,
    /// Matching a route, running its guards.
    Route,
    /// Waiting for a slot or an endpoint, or connecting to it.
    Connect,
    /// Sending the request on.
    Send,
    /// Waiting for the response's head.
    Wait,
    /// Delivering the response's body.
    Deliver,
    /// Carrying a tunnel.
    Tunnel,
    /// Past the last byte.
    #[default]
    Done,
}

/// What the cache had to do with an answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Cached {
    /// It was stored, and fresh.
    Hit,
    /// It was stored, stale, and served as it was.
    Stale,
    /// It was stored, and the origin said that it is still good.
    Revalidated,
    /// The origin was asked for it.
    Miss,
    /// Another request was asking the origin for it already.
    Collapsed,
    /// The cache had no part in it.
    Bypass(cache::Bypass),
}

/// One finished request. Borrowed from the connection's buffers: nothing is allocated to make one.
#[derive(Clone, Copy, Default, Debug)]
pub struct Finished<'a> {
    /// Who ended it.
    pub who: Who,
    /// How far it had come.
    pub stage: Stage,
    /// Route, once one was chosen.
    pub route: Option<RouteSlot>,
    /// Upstream, where the route has one.
    pub upstream: Option<UpstreamSlot>,
    /// Endpoint that answered or failed last.
    pub endpoint: Option<EndpointSlot>,
    /// Status sent to the client; 0 when nothing was sent.
    pub status: u16,
    /// Why Tidegate answered by itself.
    pub refusal: Option<Refusal>,
    /// Endpoints tried; 0 when none was.
    pub tries: u8,
    /// The last try went over a kept-alive connection.
    pub reused: bool,
    /// Bytes of the request's body as received, without framing.
    pub received_bytes: u64,
    /// Bytes sent to the client, head included.
    pub sent_bytes: u64,
    /// Times of the stages.
    pub times: Times,
    /// What the cache had to do with the answer; `None` where the route has none.
    pub cached: Option<Cached>,
    /// Limit that refused it, or empty.
    pub limit: &'a str,
    /// Client's address after trusted hops were read.
    pub client: Option<IpAddr>,
    /// Method as sent.
    pub method: &'a [u8],
    /// Target as sent.
    pub target: &'a [u8],
    /// Host as sent.
    pub host: &'a [u8],
    /// HTTP version of the request: 10 or 11; 0 where nobody asks for it.
    pub version: u8,
    /// Referer as sent, or empty.
    pub referer: &'a [u8],
    /// User-Agent as sent, or empty.
    pub user_agent: &'a [u8],
    /// X-Request-Id that went on, or empty.
    pub request_id: &'a [u8],
    /// Trace id of traceparent (32 hex digits), or empty.
    pub trace_id: &'a [u8],
}

/// Times of a request's stages; a stage that did not happen is zero.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Times {
    /// From the head's last byte to the response's last byte.
    pub total: Duration,
    /// Waiting for an endpoint while all were down.
    pub held: Duration,
    /// Waiting for a slot at the upstream.
    pub queued: Duration,
    /// Connecting, the last try.
    pub connect: Duration,
    /// From the request sent to the response's head, the last try.
    pub wait: Duration,
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A plain request that ran to its end.
    pub(crate) fn finished() -> Finished<'static> {
        Finished {
            status: 200,
            tries: 1,
            reused: true,
            sent_bytes: 1_200,
            method: b"GET",
            target: b"/x?y=1",
            host: b"example.com",
            version: 11,
            ..Finished::default()
        }
    }
}
