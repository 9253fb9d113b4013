//! Before anything is timed: does each peer pass on every byte, both ways?

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

use crate::problem::{OrProblem, Problem};

/// The known bytes that the origin sends and expects; the same rule as in bench/origin/src/message.rs, written apart.
pub(crate) fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|at| b"abcdefghijklmnopqrstuvwxyz"[(at * 7 + at / 64) % 26]).collect()
}

/// Fetches bodies of several sizes and posts one over one kept-alive connection, comparing every byte.
pub(crate) fn check(port: u16) -> Result<(), Problem> {
    let mut client = Client::connect(port)?;
    for length in [0, 1, 1024, 64 * 1024] {
        let answer = client.ask(format!("GET /bytes/{length} HTTP/1.1\r\nHost: bench\r\n\r\n").as_bytes())?;
        answer.expect(200, &pattern(length), &format!("GET of {length} bytes"))?;
    }
    let body = pattern(16 * 1024);
    let head = format!("POST /check/{0} HTTP/1.1\r\nHost: bench\r\nContent-Length: {0}\r\n\r\n", body.len());
    let answer = client.ask(&[head.as_bytes(), &body].concat())?;
    answer.expect(200, b"every byte arrived\n", "POST of 16384 bytes")?;
    // A witness that never says no is none.
    let mut wrong = body;
    wrong[9000] = b'!';
    let answer = client.ask(&[head.as_bytes(), &wrong].concat())?;
    answer.expect(422, b"other bytes arrived\n", "POST of 16384 bytes, one of them wrong")
}

/// A client that reads answers with a content-length or in chunks.
pub(crate) struct Client {
    stream: TcpStream,
    received: Vec<u8>,
}

/// An answer as it arrived.
#[derive(Debug)]
struct Answer {
    status: u16,
    body: Vec<u8>,
}

impl Answer {
    fn expect(&self, status: u16, body: &[u8], what: &str) -> Result<(), Problem> {
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

impl Client {
    /// Connects to a port of the loopback address.
    pub(crate) fn connect(port: u16) -> Result<Self, Problem> {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).problem("connect to a peer")?;
        stream.set_read_timeout(Some(Duration::from_secs(10))).problem("set a deadline")?;
        Ok(Self { stream, received: Vec::new() })
    }

    /// Sends one small request and reads its answer; the connection stays open.
    pub(crate) fn touch(&mut self) -> Result<(), Problem> {
        let answer = self.ask(b"GET /bytes/1024 HTTP/1.1\r\nHost: bench\r\n\r\n")?;
        // Nothing that was only needed for reading may be counted with an idle client, of which there are many.
        self.received = Vec::new();
        answer.expect(200, &pattern(1024), "GET of 1024 bytes")
    }

    fn ask(&mut self, request: &[u8]) -> Result<Answer, Problem> {
        self.stream.write_all(request).problem("send a request")?;
        let head = self.take_past(b"\r\n\r\n")?;
        let head = String::from_utf8_lossy(&head).to_ascii_lowercase();
        let status = head.split_whitespace().nth(1).and_then(|word| word.parse().ok());
        let status = status.ok_or_else(|| Problem::new(format!("an answer without a status: {head}")))?;
        let field = |name: &str| {
            head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim)
        };
        let body = match (field("transfer-encoding"), field("content-length")) {
            (Some(_), _) => self.take_chunks()?,
            (None, Some(length)) => self.take(length.parse().problem("read a content-length")?)?,
            (None, None) => return Err(Problem::new(format!("an answer without a length: {head}"))),
        };
        Ok(Answer { status, body })
    }

    fn take_chunks(&mut self) -> Result<Vec<u8>, Problem> {
        let mut body = Vec::new();
        loop {
            let line = self.take_past(b"\r\n")?;
            let size = String::from_utf8_lossy(&line);
            let size = size.trim().split(';').next().unwrap_or_default();
            let size = usize::from_str_radix(size, 16).problem("read a chunk's size")?;
            let chunk = self.take(size + 2)?;
            body.extend_from_slice(&chunk[..size]);
            if size == 0 {
                return Ok(body);
            }
        }
    }

    fn take(&mut self, count: usize) -> Result<Vec<u8>, Problem> {
        while self.received.len() < count {
            self.receive()?;
        }
        Ok(self.received.drain(..count).collect())
    }

    fn take_past(&mut self, mark: &[u8]) -> Result<Vec<u8>, Problem> {
        loop {
            if let Some(at) = self.received.windows(mark.len()).position(|window| window == mark) {
                return self.take(at + mark.len());
            }
            self.receive()?;
        }
    }

    fn receive(&mut self) -> Result<(), Problem> {
        let mut buffer = [0; 16 * 1024];
        let count = self.stream.read(&mut buffer).problem("read an answer")?;
        if count == 0 {
            return Err(Problem::new("the connection ended within an answer"));
        }
        self.received.extend_from_slice(&buffer[..count]);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use std::io::BufRead;
    use std::net::TcpListener;

    /// Serves one connection, answering each request head with the next text.
    fn serve(answers: &'static [&'static str]) -> u16 {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let port = listener.local_addr().expect("an address").port();
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("a client");
            let mut lines = std::io::BufReader::new(stream.try_clone().expect("a second handle")).lines();
            for answer in answers {
                while lines.next().is_some_and(|line| line.is_ok_and(|line| !line.is_empty())) {}
                stream.write_all(answer.as_bytes()).expect("written");
            }
        });
        port
    }

    #[test]
    fn answers_with_a_length_and_in_chunks_are_read() {
        let port = serve(&[
            "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc",
            "HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1;x\r\nc\r\n0\r\n\r\n",
        ]);
        let mut client = Client::connect(port).expect("connected");
        for status in [200, 404] {
            let answer = client.ask(b"GET / HTTP/1.1\r\n\r\n").expect("answered");
            assert_eq!((answer.status, answer.body.as_slice()), (status, b"abc".as_slice()));
        }
    }

    #[test]
    fn a_changed_byte_a_missing_byte_and_another_status_are_told() {
        let answer = Answer { status: 200, body: b"abc".to_vec() };
        assert_eq!(answer.expect(200, b"abc", "it"), Ok(()));
        let what = |result: Result<(), Problem>| result.expect_err("told").what().to_owned();
        assert_eq!(what(answer.expect(200, b"aXc", "it")), "it: byte 1 of the body is another");
        assert_eq!(what(answer.expect(200, b"abcd", "it")), "it: 3 bytes of body instead of 4");
        assert_eq!(what(answer.expect(500, b"abc", "it")), "it: status 200 instead of 500");
    }

    #[test]
    fn an_answer_that_is_cut_off_is_told() {
        let port = serve(&["HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc"]);
        let problem =
            Client::connect(port).expect("connected").ask(b"GET / HTTP/1.1\r\n\r\n").expect_err("told");
        assert_eq!(problem.what(), "the connection ended within an answer");
    }
}
