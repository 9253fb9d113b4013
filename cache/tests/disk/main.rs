//! The tier on disk by its rules: a store, a ledger, and a folder in memory that can be torn, filled up and corrupted.
#![allow(missing_docs)]

#[path = "../store/support.rs"]
#[allow(dead_code)]
mod support;

mod faults;
mod keeping;
mod properties;
mod purging;
mod stage;
