//! A request and its answer: connecting, sending, receiving, and every way in which that can fail.

use std::time::{SystemTime, UNIX_EPOCH};

use rustix::io::Errno;

use super::super::answer::{Place, Whole};
use super::super::dial::established;
use super::super::monotonic;
use super::super::poll::Ready;
use super::user::{Link, Task};
use super::{Engine, Wake};
use crate::Nanos;
use crate::failure::Failure;
use crate::plan::{Model, Users};
use crate::record::{Done, Event};

/// A user who is always to be connected connects again this long after the target closed the connection,
const RECONNECT_AFTER: Nanos = 100_000_000;
/// and this long after it could not be established.
const RETRY_AFTER: Nanos = 1_000_000_000;

impl Engine<'_> {
    /// Gets a user's request on its way, as far as that goes now.
    pub(super) fn start(&mut self, slot: u32) {
        match self.users[slot as usize].link {
            Link::Up(_) => self.send(slot),
            // It is sent when the connection stands.
            Link::Connecting { .. } => self.users[slot as usize].is_fresh = true,
            Link::None => self.connect(slot),
        }
    }

    /// Begins to connect a user.
    pub(super) fn connect(&mut self, slot: u32) {
        let user = &mut self.users[slot as usize];
        user.generation = user.generation.wrapping_add(1);
        user.is_fresh = user.task.is_some();
        match self.dialer.dial(&self.poller, user.token(slot)) {
            Ok(stream) => {
                user.link = Link::Connecting { stream, since: self.now, dialled: monotonic() };
                self.watch(slot);
            }
            Err(failure) => self.not_connected(slot, failure),
        }
    }

    /// What an event makes possible.
    pub(super) fn handle(&mut self, ready: Ready) {
        let slot = ready.token.slot;
        let user = &self.users[slot as usize];
        if user.generation != ready.token.generation {
            return;
        }
        match user.link {
            Link::Up(_) => {}
            Link::Connecting { .. } if ready.writable => {
                self.now = self.clock.now();
                self.connected(slot);
            }
            Link::Connecting { .. } | Link::None => return,
        }
        if ready.readable {
            self.receive(slot, ready.ended);
        }
        // After receiving: a target may answer before it has read everything, and then close.
        if ready.writable && self.users[slot as usize].unsent_from < self.users[slot as usize].unsent.len() {
            self.send_rest(slot);
        }
    }

    fn connected(&mut self, slot: u32) {
        let user = &mut self.users[slot as usize];
        let Link::Connecting { stream, dialled, .. } = std::mem::replace(&mut user.link, Link::None) else {
            return;
        };
        if let Err(failure) = established(&stream) {
            self.not_connected(slot, failure);
            return;
        }
        user.link = Link::Up(stream);
        let has_task = user.task.is_some();
        self.open += 1;
        self.recorder.open(self.now, self.open);
        self.recorder.event(self.now, Event::Connected { took: monotonic() - dialled });
        if has_task {
            self.send(slot);
        }
    }

    fn not_connected(&mut self, slot: u32, failure: Failure) {
        self.close(slot);
        self.recorder.event(self.now, Event::NotConnected(failure));
        self.finish(slot, Err(failure));
        self.connect_again(slot, RETRY_AFTER);
    }

    /// Sends the request of a connected user.
    fn send(&mut self, slot: u32) {
        let user = &mut self.users[slot as usize];
        let (Link::Up(stream), Some(task)) = (&mut user.link, &mut user.task) else { return };
        let request = if let Some(fixed) = self.script.fixed(task.at) {
            fixed
        } else {
            self.rendered.clear();
            let unix_s = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
            let out = &mut self.rendered;
            if let Err(failure) = self.script.render(task.at, &mut user.memory, &mut self.rng, unix_s, out) {
                self.finish(slot, Err(failure));
                return;
            }
            &self.rendered
        };
        task.sent = task.sent.or(Some(self.now));
        task.sent_bytes += request.len() as u64;
        match stream.send(request) {
            Ok(count) if count == request.len() => {}
            Ok(count) => user.unsent.extend_from_slice(&request[count..]),
            Err(Errno::AGAIN) => user.unsent.extend_from_slice(request),
            Err(error) => self.lost(slot, Err(error)),
        }
    }

    /// Sends what there was no room for.
    fn send_rest(&mut self, slot: u32) {
        let user = &mut self.users[slot as usize];
        let Link::Up(stream) = &mut user.link else { return };
        loop {
            match stream.send(&user.unsent[user.unsent_from..]) {
                Ok(count) => user.unsent_from += count,
                Err(Errno::AGAIN) => return,
                Err(error) => {
                    self.now = self.clock.now();
                    self.lost(slot, Err(error));
                    return;
                }
            }
            if user.unsent_from == user.unsent.len() {
                (user.unsent, user.unsent_from) = (Vec::new(), 0);
                return;
            }
        }
    }

    /// Receives what has arrived.
    fn receive(&mut self, slot: u32, has_ended: bool) {
        loop {
            let user = &mut self.users[slot as usize];
            let Link::Up(stream) = &mut user.link else { return };
            let count = match stream.recv(&mut self.buffer) {
                Ok(count) => count,
                Err(Errno::AGAIN) => return,
                Err(error) => {
                    self.now = self.clock.now();
                    self.lost(slot, Err(error));
                    return;
                }
            };
            self.now = self.clock.now();
            if count == 0 || user.task.is_none() {
                // An end; or bytes that nobody asked for, as of a target that says why it is about to close.
                self.lost(slot, Ok(()));
                return;
            }
            match user.answer.take(&self.buffer[..count], &mut self.head) {
                Ok(None) => {}
                Ok(Some(whole)) => self.answered(slot, &whole),
                Err(failure) => self.broken(slot, failure),
            }
            // A short read has emptied the socket: what comes later is a new edge.
            if count < self.buffer.len() && !has_ended {
                return;
            }
        }
    }

    /// A whole answer is there, its head in `self.head`.
    fn answered(&mut self, slot: u32, whole: &Whole) {
        let user = &mut self.users[slot as usize];
        let Some(task) = user.task else { return };
        let place = match whole.place {
            Place::Input => &*self.buffer,
            Place::Kept => user.answer.kept(),
        };
        let (buf, body) = (&place[whole.buf.clone()], &place[whole.body.clone()]);
        let body_bytes = user.answer.body_bytes();
        let outcome = self.script.judge(task.at, &self.head, buf, body, body_bytes, &mut user.memory);
        user.is_fresh = false;
        if whole.rest > 0 {
            self.broken(slot, Failure::Garbage);
            return;
        }
        let stays = self.head.keep_alive && user.unsent.is_empty();
        self.finish(slot, outcome);
        if !self.plan.keep_alive {
            self.close(slot);
        } else if !stays {
            self.disconnected(slot);
        }
    }

    /// What has arrived cannot be understood, or is too much: there is no going on with this connection.
    fn broken(&mut self, slot: u32, failure: Failure) {
        self.finish(slot, Err(failure));
        self.close(slot);
        self.connect_again(slot, RECONNECT_AFTER);
    }

    /// The target ended the connection, or it broke.
    fn lost(&mut self, slot: u32, how: Result<(), Errno>) {
        let user = &mut self.users[slot as usize];
        let (answer, is_fresh) = (&mut user.answer, user.is_fresh);
        let Some(task) = &mut user.task else {
            self.disconnected(slot);
            return;
        };
        if answer.received() == 0 && !is_fresh && !task.is_again {
            task.is_again = true;
            self.disconnected(slot);
            self.connect(slot);
            return;
        }
        let ended = match how {
            Ok(()) => answer.end(&mut self.head),
            Err(Errno::TIMEDOUT) => Err(Failure::Timeout),
            Err(_) => Err(Failure::Reset),
        };
        match ended {
            Ok(whole) => self.answered(slot, &whole),
            Err(failure) => {
                self.finish(slot, Err(failure));
                self.disconnected(slot);
            }
        }
    }

    /// Closes a connection that the target ended.
    fn disconnected(&mut self, slot: u32) {
        self.close(slot);
        self.recorder.event(self.now, Event::Disconnected);
        self.connect_again(slot, RECONNECT_AFTER);
    }

    /// Has a user connect again who is to be connected all the time.
    fn connect_again(&mut self, slot: u32, after: Nanos) {
        let user = &mut self.users[slot as usize];
        let is_always = self.plan.keep_alive && matches!(self.plan.model, Model::Open(_));
        if is_always && matches!(self.plan.users, Users::Exactly(_)) && !user.is_to_connect {
            user.is_to_connect = true;
            self.timers.set(self.now + after, Wake::Connect(slot));
        }
    }

    /// Closes a user's connection, if there is one.
    pub(super) fn close(&mut self, slot: u32) {
        let user = &mut self.users[slot as usize];
        (user.unsent, user.unsent_from) = (Vec::new(), 0);
        if let Link::Up(_) = std::mem::replace(&mut user.link, Link::None) {
            self.open -= 1;
            self.recorder.open(self.now, self.open);
        }
    }

    /// Makes sure that a timer looks at a user's deadline. There is at most one for each user, which is set anew when it
    /// finds that the user waits for something later by then: a request costs no timer.
    pub(super) fn watch(&mut self, slot: u32) {
        let user = &mut self.users[slot as usize];
        if !user.is_watched {
            user.is_watched = true;
            self.timers.set(self.now.saturating_add(self.timeout), Wake::Deadline(slot));
        }
    }

    pub(super) fn look_at_deadline(&mut self, slot: u32) {
        let user = &mut self.users[slot as usize];
        user.is_watched = false;
        let Some(since) = user.waits_since() else { return };
        let deadline = since.saturating_add(self.timeout);
        if deadline > self.now {
            user.is_watched = true;
            self.timers.set(deadline, Wake::Deadline(slot));
        } else if matches!(user.link, Link::Up(_)) {
            self.broken(slot, Failure::Timeout);
        } else {
            self.not_connected(slot, Failure::ConnectTimeout);
        }
    }

    /// Records the end of a user's request and sees to what the user does next.
    pub(super) fn finish(&mut self, slot: u32, outcome: Result<(), Failure>) {
        let user = &mut self.users[slot as usize];
        let Some(task) = user.task.take() else { return };
        self.under_way -= 1;
        let due = self.counts_from(&task);
        let is_late = self.now.saturating_sub(due) > task.facts.within;
        let outcome = outcome.and(if is_late { Err(Failure::Late) } else { Ok(()) });
        self.recorder.done(&Done {
            step: task.facts.index,
            due,
            sent: task.sent,
            at: self.now,
            status: self.users[slot as usize].answer.status(),
            outcome,
            received_bytes: self.users[slot as usize].answer.received(),
            sent_bytes: task.sent_bytes,
        });
        self.users[slot as usize].answer.forget();
        self.go_on(slot, &task, outcome);
    }

    /// From when the latency of a request counts.
    fn counts_from(&self, task: &Task) -> Nanos {
        match (self.plan.model, task.sent) {
            // With a connection per request, connecting is part of it.
            (Model::Closed, Some(sent)) if self.plan.keep_alive => sent,
            _ => task.due,
        }
    }
}
