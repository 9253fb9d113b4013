//! Files in `server.state`: whole ones or none, and for their owner alone.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

/// Longest file that is read.
const FILE_BYTES: u64 = 16 * 1024;

/// What a file says, if `parse` makes something of it; `None` where there is no file.
pub fn read<T>(path: &Path, parse: impl FnOnce(&str) -> Option<T>) -> io::Result<Option<T>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut text = String::new();
    file.take(FILE_BYTES).read_to_string(&mut text)?;
    let foreign = || io::Error::new(io::ErrorKind::InvalidData, "it is not what Tidegate has written");
    parse(&text).map(Some).ok_or_else(foreign)
}

/// Writes a file beside and renames it, so that there is always a whole one.
pub fn replace(path: &Path, text: &str) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let beside = path.with_extension("new");
    let mut options = OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
    file.write_all(text.as_bytes())?;
    file.sync_data()?;
    fs::rename(&beside, path)
}
