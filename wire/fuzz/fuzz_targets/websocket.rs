//! Any bytes as WebSocket frames, for either end: nothing panics, it makes no difference how they are cut, no message
//! passes its limit, and what was understood survives being written and read again. The first byte chooses the end.

#![no_main]

use libfuzzer_sys::fuzz_target;
use wire::websocket::{
    Event, Kind, Limits, MessageReader, Opcode, Side, Violation, encode_close, encode_frame,
};

/// A text, binary, ping, pong or close, put together; the code only with a close.
type Seen = (Opcode, Option<u16>, Vec<u8>);

const LIMITS: Limits = Limits { message_bytes: 300 };

fuzz_target!(|data: &[u8]| {
    let Some((&choice, data)) = data.split_first() else { return };
    let (side, key) =
        if choice % 2 == 0 { (Side::Client, None) } else { (Side::Server, Some([choice, 2, 3, 4])) };
    let whole = read(data, side, data.len().max(1));
    assert_eq!(read(data, side, 1), whole);
    assert_eq!(read(data, side, 7), whole);

    let (seen, _) = whole;
    let mut bytes = Vec::new();
    for (opcode, code, payload) in &seen {
        match (opcode, code) {
            (Opcode::Close, Some(code)) => {
                let reason = str::from_utf8(payload).expect("a reason is UTF-8");
                encode_close(&mut bytes, key, *code, reason);
            }
            _ => encode_frame(&mut bytes, *opcode, key, payload),
        }
    }
    assert_eq!(read(&bytes, side, 5), (seen, None));
});

/// Reads with at most `step` new bytes at a time; gives what was sent, and why it was refused if it was.
fn read(data: &[u8], side: Side, step: usize) -> (Vec<Seen>, Option<Violation>) {
    let mut reader = MessageReader::new(side, &LIMITS);
    let (mut seen, mut kept, mut message) = (Vec::new(), Vec::new(), Vec::new());
    for new in data.chunks(step) {
        kept.extend_from_slice(new);
        loop {
            let piece = match reader.read(&mut kept) {
                Ok(piece) => piece,
                Err(violation) => return (seen, Some(violation)),
            };
            assert!(piece.data.start <= piece.data.end && piece.data.end <= piece.consumed);
            let data = &kept[piece.data];
            match piece.event {
                Event::More => break,
                Event::Data { kind, last } => {
                    message.extend_from_slice(data);
                    assert!(message.len() as u64 <= LIMITS.message_bytes);
                    if last {
                        let opcode = if kind == Kind::Text { Opcode::Text } else { Opcode::Binary };
                        assert!(kind == Kind::Binary || str::from_utf8(&message).is_ok());
                        seen.push((opcode, None, std::mem::take(&mut message)));
                    }
                }
                Event::Ping => seen.push((Opcode::Ping, None, data.to_vec())),
                Event::Pong => seen.push((Opcode::Pong, None, data.to_vec())),
                Event::Close(code) => seen.push((Opcode::Close, code, data.to_vec())),
            }
            assert!(piece.consumed > 0);
            kept.drain(..piece.consumed);
        }
        assert!(reader.is_closed() || kept.len() <= 130);
    }
    (seen, None)
}
