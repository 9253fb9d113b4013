//! What a Rust app uses to run well behind Tidegate.
//!
//! An app is an [`axum::Router`]. This crate adds what every such app needs and none wants to write again:
//!
//! - [`serve`]: accept connections, and on SIGTERM fail readiness, drain within a bound, leave;
//! - [`Checks`]: `/health` (the process lives) and `/ready` (each dependency's state as JSON);
//! - [`Metrics`]: `/metrics` in OpenMetrics text, with request durations by matched route;
//! - [`watch`]: the middleware that joins these to a router, with request ids in the logs;
//! - [`Problem`]: errors as `application/problem+json` (RFC 9457), every field named;
//! - [`pool`]: database pools with a checkout timeout, a test before use and a recycling age;
//! - [`log`]: lines for people on a terminal, JSON for machines elsewhere.
//!
//! It stays thin over well-kept crates and holds nothing that no app uses yet.

mod checks;
pub mod log;
mod metrics;
pub mod pool;
mod problem;
mod serve;
mod watch;

pub use checks::{Checks, Report, State};
pub use metrics::Metrics;
pub use problem::{FieldError, Problem};
pub use serve::{Limits, Stop, Stopped, bind, raise_open_file_limit, serve, serve_until};
pub use watch::watch;
