//! One who reads along.

use core::fmt;
use core::task::{Context, Poll};
use std::mem;
use std::sync::Arc;

use super::state::{Outcome, Progress};
use super::{Begun, Filling, Flow};
use crate::Bypass;
use crate::store::Ticket;

/// One who reads along. Dropping it leaves.
pub struct Reader {
    filling: Arc<Filling>,
    seat: u32,
}

impl Reader {
    pub(super) const fn new(filling: Arc<Filling>, seat: u32) -> Self {
        Self { filling, seat }
    }

    /// What it reads.
    pub const fn filling(&self) -> &Arc<Filling> {
        &self.filling
    }

    /// The head, or what else came of the fill. After [`Begun::Lead`] and once the ticket is with a filler, ask again:
    /// this reader is now the one that the fill is for.
    pub fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<Begun> {
        let mut state = self.filling.lock();
        if let Some(why) = state.is_out(self.seat) {
            return Poll::Ready(Begun::Unshared(why));
        }
        let begun = match &state.progress {
            Progress::Promoting(seat, _) if *seat == self.seat => {
                state.lead_from(self.seat);
                let Progress::Promoting(_, promotion) = mem::take(&mut state.progress) else {
                    unreachable!()
                };
                drop(state);
                return Poll::Ready(Begun::Lead(Ticket::promoted(promotion, &self.filling)));
            }
            Progress::Waiting | Progress::Promoting(..) => {
                state.sleep(self.seat, cx.waker());
                return Poll::Pending;
            }
            Progress::Open(head) | Progress::Passing(head) | Progress::Done(head) => {
                Begun::Streaming(Arc::clone(head))
            }
            Progress::Broken => Begun::Unshared(Bypass::Truncated),
            Progress::Whole(entry) => Begun::Whole { entry: Arc::clone(entry), stale: false, below: false },
            Progress::Ended(Outcome::Entry { entry, stale, below }) => {
                Begun::Whole { entry: Arc::clone(entry), stale: *stale, below: *below }
            }
            Progress::Ended(Outcome::Failed(code)) => Begun::Failed(*code),
        };
        Poll::Ready(begun)
    }

    /// The next pieces, at most as many as `out` has free places and at least one; or the end, which may come along
    /// with the last ones. Only after [`Begun::Streaming`].
    pub fn poll_pieces(&mut self, cx: &mut Context<'_>, out: &mut Vec<Arc<[u8]>>) -> Poll<Flow> {
        let places = (out.capacity() - out.len()).max(1);
        let (flow, freed) = self.filling.update(|state, wakers| {
            let (flow, freed) = state.read(self.seat, places, out, wakers);
            if flow.is_none() {
                state.sleep(self.seat, cx.waker());
            }
            (flow, freed)
        });
        if freed > 0 {
            self.filling.release(freed);
        }
        flow.map_or(Poll::Pending, Poll::Ready)
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let (freed, promised) = self.filling.update(|state, wakers| state.leave(self.seat, wakers));
        if freed > 0 {
            self.filling.release(freed);
        }
        if let Err(promotion) = promised {
            promotion.lost(&self.filling);
        }
    }
}

impl fmt::Debug for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader").field("filling", &self.filling).field("seat", &self.seat).finish()
    }
}
