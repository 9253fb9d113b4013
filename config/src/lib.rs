//! tidegate.toml: text to [`file::File`] (what was written) to [`Plan`] (what it means), with diagnostics,
//! JSON schema and the reference page.
//!
//! [`load`] and [`parse`] tell everything that is wrong with a file at once. The structs in [`file`] are the
//! manual: their keys, comments and defaults make the reader, [`schema`] and [`reference`] alike, so none of
//! these can say something else than the others.
//!
//! The modules that are hidden from the docs are the reader itself: load reads its scenarios with it, so that every
//! file of Tidegate is read, refused and documented in one way.

#![forbid(unsafe_code)]

mod address;
mod diagnostic;
#[doc(hidden)]
pub mod field;
pub mod file;
mod load;
mod lower;
#[doc(hidden)]
pub mod manual;
pub mod plan;
#[doc(hidden)]
pub mod read;
mod substitute;
#[doc(hidden)]
pub mod table;
#[doc(hidden)]
pub mod value;

pub use address::{AdminAddress, BadAddress, Network, parse_endpoint, parse_listen};
pub use diagnostic::{Diagnostic, Diagnostics, Note, Severity};
pub use load::{Failure, Loaded, load, parse};
#[doc(hidden)]
pub use load::{read_at_most, read_text};
pub use manual::{reference, schema};
pub use plan::*;
pub use read::{Key, List, Named, OneOrMany, Shortened, Switch, Toggle};
pub use value::{Count, Frequency, Number, Rate, Share, Size, Statuses, Time};
