//! Writing the parts of an HTTP/1 message into a buffer that the caller keeps and uses again.

use core::fmt;

/// The chunk that ends a chunked body, with an empty trailer section (RFC 9112 section 7.1).
pub const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

/// The end of every chunk that began with [`chunk_head`].
pub const CHUNK_END: &[u8] = b"\r\n";

/// Appends `data` as one chunk. Nothing is written for empty data, since an empty chunk would end the body.
pub fn chunk(out: &mut Vec<u8>, data: &[u8]) {
    if data.is_empty() {
        return;
    }
    chunk_head(out, data.len() as u64);
    out.extend_from_slice(data);
    out.extend_from_slice(CHUNK_END);
}

/// Appends the size line of a chunk of `len` bytes, for payload that is sent from where it lies. The payload and
/// [`CHUNK_END`] have to follow; `len` must not be zero, since that would end the body.
pub fn chunk_head(out: &mut Vec<u8>, len: u64) {
    debug_assert!(len > 0, "an empty chunk ends the body");
    hexadecimal(out, len);
    out.extend_from_slice(b"\r\n");
}

/// Appends the pieces in their order, and makes room for all of them at once.
pub fn pieces(out: &mut Vec<u8>, pieces: &[&[u8]]) {
    out.reserve(pieces.iter().map(|piece| piece.len()).sum());
    for piece in pieces {
        out.extend_from_slice(piece);
    }
}

/// Appends a field line.
pub fn field(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    pieces(out, &[name, b": ", value, b"\r\n"]);
}

/// Appends the Content-Length line.
pub fn content_length(out: &mut Vec<u8>, length: u64) {
    field(out, b"Content-Length", itoa::Buffer::new().format(length).as_bytes());
}

/// Appends a number in decimal.
pub fn decimal(out: &mut Vec<u8>, number: u64) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

/// Appends a number in lower-case hexadecimal, without leading zeros.
pub fn hexadecimal(out: &mut Vec<u8>, number: u64) {
    let digits = (u64::BITS - number.leading_zeros()).div_ceil(4).max(1);
    out.extend((0..digits).rev().map(|digit| b"0123456789abcdef"[(number >> (4 * digit) & 0xf) as usize]));
}

/// Sixteen lower-case hexadecimal digits, leading zeros included.
pub const fn hexadecimal_digits(number: u64) -> [u8; 16] {
    let (high, low) = (eight_digits((number >> 32) as u32), eight_digits(number as u32));
    (((high as u128) << 64) | low as u128).to_be_bytes()
}

/// The digits of one half: its nibbles are spread over eight bytes, and those above nine moved up to the letters, all at
/// once.
const fn eight_digits(number: u32) -> u64 {
    let mut nibbles = number as u64;
    nibbles = (nibbles << 16 | nibbles) & 0x0000_ffff_0000_ffff;
    nibbles = (nibbles << 8 | nibbles) & 0x00ff_00ff_00ff_00ff;
    nibbles = (nibbles << 4 | nibbles) & 0x0f0f_0f0f_0f0f_0f0f;
    let above_nine = (nibbles + 0x0606_0606_0606_0606) >> 4 & 0x0101_0101_0101_0101;
    nibbles + 0x3030_3030_3030_3030 + above_nine * (b'a' - b'0' - 10) as u64
}

/// Appends anything that can be displayed, such as an address, without a string in between.
pub fn display(out: &mut Vec<u8>, value: impl fmt::Display) {
    struct Text<'a>(&'a mut Vec<u8>);

    impl fmt::Write for Text<'_> {
        fn write_str(&mut self, text: &str) -> fmt::Result {
            self.0.extend_from_slice(text.as_bytes());
            Ok(())
        }
    }

    // Appending to a vector cannot fail, so there is no error to lose.
    let _ = fmt::write(&mut Text(out), format_args!("{value}"));
}

/// Appends the status line of an HTTP/1.1 response. The space after the status is there even where there is no
/// phrase (RFC 9112 section 4).
pub fn status_line(out: &mut Vec<u8>, status: u16) {
    status_line_as(out, status, reason(status).as_bytes());
}

/// The same with a phrase of somebody else's.
pub fn status_line_as(out: &mut Vec<u8>, status: u16, phrase: &[u8]) {
    let mut digits = itoa::Buffer::new();
    pieces(out, &[b"HTTP/1.1 ", digits.format(status).as_bytes(), b" ", phrase, b"\r\n"]);
}

/// The reason phrase of a registered status (IANA HTTP Status Code Registry), else the empty string.
pub const fn reason(status: u16) -> &'static str {
    match status {
        100 => "Continue",
        101 => "Switching Protocols",
        102 => "Processing",
        103 => "Early Hints",
        104 => "Upload Resumption Supported",
        200 => "OK",
        201 => "Created",
        202 => "Accepted",
        203 => "Non-Authoritative Information",
        204 => "No Content",
        205 => "Reset Content",
        206 => "Partial Content",
        207 => "Multi-Status",
        208 => "Already Reported",
        226 => "IM Used",
        300 => "Multiple Choices",
        301 => "Moved Permanently",
        302 => "Found",
        303 => "See Other",
        304 => "Not Modified",
        305 => "Use Proxy",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400..=499 => client_reason(status),
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        505 => "HTTP Version Not Supported",
        506 => "Variant Also Negotiates",
        507 => "Insufficient Storage",
        508 => "Loop Detected",
        510 => "Not Extended",
        511 => "Network Authentication Required",
        _ => "",
    }
}

const fn client_reason(status: u16) -> &'static str {
    match status {
        400 => "Bad Request",
        401 => "Unauthorized",
        402 => "Payment Required",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        406 => "Not Acceptable",
        407 => "Proxy Authentication Required",
        408 => "Request Timeout",
        409 => "Conflict",
        410 => "Gone",
        411 => "Length Required",
        412 => "Precondition Failed",
        413 => "Content Too Large",
        414 => "URI Too Long",
        415 => "Unsupported Media Type",
        416 => "Range Not Satisfiable",
        417 => "Expectation Failed",
        421 => "Misdirected Request",
        422 => "Unprocessable Content",
        423 => "Locked",
        424 => "Failed Dependency",
        425 => "Too Early",
        426 => "Upgrade Required",
        428 => "Precondition Required",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        451 => "Unavailable For Legal Reasons",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn numbers_read_as_the_standard_library_writes_them() {
        for number in [0, 1, 9, 10, 15, 16, 255, 256, 4096, 65_535, u64::MAX - 1, u64::MAX] {
            assert_eq!(hexadecimal_digits(number), *format!("{number:016x}").as_bytes());
            assert_eq!(written(|out| decimal(out, number)), number.to_string());
            assert_eq!(written(|out| hexadecimal(out, number)), format!("{number:x}"));
        }
    }

    #[test]
    fn what_can_be_displayed_is_appended() {
        assert_eq!(written(|out| display(out, core::net::Ipv6Addr::LOCALHOST)), "::1");
    }

    #[test]
    fn status_lines_keep_the_space_before_an_empty_phrase() {
        assert_eq!(written(|out| status_line(out, 404)), "HTTP/1.1 404 Not Found\r\n");
        assert_eq!(written(|out| status_line(out, 299)), "HTTP/1.1 299 \r\n");
    }

    #[test]
    fn empty_data_does_not_end_a_chunked_body() {
        assert_eq!(written(|out| chunk(out, b"")), "");
        assert_eq!(written(|out| chunk(out, b"0123456789abcdefg")), "11\r\n0123456789abcdefg\r\n");
    }
}
