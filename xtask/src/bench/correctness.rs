//! Before anything is timed: does each peer pass on every byte, both ways?

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

use crate::problem::{OrProblem, Problem};

use super::answer::Answer;

/// The known bytes that the origin sends and expects; the same rule as in bench/origin/src/message.rs, written apart.
pub(crate) fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|at| b"abcdefghijklmnopqrstuvwxyz"[(at * 7 + at / 64) % 26]).collect()
}

/// Fetches what caches may keep, twice, over one kept-alive connection, comparing every byte, and says whether every
/// second answer told its age. `fetched` says how many requests for it have reached the origin.
pub(crate) fn check_hits(port: u16, fetched: impl Fn() -> Result<u64, Problem>) -> Result<bool, Problem> {
    let mut client = Client::connect(port)?;
    let mut aged = true;
    for length in [0, 1, 100, 1024, 64 * 1024, 1024 * 1024] {
        let request = format!("GET /cached/{length} HTTP/1.1\r\nHost: bench\r\n\r\n");
        let before = fetched()?;
        for what in ["miss", "hit"] {
            let what = format!("{what} of {length} bytes");
            let answer = client.ask(request.as_bytes())?;
            answer.expect(200, &pattern(length), &what)?;
            aged &= what.starts_with("miss") || answer.field("age").is_some();
            let requests = fetched()? - before;
            if requests != 1 {
                return Err(Problem::new(format!("{what}: {requests} requests to the origin instead of 1")));
            }
        }
    }
    Ok(aged)
}

/// Asks the origin itself how often a name has been asked for.
pub(crate) fn count(origin: u16, name: &str) -> Result<u64, Problem> {
    let request = format!("GET /count/{name} HTTP/1.1\r\nHost: bench\r\n\r\n");
    let answer = Client::connect(origin)?.ask(request.as_bytes())?;
    String::from_utf8_lossy(&answer.body).trim().parse().problem("read what the origin counted")
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

/// A client that reads answers one at a time.
pub(crate) struct Client {
    stream: TcpStream,
    received: Vec<u8>,
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

    /// Sends a request and reads its answer.
    pub(crate) fn ask(&mut self, request: &[u8]) -> Result<Answer, Problem> {
        self.stream.write_all(request).problem("send a request")?;
        let mut buffer = [0; 16 * 1024];
        loop {
            if let Some((answer, taken)) = Answer::read(&self.received)? {
                self.received.drain(..taken);
                return Ok(answer);
            }
            let count = self.stream.read(&mut buffer).problem("read an answer")?;
            if count == 0 {
                return Err(Problem::new("the connection ended within an answer"));
            }
            self.received.extend_from_slice(&buffer[..count]);
        }
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
    fn a_hit_that_reached_the_origin_is_told() {
        use std::cell::Cell;
        const HIT: &str = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
        let port = serve(&[HIT, HIT]);
        let asked = Cell::new(0);
        // Read before the miss, after it, and after what should have been a hit.
        let problem = check_hits(port, || Ok([0, 1, 2][asked.replace(asked.get() + 1)])).expect_err("told");
        assert_eq!(problem.what(), "hit of 0 bytes: 2 requests to the origin instead of 1");
        let port = serve(&["HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n7\n"]);
        assert_eq!(count(port, "name"), Ok(7));
    }

    #[test]
    fn an_answer_that_is_cut_off_is_told() {
        let port = serve(&["HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc"]);
        let problem =
            Client::connect(port).expect("connected").ask(b"GET / HTTP/1.1\r\n\r\n").expect_err("told");
        assert_eq!(problem.what(), "the connection ended within an answer");
    }
}
