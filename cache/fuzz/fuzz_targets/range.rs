//! Any bytes as a Range: nothing panics, and what is chosen is there, not empty, and does not touch. The first eight
//! bytes are the length of the whole.

#![no_main]

use cache::range::{self, Choice, MAX_RANGES};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((len, value)) = data.split_first_chunk() else { return };
    let len = u64::from_le_bytes(*len);
    let slices = match range::select(value, len) {
        Choice::Whole | Choice::Unsatisfiable => return,
        Choice::One(slice) => vec![slice],
        Choice::Several(slices) => slices.into_vec(),
    };
    assert!(slices.len() <= MAX_RANGES);
    for (at, slice) in slices.iter().enumerate() {
        assert!(slice.start < slice.end && slice.end <= len);
        assert!(slices[..at].iter().all(|other| slice.end < other.start || other.end < slice.start));
    }
    let head = b"HTTP/1.1 200 OK\r\nContent-Type: a/b\r\n";
    let framed: u64 = slices.iter().map(|slice| slice.len()).sum();
    if framed > 1 << 20 {
        return;
    }
    let mut body = Vec::new();
    for (at, &slice) in slices.iter().enumerate() {
        range::write_part_head(head, slice, len, b"x", at == 0, &mut body);
        body.resize(body.len() + slice.len() as usize, 0);
    }
    range::write_parts_end(b"x", &mut body);
    assert_eq!(range::multipart_len(head, &slices, len, b"x"), body.len() as u64);
});
