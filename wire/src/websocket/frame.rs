//! Frames (RFC 6455 section 5.2): their heads, their masks, and whole ones for sending.

use super::{Limits, Side, Violation, is_close_code};

/// Most bytes that the head of a frame can have.
pub const MAX_HEAD_BYTES: usize = 14;

/// Most bytes of payload that a ping, pong or close can have (RFC 6455 section 5.5).
pub const MAX_CONTROL_BYTES: usize = 125;

/// Most bytes that the reason of a close can have: a control frame less the code.
pub const MAX_CLOSE_REASON_BYTES: usize = MAX_CONTROL_BYTES - 2;

const FIN: u8 = 0x80;
const RESERVED: u8 = 0x70;
const OPCODE: u8 = 0x0f;
const MASKED: u8 = 0x80;
const LENGTH: u8 = 0x7f;
/// In place of a length: it follows in two bytes.
const LENGTH_16: u8 = 126;
/// In place of a length: it follows in eight bytes.
const LENGTH_64: u8 = 127;

/// What a frame is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Opcode {
    /// More of the message that a text or binary frame began.
    Continuation = 0,
    /// The first frame of a text message.
    Text = 1,
    /// The first frame of a binary message.
    Binary = 2,
    /// The last frame that its sender sends.
    Close = 8,
    /// Asks for a pong with the same payload.
    Ping = 9,
    /// Answers a ping, or says unasked that the sender is there.
    Pong = 10,
}

impl Opcode {
    /// Whether the frame is about the connection, not part of a message.
    pub const fn is_control(self) -> bool {
        self as u8 & 0x8 != 0
    }

    const fn from_bits(bits: u8) -> Result<Self, Violation> {
        Ok(match bits {
            0 => Self::Continuation,
            1 => Self::Text,
            2 => Self::Binary,
            8 => Self::Close,
            9 => Self::Ping,
            10 => Self::Pong,
            _ => return Err(Violation::UnknownOpcode),
        })
    }
}

/// The head of one frame. Its reserved bits are zero: no extension is spoken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FrameHead {
    /// Whether the message ends with this frame. Always set for control frames.
    pub fin: bool,
    /// What the frame is.
    pub opcode: Opcode,
    /// The key that the payload is masked with. A client sets it, a server never does.
    pub mask: Option<[u8; 4]>,
    /// Bytes of payload that follow the head.
    pub payload_bytes: u64,
}

impl FrameHead {
    /// Parses the head at the start of `buf`, as the end that `side` says we are. `Ok(None)` means that more bytes
    /// are needed. It takes [`len`](Self::len) bytes; the payload follows.
    ///
    /// The fields are judged in the order in which they are sent, so a head is refused for the same reason however
    /// it arrives. What depends on earlier frames is for [`MessageReader`](super::MessageReader).
    ///
    /// # Errors
    /// The first rule of RFC 6455 section 5, or limit, that the head breaks.
    pub fn parse(buf: &[u8], side: Side, limits: &Limits) -> Result<Option<Self>, Violation> {
        let Some(&first) = buf.first() else { return Ok(None) };
        if first & RESERVED != 0 {
            return Err(Violation::ReservedBits);
        }
        let opcode = Opcode::from_bits(first & OPCODE)?;
        let fin = first & FIN != 0;
        if opcode.is_control() && !fin {
            return Err(Violation::ControlFragmented);
        }
        let Some(&second) = buf.get(1) else { return Ok(None) };
        let masked = second & MASKED != 0;
        match side {
            Side::Server if !masked => return Err(Violation::MaskMissing),
            Side::Client if masked => return Err(Violation::MaskUnexpected),
            Side::Server | Side::Client => {}
        }
        if opcode.is_control() && second & LENGTH > MAX_CONTROL_BYTES as u8 {
            return Err(Violation::ControlTooLong);
        }
        let Some((payload_bytes, rest)) = parse_length(second & LENGTH, &buf[2..])? else { return Ok(None) };
        if !opcode.is_control() && payload_bytes > limits.message_bytes {
            return Err(Violation::MessageTooBig);
        }
        let mask = match rest.first_chunk() {
            _ if !masked => None,
            Some(&key) => Some(key),
            None => return Ok(None),
        };
        Ok(Some(Self { fin, opcode, mask, payload_bytes }))
    }

