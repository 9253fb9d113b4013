//! What every task says when something is wrong: what, where, how to mend it.

use std::fmt;
use std::path::PathBuf;

/// One thing that is wrong, in the words that a person reads.
///
/// Shown as up to three lines: `error: what`, ` --> file:line`, `help: how to mend it`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Problem {
    /// Where it is: a path relative to the workspace and a line counted from 1 (0 means the whole file).
    place: Option<(PathBuf, usize)>,
    what: String,
    help: Option<String>,
}

impl Problem {
    /// A problem that has no place in a file.
    pub(crate) fn new(what: impl Into<String>) -> Self {
        Self { place: None, what: what.into(), help: None }
    }

    /// Adds the file, and the line counted from 1, or 0 for the whole file.
    pub(crate) fn at(mut self, path: impl Into<PathBuf>, line: usize) -> Self {
        self.place = Some((path.into(), line));
        self
    }

    /// Adds what to do about it.
    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// What is wrong, without place and help.
    #[cfg(test)]
    pub(crate) fn what(&self) -> &str {
        &self.what
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error: {}", self.what)?;
        match &self.place {
            Some((path, 0)) => write!(f, "\n --> {}", path.display())?,
            Some((path, line)) => write!(f, "\n --> {}:{line}", path.display())?,
            None => {}
        }
        if let Some(help) = &self.help {
            write!(f, "\nhelp: {help}")?;
        }
        Ok(())
    }
}

/// Gives an error from below its coordinates: `result.problem("read tidy.toml")?`.
pub(crate) trait OrProblem<T> {
    /// Turns the error into `doing: error`.
    fn problem(self, doing: &str) -> Result<T, Problem>;
}

impl<T, E: fmt::Display> OrProblem<T> for Result<T, E> {
    fn problem(self, doing: &str) -> Result<T, Problem> {
        self.map_err(|error| Problem::new(format!("{doing}: {error}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_reads_as_what_where_and_how_to_mend_it() {
        let problem = Problem::new("no header").at("wire/src/lib.rs", 3).help("add one");
        assert_eq!(problem.to_string(), "error: no header\n --> wire/src/lib.rs:3\nhelp: add one");
    }

    #[test]
    fn a_problem_of_a_whole_file_has_no_line() {
        assert_eq!(Problem::new("too long").at("a.rs", 0).to_string(), "error: too long\n --> a.rs");
    }
}
