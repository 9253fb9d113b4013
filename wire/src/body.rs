//! Taking a body out of its framing, piece by piece, without copying it.

use core::ops::Range;

use crate::head::{is_token, is_value};
use crate::{Framing, Limits, Malformed};

/// What one call of [`BodyReader::read`] found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Piece {
    /// Bytes of the input that are dealt with. Zero means that more input is needed, or that the body was done.
    pub consumed: usize,
    /// Payload within the input, and within `..consumed`. May be empty.
    pub data: Range<usize>,
    /// Whether the body ends here. What follows `consumed` belongs to the next message.
    pub done: bool,
}

/// The decoder of one body.
///
/// Call [`read`](Self::read) with what has arrived, use `data`, and call again with what lies after `consumed`
/// until `done` is set or `consumed` is zero. Bodies with a length, and those that end with the connection, give
/// all their payload in one call; a chunked one gives one chunk, or part of one, each time. Framing may be cut
/// anywhere between calls.
///
/// An error is final: every later call answers with it again.
#[derive(Clone, Copy, Debug)]
pub struct BodyReader {
    state: State,
    /// Digits of the chunk size read so far.
    digits: u8,
    /// Payload bytes still to come: of the body with `Length`, of this chunk with `Data`.
    left: u64,
    extension_left: u32,
    extension_limit: u32,
    trailer_left: u32,
}

/// Where in the body the reader is.
///
/// ```text
///            ┌───────────────── DataLf ◄── DataCr ◄───────────────────┐
///            ▼                                                        │
/// start ──► Size ──► Extension ──► SizeLf ──► Data (size above zero) ─┘
///              └──────────────────────┘  │
///                                        └──► TrailerStart (size zero) ──► EndLf ──► Done
///                                               ▲      └► TrailerName
///                                               │             ▼
///                                            TrailerLf ◄─ TrailerValue
///
/// start ──► Length ──► Done          start ──► Close ──(finish)──► Done
///
/// any ──► Failed
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Length,
    Close,
    Size,
    Extension,
    SizeLf,
    Data,
    DataCr,
    DataLf,
    TrailerStart,
    TrailerName,
    TrailerValue,
    TrailerLf,
    EndLf,
    Done,
    Failed(Malformed),
}

/// Digits that a 64-bit size can have. Leading zeros count, so that they cannot be used as filling.
const MAX_SIZE_DIGITS: u8 = 16;

impl BodyReader {
    /// A reader for a body with this framing.
    pub const fn new(framing: Framing, limits: &Limits) -> Self {
        let (state, left) = match framing {
            Framing::None | Framing::Length(0) => (State::Done, 0),
            Framing::Length(length) => (State::Length, length),
            Framing::Chunked => (State::Size, 0),
            Framing::Close => (State::Close, 0),
        };
        Self {
            state,
            digits: 0,
            left,
            extension_left: limits.chunk_extension_bytes,
            extension_limit: limits.chunk_extension_bytes,
            trailer_left: limits.trailer_bytes,
        }
    }

    /// Reads the next piece of the body from `input`, which begins where the last `consumed` ended.
    ///
    /// # Errors
    /// The first rule of RFC 9112 section 7.1, or limit, that the chunked framing breaks.
    pub fn read(&mut self, input: &[u8]) -> Result<Piece, Malformed> {
        let data = match self.state {
            State::Done => 0..0,
            State::Failed(reason) => return Err(reason),
            State::Close => 0..input.len(),
            State::Length => {
                let data = self.take(input.len());
                if self.left == 0 {
                    self.state = State::Done;
                }
                0..data
            }
            _ => return self.read_chunked(input),
        };
        Ok(Piece { consumed: data.end, data, done: self.state == State::Done })
    }

    /// Whether the body was read to its end.
    pub const fn is_done(&self) -> bool {
        matches!(self.state, State::Done)
    }

