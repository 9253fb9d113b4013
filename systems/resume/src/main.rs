//! The site as a program: options in, exit code out.

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    let options = resume::Options::parse();
    kit::exit_code(|| resume::run(options))
}
