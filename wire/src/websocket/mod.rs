//! WebSocket (RFC 6455), for both ends: the opening handshake, frames, and messages taken out of them.
//!
//! Nothing here allocates while it reads. Payload is unmasked where it lies, messages come in pieces as they
//! arrive, and only a frame that is not there yet stays with the caller, so a connection that waits holds a
//! [`MessageReader`] and no buffer. Extensions are not spoken: none is offered, and frames that would need one are
//! refused.
//!
//! ```
//! use tidegate_wire::websocket::{Event, Kind, Limits, MessageReader, Opcode, Side, encode_frame};
//!
//! let mut bytes = Vec::new();
//! encode_frame(&mut bytes, Opcode::Text, Some([1, 2, 3, 4]), b"hello");
//!
//! let mut reader = MessageReader::new(Side::Server, &Limits::default());
//! let piece = reader.read(&mut bytes).unwrap();
//! assert_eq!(piece.event, Event::Data { kind: Kind::Text, last: true });
//! assert_eq!(&bytes[piece.data], b"hello");
//! ```

mod frame;
pub mod handshake;
mod message;
mod utf8;
mod violation;

pub use frame::{
    FrameHead, MAX_CLOSE_REASON_BYTES, MAX_CONTROL_BYTES, MAX_HEAD_BYTES, Opcode, encode_close, encode_frame,
    encode_head, mask,
};
pub use handshake::HandshakeFault;
pub use message::{Event, Kind, MessageReader, Piece};
pub use violation::{Violation, is_close_code};

/// Which end of the connection we are. It decides which frames have to be masked (RFC 6455 section 5.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Side {
    /// We asked: what we read must not be masked, what we send must be.
    Client,
    /// We were asked: what we read must be masked, what we send must not be.
    Server,
}

/// How much a peer may send before it is refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Bytes of one message, all its frames together. The head of the frame that would go past it is refused, so
    /// none of that frame's payload is ever kept. Past it: [`Violation::MessageTooBig`]. Default 1 MiB.
    pub message_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { message_bytes: 1024 * 1024 }
    }
}
