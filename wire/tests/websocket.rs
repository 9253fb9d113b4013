//! WebSocket against any input and against an independent implementation: it never matters where bytes are cut,
//! what we write others read, and what we accept they accept with the same meaning.

use std::io::{self, Cursor, Read, Write};

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use tidegate_wire::websocket::{
    Event, FrameHead, Kind, Limits, MAX_CONTROL_BYTES, MessageReader, Opcode, Side, Violation, encode_close,
    encode_frame, encode_head, handshake, mask,
};
use tidegate_wire::{Limits as HeadLimits, Method, RequestHead, ResponseHead};
use tungstenite::protocol::frame::coding::{CloseCode, Data, OpCode};
use tungstenite::protocol::frame::{CloseFrame, Frame};
use tungstenite::protocol::{Role, WebSocketConfig};
use tungstenite::{Message, WebSocket};

/// What went over a connection, with every message put together.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Seen {
    Text(Vec<u8>),
    Binary(Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(Option<(u16, Vec<u8>)>),
}

/// A frame to send.
#[derive(Clone, Debug)]
struct Sent {
    fin: bool,
    opcode: Opcode,
    payload: Vec<u8>,
}

/// Frames that keep every rule, with what they mean.
#[derive(Clone, Debug)]
struct Script {
    frames: Vec<Sent>,
    seen: Vec<Seen>,
}

/// Lengths around the places where the head grows, and everyday ones.
fn payload() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        40 => vec(any::<u8>(), 0..40),
        10 => vec(any::<u8>(), 120..135),
        1 => (65_530..65_540_usize, any::<u8>()).prop_map(|(len, byte)| vec![byte; len]),
    ]
}

fn control() -> impl Strategy<Value = (Sent, Seen)> {
    (any::<bool>(), vec(any::<u8>(), 0..=MAX_CONTROL_BYTES)).prop_map(|(ping, payload)| {
        let (opcode, seen) = if ping {
            (Opcode::Ping, Seen::Ping(payload.clone()))
        } else {
            (Opcode::Pong, Seen::Pong(payload.clone()))
        };
        (Sent { fin: true, opcode, payload }, seen)
    })
}

/// A message in fragments cut anywhere, characters included, with a control frame between some of them.
fn message() -> impl Strategy<Value = Script> {
    let content = prop_oneof![
        payload().prop_map(|bytes| (Opcode::Binary, bytes)),
        "\\PC{0,40}".prop_map(|text| (Opcode::Text, text.into_bytes())),
    ];
    (content, vec((any::<usize>(), option::of(control())), 0..4)).prop_map(|((opcode, payload), cuts)| {
        let mut ends: Vec<usize> = cuts.iter().map(|(cut, _)| cut % (payload.len() + 1)).collect();
        ends.sort_unstable();
        let (mut frames, mut seen, mut at) = (Vec::new(), Vec::new(), 0);
        for (end, (_, between)) in ends.into_iter().zip(cuts) {
            let opcode = if frames.is_empty() { opcode } else { Opcode::Continuation };
            frames.push(Sent { fin: false, opcode, payload: payload[at..end].to_vec() });
            at = end;
            if let Some((frame, event)) = between {
                frames.push(frame);
                seen.push(event);
            }
        }
        let last = if frames.is_empty() { opcode } else { Opcode::Continuation };
        frames.push(Sent { fin: true, opcode: last, payload: payload[at..].to_vec() });
        seen.push(if opcode == Opcode::Text { Seen::Text(payload) } else { Seen::Binary(payload) });
        Script { frames, seen }
    })
}

fn close() -> impl Strategy<Value = (Sent, Seen)> {
    let code = prop_oneof![1000..=1003_u16, 1007..=1013_u16, 3000..=4999_u16];
    option::of((code, "\\PC{0,30}")).prop_map(|content| {
        let content = content.map(|(code, reason)| (code, reason.into_bytes()));
        let payload = content
            .as_ref()
            .map_or(Vec::new(), |(code, reason)| [code.to_be_bytes().as_slice(), reason].concat());
        (Sent { fin: true, opcode: Opcode::Close, payload }, Seen::Close(content))
    })
}

fn script() -> impl Strategy<Value = Script> {
    let single = control().prop_map(|(frame, seen)| Script { frames: vec![frame], seen: vec![seen] });
    let parts = vec(prop_oneof![3 => message(), 1 => single], 0..6);
    (parts, option::of(close())).prop_map(|(parts, close)| {
        let mut whole = Script { frames: Vec::new(), seen: Vec::new() };
        for part in parts {
            whole.frames.extend(part.frames);
            whole.seen.extend(part.seen);
        }
        whole.frames.extend(close.iter().map(|(frame, _)| frame.clone()));
        whole.seen.extend(close.map(|(_, seen)| seen));
        whole
    })
}

