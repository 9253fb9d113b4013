//! Reading one answer out of what arrives, piece by piece; no IO.
//!
//! An answer that arrives in one piece, as nearly all do, is read in place and nothing of it is kept. Only of one
//! that takes several is the head kept, with the body when somebody wants to see it.

use std::ops::Range;

use wire::{BodyReader, Limits, MAX_HEADERS, Malformed, Method, ResponseHead};

use crate::failure::Failure;

/// Longest body that can be looked at, in bytes. A longer one fails as [`Failure::Body`] when it is wanted, so that
/// no answer can fill the memory of the generator; unwanted bodies are counted and have no limit.
const WANTED_BYTES: usize = 16 * 1024 * 1024;

/// A generator shows what a target does, so it is more patient than a proxy: the limits only bound its memory.
const LIMITS: Limits = Limits {
    head_bytes: 256 * 1024,
    target_bytes: 0,
    headers: MAX_HEADERS as u16,
    chunk_extension_bytes: 64 * 1024,
    trailer_bytes: 256 * 1024,
};

/// An answer on its way.
///
/// ```text
/// Head ──(head whole, not interim)──► Body ──(framing says so, or the connection ends)──► whole
///   └──────(head and body in one piece)───────────────────────────────────────────────────▲
/// ```
#[derive(Debug)]
pub(crate) struct Answer {
    /// How the request asks: of HEAD, no body comes back.
    method: Method,
    wants_body: bool,
    /// A head that is not whole yet; then the head with the wanted body behind it.
    kept: Vec<u8>,
    /// The body's framing, and how long the head before it is.
    body: Option<(BodyReader, usize)>,
    /// Payload so far.
    body_bytes: u64,
    /// Everything so far.
    received: u64,
    /// The status, as soon as it is known.
    status: u16,
}

/// Where a whole answer is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Whole {
    /// Whether it lies in what the answer kept, or in the input.
    pub(crate) place: Place,
    /// Head and what follows it. The [`ResponseHead`] was parsed from this.
    pub(crate) buf: Range<usize>,
    /// The payload, when it was wanted; else empty.
    pub(crate) body: Range<usize>,
    /// Bytes that arrived behind it although nothing was asked for.
    pub(crate) rest: usize,
}

/// In which buffer a whole answer lies.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Place {
    Input,
    Kept,
}

impl Answer {
    pub(crate) const fn new() -> Self {
        Self {
            method: Method::Get,
            wants_body: false,
            kept: Vec::new(),
            body: None,
            body_bytes: 0,
            received: 0,
            status: 0,
        }
    }

    /// Gets ready for the answer to a request.
    pub(crate) fn expect(&mut self, method: Method, wants_body: bool) {
        self.forget();
        self.method = method;
        self.wants_body = wants_body;
        self.body = None;
        self.body_bytes = 0;
        self.received = 0;
        self.status = 0;
    }

    /// The status; 0 before it is known.
    pub(crate) const fn status(&self) -> u16 {
        self.status
    }

    /// Bytes received so far, framing included.
    pub(crate) const fn received(&self) -> u64 {
        self.received
    }

    /// Payload received so far.
    pub(crate) const fn body_bytes(&self) -> u64 {
        self.body_bytes
    }

    /// What was kept, for [`Place::Kept`].
    pub(crate) fn kept(&self) -> &[u8] {
        &self.kept
    }

    /// Forgets what was kept, and its memory.
    pub(crate) fn forget(&mut self) {
        if self.kept.capacity() > 0 {
            self.kept = Vec::new();
        }
    }

    /// Takes what has arrived. `None`: more is needed. When the answer is whole, `head` is its head.
    ///
    /// # Errors
    /// [`Failure::Garbage`] for what is not HTTP, [`Failure::Body`] for a wanted body that is too long to be kept.
    #[inline]
    pub(crate) fn take(&mut self, input: &[u8], head: &mut ResponseHead) -> Result<Option<Whole>, Failure> {
        self.received += input.len() as u64;
        if self.body.is_some() {
            return self.take_body(input, head);
        }
        if self.kept.is_empty() {
            let (start, is_whole) = self.find_head(input, head)?;
            if is_whole {
                return self.take_rest(Place::Input, start, input, head);
            }
            self.kept.extend_from_slice(&input[start..]);
            return Ok(None);
        }
        let mut kept = std::mem::take(&mut self.kept);
        kept.extend_from_slice(input);
        let (start, is_whole) = self.find_head(&kept, head)?;
        if !is_whole {
            kept.drain(..start);
            self.kept = kept;
            return Ok(None);
        }
        let whole = self.take_rest(Place::Kept, start, &kept, head)?;
        if self.body.is_none() && self.kept.is_empty() {
            self.kept = kept;
        }
        Ok(whole)
    }