    /// Tells the reader that no more input will come.
    ///
    /// # Errors
    /// [`Malformed::Truncated`] when the body is not complete. Only a [`Framing::Close`] body ends this way.
    pub fn finish(&mut self) -> Result<(), Malformed> {
        match self.state {
            State::Done | State::Close => {
                self.state = State::Done;
                Ok(())
            }
            State::Failed(reason) => Err(reason),
            _ => Err(self.fail(Malformed::Truncated)),
        }
    }

    /// Payload bytes still to come, where the framing tells: zero at the end, `None` inside a chunked body or one
    /// that ends with the connection.
    pub const fn remaining(&self) -> Option<u64> {
        match self.state {
            State::Length => Some(self.left),
            State::Done => Some(0),
            _ => None,
        }
    }

    fn read_chunked(&mut self, input: &[u8]) -> Result<Piece, Malformed> {
        let mut at = 0;
        let mut data = 0..0;
        // Framing after the payload is read in the same call, so that the last chunk says at once that it is the last.
        while at < input.len() && self.state != State::Done {
            if self.state != State::Data {
                self.state = self.step(input[at]).map_err(|reason| self.fail(reason))?;
                at += 1;
                continue;
            }
            if !data.is_empty() {
                break;
            }
            let taken = self.take(input.len() - at);
            data = at..at + taken;
            at += taken;
            if self.left == 0 {
                self.state = State::DataCr;
            }
        }
        Ok(Piece { consumed: at, data, done: self.state == State::Done })
    }

    /// Takes up to `available` payload bytes and gives as many back to the allowance for extensions.
    fn take(&mut self, available: usize) -> usize {
        let taken = usize::try_from(self.left).map_or(available, |left| left.min(available));
        self.left -= taken as u64;
        let earned = u32::try_from(taken).unwrap_or(u32::MAX);
        self.extension_left = self.extension_left.saturating_add(earned).min(self.extension_limit);
        taken
    }

    fn fail(&mut self, reason: Malformed) -> Malformed {
        self.state = State::Failed(reason);
        reason
    }

    /// Takes one byte of chunked framing and says which state comes next.
    #[inline]
    fn step(&mut self, byte: u8) -> Result<State, Malformed> {
        match self.state {
            State::Size => self.step_size(byte),
            State::Extension => self.step_extension(byte),
            State::SizeLf if self.left == 0 => expect_lf(byte, State::TrailerStart),
            State::SizeLf => expect_lf(byte, State::Data),
            State::DataCr => match byte {
                b'\r' => Ok(State::DataLf),
                b'\n' => Err(Malformed::BareLf),
                _ => Err(Malformed::ChunkFraming),
            },
            State::DataLf => {
                self.digits = 0;
                expect_lf(byte, State::Size)
            }
            State::TrailerLf => expect_lf(byte, State::TrailerStart),
            State::EndLf => expect_lf(byte, State::Done),
            State::TrailerStart | State::TrailerName | State::TrailerValue => self.step_trailer(byte),
            // These take no framing; `read` and `read_chunked` never come here with them.
            State::Length | State::Close | State::Data | State::Done | State::Failed(_) => Ok(self.state),
        }
    }

    #[inline]
    fn step_size(&mut self, byte: u8) -> Result<State, Malformed> {
        let digit = match byte {
            b'0'..=b'9' => byte - b'0',
            b'a'..=b'f' => byte - b'a' + 10,
            b'A'..=b'F' => byte - b'A' + 10,
            b';' if self.digits > 0 => return Ok(State::Extension),
            b'\r' if self.digits > 0 => return Ok(State::SizeLf),
            b'\n' => return Err(Malformed::BareLf),
            _ => return Err(Malformed::ChunkSizeInvalid),
        };
        if self.digits == MAX_SIZE_DIGITS {
            return Err(Malformed::ChunkSizeOverflow);
        }
        self.digits += 1;
        self.left = self.left << 4 | u64::from(digit);
        Ok(State::Size)
    }

