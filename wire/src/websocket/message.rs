//! Taking messages out of frames, piece by piece, without copying them.

use core::ops::Range;

use super::frame::{self, FrameHead, Opcode};
use super::utf8::Utf8;
use super::{Limits, Side, Violation, is_close_code};

/// Whether a message is text or bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// UTF-8, which the reader checks.
    Text,
    /// Any bytes.
    Binary,
}

/// What one call of [`MessageReader::read`] found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Piece {
    /// Bytes of the input that are dealt with. Zero means that more input is needed, or that a close was read.
    pub consumed: usize,
    /// Payload within the input, and within `..consumed`, unmasked. May be empty.
    pub data: Range<usize>,
    /// What the payload is.
    pub event: Event,
}

/// What a peer sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Event {
    /// Nothing yet: the input ends before the next frame can be understood.
    More,
    /// The next bytes of a message. A text may be cut inside a character; what is there has been checked.
    Data {
        /// What the message is, the same for all its pieces.
        kind: Kind,
        /// Whether the message ends with this piece.
        last: bool,
    },
    /// A ping; a pong with the same payload is due (RFC 6455 section 5.5.2).
    Ping,
    /// A pong, asked for or not.
    Pong,
    /// A close, with its code if it has one; the payload is the reason, which is UTF-8. A close is due in return
    /// unless one was sent (RFC 6455 section 5.5.1). Nothing is read after it.
    Close(Option<u16>),
}

/// The decoder of one direction of a connection.
///
/// Call [`read`](Self::read) with what has arrived, use `data`, and call again with what lies after `consumed`, until
/// `consumed` is zero. Then the rest, if any, has to be kept and offered again, followed by what arrives next. The
/// rest is the beginning of a head or of a control frame and never has more than 130 bytes, so a connection that
/// waits between frames keeps nothing but this reader.
///
/// Payload is unmasked where it lies. An error is final: every later call answers with it again.
#[derive(Clone, Copy, Debug)]
pub struct MessageReader {
    state: State,
    side: Side,
    /// The message that has begun and not ended.
    message: Option<Kind>,
    /// Whether the message ends with the frame that is being read.
    fin: bool,
    text: Utf8,
    /// The key as it is to be laid on the next byte of payload.
    mask: [u8; 4],
    /// Payload bytes of the frame still to come. Above zero in `Payload`, else zero.
    frame_left: u64,
    /// Bytes that the frames still to come may add to the message.
    message_left: u64,
    limits: Limits,
}

/// Where in the stream of frames the reader is. Control frames are read whole, so they have no state.
///
/// ```text
///           ┌──── control frame, empty frame
///           ▼ │
/// start ──► Head ──(data frame)──► Payload        Head ──(close)──► Closed
///             ▲                       │
///             └──────(its end)────────┘           any ──► Failed
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Head,
    Payload,
    Closed,
    Failed(Violation),
}

/// More input is needed, or none is taken any more.
const NOTHING: Piece = Piece { consumed: 0, data: 0..0, event: Event::More };

impl MessageReader {
    /// A reader of what the other end sends. `side` is the end that we are.
    pub const fn new(side: Side, limits: &Limits) -> Self {
        Self {
            state: State::Head,
            side,
            message: None,
            fin: false,
            text: Utf8::new(),
            mask: [0; 4],
            frame_left: 0,
            message_left: limits.message_bytes,
            limits: *limits,
        }
    }

    /// Reads the next piece from `input`, which begins where the last `consumed` ended.
    ///
    /// # Errors
    /// The first rule of RFC 6455, or limit, that the frames break.
    pub fn read(&mut self, input: &mut [u8]) -> Result<Piece, Violation> {
        let piece = match self.state {
            State::Head => self.read_frame(input),
            State::Payload if input.is_empty() => Ok(NOTHING),
            State::Payload => self.read_payload(input, 0),
            State::Closed => Ok(NOTHING),
            State::Failed(violation) => Err(violation),
        };
        piece.inspect_err(|&violation| self.state = State::Failed(violation))
    }

    /// Whether a close was read. Nothing is consumed after it.
    pub const fn is_closed(&self) -> bool {
        matches!(self.state, State::Closed)
    }

    fn read_frame(&mut self, input: &mut [u8]) -> Result<Piece, Violation> {
        let Some(head) = FrameHead::parse(input, self.side, &self.limits)? else { return Ok(NOTHING) };
        if head.opcode.is_control() {
            return self.read_control(input, &head);
        }
        self.begin_frame(&head)?;
        self.read_payload(input, head.len())
    }

