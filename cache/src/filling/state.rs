//! The states of a filling, and the seats of its readers.

use core::task::Waker;
use std::collections::VecDeque;
use std::mem;
use std::sync::Arc;

use super::{Flow, Head, WINDOW_BYTES};
use crate::entry::Stored;
use crate::store::Promotion;
use crate::{Bypass, Entry};

/// How far it has come.
///
/// ```text
///            ┌─ ticket lost, for the first time, somebody waits ─► Promoting ─ somebody takes it ─┐
///  Waiting ──┤◄───────────────────────────────────────────────────────────────────────────────────┘
///            ├─ begun, storable ──► Open ──────┬─ finished ─► Whole
///            │                       │         └─ writer lost, or too short ─► Broken
///            │             too large, no room
///            │                       ▼
///            ├─ begun, not storable ► Passing ─┬─ finished ─► Done
///            │                                 └─ writer lost, or too short ─► Broken
///            └─ refreshed, answered, stood in for, failed, lost ─► Ended
/// ```
#[derive(Default)]
pub(crate) enum Progress {
    /// No head yet.
    #[default]
    Waiting,
    /// The filler was lost. This seat's reader is to take over.
    Promoting(u32, Promotion),
    /// It comes in to be kept, and all pieces stay for those who join.
    Open(Arc<Head>),
    /// It comes in and is not kept: a piece goes once everybody has read it, and nobody joins.
    Passing(Arc<Head>),
    /// It has come in to be kept. Usually the store has it now, unless it was purged meanwhile.
    Whole(Arc<Entry>),
    /// It has come in and is not kept.
    Done(Arc<Head>),
    /// It has broken off.
    Broken,
    /// There was no body to wait for.
    Ended(Outcome),
}

/// How a fill ended that had no body of its own.
#[derive(Clone)]
pub(crate) enum Outcome {
    Entry { entry: Arc<Entry>, stale: bool, below: bool },
    Failed(u16),
}

#[derive(Default)]
pub(crate) struct State {
    pub(crate) progress: Progress,
    /// Those that are kept, from the piece with the number `first` on.
    pieces: VecDeque<Piece>,
    first: u64,
    /// Bytes that have come in.
    len: u64,
    /// Bytes of `pieces`.
    held_bytes: u64,
    /// What the budget has reserved for them.
    charged_bytes: u64,
    /// Why nobody may join any more.
    closed: Option<Bypass>,
    /// Whether pieces go when they have been read: `Piece::unread` is kept only then.
    passing: bool,
    seats: Vec<Seat>,
    free: Vec<u32>,
    present: u32,
    /// Those of `present` that were not told to go their own way.
    reading: u32,
    leader: Option<u32>,
    /// Whether somebody was promoted already.
    promoted: bool,
    /// Seats that may have a waker.
    asleep: Vec<u32>,
    writer: Option<Waker>,
}

struct Piece {
    bytes: Arc<[u8]>,
    charged_bytes: u64,
    unread: u32,
}

#[derive(Default)]
struct Seat {
    taken: bool,
    /// Number of the next piece.
    next: u64,
    waker: Option<Waker>,
    /// Told to go its own way.
    out: Option<Bypass>,
}

impl State {
    /// A seat, if there are fewer than `most` besides the leader's.
    pub(crate) fn sit_down(&mut self, most: u32) -> Option<u32> {
        let waiting = self.present - u32::from(self.leader.is_some());
        (waiting < most).then(|| self.sit())
    }

    /// The leader's.
    pub(crate) fn sit_first(&mut self) -> u32 {
        let seat = self.sit();
        self.leader = Some(seat);
        seat
    }

    fn sit(&mut self) -> u32 {
        let out = self.closed;
        self.present += 1;
        self.reading += u32::from(out.is_none());
        let seat = Seat { taken: true, out, ..Seat::default() };
        if let Some(at) = self.free.pop() {
            self.seats[at as usize] = seat;
            return at;
        }
        self.seats.push(seat);
        self.seats.len() as u32 - 1
    }

    pub(crate) const fn present(&self) -> u32 {
        self.present
    }

    pub(crate) const fn charged_bytes(&self) -> u64 {
        self.charged_bytes
    }

    pub(crate) const fn len(&self) -> u64 {
        self.len
    }

    /// Whether anybody reads the body.
    pub(crate) const fn is_read(&self) -> bool {
        self.reading > 0
    }

    /// Whether pieces go once they have been read.
    pub(crate) const fn is_passing(&self) -> bool {
        self.passing
    }

    pub(crate) fn is_out(&self, seat: u32) -> Option<Bypass> {
        self.seats[seat as usize].out
    }

