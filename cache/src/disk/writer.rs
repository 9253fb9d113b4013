//! The one who writes: does what the ledger says, through a port, and sees to what follows from a failure.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::ledger::{Ledger, Lies, Room, Task};
use super::note::Note;
use super::record::{ALIGN, Head, Kind, MAX_TEXT_BYTES, Position, Text};
use super::usage::{Dropped, Fault};
use super::{Opening, Sum};
use crate::{Entry, Stored, UnixMs};

/// How long a disk that has failed is left alone.
pub const PAUSE_MS: u64 = 5_000;

/// What is taken out of the index before others have their turn.
const STRIDE: usize = 1024;

/// The folder of segments.
pub trait Files {
    /// Makes a segment's file, in place of any of that number, which begins with these bytes.
    fn begin(&mut self, number: u32, opening: &[u8]) -> Result<(), Failure>;

    /// Writes a record: its head and text, its body, and zeros up to its end.
    fn write(&mut self, at: Position, front: &[u8], body: Stored<'_>, padding: usize) -> Result<(), Failure>;

    /// Cuts a segment's file off.
    fn cut(&mut self, at: Position) -> Result<(), Failure>;

    /// Removes a segment's file, and lets go of all that lies in it.
    fn remove(&mut self, number: u32) -> Result<(), Failure>;

    /// A note was written: it has to outlive the machine's loss of power, though not at once.
    fn noted(&mut self);

    /// The sum over a body that is not in memory, as it was known when that was placed.
    fn sum(&self, body: Stored<'_>) -> Option<u32>;

    /// An entry is written and can be found: where, and where in the record its body begins and what its sum is.
    fn kept(&mut self, entry: &Arc<Entry>, lies: Lies, body_start: u64, body_sum: u32);
}

/// How something fails.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Failure {
    /// There is no room.
    Full,
    /// The disk takes nothing.
    Write,
    /// The body that was to be copied cannot be read, or is no longer what it was.
    Read,
}

/// Writes what a ledger says.
#[derive(Debug)]
pub struct Writer<F> {
    ledger: Arc<Mutex<Ledger>>,
    /// Where to.
    pub files: F,
}

impl<F: Files> Writer<F> {
    /// Whoever shares the ledger hands over what is to be written.
    pub const fn new(ledger: Arc<Mutex<Ledger>>, files: F) -> Self {
        Self { ledger, files }
    }

    /// Does one thing. `false`: there is nothing to do, or not now.
    pub fn step(&mut self, now: UnixMs) -> bool {
        let Some(task) = self.lock().next(now) else { return false };
        match task {
            Task::Remove(number) => {
                self.remove(number, now);
            }
            Task::Note(note) => self.note(note, now),
            Task::Keep(entry) => {
                if let Err(why) = self.keep(&entry, now) {
                    self.lock().drop_current(why);
                }
            }
        }
        true
    }

    fn lock(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn keep(&mut self, entry: &Arc<Entry>, now: UnixMs) -> Result<(), Option<Dropped>> {
        let text = Text::of(entry);
        let text_sum = Sum::of(&text);
        if text.len() > MAX_TEXT_BYTES as usize {
            return Err(Some(Dropped::TooLarge));
        }
        if self.lock().is_known(text_sum) {
            return Err(None);
        }
        let body = entry.body();
        let sum = if body.place().is_some() { self.files.sum(body) } else { Some(sum_of(body)) };
        let Some(body_sum) = sum else {
            self.lock().count(Fault::Read);
            return Err(Some(Dropped::Write));
        };
        let (text_bytes, body_bytes) = (text.len() as u32, body.len_bytes());
        let head = Head { kind: Kind::Entry, text_bytes, text_sum, body_bytes, body_sum };
        let at = self.place(&head, now).map_err(Some)?;
        self.write(at, &head, &text, body, now).map_err(|_| Some(Dropped::Write))?;
        let lies = Lies { at, bytes: head.total_bytes() };
        if self.lock().commit(lies, text_sum) {
            self.files.kept(entry, lies, head.body_start(), body_sum);
        }
        Ok(())
    }

    fn note(&mut self, note: Note, now: UnixMs) {
        let text = note.write();
        let (text_bytes, text_sum) = (text.len() as u32, Sum::of(&text));
        let head = Head { kind: note.kind(), text_bytes, text_sum, body_bytes: 0, body_sum: 0 };
        let written = match self.place(&head, now) {
            Ok(at) => self.write(at, &head, &text, Stored::Near(b""), now),
            Err(_) => Err(Failure::Write),
        };
        match written {
            Ok(()) => {
                self.files.noted();
                self.lock().noted();
            }
            Err(failure) => {
                self.lock().return_note(note);
                // What was purged must not come back for want of room to say so.
                let oldest = self.lock().oldest();
                if let (Failure::Full, Some(oldest)) = (failure, oldest)
                    && self.remove(oldest, now)
                {
                    self.lock().resume();
                }
            }
        }
    }

    /// Finds a place for a record, and makes room for it.
    fn place(&mut self, head: &Head, now: UnixMs) -> Result<Position, Dropped> {
        loop {
            let room = self.lock().room(head.total_bytes(), head.kind != Kind::Entry);
            match room {
                Room::At(at) => return Ok(at),
                Room::Nowhere(why) => return Err(why),
                Room::Remove(number) => {
                    if !self.remove(number, now) {
                        return Err(Dropped::Failing);
                    }
                }
                Room::Begin(opening) => self.begin(opening, now)?,
            }
        }
    }

    fn begin(&mut self, opening: Opening, now: UnixMs) -> Result<(), Dropped> {
        match self.files.begin(opening.number, &opening.write()) {
            Ok(()) => {
                self.lock().begun();
                Ok(())
            }
            Err(failure) => {
                self.fail(failure, now);
                Err(Dropped::Write)
            }
        }
    }

    fn write(
        &mut self,
        at: Position,
        head: &Head,
        text: &[u8],
        body: Stored<'_>,
        now: UnixMs,
    ) -> Result<(), Failure> {
        let mut front = Vec::with_capacity(head.body_start() as usize);
        front.extend_from_slice(&head.write(at));
        front.extend_from_slice(text);
        let padding = (head.total_bytes() - head.used_bytes()) as usize;
        debug_assert!((padding as u64) < ALIGN, "padding goes up to the next record");
        let written = self.files.write(at, &front, body, padding);
        if let Err(failure) = written {
            let cut = self.files.cut(at);
            let mut ledger = self.lock();
            ledger.take_back(Lies { at, bytes: head.total_bytes() });
            if cut.is_err() {
                ledger.seal();
            }
            drop(ledger);
            self.fail(failure, now);
        }
        written
    }

    fn remove(&mut self, number: u32, now: UnixMs) -> bool {
        while self.lock().remove_some(number, STRIDE) {}
        let is_removed = self.files.remove(number).is_ok();
        let mut ledger = self.lock();
        if is_removed {
            ledger.removed(number);
        } else {
            ledger.pause(Fault::Remove, now + PAUSE_MS);
        }
        is_removed
    }

    fn fail(&self, failure: Failure, now: UnixMs) {
        match failure {
            Failure::Full => self.lock().pause(Fault::Full, now + PAUSE_MS),
            Failure::Write => self.lock().pause(Fault::Write, now + PAUSE_MS),
            // That is about one entry.
            Failure::Read => self.lock().count(Fault::Read),
        }
    }
}

fn sum_of(body: Stored<'_>) -> u32 {
    let mut sum = Sum::default();
    body.pieces().for_each(|piece| sum.add(piece));
    sum.end()
}