    /// Extensions are dropped. Their grammar needs no parsing for that: even a quoted string cannot hold a CR.
    fn step_extension(&mut self, byte: u8) -> Result<State, Malformed> {
        match byte {
            b'\r' => return Ok(State::SizeLf),
            b'\n' => return Err(Malformed::BareLf),
            0 => return Err(Malformed::Nul),
            _ if !is_value(byte) => return Err(Malformed::ChunkFraming),
            _ => {}
        }
        self.extension_left = self.extension_left.checked_sub(1).ok_or(Malformed::ChunkExtensionTooLong)?;
        Ok(State::Extension)
    }

    /// Trailer lines are dropped too, after the same checks that header lines get.
    fn step_trailer(&mut self, byte: u8) -> Result<State, Malformed> {
        let start = self.state == State::TrailerStart;
        let next = match (self.state, byte) {
            (State::TrailerStart, b'\r') => return Ok(State::EndLf),
            (_, b'\n') => return Err(Malformed::BareLf),
            (_, 0) => return Err(Malformed::Nul),
            (State::TrailerValue, b'\r') => State::TrailerLf,
            (State::TrailerValue, _) if is_value(byte) => State::TrailerValue,
            (State::TrailerValue, _) => return Err(Malformed::BadHeaderValue),
            (_, b' ' | b'\t') if start => return Err(Malformed::ObsFold),
            (_, b' ' | b'\t') => return Err(Malformed::SpaceBeforeColon),
            (_, b':') if !start => State::TrailerValue,
            _ if is_token(byte) => State::TrailerName,
            _ => return Err(Malformed::BadHeaderName),
        };
        self.trailer_left = self.trailer_left.checked_sub(1).ok_or(Malformed::TrailerTooLarge)?;
        Ok(next)
    }
}

