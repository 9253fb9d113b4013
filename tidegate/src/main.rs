//! One binary in front of a web app: balances, retries, watches.

use std::process::ExitCode;

fn main() -> ExitCode {
    tidegate::cli::main_from(std::env::args_os())
}
