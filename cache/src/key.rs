//! Under what a response is kept.

use crate::{Ask, Rules};

/// A key: the bytes that are compared, and their hashes (seeded per process).
///
/// The bytes are `scheme://host/path?query`, and behind a zero byte what the route adds. The URL alone is what purges
/// and invalidations speak of; both are hashed.
#[derive(Clone, Copy, Debug)]
pub struct Key<'b> {
    /// The bytes.
    pub bytes: &'b [u8],
    /// How many of them are the URL.
    pub url_len: u32,
    /// Hash of the URL: chooses the shard, and groups what one purge removes.
    pub url_hash: u64,
    /// Hash of everything.
    pub hash: u64,
}

impl<'b> Key<'b> {
    /// Writes the key of a request into `out` (cleared first). `host` is in lower case and without its port where that
    /// is the scheme's own; `path` and `query` as the request has them, normalised where that changes nothing.
    pub fn write(
        _out: &'b mut Vec<u8>,
        _scheme: &str,
        _host: &[u8],
        _path: &[u8],
        _query: Option<&[u8]>,
        _ask: &Ask<'_>,
        _rules: &Rules,
    ) -> Self {
        todo!()
    }
}
