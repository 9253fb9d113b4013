//! The header lines of one head: fixed slots of spans, in the order they were sent.

use core::fmt;

use crate::{Field, Limits, MAX_HEADERS, Malformed, Span};

/// One header line.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Header {
    /// The name as it was sent.
    pub name: Span,
    /// The value without the whitespace around it; may be empty.
    pub value: Span,
    /// Which of the known names it is.
    pub field: Field,
}

/// The header lines of a head, in the order they were sent. Never allocates; a new head overwrites the old.
#[derive(Clone)]
pub struct Headers {
    slots: [Header; MAX_HEADERS],
    len: usize,
    /// Bits of the fields that occur, so that asking for an absent one costs nothing.
    present: u64,
    /// Bits of the fields that occur more than once.
    repeated: u64,
}

impl Headers {
    /// No header lines.
    pub const fn new() -> Self {
        const EMPTY: Header = Header { name: Span::new(0, 0), value: Span::new(0, 0), field: Field::Other };
        Self { slots: [EMPTY; MAX_HEADERS], len: 0, present: 0, repeated: 0 }
    }

    /// How many lines there are.
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// All lines as a slice.
    #[inline]
    pub fn as_slice(&self) -> &[Header] {
        &self.slots[..self.len]
    }

    /// All lines.
    #[inline]
    pub fn iter(&self) -> core::slice::Iter<'_, Header> {
        self.as_slice().iter()
    }

    /// Whether a line with this field occurs.
    #[inline]
    pub const fn contains(&self, field: Field) -> bool {
        self.present & field.bit() != 0
    }

    /// Whether more than one line with this field occurs.
    #[inline]
    pub const fn repeats(&self, field: Field) -> bool {
        self.repeated & field.bit() != 0
    }

    /// The first line with this field.
    #[inline]
    pub fn get(&self, field: Field) -> Option<Header> {
        if !self.contains(field) {
            return None;
        }
        self.iter().find(|header| header.field == field).copied()
    }

    /// Every line with this field.
    #[inline]
    pub fn all(&self, field: Field) -> impl Iterator<Item = Header> + '_ {
        let lines = if self.contains(field) { self.as_slice() } else { &[] };
        lines.iter().filter(move |header| header.field == field).copied()
    }

    /// The first line with this name, whatever its case. `buf` is the buffer that was parsed.
    pub fn find(&self, buf: &[u8], name: &[u8]) -> Option<Header> {
        match Field::classify(name) {
            Field::Other => {
                self.all(Field::Other).find(|header| header.name.of(buf).eq_ignore_ascii_case(name))
            }
            field => self.get(field),
        }
    }

    /// Whether a Connection line names `name`, which makes that header one of this connection alone
    /// (RFC 9110 section 7.6.1).
    pub fn named_by_connection(&self, buf: &[u8], name: &[u8]) -> bool {
        connection_options(buf, self).any(|option| option.eq_ignore_ascii_case(name))
    }

    /// Takes every cookie of this name out of the Cookie lines (RFC 6265 section 4.2.1), in `buf` as well, which is what
    /// was parsed; the value of the first one goes to `out`. True: there was one.
    pub fn take_cookie(&mut self, buf: &mut [u8], name: &[u8], out: &mut Vec<u8>) -> bool {
        if !self.contains(Field::Cookie) {
            return false;
        }
        let mut is_found = false;
        for header in &mut self.slots[..self.len] {
            if header.field == Field::Cookie {
                is_found |= take_from_line(&mut header.value, buf, name, (!is_found).then_some(&mut *out));
            }
        }
        if is_found {
            self.drop_empty(Field::Cookie);
        }
        is_found
    }

    /// Drops the lines of a field that hold nothing.
    fn drop_empty(&mut self, field: Field) {
        let (mut len, mut left) = (0, 0);
        for at in 0..self.len {
            let header = self.slots[at];
            if header.field == field && header.value.is_empty() {
                continue;
            }
            left += u32::from(header.field == field);
            self.slots[len] = header;
            len += 1;
        }
        self.len = len;
        if left < 2 {
            self.repeated &= !field.bit();
        }
        if left < 1 {
            self.present &= !field.bit();
        }
    }

    /// Takes the lines that the tokeniser found in `buf` in place of the old ones.
    pub(crate) fn fill(&mut self, buf: &[u8], lines: &[httparse::Header<'_>]) -> Result<(), Malformed> {
        let (mut present, mut repeated) = (0, 0);
        for (slot, line) in self.slots.iter_mut().zip(lines) {
            let name = line.name.as_bytes();
            let field = Field::classify(name);
            if field == Field::Other && imitates_framing(name) {
                return Err(Malformed::FramingLookalike);
            }
            repeated |= present & field.bit();
            present |= field.bit();
            *slot = Header { name: Span::locate(buf, name), value: Span::locate(buf, line.value), field };
            // The tokeniser lets a line end without its carriage return.
            let before = &buf[..slot.name.range().start];
            if !before.is_empty() && !before.ends_with(b"\r\n") {
                return Err(Malformed::BareLf);
            }
        }
        self.len = lines.len();
        self.present = present;
        self.repeated = repeated;
        Ok(())
    }

    /// Forgets every line.
    pub(crate) fn clear(&mut self) {
        self.len = 0;
        self.present = 0;
        self.repeated = 0;
    }
}

