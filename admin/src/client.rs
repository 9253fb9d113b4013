//! Asks the admin listener on behalf of the command line: one request per connection, blocking, with a deadline.
//!
//! Requests are HTTP/1.0, so that an answer is either as long as it says or ends with the connection, and there is
//! nothing to decode. `Host` is the address that was connected to, which is what [`crate::guard`] asks for.

use core::fmt;
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;
use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Instant;

use serde::de::DeserializeOwned;

use crate::control::SurgeOrder;
use crate::status::Status;
use crate::stored::{PurgeOrder, PurgeWhat};

/// Longest answer in bytes.
const ANSWER_BYTES: usize = 64 * 1024 * 1024;

/// An answer, whatever its status.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Answer {
    /// Its status.
    pub status: u16,
    /// Its body.
    pub body: String,
}

impl Answer {
    /// Whether the status is a 2xx.
    pub fn is_good(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

/// Why there is no answer. The texts say what to do.
#[derive(Debug)]
pub enum AskError {
    /// The address is no `host:port`, or its name is not known.
    Address(String, io::Error),
    /// Nothing listens there.
    NothingListens(SocketAddr),
    /// The connection cannot be made.
    Connect(SocketAddr, io::Error),
    /// No answer within the time that was given.
    Timeout(SocketAddr, Duration),
    /// The connection broke.
    Broken(SocketAddr, io::Error),
    /// Something else than an admin listener answers there.
    Foreign(SocketAddr),
    /// The answer is shorter than it says.
    Truncated(SocketAddr),
    /// The answer is longer than 64 MiB.
    TooLong(SocketAddr),
    /// The answer is not a good one: its status and text.
    Refused(Answer),
}

impl fmt::Display for AskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address, error) => {
                write!(f, "{address} is no admin address: {error}; write host:port, such as 127.0.0.1:9900")
            }
            Self::NothingListens(address) => write!(
                f,
                "nothing listens on {address}: is tidegate running? its admin address is server.admin in the \
                 configuration"
            ),
            Self::Connect(address, error) => write!(f, "cannot connect to {address}: {error}"),
            Self::Timeout(address, time) => write!(
                f,
                "{address} did not answer within {time:?}: it is overloaded or stopped; look at its log"
            ),
            Self::Broken(address, error) => {
                write!(f, "the connection to {address} broke: {error}; try again")
            }
            Self::Foreign(address) => {
                write!(
                    f,
                    "what listens on {address} is no admin listener: check server.admin in the configuration"
                )
            }
            Self::Truncated(address) => write!(f, "the answer of {address} was cut short; try again"),
            Self::TooLong(address) => write!(f, "the answer of {address} is longer than 64 MiB"),
            Self::Refused(answer) => write!(f, "{} (status {})", answer.body.trim_end(), answer.status),
        }
    }
}

impl core::error::Error for AskError {}

/// Asks for `path` (with its query), for an answer as JSON where there is a choice.
///
/// # Errors
/// See [`AskError`]; a status of any kind is an answer, not an error.
pub fn get(address: &str, path: &str, timeout: Duration) -> Result<Answer, AskError> {
    ask(address, "GET", path, "application/json", timeout)
}

/// Asks for `path` (with its query), for an answer as plain text where there is a choice.
///
/// # Errors
/// As [`get`].
pub fn get_text(address: &str, path: &str, timeout: Duration) -> Result<Answer, AskError> {
    ask(address, "GET", path, "text/plain", timeout)
}

/// Gives the order that `path` stands for.
///
/// # Errors
/// As [`get`].
pub fn post(address: &str, path: &str, timeout: Duration) -> Result<Answer, AskError> {
    ask(address, "POST", path, "text/plain", timeout)
}

/// Asks for the status.
///
/// # Errors
/// As [`get`]; also when the answer is no status.
pub fn status(address: &str, timeout: Duration) -> Result<Status, AskError> {
    read(address, get(address, "/status", timeout)?)
}

/// Reads an answer of the admin listener at `address` that is JSON.
///
/// # Errors
/// It is not a good one, or says something else.
pub fn read<T: DeserializeOwned>(address: &str, answer: Answer) -> Result<T, AskError> {
    if !answer.is_good() {
        return Err(AskError::Refused(answer));
    }
    serde_json::from_str(&answer.body).map_err(|_| match resolve(address) {
        Ok(address) => AskError::Foreign(address),
        Err(error) => error,
    })
}