    /// Bytes that the head has when it is written.
    #[expect(clippy::len_without_is_empty, reason = "a head is never empty")]
    pub const fn len(&self) -> usize {
        let length = match self.payload_bytes {
            0..=125 => 0,
            126..=0xffff => 2,
            _ => 8,
        };
        2 + length + if self.mask.is_some() { 4 } else { 0 }
    }
}

/// The length that `short` announces, and what follows it.
fn parse_length(short: u8, rest: &[u8]) -> Result<Option<(u64, &[u8])>, Violation> {
    let (length, least, rest) = match short {
        LENGTH_16 => {
            let Some((bytes, rest)) = rest.split_first_chunk() else { return Ok(None) };
            (u64::from(u16::from_be_bytes(*bytes)), u64::from(LENGTH_16), rest)
        }
        LENGTH_64 => {
            let Some((bytes, rest)) = rest.split_first_chunk() else { return Ok(None) };
            (u64::from_be_bytes(*bytes), 1 << 16, rest)
        }
        _ => (u64::from(short), 0, rest),
    };
    if length >> 63 != 0 {
        return Err(Violation::LengthOverflow);
    }
    if length < least { Err(Violation::LengthNotMinimal) } else { Ok(Some((length, rest))) }
}

/// Appends the head of a frame. Its payload has to follow, [masked](mask) if the head has a key.
///
/// The head is taken as it is, so that a test of a server can send what no rule allows; only the highest bit of the
/// length must be clear.
pub fn encode_head(out: &mut Vec<u8>, head: &FrameHead) {
    debug_assert!(head.payload_bytes >> 63 == 0, "a length has 63 bits");
    let fin = if head.fin { FIN } else { 0 };
    let masked = if head.mask.is_some() { MASKED } else { 0 };
    let first = fin | head.opcode as u8;
    match head.payload_bytes {
        length @ 0..=125 => out.extend_from_slice(&[first, masked | length as u8]),
        length @ 126..=0xffff => {
            out.extend_from_slice(&[first, masked | LENGTH_16]);
            out.extend_from_slice(&(length as u16).to_be_bytes());
        }
        length => {
            out.extend_from_slice(&[first, masked | LENGTH_64]);
            out.extend_from_slice(&length.to_be_bytes());
        }
    }
    out.extend_from_slice(head.mask.as_ref().map_or(&[], <[u8; 4]>::as_slice));
}

/// Appends a frame that is whole in itself: a message in one frame, or a control frame, whose payload must not be
/// longer than [`MAX_CONTROL_BYTES`]. A client gives a mask, fresh and unpredictable for each frame (RFC 6455
/// section 5.3); a server gives none.
pub fn encode_frame(out: &mut Vec<u8>, opcode: Opcode, key: Option<[u8; 4]>, payload: &[u8]) {
    debug_assert!(!opcode.is_control() || payload.len() <= MAX_CONTROL_BYTES, "a control frame is short");
    encode_head(out, &FrameHead { fin: true, opcode, mask: key, payload_bytes: payload.len() as u64 });
    append_masked(out, key, payload, 0);
}

/// Appends a close with a code that [may be sent](is_close_code). Of the reason, as much is sent as fits
/// [`MAX_CLOSE_REASON_BYTES`] without cutting a character. A close without a code is an [`encode_frame`] without
/// payload.
pub fn encode_close(out: &mut Vec<u8>, key: Option<[u8; 4]>, code: u16, reason: &str) {
    debug_assert!(is_close_code(code), "close code {code} may not be sent");
    let reason = &reason[..reason.floor_char_boundary(MAX_CLOSE_REASON_BYTES)];
    let payload_bytes = (2 + reason.len()) as u64;
    encode_head(out, &FrameHead { fin: true, opcode: Opcode::Close, mask: key, payload_bytes });
    append_masked(out, key, &code.to_be_bytes(), 0);
    append_masked(out, key, reason.as_bytes(), 2);
}

