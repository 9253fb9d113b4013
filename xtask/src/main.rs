//! `cargo xtask`: the one door to everything done to this workspace that is not writing code.
//!
//! Each subcommand is one module and one function from options to `Result<(), Problem>`; `main` only chooses between
//! them and turns a problem into an exit status. The crate keeps its dependencies few, because it is the first thing
//! that a fresh clone has to compile.

mod bench;
mod docs;
mod problem;
mod setup;
mod shell;
mod test;
mod tidy;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Everything done to this workspace that is not writing code.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

/// The tasks, one module each.
#[derive(Subcommand)]
enum Task {
    /// Install the Debian packages that the tests (or, with --bench, the benches) need and that are missing
    Setup(setup::Options),
    /// Everything that CI runs: setup, format, tidy, lints, docs freshness, all tests
    Test,
    /// Check the rules of the house: floors, brains, words, sizes, licences and the rest of xtask/tidy.toml
    Tidy,
    /// Write docs/reference again from the code, or with --check fail when it is stale
    Docs(docs::Options),
    /// Measure Tidegate beside its peers
    Bench(bench::Options),
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().task {
        Task::Setup(options) => setup::run(&options),
        Task::Test => test::run(),
        Task::Tidy => tidy::run(),
        Task::Docs(options) => docs::run(&options),
        Task::Bench(options) => bench::run(&options),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("{problem}");
            ExitCode::FAILURE
        }
    }
}
