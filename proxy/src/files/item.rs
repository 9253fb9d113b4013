//! A file, ready to be sent: its head, and its body in memory or open on disk.

use std::cell::Cell;
use std::os::fd::OwnedFd;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use cache::Terms;
use cache::storable::locate_validators;
use config::Files;
use rustix::io::Errno;
use wire::encode::{self, field};

use super::find::{Found, Stamp};
use super::{Missing, coded, hashed, kind};
use crate::core::Core;

/// Longest body that is read into memory, in bytes. Longer ones are sent from the disk's cache.
pub const MEMORY_BYTES: u64 = 64 * 1024;

/// A file that was changed so lately may change again within the same stamp, so it is not kept.
const SETTLED: Duration = Duration::from_secs(2);

/// What stands before the fields of the head: the status line and a `Date` that is filled in when it is sent.
pub const START: &[u8] = b"HTTP/1.1 200 OK\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\n";

/// A file, ready to be sent.
#[derive(Debug)]
pub struct Item {
    /// Its bytes.
    pub body: Body,
    /// Length of the body in bytes.
    pub len: u64,
    /// Its media type.
    pub kind: &'static str,
    /// Where its validators stand in the head that [`Item::write_head`] writes.
    pub terms: Terms,
    /// When it was last seen to be the same, in the core's milliseconds.
    pub checked_ms: Cell<u64>,
    /// What it was made of.
    pub stamps: [Stamp; 2],
    /// It is in one of the codings that the client takes.
    pub coding: Option<&'static str>,
    /// It was coded here: there is no such file.
    pub is_made: bool,
    /// Other clients get another file.
    pub varies: bool,
    head: Box<[u8]>,
}

/// The bytes of a file.
#[derive(Debug)]
pub enum Body {
    /// In memory.
    Memory(Box<[u8]>),
    /// To be sent from the disk's cache.
    Disk(OwnedFd),
}

impl Item {
    /// Reads a file that was found, if it is small, and writes its head.
    ///
    /// # Errors
    /// It could not be read as a whole.
    pub fn load(found: Found, files: &Files, now_ms: u64) -> Result<Self, Missing> {
        let Found { file, path, stamp, original, coding, varies } = found;
        let name = path.rsplit(|&byte| byte == b'/').next().unwrap_or(&path);
        let is_hashed = hashed::is_hashed(name);
        let lifetime = if is_hashed { &files.hashed_cache_control } else { &files.cache_control };
        let kind = kind::of(name);
        let modified = UNIX_EPOCH + Duration::from_secs(u64::try_from(stamp.modified_s).unwrap_or(0));
        let mut head = START.to_vec();
        field(&mut head, b"Content-Type", kind.as_bytes());
        field(&mut head, b"Content-Length", itoa::Buffer::new().format(stamp.len).as_bytes());
        let coding_name = coding.map(config::Algorithm::token);
        if let Some(name) = coding_name {
            field(&mut head, b"Content-Encoding", name.as_bytes());
        }
        head.extend_from_slice(b"ETag: \"");
        encode::hexadecimal(&mut head, stamp.tag(coding));
        head.extend_from_slice(b"\"\r\n");
        field(&mut head, b"Last-Modified", httpdate::fmt_http_date(modified).as_bytes());
        field(&mut head, b"Cache-Control", lifetime.as_bytes());
        field(&mut head, b"Accept-Ranges", b"bytes");
        if varies {
            field(&mut head, b"Vary", b"Accept-Encoding");
        }
        let mut terms = terms();
        locate_validators(&mut terms, &head);
        Ok(Self {
            body: if stamp.len <= MEMORY_BYTES { read(&file, &stamp)? } else { Body::Disk(file) },
            len: stamp.len,
            kind,
            terms,
            checked_ms: Cell::new(now_ms),
            stamps: [stamp, original],
            coding: coding_name,
            is_made: false,
            varies,
            head: head[START.len()..].into(),
        })
    }

