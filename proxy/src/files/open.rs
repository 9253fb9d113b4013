//! Opening what lies below a root and nothing else, whatever the path says and wherever links lead.
//!
//! The kernel does it as a whole (`openat2`, Linux 5.6), so there is no moment between a check and its use. Relative
//! links inside the root are followed. Where the kernel, or a filter in front of it, does not know the call, the path
//! is walked name by name without following any link.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::{Mode, OFlags, ResolveFlags, openat, openat2};
use rustix::io::Errno;

use super::Missing;

/// How often an open is tried again that was disturbed by a rename beside it.
const ATTEMPTS: u32 = 8;

/// Whether the kernel was found not to know `openat2`.
static WALKS: AtomicBool = AtomicBool::new(false);

/// A folder that is opened in for the length of one lookup.
#[derive(Debug)]
pub struct Root(OwnedFd);

impl Root {
    /// Opens the root by its path, so that a root that is replaced as a whole is seen to be.
    ///
    /// # Errors
    /// [`Missing::NoRoot`], or that descriptors are short.
    pub fn open(path: &Path) -> Result<Self, Missing> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        match rustix::fs::open(path, flags, Mode::empty()) {
            Ok(fd) => Ok(Self(fd)),
            Err(error) => Err(match Missing::of(error) {
                short @ Missing::Short => short,
                _ => Missing::NoRoot,
            }),
        }
    }

    /// Opens what a relative path names, whatever it is.
    ///
    /// # Errors
    /// Why it is not to be had.
    pub fn below(&self, path: &[u8]) -> Result<OwnedFd, Missing> {
        if !WALKS.load(Ordering::Relaxed) {
            match at_once(self.0.as_fd(), path) {
                Err(Errno::NOSYS) => WALKS.store(true, Ordering::Relaxed),
                // What a filter in front of the kernel may say to a call that it does not know.
                Err(Errno::PERM) => {}
                result => return result.map_err(Missing::of),
            }
        }
        walk(self.0.as_fd(), path).map_err(Missing::of)
    }
}

/// Nothing blocks: a pipe is opened without a writer, and found to be no file later.
fn reading() -> OFlags {
    OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY
}

fn at_once(root: BorrowedFd<'_>, path: &[u8]) -> Result<OwnedFd, Errno> {
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
    for _ in 1..ATTEMPTS {
        match openat2(root, path, reading(), Mode::empty(), resolve) {
            Err(Errno::AGAIN | Errno::INTR) => {}
            result => return result,
        }
    }
    openat2(root, path, reading(), Mode::empty(), resolve)
}

