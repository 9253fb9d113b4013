//! What a Rust app uses to run well behind Tidegate.
//!
//! An app is an [`axum::Router`]. This crate adds what every such app needs and none wants to write again:
//!
//! - [`serve`]: accept connections, and on SIGTERM fail readiness, drain within a bound, leave;
//! - [`Checks`]: `/health` (the process lives) and `/ready` (each dependency's state as JSON);
//! - [`Metrics`]: `/metrics` in OpenMetrics text, with request durations by matched route;
//! - [`watch`]: the middleware that joins these to a router, with request ids in the logs;
//! - [`at_most`]: a bound on the requests in flight, with a 503 past it;
//! - [`Problem`]: errors as `application/problem+json` (RFC 9457), every field named; [`input`]: bodies, checked;
//! - [`Answer`]: whole answers with an ETag, made once and sent often; [`page`]: what pages for browsers need;
//! - [`openapi`]: the parts of an API's description;
//! - [`pool`]: database pools with a checkout timeout, a test before use and a recycling age; [`database`]: from a
//!   URL to tables, by one of several processes that start at once;
//! - [`ServeOptions`]: the command line's part that every app has;
//! - [`log`]: lines for people on a terminal, JSON for machines elsewhere.
//!
//! It stays thin over well-kept crates and holds nothing that no app uses yet.

mod answer;
mod bound;
mod checks;
pub mod database;
pub mod input;
pub mod log;
mod metrics;
pub mod openapi;
pub mod page;
pub mod pool;
mod problem;
mod program;
mod secret;
mod serve;
mod watch;

pub use answer::{Answer, digest};
pub use bound::at_most;
pub use checks::{Checks, Report, State};
pub use metrics::Metrics;
pub use problem::{FieldError, Problem};
pub use program::{ServeError, ServeOptions, exit_code};
pub use secret::is_same_secret;
pub use serve::{Limits, Stop, Stopped, bind, raise_open_file_limit, serve, serve_until};
pub use watch::watch;
