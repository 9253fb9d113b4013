//! What leaves a socket: messages when they are due, answers to pings, closes. What the system has no room for is kept
//! with the socket, and messages wait behind it with their due times, so that a target that does not read shows up
//! as latency and not as memory.

use rustix::io::Errno;
use wire::websocket::{Opcode, encode_frame};

use super::mark::Mark;
use super::socket::Phase;
use super::{Engine, random};
use crate::Nanos;
use crate::failure::Failure;
use crate::record::Event;
use crate::script::Text;

/// The most that is kept of answers to pings that a target does not read; further pings are not answered.
const UNSENT_BYTES: usize = 64 * 1024;

/// Shortest time between two messages of a socket, so that a scenario without pauses cannot stop the clock.
const SHORTEST_PAUSE: Nanos = 1_000;

impl Engine<'_> {
    /// Sends every message of a socket that is due by now, the first of them due at `due`, and sets the timer for the
    /// next.
    pub(super) fn send_due(&mut self, slot: usize, mut due: Nanos) {
        let Some(send) = &self.work.send else { return };
        let now = self.now();
        while due < self.end {
            if due > now {
                self.wake_at(slot, due);
                return;
            }
            if self.sockets[slot].unsent.is_some() {
                self.sockets[slot].due = due;
                self.sockets[slot].is_overdue = true;
                return;
            }
            self.publish(slot, &send.text, due);
            if self.sockets[slot].phase != Phase::Open {
                return;
            }
            due += random(&mut self.rng, send.every).max(SHORTEST_PAUSE);
        }
    }

    /// Sends the message that was due at `due`.
    fn publish(&mut self, slot: usize, text: &Text, due: Nanos) {
        let socket = &mut self.sockets[slot];
        let mark = Mark { sender: socket.sender, sequence: socket.sent, due };
        if !self.say(slot, text, Some(&mark)) {
            return;
        }
        let now = self.now();
        let socket = &mut self.sockets[slot];
        socket.sent += 1;
        if let Some(ledger) = &mut self.ledger {
            ledger.sent(mark.sender, mark.sequence, due, now);
        }
        self.recorder.event(now, Event::Published);
    }

    /// Sends a text. False: the socket broke.
    pub(super) fn say(&mut self, slot: usize, text: &Text, mark: Option<&Mark>) -> bool {
        let unix_s = self.unix_s();
        let mut rendered = std::mem::take(&mut self.rendered);
        rendered.clear();
        let memory = &mut self.sockets[slot].memory;
        let done = self.work.script.render_text(text, memory, &mut self.rng, unix_s, &mut rendered);
        if done.is_ok() {
            self.marked.clear();
            match mark {
                Some(mark) => self.marks.write(&rendered, mark, &mut self.marked),
                None => self.marked.extend_from_slice(&rendered),
            }
        }
        self.rendered = rendered;
        match done {
            Ok(()) => {
                let marked = std::mem::take(&mut self.marked);
                let is_sent = self.send_frame(slot, Opcode::Text, &marked);
                self.marked = marked;
                is_sent
            }
            Err(failure) => {
                self.broken(slot, failure);
                false
            }
        }
    }

    /// Answers a ping, unless the target leaves too many answers unread.
    pub(super) fn pong(&mut self, slot: usize, payload: &[u8]) {
        if self.sockets[slot].unsent.as_ref().is_none_or(|unsent| unsent.len() < UNSENT_BYTES) {
            self.send_frame(slot, Opcode::Pong, payload);
        }
    }

    /// Sends a close with this code.
    pub(super) fn send_close(&mut self, slot: usize, code: u16) {
        self.send_frame(slot, Opcode::Close, &code.to_be_bytes());
    }

    /// Sends a frame. False: the socket broke.
    fn send_frame(&mut self, slot: usize, opcode: Opcode, payload: &[u8]) -> bool {
        let mut frame = std::mem::take(&mut self.frame);
        frame.clear();
        let key = Some(self.rng.u32(..).to_be_bytes());
        encode_frame(&mut frame, opcode, key, payload);
        let done = self.transmit(slot, &frame);
        self.frame = frame;
        if let Err(failure) = done {
            self.broken(slot, failure);
        }
        done.is_ok()
    }

    /// Hands bytes to the system, and keeps what it has no room for.
    pub(super) fn transmit(&mut self, slot: usize, bytes: &[u8]) -> Result<(), Failure> {
        let socket = &mut self.sockets[slot];
        if let Some(unsent) = &mut socket.unsent {
            unsent.extend_from_slice(bytes);
            return Ok(());
        }
        let Some(stream) = &mut socket.stream else { return Err(Failure::Reset) };
        let mut rest = bytes;
        while !rest.is_empty() {
            match stream.send(rest) {
                Ok(count) => rest = &rest[count..],
                Err(Errno::AGAIN) => {
                    socket.unsent = Some(Box::new(rest.to_vec()));
                    return Ok(());
                }
                Err(_) => return Err(Failure::Reset),
            }
        }
        Ok(())
    }

    /// Sends what was kept, as there is room again, and then what has become due since.
    pub(super) fn flush(&mut self, slot: usize) {
        let socket = &mut self.sockets[slot];
        let Some(unsent) = socket.unsent.take() else { return };
        if let Err(failure) = self.transmit(slot, &unsent) {
            return self.broken(slot, failure);
        }
        let socket = &mut self.sockets[slot];
        if socket.unsent.is_none() && std::mem::take(&mut socket.is_overdue) && socket.phase == Phase::Open {
            let due = socket.due;
            self.send_due(slot, due);
        }
    }
}
