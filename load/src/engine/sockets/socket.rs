//! One socket: as small as it can be, because there are many and most of them are idle.

use wire::websocket::handshake::KEY_BYTES;

use super::heard::Heard;
use super::inbox::Inbox;
use crate::Nanos;
use crate::engine::stream::Stream;
use crate::script::Memory;

/// No timer.
pub(super) const NEVER: Nanos = Nanos::MAX;

/// Where a socket is in its life.
///
/// ```text
///            due                 writable             101                  welcome
/// Waiting ────────► Connecting ───────────► Shaking ───────► Greeting ──────────────► Open
///    ▲ ▲                │                      │                │                      │ │
///    │ └── backoff ─────┴──────── failed ──────┴────────────────┘                      │ │ no longer wanted
///    └──────────────────────── cut, or ended by the target ────────────────────────────┘ ▼
///   Idle ◄─────────────────────── close answered, or not in time ──────────────────── Closing
/// ```
///
/// A socket that is not wanted any more becomes idle from every state before `Open` at once.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Phase {
    /// Not wanted.
    Idle,
    /// To be opened at its moment.
    Waiting,
    /// The connection is being established.
    Connecting,
    /// The handshake was sent.
    Shaking,
    /// The handshake is done and the welcome is waited for.
    Greeting,
    /// Open.
    Open,
    /// Our close frame was sent.
    Closing,
}

/// One socket of the part, whatever the number of connections that it has had.
#[derive(Debug)]
pub(super) struct Socket {
    pub(super) stream: Option<Stream>,
    /// Which of its connections this is, to tell their events apart.
    pub(super) generation: u32,
    /// Its number among all senders that ever were, new with every connection. Only used by those that send.
    pub(super) sender: u32,
    /// Messages sent by this sender.
    pub(super) sent: u32,
    pub(super) phase: Phase,
    /// Whether the stages want it.
    pub(super) is_wanted: bool,
    /// Whether a message became due while an earlier one had not left yet.
    pub(super) is_overdue: bool,
    /// Attempts in a row that did not last.
    pub(super) failures: u8,
    /// Its one timer, or [`NEVER`].
    pub(super) wake: Nanos,
    /// Until it is open, when it was to be opened. Then, when a message became due that could not be sent yet.
    pub(super) due: Nanos,
    /// When this attempt began; once open, when it was.
    pub(super) began: Nanos,
    pub(super) memory: Memory,
    /// Only until it is open.
    pub(super) opening: Option<Box<Opening>>,
    /// Only while a message has arrived in part.
    pub(super) inbox: Option<Box<Inbox>>,
    /// Only while the system has no room for it. Boxed, to be small when there is none.
    #[expect(clippy::box_collection, reason = "a vector takes thrice the room in every idle socket")]
    pub(super) unsent: Option<Box<Vec<u8>>>,
    /// Only once something has been heard that is to be judged.
    pub(super) heard: Option<Box<Heard>>,
}

/// What is known of an attempt to open a socket.
#[derive(Debug, Default)]
pub(super) struct Opening {
    /// The random key of the handshake, as it was sent.
    pub(super) key: [u8; KEY_BYTES],
    /// The subprotocols that were offered, separated by commas.
    pub(super) offered: String,
    /// What has arrived of the answer's head.
    pub(super) received: Vec<u8>,
    pub(super) received_bytes: u64,
    pub(super) sent_bytes: u64,
    pub(super) status: u16,
}

impl Phase {
    /// Whether an attempt to open the socket is under way.
    pub(super) const fn is_opening(self) -> bool {
        matches!(self, Self::Connecting | Self::Shaking | Self::Greeting)
    }
}

impl Socket {
    pub(super) fn new() -> Self {
        Self {
            stream: None,
            generation: 0,
            sender: 0,
            sent: 0,
            phase: Phase::Idle,
            is_wanted: false,
            is_overdue: false,
            failures: 0,
            wake: NEVER,
            due: 0,
            began: 0,
            memory: Memory::default(),
            opening: None,
            inbox: None,
            unsent: None,
            heard: None,
        }
    }

    /// Closes the connection, if there is one, and forgets what belonged to it.
    pub(super) fn drop_connection(&mut self) {
        self.stream = None;
        self.generation = self.generation.wrapping_add(1);
        self.wake = NEVER;
        self.is_overdue = false;
        self.opening = None;
        self.inbox = None;
        self.unsent = None;
        self.heard = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_idle_socket_is_small() {
        // With its timer, its share of grown vectors and its event this stays far below 400 bytes.
        assert!(size_of::<Socket>() <= 112, "{} bytes", size_of::<Socket>());
    }
}
