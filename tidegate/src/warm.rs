//! `tidegate cache warm`: asks the running Tidegate for every URL of a list, so that people find the answers in the
//! cache. Blocking threads, one connection per request: there are a few of them, and they shall not be in the way.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, IsTerminal, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, ToSocketAddrs};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Mutex, PoisonError, mpsc};
use std::time::{Duration, Instant};

use admin::client;
use config::EndpointAddress;
use proxy::explain::Asked;
use wire::{BodyReader, Limits, Method, ResponseHead};

use crate::ask::{PATIENCE, failed};
use crate::cli::Warm;
use crate::sitemap::{self, Named};

/// Longest list or sitemap: what the protocol of sitemaps allows.
const LIST_BYTES: u64 = 50 << 20;

/// URLs that are asked for at most.
const MOST_URLS: usize = 100_000;

/// Time to connect, and between two pieces of an answer.
const CONNECT: Duration = Duration::from_secs(5);
const PIECE: Duration = Duration::from_mins(1);

/// Failures that are shown one by one.
const SHOWN: usize = 10;

/// How often the line of progress is written.
const PROGRESS: Duration = Duration::from_millis(100);

/// `tidegate cache warm`.
pub(crate) fn warm(args: Warm) -> ExitCode {
    let asker = match target(&args) {
        Ok(target) => Asker { target, headers: args.header },
        Err(code) => return code,
    };
    let urls = match urls(&args.source, &asker) {
        Ok(urls) if urls.is_empty() => return wrong(&format!("{} names no url", args.source)),
        Ok(urls) => urls,
        Err(what) => return wrong(&what),
    };
    let began = Instant::now();
    let (all, left_out) = (urls.len().min(MOST_URLS), urls.len().saturating_sub(MOST_URLS));
    let sum = ask_all(&asker, urls.into_iter().take(MOST_URLS).collect(), args.concurrency.into());
    println!("{all} URLs in {:.1} s: {}", began.elapsed().as_secs_f64(), sum.in_words());
    if sum.not_kept > 0 {
        println!("tidegate cache explain URL says why an answer is not kept");
    }
    if left_out > 0 {
        eprintln!("error: {left_out} more were left out: no more than {MOST_URLS} at once");
    }
    if sum.failed == 0 && left_out == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn wrong(what: &str) -> ExitCode {
    eprintln!("error: {what}");
    ExitCode::FAILURE
}

/// Where to ask.
enum Target {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

/// The address that was given, or the first listener of the running process.
fn target(args: &Warm) -> Result<Target, ExitCode> {
    let address = match args.to.clone() {
        Some(address) => address,
        None => first_listener(args)?,
    };
    let address = match address {
        EndpointAddress::Unix(path) => return Ok(Target::Unix(path)),
        EndpointAddress::Ip(address) => address,
        EndpointAddress::Name(name, port) => {
            let found = (name.as_str(), port).to_socket_addrs().ok().and_then(|mut found| found.next());
            found.ok_or_else(|| wrong(&format!("{name} is not known")))?
        }
    };
    Ok(Target::Tcp(reachable(address)))
}

fn first_listener(args: &Warm) -> Result<EndpointAddress, ExitCode> {
    let status = client::status(&args.admin.admin.to_string(), PATIENCE).map_err(|error| failed(&error))?;
    let Some(listener) = status.listeners.first() else {
        return Err(wrong("nothing is listened on; say --to ADDRESS"));
    };
    let listener = listener.strip_prefix("http://").unwrap_or(listener);
    config::parse_endpoint(listener)
        .map_err(|error| wrong(&format!("{listener} cannot be asked: {error}; say --to ADDRESS")))
}

/// A listener on every address is reached by loopback.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    address
}

/// The URLs of a source. Sitemaps that are named by URL are asked of Tidegate, too.
fn urls(source: &str, asker: &Asker) -> Result<Vec<String>, String> {
    let is_url = source.starts_with("http://") || source.starts_with("https://");
    let path = source.split(['?', '#']).next().unwrap_or(source);
    let is_sitemap =
        path.get(path.len().saturating_sub(4)..).is_some_and(|end| end.eq_ignore_ascii_case(".xml"));
    if is_url && !is_sitemap {
        return Ok(vec![source.to_owned()]);
    }
    let named = if is_url { fetch(source, asker)? } else { open(source)? };
    let sitemaps = match named {
        Named::Pages(pages) => return Ok(pages),
        Named::Sitemaps(sitemaps) => sitemaps,
    };
    let mut urls = Vec::new();
    for sitemap in sitemaps {
        match fetch(&sitemap, asker)? {
            Named::Pages(pages) => urls.extend(pages),
            Named::Sitemaps(_) => return Err(format!("{sitemap} is an index within an index")),
        }
        if urls.len() > MOST_URLS {
            break;
        }
    }
    Ok(urls)
}

fn open(path: &str) -> Result<Named, String> {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(LIST_BYTES + 1).read_to_end(&mut bytes));
    read.map_err(|error| format!("{path} cannot be read: {error}"))?;
    if bytes.len() as u64 > LIST_BYTES {
        return Err(format!("{path} is longer than 50 MiB"));
    }
    sitemap::read(&bytes).map_err(|what| format!("{path}: {what}"))
}

