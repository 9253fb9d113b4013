//! What happened: counted without allocation by each thread, merged over threads and processes.

use serde::{Deserialize, Serialize};

use crate::Nanos;
use crate::failure::Failure;

/// The counters of one thread. Holds what happened since the last [`Recorder::take`].
#[derive(Debug)]
pub struct Recorder {}

/// A request that came to an end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Done {
    /// Its step, as in [`Script::step_names`](crate::script::Script::step_names).
    pub step: u16,
    /// When it was due (closed model: when it was sent).
    pub due: Nanos,
    /// When it was sent; `None` if it never was.
    pub sent: Option<Nanos>,
    /// When it ended.
    pub at: Nanos,
    /// The status; 0 when there was no head.
    pub status: u16,
    /// How it ended.
    pub outcome: Result<(), Failure>,
    /// Bytes of the answer, head and framing included.
    pub received_bytes: u64,
    /// Bytes of the request.
    pub sent_bytes: u64,
}

/// Something else than a request that is counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Event {
    /// A connection was established (with sockets: the handshake is done and the welcome has come) after this time.
    Connected {
        /// Nanoseconds from the beginning of the attempt.
        took: Nanos,
    },
    /// A connection could not be established.
    NotConnected(Failure),
    /// A connection that stood was lost, or ended by the target.
    Disconnected,
    /// A message was sent on a socket.
    Published,
    /// A marked message arrived, this long after it was sent.
    Delivered {
        /// Nanoseconds from sending to receiving.
        took: Nanos,
    },
    /// Some other message arrived.
    Received,
    /// Messages of one sender that one receiver should have got and never did.
    Lost(u64),
    /// A message that a receiver had already got.
    Duplicated,
    /// A message that came after a later one of the same sender.
    Reordered,
}

impl Recorder {
    /// A recorder for these steps.
    pub fn new(_steps: &[String]) -> Self {
        todo!()
    }

    /// A request became due; `lag` is how late the generator itself noticed. Open model only.
    pub fn due(&mut self, _due: Nanos, _lag: Nanos) {
        todo!()
    }

    /// A request came to an end.
    pub fn done(&mut self, _done: &Done) {
        todo!()
    }

    /// Something else happened.
    pub fn event(&mut self, _at: Nanos, _event: Event) {
        todo!()
    }

    /// How many connections are open now.
    pub fn open(&mut self, _at: Nanos, _connections: u32) {
        todo!()
    }

    /// What was recorded since the last call, leaving the recorder empty.
    pub fn take(&mut self) -> Record {
        todo!()
    }
}

/// What happened, in any part of a run or in all of it. Bounded in size whatever the length of the run. Its serial
/// form goes from process to process and into JSON reports, so that reports can be merged and compared.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Record {}

impl Record {
    /// Adds what another thread, process or run recorded.
    pub fn merge(&mut self, _other: &Self) {
        todo!()
    }
}
