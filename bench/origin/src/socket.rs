//! WebSockets: an echo, and a fan-out to every socket of the process. Frames are dealt with in the buffer that they
//! arrive in, so an open socket that waits holds no memory but its slot.

use wire::websocket::{FrameHead, Limits, Opcode, Side, encode_frame, encode_head, handshake, mask};
use wire::{Limits as HeadLimits, RequestHead};

/// What a socket does with the frames of its client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// `GET /ws/echo`: sends every frame back.
    Echo,
    /// `GET /ws/fan`: sends every text to every fan-out socket of this process, its sender included.
    Fan,
}

/// The largest frame in bytes that a client may send.
const LIMITS: Limits = Limits { message_bytes: 64 * 1024 };

/// What a client's frames led to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Dealt {
    /// Bytes that are dealt with; what follows is the beginning of a frame.
    pub(crate) consumed: usize,
    /// Whether the socket stays open.
    pub(crate) keep: bool,
}

/// The answer to a handshake; none if it is not one.
pub(crate) fn accept(request: &[u8]) -> Option<Vec<u8>> {
    let mut head = RequestHead::new();
    if head.parse(request, &HeadLimits::default()) != Ok(true) {
        return None;
    }
    let accept = handshake::check_request(&head, request).ok()?;
    let mut answer = Vec::new();
    handshake::write_response(&mut answer, &accept, None, &[]);
    Some(answer)
}

/// Deals with every frame that is whole in `input`. What its client gets is appended to `reply`, what all get to `fan`.
pub(crate) fn deal(kind: Kind, input: &mut [u8], reply: &mut Vec<u8>, fan: &mut Vec<u8>) -> Dealt {
    let mut consumed = 0;
    loop {
        let head = match FrameHead::parse(&input[consumed..], Side::Server, &LIMITS) {
            Ok(Some(head)) => head,
            Ok(None) => return Dealt { consumed, keep: true },
            Err(_) => return Dealt { consumed, keep: false },
        };
        let from = consumed + head.len();
        let Some(payload) = input.get_mut(from..from + head.payload_bytes as usize) else {
            return Dealt { consumed, keep: true };
        };
        mask(payload, head.mask.unwrap_or_default(), 0);
        consumed = from + payload.len();
        match (head.opcode, kind) {
            (Opcode::Ping, _) => encode_frame(reply, Opcode::Pong, None, payload),
            (Opcode::Pong, _) => {}
            (Opcode::Close, _) => {
                encode_frame(reply, Opcode::Close, None, payload);
                return Dealt { consumed, keep: false };
            }
            (Opcode::Text, Kind::Fan) => encode_frame(fan, Opcode::Text, None, payload),
            (_, Kind::Fan) => return Dealt { consumed, keep: false },
            (_, Kind::Echo) => {
                encode_head(reply, &FrameHead { mask: None, ..head });
                reply.extend_from_slice(payload);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: Option<[u8; 4]> = Some([1, 2, 3, 4]);

    fn frame(opcode: Opcode, key: Option<[u8; 4]>, payload: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        encode_frame(&mut out, opcode, key, payload);
        out
    }

    fn dealt(kind: Kind, mut input: Vec<u8>) -> (Dealt, Vec<u8>, Vec<u8>) {
        let (mut reply, mut fan) = (Vec::new(), Vec::new());
        let dealt = deal(kind, &mut input, &mut reply, &mut fan);
        (dealt, reply, fan)
    }

    #[test]
    fn an_echo_sends_back_whole_frames_and_waits_for_the_rest() {
        let mut input = frame(Opcode::Text, KEY, b"one");
        let whole = input.len();
        input.extend(&frame(Opcode::Binary, KEY, b"two")[..7]);
        let (dealt, reply, fan) = dealt(Kind::Echo, input);
        assert_eq!(dealt, Dealt { consumed: whole, keep: true });
        assert_eq!((reply, fan), (frame(Opcode::Text, None, b"one"), vec![]));
    }

    #[test]
    fn a_fan_gives_texts_to_all_and_the_rest_to_the_sender() {
        let input = [frame(Opcode::Ping, KEY, b"?"), frame(Opcode::Text, KEY, b"one")].concat();
        let (dealt, reply, fan) = dealt(Kind::Fan, input);
        assert!(dealt.keep);
        assert_eq!((reply, fan), (frame(Opcode::Pong, None, b"?"), frame(Opcode::Text, None, b"one")));
    }

    #[test]
    fn a_close_is_answered_and_a_wrong_frame_ends_the_socket() {
        let (closed, reply, _) = dealt(Kind::Echo, frame(Opcode::Close, KEY, &[3, 232]));
        assert!(!closed.keep);
        assert_eq!(reply, frame(Opcode::Close, None, &[3, 232]));
        assert!(!dealt(Kind::Echo, frame(Opcode::Text, None, b"not masked")).0.keep);
    }

    #[test]
    fn only_a_handshake_is_accepted() {
        let request = "GET /ws/echo HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                       Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
        let answer = String::from_utf8(accept(request.as_bytes()).unwrap()).unwrap();
        assert!(answer.starts_with("HTTP/1.1 101 "), "{answer}");
        assert!(answer.contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), "{answer}");
        assert_eq!(accept(b"GET /ws/echo HTTP/1.1\r\nHost: a\r\n\r\n"), None);
    }
}
