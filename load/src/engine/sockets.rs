//! Carrying out a part of a plan that opens WebSockets: they open and close as the stages say, send when it is time,
//! and every message that arrives is measured and held against what should have arrived.
//!
//! ```text
//! ramp ─► opening ─► socket ─► outgoing ─► mark ─► (target) ─► inbox ─► incoming ─► heard ┐
//!                      ▲                    └────────────► ledger ───────────────────────┴─► lost
//!                      └── storm, backoff
//! ```
//!
//! An idle socket is a hundred bytes and a timer: what arrives is read into one buffer that all share, and only what
//! is there in part is kept with the socket.

mod heard;
mod inbox;
mod incoming;
mod leaving;
mod ledger;
mod mark;
mod opening;
mod outgoing;
mod ramp;
mod socket;

use std::io;
use std::iter::Peekable;
use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use fastrand::Rng;
use memchr::memmem::Finder;
use wire::{Limits, ResponseHead};

use super::dial::Dialer;
use super::poll::{Poller, Token};
use super::timers::Timers;
use super::{LONGEST_SLEEP, REPORT_EVERY, Run};
use crate::Nanos;
use crate::failure::Failure;
use crate::plan::{Pause, Receivers, Sockets};
use crate::record::Recorder;
use crate::schedule;
use crate::script::{At, Memory};

use ledger::Ledger;
use mark::Marks;
use ramp::{Ramp, Turn};
use socket::{NEVER, Phase, Socket};

/// How much is read at once, in bytes.
const READ_BYTES: usize = 64 * 1024;

/// What is on its way when sending ends gets at least this long to arrive, where the plan's grace allows it.
const LEAST_SETTLE: Nanos = 250_000_000;

/// The part of the grace that belongs to closing: a quarter, and no longer than this.
const LONGEST_CLOSING: Nanos = 1_000_000_000;

/// How long after it was told to stop an engine still waits for answers to its closes.
const STOP_WITHIN: Nanos = 500_000_000;

/// The one flow and step: the handshake.
const FLOW: At = At { flow: 0, step: 0 };

/// Carries out one part.
pub(super) fn drive<'a>(run: Run<'a>, sockets: &'a Sockets) -> io::Result<()> {
    Engine::new(run, sockets)?.carry_out()
}

/// All sockets of one part.
struct Engine<'a> {
    run: Run<'a>,
    work: &'a Sockets,
    receivers: Receivers,
    poller: Poller,
    dialer: Dialer<'a>,
    /// Positions of sockets. One whose socket has set another moment since is no longer meant.
    timers: Timers<u32>,
    recorder: Recorder,
    rng: Rng,
    marks: Rc<Marks>,
    welcome: Option<Finder<'static>>,
    /// What everybody has to receive; where nobody or only the sender has to, there is none.
    ledger: Option<Ledger>,
    ramp: Peekable<Ramp>,
    /// Socket `i` over all parts is at `i / parts`.
    sockets: Vec<Socket>,
    open: u32,
    /// Senders that there ever were in this part.
    senders: u32,
    /// When the stages end, and with them sending.
    end: Nanos,
    grace: Nanos,
    timeout: Nanos,
    /// The beginning of the run, in nanoseconds of Unix time.
    began_unix_ns: u64,
    storm_at: Nanos,
    report_at: Nanos,
    sweep_at: Nanos,
    /// Sockets that were left with something to read, so that others have their turn.
    unread: Vec<(Token, bool)>,
    head: Box<ResponseHead>,
    limits: Limits,
    /// Shared by all sockets: what arrives, a rendered text, the same with its mark, and its frame.
    buffer: Vec<u8>,
    rendered: Vec<u8>,
    marked: Vec<u8>,
    frame: Vec<u8>,
}

impl<'a> Engine<'a> {
    fn new(run: Run<'a>, work: &'a Sockets) -> io::Result<Self> {
        let (plan, part) = (run.plan, run.part);
        let receivers = work.send.as_ref().map_or(Receivers::Anyone, |send| send.receivers);
        let every_most = work.send.as_ref().map_or(0, |send| nanos(send.every.most));
        let grace = nanos(plan.grace);
        let is_for_many = matches!(receivers, Receivers::All | Receivers::Others);
        // All parts know these two, so they agree on the run's number without talking.
        let run_number = Rng::with_seed(plan.seed ^ run.clock.origin).u32(..);
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Ok(Self {
            work,
            receivers,
            poller: Poller::new()?,
            dialer: Dialer::new(&plan.target, &plan.sources, part),
            timers: Timers::new(),
            recorder: Recorder::for_part(plan, part),
            rng: Rng::with_seed(
                plan.seed.wrapping_add(u64::from(part.index).wrapping_mul(0x9e37_79b9_7f4a_7c15)),
            ),
            marks: Rc::new(Marks::new(run_number)),
            welcome: work.welcome.as_ref().map(|text| Finder::new(text.as_bytes()).into_owned()),
            ledger: is_for_many.then(|| Ledger::new(grace, every_most)),
            ramp: Ramp::new(&plan.stages, plan.requests, part).peekable(),
            sockets: Vec::new(),
            open: 0,
            senders: 0,
            end: schedule::length(&plan.stages),
            grace,
            timeout: nanos(plan.timeout),
            began_unix_ns: nanos(unix).saturating_sub(run.clock.now()),
            storm_at: work.storm.map_or(NEVER, |storm| nanos(storm.at)),
            report_at: REPORT_EVERY,
            sweep_at: LONGEST_SLEEP,
            unread: Vec::new(),
            head: Box::default(),
            limits: Limits::default(),
            buffer: vec![0; READ_BYTES],
            rendered: Vec::new(),
            marked: Vec::new(),
            frame: Vec::new(),
            run,
        })
    }

