//! Any bytes as a request head: nothing panics, what is accepted has no ambiguous line ending and reads the same
//! when written again, and no prefix of it is refused.

#![no_main]

use libfuzzer_sys::fuzz_target;
use wire::{Field, Framing, Limits, RequestHead};

fuzz_target!(|data: &[u8]| {
    let limits = Limits { head_bytes: 2048, target_bytes: 256, headers: 16, ..Limits::default() };
    let mut head = RequestHead::new();
    if head.parse(data, &limits) != Ok(true) {
        return;
    }
    let bytes = &data[..head.len as usize];
    let feeds = bytes.iter().filter(|&&byte| byte == b'\n').count();
    let returns = bytes.iter().filter(|&&byte| byte == b'\r').count();
    let pairs = bytes.windows(2).filter(|pair| pair == b"\r\n").count();
    assert!(feeds == pairs && returns == pairs && !bytes.contains(&0));
    // Nobody else can find another end of the body: there is one line that says it, or none.
    let lines = |field| head.headers.all(field).count();
    let said = (lines(Field::ContentLength), lines(Field::TransferEncoding));
    match head.framing {
        Framing::None => assert_eq!(said, (0, 0)),
        Framing::Length(_) => assert_eq!(said, (1, 0)),
        Framing::Chunked => assert_eq!(said, (0, 1)),
        Framing::Close => panic!("a request does not end with the connection"),
    }

    let mut partial = RequestHead::new();
    for len in 0..bytes.len() {
        assert_eq!(partial.parse(&bytes[..len], &limits), Ok(false), "{len} bytes");
    }

    let again = rewritten(&head, bytes);
    let mut second = RequestHead::new();
    assert_eq!(second.parse(&again, &limits), Ok(true));
    assert_eq!(rewritten(&second, &again), again);
    assert_eq!(
        (second.framing, second.keep_alive, second.expect_continue, second.form, second.host_differs),
        (head.framing, head.keep_alive, head.expect_continue, head.form, head.host_differs),
    );
    let (mut bytes_left, mut head_left, mut out) = (bytes.to_vec(), head.clone(), Vec::new());
    head_left.headers.take_cookie(&mut bytes_left, b"a", &mut out);
    assert!(!head_left.headers.take_cookie(&mut bytes_left, b"a", &mut out), "all of them were taken");

    assert_eq!(second.authority.of(&again), head.authority.of(bytes));
    assert_eq!(second.path.of(&again), head.path.of(bytes));
});

/// The head as a proxy would write it from its parts.
fn rewritten(head: &RequestHead, bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    out.extend_from_slice(head.method_name.of(bytes));
    out.push(b' ');
    out.extend_from_slice(head.target.of(bytes));
    out.push(b' ');
    out.extend_from_slice(head.version.as_str().as_bytes());
    out.extend_from_slice(b"\r\n");
    for header in &head.headers {
        out.extend_from_slice(header.name.of(bytes));
        // No space here: with one, a line without any could grow past the limit that it was accepted under.
        out.push(b':');
        out.extend_from_slice(header.value.of(bytes));
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b"\r\n");
    out
}
