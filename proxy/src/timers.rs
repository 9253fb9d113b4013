//! Deadlines of connections: one coarse sweep per core instead of a timer per connection.
//!
//! Setting a deadline is one store. Every [`TICK`] the core looks over all of them and wakes the
//! tasks whose deadline has passed, so a deadline is met within two ticks after it is due, never before.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::time::Instant;

/// How often deadlines are looked over.
pub const TICK: Duration = Duration::from_millis(100);

/// A deadline that never comes.
const NEVER: u64 = u64::MAX;

/// All deadlines of one core.
#[derive(Debug)]
pub struct Timers {
    slots: RefCell<Slots>,
    start: Instant,
    now_ms: Cell<u64>,
}

#[derive(Debug, Default)]
struct Slots {
    used: Vec<Slot>,
    free: Vec<u32>,
}

#[derive(Debug)]
struct Slot {
    deadline_ms: u64,
    waker: Option<Waker>,
}

impl Timers {
    /// No deadlines yet; time counts from `start`.
    pub fn new(start: Instant) -> Rc<Self> {
        Rc::new(Self { slots: RefCell::default(), start, now_ms: Cell::new(0) })
    }

    /// A deadline of its own for one connection; unset.
    pub fn timer(self: &Rc<Self>) -> Timer {
        let mut slots = self.slots.borrow_mut();
        let slot = Slot { deadline_ms: NEVER, waker: None };
        let index = if let Some(index) = slots.free.pop() {
            slots.used[index as usize] = slot;
            index
        } else {
            slots.used.push(slot);
            slots.used.len() as u32 - 1
        };
        Timer { timers: Rc::clone(self), index }
    }

    /// Milliseconds since the start, as of the last sweep: coarse and free.
    pub fn now_ms(&self) -> u64 {
        self.now_ms.get()
    }

    /// Reads the clock and wakes every task whose deadline has passed.
    pub fn sweep(&self) {
        let now = self.start.elapsed().as_millis() as u64;
        self.now_ms.set(now);
        for slot in &mut self.slots.borrow_mut().used {
            if slot.deadline_ms <= now
                && let Some(waker) = slot.waker.take()
            {
                waker.wake();
            }
        }
    }

    /// Wakes every task that waits, so that it looks at the state of the house again.
    pub fn wake_all(&self) {
        for slot in &mut self.slots.borrow_mut().used {
            if let Some(waker) = slot.waker.take() {
                waker.wake();
            }
        }
    }
}

/// The deadline of one connection.
#[derive(Debug)]
pub struct Timer {
    timers: Rc<Timers>,
    index: u32,
}

impl Timer {
    /// Due `after` from now; zero means never.
    pub fn set(&self, after: Duration) {
        let deadline = match after.as_millis() as u64 {
            0 if after.is_zero() => NEVER,
            // The clock may be one tick behind, and nobody is to be cut off early.
            ms => self.timers.now_ms().saturating_add(ms).saturating_add(TICK.as_millis() as u64),
        };
        self.slot(|slot| slot.deadline_ms = deadline);
    }

    /// Never due.
    pub fn clear(&self) {
        self.slot(|slot| slot.deadline_ms = NEVER);
    }

    /// Ready once the deadline has passed; otherwise the task is woken then.
    pub fn poll(&self, cx: &mut Context<'_>) -> Poll<()> {
        let now = self.timers.now_ms();
        self.slot(|slot| {
            if slot.deadline_ms <= now {
                return Poll::Ready(());
            }
            if !slot.waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
                slot.waker = Some(cx.waker().clone());
            }
            Poll::Pending
        })
    }

    fn slot<T>(&self, change: impl FnOnce(&mut Slot) -> T) -> T {
        change(&mut self.timers.slots.borrow_mut().used[self.index as usize])
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        let mut slots = self.timers.slots.borrow_mut();
        slots.used[self.index as usize] = Slot { deadline_ms: NEVER, waker: None };
        slots.free.push(self.index);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_deadline_is_met_within_two_ticks_and_not_before() {
        let timers = Timers::new(Instant::now());
        let timer = timers.timer();
        timer.set(Duration::from_secs(1));
        let waiting = std::future::poll_fn(|cx| timer.poll(cx));
        let sweeping = async {
            loop {
                tokio::time::sleep(TICK).await;
                timers.sweep();
            }
        };
        tokio::select! {
            () = waiting => {}
            () = sweeping => {}
        }
        assert!((1000..=1200).contains(&timers.now_ms()), "{}", timers.now_ms());
    }

    #[test]
    fn slots_are_used_again() {
        let timers = Timers::new(Instant::now());
        drop(timers.timer());
        let _a = timers.timer();
        let _b = timers.timer();
        assert_eq!(timers.slots.borrow().used.len(), 2);
    }
}
