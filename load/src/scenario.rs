//! scenario.toml to [`Plan`], and the same from the command line.
//!
//! The structs in [`file`] are the manual: the reader, [`schema`] and [`reference`] are made from them, as in config,
//! whose reader this is.

pub mod file;
mod lower;
pub mod quick;
mod target;
pub mod value;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use config::Diagnostics;

use crate::plan::Plan;

pub use lower::Surroundings;
pub use target::BadTarget;

/// Most users, connections or sockets of one run.
pub const MAX_USERS: u32 = 10_000_000;
/// Largest scenario, in bytes.
const FILE_BYTES: usize = 1 << 20;
/// Connections that the open model may open when the scenario does not say.
const USERS_UP_TO: u32 = 10_000;
/// Longest time for an answer when the scenario does not say.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Why there is no plan.
#[derive(Debug)]
pub enum Unusable {
    /// The file cannot be read.
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// The file can be read, but not used.
    Invalid(Diagnostics),
}

impl Unusable {
    /// The reason for a person at a terminal; `colour` as in [`Diagnostics::render`].
    pub fn render(&self, colour: bool) -> String {
        match self {
            Self::Unreadable { .. } => format!("{self}\n"),
            Self::Invalid(diagnostics) => diagnostics.render(colour),
        }
    }
}

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable { path, error } => {
                let help = match error.kind() {
                    io::ErrorKind::NotFound => {
                        "name a scenario that is there, or a URL such as http://127.0.0.1:8080"
                    }
                    io::ErrorKind::InvalidData => "save it as UTF-8 text",
                    _ => "check that it is a file of at most 1 MiB that you may read",
                };
                write!(f, "error: cannot read {}: {error}\nhelp: {help}", path.display())
            }
            Self::Invalid(diagnostics) => diagnostics.fmt(f),
        }
    }
}

impl std::error::Error for Unusable {}

/// Loads a scenario, with the process's environment; the files that it names are found from its own folder, and the
/// host of its target is resolved.
///
/// # Errors
/// [`Unusable::Unreadable`] when the file cannot be read, is larger than 1 MiB or no UTF-8; [`Unusable::Invalid`] with
/// everything that is wrong in it.
pub fn load(path: &Path) -> Result<Plan, Unusable> {
    let unreadable = |error| Unusable::Unreadable { path: path.to_owned(), error };
    let bytes = config::read_at_most(path, FILE_BYTES).map_err(unreadable)?;
    if bytes.len() > FILE_BYTES {
        return Err(unreadable(io::Error::other("it is larger than 1 MiB")));
    }
    let text = String::from_utf8(bytes)
        .map_err(|_| unreadable(io::Error::new(io::ErrorKind::InvalidData, "it is not UTF-8")))?;
    let folder = path.parent().unwrap_or(Path::new(""));
    let around = Surroundings {
        name: &path.display().to_string(),
        env: &|name| std::env::var(name).ok(),
        read: &|named, limit| config::read_at_most(&folder.join(named), limit),
        resolve: &target::system,
    };
    parse(&text, around).map_err(Unusable::Invalid)
}

/// Reads a text.
///
/// # Errors
/// Everything that is wrong. Faults of TOML itself are told alone: behind them, nothing is certain.
pub fn parse(text: &str, around: Surroundings<'_>) -> Result<Plan, Diagnostics> {
    let told = |items| Diagnostics::new(around.name, text, items);
    let (file, mut wrong) = config::read_text::<file::File>(text, around.env).map_err(told)?;
    let (plan, more) = lower::lower(&file, around);
    wrong.extend(more);
    plan.filter(|_| wrong.is_empty()).ok_or_else(|| told(wrong))
}

/// The JSON schema (draft 2020-12) of scenarios, for editors that check and complete.
pub fn schema() -> String {
    config::manual::schema_of::<file::File>("scenario.toml")
}

/// The reference page in Markdown: every table, key, type, default and meaning.
pub fn reference() -> String {
    config::manual::reference_of::<file::File>("Scenario reference", "load/src/scenario/file.rs")
}

/// A seed that can be written back into a scenario, and read by what knows only doubles.
fn random_seed() -> u64 {
    fastrand::u64(..1 << 48)
}
