//! Any bytes as a response head: nothing panics, what is accepted has no ambiguous line ending and reads the same
//! when written again, and no prefix of it is refused. The first byte chooses the method of the request.

#![no_main]

use libfuzzer_sys::fuzz_target;
use wire::{Field, Framing, Limits, Method, ResponseHead};

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

    let again = rewritten(&head, bytes);
    let mut second = ResponseHead::new();
    assert_eq!(second.parse(&again, method, &Limits::default()), Ok(true));
    assert_eq!(rewritten(&second, &again), again);
    assert_eq!(
        (second.status, second.framing, second.keep_alive, second.names_fields, second.upgrade),
        (head.status, head.framing, head.keep_alive, head.names_fields, head.upgrade),
    );
    // Nobody else can find another end of the body: there is one length, or a coding, never both.
    let (length, coding) =
        (head.headers.contains(Field::ContentLength), head.headers.contains(Field::TransferEncoding));
    assert!(!(length && coding));
    match head.framing {
        Framing::Length(_) => assert!(length),
        Framing::Chunked => assert!(coding),
        Framing::Close => assert!(!length),
        Framing::None => {}
    }
});

/// The head as a proxy would write it from its parts.
fn rewritten(head: &ResponseHead, bytes: &[u8]) -> Vec<u8> {
    let mut out = format!("{} {} ", head.version.as_str(), head.status).into_bytes();
    out.extend_from_slice(head.reason.of(bytes));
    out.extend_from_slice(b"\r\n");
    for header in &head.headers {
        for part in [header.name.of(bytes), b":", header.value.of(bytes), b"\r\n"] {
            out.extend_from_slice(part);
        }
    }
    out.extend_from_slice(b"\r\n");
    out
}
