//! From a file, or a text, to a plan.

use core::fmt;
use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::file::File;
use crate::lower::{ERROR_PAGE_BYTES, lower};
use crate::plan::{Action, Plan};
use crate::read::{Read, Reader};

/// Largest configuration file. Ten thousand routes take about a tenth of it.
const FILE_BYTES: usize = 16 << 20;

/// A plan, and what in its file has no effect.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// What the file means.
    pub plan: Plan,
    /// Warnings; empty when all is well.
    pub warnings: Diagnostics,
}

/// Why there is no plan.
#[derive(Debug)]
pub enum Failure {
    /// The file cannot be read.
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// The file can be read, but not used.
    Invalid(Diagnostics),
}

impl Failure {
    /// The failure for a person at a terminal; `colour` as in [`Diagnostics::render`].
    pub fn render(&self, colour: bool) -> String {
        match self {
            Self::Unreadable { .. } => format!("{self}\n"),
            Self::Invalid(diagnostics) => diagnostics.render(colour),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable { path, error } => {
                let help = match error.kind() {
                    io::ErrorKind::NotFound => {
                        "name another file with -c, or run without one: tidegate run --to …"
                    }
                    io::ErrorKind::InvalidData => "save it as UTF-8 text",
                    _ => "check that it is a file that Tidegate may read",
                };
                write!(f, "error: cannot read {}: {error}\nhelp: {help}", path.display())
            }
            Self::Invalid(diagnostics) => diagnostics.fmt(f),
        }
    }
}

impl core::error::Error for Failure {}

/// Loads a file, with the process's environment; the files that it names are found from its own folder.
///
/// # Errors
/// [`Failure::Unreadable`] when the file cannot be read, is larger than 16 MiB or no UTF-8;
/// [`Failure::Invalid`] with everything that is wrong in it.
pub fn load(path: &Path) -> Result<Loaded, Failure> {
    let unreadable = |error| Failure::Unreadable { path: path.to_owned(), error };
    let bytes = read_at_most(path, FILE_BYTES).map_err(unreadable)?;
    if bytes.len() > FILE_BYTES {
        return Err(unreadable(io::Error::other("it is larger than 16 MiB")));
    }
    let text = String::from_utf8(bytes)
        .map_err(|_| unreadable(io::Error::new(io::ErrorKind::InvalidData, "it is not UTF-8")))?;
    let folder = path.parent().unwrap_or(Path::new(""));
    let env = |name: &str| std::env::var(name).ok();
    let read = |named: &Path| read_at_most(&folder.join(named), ERROR_PAGE_BYTES);
    let mut loaded = parse(&text, &path.display().to_string(), &env, &read).map_err(Failure::Invalid)?;
    find_from(folder, &mut loaded.plan);
    Ok(loaded)
}

/// Makes the folders and files that a plan names findable from anywhere.
fn find_from(folder: &Path, plan: &mut Plan) {
    for route in &mut plan.routes {
        if let Action::Files(files) = &mut route.action {
            files.root = folder.join(&files.root);
        }
    }
    if let Some(state) = &mut plan.server.state {
        *state = folder.join(&*state);
    }
    if let Some(disk) = &mut plan.cache.disk {
        disk.path = folder.join(&disk.path);
    }
    if let Some(path) = plan.server.access_log.as_mut().and_then(|log| log.path.as_mut()) {
        *path = folder.join(&*path);
    }
}

/// At most one byte more than `limit`, so that a caller sees that there was more.
pub fn read_at_most(path: &Path, limit: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    fs::File::open(path)?.take(limit as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Reads a text that is shown under `name`. `env` gives the value of an environment variable, `read` the
/// bytes of a file that the text names, by the path as written; for a folder it fails with
/// [`io::ErrorKind::IsADirectory`]. Folders of the plan are as written too.
///
/// # Errors
/// Everything that is wrong. Faults of TOML itself are told alone: behind them, nothing is certain.
pub fn parse(
    text: &str,
    name: &str,
    env: &dyn Fn(&str) -> Option<String>,
    read: &dyn Fn(&Path) -> io::Result<Vec<u8>>,
) -> Result<Loaded, Diagnostics> {
    let (file, mut diagnostics) = match read_text::<File>(text, env) {
        Ok(read) => read,
        Err(faults) => return Err(Diagnostics::new(name, text, faults)),
    };
    let (plan, checked) = lower(&file, text, read);
    diagnostics.extend(checked);
    let diagnostics = Diagnostics::new(name, text, diagnostics);
    if diagnostics.has_errors() { Err(diagnostics) } else { Ok(Loaded { plan, warnings: diagnostics }) }
}

/// The tables of a text, and every mistake in its keys and values.
///
/// # Errors
/// Faults of TOML itself.
pub fn read_text<T: Read + Default>(
    text: &str,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<(T, Vec<Diagnostic>), Vec<Diagnostic>> {
    let (table, faults) = DeTable::parse_recoverable(text);
    if !faults.is_empty() {
        return Err(faults.iter().map(|fault| syntax(text, fault)).collect());
    }
    let span = table.span();
    let root = Spanned::new(span, DeValue::Table(table.into_inner()));
    let mut reader = Reader::new(text, env);
    let file = T::read(&mut reader, &root).unwrap_or_default();
    Ok((file, reader.into_diagnostics()))
}

fn syntax(text: &str, fault: &toml::de::Error) -> Diagnostic {
    let message = fault.message().trim().replace('\n', ", ");
    let span = fault.span().map(|span| boundaries(text, span));
    match message.split_once(", expected ") {
        Some((what, expected)) => Diagnostic::error(span, what).help(format!("TOML expects {expected} here")),
        None => Diagnostic::error(span, message),
    }
}

/// A span whose ends are between characters, whatever the parser says.
fn boundaries(text: &str, span: core::ops::Range<usize>) -> core::ops::Range<usize> {
    let start = text.floor_char_boundary(span.start);
    start..text.ceil_char_boundary(span.end.max(start))
}
