//! Which rule answers a request: host, path, method and headers in, one route out.
//!
//! The most specific rule wins; the order in the file never counts. What "more specific" means, from
//! the strongest word to the weakest:
//!
//! 1. Host: an exact name, then the wildcard with the longer suffix, then any host.
//! 2. Path, segment by segment from the left: a literal beats a parameter beats `*`, and a pattern
//!    that ends where the path ends beats one that goes on with `*`.
//! 3. More header matches, then more of them with a value.
//! 4. A method list beats none.
//! 5. What is still equal can only differ in the names of the headers: their alphabetical order decides.
//!
//! A rule that is passed over for its method or headers gives way to the next one in this order, down
//! to the most general host. Two rules of which neither is more specific are a [`Conflict`].

mod index;
mod params;
mod pattern;
mod rule;
mod table;

pub use params::{PARAMETERS_MAX, Params};
pub use pattern::{HostPattern, PathPattern, PatternError, SEGMENTS_MAX};
pub use rule::{HeaderMatch, Rule};
pub use table::{Allow, Candidate, Conflict, NoRoute, Query, RouteId, Table, Verdict};
