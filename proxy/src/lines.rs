//! Field lines on their way from one message into another.

use std::ops::Range;

use wire::Header;
use wire::encode::field;

/// Writes the kept lines of a message into another. Lines that lie behind one another, spelt as
/// they would be written anyway, go over in one piece.
pub struct Lines<'a> {
    out: &'a mut Vec<u8>,
    buffer: &'a [u8],
    run: Range<usize>,
}

impl<'a> Lines<'a> {
    /// Nothing kept yet; `buffer` is what the message was parsed from.
    pub fn new(out: &'a mut Vec<u8>, buffer: &'a [u8]) -> Self {
        Self { out, buffer, run: 0..0 }
    }

    /// The same behind a first line that goes over as it came.
    pub fn behind(out: &'a mut Vec<u8>, buffer: &'a [u8], first: Range<usize>) -> Self {
        Self { out, buffer, run: first }
    }

    /// Keeps a line.
    #[inline]
    pub fn keep(&mut self, header: &Header) {
        let (name, value) = (header.name.range(), header.value.range());
        let end = value.end + 2;
        let is_plain = self.buffer.get(name.end..value.start) == Some(b": ")
            && self.buffer.get(value.end..end) == Some(b"\r\n");
        if !is_plain {
            self.write();
            field(self.out, &self.buffer[name], &self.buffer[value]);
            return;
        }
        if self.run.end != name.start {
            self.write();
            self.run.start = name.start;
        }
        self.run.end = end;
    }

    fn write(&mut self) {
        self.out.extend_from_slice(&self.buffer[std::mem::take(&mut self.run)]);
    }
}

impl Drop for Lines<'_> {
    fn drop(&mut self) {
        self.write();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::{Limits, RequestHead};

    fn kept(head: &str, keep: impl Fn(&[u8]) -> bool) -> String {
        let mut request = RequestHead::new();
        assert_eq!(request.parse(head.as_bytes(), &Limits::default()), Ok(true));
        let mut out = Vec::new();
        let mut lines = Lines::new(&mut out, head.as_bytes());
        for header in &request.headers {
            if keep(header.name.of(head.as_bytes())) {
                lines.keep(header);
            }
        }
        drop(lines);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn lines_are_written_in_one_spelling_and_without_those_that_are_left_out() {
        let head =
            "GET / HTTP/1.1\r\nHost: a\r\nA: 1\r\nB:2\r\nC:   3  \r\nD: 4\r\nE: 5\r\nF:\r\nG: 7\r\n\r\n";
        assert_eq!(
            kept(head, |name| name != b"Host" && name != b"D"),
            "A: 1\r\nB: 2\r\nC: 3\r\nE: 5\r\nF: \r\nG: 7\r\n"
        );
        assert_eq!(kept(head, |_| false), "");
    }
}
