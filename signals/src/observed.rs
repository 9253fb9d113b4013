//! What is read at the moment of a scrape instead of being counted: the state of endpoints, what the cache holds.

use core::time::Duration;

/// Gives the present state of what the binary runs; implemented there, read by `/metrics` and `/status`.
pub trait Observed {
    /// Calls `each` once for every endpoint of every upstream.
    fn endpoints(&self, each: &mut dyn FnMut(EndpointReading<'_>));

    /// Calls `each` once for every upstream.
    fn queues(&self, each: &mut dyn FnMut(QueueReading<'_>));
    /// Calls `each` once for every upstream that has a circuit breaker.
    fn breakers(&self, each: &mut dyn FnMut(BreakerReading<'_>)) {
        let _ = each;
    }

    /// Calls `each` once for every waiting room.
    fn rooms(&self, each: &mut dyn FnMut(RoomReading<'_>)) {
        let _ = each;
    }

    /// Calls `each` once for every surge that can be switched on.
    fn surges(&self, each: &mut dyn FnMut(SurgeReading<'_>)) {
        let _ = each;
    }

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

/// The circuit breaker of an upstream at the moment of reading.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct BreakerReading<'a> {
    /// Name of its upstream.
    pub upstream: &'a str,
    /// Word of its state: `closed`, `open` or `half_open`.
    pub state: &'static str,
    /// What it opened for, for people; empty when it is not open.
    pub why: &'a str,
    /// What it has done since the upstream was first configured.
    pub counts: traffic::breaker::Counts,
    /// How long it stays open, if it is.
    pub left: Option<Duration>,
}

/// A waiting room at the moment of reading.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct RoomReading<'a> {
    /// Its name.
    pub name: &'a str,
    /// What there is to see.
    pub reading: traffic::room::Reading,
}

/// A surge profile at the moment of reading.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SurgeReading<'a> {
    /// Its name.
    pub profile: &'a str,
    /// What it tightens, for people.
    pub tightens: &'a str,
    /// For how long it has been on; `None` while it is off.
    pub on: Option<Duration>,
    /// How long it stays on, if it ends by itself.
    pub left: Option<Duration>,
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