fn fetch(url: &str, asker: &Asker) -> Result<Named, String> {
    let mut body = Vec::new();
    let mut longer = false;
    // As it is: a sitemap that was compressed on its way would have to be unpacked here.
    let answer = asker.ask(url, "identity", &mut |piece| {
        longer |= (body.len() + piece.len()) as u64 > LIST_BYTES;
        if !longer {
            body.extend_from_slice(piece);
        }
    });
    let answer = answer.map_err(|what| format!("{url}: {what}"))?;
    match answer.status {
        200 if longer => Err(format!("{url} is longer than 50 MiB")),
        200 => sitemap::read(&body).map_err(|what| format!("{url}: {what}")),
        status => Err(format!("{url}: answered with {status}")),
    }
}

/// What came of all requests.
#[derive(Default)]
struct Sum {
    kept: usize,
    there: usize,
    not_kept: usize,
    unsaid: usize,
    failed: usize,
}

impl Sum {
    fn add(&mut self, url: &str, result: &Result<Answer, String>) {
        let failure = match result {
            Ok(answer) if answer.status < 400 => {
                match answer.told {
                    Told::There => self.there += 1,
                    Told::Kept => self.kept += 1,
                    Told::NotKept => self.not_kept += 1,
                    Told::Nothing => self.unsaid += 1,
                }
                return;
            }
            Ok(answer) => format!("answered with {}", answer.status),
            Err(what) => what.clone(),
        };
        self.failed += 1;
        if self.failed <= SHOWN {
            eprintln!("error: {}: {failure}", url.escape_debug());
        }
    }

    fn in_words(&self) -> String {
        let mut text = format!("{} fetched and kept, {} were there", self.kept, self.there);
        for (count, what) in
            [(self.not_kept, "not kept"), (self.unsaid, "without Cache-Status"), (self.failed, "failed")]
        {
            if count > 0 {
                // Writing to a String does not fail.
                let _ = write!(text, ", {count} {what}");
            }
        }
        text
    }
}

/// Asks for every URL, so many at once.
fn ask_all(asker: &Asker, urls: VecDeque<String>, concurrency: usize) -> Sum {
    let (all, mut done, mut sum, mut shown) = (urls.len(), 0, Sum::default(), Instant::now());
    let is_shown = io::stderr().is_terminal();
    let urls = Mutex::new(urls);
    std::thread::scope(|scope| {
        let (results, finished) = mpsc::channel();
        for _ in 0..concurrency.min(all) {
            let (results, urls) = (results.clone(), &urls);
            scope.spawn(move || {
                loop {
                    let next = urls.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
                    let Some(url) = next else { return };
                    let result = asker.ask(&url, "gzip, deflate, br, zstd", &mut |_| {});
                    // The other end is open as long as this thread lives.
                    let _ = results.send((url, result));
                }
            });
        }
        drop(results);
        for (url, result) in finished {
            sum.add(&url, &result);
            done += 1;
            if is_shown && (shown.elapsed() >= PROGRESS || done == all) {
                shown = Instant::now();
                eprint!("\r{done} of {all}, {} failed ", sum.failed);
            }
        }
    });
    if is_shown {
        eprint!("\r\x1b[K");
    }
    sum
}

