//! A place in a buffer. Heads keep spans instead of slices, so that they can live beside the buffer that they
//! describe and be used again for the next message.

use core::ops::Range;

/// A half-open range of bytes in the buffer that was parsed. Only meaningful together with that buffer.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Span {
    start: u32,
    end: u32,
}

impl Span {
    /// The span from `start` up to, not including, `end`, in bytes from the start of the buffer.
    pub const fn new(start: u32, end: u32) -> Self {
        Self { start, end }
    }

    /// The bytes that this span covers.
    ///
    /// # Panics
    /// When `buf` is shorter than the buffer that was parsed.
    #[inline]
    pub fn of(self, buf: &[u8]) -> &[u8] {
        &buf[self.range()]
    }

    /// First byte.
    pub const fn start(self) -> u32 {
        self.start
    }

    /// One past the last byte.
    pub const fn end(self) -> u32 {
        self.end
    }

    /// Length in bytes.
    pub const fn len(self) -> usize {
        (self.end - self.start) as usize
    }

    /// Whether the span covers nothing.
    pub const fn is_empty(self) -> bool {
        self.end == self.start
    }

    /// The same as a range, to index with.
    pub const fn range(self) -> Range<usize> {
        self.start as usize..self.end as usize
    }

    /// Where `part`, a slice of `buf`, lies in it. A part that is not inside `buf` (an empty constant, say)
    /// gives the empty span.
    #[inline]
    pub(crate) fn locate(buf: &[u8], part: &[u8]) -> Self {
        let start = part.as_ptr().addr().wrapping_sub(buf.as_ptr().addr());
        if start > buf.len() || part.len() > buf.len() - start {
            return Self::default();
        }
        Self { start: start as u32, end: (start + part.len()) as u32 }
    }

    /// The part of this span from `from` up to `to`, both in bytes from its start.
    #[inline]
    pub(crate) const fn part(self, from: usize, to: usize) -> Self {
        Self { start: self.start + from as u32, end: self.start + to as u32 }
    }
}

#[cfg(test)]
mod tests {
    use super::Span;

    #[test]
    fn a_located_part_reads_back_the_same() {
        let buf = b"GET / HTTP/1.1";
        assert_eq!(Span::locate(buf, &buf[4..5]), Span::new(4, 5));
        assert_eq!(Span::locate(buf, &buf[14..]), Span::new(14, 14));
        assert_eq!(Span::new(6, 14).part(5, 8).of(buf), b"1.1");
    }

    #[test]
    fn a_part_of_another_buffer_is_the_empty_span() {
        let buf = vec![0_u8; 8];
        let other = vec![0_u8; 8];
        assert_eq!(Span::locate(&buf, &other), Span::default());
    }
}
