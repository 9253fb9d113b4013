//! Any bytes as a chunked body: nothing panics, and it makes no difference whether they come whole or one by one.

#![no_main]

use libfuzzer_sys::fuzz_target;
use wire::{BodyReader, Framing, Limits, Malformed, encode};

fuzz_target!(|data: &[u8]| {
    let whole = read(data, data.len().max(1));
    assert_eq!(read(data, 1), whole);
    assert_eq!(read(data, 7), whole);
    let Ok((payload, _, true)) = whole else { return };
    // What came out survives being written as chunks and read again.
    let mut bytes = Vec::new();
    payload.chunks(5).for_each(|part| encode::chunk(&mut bytes, part));
    bytes.extend_from_slice(encode::LAST_CHUNK);
    let len = bytes.len();
    assert_eq!(read(&bytes, len), Ok((payload, len, true)));
});

/// Reads with at most `step` new bytes at a time; gives the payload, the bytes consumed, and whether it ended.
fn read(data: &[u8], step: usize) -> Result<(Vec<u8>, usize, bool), Malformed> {
    let limits = Limits { chunk_extension_bytes: 16, trailer_bytes: 16, ..Limits::default() };
    let mut reader = BodyReader::new(Framing::Chunked, &limits);
    let (mut payload, mut at, mut end) = (Vec::new(), 0, 0);
    loop {
        let piece = reader.read(&data[at..end])?;
        assert!(piece.data.start <= piece.data.end && piece.data.end <= piece.consumed);
        payload.extend_from_slice(&data[at..end][piece.data]);
        at += piece.consumed;
        if piece.done {
            assert_eq!(reader.finish(), Ok(()));
            return Ok((payload, at, true));
        }
        if piece.consumed == 0 {
            if end == data.len() {
                assert_eq!(reader.finish(), Err(Malformed::Truncated));
                return Ok((payload, at, false));
            }
            end = (end + step).min(data.len());
        }
    }
}