/// What a request learns.
struct Answer {
    status: u16,
    told: Told,
}

/// What Cache-Status says (RFC 9211).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Told {
    There,
    Kept,
    NotKept,
    Nothing,
}

impl Told {
    /// Reads the values of the field. Tidegate's own stands last, and caches behind it have others.
    fn read<'a>(values: impl DoubleEndedIterator<Item = &'a [u8]>) -> Self {
        let text = |value: &'a [u8]| std::str::from_utf8(value).ok()?.strip_prefix("Tidegate");
        let Some(said) = values.rev().find_map(text) else { return Self::Nothing };
        let says = |word: &str| said.split(';').any(|part| part.trim() == word);
        match (says("hit"), says("stored")) {
            (true, _) => Self::There,
            (_, true) => Self::Kept,
            _ => Self::NotKept,
        }
    }
}

/// Who asks.
struct Asker {
    target: Target,
    headers: Vec<(String, String)>,
}

impl Asker {
    /// Asks for one URL and hands over the body, piece by piece.
    fn ask(&self, url: &str, codings: &str, each: &mut impl FnMut(&[u8])) -> Result<Answer, String> {
        if url.chars().any(|character| character.is_control() || character == ' ') {
            return Err("it is no url: it has a space or a control character".to_owned());
        }
        let mut headers = self.headers.clone();
        let mut usual = |name: &str, value: &str| {
            if !headers.iter().any(|(known, _)| known.eq_ignore_ascii_case(name)) {
                headers.push((name.to_owned(), value.to_owned()));
            }
        };
        usual("Accept-Encoding", codings);
        usual("User-Agent", "tidegate-warm");
        usual("Connection", "close");
        if url.starts_with("https://") {
            // Believed where this machine is among the trusted proxies; then people come as https, too.
            usual("X-Forwarded-Proto", "https");
        }
        let asked = Asked::read("GET", url, &headers)?;
        let answer = match &self.target {
            Target::Tcp(address) => TcpStream::connect_timeout(address, CONNECT)
                .and_then(|stream| {
                    stream.set_read_timeout(Some(PIECE))?;
                    stream.set_write_timeout(Some(PIECE))?;
                    Ok(stream)
                })
                .and_then(|stream| exchange(stream, &asked.head, each)),
            Target::Unix(path) => UnixStream::connect(path)
                .and_then(|stream| {
                    stream.set_read_timeout(Some(PIECE))?;
                    stream.set_write_timeout(Some(PIECE))?;
                    Ok(stream)
                })
                .and_then(|stream| exchange(stream, &asked.head, each)),
        };
        answer.map_err(|error| match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => "no answer in time".to_owned(),
            _ => error.to_string(),
        })
    }
}

/// One request over one connection. A body that is not whole is an error.
fn exchange(mut stream: impl Read + Write, head: &[u8], each: &mut impl FnMut(&[u8])) -> io::Result<Answer> {
    let malformed =
        |what: wire::Malformed| io::Error::other(format!("the answer is no HTTP: {}", what.what()));
    stream.write_all(head)?;
    let limits = Limits { head_bytes: 64 * 1024, ..Limits::default() };
    let (mut response, mut bytes) = (Box::new(ResponseHead::new()), Vec::new());
    loop {
        while !response.parse(&bytes, Method::Get, &limits).map_err(malformed)? {
            more(&mut stream, &mut bytes)?;
        }
        if response.status >= 200 {
            break;
        }
        bytes.drain(..response.len as usize);
    }
    let lines = response.headers.as_slice().iter();
    let lines = lines.filter(|line| line.name.of(&bytes).eq_ignore_ascii_case(b"cache-status"));
    let told = Told::read(lines.map(|line| line.value.of(&bytes)));
    let mut body = BodyReader::new(response.framing, &limits);
    bytes.drain(..response.len as usize);
    while !body.is_done() {
        let piece = body.read(&bytes).map_err(malformed)?;
        each(&bytes[piece.data]);
        bytes.drain(..piece.consumed);
        if piece.consumed > 0 {
            continue;
        }
        match more(&mut stream, &mut bytes) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                body.finish().map_err(|_| io::Error::other("the answer breaks off"))?;
            }
            result => result?,
        }
    }
    Ok(Answer { status: response.status, told })
}

