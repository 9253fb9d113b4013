//! Every metric name, log line and outcome of Tidegate.
//!
//! ```text
//!   data-plane thread 0 ── Shard 0 ──┐
//!   data-plane thread 1 ── Shard 1 ──┼── Signals::render ── /metrics
//!   …                                │   (reads, never writes)
//!   names ── slots ── Signals ───────┘
//! ```
//!
//! Each thread of the data plane writes the counters of its own [`Shard`] and nobody else's; a scrape adds the
//! shards up. Names of routes, upstreams and endpoints become slots once, when the configuration is loaded, so
//! that counting touches no text. One [`Finished`] per request feeds the counters and the access log.

mod chunked;
mod counter;
mod exposition;
mod gather;
pub mod log;
pub mod metric;
mod names;
mod observed;
pub mod outcome;
mod process;
mod reference;
mod render;
pub mod request;
mod shard;
mod slot;

pub use gather::{EndpointTotals, Latency, LimitTotals, RouteTotals, Totals, UpstreamTotals};
pub use metric::Metric;
pub use names::{Reload, Signals};
pub use observed::{
    BreakerReading, EndpointReading, LimitedKey, Observed, QueueReading, RoomReading, SurgeReading,
};
pub use outcome::Coding;
pub use reference::reference;
pub use request::{Cached, Finished, Stage, Times, Who};
pub use shard::Shard;
pub use slot::{EndpointSlot, LimitSlot, RouteSlot, UpstreamSlot};

/// How many routes are counted by name; those past it share the name [`OTHER`].
pub const MAX_ROUTES: usize = 16_384;

/// How many upstreams are counted by name; those past it share the name [`OTHER`].
pub const MAX_UPSTREAMS: usize = 4_096;

/// How many limits are counted by route and name; those past it share the name [`OTHER`].
pub const MAX_LIMITS: usize = 16_384;

/// How many endpoints are counted by name; those past it share the name [`OTHER`].
pub const MAX_ENDPOINTS: usize = 16_384;

/// Label of everything past a bound on names.
pub const OTHER: &str = "(other)";

/// Label of requests that ended before a route was chosen.
pub const NONE: &str = "(none)";