    /// Takes the end of the connection.
    ///
    /// # Errors
    /// [`Failure::ClosedEarly`] before the first byte, [`Failure::ShortBody`] within the answer.
    pub(crate) fn end(&mut self, head: &mut ResponseHead) -> Result<Whole, Failure> {
        match &mut self.body {
            None if self.received == 0 => Err(Failure::ClosedEarly),
            None => Err(Failure::ShortBody),
            Some((body, _)) => {
                body.finish().map_err(|_| Failure::ShortBody)?;
                self.whole(0, head)
            }
        }
    }

    /// Skips interim answers and says where the final head begins, and whether it is all there.
    fn find_head(&self, buf: &[u8], head: &mut ResponseHead) -> Result<(usize, bool), Failure> {
        let mut start = 0;
        while start < buf.len() {
            if !head.parse(&buf[start..], self.method, &LIMITS).map_err(garbage)? {
                return Ok((start, false));
            }
            if !head.is_interim() {
                return Ok((start, true));
            }
            start += head.len as usize;
        }
        Ok((start, false))
    }

    /// Reads the body behind the head at `start`. One that is there in one piece stays where it is.
    fn take_rest(
        &mut self,
        place: Place,
        start: usize,
        buf: &[u8],
        head: &mut ResponseHead,
    ) -> Result<Option<Whole>, Failure> {
        self.status = head.status;
        let body_at = start + head.len as usize;
        let mut body = BodyReader::new(head.framing, &LIMITS);
        let (mut at, mut pieces, mut payload) = (body_at, 0, body_at..body_at);
        loop {
            let piece = body.read(&buf[at..]).map_err(garbage)?;
            self.body_bytes += piece.data.len() as u64;
            if !piece.data.is_empty() {
                payload = at + piece.data.start..at + piece.data.end;
                pieces += 1;
            }
            at += piece.consumed;
            if piece.done && (pieces <= 1 || !self.wants_body) {
                let body = if self.wants_body { payload } else { body_at..body_at };
                return Ok(Some(Whole { place, buf: start..buf.len(), body, rest: buf.len() - at }));
            }
            if piece.done || piece.consumed == 0 {
                break;
            }
        }
        // It is read once more from its beginning, now to be kept.
        self.body_bytes = 0;
        self.kept = buf[start..body_at].to_vec();
        self.body = Some((BodyReader::new(head.framing, &LIMITS), head.len as usize));
        self.take_body(&buf[body_at..], head)
    }

    fn take_body(&mut self, input: &[u8], head: &mut ResponseHead) -> Result<Option<Whole>, Failure> {
        let Some((body, _)) = &mut self.body else { return Ok(None) };
        let mut at = 0;
        loop {
            let piece = body.read(&input[at..]).map_err(garbage)?;
            self.body_bytes += piece.data.len() as u64;
            if self.wants_body {
                if self.body_bytes > WANTED_BYTES as u64 {
                    return Err(Failure::Body);
                }
                self.kept.extend_from_slice(&input[at..][piece.data]);
            }
            at += piece.consumed;
            if piece.done {
                return self.whole(input.len() - at, head).map(Some);
            }
            if piece.consumed == 0 {
                return Ok(None);
            }
        }
    }

    /// The answer that was kept, with `rest` bytes of the input behind it.
    fn whole(&mut self, rest: usize, head: &mut ResponseHead) -> Result<Whole, Failure> {
        let body_at = self.body.take().map_or(0, |(_, head_len)| head_len);
        // Other answers have used `head` since.
        head.parse(&self.kept, self.method, &LIMITS).map_err(garbage)?;
        Ok(Whole { place: Place::Kept, buf: 0..self.kept.len(), body: body_at..self.kept.len(), rest })
    }
}

