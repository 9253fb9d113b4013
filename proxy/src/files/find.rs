//! Which file answers for a path: the file itself, its page, the index of a folder, and of them the smallest that the
//! client can read.

use std::os::fd::OwnedFd;

use cache::vary::Codings;
use config::{Algorithm, Files};
use rustix::fs::{FileType, fstat};

use super::Missing;
use super::open::Root;

/// What pages are called.
pub const HTML: &[u8] = b".html";

/// What is found for a path.
#[derive(Debug)]
pub enum Target {
    /// A file to deliver.
    File(Found),
    /// It has its address elsewhere.
    Moved(Move),
}

/// How the address of what was asked for differs from the path that was asked with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Move {
    /// A folder: it needs a slash at its end, or its page's links lead astray.
    AddSlash,
    /// A page with a clean address: without these many bytes at its end.
    CutEnd(usize),
}

/// A file that was found and is open.
#[derive(Debug)]
pub struct Found {
    /// The file that is sent.
    pub file: OwnedFd,
    /// Path below the root of what it is, for its type: not that of a precompressed sibling.
    pub path: Vec<u8>,
    /// What the file that is sent is.
    pub stamp: Stamp,
    /// What the file itself is, where `file` is a sibling of it.
    pub original: Stamp,
    /// The coding that it is in.
    pub coding: Option<Algorithm>,
    /// Clients that take other codings get another file.
    pub varies: bool,
}

/// What tells one content of a file from another.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Stamp {
    /// Length in bytes.
    pub len: u64,
    /// Last change of the content: Unix seconds.
    pub modified_s: i64,
    /// And nanoseconds.
    pub modified_ns: u32,
    device: u64,
    inode: u64,
    changed_s: i64,
    changed_ns: u32,
}

/// What a name turned out to be.
enum Opened {
    File(OwnedFd, Stamp),
    Folder,
}

/// Looks below a root. Paths are those of [`super::path::within`].
#[derive(Debug)]
pub struct Search<'a> {
    root: Root,
    files: &'a Files,
    codings: Codings,
}

impl Stamp {
    /// The stamp of an open file.
    ///
    /// # Errors
    /// It is no file, or cannot be looked at.
    pub fn of(file: &OwnedFd) -> Result<Self, Missing> {
        match look(file)? {
            Some(stamp) => Ok(stamp),
            None => Err(Missing::Folder),
        }
    }

    /// The tag of this content in a coding. Tells inodes apart, so a file that was replaced by an equal one has
    /// another tag, and so has its copy on another machine.
    pub fn tag(&self, coding: Option<Algorithm>) -> u64 {
        use std::hash::BuildHasher as _;
        let parts = (self.len, self.modified_s, self.modified_ns, self.inode, coding);
        foldhash::quality::FixedState::with_seed(0).hash_one(parts)
    }
}

impl<'a> Search<'a> {
    /// A search in a folder, for a client that takes these codings.
    ///
    /// # Errors
    /// The folder cannot be opened.
    pub fn new(files: &'a Files, codings: Codings) -> Result<Self, Missing> {
        Ok(Self { root: Root::open(&files.root)?, files, codings })
    }

    /// What answers for a path. `public` is the path that the client knows, as far as it ends in the same way.
    ///
    /// # Errors
    /// Why nothing does.
    pub fn target(&self, path: &[u8], public: &[u8]) -> Result<Target, Missing> {
        let below = path.iter().position(|&byte| byte != b'/').map_or(&[][..], |start| &path[start..]);
        if path.ends_with(b"/") {
            return self.index(below).map(Target::File);
        }
        let is_folder = below.is_empty()
            || match self.opened(below) {
                Ok(Opened::File(file, stamp)) => {
                    return match self.clean(below, public) {
                        Some(cut) => Ok(Target::Moved(Move::CutEnd(cut))),
                        None => self.smallest(below.to_vec(), file, stamp).map(Target::File),
                    };
                }
                Ok(Opened::Folder) => true,
                Err(Missing::NoFile) => false,
                Err(why) => return Err(why),
            };
        if self.files.clean_urls && !below.is_empty() {
            let page = [below, HTML].concat();
            match self.opened(&page) {
                Ok(Opened::File(file, stamp)) => return self.smallest(page, file, stamp).map(Target::File),
                Ok(Opened::Folder) | Err(Missing::NoFile) => {}
                Err(why) => return Err(why),
            }
        }
        if !is_folder {
            return Err(Missing::NoFile);
        }
        let index = self.index(&[below, b"/"].concat())?;
        // Where the path that the client knows does end in a slash, there is nothing to send it to.
        let is_moved = !public.ends_with(b"/");
        Ok(if is_moved { Target::Moved(Move::AddSlash) } else { Target::File(index) })
    }