fn append_masked(out: &mut Vec<u8>, key: Option<[u8; 4]>, payload: &[u8], offset: u64) {
    let start = out.len();
    out.extend_from_slice(payload);
    if let Some(key) = key {
        mask(&mut out[start..], key, offset);
    }
}

/// Masks or unmasks `data`, which begins `offset` bytes into the payload of its frame (RFC 6455 section 5.3).
#[inline]
pub fn mask(data: &mut [u8], key: [u8; 4], offset: u64) {
    let key = turned(key, offset);
    let [a, b, c, d] = key;
    let wide = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
    // A word at a time, which the compiler makes a vector at a time.
    let (words, rest) = data.as_chunks_mut();
    for word in words {
        *word = (u64::from_ne_bytes(*word) ^ wide).to_ne_bytes();
    }
    for (byte, key) in rest.iter_mut().zip([a, b, c, d, a, b, c]) {
        *byte ^= key;
    }
}

/// The key as it is to be laid on `offset` bytes into a payload.
#[inline]
pub(super) const fn turned(key: [u8; 4], offset: u64) -> [u8; 4] {
    u32::from_be_bytes(key).rotate_left(8 * (offset % 4) as u32).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

    fn parse(buf: &[u8], side: Side) -> Result<Option<FrameHead>, Violation> {
        FrameHead::parse(buf, side, &Limits { message_bytes: u64::MAX })
    }

    fn head(fin: bool, opcode: Opcode, mask: Option<[u8; 4]>, payload_bytes: u64) -> FrameHead {
        FrameHead { fin, opcode, mask, payload_bytes }
    }

    /// The examples of RFC 6455 section 5.7: the head, who reads it, the bytes of the frame up to its payload.
    #[test]
    fn the_examples_of_the_rfc_read_and_write() {
        let examples: [(FrameHead, Side, &[u8]); 8] = [
            (head(true, Opcode::Text, None, 5), Side::Client, &[0x81, 0x05]),
            (head(true, Opcode::Text, Some(KEY), 5), Side::Server, &[0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d]),
            (head(false, Opcode::Text, None, 3), Side::Client, &[0x01, 0x03]),
            (head(true, Opcode::Continuation, None, 2), Side::Client, &[0x80, 0x02]),
            (head(true, Opcode::Ping, None, 5), Side::Client, &[0x89, 0x05]),
            (head(true, Opcode::Pong, Some(KEY), 5), Side::Server, &[0x8a, 0x85, 0x37, 0xfa, 0x21, 0x3d]),
            (head(true, Opcode::Binary, None, 256), Side::Client, &[0x82, 0x7e, 0x01, 0x00]),
            (head(true, Opcode::Binary, None, 65536), Side::Client, &[0x82, 0x7f, 0, 0, 0, 0, 0, 1, 0, 0]),
        ];
        for (wanted, side, bytes) in examples {
            assert_eq!(parse(bytes, side), Ok(Some(wanted)), "{bytes:x?}");
            assert_eq!(wanted.len(), bytes.len());
            let mut written = Vec::new();
            encode_head(&mut written, &wanted);
            assert_eq!(written, bytes);
        }
    }

    #[test]
    fn the_masked_hello_of_the_rfc_is_written_byte_for_byte() {
        let mut out = Vec::new();
        encode_frame(&mut out, Opcode::Text, Some(KEY), b"Hello");
        assert_eq!(out, [0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58]);
    }

    #[test]
    fn each_rule_about_heads_is_kept_and_refused_at_its_first_byte() {
        let rules: [(&[u8], Side, Violation); 16] = [
            (&[0xc1], Side::Client, Violation::ReservedBits),
            (&[0xa1], Side::Client, Violation::ReservedBits),
            (&[0x91], Side::Client, Violation::ReservedBits),
            (&[0x83], Side::Client, Violation::UnknownOpcode),
            (&[0x87], Side::Client, Violation::UnknownOpcode),
            (&[0x8b], Side::Client, Violation::UnknownOpcode),
            (&[0x8f], Side::Client, Violation::UnknownOpcode),
            (&[0x08], Side::Client, Violation::ControlFragmented),
            (&[0x09], Side::Server, Violation::ControlFragmented),
            (&[0x81, 0x05], Side::Server, Violation::MaskMissing),
            (&[0x81, 0x85], Side::Client, Violation::MaskUnexpected),
            (&[0x89, 0x7e], Side::Client, Violation::ControlTooLong),
            (&[0x88, 0xff], Side::Server, Violation::ControlTooLong),
            (&[0x82, 0x7e, 0x00, 0x7d], Side::Client, Violation::LengthNotMinimal),
            (&[0x82, 0x7f, 0, 0, 0, 0, 0, 0, 0xff, 0xff], Side::Client, Violation::LengthNotMinimal),
            (&[0x82, 0x7f, 0x80, 0, 0, 0, 0, 0, 0, 0], Side::Client, Violation::LengthOverflow),
        ];
        for (bytes, side, violation) in rules {
            assert_eq!(parse(bytes, side), Err(violation), "{bytes:x?}");
            assert_eq!(parse(&bytes[..bytes.len() - 1], side), Ok(None), "{bytes:x?}");
        }
    }

    #[test]
    fn a_payload_past_the_limit_is_refused_by_its_head() {
        let limits = Limits { message_bytes: 1000 };
        let refused = |bytes: &[u8]| FrameHead::parse(bytes, Side::Client, &limits).err();
        assert_eq!(refused(&[0x82, 0x7e, 0x03, 0xe8]), None);
        assert_eq!(refused(&[0x82, 0x7e, 0x03, 0xe9]), Some(Violation::MessageTooBig));
        assert_eq!(refused(&[0x82, 0x7f, 0x7f, 0, 0, 0, 0, 0, 0, 0]), Some(Violation::MessageTooBig));
        // Control frames have their own limit, which is not to be lowered.
        let none = Limits { message_bytes: 0 };
        assert!(FrameHead::parse(&[0x89, 0x7d], Side::Client, &none).is_ok());
    }

    #[test]
    fn lengths_take_as_few_bytes_as_they_can() {
        for (length, bytes) in [(0, 2), (125, 2), (126, 4), (0xffff, 4), (0x1_0000, 10), (u64::MAX >> 1, 10)]
        {
            for mask in [None, Some(KEY)] {
                let wanted = head(true, Opcode::Binary, mask, length);
                let mut written = Vec::new();
                encode_head(&mut written, &wanted);
                assert_eq!(written.len(), bytes + if mask.is_some() { 4 } else { 0 });
                assert!(written.len() <= MAX_HEAD_BYTES);
                let side = if mask.is_some() { Side::Server } else { Side::Client };
                assert_eq!(parse(&written, side), Ok(Some(wanted)));
                assert_eq!(wanted.len(), written.len());
            }
        }
    }

    #[test]
    fn masking_by_words_is_masking_by_bytes() {
        let plain: Vec<u8> = (0..100).collect();
        for len in 0..plain.len() {
            for offset in [0, 1, 2, 3, 4, 7, 1 << 40 | 3] {
                let mut masked = plain[..len].to_vec();
                mask(&mut masked, KEY, offset);
                for (at, byte) in masked.iter().enumerate() {
                    let key = KEY[((offset + at as u64) % 4) as usize];
                    assert_eq!(*byte, plain[at] ^ key, "byte {at} of {len} at {offset}");
                }
            }
        }
    }

    #[test]
    fn a_long_reason_is_cut_between_characters() {
        let mut out = Vec::new();
        encode_close(&mut out, None, 1001, &"\u{20ac}".repeat(50));
        assert_eq!(&out[..4], [0x88, 125, 0x03, 0xe9]);
        assert_eq!(&out[4..], "\u{20ac}".repeat(41).as_bytes());
        out.clear();
        encode_close(&mut out, None, 1000, &format!("a{}", "\u{20ac}".repeat(50)));
        assert_eq!(usize::from(out[1]), 2 + 1 + 40 * 3);
    }
}