impl Default for Headers {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl<'h> IntoIterator for &'h Headers {
    type Item = &'h Header;
    type IntoIter = core::slice::Iter<'h, Header>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// The options of every Connection line, in order, without the whitespace around them (RFC 9110 section
/// 7.6.1). They are compared without regard to case.
pub fn connection_options<'b>(buf: &'b [u8], headers: &'b Headers) -> impl Iterator<Item = &'b [u8]> + 'b {
    headers.all(Field::Connection).flat_map(move |header| list(header.value.of(buf)))
}

/// The members of a comma-separated list, trimmed; empty ones are skipped (RFC 9110 section 5.6.1).
pub(crate) fn list(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|&byte| byte == b',').map(<[u8]>::trim_ascii).filter(|member| !member.is_empty())
}

/// Takes the cookies of this name out of one line, which only becomes shorter.
fn take_from_line(line: &mut Span, buf: &mut [u8], name: &[u8], mut out: Option<&mut Vec<u8>>) -> bool {
    let named =
        |pair: &[u8]| pair.trim_ascii().strip_prefix(name).is_some_and(|rest| rest.first() == Some(&b'='));
    let text = &mut buf[line.range()];
    if !text.split(|&byte| byte == b';').any(named) {
        return false;
    }
    let (mut read, mut written) = (0, 0);
    while read <= text.len() {
        let end = text[read..].iter().position(|&byte| byte == b';').map_or(text.len(), |at| read + at);
        if !named(&text[read..end]) {
            if written > 0 {
                text[written] = b';';
                written += 1;
            }
            text.copy_within(read..end, written);
            written += end - read;
        } else if let Some(out) = out.take() {
            let pair = text[read..end].trim_ascii();
            out.extend_from_slice(&pair[name.len() + 1..]);
        }
        read = end + 1;
    }
    let kept = &text[..written];
    let blank = kept.len() - kept.trim_ascii_start().len();
    *line = line.part(blank, written.max(blank));
    true
}

/// How many slots these limits allow.
pub(crate) fn slots(limits: &Limits) -> usize {
    (limits.headers as usize).min(MAX_HEADERS)
}

/// Whether a name is one of the framing fields with `_` in place of `-`. CGI, WSGI and Rack spell both alike,
/// so an app could see a length or a coding that this proxy did not.
fn imitates_framing(name: &[u8]) -> bool {
    let framing: &[u8] = match name.len() {
        14 => b"content-length",
        17 => b"transfer-encoding",
        _ => return false,
    };
    name.iter()
        .zip(framing)
        .all(|(&sent, &real)| sent.to_ascii_lowercase() == real || (sent == b'_' && real == b'-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUF: &[u8] =
        b"Connection: close, X-One\r\nX-One: 1\r\nHost: a\r\nconnection:  upgrade ,,\r\nx-one: 2\r\n\r\n";

    fn parsed() -> Headers {
        let mut lines = [httparse::EMPTY_HEADER; 8];
        let httparse::Status::Complete((_, lines)) = httparse::parse_headers(BUF, &mut lines).unwrap() else {
            panic!("incomplete")
        };
        let mut headers = Headers::new();
        headers.fill(BUF, lines).unwrap();
        headers
    }

    #[test]
    fn lines_are_found_by_field_and_by_name() {
        let headers = parsed();
        assert_eq!(headers.len(), 5);
        assert_eq!(headers.get(Field::Host).unwrap().value.of(BUF), b"a");
        assert_eq!(headers.find(BUF, b"x-ONE").unwrap().value.of(BUF), b"1");
        assert_eq!(headers.find(BUF, b"HOST").unwrap().value.of(BUF), b"a");
        assert_eq!(headers.find(BUF, b"x-two"), None);
        assert_eq!(headers.get(Field::Te), None);
        assert_eq!(headers.all(Field::Connection).count(), 2);
        assert!(headers.repeats(Field::Connection) && !headers.repeats(Field::Host));
    }

    #[test]
    fn connection_options_span_all_lines_and_skip_empty_members() {
        let headers = parsed();
        let options: Vec<&[u8]> = connection_options(BUF, &headers).collect();
        assert_eq!(options, [b"close".as_slice(), b"X-One", b"upgrade"]);
        assert!(headers.named_by_connection(BUF, b"x-one"));
        assert!(!headers.named_by_connection(BUF, b"host"));
    }

    #[test]
    fn underscores_do_not_make_a_second_length() {
        assert!(imitates_framing(b"Content_Length"));
        assert!(imitates_framing(b"transfer_Encoding"));
        assert!(!imitates_framing(b"content.length"));
        assert!(!imitates_framing(b"x_forwarded_for"));
    }
}