    /// A file that the configuration names.
    ///
    /// # Errors
    /// It is not there.
    pub fn named(&self, name: &str) -> Result<Found, Missing> {
        match self.opened(name.as_bytes())? {
            Opened::File(file, stamp) => self.smallest(name.into(), file, stamp),
            Opened::Folder => Err(Missing::Folder),
        }
    }

    /// The index of a folder. Its path ends in a slash or is that of the root.
    fn index(&self, folder: &[u8]) -> Result<Found, Missing> {
        let Some(name) = &self.files.index else { return Err(Missing::Folder) };
        let folder = if folder == b"/" { b"" } else { folder };
        let path = [folder, name.as_bytes()].concat();
        match self.opened(&path)? {
            Opened::File(file, stamp) => self.smallest(path, file, stamp),
            Opened::Folder => Err(Missing::Folder),
        }
    }

    /// How many bytes at the end of the path of a page are too many, if that page has a clean address.
    fn clean(&self, path: &[u8], public: &[u8]) -> Option<usize> {
        if !self.files.clean_urls || !path.ends_with(HTML) || !public.ends_with(HTML) {
            return None;
        }
        let name = path.rsplit(|&byte| byte == b'/').next().unwrap_or(path);
        if self.files.index.as_deref().is_some_and(|index| index.as_bytes() == name) {
            return public.ends_with(name).then_some(name.len());
        }
        let short = &path[..path.len() - HTML.len()];
        // Without a name before its ending it is no page, and a file of the shorter name has the shorter address.
        let is_taken = name == HTML || matches!(self.opened(short), Ok(Opened::File(..)));
        (!is_taken).then_some(HTML.len())
    }

    /// The smallest of a file and its precompressed siblings that the client takes. A sibling that is older than the
    /// file was made of something else.
    fn smallest(&self, path: Vec<u8>, file: OwnedFd, stamp: Stamp) -> Result<Found, Missing> {
        let mut best = Found { file, path, stamp, original: stamp, coding: None, varies: false };
        if !self.files.precompressed {
            return Ok(best);
        }
        let Codings { zstd, br, gzip, .. } = self.codings;
        let codings = [(Algorithm::Zstd, zstd), (Algorithm::Brotli, br), (Algorithm::Gzip, gzip)];
        for (coding, is_taken) in codings {
            let name = [&best.path, coding.suffix().as_bytes()].concat();
            let (file, sibling) = match self.opened(&name) {
                Ok(Opened::File(file, stamp)) => (file, stamp),
                Err(Missing::Short) => return Err(Missing::Short),
                Ok(Opened::Folder) | Err(_) => continue,
            };
            if (sibling.modified_s, sibling.modified_ns) < (stamp.modified_s, stamp.modified_ns) {
                continue;
            }
            best.varies = true;
            if is_taken && sibling.len < best.stamp.len {
                best = Found { file, stamp: sibling, coding: Some(coding), ..best };
            }
        }
        Ok(best)
    }

    fn opened(&self, path: &[u8]) -> Result<Opened, Missing> {
        let file = self.root.below(path)?;
        Ok(match look(&file)? {
            Some(stamp) => Opened::File(file, stamp),
            None => Opened::Folder,
        })
    }
}

/// The stamp of a file; `None` is a folder.
fn look(file: &OwnedFd) -> Result<Option<Stamp>, Missing> {
    let stat = fstat(file).map_err(Missing::of)?;
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => Ok(Some(Stamp {
            len: stat.st_size as u64,
            modified_s: stat.st_mtime,
            modified_ns: stat.st_mtime_nsec as u32,
            device: stat.st_dev,
            inode: stat.st_ino,
            changed_s: stat.st_ctime,
            changed_ns: stat.st_ctime_nsec as u32,
        })),
        FileType::Directory => Ok(None),
        _ => Err(Missing::Special),
    }
}
