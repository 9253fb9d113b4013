//! How sockets cease to be open: no longer wanted, cut by a storm, ended by the target, or at the end of the run; and
//! the judgement of what they should have received until then.

use std::time::Duration;

use rustix::net::sockopt::set_socket_linger;

use super::heard::Heard;
use super::incoming::NORMAL;
use super::opening::LONGEST_BACKOFF;
use super::socket::Phase;
use super::{Engine, nanos};
use crate::Nanos;
use crate::failure::Failure;
use crate::plan::Receivers;
use crate::record::Event;

/// How long the answer to a close is waited for while the run goes on.
const CLOSE_WITHIN: Nanos = 5_000_000_000;

impl Engine<'_> {
    /// The connection of a socket is of no further use, because of the target or as the answer to our close.
    pub(super) fn broken(&mut self, slot: usize, failure: Failure) {
        match self.sockets[slot].phase {
            Phase::Connecting | Phase::Shaking | Phase::Greeting => self.not_opened(slot, failure),
            Phase::Open => {
                let now = self.now();
                self.leave(slot, Some(now));
                self.recorder.event(now, Event::Disconnected);
                if failure != Failure::Disconnected {
                    // Why, where the target did not simply end it.
                    self.recorder.event(now, Event::NotConnected(failure));
                }
                if now - self.sockets[slot].began > LONGEST_BACKOFF {
                    self.sockets[slot].failures = 0;
                }
                self.again(slot, now);
            }
            Phase::Idle | Phase::Waiting | Phase::Closing => self.gone(slot),
        }
    }

    /// The stages no longer want a socket.
    pub(super) fn unwant(&mut self, slot: usize) {
        // One that was left out is not there.
        let Some(socket) = self.sockets.get_mut(slot) else { return };
        socket.is_wanted = false;
        match socket.phase {
            Phase::Open => {
                let now = self.now();
                self.leave(slot, Some(now));
                self.close(slot);
            }
            Phase::Connecting | Phase::Shaking | Phase::Greeting => self.broken(slot, Failure::Unfinished),
            Phase::Waiting => self.gone(slot),
            Phase::Idle | Phase::Closing => {}
        }
    }

    /// Sends a close to a socket that is open no longer.
    fn close(&mut self, slot: usize) {
        self.sockets[slot].phase = Phase::Closing;
        let now = self.now();
        self.wake_at(slot, now + CLOSE_WITHIN);
        self.send_close(slot, NORMAL);
    }

    /// Nothing is left of the connection, and none is wanted.
    pub(super) fn gone(&mut self, slot: usize) {
        let socket = &mut self.sockets[slot];
        socket.drop_connection();
        socket.phase = Phase::Idle;
    }

    /// Cuts a share of the open sockets and has them come back.
    pub(super) fn storm(&mut self) {
        let Some(storm) = self.work.storm else { return };
        let now = self.now();
        let mut left = self.open;
        let mut needed = (f64::from(self.open) * storm.share.clamp(0.0, 1.0)).round() as u32;
        for slot in 0..self.sockets.len() {
            if self.sockets[slot].phase != Phase::Open {
                continue;
            }
            // Every choice of so many out of all is equally likely.
            let is_chosen = self.rng.u32(..left) < needed;
            left -= 1;
            if !is_chosen {
                continue;
            }
            needed -= 1;
            self.leave(slot, Some(now));
            let socket = &mut self.sockets[slot];
            if let Some(stream) = &socket.stream {
                // The target gets a reset, as from a machine that is gone. Without it, it gets an end.
                let _ = set_socket_linger(stream, Some(Duration::ZERO));
            }
            socket.drop_connection();
            socket.phase = Phase::Idle;
            socket.failures = 0;
            let due = now + self.rng.u64(..=nanos(storm.within));
            self.wait_until(slot, due);
        }
    }

    /// An open socket is open no longer, from `left` on; `None`: it was there until everything had time to arrive.
    fn leave(&mut self, slot: usize, left: Option<Nanos>) {
        let now = self.now();
        let is_sender = self.is_sender(slot);
        let lost = self.lost(slot, left);
        if lost > 0 {
            self.recorder.event(now, Event::Lost(lost));
        }
        if let Some(ledger) = self.ledger.as_mut().filter(|_| left.is_some() && is_sender) {
            ledger.end(self.sockets[slot].sender, now);
        }
        self.sockets[slot].heard = None;
        self.open -= 1;
        self.recorder.open(now, self.open);
    }

    /// How many messages an open socket should have received by now and has not.
    fn lost(&self, slot: usize, left: Option<Nanos>) -> u64 {
        let socket = &self.sockets[slot];
        let nothing = Heard::default();
        let heard = socket.heard.as_deref().unwrap_or(&nothing);
        let lost = match (self.receivers, &self.ledger) {
            (Receivers::Sender, _) if self.is_sender(slot) => {
                // What was on its way when it left may be gone with the connection; earlier gaps stay gaps.
                let last =
                    if left.is_none() { socket.sent.checked_sub(1) } else { heard.latest(socket.sender) };
                last.map_or(0, |last| heard.lost(socket.sender, 0..=last))
            }
            (_, Some(ledger)) => ledger
                .senders()
                .filter(|&sender| self.is_owed_by(slot, sender))
                .map(|sender| heard.lost(sender, ledger.owed(sender, socket.began, left)))
                .sum(),
            _ => 0,
        };
        lost + heard.given_up()
    }

    fn is_owed_by(&self, slot: usize, sender: u32) -> bool {
        self.receivers == Receivers::All || !self.is_sender(slot) || sender != self.sockets[slot].sender
    }

    /// Judges what senders owed that have ended, and forgets them.
    pub(super) fn settle_senders(&mut self, now: Nanos) {
        let Some(mut ledger) = self.ledger.take() else { return };
        ledger.sweep(now);
        while let Some(sender) = ledger.settled(now) {
            let mut lost = 0;
            for slot in 0..self.sockets.len() {
                if self.sockets[slot].phase != Phase::Open || !self.is_owed_by(slot, sender) {
                    continue;
                }
                let socket = &mut self.sockets[slot];
                let owed = ledger.owed(sender, socket.began, None);
                match &mut socket.heard {
                    Some(heard) => {
                        lost += heard.lost(sender, owed);
                        heard.forget(sender);
                    }
                    None => lost += Heard::default().lost(sender, owed),
                }
            }
            if lost > 0 {
                self.recorder.event(now, Event::Lost(lost));
            }
            ledger.remove(sender);
        }
        self.ledger = Some(ledger);
    }

    /// Whether nothing is waited for: no socket is being opened, and nothing that is owed is missing.
    pub(super) fn has_all_arrived(&self) -> bool {
        (0..self.sockets.len()).all(|slot| match self.sockets[slot].phase {
            Phase::Open => self.sockets[slot].unsent.is_none() && self.lost(slot, None) == 0,
            phase => !phase.is_opening(),
        })
    }

    /// Ends what is still going on, as everything had time to arrive (`None`) or at the moment `left`.
    pub(super) fn close_all(&mut self, left: Option<Nanos>) {
        for slot in 0..self.sockets.len() {
            self.sockets[slot].is_wanted = false;
            match self.sockets[slot].phase {
                Phase::Open => {
                    self.leave(slot, left);
                    self.close(slot);
                }
                Phase::Connecting | Phase::Shaking | Phase::Greeting => {
                    self.broken(slot, Failure::Unfinished);
                }
                Phase::Waiting => self.gone(slot),
                Phase::Idle | Phase::Closing => {}
            }
        }
    }

    /// Waits until every close is answered, or for the deadline.
    pub(super) fn until_closed(&mut self, deadline: Nanos) -> std::io::Result<()> {
        self.ramp = super::Ramp::new(&[], None, self.run.part).peekable();
        loop {
            let now = self.now();
            self.ring(now);
            if now >= deadline || self.sockets.iter().all(|socket| socket.phase == Phase::Idle) {
                return Ok(());
            }
            self.wait(now, deadline)?;
        }
    }
}
