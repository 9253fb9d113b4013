//! An answer as it arrives, read without any code of the measured programs, so that it is a witness for all of them.

use crate::problem::{OrProblem, Problem};

/// An answer that has arrived whole.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Status line and fields, in lower case.
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// Reads an answer with a content-length or in chunks, and says how many bytes it takes; none while some are missing.
    pub(crate) fn read(received: &[u8]) -> Result<Option<(Self, usize)>, Problem> {
        let Some(head_bytes) = head_bytes(received) else { return Ok(None) };
        let head = String::from_utf8_lossy(&received[..head_bytes]).to_ascii_lowercase();
        let status = head.split_whitespace().nth(1).and_then(|word| word.parse().ok());
        let status = status.ok_or_else(|| Problem::new(format!("an answer without a status: {head}")))?;
        let mut answer = Self { status, head, body: Vec::new() };
        let rest = &received[head_bytes..];
        let taken = match (answer.field("transfer-encoding"), answer.field("content-length")) {
            (Some(_), _) => chunks(rest, &mut answer.body)?,
            (None, Some(length)) => {
                let length: usize = length.parse().problem("read a content-length")?;
                let body = rest.get(..length);
                answer.body = body.map(<[u8]>::to_vec).unwrap_or_default();
                body.map(<[u8]>::len)
            }
            (None, None) => {
                return Err(Problem::new(format!("an answer without a length: {}", answer.head)));
            }
        };
        Ok(taken.map(|taken| (answer, head_bytes + taken)))
    }

    /// The value of a field, whose name is given in lower case.
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim)
    }

    /// Fails unless status and body are these.
    pub(crate) fn expect(&self, status: u16, body: &[u8], what: &str) -> Result<(), Problem> {
        if self.status != status {
            return Err(Problem::new(format!("{what}: status {} instead of {status}", self.status)));
        }
        match self.body.iter().zip(body).position(|(a, b)| a != b) {
            Some(at) => Err(Problem::new(format!("{what}: byte {at} of the body is another"))),
            None if self.body.len() != body.len() => Err(Problem::new(format!(
                "{what}: {} bytes of body instead of {}",
                self.body.len(),
                body.len()
            ))),
            None => Ok(()),
        }
    }
}

/// The length of the head in bytes, empty line included; none while it is not whole.
pub(crate) fn head_bytes(received: &[u8]) -> Option<usize> {
    end_of(received, b"\r\n\r\n")
}

/// Appends the data of all chunks and returns the bytes that they take; none while some are missing.
fn chunks(received: &[u8], body: &mut Vec<u8>) -> Result<Option<usize>, Problem> {
    let mut at = 0;
    loop {
        let Some(line) = end_of(&received[at..], b"\r\n") else { return Ok(None) };
        let size = String::from_utf8_lossy(&received[at..at + line]);
        let size = size.trim().split(';').next().unwrap_or_default();
        let size = usize::from_str_radix(size, 16).problem("read a chunk's size")?;
        at += line;
        let Some(chunk) = received.get(at..at + size + 2) else { return Ok(None) };
        body.extend_from_slice(&chunk[..size]);
        at += size + 2;
        if size == 0 {
            return Ok(Some(at));
        }
    }
}

fn end_of(bytes: &[u8], mark: &[u8]) -> Option<usize> {
    bytes.windows(mark.len()).position(|window| window == mark).map(|at| at + mark.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHUNKED: &[u8] =
        b"HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1;x\r\nc\r\n0\r\n\r\n";

    #[test]
    fn an_answer_is_read_when_its_last_byte_has_arrived() {
        let plain = b"HTTP/1.1 200 OK\r\nAGE: 3\r\nContent-Length: 3\r\n\r\nabc";
        for (bytes, status) in [(&plain[..], 200), (CHUNKED, 404)] {
            for end in 0..bytes.len() {
                assert_eq!(Answer::read(&bytes[..end]), Ok(None), "{end}");
            }
            let (answer, taken) = Answer::read(&[bytes, b"HTTP"].concat()).expect("read").expect("whole");
            assert_eq!((answer.status, answer.body.as_slice(), taken), (status, &b"abc"[..], bytes.len()));
        }
        let (answer, _) = Answer::read(plain).expect("read").expect("whole");
        assert_eq!((answer.field("age"), answer.field("content")), (Some("3"), None));
    }

    #[test]
    fn a_changed_byte_a_missing_byte_and_another_status_are_told() {
        let answer = Answer { status: 200, head: String::new(), body: b"abc".to_vec() };
        assert_eq!(answer.expect(200, b"abc", "it"), Ok(()));
        let what = |result: Result<(), Problem>| result.expect_err("told").what().to_owned();
        assert_eq!(what(answer.expect(200, b"aXc", "it")), "it: byte 1 of the body is another");
        assert_eq!(what(answer.expect(200, b"abcd", "it")), "it: 3 bytes of body instead of 4");
        assert_eq!(what(answer.expect(500, b"abc", "it")), "it: status 200 instead of 500");
    }

    #[test]
    fn an_answer_without_a_length_is_told() {
        assert!(Answer::read(b"HTTP/1.1 200 OK\r\n\r\nabc").is_err());
    }
}
