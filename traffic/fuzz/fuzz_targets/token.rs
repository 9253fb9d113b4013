//! Any bytes as the cookie of a waiting room: none is believed that the room has not signed, and of those that it has none
//! is believed when a byte of it was changed, or by another room.

#![no_main]

use libfuzzer_sys::fuzz_target;
use traffic::room::{Claim, Invalid, Key, TOKEN_LEN};

fuzz_target!(|data: &[u8]| {
    let (key, sale) = (Key::new(b"secret", "main"), Key::new(b"secret", "sale"));
    // Nobody finds a signature by chance.
    assert!(key.read(data).is_err());
    let Some((at, rest)) = data.split_first() else { return };
    let long = |at: usize| rest.get(at..at + 8).map_or(0, |bytes| u64::from_le_bytes(bytes.try_into().unwrap()));
    let (number, mark, stamp) = (long(0), long(8), long(16) as u32);
    let claim = if long(17) % 2 == 0 {
        Claim::Place { number, called: mark, stamp_s: stamp }
    } else {
        Claim::Pass { number, client: mark, seen_s: stamp }
    };
    let token = key.sign(claim);
    let mut text = token.as_str().as_bytes().to_vec();
    assert_eq!(key.read(&text), Ok(claim));
    assert_eq!(sale.read(&text), Err(Invalid::ForeignRoom));
    let at = usize::from(*at) % TOKEN_LEN;
    let to = rest.last().copied().unwrap_or_default();
    if text[at] != to {
        text[at] = to;
        assert!(key.read(&text).is_err());
    }
    assert_eq!(key.read(&text[..at]), Err(Invalid::Malformed));
});
