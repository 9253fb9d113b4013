//! The shared cache: what may be kept, for whom, how long, and the store in memory that keeps it. No IO, no clock.
//!
//! Rules are those of RFC 9111 (shared cache), 5861 (stale content), 9211 (Cache-Status) and 9213 (targeted fields);
//! 9110 for validators, ranges and conditions. Every "no" has a name: [`Bypass`].
//!
//! ```text
//!  request head ──► Ask ──► Key ──► Store::look ──► Found ─┬─► Hit, Stale: deliver the Entry
//!                                                          ├─► Follow: read along while another request fills
//!                                                          ├─► Fill, Revalidate: ask the origin, detached from the client
//!                                                          └─► Pass: forward as if there were no cache
//!  response head ──► storable::judge ──► Storable or Bypass ──► Filling ──► Entry
//! ```

pub mod ask;
pub mod bypass;
pub mod coding;
pub mod condition;
pub mod control;
pub mod disk;
pub mod entry;
pub mod filling;
pub mod freshness;
pub mod invalidation;
pub mod key;
pub mod range;
pub mod rules;
pub mod status;
pub mod storable;
pub mod store;
pub mod vary;

pub use ask::Ask;
pub use bypass::Bypass;
pub use entry::{Body, Entry, Stored};
pub use filling::{Begun, Filling, Flow, Head, Reader};
pub use key::Key;
pub use rules::Rules;
pub use storable::{Storable, Terms};
pub use store::{Found, Purge, Store, Ticket, Usage, Writer};

/// Milliseconds since 1970-01-01 UTC, from a clock that is never set back while the process runs.
pub type UnixMs = u64;