fn walk(root: BorrowedFd<'_>, path: &[u8]) -> Result<OwnedFd, Errno> {
    let step = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let last = reading() | OFlags::NOFOLLOW;
    let mut folder: Option<OwnedFd> = None;
    let mut segments = path.split(|&byte| byte == b'/').filter(|segment| !segment.is_empty()).peekable();
    if path.starts_with(b"/") {
        return Err(Errno::XDEV);
    }
    while let Some(segment) = segments.next() {
        if segment == b".." {
            return Err(Errno::XDEV);
        }
        let at = folder.as_ref().map_or(root, AsFd::as_fd);
        let is_last = segments.peek().is_none();
        let opened = openat(at, segment, if is_last { last } else { step }, Mode::empty());
        match opened {
            Ok(fd) if is_last && !path.ends_with(b"/") => return Ok(fd),
            Ok(fd) => folder = Some(fd),
            Err(error) => return Err(error),
        }
    }
    // The path names a folder, or nothing.
    openat(folder.as_ref().map_or(root, AsFd::as_fd), ".", reading() | OFlags::DIRECTORY, Mode::empty())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::fd::AsRawFd;
    use std::os::unix::fs::symlink;

    use proptest::prelude::*;
    use proptest::test_runner::TestRunner;

    use super::*;

    type Opener = fn(BorrowedFd<'_>, &[u8]) -> Result<OwnedFd, Errno>;

    /// Both ways to open; tests do not care which one the kernel has.
    const OPENERS: [(&str, Opener); 2] = [("openat2", at_once), ("walk", walk)];

    /// A root with links of every kind, inside a folder with a secret.
    fn stage() -> (tempfile::TempDir, Root) {
        let stage = tempfile::tempdir().expect("a folder");
        let root = stage.path().join("root");
        fs::create_dir_all(root.join("deep/er")).expect("folders");
        fs::write(stage.path().join("secret"), "secret").expect("a file");
        fs::write(root.join("page"), "page").expect("a file");
        fs::write(root.join("deep/er/page"), "page").expect("a file");
        for (link, to) in [
            ("inside", "deep/er/page"),
            ("inside-folder", "deep"),
            ("deep/up", "../page"),
            ("out", "../secret"),
            ("out-folder", ".."),
            ("deep/far-out", "../../secret"),
            ("absolute", "/etc/passwd"),
            ("magic", "/proc/self/root"),
            ("loop", "loop"),
        ] {
            symlink(to, root.join(link)).expect("a link");
        }
        symlink(root.join("page"), root.join("absolute-inside")).expect("a link");
        let root = Root::open(&root).expect("the root");
        (stage, root)
    }

    #[test]
    fn links_inside_are_followed_and_links_that_leave_are_not() {
        let (_stage, Root(root)) = stage();
        for (path, opens) in [
            ("page", true),
            ("deep/er/page", true),
            ("inside", true),
            ("inside-folder/er/page", true),
            ("deep/up", true),
            ("out", false),
            ("out-folder/secret", false),
            ("deep/far-out", false),
            ("absolute", false),
            ("absolute-inside", false),
            ("magic/etc/passwd", false),
            ("loop", false),
            ("../secret", false),
            ("deep/../../secret", false),
            ("/etc/passwd", false),
            ("page/", false),
            ("page/page", false),
            ("nothing", false),
        ] {
            assert_eq!(at_once(root.as_fd(), path.as_bytes()).is_ok(), opens, "{path}");
            let has_link = path.contains("inside") || path == "deep/up";
            assert_eq!(walk(root.as_fd(), path.as_bytes()).is_ok(), opens && !has_link, "{path} by walking");
        }
    }

    #[test]
    fn links_of_proc_lead_nowhere() {
        let proc = Root::open(Path::new("/proc/self")).expect("proc");
        for path in ["root/etc/passwd", "cwd/Cargo.toml", "exe", "fd/0"] {
            for (name, open) in OPENERS {
                assert!(open(proc.0.as_fd(), path.as_bytes()).is_err(), "{path} by {name}");
            }
        }
    }

    #[test]
    fn overlong_names_are_no_files_and_a_missing_root_is_named() {
        let (_stage, root) = stage();
        assert_eq!(root.below(&[b'a'; 256]).err(), Some(Missing::NoFile));
        assert_eq!(root.below(&b"a/".repeat(4096)).err(), Some(Missing::NoFile));
        assert_eq!(Root::open(Path::new("/nowhere/at/all")).err(), Some(Missing::NoRoot));
        assert_eq!(Root::open(Path::new("/etc/passwd")).err(), Some(Missing::NoRoot));
    }

    #[test]
    fn no_path_opens_anything_outside() {
        const NAMES: [&str; 21] = [
            "..",
            ".",
            "",
            "page",
            "deep",
            "er",
            "up",
            "out",
            "out-folder",
            "far-out",
            "magic",
            "absolute",
            "absolute-inside",
            "loop",
            "inside",
            "inside-folder",
            "secret",
            "root",
            "etc",
            "passwd",
            "%2e%2e",
        ];
        let (stage, Root(root)) = stage();
        let inside = stage.path().join("root").canonicalize().expect("the root is there");
        let names = prop::collection::vec(prop::sample::select(&NAMES[..]), 0..8);
        let mut runner = TestRunner::new(ProptestConfig::with_cases(2048));
        let result = runner.run(&(names, any::<bool>()), |(names, leading)| {
            let path = format!("{}{}", if leading { "/" } else { "" }, names.join("/"));
            for (name, open) in OPENERS {
                let Ok(fd) = open(root.as_fd(), path.as_bytes()) else { continue };
                let link = format!("/proc/self/fd/{}", fd.as_raw_fd());
                let place = fs::read_link(link).expect("an open file has a place");
                prop_assert!(place.starts_with(&inside), "{path} by {name} is {}", place.display());
            }
            Ok(())
        });
        result.unwrap_or_else(|why| panic!("{why}"));
    }
}
