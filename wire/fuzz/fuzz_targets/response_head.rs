//! Any bytes as a response head: nothing panics, what is accepted has no ambiguous line ending, and no prefix of it
//! is refused. The first byte chooses the method of the request.

#![no_main]

use libfuzzer_sys::fuzz_target;
use wire::{Framing, Limits, Method, ResponseHead};

fuzz_target!(|data: &[u8]| {
    let Some((&choice, data)) = data.split_first() else { return };
    let method = [Method::Get, Method::Head, Method::Connect, Method::Post][usize::from(choice % 4)];
    let limits = Limits { head_bytes: 2048, headers: 16, ..Limits::default() };
    let mut head = ResponseHead::new();
    if head.parse(data, method, &limits) != Ok(true) {
        return;
    }
    let bytes = &data[..head.len as usize];
    let feeds = bytes.iter().filter(|&&byte| byte == b'\n').count();
    let returns = bytes.iter().filter(|&&byte| byte == b'\r').count();
    let pairs = bytes.windows(2).filter(|pair| pair == b"\r\n").count();
    assert!(feeds == pairs && returns == pairs && !bytes.contains(&0));
    assert!((100..1000).contains(&head.status));
    assert!(head.framing != Framing::Close || !head.keep_alive);
    assert!(head.framing == Framing::None || !(method == Method::Head || head.is_interim() || head.upgrade));

    let mut partial = ResponseHead::new();
    for len in 0..bytes.len() {
        assert_eq!(partial.parse(&bytes[..len], method, &limits), Ok(false), "{len} bytes");
    }
});
