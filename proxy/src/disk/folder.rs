//! The folder: who may use it, what is in it, and the files that are written.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, IoSlice, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use cache::disk::{Failure, Files, Ledger, Lies, Position, Recovery, Text};
use cache::{Body, Entry, Store, Stored};
use rustix::fs::{FlockOperation, flock};

use super::place::{Lying, Segments};
use super::{Error, Inner};

/// Bytes read at once while looking for records: heads and texts of small ones are beside each other.
const WINDOW_BYTES: usize = 16 * 1024;

/// Slices written in one call, at most.
const SLICES: usize = 256;

/// How often notes are made to outlive a loss of power, at most, while there is something else to do.
const SYNC_EVERY: Duration = Duration::from_secs(1);

/// The right to use the folder.
#[derive(Debug)]
pub struct Lock(#[allow(dead_code)] File); // Held for as long as it is open.

impl Lock {
    /// Makes the folder if need be, and takes it.
    pub fn take(path: &Path) -> Result<Self, Error> {
        let failed = |error| Error::Folder(path.to_owned(), error);
        // What is cached is nobody else's business.
        DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(failed)?;
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let mut file = options.open(path.join("lock")).map_err(failed)?;
        if let Err(error) = flock(&file, FlockOperation::NonBlockingLockExclusive) {
            if error != rustix::io::Errno::WOULDBLOCK {
                return Err(failed(error.into()));
            }
            let mut text = String::new();
            // Who it is only helps to find it.
            let _ = file.read_to_string(&mut text);
            return Err(Error::Taken(path.to_owned(), text.trim().parse().ok()));
        }
        let probe = path.join("probe");
        let written = file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id()));
        let made = File::create(&probe).and_then(|_| fs::remove_file(&probe));
        match (written, made) {
            // A disk that is full takes nothing, and gives what it has.
            (Err(error), _) | (_, Err(error)) if error.kind() != io::ErrorKind::StorageFull => {
                Err(failed(error))
            }
            _ => Ok(Self(file)),
        }
    }
}

/// Finds out what is there: opens every segment, removes and cuts what is of no use.
pub fn recover(path: &Path, mut ledger: Ledger, segments: &Segments) -> io::Result<Ledger> {
    let mut files = Vec::new();
    for found in fs::read_dir(path)? {
        let name = found?.file_name();
        if let Some(number) = name.to_str().and_then(number_of) {
            let file = OpenOptions::new().read(true).write(true).open(path.join(&name))?;
            files.push((number, file.metadata()?.len()));
            segments.add(number, file);
        }
    }
    files.sort_unstable();
    let mut window = Window::default();
    let recovery = ledger.recover(&files, &mut |number, offset, out: &mut [u8]| {
        segments.get(number).is_some_and(|segment| window.read(&segment.file, number, offset, out).is_ok())
    });
    tell(&recovery);
    for &number in &recovery.removals {
        segments.remove(number);
        fs::remove_file(path.join(name_of(number)))?;
    }
    if let Some((number, bytes)) = recovery.cut
        && let Some(segment) = segments.get(number)
    {
        segment.file.set_len(bytes)?;
    }
    Ok(ledger)
}

fn tell(recovery: &Recovery) {
    for (number, why) in &recovery.doubts {
        tracing::warn!(segment = number, "cache on disk: {}; what is older is given up", why.what());
    }
    if !recovery.versions.is_empty() {
        tracing::info!("cache on disk: what another version has written is given up");
    }
}

fn name_of(number: u32) -> String {
    format!("{number:010}.segment")
}

fn number_of(name: &str) -> Option<u32> {
    let number = name.strip_suffix(".segment")?.parse().ok()?;
    (name == name_of(number)).then_some(number)
}

/// What was read last.
#[derive(Default)]
struct Window {
    number: u32,
    offset: u64,
    bytes: Vec<u8>,
}

impl Window {
    fn read(&mut self, file: &File, number: u32, offset: u64, out: &mut [u8]) -> io::Result<()> {
        if out.len() > WINDOW_BYTES {
            return file.read_exact_at(out, offset);
        }
        let known = (number == self.number && offset >= self.offset).then(|| (offset - self.offset) as usize);
        let known = known.and_then(|start| self.bytes.get(start..)?.get(..out.len()));
        if let Some(bytes) = known {
            out.copy_from_slice(bytes);
            return Ok(());
        }
        self.bytes.resize(WINDOW_BYTES, 0);
        (self.number, self.offset) = (number, offset);
        let read = file.read_at(&mut self.bytes, offset)?;
        self.bytes.truncate(read);
        let bytes = self.bytes.get(..out.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
        out.copy_from_slice(bytes);
        Ok(())
    }
}

/// The files, as the writer sees them.
pub struct Folder {
    path: PathBuf,
    inner: Arc<Inner>,
    store: Store,
    /// A note was written since the last sync, in this segment or one before.
    unsynced: Option<u32>,
    synced: Instant,
    last: u32,
}

impl Folder {
    pub fn new(path: PathBuf, inner: Arc<Inner>, store: Store) -> Self {
        Self { path, inner, store, unsynced: None, synced: Instant::now(), last: 0 }
    }

