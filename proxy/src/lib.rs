//! Sockets and time: accept, HTTP/1, the pipeline, the cache's fills and deliveries, upstream pools, tunnels.
//!
//! ```text
//!   thread::accept ─▶ connection::serve ─▶ client::next_head ─▶ pipeline::serve ─▶ forward ─▶ transfer
//!                                                   │              │   │               │          │
//!                                             wire (parse)         │ traffic (route)   │     inbound (head for
//!                                                                  ▼                   │      the client, or for
//!                        client ◀── deliver ◀────────────────── cached          traffic (pick,    fill::Sink)
//!                                      ▲                           │                judge)        │
//!                                      │ reads along               ▼ a miss, or stale             ▼
//!                                      └──────── cache ◀── fill: a request of its own ─▶ forward ─▶ store
//! ```
//!
//! One thread per core, each with its own runtime, listener sockets and pools ([`core::Core`]); what
//! cores share is in [`core::Shared`]. [`server::Server`] starts, reloads and drains them all.

mod breaker;
mod browser;
mod cached;
mod census;
mod client;
mod clock;
pub mod compress;
pub mod connection;
pub mod control;
pub mod core;
mod deliver;
pub mod disk;
pub mod exchange;
pub mod explain;
mod files;
mod fill;
pub mod forward;
mod inbound;
pub mod limits;
mod lines;
pub mod live;
pub mod net;
mod outbound;
mod pace;
pub mod pipeline;
mod pool;
mod preamble;
mod probe;
pub mod purge;
mod queue;
mod request_key;
pub mod respond;
pub mod room;
mod sending;
pub mod server;
mod state;
mod sticky;
pub mod stream;
pub mod surge;
mod sys;
mod thread;
pub mod timers;
mod token;
mod transfer;
mod tunnel;

pub use server::{Server, StartError};