/// Path of an order about one endpoint: `order` is `drain` or `undrain`.
pub fn endpoint_path(order: &str, upstream: &str, endpoint: &str) -> String {
    format!("/{order}/{}/{}", encoded(upstream), encoded(endpoint))
}

/// Path and query that ask what would be done with a request. Headers are `name: value`.
pub fn explain_path(method: &str, url: &str, headers: &[String], client: Option<IpAddr>) -> String {
    let mut path = format!("/explain?method={}&url={}", encoded(method), encoded(url));
    for header in headers {
        path.push_str("&header=");
        path.push_str(&encoded(header));
    }
    if let Some(client) = client {
        path.push_str("&client=");
        path.push_str(&encoded(&client.to_string()));
    }
    path
}

/// Path and query of an order about surges.
pub fn surge_path(order: &SurgeOrder) -> String {
    let SurgeOrder::On { profile, lasts } = order else { return "/surge/off".to_owned() };
    let mut path = "/surge/on".to_owned();
    let profile = profile.as_ref().map(|name| format!("profile={}", encoded(name)));
    let lasts = lasts.map(|lasts| format!("for_s={}", lasts.as_secs()));
    for (pair, before) in profile.into_iter().chain(lasts).zip(['?', '&']) {
        path.push(before);
        path.push_str(&pair);
    }
    path
}

/// Path and query of the order to take something out of the cache.
pub fn purge_path(order: &PurgeOrder) -> String {
    let (name, value) = match &order.what {
        PurgeWhat::Url(url) => ("url", encoded(url)),
        PurgeWhat::Prefix(prefix) => ("prefix", encoded(prefix)),
        PurgeWhat::Tag(tag) => ("tag", encoded(tag)),
        PurgeWhat::All => ("all", "true".to_owned()),
    };
    let soft = if order.soft { "&soft=true" } else { "" };
    format!("/cache/purge?{name}={value}{soft}")
}

/// Path and query that ask for entries of the cache.
pub fn list_path(prefix: Option<&str>, limit: usize) -> String {
    let prefix = prefix.map_or_else(String::new, |prefix| format!("&prefix={}", encoded(prefix)));
    format!("/cache/list?limit={limit}{prefix}")
}

/// Percent-encodes everything but the unreserved characters of RFC 3986 section 2.3.
fn encoded(text: &str) -> String {
    use fmt::Write as _;
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(byte.into());
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

fn ask(address: &str, method: &str, path: &str, accept: &str, timeout: Duration) -> Result<Answer, AskError> {
    let deadline = Instant::now() + timeout;
    let address = resolve(address)?;
    let mut stream = TcpStream::connect_timeout(&address, timeout).map_err(|error| match error.kind() {
        io::ErrorKind::ConnectionRefused => AskError::NothingListens(address),
        io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => AskError::Timeout(address, timeout),
        _ => AskError::Connect(address, error),
    })?;
    let broken = |error: io::Error| match error.kind() {
        io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => AskError::Timeout(address, timeout),
        _ => AskError::Broken(address, error),
    };
    let head = format!(
        "{method} {path} HTTP/1.0\r\nHost: {address}\r\nAccept: {accept}\r\nUser-Agent: tidegate\r\n\
         Content-Length: 0\r\n\r\n"
    );
    stream.set_write_timeout(Some(timeout)).map_err(broken)?;
    stream.write_all(head.as_bytes()).map_err(broken)?;
    let mut bytes = Vec::new();
    let mut buffer = [0; 16 * 1024];
    loop {
        // Each read may wait only for what is left of the whole.
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(AskError::Timeout(address, timeout));
        }
        stream.set_read_timeout(Some(left)).map_err(broken)?;
        match stream.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => bytes.extend_from_slice(&buffer[..count]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(broken(error)),
        }
        if bytes.len() > ANSWER_BYTES {
            return Err(AskError::TooLong(address));
        }
    }
    parse(address, &bytes)
}

fn resolve(address: &str) -> Result<SocketAddr, AskError> {
    let unknown = |error| AskError::Address(address.to_owned(), error);
    let found = address.to_socket_addrs().map_err(unknown)?.next();
    let mut found = found.ok_or_else(|| unknown(io::ErrorKind::NotFound.into()))?;
    // A listener on every address is reached by loopback; the unspecified address is none to connect to.
    if found.ip().is_unspecified() {
        let loopback: core::net::IpAddr =
            if found.is_ipv4() { [127, 0, 0, 1].into() } else { core::net::Ipv6Addr::LOCALHOST.into() };
        found.set_ip(loopback);
    }
    Ok(found)
}

