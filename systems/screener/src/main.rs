//! The screener as a program: options in, exit code out.

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    let options = screener::Options::parse();
    kit::exit_code(|| screener::run(options))
}
