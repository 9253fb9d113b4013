//! An app whose every byte is scripted by the test: a thread per connection.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;

/// A scripted origin; takes no more connections once dropped.
pub struct Origin {
    pub address: SocketAddr,
    accepted: Arc<AtomicUsize>,
    stopped: Arc<AtomicBool>,
    accepting: Option<JoinHandle<()>>,
}

impl Origin {
    /// Plays `script` on every connection.
    pub fn start(script: impl Fn(TcpStream) -> io::Result<()> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let address = listener.local_addr().expect("it is bound");
        let (accepted, stopped) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let (count, stop, script) = (Arc::clone(&accepted), Arc::clone(&stopped), Arc::new(script));
        let accepting = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if stop.load(Ordering::Relaxed) {
                    return;
                }
                let Ok(stream) = stream else { continue };
                count.fetch_add(1, Ordering::Relaxed);
                let script = Arc::clone(&script);
                // How a connection ends is seen at the other side.
                std::thread::spawn(move || drop(script(stream)));
            }
        });
        Self { address, accepted, stopped, accepting: Some(accepting) }
    }

    /// Answers every request with what `answer` makes of it.
    pub fn answering(answer: impl Fn(&Heard) -> Vec<u8> + Send + Sync + 'static) -> Self {
        Self::start(move |stream| {
            let mut reader = BufReader::new(stream.try_clone()?);
            let mut stream = stream;
            while let Some(heard) = Heard::read(&mut reader)? {
                stream.write_all(&answer(&heard))?;
            }
            Ok(())
        })
    }

    /// Connections taken.
    pub fn accepted(&self) -> usize {
        self.accepted.load(Ordering::Relaxed)
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::Relaxed);
        // One last connection wakes the accept.
        drop(TcpStream::connect(self.address));
        if let Some(accepting) = self.accepting.take() {
            // A panic there has failed the test already.
            let _ = accepting.join();
        }
    }
}

/// A request as an origin heard it.
#[derive(Debug)]
pub struct Heard {
    pub line: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Heard {
    /// Reads a request; `None` when the connection ended between two.
    pub fn read(reader: &mut impl BufRead) -> io::Result<Option<Self>> {
        let Some(line) = read_line(reader)? else { return Ok(None) };
        let mut headers = Vec::new();
        while let Some(line) = read_line(reader)?.filter(|line| !line.is_empty()) {
            let (name, value) = line.split_once(':').unwrap_or((&line, ""));
            headers.push((name.to_owned(), value.trim().to_owned()));
        }
        let mut heard = Self { line, headers, body: Vec::new() };
        if heard.header("transfer-encoding").is_some() {
            loop {
                let size = read_line(reader)?.unwrap_or_default();
                let size = u64::from_str_radix(&size, 16).map_err(io::Error::other)?;
                reader.take(size).read_to_end(&mut heard.body)?;
                read_line(reader)?;
                if size == 0 {
                    return Ok(Some(heard));
                }
            }
        }
        let length = heard.header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
        reader.take(length).read_to_end(&mut heard.body)?;
        Ok(Some(heard))
    }

    /// Value of a field, the first of that name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// An answer that says 200 and this.
    pub fn ok(body: impl AsRef<[u8]>) -> Vec<u8> {
        let body = body.as_ref();
        let mut answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len()).into_bytes();
        answer.extend_from_slice(body);
        answer
    }
}

fn read_line(reader: &mut impl BufRead) -> io::Result<Option<String>> {
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    Ok(Some(line.trim_end_matches(['\r', '\n']).to_owned()))
}
