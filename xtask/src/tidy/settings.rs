//! The lists that the rules read: xtask/tidy.toml.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::problem::{OrProblem, Problem};

/// Everything in tidy.toml; an unknown key is an error.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    /// Short crate names from the ground up, one list per floor.
    pub(crate) floors: Vec<Vec<String>>,
    /// Crates beside the floors.
    pub(crate) beside: Vec<String>,
    /// Crates whose package has no `tidegate-` prefix.
    pub(crate) short_names: Vec<String>,
    /// Crates that are free of IO.
    pub(crate) brains: Vec<String>,
    /// The crate that owns metric names.
    pub(crate) metric_crate: String,
    /// What every metric name begins with.
    pub(crate) metric_prefix: String,
    /// Words that the lexicon does not use, in lower case and singular.
    pub(crate) banned_words: Vec<String>,
    /// How long a function may be without an entry.
    pub(crate) function_lines: usize,
    /// How long a file may be without an entry.
    pub(crate) file_lines: usize,
    /// Functions that are longer, and by how much they may be.
    #[serde(default)]
    pub(crate) function: Vec<LongFunction>,
    /// Files that are longer, and why.
    #[serde(default)]
    pub(crate) file: Vec<Exception>,
    /// The one file of a crate that may hold `unsafe`, and why.
    #[serde(default)]
    pub(crate) unsafe_module: Vec<Exception>,
    /// Test files that wait on the wall clock, and why.
    #[serde(default)]
    pub(crate) sleep: Vec<Exception>,
    /// Which licences may be in the tree.
    pub(crate) licences: Licences,
    /// Which packages may not.
    #[serde(default)]
    pub(crate) ban: Vec<Ban>,
}

/// A function that is longer than the limit; its size may only shrink.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LongFunction {
    pub(crate) path: PathBuf,
    /// `function` or `Type::function`.
    pub(crate) name: String,
    pub(crate) lines: usize,
}

/// A file that is excepted from a rule.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Exception {
    pub(crate) path: PathBuf,
    pub(crate) reason: String,
}

/// Licences by their SPDX identifiers.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Licences {
    pub(crate) allow: Vec<String>,
    /// What may follow `WITH`.
    pub(crate) exceptions: Vec<String>,
    /// Allowed for packages that are no part of what is given away.
    pub(crate) tools_only: Vec<String>,
}

/// Packages that may not be built, and why.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Ban {
    pub(crate) packages: Vec<String>,
    /// Crates from which they may not be reached; empty means the whole workspace.
    #[serde(default)]
    pub(crate) from: Vec<String>,
    pub(crate) reason: String,
    /// Only what the workspace itself asks for; what its dependencies bring along is theirs.
    #[serde(default)]
    pub(crate) direct: bool,
    /// Say it and go on.
    #[serde(default)]
    pub(crate) warn: bool,
}

/// The short name of a workspace package: `tidegate-wire` is `wire`.
pub(crate) fn short_name(package: &str) -> &str {
    package.strip_prefix("tidegate-").unwrap_or(package)
}

impl Settings {
    /// Reads the file.
    pub(crate) fn read(path: &Path) -> Result<Self, Problem> {
        let text = std::fs::read_to_string(path).problem(&format!("read {}", path.display()))?;
        let settings: Self = toml::from_str(&text).problem(&format!("read {}", path.display()))?;
        let unexplained = settings.exceptions().find(|it| it.reason.split_whitespace().count() < 3);
        let unexplained = unexplained.map(|exception| exception.path.display().to_string());
        match unexplained {
            None => Ok(settings),
            Some(file) => Err(Problem::new(format!("{file} is excepted without a reason"))
                .at(path, 0)
                .help("say in a few words why the rule cannot be followed there")),
        }
    }

    fn exceptions(&self) -> impl Iterator<Item = &Exception> {
        self.file.iter().chain(&self.unsafe_module).chain(&self.sleep)
    }

    /// The floor that a crate stands on, counted from 0; none when it stands beside.
    pub(crate) fn floor(&self, short_name: &str) -> Option<usize> {
        self.floors.iter().position(|floor| floor.iter().any(|name| name == short_name))
    }

    /// A small house for the tests of the rules.
    #[cfg(test)]
    pub(crate) fn sample(extra: &str) -> Self {
        let text = format!(
            r#"
            floors = [["wire"], ["traffic"], ["config", "signals"], ["proxy"], ["tidegate"]]
            beside = ["kit", "demo"]
            short_names = ["tidegate", "demo"]
            brains = ["wire", "traffic"]
            metric_crate = "signals"
            metric_prefix = "tidegate_"
            banned_words = ["node", "manager", "util"]
            function_lines = 5
            file_lines = 10
            {extra}
            [licences]
            allow = ["MIT", "Apache-2.0", "Unicode-3.0"]
            exceptions = ["LLVM-exception"]
            tools_only = ["MPL-2.0"]
            "#
        );
        toml::from_str(&text).expect("the sample settings are valid")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_settings_of_this_workspace_can_be_read() {
        let settings = Settings::read(&crate::shell::root().join(super::super::SETTINGS)).expect("valid");
        assert_eq!(settings.floor("wire"), Some(0));
        assert_eq!(settings.floor("xtask"), None);
    }

    #[test]
    fn an_unknown_key_is_refused() {
        assert!(toml::from_str::<Exception>("path = 'a'\nreason = 'b'\nwhy = 'c'").is_err());
    }

    #[test]
    fn an_exception_without_a_reason_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("tidy.toml");
        let text =
            std::fs::read_to_string(crate::shell::root().join(super::super::SETTINGS)).expect("readable");
        std::fs::write(&path, format!("{text}\n[[sleep]]\npath = 'a.rs'\nreason = 'because'\n"))
            .expect("written");
        let problem = Settings::read(&path).expect_err("refused");
        assert_eq!(problem.what(), "a.rs is excepted without a reason");
    }
}