/// Reads what comes next.
fn more(stream: &mut impl Read, bytes: &mut Vec<u8>) -> io::Result<()> {
    let start = bytes.len();
    bytes.resize(start + 64 * 1024, 0);
    let read = stream.read(&mut bytes[start..]);
    bytes.truncate(start + read.as_ref().copied().unwrap_or(0));
    match read? {
        0 => Err(io::ErrorKind::UnexpectedEof.into()),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Answers with these bytes, a few at a time.
    struct Script(&'static [u8]);

    impl Read for Script {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let (now, later) = self.0.split_at(self.0.len().min(3));
            self.0 = later;
            buffer[..now.len()].copy_from_slice(now);
            Ok(now.len())
        }
    }

    impl Write for Script {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn play(script: &'static str) -> Result<(u16, Told, String), String> {
        let mut body = Vec::new();
        let answer = exchange(Script(script.as_bytes()), b"", &mut |piece| body.extend_from_slice(piece));
        let answer = answer.map_err(|error| error.to_string())?;
        Ok((answer.status, answer.told, String::from_utf8(body).unwrap()))
    }

    #[test]
    fn answers_are_read_in_every_framing() {
        let long = "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\ncache-status: Tidegate; hit; ttl=5\r\nContent-Length: 5\r\n\r\nhello";
        assert_eq!(play(long), Ok((200, Told::There, "hello".to_owned())));
        let chunked = "HTTP/1.1 200 OK\r\nCache-Status: Other; hit\r\nCache-Status: Tidegate; fwd=uri-miss; stored\r\n\
                       Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
        assert_eq!(play(chunked), Ok((200, Told::Kept, "hello".to_owned())));
        let close =
            "HTTP/1.1 404 Not Found\r\nCache-Status: Tidegate; fwd=bypass; detail=stored\r\n\r\nhello";
        assert_eq!(play(close), Ok((404, Told::NotKept, "hello".to_owned())));
        assert_eq!(play("HTTP/1.1 204 No Content\r\n\r\n"), Ok((204, Told::Nothing, String::new())));
    }

    #[test]
    fn an_answer_that_breaks_off_is_a_failure() {
        for script in [
            "",
            "HTTP/1.1 200 OK\r\nContent-Le",
            "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
            "SSH-2.0\r\n\r\n",
        ] {
            assert!(play(script).is_err(), "{script}");
        }
    }

    #[test]
    fn a_listener_on_every_address_is_reached_by_loopback() {
        for (listener, reached) in
            [("0.0.0.0:80", "127.0.0.1:80"), ("[::]:80", "[::1]:80"), ("10.0.0.1:80", "10.0.0.1:80")]
        {
            assert_eq!(reachable(listener.parse().unwrap()), reached.parse().unwrap());
        }
    }

    #[test]
    fn a_url_cannot_end_the_line_that_it_stands_in() {
        let asker = Asker { target: Target::Unix("/nowhere".into()), headers: Vec::new() };
        for url in ["http://a/ HTTP/1.1", "http://a/\r\nX: y"] {
            let error = asker.ask(url, "identity", &mut |_| {}).map(|answer| answer.status).unwrap_err();
            assert!(error.starts_with("it is no url"), "{error}");
        }
    }
}
