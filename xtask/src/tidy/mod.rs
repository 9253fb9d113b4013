//! `cargo xtask tidy`: the rules of the house that a compiler cannot know.
//!
//! A rule is a module with a `check` from parsed sources, or from the facts of `cargo metadata`, to the problems found;
//! it reads no file and starts no program, so its tests are small samples, one that fails and one that passes. This
//! module reads the tree once, asks every rule and shows all problems together.

mod bans;
mod brains;
mod floors;
mod graph;
mod headers;
mod leftovers;
mod licences;
mod metrics;
mod settings;
mod sizes;
mod sleeps;
mod source;
mod spdx;
mod unsafety;
mod words;

use std::path::{Path, PathBuf};

use cargo_metadata::{Metadata, MetadataCommand};

use crate::problem::{OrProblem, Problem};
use crate::shell;

use graph::Graph;
use settings::Settings;
use source::SourceFile;

/// Where the rules' lists are kept, relative to the root.
const SETTINGS: &str = "xtask/tidy.toml";

/// Checks the whole tree and prints every problem; fails when there is one.
pub(crate) fn run() -> Result<(), Problem> {
    let root = shell::root();
    let settings = Settings::read(&root.join(SETTINGS))?;
    let paths = source::list(&root)?;
    let mut problems = words::check_paths(&paths, &settings);
    let (files, unreadable) = parse(&root, &paths)?;
    problems.extend(unreadable);
    problems.extend(check_sources(&files, &settings));

    // The lock file is committed; asking for it unchanged makes a forgotten one an error here rather than a surprise.
    let metadata = metadata(&["--locked", "--filter-platform", "x86_64-unknown-linux-gnu"])?;
    let graph = Graph::new(&metadata)?;
    problems.extend(floors::check(&graph, &settings));
    problems.extend(licences::check(&graph, &settings));
    let (banned, warnings) = bans::check(&graph, &settings);
    problems.extend(banned);
    problems.extend(brains::compile(&settings)?);

    for warning in warnings {
        println!("{}", warning.to_string().replacen("error", "warning", 1));
    }
    problems.sort();
    problems.dedup();
    for problem in &problems {
        eprintln!("{problem}\n");
    }
    match problems.len() {
        0 => {
            println!("tidy: {} source files, {} packages: in order", files.len(), graph.packages.len());
            Ok(())
        }
        count => Err(Problem::new(format!("tidy found {count} problems")).help("each is named above")),
    }
}

/// What cargo knows about the workspace.
pub(crate) fn metadata(options: &[&str]) -> Result<Metadata, Problem> {
    MetadataCommand::new()
        .current_dir(shell::root())
        .other_options(options.iter().map(ToString::to_string).collect::<Vec<_>>())
        .exec()
        .problem("run `cargo metadata`")
}

fn parse(root: &Path, paths: &[PathBuf]) -> Result<(Vec<SourceFile>, Vec<Problem>), Problem> {
    let mut files = Vec::new();
    let mut problems = Vec::new();
    for path in paths.iter().filter(|path| path.extension().is_some_and(|extension| extension == "rs")) {
        let text = std::fs::read_to_string(root.join(path)).problem(&format!("read {}", path.display()))?;
        match SourceFile::parse(path.clone(), text) {
            Ok(file) => files.push(file),
            Err(problem) => problems.push(problem),
        }
    }
    Ok((files, problems))
}

fn check_sources(files: &[SourceFile], settings: &Settings) -> Vec<Problem> {
    let mut problems = Vec::new();
    for file in files {
        problems.extend(headers::check(file));
        problems.extend(brains::check(file, settings));
        problems.extend(metrics::check(file, settings));
        problems.extend(words::check_names(file, settings));
        problems.extend(leftovers::check(file));
    }
    problems.extend(sizes::check(files, settings));
    problems.extend(unsafety::check(files, settings));
    problems.extend(sleeps::check(files, settings));
    problems
}
