//! The admin listener: metrics, health, readiness, status and control.
//!
//! ```text
//!   GET  /metrics                          counters and state, Prometheus text format
//!   GET  /health                           200 while the process answers at all
//!   GET  /ready                            200, or 503 with the reasons
//!   GET  /status                           what `tidegate status` shows, as JSON
//!   GET  /explain?method=&url=&header=…    what would be done with a request
//!   GET  /cache                            what the cache holds and has done, as JSON
//!   GET  /cache/list?prefix=&limit=        entries, those whose URL begins so
//!   GET  /cache/top?limit=                 entries that were hit most
//!   POST /cache/purge?url=|prefix=|tag=|all=true&soft=true
//!   POST /reload                           200, or 422 with what is wrong with the file
//!   GET  /surge                            surges that can be switched on, as JSON or in words
//!   POST /surge/on?profile=&for_s=         one is on, for so long; without a name the only one
//!   POST /surge/off                        none is on
//!   POST /drain/{upstream}/{endpoint}      no new requests for the endpoint
//!   POST /undrain/{upstream}/{endpoint}    new requests again
//! ```
//!
//! [`serve`] answers these over a [`Control`] that the binary implements; [`client`] asks them for the command line;
//! [`table`] shows their answers to people. Who may connect is decided by the address that the binary binds
//! (loopback unless told otherwise); on top of that [`guard`] keeps web pages from giving orders.

pub mod client;
pub mod control;
pub mod guard;
mod handlers;
mod rates;
mod server;
pub mod status;
pub mod stored;
pub mod table;

pub use control::{
    Control, Drain, DrainRefused, Explanation, NotReady, Question, Reloaded, Reloading, Step, SurgeOrder,
};
pub use server::{kept_back, serve};
pub use status::{
    ConnectionStatus, EndpointStatus, HitStatus, LimitStatus, LimitedStatus, LimitsStatus, QueueStatus,
    RouteStatus, Status, SurgeStatus, UpstreamStatus,
};
pub use stored::{CacheStatus, Entries, EntryStatus, PurgeOrder, PurgeWhat, Purged};
