//! Limits: how much of the house one client, or whatever else a key stands for, may take.
//!
//! ```text
//!   bytes of a key ─▶ Limit::key ─▶ Check ─▶ Store::check ─▶ Outcome: admitted, or refused and for how long
//!                                     │
//!                                     ├────▶ Store::enter ─▶ Flight, given back when the request has ended
//!                                     └────▶ Store::grant ─▶ Grant: bytes that may go now, or how long to wait
//! ```
//!
//! Requests are counted by GCRA ([`rule`]): one number per key, the moment at which its bucket is full again. A key
//! whose moment has passed is worth nothing, so it is what the [`store`] forgets first; what it has to forget before
//! that moment leaves its mark in the limit's [`overflow`], which makes the next ones stricter, never looser.
//! [`flight`] counts what is in flight, [`top`] who is refused most, [`shared`] is the port through which instances
//! tell each other what they have admitted.

pub mod flight;
pub mod overflow;
pub mod rule;
pub mod shared;
pub mod store;
pub mod top;

pub use flight::Flight;
pub use rule::{Pace, Rule};
pub use store::{CHECKS_MAX, Check, Grant, Key, Left, Limit, Outcome, Refused, Settings, Store, Usage};
pub use top::{Top, TopKey};
