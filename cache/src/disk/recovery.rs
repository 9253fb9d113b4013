//! Finding out what is there, after a restart or a crash.

use super::ledger::Ledger;
use super::note::Note;
use super::record::{ALIGN, Corrupt, HEAD_BYTES, Head, Kind, Position, Text};
use super::segment::{OPENING_BYTES, Opening, Strange};
use super::{Lies, Sum};

/// Reads bytes of a segment from an offset on; whether they could be read.
type Read<'r> = dyn FnMut(u32, u64, &mut [u8]) -> bool + 'r;

/// What was found.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Recovery {
    /// Segments whose files are of no use: to be removed.
    pub removals: Vec<u32>,
    /// A segment that has a torn end, and the bytes that are good: to be cut.
    pub cut: Option<(u32, u64)>,
    /// What did not add up, and in which segment. Everything before it is given up.
    pub doubts: Vec<(u32, Corrupt)>,
    /// Segments of another version of Tidegate: given up.
    pub versions: Vec<u32>,
}

/// How the reading of a segment ends.
enum End {
    Whole,
    /// The last segment ends within a record.
    Torn(u64),
    /// What follows cannot be found.
    Lost,
}

impl Ledger {
    /// Reads what is there: segments by their numbers, in rising order, and the bytes that each file has. Reads heads
    /// and texts of records, not their bodies.
    pub fn recover(&mut self, files: &[(u32, u64)], read: &mut Read<'_>) -> Recovery {
        let mut found = Recovery::default();
        let openings: Vec<_> = files.iter().map(|&(number, bytes)| opening(number, bytes, read)).collect();
        for (at, (&(number, file_bytes), opening)) in files.iter().zip(&openings).enumerate() {
            let is_next = at > 0 && number == files[at - 1].0 + 1;
            if at > 0 && !is_next {
                self.doubt(&mut found, number, Corrupt::Missing);
            }
            let is_last = at + 1 == files.len();
            if is_last && file_bytes < OPENING_BYTES as u64 {
                // It was only just begun, and its number is free again.
                self.next_number = number;
                found.removals.push(number);
                break;
            }
            self.next_number = number.saturating_add(1);
            match opening {
                Ok(_) => {}
                Err(strange) => {
                    if let Strange::Version(_) = strange {
                        found.versions.push(number);
                        found.removals.append(&mut self.index.clear());
                    } else {
                        self.doubt(&mut found, number, Corrupt::Opening);
                    }
                    found.removals.push(number);
                    continue;
                }
            }
            let next = files.get(at + 1).filter(|next| next.0 == number + 1);
            let said = next.and_then(|_| openings[at + 1].as_ref().ok()).map(|next| next.before_bytes);
            let bytes = said.unwrap_or(file_bytes);
            if file_bytes < bytes {
                self.doubt(&mut found, number, Corrupt::Missing);
            }
            let bytes = bytes.min(file_bytes);
            self.index.begin_segment(number, bytes);
            match self.scan(&mut found, number, bytes, is_last, read) {
                End::Whole => self.before_bytes = bytes,
                End::Torn(good) => {
                    found.cut = Some((number, good));
                    if let Some(last) = self.index.segments.back_mut() {
                        last.bytes = good;
                    }
                    self.before_bytes = good;
                }
                End::Lost => {
                    found.removals.append(&mut self.index.clear());
                }
            }
        }
        found
    }

    /// Everything that was found so far is given up.
    fn doubt(&mut self, found: &mut Recovery, number: u32, why: Corrupt) {
        found.doubts.push((number, why));
        found.removals.append(&mut self.index.clear());
    }

    fn scan(
        &mut self,
        found: &mut Recovery,
        number: u32,
        bytes: u64,
        is_last: bool,
        read: &mut Read<'_>,
    ) -> End {
        let mut offset = OPENING_BYTES as u64;
        let mut text = Vec::new();
        while offset < bytes {
            let at = Position { segment: number, unit: (offset / ALIGN) as u32 };
            let left = bytes - offset;
            let mut head = [0; HEAD_BYTES];
            let some = (left as usize).min(HEAD_BYTES);
            if !read(number, offset, &mut head[..some]) {
                self.doubt(found, number, Corrupt::Unreadable);
                return End::Lost;
            }
            // What was never written, where the system has only made the file longer.
            if is_last && (some < HEAD_BYTES || head == [0; HEAD_BYTES]) {
                return End::Torn(offset);
            }
            let head = match Head::read(&head[..some], at) {
                Ok(head) if head.total_bytes() <= left => head,
                Ok(_) if is_last => return End::Torn(offset),
                Ok(_) => {
                    self.doubt(found, number, Corrupt::Torn);
                    return End::Lost;
                }
                Err(why) => {
                    self.doubt(found, number, why);
                    return End::Lost;
                }
            };
            text.resize(head.text_bytes as usize, 0);
            let is_read = read(number, offset + HEAD_BYTES as u64, &mut text);
            let known = if is_read { self.learn(at, &head, &text) } else { Err(Corrupt::Unreadable) };
            offset += head.total_bytes();
            if let Err(why) = known {
                self.doubt(found, number, why);
                // What follows may be good.
                found.removals.retain(|&gone| gone != number);
                self.index.begin_segment(number, bytes);
            }
        }
        End::Whole
    }

    /// Takes in what a record says.
    fn learn(&mut self, at: Position, head: &Head, text: &[u8]) -> Result<(), Corrupt> {
        if Sum::of(text) != head.text_sum {
            return Err(Corrupt::Text);
        }
        if head.kind == Kind::Entry {
            let entry = Text::read(text)?;
            let hashes = self.hashes(entry.key, entry.url(), entry.vary);
            let lies = Lies { at, bytes: head.total_bytes() };
            self.index.insert(hashes, lies.at, lies.bytes, head.text_sum);
            return Ok(());
        }
        match Note::read(head.kind, text)? {
            Note::Void(positions) => positions.into_iter().for_each(|at| self.index.remove_at(at)),
            Note::Purge(standing) => self.index.purge(at, standing),
        }
        Ok(())
    }
}

fn opening(number: u32, bytes: u64, read: &mut Read<'_>) -> Result<Opening, Strange> {
    let mut opening = [0; OPENING_BYTES];
    if bytes < OPENING_BYTES as u64 || !read(number, 0, &mut opening) {
        return Err(Strange::Broken);
    }
    Opening::read(&opening)
        .and_then(|opening| if opening.number == number { Ok(opening) } else { Err(Strange::Broken) })
}
