//! How a socket comes to be open: connection, handshake, first texts, welcome. Every attempt is one request in the
//! figures, whose response time counts from the moment at which the socket was to be opened.

use wire::websocket::handshake;

use super::socket::{NEVER, Opening, Phase};
use super::{Engine, FLOW, random};
use crate::Nanos;
use crate::engine::dial;
use crate::engine::poll::Token;
use crate::failure::Failure;
use crate::record::{Done, Event};

/// First wait before a socket that was lost, or could not be opened, is tried again.
const FIRST_BACKOFF: Nanos = 100_000_000;

/// Longest such wait. A socket that was open for longer begins with the first again.
pub(super) const LONGEST_BACKOFF: Nanos = 5_000_000_000;

/// What makes a request a handshake, but for the key. The script has the rest.
const ASK: &[u8] =
    b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ";

impl Engine<'_> {
    /// Begins to open a socket that was due at `due`.
    pub(super) fn dial(&mut self, slot: usize, due: Nanos) {
        let now = self.now();
        self.recorder.due(due, now.saturating_sub(due));
        let socket = &mut self.sockets[slot];
        socket.phase = Phase::Connecting;
        (socket.due, socket.began) = (due, now);
        socket.opening = Some(Box::default());
        let token = Token { slot: slot as u32, generation: socket.generation };
        match self.dialer.dial(&self.poller, token) {
            Ok(stream) => {
                self.sockets[slot].stream = Some(stream);
                self.wake_at(slot, now.saturating_add(self.timeout));
            }
            Err(failure) => self.broken(slot, failure),
        }
    }

    /// The connection is established, or is not: sends the handshake.
    pub(super) fn connected(&mut self, slot: usize) {
        let Some(stream) = &self.sockets[slot].stream else { return };
        if let Err(failure) = dial::established(stream) {
            return self.broken(slot, failure);
        }
        let unix_s = self.unix_s();
        let mut request = std::mem::take(&mut self.rendered);
        request.clear();
        let key = handshake::key(self.rng.u128(..).to_be_bytes());
        let memory = &mut self.sockets[slot].memory;
        let done = self.work.script.render(FLOW, memory, &mut self.rng, unix_s, &mut request);
        let done = done.and_then(|()| {
            // The script ends with the empty line that ends the head.
            request.truncate(request.len().saturating_sub(2));
            let offered = offered(&request);
            request.extend_from_slice(ASK);
            request.extend_from_slice(&key);
            request.extend_from_slice(b"\r\n\r\n");
            self.sockets[slot].phase = Phase::Shaking;
            if let Some(opening) = &mut self.sockets[slot].opening {
                (opening.key, opening.offered) = (key, offered);
                opening.sent_bytes = request.len() as u64;
            }
            self.transmit(slot, &request)
        });
        self.rendered = request;
        if let Err(failure) = done {
            self.broken(slot, failure);
        }
    }

    /// Reads what has arrived of the answer to the handshake.
    pub(super) fn answered(&mut self, slot: usize, arrived: &mut [u8]) {
        let Some(mut opening) = self.sockets[slot].opening.take() else { return };
        opening.received_bytes += arrived.len() as u64;
        let mut received = std::mem::take(&mut opening.received);
        let buf = if received.is_empty() {
            arrived
        } else {
            received.extend_from_slice(arrived);
            &mut received
        };
        let judged = match self.head.parse(buf, wire::Method::Get, &self.limits) {
            Ok(false) => {
                opening.received = buf.to_vec();
                self.sockets[slot].opening = Some(opening);
                return;
            }
            Ok(true) => {
                opening.status = self.head.status;
                self.judge_answer(slot, buf, &opening)
            }
            Err(_) => Err(Failure::Garbage),
        };
        self.sockets[slot].opening = Some(opening);
        if let Err(failure) = judged {
            return self.broken(slot, failure);
        }
        self.sockets[slot].phase = Phase::Greeting;
        let rest = self.head.len as usize;
        self.greet(slot);
        self.frames(slot, &mut buf[rest..]);
    }

    /// Whether the answer in `head` accepts the handshake.
    fn judge_answer(&mut self, slot: usize, buf: &[u8], opening: &Opening) -> Result<(), Failure> {
        let subprotocols: Vec<&str> = opening.offered.split(',').map(str::trim).collect();
        let request = handshake::Request {
            target: "",
            host: "",
            key: &opening.key,
            subprotocols: &subprotocols,
            fields: &[],
        };
        handshake::check_response(&self.head, buf, &request).map_err(|_| Failure::Handshake)?;
        let memory = &mut self.sockets[slot].memory;
        self.work.script.judge(FLOW, &self.head, buf, &[], 0, memory)
    }

    /// Says what every socket says first.
    fn greet(&mut self, slot: usize) {
        let work = self.work;
        for text in &work.hello {
            if !self.say(slot, text, None) {
                return;
            }
        }
        if self.welcome.is_none() {
            self.opened(slot);
        }
    }

    /// The socket is open.
    pub(super) fn opened(&mut self, slot: usize) {
        let now = self.now();
        self.attempt_done(slot, now, Ok(()));
        let socket = &mut self.sockets[slot];
        self.recorder.event(now, Event::Connected { took: now - socket.began });
        socket.phase = Phase::Open;
        socket.opening = None;
        socket.wake = NEVER;
        socket.began = now;
        self.open += 1;
        self.recorder.open(now, self.open);
        let Some(send) = self.work.send.as_ref().filter(|_| self.is_sender(slot)) else { return };
        let part = self.run.part;
        let socket = &mut self.sockets[slot];
        socket.sender = self.senders.wrapping_mul(part.of).wrapping_add(part.index);
        socket.sent = 0;
        self.senders = self.senders.wrapping_add(1);
        // Sockets that opened together do not send together.
        let most = random(&mut self.rng, send.every);
        let due = now + self.rng.u64(..=most);
        self.wake_at(slot, due);
    }

    /// An attempt to open this socket failed.
    pub(super) fn not_opened(&mut self, slot: usize, failure: Failure) {
        let now = self.now();
        self.attempt_done(slot, now, Err(failure));
        self.recorder.event(now, Event::NotConnected(failure));
        self.again(slot, now);
    }

    /// Records the end of an attempt.
    fn attempt_done(&mut self, slot: usize, at: Nanos, outcome: Result<(), Failure>) {
        let socket = &self.sockets[slot];
        let opening = socket.opening.as_deref();
        self.recorder.done(&Done {
            step: 0,
            due: socket.due,
            sent: Some(socket.began),
            at,
            status: opening.map_or(0, |opening| opening.status),
            outcome,
            received_bytes: opening.map_or(0, |opening| opening.received_bytes),
            sent_bytes: opening.map_or(0, |opening| opening.sent_bytes),
        });
    }

    /// Drops the connection and, if the plan still needs the socket, has it come back after a while that grows with
    /// each failure in a row and differs from socket to socket.
    pub(super) fn again(&mut self, slot: usize, now: Nanos) {
        let socket = &mut self.sockets[slot];
        socket.drop_connection();
        socket.phase = Phase::Idle;
        let wait = LONGEST_BACKOFF.min(FIRST_BACKOFF << socket.failures.min(16));
        socket.failures = socket.failures.saturating_add(1);
        let due = now + wait / 2 + self.rng.u64(..=wait / 2);
        self.wait_until(slot, due);
    }

    /// Has a wanted socket open at a moment, if that is before the end of the stages.
    pub(super) fn wait_until(&mut self, slot: usize, due: Nanos) {
        if self.sockets[slot].is_wanted && due < self.end {
            self.sockets[slot].phase = Phase::Waiting;
            self.wake_at(slot, due);
        }
    }
}

/// The subprotocols that a request offers, as they are written in it.
fn offered(request: &[u8]) -> String {
    let field = request.split(|&byte| byte == b'\n').find_map(|line| {
        let colon = memchr::memchr(b':', line)?;
        line[..colon].eq_ignore_ascii_case(b"sec-websocket-protocol").then(|| line[colon + 1..].trim_ascii())
    });
    String::from_utf8_lossy(field.unwrap_or_default()).into_owned()
}