    /// The whole run, from its beginning to the last close.
    fn carry_out(mut self) -> io::Result<()> {
        while self.run.clock.until_begin() > 0 && !self.is_stopped() {
            std::thread::sleep(Duration::from_nanos(self.run.clock.until_begin().min(LONGEST_SLEEP)));
        }
        let deadline = self.end.saturating_add(self.grace);
        let last_call = deadline - LONGEST_CLOSING.min(self.grace / 4);
        let mut settled_at = self.end.saturating_add(LEAST_SETTLE).min(last_call);
        loop {
            let now = self.now();
            if self.is_stopped() {
                self.close_all(Some(now));
                self.until_closed(now + STOP_WITHIN)?;
                break;
            }
            self.do_due(now);
            if now >= last_call || (now >= settled_at && self.has_all_arrived()) {
                self.close_all(None);
                self.until_closed(deadline)?;
                break;
            }
            if now >= settled_at {
                settled_at = now + LEAST_SETTLE;
            }
            self.wait(now, last_call.min(settled_at))?;
        }
        self.recorder.open(self.now(), self.open);
        (self.run.report)(self.recorder.take());
        Ok(())
    }

    /// Does everything that is due by now, and keeps the books.
    fn do_due(&mut self, now: Nanos) {
        while let Some(&(at, turn, number)) = self.ramp.peek()
            && at <= now
        {
            self.ramp.next();
            let slot = (number / self.run.part.of) as usize;
            match turn {
                Turn::Open => self.want(slot, number, at),
                Turn::Close => self.unwant(slot),
            }
        }
        if self.storm_at <= now {
            self.storm_at = NEVER;
            self.storm();
        }
        self.ring(now);
        if self.sweep_at <= now {
            self.sweep_at = now + LONGEST_SLEEP;
            self.settle_senders(now);
        }
        if self.report_at <= now {
            self.report_at = now + REPORT_EVERY;
            self.recorder.open(now, self.open);
            (self.run.report)(self.recorder.take());
        }
    }

    /// The stages want a socket.
    fn want(&mut self, slot: usize, number: u32, due: Nanos) {
        if slot >= self.sockets.len() {
            self.sockets.resize_with(slot + 1, Socket::new);
        }
        if self.sockets[slot].phase == Phase::Closing {
            self.sockets[slot].drop_connection();
        }
        let socket = &mut self.sockets[slot];
        socket.is_wanted = true;
        socket.failures = 0;
        socket.memory = Memory::default();
        self.work.script.begin(u64::from(number), &mut self.rng, &mut socket.memory);
        self.dial(slot, due);
    }

    /// Does what the timers of sockets are for.
    fn ring(&mut self, now: Nanos) {
        while let Some((at, slot)) = self.timers.take(now) {
            let slot = slot as usize;
            if self.sockets[slot].wake != at {
                continue;
            }
            self.sockets[slot].wake = NEVER;
            match self.sockets[slot].phase {
                Phase::Idle => {}
                Phase::Waiting => self.dial(slot, at),
                Phase::Connecting => self.broken(slot, Failure::ConnectTimeout),
                Phase::Shaking | Phase::Greeting => self.broken(slot, Failure::Timeout),
                Phase::Open => self.send_due(slot, at),
                Phase::Closing => self.gone(slot),
            }
        }
    }

    /// Waits for events or for what is due next, at the latest for `until`, and handles them.
    fn wait(&mut self, now: Nanos, until: Nanos) -> io::Result<()> {
        let timer = self.timers.next().unwrap_or(NEVER);
        let turn = self.ramp.peek().map_or(NEVER, |&(at, ..)| at);
        let wake = timer.min(turn).min(self.storm_at).min(self.report_at).min(until).min(now + LONGEST_SLEEP);
        let wake = if self.unread.is_empty() { wake } else { now };
        let count = self.poller.wait(now, wake)?;
        for at in 0..count {
            self.handle(self.poller.event(at));
        }
        for (token, ended) in std::mem::take(&mut self.unread) {
            self.receive(token, ended);
        }
        Ok(())
    }

    /// Sets the timer of a socket, in place of what it was set to.
    fn wake_at(&mut self, slot: usize, at: Nanos) {
        self.sockets[slot].wake = at;
        self.timers.set(at, slot as u32);
    }

    /// Whether this socket, by its number, sends.
    fn is_sender(&self, slot: usize) -> bool {
        let number = slot as u32 * self.run.part.of + self.run.part.index;
        self.work.send.as_ref().is_some_and(|send| send.senders.is_none_or(|senders| number < senders))
    }

    fn now(&self) -> Nanos {
        self.run.clock.now()
    }

    fn unix_s(&self) -> u64 {
        (self.began_unix_ns + self.now()) / 1_000_000_000
    }

    fn is_stopped(&self) -> bool {
        self.run.stop.load(Ordering::Relaxed)
    }
}

fn nanos(duration: Duration) -> Nanos {
    Nanos::try_from(duration.as_nanos()).unwrap_or(Nanos::MAX)
}

/// A time drawn evenly from a range.
fn random(rng: &mut Rng, pause: Pause) -> Nanos {
    let least = nanos(pause.least);
    rng.u64(least..=nanos(pause.most).max(least))
}
