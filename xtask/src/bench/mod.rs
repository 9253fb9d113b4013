//! `cargo xtask bench`: Tidegate measured beside what it replaces.

use clap::Args;

use crate::problem::Problem;

/// Which bench to run.
#[derive(Args)]
pub(crate) struct Options {
    /// The bench's name
    name: String,
}

/// Runs one bench.
pub(crate) fn run(options: &Options) -> Result<(), Problem> {
    Err(Problem::new(format!("there is no bench {}", options.name)))
}
