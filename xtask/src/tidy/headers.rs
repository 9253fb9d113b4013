//! Rule: every file says at its top what lives in it and why.

use crate::problem::Problem;

use super::source::SourceFile;

/// Fails when the first line is not `//!` followed by words.
pub(crate) fn check(file: &SourceFile) -> Option<Problem> {
    let first = file.text.lines().next().unwrap_or("");
    let said = first.strip_prefix("//!").is_some_and(|rest| !rest.trim().is_empty());
    (!said).then(|| {
        Problem::new("the file does not say what lives in it")
            .at(&file.path, 1)
            .help("begin it with `//!` and a sentence: what is here and why it is a file of its own")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_a_header_is_found() {
        assert!(check(&SourceFile::sample("a/src/lib.rs", "fn a() {}")).is_some());
        assert!(check(&SourceFile::sample("a/src/lib.rs", "//!\nfn a() {}")).is_some());
    }

    #[test]
    fn a_file_with_a_header_passes() {
        assert_eq!(check(&SourceFile::sample("a/src/lib.rs", "//! What this is.\nfn a() {}")), None);
    }
}
