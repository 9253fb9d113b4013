//! `cargo xtask docs`: docs/reference, written by the code it describes.
//!
//! The binary holds the reference pages as functions (config, metrics, refusals, command line); its hidden `docs`
//! subcommand writes them into a folder. This task runs it into a fresh folder and then copies, or with `--check`
//! compares. Pictures that tests' models draw are written beside them, into docs/pictures. So a page cannot be edited by hand and a doc comment cannot change without its page.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use clap::Args;

use crate::problem::{OrProblem, Problem};
use crate::shell;

/// Where the generated pages live, relative to the root.
const REFERENCE: &str = "docs/reference";

/// Where pictures live.
const PICTURES: &str = "docs/pictures";

/// Write or compare.
#[derive(Args)]
pub(crate) struct Options {
    /// Change nothing; fail when a page differs from what the code says
    #[arg(long)]
    check: bool,
}

/// Builds the binary and writes or checks the pages.
pub(crate) fn run(options: &Options) -> Result<(), Problem> {
    let mut command = shell::cargo();
    command.args(["run", "--quiet", "--package", "tidegate", "--"]);
    if options.check {
        check(command)
    } else {
        write(command)?;
        draw()
    }
}

/// Draws the adaptive limit out of the model that its tests use.
fn draw() -> Result<(), Problem> {
    let mut command = shell::cargo();
    command.args(["run", "--quiet", "--package", "tidegate-traffic", "--example", "adaptive_picture"]);
    let picture = shell::capture(&mut command)?;
    let folder = shell::root().join(PICTURES);
    std::fs::create_dir_all(&folder).problem(&format!("create {PICTURES}"))?;
    std::fs::write(folder.join("adaptive.svg"), picture.stdout).problem("write the picture of the adaptive limit")
}

/// Fails when docs/reference differs from what `tidegate`, a command that runs the binary, writes.
pub(crate) fn check(tidegate: Command) -> Result<(), Problem> {
    let fresh = generate(tidegate)?;
    let differences = differences(&read(&shell::root().join(REFERENCE))?, &fresh);
    if differences.is_empty() {
        return Ok(());
    }
    Err(Problem::new(format!("{REFERENCE} is not what the code says: {}", differences.join(", ")))
        .at(REFERENCE, 0)
        .help("run `cargo xtask docs` and commit the result"))
}

fn write(tidegate: Command) -> Result<(), Problem> {
    let fresh = generate(tidegate)?;
    let folder = shell::root().join(REFERENCE);
    let differences = differences(&read(&folder)?, &fresh);
    if folder.exists() {
        std::fs::remove_dir_all(&folder).problem(&format!("empty {REFERENCE}"))?;
    }
    for (name, bytes) in &fresh {
        let path = folder.join(name);
        let parent = path.parent().unwrap_or(&folder);
        std::fs::create_dir_all(parent).problem(&format!("create {}", parent.display()))?;
        std::fs::write(&path, bytes).problem(&format!("write {}", path.display()))?;
    }
    if differences.is_empty() {
        println!("{REFERENCE} is up to date ({} files)", fresh.len());
    } else {
        println!("{REFERENCE}: {}", differences.join(", "));
    }
    Ok(())
}

/// Files by their path relative to the folder they were read from.
type Pages = BTreeMap<PathBuf, Vec<u8>>;

fn generate(mut tidegate: Command) -> Result<Pages, Problem> {
    let folder = tempfile::tempdir().problem("create a folder for the pages")?;
    shell::capture(tidegate.arg("docs").arg(folder.path()))?;
    let pages = read(folder.path())?;
    if pages.is_empty() {
        return Err(Problem::new("`tidegate docs` wrote no page"));
    }
    Ok(pages)
}

/// Every file under a folder; none when the folder does not exist.
fn read(folder: &Path) -> Result<Pages, Problem> {
    let mut pages = Pages::new();
    if !folder.exists() {
        return Ok(pages);
    }
    for entry in walkdir::WalkDir::new(folder) {
        let entry = entry.problem(&format!("list {}", folder.display()))?;
        if entry.file_type().is_file() {
            let bytes = std::fs::read(entry.path()).problem(&format!("read {}", entry.path().display()))?;
            let name = entry.path().strip_prefix(folder).unwrap_or(entry.path());
            pages.insert(name.to_path_buf(), bytes);
        }
    }
    Ok(pages)
}

/// What it takes to get from the committed pages to the fresh ones, in words; empty when they are equal.
fn differences(committed: &Pages, fresh: &Pages) -> Vec<String> {
    let changed = fresh.iter().filter_map(|(name, bytes)| match committed.get(name) {
        None => Some(format!("{} is missing", name.display())),
        Some(old) if old != bytes => Some(format!("{} changed", name.display())),
        Some(_) => None,
    });
    let gone = committed.keys().filter(|name| !fresh.contains_key(*name));
    changed.chain(gone.map(|name| format!("{} is no longer generated", name.display()))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pages(pages: &[(&str, &str)]) -> Pages {
        pages.iter().map(|(name, text)| (PathBuf::from(name), text.as_bytes().to_vec())).collect()
    }

    #[test]
    fn equal_pages_have_no_differences() {
        let same = pages(&[("cli.md", "x"), ("config.md", "y")]);
        assert_eq!(differences(&same, &same), Vec::<String>::new());
    }

    #[test]
    fn missing_changed_and_surplus_pages_are_all_named() {
        let committed = pages(&[("config.md", "old"), ("gone.md", "x")]);
        let fresh = pages(&[("cli.md", "x"), ("config.md", "new")]);
        assert_eq!(
            differences(&committed, &fresh),
            ["cli.md is missing", "config.md changed", "gone.md is no longer generated"]
        );
    }

    #[test]
    fn a_program_that_writes_nothing_is_a_failure() {
        assert_eq!(
            generate(Command::new("true")).expect_err("fails").what(),
            "`tidegate docs` wrote no page"
        );
    }
}
