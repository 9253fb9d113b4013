//! The file that lets the line in front of a waiting room outlive a restart.
//!
//! It holds what cookies are signed with, the line's two numbers and when the people inside were last seen, as text.
//! It is written beside and renamed, so that there is always a whole one.

use std::fmt::Write as _;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use traffic::room::Saved;

use crate::state;

/// Numbers that are given out before the next file is written, at least; should the process die in between, nobody's
/// number is given to another one.
const RESERVE: u64 = 64;

/// What is kept of one room.
#[derive(Debug)]
pub struct Kept {
    /// What cookies are signed with, unless the configuration says something else.
    pub secret: [u8; 32],
    path: Option<PathBuf>,
    last: Mutex<Saved>,
    has_failed: AtomicBool,
}

impl Kept {
    /// Reads what the last process has left in this folder. What cannot be read is begun anew, and the log says so.
    pub fn open(state: Option<&Path>, room: &str) -> (Self, Option<Saved>) {
        let path = state.map(|folder| folder.join(format!("room-{room}")));
        let known = path.as_deref().and_then(|path| match state::read(path, parse) {
            Ok(known) => known,
            Err(error) => {
                tracing::error!(
                    "waiting room {room}: the line begins anew: cannot read {}: {error}",
                    path.display()
                );
                None
            }
        });
        let (secret, saved) = known.map_or_else(|| (random(), None), |(secret, saved)| (secret, Some(saved)));
        let kept = Self { secret, path, last: Mutex::default(), has_failed: AtomicBool::new(false) };
        if saved.is_none() {
            // Cookies are signed from now on; they have to be good after a crash as well.
            kept.write(&Saved { next: 1, ..Saved::default() });
        }
        (kept, saved)
    }

    /// Writes down what a restart has to know, if it has changed.
    pub fn save(&self, saved: &Saved, is_last: bool) {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if self.path.is_none() || (*last == *saved && !is_last) {
            return;
        }
        let came = saved.next.saturating_sub(last.next.max(1));
        last.clone_from(saved);
        let reserve = if is_last { 0 } else { RESERVE + 2 * came };
        self.write(&Saved { next: saved.next + reserve, ..saved.clone() });
    }

    fn write(&self, saved: &Saved) {
        let Some(path) = &self.path else { return };
        let result = state::replace(path, &text(&self.secret, saved));
        let has_failed = self.has_failed.swap(result.is_err(), Ordering::Relaxed);
        if let Err(error) = result
            && !has_failed
        {
            tracing::error!(
                "places in line do not outlive this process: cannot write {}: {error}",
                path.display()
            );
        }
    }
}

/// 32 bytes that nobody can guess.
fn random() -> [u8; 32] {
    let mut secret = [0; 32];
    let read = File::open("/dev/urandom").and_then(|mut file| file.read_exact(&mut secret));
    if let Err(error) = read {
        // Without it, a generator that is seeded by the system has to do.
        tracing::warn!("cannot read /dev/urandom: {error}");
        fastrand::Rng::new().fill(&mut secret);
    }
    secret
}

/// The file's text.
fn text(secret: &[u8; 32], saved: &Saved) -> String {
    let mut out = String::from(
        "# A waiting room's line, kept by Tidegate. Whoever reads this can forge places.\nsecret = ",
    );
    for byte in secret {
        // Writing to a String does not fail.
        let _ = write!(out, "{byte:02x}");
    }
    let Saved { next, called, expected_from, came, inside } = saved;
    let _ = write!(
        out,
        "\nnext = {next}\ncalled = {called}\nexpected_from = {expected_from}\ncame = {came}\ninside ="
    );
    for (seen_s, count) in inside {
        let _ = write!(out, " {seen_s}:{count}");
    }
    out.push_str("\nend\n");
    out
}

/// Reads it; `None` is anything but a whole one.
fn parse(text: &str) -> Option<([u8; 32], Saved)> {
    let mut lines = text.lines().filter(|line| !line.starts_with('#'));
    let mut value = |name: &str| lines.next()?.strip_prefix(name)?.strip_prefix(" =").map(str::trim);
    let hex = value("secret").filter(|hex| hex.len() == 64 && hex.is_ascii())?;
    let mut secret = [0; 32];
    for (byte, at) in secret.iter_mut().zip((0..64).step_by(2)) {
        *byte = u8::from_str_radix(&hex[at..at + 2], 16).ok()?;
    }
    let mut number = |name: &str| value(name)?.parse::<u64>().ok().filter(|number| *number < u64::MAX / 4);
    let (next, called) = (number("next")?, number("called")?);
    let (expected_from, came) = (number("expected_from")?, number("came")?);
    let inside = value("inside")?
        .split_ascii_whitespace()
        .map(|part| {
            let (seen_s, count) = part.split_once(':')?;
            Some((seen_s.parse().ok()?, count.parse().ok().filter(|count| *count < u64::from(u32::MAX))?))
        })
        .collect::<Option<Vec<_>>>()?;
    (lines.next() == Some("end")).then_some((secret, Saved { next, called, expected_from, came, inside }))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_was_written_reads_back(
            secret: [u8; 32],
            numbers: [u32; 4],
            inside in proptest::collection::vec((any::<u32>(), 0..u32::MAX), 0..20),
        ) {
            let [next, called, expected_from, came] = numbers.map(u64::from);
            let inside = inside.into_iter().map(|(seen_s, count)| (seen_s.into(), count.into())).collect();
            let saved = Saved { next, called, expected_from, came, inside };
            let text = text(&secret, &saved);
            prop_assert_eq!(parse(&text), Some((secret, saved)));
            // Half of one is none.
            let half = text.floor_char_boundary(text.len() - 2);
            prop_assert_eq!(parse(&text[..half]), None);
        }

        #[test]
        fn no_other_text_is_taken_for_one(text: String) {
            prop_assert_eq!(parse(&text), None);
        }
    }

    #[test]
    fn a_file_is_for_its_owner_alone_and_a_bad_one_is_begun_anew() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path().join("state");
        let (first, saved) = Kept::open(Some(&state), "main");
        assert_eq!(saved, None);
        let path = state.join("room-main");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let line = Saved { next: 10, called: 7, expected_from: 5, came: 1, inside: vec![(1_800_000_000, 3)] };
        first.save(&line, true);
        let (second, saved) = Kept::open(Some(&state), "main");
        assert_eq!((second.secret, saved), (first.secret, Some(line)));
        fs::write(&path, "secret = nonsense").unwrap();
        let (third, saved) = Kept::open(Some(&state), "main");
        assert_eq!(saved, None);
        assert_ne!(third.secret, first.secret);
    }

    #[test]
    fn a_crash_gives_no_number_twice() {
        let folder = tempfile::tempdir().unwrap();
        let (kept, _) = Kept::open(Some(folder.path()), "main");
        kept.save(&Saved { next: 1_000, called: 7, ..Saved::default() }, false);
        let (_, saved) = Kept::open(Some(folder.path()), "main");
        assert_eq!(saved.unwrap().next, 1_000 + 64 + 2 * 999);
    }
}
