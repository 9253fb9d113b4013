//! Waiting for sockets and for moments at the same time, to the microsecond.

use std::io;
use std::num::NonZeroU64;
use std::os::fd::{AsFd, OwnedFd};

use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::io::Errno;
use rustix::time::Timespec;

use crate::Nanos;

/// Events taken at once.
const EVENTS: usize = 128;

/// A sleep ends this much before what it is for, and the rest is spent looking: waking up takes the system about so
/// long.
const WAKE_NS: Nanos = 50_000;

/// One part of the time in this many may be spent looking instead of sleeping, so that a generator does not seem
/// busy (and does not take a core away from its target) only because it is precise.
const LOOKING_SHARE: Nanos = 5;

/// Whose event it is: a slot of its owner, and which of the connections that have been in it. An event of a
/// connection that has been replaced since carries an old generation and is to be dropped.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Token {
    pub(crate) slot: u32,
    pub(crate) generation: u32,
}

/// What has become possible on a socket. Events are edges: each is told once, so everything possible has to be done.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ready {
    pub(crate) token: Token,
    /// There is something to read, or an end or an error to be read.
    pub(crate) readable: bool,
    /// There is room to send, or the connection is established or has failed to be.
    pub(crate) writable: bool,
    /// The peer has sent its last byte: reading has to go on until it says so.
    pub(crate) ended: bool,
}

/// The event loop's wait.
pub(crate) struct Poller {
    epoll: OwnedFd,
    events: Vec<Event>,
    /// Time spent looking so far.
    looked: Nanos,
    /// Since when it has been looking.
    looking_from: Option<Nanos>,
}

impl Poller {
    /// A poller for the thread that calls this: its sleeps are made as exact as the system can.
    pub(crate) fn new() -> io::Result<Self> {
        // Where this is not allowed, sleeps end up to 50 µs late, which is measured like everything else.
        let _ = rustix::thread::set_current_timer_slack(NonZeroU64::new(1));
        Ok(Self {
            epoll: epoll::create(CreateFlags::CLOEXEC)?,
            events: Vec::with_capacity(EVENTS),
            looked: 0,
            looking_from: None,
        })
    }

    /// Watches a socket in both directions until it is closed.
    pub(crate) fn add(&self, socket: impl AsFd, token: Token) -> io::Result<()> {
        let data = u64::from(token.generation) << 32 | u64::from(token.slot);
        let flags = EventFlags::IN | EventFlags::OUT | EventFlags::RDHUP | EventFlags::ET;
        Ok(epoll::add(&self.epoll, socket, EventData::new_u64(data), flags)?)
    }

    /// Waits for events until the moment `wake` at the latest, mostly a little less, and says how many there are.
    pub(crate) fn wait(&mut self, now: Nanos, wake: Nanos) -> io::Result<usize> {
        if let Some(from) = self.looking_from.take() {
            self.looked += now.saturating_sub(from);
        }
        let left = wake.saturating_sub(now);
        let may_look = self.looked.saturating_mul(LOOKING_SHARE) <= now;
        let sleep = match left {
            0 => 0,
            _ if !may_look => left,
            _ => left.saturating_sub(WAKE_NS),
        };
        let timeout = Timespec {
            tv_sec: (sleep / 1_000_000_000).cast_signed(),
            tv_nsec: (sleep % 1_000_000_000).cast_signed(),
        };
        self.events.clear();
        match epoll::wait(&self.epoll, spare_capacity(&mut self.events), Some(&timeout)) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        if sleep == 0 && left > 0 && self.events.is_empty() {
            self.looking_from = Some(now);
        }
        Ok(self.events.len())
    }

    /// The event at a position below what [`wait`](Self::wait) said.
    pub(crate) fn event(&self, at: usize) -> Ready {
        let Event { flags, data, .. } = self.events[at];
        let data = data.u64();
        let over = flags.intersects(EventFlags::RDHUP | EventFlags::HUP | EventFlags::ERR);
        Ready {
            token: Token { slot: data as u32, generation: (data >> 32) as u32 },
            readable: over || flags.contains(EventFlags::IN),
            writable: over || flags.contains(EventFlags::OUT),
            ended: over,
        }
    }
}