    pub(crate) fn lead_from(&mut self, seat: u32) {
        self.leader = Some(seat);
    }

    pub(crate) fn sleep(&mut self, seat: u32, waker: &Waker) {
        let old = &mut self.seats[seat as usize].waker;
        if let Some(old) = old {
            old.clone_from(waker);
            return;
        }
        *old = Some(waker.clone());
        self.asleep.push(seat);
    }

    pub(crate) fn wake_readers(&mut self, wakers: &mut Vec<Waker>) {
        for seat in self.asleep.drain(..) {
            wakers.extend(self.seats[seat as usize].waker.take());
        }
    }

    fn wake_writer(&mut self, wakers: &mut Vec<Waker>) {
        wakers.extend(self.writer.take());
    }

    /// Takes `seat` back. What was promised to it goes to somebody else who waits: `Err` when nobody does.
    pub(crate) fn leave(&mut self, seat: u32, wakers: &mut Vec<Waker>) -> (u64, Result<(), Promotion>) {
        let left = mem::take(&mut self.seats[seat as usize]);
        self.free.push(seat);
        self.present -= 1;
        self.reading -= u32::from(left.out.is_none());
        if left.waker.is_some() {
            self.asleep.retain(|&at| at != seat);
        }
        if self.leader == Some(seat) {
            self.leader = None;
        }
        let mut freed = 0;
        if self.passing && left.out.is_none() {
            let skip = (left.next - self.first) as usize;
            self.pieces.iter_mut().skip(skip).for_each(|piece| piece.unread -= 1);
            freed = self.drop_read();
        }
        if !self.is_read() || self.has_window() {
            self.wake_writer(wakers);
        }
        let promised = matches!(self.progress, Progress::Promoting(to, _) if to == seat);
        if !promised {
            return (freed, Ok(()));
        }
        let Progress::Promoting(_, promotion) = mem::take(&mut self.progress) else { unreachable!() };
        (freed, self.promise(promotion, wakers))
    }

    /// The filler is lost before a head came: promotes somebody who waits. `Err`: nobody does, or it was done before.
    pub(crate) fn promote(&mut self, promotion: Promotion, wakers: &mut Vec<Waker>) -> Result<(), Promotion> {
        if mem::replace(&mut self.promoted, true) {
            return Err(promotion);
        }
        self.leader = None;
        self.promise(promotion, wakers)
    }

    fn promise(&mut self, promotion: Promotion, wakers: &mut Vec<Waker>) -> Result<(), Promotion> {
        let Some(at) = self.seats.iter().position(|seat| seat.taken) else { return Err(promotion) };
        self.progress = Progress::Promoting(at as u32, promotion);
        wakers.extend(self.seats[at].waker.take());
        self.asleep.retain(|&seat| seat as usize != at);
        Ok(())
    }

    /// Everybody but the leader is to go their own way, also who comes late.
    pub(crate) fn send_away(&mut self, why: Bypass) {
        for (at, seat) in self.seats.iter_mut().enumerate() {
            seat.out = (self.leader != Some(at as u32)).then_some(why);
        }
        self.reading = u32::from(self.leader.is_some());
        self.closed = Some(why);
    }

    /// The head has come.
    pub(crate) fn begin(&mut self, head: Arc<Head>, wakers: &mut Vec<Waker>) {
        self.progress = match &head.storable {
            Ok(_) => Progress::Open(head),
            Err(why) => {
                let why = *why;
                self.send_away(why);
                self.passing = true;
                Progress::Passing(head)
            }
        };
        self.wake_readers(wakers);
    }

    /// Adds a piece. `charged_bytes` are what the budget has reserved for it.
    pub(crate) fn push(&mut self, bytes: Arc<[u8]>, charged_bytes: u64, wakers: &mut Vec<Waker>) {
        self.len += bytes.len() as u64;
        let unread = if self.passing { self.reading } else { 0 };
        self.held_bytes += bytes.len() as u64;
        self.charged_bytes += charged_bytes;
        self.pieces.push_back(Piece { bytes, charged_bytes, unread });
        self.wake_readers(wakers);
    }

    /// It is not to be kept after all. What everybody has read goes; says how many bytes that had reserved.
    pub(crate) fn pass(&mut self, why: Bypass) -> u64 {
        let Progress::Open(head) = &self.progress else { return 0 };
        self.progress = Progress::Passing(Arc::clone(head));
        self.closed = Some(why);
        self.count_unread();
        self.drop_read()
    }

