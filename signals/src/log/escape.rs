//! Bytes of clients as text that no line can be forged with.
//!
//! A byte that is no part of valid UTF-8 is written as `\xHH` in both formats (in JSON as the four characters, with
//! the backslash escaped as JSON wants it): nothing is lost, and every reader can tell what it was.

const HEX: &[u8; 16] = b"0123456789abcdef";

/// Appends `bytes` as the inside of a JSON string (RFC 8259 section 7).
#[inline]
pub(crate) fn json(out: &mut Vec<u8>, bytes: &[u8]) {
    if is_plain(bytes) {
        out.extend_from_slice(bytes);
    } else {
        json_escaped(out, bytes);
    }
}

/// Whether there is nothing to escape in either format, which is so for nearly all that clients send. Counting
/// instead of leaving at the first find lets the compiler look at many bytes at a time.
#[inline]
fn is_plain(bytes: &[u8]) -> bool {
    let is_special = |byte: u8| !(b' '..0x7f).contains(&byte) || byte == b'"' || byte == b'\\';
    bytes.iter().map(|&byte| usize::from(is_special(byte))).sum::<usize>() == 0
}

#[cold]
fn json_escaped(out: &mut Vec<u8>, bytes: &[u8]) {
    for chunk in bytes.utf8_chunks() {
        json_text(out, chunk.valid());
        for &byte in chunk.invalid() {
            out.extend_from_slice(&[b'\\', b'\\', b'x', high(byte), low(byte)]);
        }
    }
}

/// Text is copied in runs between what is to be escaped.
fn json_text(out: &mut Vec<u8>, text: &str) {
    let bytes = text.as_bytes();
    let mut copied = 0;
    for (index, &byte) in bytes.iter().enumerate() {
        if byte >= b' ' && byte != b'"' && byte != b'\\' && byte != 0x7f {
            continue;
        }
        out.extend_from_slice(&bytes[copied..index]);
        copied = index + 1;
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            other => out.extend_from_slice(&[b'\\', b'u', b'0', b'0', high(other), low(other)]),
        }
    }
    out.extend_from_slice(&bytes[copied..]);
}

/// Appends `bytes` as the inside of a quoted field of the combined format: quotes and backslashes behind a backslash,
/// everything that is not printable ASCII as `\xHH`, as the web servers do that made the format.
#[inline]
pub(crate) fn combined(out: &mut Vec<u8>, bytes: &[u8]) {
    if is_plain(bytes) {
        out.extend_from_slice(bytes);
    } else {
        combined_escaped(out, bytes);
    }
}

#[cold]
fn combined_escaped(out: &mut Vec<u8>, bytes: &[u8]) {
    for &byte in bytes {
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            b' '..=b'~' => out.push(byte),
            other => out.extend_from_slice(&[b'\\', b'x', high(other), low(other)]),
        }
    }
}

const fn high(byte: u8) -> u8 {
    HEX[(byte >> 4) as usize]
}

const fn low(byte: u8) -> u8 {
    HEX[(byte & 15) as usize]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn in_json(bytes: &[u8]) -> String {
        let mut out = Vec::new();
        json(&mut out, bytes);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn json_escapes_what_the_format_demands() {
        assert_eq!(in_json(b"a\"b\\c\n\r\t\x00\x1f\x7f"), r#"a\"b\\c\n\r\t\u0000\u001f\u007f"#);
        assert_eq!(in_json("grüße 🌊".as_bytes()), "grüße 🌊");
        assert_eq!(in_json(b"caf\xe9 \xf0\x9f\x8c"), r"caf\\xe9 \\xf0\\x9f\\x8c");
    }

    #[test]
    fn combined_leaves_printable_ascii_only() {
        let mut out = Vec::new();
        combined(&mut out, b"a\"b\\c\n\x00\xe9~");
        assert_eq!(out, br#"a\"b\\c\x0a\x00\xe9~"#);
    }

    proptest! {
        #[test]
        fn json_gives_valid_text_back_unchanged(text in any::<String>()) {
            let line = format!("\"{}\"", in_json(text.as_bytes()));
            prop_assert_eq!(serde_json::from_str::<String>(&line).unwrap(), text);
        }

        #[test]
        fn json_of_any_bytes_is_one_valid_string_on_one_line(bytes in any::<Vec<u8>>()) {
            let line = format!("\"{}\"", in_json(&bytes));
            prop_assert!(!line.bytes().any(|byte| byte < b' '));
            let text = serde_json::from_str::<String>(&line).unwrap();
            let mut expected = String::new();
            for chunk in bytes.utf8_chunks() {
                expected.push_str(chunk.valid());
                expected.extend(chunk.invalid().iter().map(|byte| format!("\\x{byte:02x}")));
            }
            prop_assert_eq!(text, expected);
        }
    }
}
