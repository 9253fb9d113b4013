//! A personal site, complete, to run behind Tidegate.
//!
//! Pages that never change while a process runs are rendered once, at its start, and then only sent; what changes is
//! the contact form's messages, which sit in SQLite. Where a request goes:
//!
//! ```text
//!   kit::serve -> kit::watch -> kit::at_most -> routes -> page    (kept pages; the form; the owner's messages)
//!                                                      -> assets  (style, script, pictures by hashed names)
//!                                                      -> message (what a message may be) -> pace -> store (SQL)
//! ```
//!
//! Several processes share one database file. A site whose database is away still shows its pages; only `/ready`,
//! the form and the messages say that it is.

pub mod app;
mod assets;
mod contact;
pub mod message;
mod openapi;
mod options;
mod pace;
mod page;
mod person;
mod routes;
mod store;

pub use app::{Error, run};
pub use options::Options;
