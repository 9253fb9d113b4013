//! Bytes to messages and back: HTTP/1 heads and bodies, URIs, the PROXY preamble, WebSocket; no IO.
//!
//! Everything here takes a slice and answers with positions in that slice ([`Span`]), a decision, or a
//! named refusal ([`Malformed`]). Nothing reads a socket or a clock, and parsing allocates nothing. What
//! two parties could read in two ways is refused instead of guessed at, because a proxy that guesses is how
//! requests are smuggled.
//!
//! ```
//! use tidegate_wire::{BodyReader, Limits, RequestHead};
//!
//! let limits = Limits::default();
//! let buf = b"POST /notes?draft=1 HTTP/1.1\r\nHost: app.example\r\nContent-Length: 5\r\n\r\nhello";
//! let mut head = RequestHead::new();
//! assert_eq!(head.parse(buf, &limits), Ok(true));
//! assert_eq!(head.path.of(buf), b"/notes");
//!
//! let body = &buf[head.len as usize..];
//! let piece = BodyReader::new(head.framing, &limits).read(body).unwrap();
//! assert_eq!(&body[piece.data], b"hello");
//! assert!(piece.done);
//! ```

mod body;
pub mod encode;
mod field;
mod framing;
mod head;
mod headers;
mod limits;
mod malformed;
mod method;
pub mod preamble;
mod request;
mod response;
mod span;
mod target;
pub mod uri;
pub mod websocket;

pub use body::{BodyReader, Piece};
pub use field::Field;
pub use framing::Framing;
pub use headers::{Header, Headers, connection_options};
pub use limits::{Limits, MAX_HEADERS, MAX_METHOD_BYTES};
pub use malformed::Malformed;
pub use method::{Method, Version};
pub use request::RequestHead;
pub use response::ResponseHead;
pub use span::Span;
pub use target::TargetForm;
