//! Running other programs: where the workspace is, which cargo to call, and what to say when one fails.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::problem::{OrProblem, Problem};

/// The workspace's root folder.
///
/// Cargo names the manifest's folder when it runs us; the folder that we were compiled in serves when the program is
/// started by hand.
pub(crate) fn root() -> PathBuf {
    let manifest = std::env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    manifest.parent().map_or_else(|| manifest.clone(), Path::to_path_buf)
}

/// The cargo that runs us, so that a toolchain chosen by `+name` stays chosen, started at the root.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root());
    command
}

/// Runs a command whose output the reader should see; fails unless it exits with 0.
pub(crate) fn run(command: &mut Command) -> Result<(), Problem> {
    let shown = shown(command);
    let status = command.status().problem(&format!("run `{shown}`"))?;
    if status.success() { Ok(()) } else { Err(Problem::new(format!("`{shown}` failed ({status})"))) }
}

/// Runs a command and keeps its output; a failure carries the last lines of what it wrote.
pub(crate) fn capture(command: &mut Command) -> Result<Output, Problem> {
    let shown = shown(command);
    let output = command.output().problem(&format!("run `{shown}`"))?;
    if output.status.success() {
        return Ok(output);
    }
    let text =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let lines: Vec<&str> = text.lines().collect();
    let tail = lines[lines.len().saturating_sub(40)..].join("\n");
    Err(Problem::new(format!("`{shown}` failed ({})\n{tail}", output.status)))
}

/// The path of a program that is installed, looking also where Debian keeps servers, which is not in every PATH.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/local/sbin", "/usr/sbin", "/sbin"].map(PathBuf::from))
        .map(|folder| folder.join(program))
        .find(|candidate| candidate.is_file())
}

/// The command as a person would type it.
fn shown(command: &Command) -> String {
    let program = Path::new(command.get_program()).file_name().unwrap_or(command.get_program());
    std::iter::once(program)
        .chain(command.get_args())
        .map(|word| word.to_string_lossy().into_owned())
        .collect::<Vec<_>>()
        .join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_root_holds_the_workspace_manifest() {
        let manifest = std::fs::read_to_string(root().join("Cargo.toml")).expect("readable");
        assert!(manifest.contains("[workspace]"));
    }

    #[test]
    fn a_failing_command_tells_what_it_was_and_what_it_wrote() {
        let failure = capture(Command::new("sh").args(["-c", "echo broken >&2; exit 3"])).expect_err("fails");
        assert!(
            failure.what().contains("`sh -c echo broken >&2; exit 3` failed (exit status: 3)"),
            "{failure}"
        );
        assert!(failure.what().ends_with("broken"), "{failure}");
    }

    #[test]
    fn an_absent_program_is_not_found() {
        assert!(find("sh").is_some());
        assert_eq!(find("no-such-program-anywhere"), None);
    }
}