fn garbage(_: Malformed) -> Failure {
    Failure::Garbage
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What came out of an answer that arrived in these pieces and then ended.
    #[derive(PartialEq, Debug)]
    struct Seen {
        outcome: Result<(u16, Vec<u8>), Failure>,
        body_bytes: u64,
        rest: usize,
    }

    fn read(method: Method, wants_body: bool, pieces: &[&[u8]]) -> Seen {
        let (mut answer, mut head) = (Answer::new(), ResponseHead::new());
        answer.expect(method, wants_body);
        let mut seen = Seen { outcome: Err(Failure::Unfinished), body_bytes: 0, rest: 0 };
        let (mut whole, mut input) = (Ok(None), &b""[..]);
        for (at, piece) in pieces.iter().enumerate() {
            (whole, input) = (answer.take(piece, &mut head), piece);
            if !matches!(whole, Ok(None)) {
                seen.rest += pieces[at + 1..].iter().map(|piece| piece.len()).sum::<usize>();
                break;
            }
        }
        if let Ok(None) = whole {
            whole = answer.end(&mut head).map(Some);
        }
        seen.body_bytes = answer.body_bytes();
        seen.outcome = whole.map(|whole| {
            let whole = whole.expect("it ended");
            let buf = if whole.place == Place::Input { input } else { answer.kept() };
            assert_eq!(&buf[whole.buf.start..][..5], b"HTTP/", "the head is where it is said to be");
            assert_eq!(head.status, answer.status());
            seen.rest += whole.rest;
            (head.status, buf[whole.body].to_vec())
        });
        seen
    }

    /// The bytes of an answer, and its status and payload or how it fails.
    type Example = (&'static [u8], Result<(u16, &'static [u8]), Failure>);

    /// Answers of every kind.
    const ANSWERS: [Example; 12] = [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", Ok((200, b"hello"))),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", Ok((200, b""))),
        (b"HTTP/1.1 204 No Content\r\n\r\n", Ok((204, b""))),
        (b"HTTP/1.1 200 OK\r\n\r\nto the end", Ok((200, b"to the end"))),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", Ok((200, b"hello"))),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n1\r\n!\r\n0\r\nA: b\r\n\r\n",
            Ok((200, b"hello!")),
        ),
        (
            b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nA: b\r\n\r\nHTTP/1.1 404 No\r\nContent-Length: 2\r\n\r\nno",
            Ok((404, b"no")),
        ),
        (b"", Err(Failure::ClosedEarly)),
        (b"HTTP/1.1 200 O", Err(Failure::ShortBody)),
        (b"HTTP/1.1 100 Continue\r\n\r\n", Err(Failure::ShortBody)),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell", Err(Failure::ShortBody)),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nx", Err(Failure::Garbage)),
    ];

    proptest! {
        #[test]
        fn an_answer_reads_the_same_however_it_is_cut(
            which in 0..ANSWERS.len(),
            wants_body: bool,
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
        ) {
            let (bytes, expected) = &ANSWERS[which];
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
            cuts.sort_unstable();
            cuts.push(bytes.len());
            let mut from = 0;
            let mut pieces = Vec::new();
            for cut in cuts {
                if cut > from {
                    pieces.push(&bytes[from..cut]);
                }
                from = cut;
            }
            let seen = read(Method::Get, wants_body, &pieces);
            let wanted = expected.map(|(status, body)| (status, if wants_body { body.to_vec() } else { Vec::new() }));
            prop_assert_eq!(seen.outcome, wanted);
            prop_assert_eq!(seen.rest, 0);
            if let Ok((_, body)) = expected {
                prop_assert_eq!(seen.body_bytes, body.len() as u64);
            }
        }

        #[test]
        fn whatever_arrives_nothing_panics(bytes: Vec<u8>, tail: Vec<u8>, wants_body: bool) {
            read(Method::Get, wants_body, &[&bytes, &tail]);
            read(Method::Head, wants_body, &[b"HTTP/1.1 200 OK\r\n", &bytes, b"\r\n\r\n", &tail]);
        }
    }

    #[test]
    fn an_answer_in_one_piece_keeps_nothing() {
        let (mut answer, mut head) = (Answer::new(), ResponseHead::new());
        for (bytes, expected) in &ANSWERS {
            answer.expect(Method::Get, false);
            if expected.is_ok() && !bytes.ends_with(b"to the end") {
                assert!(answer.take(bytes, &mut head).unwrap().is_some());
                assert_eq!(answer.kept.capacity(), 0);
            }
        }
    }

    #[test]
    fn bytes_behind_an_answer_are_counted() {
        let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello and more";
        assert_eq!(read(Method::Get, true, &[answer]).rest, 9);
        assert_eq!(read(Method::Get, true, &[&answer[..40], &answer[40..]]).rest, 9);
        assert_eq!(read(Method::Head, true, &[answer]).rest, 14);
    }

    #[test]
    fn only_wanted_bodies_have_a_limit() {
        let length = WANTED_BYTES + 1;
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n");
        let body = vec![b'x'; length];
        assert_eq!(read(Method::Get, true, &[head.as_bytes(), &body]).outcome, Err(Failure::Body));
        let seen = read(Method::Get, false, &[head.as_bytes(), &body]);
        assert_eq!((seen.outcome, seen.body_bytes), (Ok((200, Vec::new())), length as u64));
    }

    #[test]
    fn a_head_without_end_is_garbage_before_it_fills_the_memory() {
        let line = format!("A: {}\r\n", "x".repeat(1000));
        let mut pieces = vec![&b"HTTP/1.1 200 OK\r\n"[..]];
        pieces.resize(1000, line.as_bytes());
        assert_eq!(read(Method::Get, false, &pieces).outcome, Err(Failure::Garbage));
    }
}
