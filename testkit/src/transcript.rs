//! What everybody in a scene said, and when.

use std::cell::RefCell;
use std::fmt::Write as _;
use std::rc::Rc;
use std::time::Duration;

use tokio::time::Instant;

/// Bytes of one saying that are shown.
const SHOWN_BYTES: usize = 600;

/// The sayings of a scene, in order.
#[derive(Clone, Debug)]
pub(crate) struct Transcript {
    start: Instant,
    entries: Rc<RefCell<Vec<Entry>>>,
}

#[derive(Debug)]
struct Entry {
    at: Duration,
    who: String,
    what: String,
}

impl Transcript {
    /// An empty one; time counts from now.
    pub(crate) fn new() -> Self {
        Self { start: Instant::now(), entries: Rc::default() }
    }

    /// Notes something that happened.
    pub(crate) fn note(&self, who: &str, what: impl Into<String>) {
        let entry = Entry { at: self.start.elapsed(), who: who.to_owned(), what: what.into() };
        self.entries.borrow_mut().push(entry);
    }

    /// Notes bytes that somebody sent or got.
    pub(crate) fn bytes(&self, who: &str, verb: &str, bytes: &[u8]) {
        let mut what = format!("{verb} {} bytes", bytes.len());
        for line in bytes[..bytes.len().min(SHOWN_BYTES)].split_inclusive(|&byte| byte == b'\n') {
            let _ = write!(what, "\n              {}", line.escape_ascii());
        }
        if bytes.len() > SHOWN_BYTES {
            what.push_str(" …");
        }
        self.note(who, what);
    }

    /// All of it, for people.
    pub(crate) fn show(&self) -> String {
        let mut text = String::new();
        for Entry { at, who, what } in self.entries.borrow().iter() {
            let _ = writeln!(text, "{:>9.3}s  {who} {what}", at.as_secs_f64());
        }
        text
    }
}
