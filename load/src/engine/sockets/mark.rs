//! Marks: what a sender writes into a text so that whoever receives it knows its sender, its number and when it was
//! due, wherever in a message the target puts it.
//!
//! A mark is 46 bytes of ASCII that pass through JSON and URLs unchanged:
//!
//! ```text
//! tide 1a2b3c4d 00000007 0000002a 0000000012345678 ~   (without the spaces)
//!      run      sender   sequence due, nanoseconds
//! ```
//!
//! The run is part of what is searched for, so what a target kept from another run is not taken for ours.

use memchr::memmem;

use crate::Nanos;

/// What a text has where its mark goes.
pub(crate) const PLACE: &[u8] = b"{{mark}}";

/// The length of a mark, in bytes.
pub(crate) const BYTES: usize = PREFIX.len() + RUN_DIGITS + DIGITS + 1;

const PREFIX: &[u8] = b"tide";
const RUN_DIGITS: usize = 8;
/// Hexadecimal digits of what differs from message to message: sender, sequence, due.
const DIGITS: usize = 8 + 8 + 16;
/// Ends a mark, so that one that was cut off or runs into other digits is not read as another number.
const END: u8 = b'~';

/// Who sent a message, which one it is, and when it was due.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Mark {
    /// One connection of one socket, unique over all parts of the run.
    pub(crate) sender: u32,
    /// Counts the sender's messages from 0.
    pub(crate) sequence: u32,
    /// When it was due.
    pub(crate) due: Nanos,
}

/// Writes and finds the marks of one run.
#[derive(Debug)]
pub(crate) struct Marks {
    place: memmem::Finder<'static>,
    begin: memmem::Finder<'static>,
}

impl Marks {
    /// The marks of the run with this number, which every part of the run has to know alike.
    pub(crate) fn new(run: u32) -> Self {
        let mut begin = PREFIX.to_vec();
        write_hex(u64::from(run), RUN_DIGITS, &mut begin);
        Self { place: memmem::Finder::new(PLACE), begin: memmem::Finder::new(&begin).into_owned() }
    }

    /// Appends `text` to `out` with `mark` in every place for one.
    pub(crate) fn write(&self, text: &[u8], mark: &Mark, out: &mut Vec<u8>) {
        let mut rest = text;
        while let Some(at) = self.place.find(rest) {
            out.extend_from_slice(&rest[..at]);
            out.extend_from_slice(self.begin.needle());
            write_hex(u64::from(mark.sender), 8, out);
            write_hex(u64::from(mark.sequence), 8, out);
            write_hex(mark.due, 16, out);
            out.push(END);
            rest = &rest[at + PLACE.len()..];
        }
        out.extend_from_slice(rest);
    }

    /// The marks in a message, in order. One that is repeated right away counts once, for texts that bear their mark
    /// in two places; several different ones are several messages that the target sent in one.
    pub(crate) fn find<'a>(&'a self, message: &'a [u8]) -> impl Iterator<Item = Mark> + 'a {
        let mut previous = None;
        self.begin.find_iter(message).filter_map(move |at| {
            let mark = read(message.get(at + PREFIX.len() + RUN_DIGITS..at + BYTES)?);
            let fresh = mark.filter(|mark| previous.as_ref() != Some(mark));
            previous = mark.or(previous);
            fresh
        })
    }
}

/// Reads what follows the run in a mark.
fn read(bytes: &[u8]) -> Option<Mark> {
    let (&end, digits) = bytes.split_last()?;
    if end != END {
        return None;
    }
    let sender = read_hex(digits.get(..8)?)?;
    let sequence = read_hex(digits.get(8..16)?)?;
    let due = read_hex(digits.get(16..)?)?;
    Some(Mark { sender: sender as u32, sequence: sequence as u32, due })
}

fn write_hex(value: u64, digits: usize, out: &mut Vec<u8>) {
    for digit in (0..digits).rev() {
        out.push(b"0123456789abcdef"[(value >> (4 * digit)) as usize & 0xf]);
    }
}

/// Reads at most 16 digits.
fn read_hex(digits: &[u8]) -> Option<u64> {
    digits.iter().try_fold(0, |value, &digit| {
        let digit = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return None,
        };
        Some(value << 4 | u64::from(digit))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MARK: Mark = Mark { sender: 7, sequence: 42, due: 0x1234_5678 };

    fn written(marks: &Marks, text: &str, mark: &Mark) -> Vec<u8> {
        let mut out = Vec::new();
        marks.write(text.as_bytes(), mark, &mut out);
        out
    }

    #[test]
    fn a_mark_is_plain_ascii_of_a_fixed_length() {
        let out = written(&Marks::new(0x1a2b_3c4d), r#"{"t":"{{mark}}"}"#, &MARK);
        assert_eq!(out, br#"{"t":"tide1a2b3c4d000000070000002a0000000012345678~"}"#);
        assert_eq!(out.len(), r#"{"t":""}"#.len() + BYTES);
    }

    #[test]
    fn a_mark_of_another_run_is_none() {
        let out = written(&Marks::new(1), "{{mark}}", &MARK);
        assert_eq!(Marks::new(2).find(&out).count(), 0);
    }

    #[test]
    fn several_messages_in_one_are_told_apart_and_one_in_two_places_counts_once() {
        let marks = Marks::new(9);
        let next = Mark { sequence: 43, ..MARK };
        let mut out = written(&marks, "{{mark}} and {{mark}}", &MARK);
        out.extend(written(&marks, "\n{{mark}}", &next));
        assert_eq!(marks.find(&out).collect::<Vec<_>>(), [MARK, next]);
    }

    #[test]
    fn a_mark_that_was_cut_off_or_changed_is_none() {
        let marks = Marks::new(9);
        let whole = written(&marks, "{{mark}}", &MARK);
        for end in 0..whole.len() {
            assert_eq!(marks.find(&whole[..end]).count(), 0, "{end} bytes");
        }
        assert_eq!(marks.find(&whole.to_ascii_uppercase()).count(), 0);
    }

    proptest! {
        #[test]
        fn what_was_written_is_found_in_any_surroundings(
            run: u32, sender: u32, sequence: u32, due: u64, before in "[ -~]{0,80}", after in "[ -~]{0,80}",
        ) {
            let marks = Marks::new(run);
            let mark = Mark { sender, sequence, due };
            let out = written(&marks, &format!("{before}{{{{mark}}}}{after}"), &mark);
            prop_assert!(marks.find(&out).any(|found| found == mark));
        }

        #[test]
        fn any_bytes_can_be_searched(run: u32, bytes: Vec<u8>, ends in prop::collection::vec(".{0,60}", 0..4)) {
            let marks = Marks::new(run);
            let mut message = bytes;
            for end in ends {
                message.extend_from_slice(marks.begin.needle());
                message.extend_from_slice(end.as_bytes());
            }
            prop_assert!(marks.find(&message).count() <= message.len() / BYTES);
        }
    }
}