fn expect_lf(byte: u8, next: State) -> Result<State, Malformed> {
    if byte == b'\n' { Ok(next) } else { Err(Malformed::BareCr) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads everything and returns the payload, the bytes consumed, and whether the body is done.
    fn drain(reader: &mut BodyReader, input: &[u8]) -> Result<(Vec<u8>, usize, bool), Malformed> {
        let (mut payload, mut at) = (Vec::new(), 0);
        loop {
            let piece = reader.read(&input[at..])?;
            payload.extend_from_slice(&input[at..][piece.data]);
            at += piece.consumed;
            if piece.done || piece.consumed == 0 {
                return Ok((payload, at, piece.done));
            }
        }
    }

    fn chunked(limits: &Limits) -> BodyReader {
        BodyReader::new(Framing::Chunked, limits)
    }

    #[test]
    fn the_reader_is_small() {
        assert!(size_of::<BodyReader>() <= 40, "{} bytes", size_of::<BodyReader>());
    }

    #[test]
    fn a_length_body_ends_where_the_next_message_begins() {
        let mut reader = BodyReader::new(Framing::Length(5), &Limits::default());
        assert_eq!(reader.remaining(), Some(5));
        assert_eq!(reader.read(b"he"), Ok(Piece { consumed: 2, data: 0..2, done: false }));
        assert_eq!(reader.read(b""), Ok(Piece { consumed: 0, data: 0..0, done: false }));
        assert_eq!(reader.read(b"lloGET /"), Ok(Piece { consumed: 3, data: 0..3, done: true }));
        assert_eq!(reader.remaining(), Some(0));
        assert_eq!(reader.finish(), Ok(()));
    }

    #[test]
    fn bodies_without_bytes_are_done_at_once() {
        for framing in [Framing::None, Framing::Length(0)] {
            let mut reader = BodyReader::new(framing, &Limits::default());
            assert!(reader.is_done());
            assert_eq!(reader.read(b"GET /"), Ok(Piece { consumed: 0, data: 0..0, done: true }));
        }
    }

    #[test]
    fn a_close_body_ends_only_with_the_connection() {
        let mut reader = BodyReader::new(Framing::Close, &Limits::default());
        assert_eq!(reader.read(b"all"), Ok(Piece { consumed: 3, data: 0..3, done: false }));
        assert!(!reader.is_done());
        assert_eq!(reader.finish(), Ok(()));
        assert!(reader.is_done());
    }

    #[test]
    fn a_truncated_body_never_ends_cleanly() {
        let limits = Limits::default();
        let mut length = BodyReader::new(Framing::Length(5), &limits);
        length.read(b"hell").unwrap();
        assert_eq!(length.finish(), Err(Malformed::Truncated));
        for cut in ["", "5", "5\r\n", "5\r\nhello", "5\r\nhello\r\n0\r\n", "5\r\nhello\r\n0\r\nA: b\r\n"] {
            let mut reader = chunked(&limits);
            drain(&mut reader, cut.as_bytes()).unwrap();
            assert_eq!(reader.finish(), Err(Malformed::Truncated), "{cut:?}");
        }
    }

    #[test]
    fn a_whole_chunked_body_in_one_chunk_takes_one_call() {
        let input = b"5;a=b\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\nGET /";
        let piece = chunked(&Limits::default()).read(input).unwrap();
        assert_eq!(piece, Piece { consumed: input.len() - 5, data: 7..12, done: true });
    }

    #[test]
    fn the_largest_size_is_read_and_the_next_one_named() {
        let mut reader = chunked(&Limits::default());
        assert_eq!(reader.read(b"FFFFffffFFFFffff\r\nx").unwrap().data, 18..19);
        let too_long = chunked(&Limits::default()).read(b"10000000000000000\r\n");
        assert_eq!(too_long, Err(Malformed::ChunkSizeOverflow));
        let zeros = chunked(&Limits::default()).read(b"00000000000000001\r\n");
        assert_eq!(zeros, Err(Malformed::ChunkSizeOverflow));
    }

    #[test]
    fn extensions_may_outrun_the_payload_only_by_the_limit() {
        let limits = Limits { chunk_extension_bytes: 8, ..Limits::default() };
        let fair = b"4;abcd\r\nwxyz\r\n4;abcd\r\nwxyz\r\n4;abcd\r\nwxyz\r\n0\r\n\r\n";
        assert_eq!(drain(&mut chunked(&limits), fair).unwrap(), (b"wxyzwxyzwxyz".to_vec(), fair.len(), true));
        let greedy = b"1;abcd\r\nw\r\n1;abcd\r\nw\r\n1;abcd\r\nw\r\n0\r\n\r\n";
        assert_eq!(drain(&mut chunked(&limits), greedy), Err(Malformed::ChunkExtensionTooLong));
    }

    #[test]
    fn trailers_are_bounded_and_checked() {
        let limits = Limits { trailer_bytes: 8, ..Limits::default() };
        for (trailer, outcome) in [
            ("A: bcde\r\n\r\n", Ok(())),
            ("A: bcdef\r\n\r\n", Err(Malformed::TrailerTooLarge)),
            ("A : b\r\n\r\n", Err(Malformed::SpaceBeforeColon)),
            (" A: b\r\n\r\n", Err(Malformed::ObsFold)),
            (": b\r\n\r\n", Err(Malformed::BadHeaderName)),
            ("A\r\n\r\n", Err(Malformed::BadHeaderName)),
            ("A: \x07\r\n\r\n", Err(Malformed::BadHeaderValue)),
            ("A: \0\r\n\r\n", Err(Malformed::Nul)),
            ("A: b\n\r\n", Err(Malformed::BareLf)),
            ("A: b\rc\r\n", Err(Malformed::BareCr)),
            ("\rx", Err(Malformed::BareCr)),
            ("\n", Err(Malformed::BareLf)),
        ] {
            let input = format!("0\r\n{trailer}");
            let found = drain(&mut chunked(&limits), input.as_bytes()).map(|(_, _, done)| assert!(done));
            assert_eq!(found, outcome, "{trailer:?}");
        }
    }

    #[test]
    fn an_error_is_final() {
        let mut reader = chunked(&Limits::default());
        assert_eq!(reader.read(b"x"), Err(Malformed::ChunkSizeInvalid));
        assert_eq!(reader.read(b"0\r\n\r\n"), Err(Malformed::ChunkSizeInvalid));
        assert_eq!(reader.finish(), Err(Malformed::ChunkSizeInvalid));
        assert!(!reader.is_done());
    }
}