    /// Fits a data frame into the message.
    fn begin_frame(&mut self, head: &FrameHead) -> Result<(), Violation> {
        match (self.message, head.opcode) {
            (None, Opcode::Text) => self.message = Some(Kind::Text),
            (None, Opcode::Binary) => self.message = Some(Kind::Binary),
            (None, _) => return Err(Violation::ContinuationUnexpected),
            (Some(_), Opcode::Continuation) => {}
            (Some(_), _) => return Err(Violation::ContinuationMissing),
        }
        self.message_left =
            self.message_left.checked_sub(head.payload_bytes).ok_or(Violation::MessageTooBig)?;
        self.fin = head.fin;
        self.mask = head.mask.unwrap_or_default();
        self.frame_left = head.payload_bytes;
        self.state = State::Payload;
        Ok(())
    }

    /// Takes what is there of the frame's payload, which goes on at `from`.
    fn read_payload(&mut self, input: &mut [u8], from: usize) -> Result<Piece, Violation> {
        let there = input.len() - from;
        let taken = usize::try_from(self.frame_left).map_or(there, |left| left.min(there));
        let data = from..from + taken;
        let payload = &mut input[data.clone()];
        if self.side == Side::Server {
            frame::mask(payload, self.mask, 0);
            self.mask = frame::turned(self.mask, taken as u64);
        }
        let kind = self.message.unwrap_or(Kind::Binary);
        if kind == Kind::Text {
            self.text.push(payload)?;
        }
        self.frame_left -= taken as u64;
        if self.frame_left > 0 {
            return Ok(Piece { consumed: data.end, data, event: Event::Data { kind, last: false } });
        }
        self.state = State::Head;
        if self.fin {
            self.text.finish()?;
            self.message = None;
            self.message_left = self.limits.message_bytes;
        }
        Ok(Piece { consumed: data.end, data, event: Event::Data { kind, last: self.fin } })
    }

    /// Takes a control frame, if it is there whole. It may stand between the frames of a message.
    fn read_control(&mut self, input: &mut [u8], head: &FrameHead) -> Result<Piece, Violation> {
        let start = head.len();
        let data = start..start + head.payload_bytes as usize;
        let Some(payload) = input.get_mut(data.clone()) else { return Ok(NOTHING) };
        if let Some(key) = head.mask {
            frame::mask(payload, key, 0);
        }
        let consumed = data.end;
        match head.opcode {
            Opcode::Ping => Ok(Piece { consumed, data, event: Event::Ping }),
            Opcode::Pong => Ok(Piece { consumed, data, event: Event::Pong }),
            _ => {
                let code = check_close(payload)?;
                self.state = State::Closed;
                let reason = data.start + if code.is_some() { 2 } else { 0 };
                Ok(Piece { consumed, data: reason..consumed, event: Event::Close(code) })
            }
        }
    }
}