/// The frames as the other end of `reader` sends them, each with a key of its own if it is a client.
fn encode(frames: &[Sent], reader: Side, key: [u8; 4]) -> Vec<u8> {
    let mut out = Vec::new();
    for (index, frame) in frames.iter().enumerate() {
        let key = (reader == Side::Server).then(|| key.map(|byte| byte.wrapping_add(index as u8)));
        if frame.fin {
            encode_frame(&mut out, frame.opcode, key, &frame.payload);
            continue;
        }
        let payload_bytes = frame.payload.len() as u64;
        encode_head(&mut out, &FrameHead { fin: false, opcode: frame.opcode, mask: key, payload_bytes });
        let start = out.len();
        out.extend_from_slice(&frame.payload);
        mask(&mut out[start..], key.unwrap_or_default(), 0);
    }
    out
}

/// Reads `bytes` as `side`, arriving in pieces that end at `cuts`, the way a connection does: what was not consumed
/// is kept and offered again. Gives whole messages only, because how many pieces they came in is the cuts' doing.
fn read(bytes: &[u8], side: Side, cuts: &[usize], limits: Limits) -> (Vec<Seen>, Option<Violation>) {
    let mut ends: Vec<usize> = cuts.iter().map(|cut| cut % (bytes.len() + 1)).collect();
    ends.push(bytes.len());
    ends.sort_unstable();
    let mut reader = MessageReader::new(side, &limits);
    let (mut seen, mut kept, mut message, mut at) = (Vec::new(), Vec::new(), Vec::new(), 0);
    for end in ends {
        kept.extend_from_slice(&bytes[at..end]);
        at = end;
        loop {
            let piece = match reader.read(&mut kept) {
                Ok(piece) => piece,
                Err(violation) => return (seen, Some(violation)),
            };
            assert!(piece.data.start <= piece.data.end && piece.data.end <= piece.consumed);
            assert!(piece.consumed <= kept.len());
            assert_eq!(piece.consumed == 0, piece.event == Event::More);
            let data = &kept[piece.data];
            match piece.event {
                Event::More => break,
                Event::Data { kind, last } => {
                    message.extend_from_slice(data);
                    if last {
                        let whole = std::mem::take(&mut message);
                        seen.push(if kind == Kind::Text { Seen::Text(whole) } else { Seen::Binary(whole) });
                    }
                }
                Event::Ping => seen.push(Seen::Ping(data.to_vec())),
                Event::Pong => seen.push(Seen::Pong(data.to_vec())),
                Event::Close(code) => seen.push(Seen::Close(code.map(|code| (code, data.to_vec())))),
            }
            kept.drain(..piece.consumed);
        }
        assert!(reader.is_closed() || kept.len() <= 130, "{} bytes are kept", kept.len());
    }
    (seen, None)
}

/// A stream whose other end has said all it will say.
struct Pipe {
    input: Cursor<Vec<u8>>,
    output: Vec<u8>,
}

impl Pipe {
    fn new(input: Vec<u8>) -> Self {
        Self { input: Cursor::new(input), output: Vec::new() }
    }
}

impl Read for Pipe {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match self.input.read(buf)? {
            0 => Err(io::ErrorKind::WouldBlock.into()),
            len => Ok(len),
        }
    }
}

