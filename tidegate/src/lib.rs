//! One binary in front of a web app: balances, retries, watches.

pub mod cli;