/// The code of a close (RFC 6455 section 5.5.1).
fn check_close(payload: &[u8]) -> Result<Option<u16>, Violation> {
    match payload {
        [] => Ok(None),
        [_] => Err(Violation::CloseTruncated),
        [high, low, reason @ ..] => {
            let code = u16::from_be_bytes([*high, *low]);
            if !is_close_code(code) {
                return Err(Violation::CloseCodeInvalid);
            }
            core::str::from_utf8(reason).map_err(|_| Violation::NotUtf8)?;
            Ok(Some(code))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::websocket::{MAX_CONTROL_BYTES, encode_close, encode_frame, encode_head};

    const KEY: [u8; 4] = [1, 2, 3, 4];

    /// Appends a data frame as a server sends it.
    fn data(out: &mut Vec<u8>, fin: bool, opcode: Opcode, payload: &[u8]) {
        encode_head(out, &FrameHead { fin, opcode, mask: None, payload_bytes: payload.len() as u64 });
        out.extend_from_slice(payload);
    }

    /// Reads everything at once and gives each event with its payload, and why it stopped early if it did.
    fn read_with(
        limits: Limits,
        side: Side,
        mut input: Vec<u8>,
    ) -> (Vec<(Event, Vec<u8>)>, Option<Violation>) {
        let mut reader = MessageReader::new(side, &limits);
        let (mut events, mut at) = (Vec::new(), 0);
        loop {
            let piece = match reader.read(&mut input[at..]) {
                Ok(piece) => piece,
                Err(violation) => {
                    assert_eq!(reader.read(&mut []), Err(violation), "an error is final");
                    return (events, Some(violation));
                }
            };
            if piece.consumed == 0 {
                assert_eq!(piece, NOTHING);
                return (events, None);
            }
            events.push((piece.event, input[at..][piece.data].to_vec()));
            at += piece.consumed;
        }
    }

    fn read(input: Vec<u8>) -> (Vec<(Event, Vec<u8>)>, Option<Violation>) {
        read_with(Limits::default(), Side::Client, input)
    }

    fn refusal(build: impl FnOnce(&mut Vec<u8>)) -> Option<Violation> {
        let mut out = Vec::new();
        build(&mut out);
        read(out).1
    }

    #[test]
    fn the_reader_is_small() {
        assert!(size_of::<MessageReader>() <= 40, "{} bytes", size_of::<MessageReader>());
    }

    #[test]
    fn a_message_in_one_frame_comes_in_one_piece() {
        for (side, key) in [(Side::Client, None), (Side::Server, Some(KEY))] {
            let mut out = Vec::new();
            encode_frame(&mut out, Opcode::Text, key, b"hello");
            encode_frame(&mut out, Opcode::Binary, key, b"\xff\x00");
            encode_frame(&mut out, Opcode::Text, key, b"");
            let text = Event::Data { kind: Kind::Text, last: true };
            let binary = Event::Data { kind: Kind::Binary, last: true };
            let wanted = vec![(text, b"hello".to_vec()), (binary, b"\xff\x00".to_vec()), (text, vec![])];
            assert_eq!(read_with(Limits::default(), side, out), (wanted, None));
        }
    }

    #[test]
    fn control_frames_pass_between_the_fragments_of_a_message() {
        let mut out = Vec::new();
        data(&mut out, false, Opcode::Text, b"Hel");
        encode_frame(&mut out, Opcode::Ping, None, b"are you there");
        data(&mut out, false, Opcode::Continuation, b"");
        encode_frame(&mut out, Opcode::Pong, None, b"");
        data(&mut out, true, Opcode::Continuation, b"lo");
        let piece = |last| Event::Data { kind: Kind::Text, last };
        let wanted = vec![
            (piece(false), b"Hel".to_vec()),
            (Event::Ping, b"are you there".to_vec()),
            (piece(false), vec![]),
            (Event::Pong, vec![]),
            (piece(true), b"lo".to_vec()),
        ];
        assert_eq!(read(out), (wanted, None));
    }

    #[test]
    fn a_long_frame_comes_as_it_arrives() {
        let mut out = Vec::new();
        encode_frame(&mut out, Opcode::Binary, Some(KEY), &[7; 1000]);
        let mut reader = MessageReader::new(Side::Server, &Limits::default());
        let piece = |last| Event::Data { kind: Kind::Binary, last };
        // The head alone is consumed, so that nothing has to be kept until the payload arrives.
        let head = reader.read(&mut out[..8]).unwrap();
        assert_eq!(head, Piece { consumed: 8, data: 8..8, event: piece(false) });
        assert_eq!(reader.read(&mut []), Ok(NOTHING));
        let some = reader.read(&mut out[8..11]).unwrap();
        assert_eq!(some, Piece { consumed: 3, data: 0..3, event: piece(false) });
        let rest = reader.read(&mut out[11..]).unwrap();
        assert_eq!(rest, Piece { consumed: 997, data: 0..997, event: piece(true) });
        assert_eq!(out[8..], [7; 1000]);
    }

    #[test]
    fn a_control_frame_stays_with_the_caller_until_it_is_whole() {
        let mut out = Vec::new();
        encode_frame(&mut out, Opcode::Ping, Some(KEY), &[9; MAX_CONTROL_BYTES]);
        assert_eq!(out.len(), 131);
        let mut reader = MessageReader::new(Side::Server, &Limits::default());
        for cut in 0..out.len() {
            assert_eq!(reader.read(&mut out[..cut]), Ok(NOTHING), "{cut} bytes");
        }
        assert_eq!(reader.read(&mut out), Ok(Piece { consumed: 131, data: 6..131, event: Event::Ping }));
        assert_eq!(out[6..], [9; MAX_CONTROL_BYTES]);
    }

    #[test]
    fn fragments_in_the_wrong_order_are_refused() {
        for fin in [false, true] {
            let alone = refusal(|out| data(out, fin, Opcode::Continuation, b"a"));
            assert_eq!(alone, Some(Violation::ContinuationUnexpected));
        }
        for opcode in [Opcode::Text, Opcode::Binary] {
            let interrupted = refusal(|out| {
                data(out, false, Opcode::Binary, b"a");
                data(out, true, opcode, b"b");
            });
            assert_eq!(interrupted, Some(Violation::ContinuationMissing));
        }
        let after_the_end = refusal(|out| {
            data(out, true, Opcode::Binary, b"a");
            data(out, true, Opcode::Continuation, b"b");
        });
        assert_eq!(after_the_end, Some(Violation::ContinuationUnexpected));
    }

    #[test]
    fn text_is_checked_across_fragments() {
        let euro = "\u{20ac}".as_bytes();
        let cut = |first: &'static [u8], second: Vec<u8>| {
            refusal(move |out| {
                data(out, false, Opcode::Text, first);
                encode_frame(out, Opcode::Ping, None, b"\xff");
                data(out, true, Opcode::Continuation, &second);
            })
        };
        assert_eq!(cut(b"a\xe2", euro[1..].to_vec()), None);
        assert_eq!(cut(b"a\xe2", b"\x82".to_vec()), Some(Violation::NotUtf8));
        assert_eq!(cut(b"a\xe2", b"b".to_vec()), Some(Violation::NotUtf8));
        assert_eq!(cut(b"a\xe2", vec![]), Some(Violation::NotUtf8));
        assert_eq!(refusal(|out| data(out, true, Opcode::Binary, b"\xe2")), None);
    }

    #[test]
    fn wrong_text_is_refused_before_its_frame_ends() {
        let mut reader = MessageReader::new(Side::Client, &Limits::default());
        assert_eq!(reader.read(&mut [0x81, 100, b'a', 0xff]), Err(Violation::NotUtf8));
    }

    #[test]
    fn the_limit_is_on_the_message_not_on_its_frames() {
        let limits = Limits { message_bytes: 6 };
        let frames = |parts: &[(bool, Opcode, usize)]| {
            let mut out = Vec::new();
            for &(fin, opcode, len) in parts {
                data(&mut out, fin, opcode, &[0; 8][..len]);
            }
            read_with(limits, Side::Client, out).1
        };
        assert_eq!(frames(&[(true, Opcode::Binary, 6), (true, Opcode::Binary, 6)]), None);
        assert_eq!(frames(&[(true, Opcode::Binary, 7)]), Some(Violation::MessageTooBig));
        let first = (false, Opcode::Binary, 3);
        assert_eq!(frames(&[first, (true, Opcode::Continuation, 3), (true, Opcode::Text, 6)]), None);
        let too_much = frames(&[first, (false, Opcode::Continuation, 2), (true, Opcode::Continuation, 2)]);
        assert_eq!(too_much, Some(Violation::MessageTooBig));
    }

    #[test]
    fn an_oversize_frame_is_refused_by_its_head_alone() {
        let mut reader = MessageReader::new(Side::Client, &Limits { message_bytes: 200 });
        assert_eq!(reader.read(&mut [0x02, 100]).unwrap().consumed, 2);
        reader.read(&mut [0; 100]).unwrap();
        assert_eq!(reader.read(&mut [0x80, 101]), Err(Violation::MessageTooBig));
    }

    #[test]
    fn a_close_gives_code_and_reason_and_ends_the_reading() {
        let mut out = Vec::new();
        encode_close(&mut out, Some(KEY), 4001, "bye \u{20ac}");
        encode_frame(&mut out, Opcode::Text, Some(KEY), b"late");
        let close = (Event::Close(Some(4001)), "bye \u{20ac}".as_bytes().to_vec());
        assert_eq!(read_with(Limits::default(), Side::Server, out), (vec![close], None));

        let mut reader = MessageReader::new(Side::Client, &Limits::default());
        assert!(!reader.is_closed());
        assert_eq!(reader.read(&mut [0x88, 0]).unwrap().event, Event::Close(None));
        assert!(reader.is_closed());
    }

    #[test]
    fn closes_that_say_nothing_valid_are_refused() {
        let close = |payload: &'static [u8]| refusal(|out| encode_frame(out, Opcode::Close, None, payload));
        assert_eq!(close(b""), None);
        assert_eq!(close(&[3]), Some(Violation::CloseTruncated));
        for code in [0_u16, 999, 1004, 1005, 1006, 1015, 2999, 5000] {
            let refused = refusal(|out| encode_frame(out, Opcode::Close, None, &code.to_be_bytes()));
            assert_eq!(refused, Some(Violation::CloseCodeInvalid), "{code}");
        }
        assert_eq!(close(&[0x03, 0xe8, 0xff]), Some(Violation::NotUtf8));
        assert_eq!(close(&[0x03, 0xe8, 0xe2, 0x82]), Some(Violation::NotUtf8));
    }
}
