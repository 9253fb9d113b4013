//! tidegate.toml: text to [`file::File`] (what was written) to [`Plan`] (what it means), with diagnostics,
//! JSON schema and the reference page.
//!
//! [`load`] and [`parse`] tell everything that is wrong with a file at once. The structs in [`file`] are the
//! manual: their keys, comments and defaults make the reader, [`schema`] and [`reference`] alike, so none of
//! these can say something else than the others.

#![forbid(unsafe_code)]

mod address;
mod diagnostic;
mod field;
pub mod file;
mod load;
mod lower;
mod manual;
pub mod plan;
mod read;
mod substitute;
mod table;
mod value;

pub use address::{AdminAddress, BadAddress, Network, parse_endpoint, parse_listen};
pub use diagnostic::{Diagnostic, Diagnostics, Note, Severity};
pub use load::{Failure, Loaded, load, parse};
pub use manual::{reference, schema};
pub use plan::*;
pub use read::{Key, List, Named, OneOrMany, Shortened, Switch, Toggle};
pub use value::{Count, Number, Rate, Share, Size, Statuses, Time};
