//! A client on a plain socket: sends what it is told, reads answers strictly, and says how they ended.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

/// How long a client waits for bytes.
const READ: Duration = Duration::from_secs(30);

/// A byte stream of any kind.
trait Stream: Read + Write + Send {}

impl<T: Read + Write + Send> Stream for T {}

/// A client connection.
pub struct Connection {
    stream: Box<dyn Stream>,
    /// What came behind the last answer.
    ahead: Vec<u8>,
}

/// An answer, whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// Statuses of the interim answers before it.
    pub interim: Vec<u16>,
    pub version: String,
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Response {
    /// Value of a field, the first of that name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// One GET on a connection of its own.
pub fn get(address: SocketAddr, target: &str) -> io::Result<Response> {
    request(address, "GET", target, &[], b"")
}

/// One request on a connection of its own, which is closed behind it.
pub fn request(
    address: SocketAddr,
    method: &str,
    target: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> io::Result<Response> {
    let mut all = headers.to_vec();
    all.push(("Connection", "close"));
    Connection::open(address)?.request(method, target, &all, body)
}

impl Connection {
    /// Connects over TCP.
    pub fn open(address: SocketAddr) -> io::Result<Self> {
        Self::over(TcpStream::connect(address)?)
    }

    /// Uses a TCP connection.
    pub fn over(stream: TcpStream) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(READ))?;
        stream.set_write_timeout(Some(READ))?;
        Ok(Self { stream: Box::new(stream), ahead: Vec::new() })
    }

    /// Connects to a Unix-domain socket.
    pub fn open_unix(path: &Path) -> io::Result<Self> {
        let stream = UnixStream::connect(path)?;
        stream.set_read_timeout(Some(READ))?;
        Ok(Self { stream: Box::new(stream), ahead: Vec::new() })
    }

    /// Sends bytes as they are.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.stream.write_all(bytes.as_ref())
    }

    /// One request and its answer.
    pub fn request(
        &mut self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> io::Result<Response> {
        let chosen = |name: &str| headers.iter().any(|(known, _)| known.eq_ignore_ascii_case(name));
        let mut lines = vec![format!("{method} {target} HTTP/1.1")];
        if !chosen("host") {
            lines.push("Host: example.test".to_owned());
        }
        if !body.is_empty() && !chosen("transfer-encoding") {
            lines.push(format!("Content-Length: {}", body.len()));
        }
        lines.extend(headers.iter().map(|(name, value)| format!("{name}: {value}")));
        let head = lines.join("\r\n") + "\r\n\r\n";
        let mut bytes = head.into_bytes();
        bytes.extend_from_slice(body);
        self.send(bytes)?;
        self.response(method == "HEAD")
    }

    /// One GET and its answer.
    pub fn get(&mut self, target: &str) -> io::Result<Response> {
        self.request("GET", target, &[], b"")
    }

    /// Reads one answer. A body that ends too soon, a reset and a broken head are errors.
    pub fn response(&mut self, is_head: bool) -> io::Result<Response> {
        let mut interim = Vec::new();
        loop {
            let mut response = self.head()?;
            if (100..200).contains(&response.status) && response.status != 101 {
                interim.push(response.status);
                continue;
            }
            response.interim = interim;
            if !is_head && !matches!(response.status, 101 | 204 | 304) {
                self.body(&mut response)?;
            }
            return Ok(response);
        }
    }

    /// Reads so many bytes.
    pub fn take(&mut self, count: usize) -> io::Result<Vec<u8>> {
        while self.ahead.len() < count {
            self.more()?;
        }
        Ok(self.ahead.drain(..count).collect())
    }

    /// Reads everything until the other side ends the connection.
    pub fn rest(&mut self) -> io::Result<Vec<u8>> {
        loop {
            match self.more() {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                    return Ok(std::mem::take(&mut self.ahead));
                }
                Err(error) => return Err(error),
            }
        }
    }

    fn more(&mut self) -> io::Result<()> {
        let mut piece = [0; 16 * 1024];
        match self.stream.read(&mut piece)? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            read => {
                self.ahead.extend_from_slice(&piece[..read]);
                Ok(())
            }
        }
    }

    fn line(&mut self) -> io::Result<String> {
        loop {
            if let Some(end) = self.ahead.windows(2).position(|pair| pair == b"\r\n") {
                let line = self.ahead.drain(..end + 2).take(end).collect();
                return String::from_utf8(line).map_err(|_| wrong("a line that is no text"));
            }
            self.more()?;
        }
    }

    fn head(&mut self) -> io::Result<Response> {
        let line = self.line()?;
        let mut words = line.splitn(3, ' ');
        let version = words.next().filter(|word| word.starts_with("HTTP/1.")).ok_or_else(|| wrong(&line))?;
        let status = words.next().and_then(|word| word.parse().ok()).ok_or_else(|| wrong(&line))?;
        let version = version.to_owned();
        let mut headers = Vec::new();
        loop {
            let line = self.line()?;
            if line.is_empty() {
                return Ok(Response { interim: Vec::new(), version, status, headers, body: Vec::new() });
            }
            let (name, value) = line.split_once(':').ok_or_else(|| wrong(&line))?;
            headers.push((name.to_owned(), value.trim().to_owned()));
        }
    }

    fn body(&mut self, response: &mut Response) -> io::Result<()> {
        if response.header("transfer-encoding").is_some_and(|coding| coding.eq_ignore_ascii_case("chunked")) {
            loop {
                let line = self.line()?;
                let length = usize::from_str_radix(&line, 16).map_err(|_| wrong(&line))?;
                let data = self.take(length)?;
                response.body.extend_from_slice(&data);
                if !self.line()?.is_empty() {
                    return Err(wrong("a chunk without its end"));
                }
                if length == 0 {
                    return Ok(());
                }
            }
        }
        response.body = match response.header("content-length") {
            Some(length) => self.take(length.parse().map_err(|_| wrong(length))?)?,
            None => self.rest()?,
        };
        Ok(())
    }
}

fn wrong(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.to_owned())
}
