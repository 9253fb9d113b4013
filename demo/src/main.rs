//! Tidegate in front of one of the systems, with one command and nothing to build or install first.
//!
//! One executable plays every part: started by a person it is the stage, which starts itself again as the app's
//! processes and as Tidegate, and stops them all when it is told to.

mod child;
mod ports;
mod program;
mod stage;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{Parser, Subcommand, ValueEnum};

/// Runs a system as several processes behind Tidegate, until Ctrl-C.
#[derive(Debug, Parser)]
#[command(name = "demo", version, args_conflicts_with_subcommands = true)]
struct Cli {
    /// Which system
    #[arg(value_enum, default_value_t = System::Screener)]
    system: System,
    #[command(subcommand)]
    part: Option<Part>,
}

/// The systems that exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum System {
    /// A stock screener over 5,000 synthetic companies
    Screener,
    /// A personal site of a synthetic person
    Resume,
}

#[derive(Debug, Subcommand)]
enum Part {
    /// Tidegate's own command line, such as: demo tidegate status
    #[command(disable_help_flag = true)]
    Tidegate {
        /// Its command and options
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<OsString>,
    },
    /// One process of the screener
    #[command(hide = true)]
    AppScreener(screener::Options),
    /// One process of the personal site
    #[command(hide = true)]
    AppResume(resume::Options),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    child::end_with_the_stage();
    match cli.part {
        None => stage::run(cli.system),
        Some(Part::Tidegate { args }) => {
            tidegate::cli::main_from(std::iter::once(OsString::from("tidegate")).chain(args))
        }
        Some(Part::AppScreener(options)) => kit::exit_code(|| screener::run(options)),
        Some(Part::AppResume(options)) => kit::exit_code(|| resume::run(options)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_no_system_has_lists_those_that_exist() {
        let error = Cli::try_parse_from(["demo", "restaurant"]).unwrap_err().to_string();
        assert!(error.contains("possible values: screener, resume"), "{error}");
    }

    #[test]
    fn what_follows_tidegate_goes_to_tidegate() {
        let cli = Cli::try_parse_from(["demo", "tidegate", "status", "--json", "--help"]).unwrap();
        let Some(Part::Tidegate { args }) = cli.part else { panic!("not tidegate: {cli:?}") };
        assert_eq!(args, ["status", "--json", "--help"]);
    }
}