    /// Writes the head of a 200 with today's date, without the empty line.
    pub fn write_head(&self, core: &Core, out: &mut Vec<u8>) {
        out.clear();
        encode::status_line(out, 200);
        core.date(out);
        debug_assert_eq!(out.len(), START.len(), "the validators lie where they were found");
        out.extend_from_slice(&self.head);
    }

    /// The same file with its body coded.
    pub fn coded(&self, algorithm: config::Algorithm, body: &[u8]) -> Self {
        let len = body.len() as u64;
        let mut head = START.to_vec();
        coded::write_fields(&self.head, algorithm, Some(len), &mut head);
        let mut terms = self.terms;
        locate_validators(&mut terms, &head);
        Self {
            body: Body::Memory(body.into()),
            len,
            kind: self.kind,
            terms,
            checked_ms: self.checked_ms.clone(),
            stamps: self.stamps,
            coding: Some(algorithm.token()),
            is_made: true,
            varies: true,
            head: head[START.len()..].into(),
        }
    }

    /// Writes the fields of a 200 whose body is coded while it is sent.
    pub fn write_coded_fields(&self, algorithm: config::Algorithm, out: &mut Vec<u8>) {
        coded::write_fields(&self.head, algorithm, None, out);
    }

    /// Writes the head of a 404 with this page. It has no validators, for it is not what was asked for.
    pub fn write_not_found_head(&self, core: &Core, out: &mut Vec<u8>) {
        out.clear();
        encode::status_line(out, 404);
        core.date(out);
        field(out, b"Content-Type", self.kind.as_bytes());
        encode::content_length(out, self.len);
        if let Some(coding) = self.coding {
            field(out, b"Content-Encoding", coding.as_bytes());
        }
        if self.varies {
            field(out, b"Vary", b"Accept-Encoding");
        }
        field(out, b"Cache-Control", b"no-store");
    }

    /// Whether it may be kept in memory.
    pub fn is_settled(&self, now: SystemTime) -> bool {
        let is_old = |stamp: &Stamp| {
            let modified = Duration::new(u64::try_from(stamp.modified_s).unwrap_or(0), stamp.modified_ns);
            now.duration_since(UNIX_EPOCH + modified).is_ok_and(|age| age >= SETTLED)
        };
        matches!(self.body, Body::Memory(_)) && self.stamps.iter().all(is_old)
    }

    /// Whether what was found is what it was made of.
    pub fn is_same(&self, found: &Found) -> bool {
        self.stamps == [found.stamp, found.original] && self.varies == found.varies
    }

    /// Bytes that it takes in memory, about.
    pub fn cost_bytes(&self) -> u64 {
        let body = if let Body::Memory(bytes) = &self.body { bytes.len() } else { 0 };
        (size_of::<Self>() + self.head.len() + body) as u64
    }
}

/// Reads a whole file that is as long as its stamp says, and is still the same when it has been read.
fn read(file: &OwnedFd, stamp: &Stamp) -> Result<Body, Missing> {
    let mut bytes = vec![0; stamp.len as usize];
    let mut at = 0;
    while at < bytes.len() {
        match rustix::io::pread(file, &mut bytes[at..], at as u64) {
            Ok(0) => return Err(Missing::Restless),
            Ok(read) => at += read,
            Err(Errno::INTR) => {}
            Err(error) => return Err(Missing::of(error)),
        }
    }
    if Stamp::of(file)? != *stamp {
        return Err(Missing::Restless);
    }
    Ok(Body::Memory(bytes.into()))
}

/// The terms of something that is not stored: of them only the validators are looked at.
fn terms() -> Terms {
    Terms {
        born_ms: 0,
        fresh_until_ms: 0,
        stale_until_ms: 0,
        error_until_ms: 0,
        always_validate: false,
        never_stale: false,
        public: true,
        etag: None,
        last_modified: None,
    }
}
