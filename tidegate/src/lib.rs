//! One binary in front of a web app: balances, retries, watches.
//!
//! This crate wires the floors together: [`cli`] says which command it is, `run` builds the process
//! from a configuration, `control` is what the admin listener may do with it.

mod ask;
pub mod cli;
mod control;
mod docs;
mod explain;
mod load;
mod run;
mod sitemap;
mod warm;
