//! The command line.

use std::ffi::OsString;
use std::process::ExitCode;

/// Runs the command line `args` (the program's name first) to its end.
pub fn main_from(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    drop(args);
    ExitCode::FAILURE
}
