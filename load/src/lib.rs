//! The load generator: a plan of what is asked when, an engine that keeps to it whatever the target does, and a
//! verdict with a page to look at.
//!
//! ```text
//! scenario.toml ─► scenario ─┐                       ┌─► engine (one thread per core, own epoll loop)
//! URL and flags ─► quick ────┴─► Plan ─► run ────────┤     schedule ─► users ─► connections ─► check
//!                                                    └─◄ Recorder ─► Record (merged over threads and processes)
//!                                                               Record ─► Summary ─► verdict, terminal, HTML, JSON, JUnit
//! ```
//!
//! The open model is the default: request `i` is due at a moment that does not depend on how the target is doing,
//! and its latency counts from that moment. A generator that waits for answers before it asks again hides exactly
//! the latencies that people suffer from (coordinated omission).

#![forbid(unsafe_code)]

pub mod compare;
pub mod engine;
pub mod failure;
pub mod live;
pub mod plan;
pub mod record;
pub mod report;
pub mod run;
pub mod scenario;
pub mod schedule;
pub mod script;
pub mod threshold;

/// Nanoseconds since the run began. Every moment inside a run is one of these; the moment that the run began is
/// agreed on by all threads and processes, on the monotonic clock of the machine.
pub type Nanos = u64;
