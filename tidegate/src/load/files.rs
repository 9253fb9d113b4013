//! Files of reports: written after a run, read to be compared and merged.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use load::report::{Report, html, json, junit};
use serde::Serialize;

use super::search::Finding;
use super::{Trouble, print};
use crate::cli::Files;

/// Two files always compare alike.
const SEED: u64 = 1;

/// A form of the report.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Form {
    Json,
    Html,
    Junit,
}

/// A file that a report goes to.
#[derive(Debug)]
struct Output {
    form: Form,
    path: PathBuf,
    /// Whether it was made for this run and holds nothing yet.
    is_fresh: bool,
}

/// The files that the reports go to. They are opened before the run, because a run of an hour whose report cannot be
/// written is an hour lost. Files that were made for nothing are removed.
#[derive(Debug)]
pub(super) struct Outputs(Vec<Output>);

impl Outputs {
    /// Makes sure that all can be written; what stands in them stays until then.
    pub(super) fn prepare(files: &Files) -> Result<Self, Trouble> {
        let wanted = [(Form::Json, &files.json), (Form::Html, &files.html), (Form::Junit, &files.junit)];
        let mut outputs = Self(Vec::new());
        for (form, path) in wanted {
            let Some(path) = path else { continue };
            let is_fresh = !path.exists();
            File::options()
                .create(true)
                .append(true)
                .open(path)
                .map_err(|error| Trouble::usage(cannot("write", path, &error)))?;
            outputs.0.push(Output { form, path: path.clone(), is_fresh });
        }
        Ok(outputs)
    }

    /// Writes the report in every form that was asked for.
    pub(super) fn write(mut self, report: &Report, finding: Option<&Finding>) -> Result<(), Trouble> {
        for output in &mut self.0 {
            let text = match output.form {
                Form::Json => in_json(report, finding)?,
                Form::Html => html::html(report),
                Form::Junit => junit::write(report),
            };
            std::fs::write(&output.path, text)
                .map_err(|error| Trouble::inconclusive(cannot("write", &output.path, &error)))?;
            output.is_fresh = false;
        }
        Ok(())
    }
}

impl Drop for Outputs {
    fn drop(&mut self) {
        for output in self.0.iter().filter(|output| output.is_fresh) {
            // It is empty; to leave it does no harm.
            let _ = std::fs::remove_file(&output.path);
        }
    }
}

/// A report with what a search came to.
#[derive(Serialize)]
struct WithFinding<'a> {
    #[serde(flatten)]
    report: &'a Report,
    capacity: &'a Finding,
}

fn in_json(report: &Report, finding: Option<&Finding>) -> Result<String, Trouble> {
    let Some(capacity) = finding else { return Ok(json::write(report)) };
    let mut text = serde_json::to_string_pretty(&WithFinding { report, capacity })
        .map_err(|error| Trouble::inconclusive(format!("error: cannot write the report as JSON: {error}")))?;
    text.push('\n');
    Ok(text)
}

/// `tidegate load merge`.
pub(super) fn merge(paths: &[PathBuf], files: &Files) -> Result<u8, Trouble> {
    let outputs = Outputs::prepare(files)?;
    let reports: Vec<Report> = paths.iter().map(|path| read(path)).collect::<Result<_, _>>()?;
    let merged = load::report::merge(&reports)
        .map_err(|why| Trouble::usage(format!("error: these reports cannot be merged: {why}")))?;
    print(&merged);
    outputs.write(&merged, None)?;
    Ok(merged.verdict.exit_code())
}

/// `tidegate load compare`.
pub(super) fn compare(before: &Path, after: &Path) -> Result<u8, Trouble> {
    let (before, after) = (read(before)?, read(after)?);
    let comparison = load::compare::compare(&before, &after, SEED);
    // That nobody reads it is no reason to lose the verdict.
    let _ = write!(io::stdout(), "{comparison}");
    Ok(comparison.overall.exit_code())
}

fn read(path: &Path) -> Result<Report, Trouble> {
    let text = read_text(path).map_err(|error| Trouble::usage(cannot("read", path, &error)))?;
    json::read(&text).map_err(|why| Trouble::usage(format!("error: {}: {why}", path.display())))
}

/// The text of a file, which has to be shorter than any report.
fn read_text(path: &Path) -> io::Result<String> {
    let bytes = config::read_at_most(path, json::LONGEST_BYTES)?;
    if bytes.len() > json::LONGEST_BYTES {
        return Err(io::Error::other("it is larger than any report"));
    }
    String::from_utf8(bytes).map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "it is not UTF-8"))
}

fn cannot(what: &str, path: &Path, error: &io::Error) -> String {
    format!("error: cannot {what} {}: {error}", path.display())
}
