//! Routing, balancing, health, retries and client identity as decisions without IO.
//!
//! Bytes and `now` in, decisions out: nothing here opens a socket, reads a clock or writes a log. The
//! caller asks in the order in which a request lives:
//!
//! 1. [`client`]: who is asking, given the peer and what trusted proxies say. [`trace`]: under which trace.
//! 2. [`route`]: which route answers.
//! 3. [`limit`]: whether the client, or whatever else counts, has had its share; [`room`]: or waits for its turn.
//! 4. [`breaker`]: whether requests are sent to its upstream at all.
//! 5. [`upstream`]: which endpoint gets the request; [`balance`] knows the policies, [`queue`] who waits and for how
//!    long, and [`adaptive`] finds out how many requests an endpoint takes at once.
//! 6. [`upstream::Lease`]: how it went. [`outlier`] says what that means, [`endpoint`] keeps the state,
//!    [`health`] adds what probes find.
//! 7. [`retry`]: whether a failed request may go on to another endpoint.
//!
//! Whatever ends a request without the upstream's answer is a [`Refusal`].

#![forbid(unsafe_code)]

pub mod adaptive;
pub mod balance;
pub mod breaker;
pub mod client;
pub mod endpoint;
pub mod health;
pub mod limit;
pub mod moment;
pub mod outlier;
pub mod queue;
pub mod refusal;
pub mod retry;
pub mod room;
pub mod route;
pub mod trace;
pub mod upstream;
mod window;

pub use moment::Moment;
pub use refusal::Refusal;