    /// Makes notes outlive a loss of power.
    pub fn sync(&mut self) {
        let Some(segment) = self.unsynced.take().and_then(|number| self.inner.segments.get(number)) else {
            return;
        };
        if let Err(error) = segment.file.sync_data() {
            tracing::warn!(%error, "cache on disk: cannot make sure that what was purged stays so");
        }
        self.synced = Instant::now();
    }

    fn put(&self, at: Position, front: &[u8], body: Stored<'_>, padding: usize) -> io::Result<()> {
        let segment = self.inner.segments.get(at.segment).ok_or(io::ErrorKind::NotFound)?;
        let mut file = &segment.file;
        file.seek(SeekFrom::Start(at.offset_bytes()))?;
        let zeros = [0; 8];
        if let Some(lying) = Lying::at(body) {
            file.write_all(front)?;
            let sum = lying.read(|piece| file.write_all(piece))?;
            if sum != lying.sum() {
                return Err(io::ErrorKind::InvalidData.into());
            }
            return file.write_all(&zeros[..padding]);
        }
        let pieces = body.pieces().map(IoSlice::new);
        let all = [IoSlice::new(front)].into_iter().chain(pieces).chain([IoSlice::new(&zeros[..padding])]);
        let mut slices: Vec<IoSlice<'_>> = all.filter(|slice| !slice.is_empty()).collect();
        let mut left = &mut slices[..];
        while !left.is_empty() {
            let most = left.len().min(SLICES);
            match file.write_vectored(&left[..most]) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => IoSlice::advance_slices(&mut left, written),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

impl Files for Folder {
    fn begin(&mut self, number: u32, opening: &[u8]) -> Result<(), Failure> {
        // What was noted in the one before is looked after first: only one is remembered.
        self.sync();
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(true).mode(0o600);
        let made = options.open(self.path.join(name_of(number))).and_then(|mut file| {
            file.write_all(opening)?;
            Ok(file)
        });
        match made {
            Ok(file) => {
                self.inner.segments.add(number, file);
                self.last = number;
                Ok(())
            }
            Err(error) => {
                // Half an opening is none, and is found to be none.
                let _ = fs::remove_file(self.path.join(name_of(number)));
                Err(failure(&error, "make a segment"))
            }
        }
    }

    fn write(&mut self, at: Position, front: &[u8], body: Stored<'_>, padding: usize) -> Result<(), Failure> {
        self.put(at, front, body, padding).map_err(|error| failure(&error, "write"))
    }

    fn cut(&mut self, at: Position) -> Result<(), Failure> {
        let segment = self.inner.segments.get(at.segment).ok_or(Failure::Write)?;
        segment.file.set_len(at.offset_bytes()).map_err(|error| failure(&error, "cut a segment"))
    }

    fn remove(&mut self, number: u32) -> Result<(), Failure> {
        match fs::remove_file(self.path.join(name_of(number))) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(failure(&error, "remove a segment"));
            }
            _ => {}
        }
        if let Some(segment) = self.inner.segments.remove(number) {
            let lies_there = |entry: &Entry| Lying::of(entry).is_some_and(|body| body.is_in(&segment));
            self.store.forget_where(lies_there);
        }
        Ok(())
    }

    fn noted(&mut self) {
        self.unsynced = Some(self.last);
        if self.synced.elapsed() > SYNC_EVERY {
            self.sync();
        }
    }

    fn sum(&self, body: Stored<'_>) -> Option<u32> {
        Lying::at(body).map(Lying::sum)
    }

    fn kept(&mut self, entry: &Arc<Entry>, lies: Lies, body_start: u64, body_sum: u32) {
        let len = entry.body().len_bytes();
        if !self.store.is_large(len) {
            return;
        }
        let Some(segment) = self.inner.segments.get(lies.at.segment) else { return };
        let text = Text::of(entry);
        let place = Lying::new(segment, lies.at.offset_bytes() + body_start, len, body_sum);
        // It was written a moment ago as what is read here.
        if let Ok(text) = Text::read(&text) {
            self.store.swap(entry, Some(text.entry(Body::Elsewhere(Arc::new(place)))));
        }
    }
}

/// What an error means for what was to be done. It is told where it happens, and not for each entry: the disk is left
/// alone after it.
fn failure(error: &io::Error, what: &str) -> Failure {
    match error.kind() {
        io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => Failure::Read,
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            tracing::warn!("cache on disk: there is no room; nothing is written for a while");
            Failure::Full
        }
        _ => {
            tracing::warn!(%error, "cache on disk: cannot {what}; nothing is written for a while");
            Failure::Write
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_files_of_our_own_are_segments() {
        assert_eq!(number_of(&name_of(7)), Some(7));
        assert_eq!(number_of(&name_of(u32::MAX)), Some(u32::MAX));
        for name in
            ["lock", "7.segment", "0000000007.segment.old", "00000000-7.segment", "99999999999.segment"]
        {
            assert_eq!(number_of(name), None, "{name}");
        }
    }
}
