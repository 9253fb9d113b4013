//! Where bodies lie: segments that are open, and places in them.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use cache::disk::Sum;
use cache::entry::Place;
use cache::{Entry, Stored};

/// Bytes read at once where a body goes through memory without staying there.
const PIECE_BYTES: usize = 256 * 1024;

/// A segment's file.
#[derive(Debug)]
pub struct Segment {
    pub file: File,
    /// Its file is removed: what still lies in it is to be let go of, for the room that it takes.
    is_gone: AtomicBool,
}

/// The segments by number.
#[derive(Debug, Default)]
pub struct Segments(Mutex<HashMap<u32, Arc<Segment>>>);

impl Segments {
    pub fn add(&self, number: u32, file: File) -> Arc<Segment> {
        let segment = Arc::new(Segment { file, is_gone: AtomicBool::new(false) });
        self.lock().insert(number, Arc::clone(&segment));
        segment
    }

    pub fn get(&self, number: u32) -> Option<Arc<Segment>> {
        self.lock().get(&number).map(Arc::clone)
    }

    pub fn remove(&self, number: u32) -> Option<Arc<Segment>> {
        let gone = self.lock().remove(&number)?;
        gone.is_gone.store(true, Ordering::Relaxed);
        Some(gone)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u32, Arc<Segment>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A body that lies in a segment. It was read once and added up when this was made.
#[derive(Debug)]
pub struct Lying {
    segment: Arc<Segment>,
    /// Where it begins.
    start: u64,
    len: u64,
    sum: u32,
}

impl Lying {
    pub(super) const fn new(segment: Arc<Segment>, start: u64, len: u64, sum: u32) -> Self {
        Self { segment, start, len, sum }
    }

    /// Where the body of an entry lies, if it is in a segment.
    pub fn of(entry: &Entry) -> Option<&Self> {
        Self::at(entry.body())
    }

    /// Where a body lies, if it is in a segment.
    pub fn at(body: Stored<'_>) -> Option<&Self> {
        body.place()?.downcast_ref()
    }

    /// The file.
    pub fn file(&self) -> &File {
        &self.segment.file
    }

    /// Where it begins in the file.
    pub const fn start(&self) -> u64 {
        self.start
    }

    /// What it added up to.
    pub const fn sum(&self) -> u32 {
        self.sum
    }

    /// Whether the file is removed, and stays on disk only for this.
    pub fn is_gone(&self) -> bool {
        self.segment.is_gone.load(Ordering::Relaxed)
    }

    pub(super) fn is_in(&self, segment: &Arc<Segment>) -> bool {
        Arc::ptr_eq(&self.segment, segment)
    }

    /// Hands out its bytes, piece by piece. What they add up to.
    pub fn read(&self, mut take: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<u32> {
        let mut buffer = vec![0; PIECE_BYTES.min(self.len as usize)];
        let (mut at, mut sum) = (0, Sum::default());
        while at < self.len {
            let most = ((self.len - at) as usize).min(PIECE_BYTES);
            self.segment.file.read_exact_at(&mut buffer[..most], self.start + at)?;
            sum.add(&buffer[..most]);
            take(&buffer[..most])?;
            at += most as u64;
        }
        Ok(sum.end())
    }
}

impl Place for Lying {
    fn len_bytes(&self) -> u64 {
        self.len
    }
}
