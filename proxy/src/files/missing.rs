//! Why a request for a file gets none.

use rustix::io::Errno;
use traffic::Refusal;

/// Why there is no file for a request. What the client is told is coarser ([`Missing::refusal`]): only `explain` names
/// the reason, for whoever asks from outside is not to learn what lies in the folder.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Missing {
    /// A segment begins with a dot and is not `.well-known`.
    Hidden,
    /// The path has what no name of a file may have: an escaped slash or backslash, a control character, `..`.
    Unnameable,
    /// Nothing is there.
    NoFile,
    /// It is a folder, and there is no index in it.
    Folder,
    /// It is neither a file nor a folder.
    Special,
    /// A link on the way leads out of the root, is absolute, or there are too many of them.
    Outside,
    /// The system does not let us read it.
    Forbidden,
    /// The root is not there, or is no folder.
    NoRoot,
    /// No descriptor, or no memory in the kernel, was to be had.
    Short,
    /// It changed each time that it was read.
    Restless,
    /// Reading failed.
    Failed,
}

impl Missing {
    /// What an error of opening or reading a file means.
    pub fn of(error: Errno) -> Self {
        match error {
            Errno::NOENT | Errno::NOTDIR | Errno::NAMETOOLONG => Self::NoFile,
            Errno::XDEV | Errno::LOOP => Self::Outside,
            Errno::ACCESS | Errno::PERM => Self::Forbidden,
            Errno::NXIO | Errno::NODEV | Errno::ISDIR => Self::Special,
            Errno::MFILE | Errno::NFILE | Errno::NOMEM => Self::Short,
            _ => Self::Failed,
        }
    }

    /// What the client is told.
    pub const fn refusal(self) -> Refusal {
        match self {
            Self::Hidden
            | Self::Unnameable
            | Self::NoFile
            | Self::Folder
            | Self::Special
            | Self::Outside
            | Self::Forbidden => Refusal::FileNotFound,
            Self::NoRoot | Self::Short | Self::Restless | Self::Failed => Refusal::FilesUnavailable,
        }
    }

    /// Whether the page of a single-page app may stand in. Not for what is there and is kept back: scanners are to
    /// hear that they found nothing.
    pub const fn is_vacant(self) -> bool {
        matches!(self, Self::NoFile | Self::Folder)
    }

    /// The reason in words, for `explain`.
    pub const fn what(self) -> &'static str {
        match self {
            Self::Hidden => "a name that begins with a dot is kept back",
            Self::Unnameable => "no file may have that name",
            Self::NoFile => "nothing is there",
            Self::Folder => "it is a folder without an index",
            Self::Special => "it is neither a file nor a folder",
            Self::Outside => "a link leads out of the folder, or is absolute",
            Self::Forbidden => "the system does not let us read it",
            Self::NoRoot => "the folder is not there",
            Self::Short => "the system has no descriptor left",
            Self::Restless => "it changes faster than it can be read",
            Self::Failed => "the disk fails",
        }
    }
}
