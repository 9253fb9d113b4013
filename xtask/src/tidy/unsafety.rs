//! Rule: `unsafe` lives in one named file per crate, and every use of it gives its argument.

use std::collections::BTreeMap;
use std::path::Path;

use crate::problem::Problem;

use super::SETTINGS;
use super::settings::Settings;
use super::source::{SourceFile, Token};

/// Finds `unsafe` outside the listed files, without an argument, and files listed for nothing.
pub(crate) fn check(files: &[SourceFile], settings: &Settings) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut listed_in = BTreeMap::new();
    for exception in &settings.unsafe_module {
        let Some(file) = files.iter().find(|file| file.path == exception.path) else {
            problems.push(needless(exception.path.display().to_string()));
            continue;
        };
        // A file of tests or an example is a crate of its own to the compiler, and one to us.
        let crate_path = if file.is_product() { Path::new(file.crate_name()) } else { &file.path };
        if let Some(first) = listed_in.insert(crate_path, &exception.path) {
            problems.push(
                Problem::new(format!("the crate {} lists two files for `unsafe`", file.crate_name()))
                    .at(&exception.path, 0)
                    .help(format!("move it into {}, so that all of it is read together", first.display())),
            );
        }
        if uses(file).next().is_none() {
            problems.push(needless(exception.path.display().to_string()));
        }
    }
    for file in files {
        let listed = settings.unsafe_module.iter().any(|exception| exception.path == file.path);
        problems.extend(uses(file).filter_map(|line| judge(file, line, listed)));
    }
    problems
}

/// The lines that hold the keyword where something is promised: blocks and implementations. `unsafe fn` asks its callers
/// for a promise, and its body makes its own in blocks.
fn uses(file: &SourceFile) -> impl Iterator<Item = usize> {
    let uses = file.tokens.iter().enumerate().filter(|(index, token)| {
        let next = file.tokens.get(index + 1).and_then(Token::word);
        token.word() == Some("unsafe") && !matches!(next, Some("fn" | "extern"))
    });
    uses.map(|(_, token)| token.line)
}

fn judge(file: &SourceFile, line: usize, listed: bool) -> Option<Problem> {
    if !listed {
        return Some(Problem::new("`unsafe` outside the file that may hold it").at(&file.path, line).help(format!(
            "do it safely; if that cannot be, move it into one file and list that under [[unsafe_module]] in {SETTINGS}"
        )));
    }
    (!argued(&file.text, line)).then(|| {
        Problem::new("`unsafe` without its argument")
            .at(&file.path, line)
            .help("write above it `// SAFETY:` and why what the compiler cannot check is true")
    })
}

/// Whether the comment directly above a line (counted from 1) begins with `SAFETY:`.
fn argued(text: &str, line: usize) -> bool {
    let above: Vec<&str> = text.lines().take(line - 1).map(str::trim_start).collect();
    let lead = above.iter().rev().take_while(|line| line.starts_with("//") || line.starts_with("#["));
    lead.into_iter().any(|line| line.starts_with("// SAFETY:"))
}

fn needless(path: String) -> Problem {
    Problem::new("the file holds no `unsafe` and needs no exception")
        .at(path, 0)
        .help(format!("delete its entry from {SETTINGS}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LISTED: &str = "[[unsafe_module]]\npath = 'a/src/raw.rs'\nreason = 'calls the kernel'";

    fn found(path: &str, text: &str, extra: &str) -> Vec<String> {
        let files = [SourceFile::sample(path, text)];
        check(&files, &Settings::sample(extra)).iter().map(|problem| problem.what().to_owned()).collect()
    }

    #[test]
    fn unsafe_outside_its_file_is_found() {
        let text = "fn a() {\n// SAFETY: nothing is touched.\nunsafe {} }";
        assert_eq!(found("a/src/lib.rs", text, ""), ["`unsafe` outside the file that may hold it"]);
    }

    #[test]
    fn unsafe_without_an_argument_is_found() {
        assert_eq!(
            found("a/src/raw.rs", "fn a() {\n\nunsafe {} }", LISTED),
            ["`unsafe` without its argument"]
        );
    }

    #[test]
    fn argued_unsafe_in_its_file_passes() {
        let text = "fn a() {\n// SAFETY: nothing is touched,\n// and nothing is read.\n#[rustfmt::skip]\nunsafe {} }";
        assert_eq!(found("a/src/raw.rs", text, LISTED), Vec::<String>::new());
    }

    #[test]
    fn a_listed_file_without_unsafe_is_found() {
        let needless = ["the file holds no `unsafe` and needs no exception"];
        assert_eq!(found("a/src/raw.rs", "fn a() {}", LISTED), needless);
        assert_eq!(found("a/src/lib.rs", "fn a() {}", LISTED), needless);
    }

    #[test]
    fn a_second_file_of_the_same_crate_is_found_but_a_test_stands_alone() {
        let text = "// SAFETY: nothing is touched.\nunsafe impl Send for A {}";
        let files = ["a/src/raw.rs", "a/src/b.rs", "a/tests/c.rs"].map(|path| SourceFile::sample(path, text));
        let list = |path: &str| format!("[[unsafe_module]]\npath = '{path}'\nreason = 'calls the kernel'\n");
        let found = |paths: &[&str]| {
            let extra: String = paths.iter().map(|path| list(path)).collect();
            check(&files, &Settings::sample(&extra)).iter().map(|it| it.what().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(
            found(&["a/src/raw.rs", "a/src/b.rs", "a/tests/c.rs"]),
            ["the crate a lists two files for `unsafe`"]
        );
        assert_eq!(found(&["a/src/raw.rs", "a/tests/c.rs"]), ["`unsafe` outside the file that may hold it"]);
    }

    #[test]
    fn the_word_in_a_comment_or_another_word_passes() {
        assert_eq!(
            found("a/src/lib.rs", "#![deny(unsafe_code)]\n// unsafe\nfn a() {}", ""),
            Vec::<String>::new()
        );
    }
}