fn parse(address: SocketAddr, bytes: &[u8]) -> Result<Answer, AskError> {
    let foreign = || AskError::Foreign(address);
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n").ok_or_else(foreign)?;
    let head = core::str::from_utf8(&bytes[..end]).map_err(|_| foreign())?;
    let body = &bytes[end + 4..];
    let mut lines = head.split("\r\n");
    let status = lines.next().and_then(|line| {
        let rest = line.strip_prefix("HTTP/1.")?.get(1..)?.strip_prefix(' ')?;
        rest.get(..3)?.parse::<u16>().ok()
    });
    let status = status.filter(|status| (100..600).contains(status)).ok_or_else(foreign)?;
    for line in lines {
        let (name, value) = line.split_once(':').ok_or_else(foreign)?;
        if name.eq_ignore_ascii_case("transfer-encoding") {
            return Err(foreign());
        }
        if name.eq_ignore_ascii_case("content-length") {
            let length = value.trim().parse::<usize>().map_err(|_| foreign())?;
            if body.len() < length {
                return Err(AskError::Truncated(address));
            }
        }
    }
    Ok(Answer { status, body: String::from_utf8_lossy(body).into_owned() })
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    const TIME: Duration = Duration::from_secs(10);

    /// Answers one connection with these bytes; gives the error of whoever asks.
    fn error_for(answer: &'static [u8]) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut buffer = [0; 4096];
            assert!(stream.read(&mut buffer).unwrap() > 0);
            stream.write_all(answer).unwrap();
        });
        let error = get(&address, "/status", TIME).unwrap_err().to_string();
        server.join().unwrap();
        error.replace(&address, "ADDRESS")
    }

    #[test]
    fn a_closed_port_is_told_from_a_dead_process() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        drop(listener);
        let error = post(&address, "/reload", TIME).unwrap_err().to_string();
        assert_eq!(
            error,
            format!(
                "nothing listens on {address}: is tidegate running? its admin address is server.admin in the configuration"
            )
        );
    }

    #[test]
    fn something_else_than_http_is_named_so() {
        for answer in
            [&b"SSH-2.0-OpenSSH_9.2\r\n"[..], b"HTTP/1.1 abc\r\n\r\n", b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n"]
        {
            let error = error_for(answer);
            assert!(error.starts_with("what listens on ADDRESS is no admin listener"), "{error}");
        }
    }

    #[test]
    fn an_answer_that_was_cut_short_is_no_answer() {
        let error = error_for(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort");
        assert_eq!(error, "the answer of ADDRESS was cut short; try again");
    }

    #[test]
    fn silence_ends_with_the_deadline() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let error = get(&address, "/status", Duration::from_millis(30)).unwrap_err();
        assert!(matches!(error, AskError::Timeout(..)), "{error}");
    }

    #[test]
    fn an_address_without_a_port_is_refused_with_an_example() {
        let error = get("127.0.0.1", "/status", TIME).unwrap_err().to_string();
        assert!(error.starts_with("127.0.0.1 is no admin address"), "{error}");
        assert!(error.ends_with("such as 127.0.0.1:9900"), "{error}");
    }

    #[test]
    fn the_unspecified_address_is_asked_over_loopback() {
        assert_eq!(resolve("0.0.0.0:9900").unwrap(), "127.0.0.1:9900".parse().unwrap());
        assert_eq!(resolve("[::]:9900").unwrap(), "[::1]:9900".parse().unwrap());
    }

    #[test]
    fn names_with_slashes_stay_one_part_of_the_path() {
        assert_eq!(
            endpoint_path("drain", "app", "unix:/run/a b.sock"),
            "/drain/app/unix%3A%2Frun%2Fa%20b.sock"
        );
        assert_eq!(
            explain_path("GET", "http://x/a?b&c", &["cookie: a=1".to_owned()], Some([192, 0, 2, 7].into())),
            "/explain?method=GET&url=http%3A%2F%2Fx%2Fa%3Fb%26c&header=cookie%3A%20a%3D1&client=192.0.2.7"
        );
    }
}
