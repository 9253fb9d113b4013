//! A user: one connection, a memory, and what is going on.

use super::super::answer::Answer;
use super::super::poll::Token;
use super::super::stream::Stream;
use crate::Nanos;
use crate::script::{At, Facts, Memory};

/// One of the people that the engine plays.
#[derive(Debug)]
pub(super) struct User {
    pub(super) link: Link,
    /// Counts connections, so that events of an old one are known.
    pub(super) generation: u32,
    /// Whether the connection was opened for the request that is under way. If not, the target may have closed it
    /// before it saw the request.
    pub(super) is_fresh: bool,
    pub(super) memory: Memory,
    pub(super) task: Option<Task>,
    /// What the user does when its time comes, while no request is under way.
    pub(super) next: Next,
    pub(super) answer: Answer,
    /// What there was no room to send yet of the request, and how much of this has been sent since.
    pub(super) unsent: Vec<u8>,
    pub(super) unsent_from: usize,
    /// Whether a timer will look at this user's deadline.
    pub(super) is_watched: bool,
    /// Whether a timer will connect this user again.
    pub(super) is_to_connect: bool,
    /// Closed model: whether the user takes part.
    pub(super) is_active: bool,
}

/// A user's connection.
#[derive(Debug)]
pub(super) enum Link {
    None,
    /// `since` is a moment of the run, `dialled` of the machine: users may connect before the run begins.
    Connecting {
        stream: Stream,
        since: Nanos,
        dialled: u64,
    },
    Up(Stream),
}

/// A request under way: due, and not ended.
#[derive(Clone, Copy, Debug)]
pub(super) struct Task {
    pub(super) at: At,
    pub(super) facts: Facts,
    /// When it was due (open model), or begun (closed model).
    pub(super) due: Nanos,
    /// When the user turned to it; its timeout counts from here.
    pub(super) begun: Nanos,
    /// When its first byte was sent.
    pub(super) sent: Option<Nanos>,
    pub(super) sent_bytes: u64,
    /// Whether it is sent for the second time because the first connection was closed already.
    pub(super) is_again: bool,
}

/// What a user does next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Next {
    /// Waits for an arrival (open model), or begins a flow (closed model).
    Flow,
    /// Goes on with the flow.
    Step(At),
}

impl User {
    pub(super) fn new() -> Self {
        Self {
            link: Link::None,
            generation: 0,
            is_fresh: false,
            memory: Memory::default(),
            task: None,
            next: Next::Flow,
            answer: Answer::new(),
            unsent: Vec::new(),
            unsent_from: 0,
            is_watched: false,
            is_to_connect: false,
            is_active: false,
        }
    }

    /// Marks the events of the connection that this user has now.
    pub(super) const fn token(&self, slot: u32) -> Token {
        Token { slot, generation: self.generation }
    }

    /// Since when somebody waits for something that may time out.
    pub(super) fn waits_since(&self) -> Option<Nanos> {
        match (&self.task, &self.link) {
            (Some(task), _) => Some(task.begun),
            (None, Link::Connecting { since, .. }) => Some(*since),
            _ => None,
        }
    }
}
