//! What arrives on a socket: the answer to the handshake, then messages, each measured and judged.

use rustix::io::Errno;

use super::Engine;
use super::heard::Arrival;
use super::inbox::{Inbox, Incoming};
use super::mark::Mark;
use super::socket::Phase;
use crate::Nanos;
use crate::engine::poll::{Ready, Token};
use crate::failure::Failure;
use crate::plan::Receivers;
use crate::record::Event;

/// How often a socket is read before the others have their turn.
const READS: usize = 16;

/// Close codes (RFC 6455 section 7.4.1).
pub(super) const NORMAL: u16 = 1000;
const PROTOCOL_ERROR: u16 = 1002;

impl Engine<'_> {
    /// Does what has become possible.
    pub(super) fn handle(&mut self, ready: Ready) {
        let slot = ready.token.slot as usize;
        if self.sockets.get(slot).is_none_or(|socket| socket.generation != ready.token.generation) {
            return;
        }
        if self.sockets[slot].phase == Phase::Connecting {
            if !ready.writable {
                return;
            }
            self.connected(slot);
        }
        if ready.writable {
            self.flush(slot);
        }
        if ready.readable {
            self.receive(ready.token, ready.ended);
        }
    }

    /// Reads what has arrived. `ended`: the target has sent its last byte, so there is an end to be read.
    pub(super) fn receive(&mut self, token: Token, ended: bool) {
        let slot = token.slot as usize;
        let mut buffer = std::mem::take(&mut self.buffer);
        let mut is_drained = false;
        for _ in 0..READS {
            let socket = &mut self.sockets[slot];
            let stream = socket.stream.as_mut().filter(|_| socket.generation == token.generation);
            let Some(stream) = stream else {
                is_drained = true;
                break;
            };
            match stream.recv(&mut buffer) {
                Ok(0) => self.ended(slot),
                Ok(count) => {
                    self.arrived(slot, &mut buffer[..count]);
                    // A short read emptied the socket; what comes later is a new edge.
                    is_drained = count < buffer.len() && !ended;
                }
                Err(Errno::AGAIN) => is_drained = true,
                Err(_) => self.broken(slot, Failure::Reset),
            }
            if is_drained {
                break;
            }
        }
        self.buffer = buffer;
        if !is_drained {
            self.unread.push((token, ended));
        }
    }

    fn arrived(&mut self, slot: usize, bytes: &mut [u8]) {
        match self.sockets[slot].phase {
            Phase::Shaking => self.answered(slot, bytes),
            Phase::Greeting => {
                if let Some(opening) = &mut self.sockets[slot].opening {
                    opening.received_bytes += bytes.len() as u64;
                }
                self.frames(slot, bytes);
            }
            Phase::Open | Phase::Closing => self.frames(slot, bytes),
            // Bytes without a request.
            Phase::Idle | Phase::Waiting | Phase::Connecting => self.broken(slot, Failure::Garbage),
        }
    }

    /// The connection came to its end.
    fn ended(&mut self, slot: usize) {
        let socket = &self.sockets[slot];
        let is_silent = socket.opening.as_ref().is_none_or(|opening| opening.received_bytes == 0);
        let failure = match socket.phase {
            Phase::Connecting | Phase::Shaking if is_silent => Failure::ClosedEarly,
            Phase::Connecting | Phase::Shaking => Failure::ShortBody,
            _ => Failure::Disconnected,
        };
        self.broken(slot, failure);
    }

    /// Reads frames.
    pub(super) fn frames(&mut self, slot: usize, bytes: &mut [u8]) {
        if self.sockets[slot].stream.is_none() {
            return;
        }
        let now = self.now();
        let generation = self.sockets[slot].generation;
        let inbox = self.sockets[slot].inbox.take();
        let read = Inbox::read(inbox, bytes, |incoming| {
            match incoming {
                Incoming::Message(message) => self.message(slot, message, now),
                Incoming::Ping(payload) => self.pong(slot, payload),
                Incoming::Close(code) => self.target_closed(slot, code),
            }
            self.sockets[slot].generation == generation
        });
        match read {
            Ok(inbox) if self.sockets[slot].generation == generation => self.sockets[slot].inbox = inbox,
            Ok(_) => {}
            Err(_) => {
                self.send_close(slot, PROTOCOL_ERROR);
                if self.sockets[slot].generation == generation {
                    self.broken(slot, Failure::Garbage);
                }
            }
        }
    }

    /// The target sent a close, unasked or as the answer to ours.
    fn target_closed(&mut self, slot: usize, code: Option<u16>) {
        if self.sockets[slot].phase != Phase::Closing {
            let generation = self.sockets[slot].generation;
            self.send_close(slot, code.unwrap_or(NORMAL));
            if self.sockets[slot].generation != generation {
                return;
            }
        }
        self.broken(slot, Failure::Disconnected);
    }

    /// A message arrived.
    fn message(&mut self, slot: usize, message: &[u8], now: Nanos) {
        let mut is_marked = false;
        let marks = std::rc::Rc::clone(&self.marks);
        for mark in marks.find(message).filter(|mark| mark.due <= now) {
            is_marked = true;
            self.delivered(slot, &mark, now);
        }
        if !is_marked {
            self.recorder.event(now, Event::Received);
        }
        if self.sockets[slot].phase == Phase::Greeting
            && self.welcome.as_ref().is_none_or(|welcome| welcome.find(message).is_some())
        {
            self.opened(slot);
        }
    }

    /// A marked message arrived.
    fn delivered(&mut self, slot: usize, mark: &Mark, now: Nanos) {
        let is_own = mark.sender == self.sockets[slot].sender && self.is_sender(slot);
        let arrival = match self.receivers {
            Receivers::Sender if !is_own => return self.recorder.event(now, Event::Received),
            Receivers::Others if is_own => return self.recorder.event(now, Event::Received),
            Receivers::Anyone => Arrival::InOrder,
            Receivers::Sender | Receivers::All | Receivers::Others => self.hear(slot, mark, now),
        };
        if arrival == Arrival::Again {
            return self.recorder.event(now, Event::Duplicated);
        }
        self.recorder.event(now, Event::Delivered { took: now - mark.due });
        if arrival == Arrival::Late {
            self.recorder.event(now, Event::Reordered);
        }
    }

    /// Takes note of a message that is to be judged, see the rule in [`ledger`](super::ledger).
    fn hear(&mut self, slot: usize, mark: &Mark, now: Nanos) -> Arrival {
        let socket = &mut self.sockets[slot];
        if let Some(ledger) = &mut self.ledger {
            let is_of_part = mark.sender % self.run.part.of == self.run.part.index;
            if !is_of_part {
                ledger.heard(mark.sender, mark.sequence, mark.due, now);
            } else if !ledger.knows(mark.sender) {
                return Arrival::InOrder;
            }
        }
        if socket.phase != Phase::Open || mark.due < socket.began {
            return Arrival::InOrder;
        }
        let opened = socket.began;
        let heard = socket.heard.get_or_insert_default();
        heard.hear(mark.sender, mark.sequence, || match &self.ledger {
            Some(ledger) => ledger.owed_from(mark.sender, opened).unwrap_or(mark.sequence),
            None => 0,
        })
    }
}