    fn count_unread(&mut self) {
        self.passing = true;
        for seat in self.seats.iter().filter(|seat| seat.taken && seat.out.is_none()) {
            // `unread` is first how many readers begin with this piece, and then the sum of all up to it.
            if let Some(piece) = self.pieces.get_mut((seat.next - self.first) as usize) {
                piece.unread += 1;
            }
        }
        let mut sum = 0;
        for piece in &mut self.pieces {
            sum += piece.unread;
            piece.unread = sum;
        }
    }

    fn drop_read(&mut self) -> u64 {
        let mut freed = 0;
        while let Some(piece) = self.pieces.pop_front_if(|piece| piece.unread == 0) {
            self.first += 1;
            self.held_bytes -= piece.bytes.len() as u64;
            freed += piece.charged_bytes;
        }
        self.charged_bytes -= freed;
        freed
    }

    /// Everything of what is not kept has come in.
    pub(crate) fn finish(&mut self, wakers: &mut Vec<Waker>) {
        if let Progress::Passing(head) = &self.progress {
            self.progress = Progress::Done(Arc::clone(head));
        }
        self.wake_readers(wakers);
    }

    /// It is stored. From now on readers take the pieces from the entry, if it has them; says how many bytes they had
    /// reserved.
    pub(crate) fn store(&mut self, entry: Arc<Entry>, wakers: &mut Vec<Waker>) -> u64 {
        let has_pieces = matches!(entry.body(), Stored::Far(_));
        self.progress = Progress::Whole(entry);
        self.wake_readers(wakers);
        if !has_pieces {
            return 0;
        }
        self.pieces.clear();
        mem::take(&mut self.charged_bytes)
    }

    pub(crate) fn breaks(&mut self, wakers: &mut Vec<Waker>) {
        self.progress = Progress::Broken;
        self.closed = Some(Bypass::Truncated);
        self.wake_readers(wakers);
    }

    pub(crate) fn end(&mut self, outcome: Outcome, wakers: &mut Vec<Waker>) {
        self.progress = Progress::Ended(outcome);
        self.wake_readers(wakers);
    }

    /// Every piece so far.
    pub(crate) fn pieces(&self) -> impl Iterator<Item = Arc<[u8]>> {
        self.pieces.iter().map(|piece| Arc::clone(&piece.bytes))
    }

    fn has_window(&self) -> bool {
        self.held_bytes < WINDOW_BYTES
    }

    /// Whether another piece may come. One at a time while the store has no room for them.
    pub(crate) fn is_ready(&mut self, waker: &Waker) -> bool {
        let roomy = self.pieces.back().is_none_or(|piece| piece.charged_bytes > 0);
        let ready = !self.passing || self.pieces.is_empty() || (roomy && self.has_window());
        if !ready {
            self.writer = Some(waker.clone());
        }
        ready
    }

    /// Moves what `seat` has not read to `out`, at most `places`. What else is to come, or `None` if that is not known
    /// yet and there was nothing; and bytes that are free now.
    pub(crate) fn read(
        &mut self,
        seat: u32,
        places: usize,
        out: &mut Vec<Arc<[u8]>>,
        wakers: &mut Vec<Waker>,
    ) -> (Option<Flow>, u64) {
        let next = self.seats[seat as usize].next;
        let at = next.saturating_sub(self.first) as usize;
        let before = out.len();
        let left = if let Progress::Whole(entry) = &self.progress
            && let Stored::Far(body) = entry.body()
        {
            let rest = body.pieces().get(next as usize..).unwrap_or_default();
            out.extend(rest.iter().take(places).cloned());
            rest.len() > places
        } else {
            for piece in self.pieces.iter_mut().skip(at).take(places) {
                out.push(Arc::clone(&piece.bytes));
                piece.unread = piece.unread.saturating_sub(1);
            }
            self.pieces.len().saturating_sub(at) > places
        };
        let taken = out.len() - before;
        self.seats[seat as usize].next += taken as u64;
        let mut freed = 0;
        if self.passing && taken > 0 {
            freed = self.drop_read();
            if self.pieces.is_empty() || self.has_window() {
                self.wake_writer(wakers);
            }
        }
        let flow = match &self.progress {
            _ if left => Some(Flow::More),
            Progress::Whole(_) | Progress::Done(_) | Progress::Ended(Outcome::Entry { .. }) => {
                Some(Flow::Done)
            }
            // What came before the break is delivered first.
            Progress::Broken | Progress::Ended(Outcome::Failed(_)) if taken == 0 => Some(Flow::Broken),
            _ => (taken > 0).then_some(Flow::More),
        };
        (flow, freed)
    }
}