impl Write for Pipe {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.output.write(buf)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn role(side: Side) -> Role {
    match side {
        Side::Client => Role::Client,
        Side::Server => Role::Server,
    }
}

/// What the oracle reads, up to a close, the end of the bytes, or what it refuses.
fn read_by_oracle(bytes: Vec<u8>, side: Side, limits: Limits) -> (Vec<Seen>, Option<tungstenite::Error>) {
    let config = WebSocketConfig::default().max_message_size(Some(limits.message_bytes as usize));
    let mut socket = WebSocket::from_raw_socket(Pipe::new(bytes), role(side), Some(config));
    let mut seen = Vec::new();
    loop {
        seen.push(match socket.read() {
            Ok(Message::Text(text)) => Seen::Text(text.as_bytes().to_vec()),
            Ok(Message::Binary(bytes)) => Seen::Binary(bytes.to_vec()),
            Ok(Message::Ping(bytes)) => Seen::Ping(bytes.to_vec()),
            Ok(Message::Pong(bytes)) => Seen::Pong(bytes.to_vec()),
            Ok(Message::Close(frame)) => {
                let content = frame.map(|frame| (frame.code.into(), frame.reason.as_bytes().to_vec()));
                seen.push(Seen::Close(content));
                return (seen, None);
            }
            Ok(Message::Frame(_)) => unreachable!("frames are put together"),
            Err(tungstenite::Error::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => {
                return (seen, None);
            }
            Err(error) => return (seen, Some(error)),
        });
    }
}

/// The frames as the oracle sends them to an end that is `reader`.
fn encode_by_oracle(script: &Script, reader: Side) -> Vec<u8> {
    let other = if reader == Side::Server { Role::Client } else { Role::Server };
    let mut socket = WebSocket::from_raw_socket(Pipe::new(Vec::new()), other, None);
    for Sent { fin, opcode, payload } in &script.frames {
        let payload = payload.clone();
        let data = |data| Message::Frame(Frame::message(payload.clone(), OpCode::Data(data), *fin));
        let message = match opcode {
            Opcode::Continuation => data(Data::Continue),
            Opcode::Text => data(Data::Text),
            Opcode::Binary => data(Data::Binary),
            Opcode::Ping => Message::Ping(payload.into()),
            Opcode::Pong => Message::Pong(payload.into()),
            Opcode::Close => Message::Close(payload.split_first_chunk().map(|(code, reason)| CloseFrame {
                code: CloseCode::from(u16::from_be_bytes(*code)),
                reason: str::from_utf8(reason).unwrap().into(),
            })),
        };
        socket.send(message).unwrap();
    }
    socket.into_inner().output
}

fn side() -> impl Strategy<Value = Side> {
    prop_oneof![Just(Side::Client), Just(Side::Server)]
}

/// Frames that are mostly right, so that mistakes are met beyond the first byte.
fn nearly_frames(side: Side) -> impl Strategy<Value = Vec<u8>> {
    let masked = if side == Side::Server { 0x80 } else { 0 };
    let content = prop_oneof![
        Just(b"".to_vec()),
        Just(b"\xe2".to_vec()),
        Just(b"\x82\xac".to_vec()),
        Just(b"\x03\xe8ok".to_vec()),
        vec(any::<u8>(), 0..6),
        vec(0x20_u8..0x7f, 126..130),
    ];
    let first = prop_oneof![
        8 => prop::sample::select(vec![0x00_u8, 0x01, 0x02, 0x80, 0x81, 0x82, 0x89, 0x8a]),
        1 => Just(0x88_u8),
        1 => any::<u8>(),
    ];
    let frame =
        (first, content, any::<[u8; 4]>(), 0..12_u8).prop_map(move |(first, mut payload, key, odd)| {
            let len = payload.len();
            let short = len as u8 & 0x7f;
            let mut out = match odd {
                0 => vec![first, (masked ^ 0x80) | short],
                1 => vec![first, masked | 0x7e, 0, len as u8],
                2 => vec![first, masked | 0x7f, 0, 0, 0, 0, 0, 0, 0, len as u8],
                _ if len > MAX_CONTROL_BYTES => vec![first, masked | 0x7e, 0, len as u8],
                _ => vec![first, masked | short],
            };
            if masked != 0 {
                out.extend_from_slice(&key);
                mask(&mut payload, key, 0);
            }
            out.extend(payload);
            out
        });
    vec(frame, 0..8).prop_map(|frames| frames.concat())
}

proptest! {
    #[test]
    fn what_is_written_reads_back_wherever_it_is_cut(
        script in script(),
        side in side(),
        key in any::<[u8; 4]>(),
        cuts in vec(any::<usize>(), 0..12),
    ) {
        let bytes = encode(&script.frames, side, key);
        prop_assert_eq!(read(&bytes, side, &cuts, Limits::default()), (script.seen, None));
    }

    #[test]
    fn one_byte_at_a_time_is_enough(script in script(), side in side(), key in any::<[u8; 4]>()) {
        let bytes = encode(&script.frames, side, key);
        prop_assume!(bytes.len() < 2000);
        let cuts: Vec<usize> = (0..bytes.len()).collect();
        prop_assert_eq!(read(&bytes, side, &cuts, Limits::default()), (script.seen, None));
    }

    #[test]
    fn the_oracle_reads_what_we_write(script in script(), side in side(), key in any::<[u8; 4]>()) {
        let bytes = encode(&script.frames, side, key);
        let (seen, refusal) = read_by_oracle(bytes, side, Limits::default());
        prop_assert!(refusal.is_none(), "{:?}", refusal);
        prop_assert_eq!(seen, script.seen);
    }

    #[test]
    fn we_read_what_the_oracle_writes(
        script in script(),
        side in side(),
        cuts in vec(any::<usize>(), 0..12),
    ) {
        let bytes = encode_by_oracle(&script, side);
        prop_assert_eq!(read(&bytes, side, &cuts, Limits::default()), (script.seen, None));
    }

    #[test]
    fn our_closes_are_the_oracles(code in 3000..5000_u16, reason in "\\PC{0,60}", key in any::<[u8; 4]>()) {
        let mut bytes = Vec::new();
        encode_close(&mut bytes, Some(key), code, &reason);
        let (seen, refusal) = read_by_oracle(bytes, Side::Server, Limits::default());
        prop_assert!(refusal.is_none(), "{:?}", refusal);
        let [Seen::Close(Some((read, text)))] = &seen[..] else { panic!("{seen:?}") };
        prop_assert_eq!(*read, code);
        prop_assert!(reason.as_bytes().starts_with(text));
        prop_assert!(text.len() == reason.len() || text.len() > 119);
    }

    #[test]
    fn cutting_any_input_changes_neither_events_nor_refusal(
        (side, bytes) in side().prop_flat_map(|side| (Just(side), nearly_frames(side))),
        cuts in vec(any::<usize>(), 0..12),
        message_bytes in 0..300_u64,
    ) {
        let limits = Limits { message_bytes };
        let whole = read(&bytes, side, &[], limits);
        prop_assert_eq!(&read(&bytes, side, &cuts, limits), &whole);
        let each: Vec<usize> = (0..bytes.len()).collect();
        prop_assert_eq!(&read(&bytes, side, &each, limits), &whole);
        for seen in &whole.0 {
            if let Seen::Text(text) = seen {
                prop_assert!(str::from_utf8(text).is_ok());
            }
            if let Seen::Text(data) | Seen::Binary(data) = seen {
                prop_assert!(data.len() as u64 <= message_bytes);
            }
        }
    }

    #[test]
    fn what_we_accept_the_oracle_accepts_and_reads_alike(
        (side, bytes) in side().prop_flat_map(|side| (Just(side), nearly_frames(side))),
    ) {
        let limits = Limits { message_bytes: 200 };
        if let (ours, None) = read(&bytes, side, &[], limits) {
            let (theirs, refusal) = read_by_oracle(bytes, side, limits);
            prop_assert!(refusal.is_none(), "{:?}", refusal);
            prop_assert_eq!(theirs, ours);
        }
    }

    #[test]
    fn any_bytes_read_the_same_however_they_are_cut(
        bytes in vec(any::<u8>(), 0..200),
        side in side(),
        cuts in vec(any::<usize>(), 0..6),
    ) {
        let whole = read(&bytes, side, &[], Limits::default());
        prop_assert_eq!(read(&bytes, side, &cuts, Limits::default()), whole);
    }

    #[test]
    fn the_oracle_hashes_keys_as_we_do(random in any::<[u8; 16]>()) {
        let key = handshake::key(random);
        let theirs = tungstenite::handshake::derive_accept_key(&key);
        prop_assert_eq!(theirs.as_bytes(), handshake::accept_key(&key));
    }
}

#[test]
fn the_oracle_grants_the_handshake_that_we_ask_for() {
    let key = handshake::key([7; 16]);
    let request = handshake::Request {
        target: "/live?tenant=a",
        host: "app.example:8080",
        key: &key,
        subprotocols: &[],
        fields: &[("Origin", "http://app.example:8080")],
    };
    let mut asked = Vec::new();
    handshake::write_request(&mut asked, &request);
    let socket = tungstenite::accept(Pipe::new(asked)).expect("the request is a handshake");
    let answered = &socket.get_ref().output;
    let mut head = ResponseHead::new();
    assert_eq!(head.parse(answered, Method::Get, &HeadLimits::default()), Ok(true));
    assert_eq!(handshake::check_response(&head, answered, &request), Ok(None));
    assert_eq!(head.len as usize, answered.len());
}

/// A server of ours behind a stream of the oracle's: once a whole request was written, the answer can be read.
struct Served {
    asked: Vec<u8>,
    answer: Cursor<Vec<u8>>,
}

impl Write for Served {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.asked.extend_from_slice(buf);
        let mut head = RequestHead::new();
        if head.parse(&self.asked, &HeadLimits::default()).expect("the oracle asks properly") {
            let accept =
                handshake::check_request(&head, &self.asked).expect("the oracle asks for a WebSocket");
            let chosen = handshake::subprotocols(&head.headers, &self.asked).last();
            handshake::write_response(self.answer.get_mut(), &accept, chosen, &[]);
        }
        Ok(buf.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Read for Served {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.answer.read(buf)
    }
}

#[test]
fn the_oracle_is_content_with_the_handshake_that_we_grant() {
    let stream = Served { asked: Vec::new(), answer: Cursor::new(Vec::new()) };
    let request = tungstenite::ClientRequestBuilder::new("ws://app.example/live".parse().unwrap())
        .with_sub_protocol("chat.v2")
        .with_sub_protocol("chat");
    let (_, response) = tungstenite::client(request, stream).expect("the response grants the handshake");
    assert_eq!(response.headers()["sec-websocket-protocol"], "chat");
}
