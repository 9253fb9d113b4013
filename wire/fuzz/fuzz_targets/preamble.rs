//! Any bytes as a PROXY preamble: nothing panics, no prefix of an accepted one is refused, and what it says
//! survives being written in both versions.

#![no_main]

use libfuzzer_sys::fuzz_target;
use wire::preamble::{self, MAX_V2_BLOCK_BYTES};

fuzz_target!(|data: &[u8]| {
    let Ok(Some((found, len))) = preamble::parse(data) else {
        // Nothing may be asked for beyond the bound.
        assert!(data.len() < 16 + MAX_V2_BLOCK_BYTES || preamble::parse(data).is_err());
        return;
    };
    assert!(len <= data.len());
    for cut in 0..len {
        assert_eq!(preamble::parse(&data[..cut]), Ok(None), "{cut} of {len} bytes");
    }
    for encode in [preamble::encode_v1, preamble::encode_v2] {
        let mut bytes = Vec::new();
        encode(&mut bytes, &found);
        assert_eq!(preamble::parse(&bytes), Ok(Some((found, bytes.len()))));
    }
});
