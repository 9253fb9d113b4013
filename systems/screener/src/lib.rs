//! A stock screener, complete, to run behind Tidegate.
//!
//! A universe of stocks (5,000 synthetic companies, or real ones from a CSV file) sits in SQLite. People filter it on a
//! page, programs through a JSON API. Where a request goes:
//!
//! ```text
//!   kit::serve -> kit::watch -> routes -> filter  (query string -> Filter, errors named)
//!                                      -> answers (in-process LRU of whole answers)
//!                                      -> store   (SQL)
//!                                      -> page / api (HTML / JSON)
//! ```
//!
//! Several processes share one database file; [`app`] says how each notices what another changed.

mod answers;
mod api;
pub mod app;
mod csv;
pub mod filter;
mod openapi;
mod options;
mod page;
mod routes;
mod statics;
pub mod stock;
mod store;
pub mod synthetic;

pub use app::{Error, run};
pub use options::Options;
