//! What is read at the moment of a scrape instead of being counted: the state of endpoints, what the cache holds.

use core::time::Duration;

/// Gives the present state of what the binary runs; implemented there, read by `/metrics` and `/status`.
pub trait Observed {
    /// Calls `each` once for every endpoint of every upstream.
    fn endpoints(&self, each: &mut dyn FnMut(EndpointReading<'_>));

    /// Calls `each` once for every upstream.
    fn queues(&self, each: &mut dyn FnMut(QueueReading<'_>));

    /// What the cache holds and has done.
    fn cache(&self) -> cache::Usage;

    /// What limits hold of their keys.
    fn limits(&self) -> traffic::limit::Usage;

    /// The keys that limits refuse most, at most so many, the first one first.
    fn limited(&self, most: usize) -> Vec<LimitedKey>;
}

/// A key that a limit refuses often.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LimitedKey {
    /// Name of the limit's route.
    pub route: String,
    /// Name of the limit.
    pub limit: String,
    /// The key, for people; what may be a secret is not shown.
    pub key: String,
    /// Refusals of late.
    pub refused: u64,
    /// By how much that may be too high.
    pub error: u64,
}

/// Slots and queue of one upstream at the moment of reading.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct QueueReading<'a> {
    /// Its name.
    pub upstream: &'a str,
    /// Slots of its usable endpoints together; `None` is no limit.
    pub limit: Option<u64>,
    /// Whether the limit is found out.
    pub is_adaptive: bool,
    /// Slots that are taken.
    pub taken: u64,
    /// Requests in flight, streams and tunnels included.
    pub in_flight: u64,
    /// Requests that wait, by [`traffic::queue::Priority`].
    pub waiting: [usize; 3],
    /// Most that may wait.
    pub most_waiting: usize,
}

/// One endpoint at the moment of reading.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct EndpointReading<'a> {
    /// Name of its upstream.
    pub upstream: &'a str,
    /// Its address, as given to [`Signals::endpoint`](crate::Signals::endpoint).
    pub address: &'a str,
    /// Word of its state, out of a fixed set: `up`, `ejected`, `draining`, …
    pub state: &'static str,
    /// Whether it takes new requests now.
    pub available: bool,
    /// Why it is in that state, for people; empty when there is nothing to say.
    pub why: &'a str,
    /// Requests in flight, all threads together.
    pub in_flight: u64,
    /// Share of the traffic against the others.
    pub weight: u32,
    /// Takes traffic only when no other endpoint can.
    pub backup: bool,
    /// Exponentially weighted mean of its response times, where the policy keeps one.
    pub ewma: Option<Duration>,
}
