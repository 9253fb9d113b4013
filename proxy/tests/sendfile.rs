//! Files through real sockets, where they go from the disk's cache into the connection.

use std::fs::{self, File};
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, SystemTime};

use signals::Signals;
use tempfile::TempDir;
use tidegate_proxy::Server;

/// Nothing in here takes this long unless something is wrong.
const PATIENCE: Duration = Duration::from_secs(10);

const LARGE_BYTES: usize = 8 * 1024 * 1024;

/// Bytes in which every position is told from its neighbours.
fn counted(len: usize) -> Vec<u8> {
    (0..).flat_map(|number: u32| format!("{number:07}\n").into_bytes()).take(len).collect()
}

/// A folder with a large and a small file, and a server for it on TCP and on a Unix-domain socket.
fn stage() -> (TempDir, Server) {
    let folder = TempDir::new().expect("a folder");
    let root = folder.path().join("root");
    fs::create_dir(&root).expect("a folder");
    for (name, len) in [("large.bin", LARGE_BYTES), ("small.bin", 10_000)] {
        fs::write(root.join(name), counted(len)).expect("a file");
        let file = File::options().write(true).open(root.join(name)).expect("the file");
        file.set_modified(SystemTime::now() - Duration::from_hours(1)).expect("a time");
    }
    let text = format!(
        "[[listener]]\naddress = \"127.0.0.1:0\"\n[[listener]]\naddress = \"unix:{}\"\n\
         [server]\nthreads = 1\nadmin = \"off\"\n[[route]]\nfiles = \"{}\"",
        folder.path().join("socket").display(),
        root.display()
    );
    let plan = match config::parse(&text, "tidegate.toml", &|_| None, &|path: &Path| fs::read(path)) {
        Ok(loaded) => loaded.plan,
        Err(diagnostics) => panic!("{diagnostics}"),
    };
    let server = Server::start(plan, Signals::new(2)).unwrap_or_else(|error| panic!("{error}"));
    (folder, server)
}

fn connect(server: &Server) -> TcpStream {
    let stream = TcpStream::connect(server.address().expect("a listener")).expect("a connection");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    stream
}

/// Reads a head.
fn head(stream: &mut impl Read) -> String {
    let mut bytes = Vec::new();
    let mut byte = [0];
    while !bytes.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).expect("a head");
        bytes.push(byte[0]);
    }
    String::from_utf8(bytes).expect("a head is text")
}

fn ask(stream: &mut (impl Read + Write), name: &str, fields: &str, len: usize) -> Vec<u8> {
    write!(stream, "GET /{name} HTTP/1.1\r\nHost: a\r\n{fields}\r\n").expect("sent");
    let head = head(stream);
    assert!(head.contains(&format!("\r\nContent-Length: {len}\r\n")), "{head}");
    let mut body = vec![0; len];
    stream.read_exact(&mut body).expect("a body");
    body
}

#[test]
fn large_files_arrive_whole_again_and_again() {
    let (folder, server) = stage();
    let large = counted(LARGE_BYTES);
    let mut tcp = connect(&server);
    let mut unix = UnixStream::connect(folder.path().join("socket")).expect("a connection");
    unix.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    for _ in 0..3 {
        assert!(ask(&mut tcp, "large.bin", "", LARGE_BYTES) == large);
        assert!(ask(&mut unix, "large.bin", "", LARGE_BYTES) == large);
        assert!(ask(&mut tcp, "small.bin", "", 10_000) == large[..10_000]);
        let part = ask(&mut tcp, "large.bin", "Range: bytes=1000000-4999999\r\n", 4_000_000);
        assert!(part == large[1_000_000..5_000_000]);
    }
}

#[test]
fn a_connection_that_carries_one_request_gets_its_file() {
    let (_folder, server) = stage();
    for (name, len) in [("large.bin", LARGE_BYTES), ("small.bin", 10_000)] {
        let mut client = connect(&server);
        write!(client, "GET /{name} HTTP/1.0\r\n\r\n").expect("sent");
        let mut all = Vec::new();
        client.read_to_end(&mut all).expect("a clean end");
        assert!(all.ends_with(&counted(len)), "{name}: {} bytes", all.len());
    }
}

#[test]
fn others_are_served_while_a_client_does_not_read() {
    let (_folder, server) = stage();
    let mut slow = connect(&server);
    slow.write_all(b"GET /large.bin HTTP/1.1\r\nHost: a\r\n\r\n").expect("sent");
    head(&mut slow);
    let mut quick = connect(&server);
    for _ in 0..10 {
        assert!(ask(&mut quick, "small.bin", "", 10_000) == counted(10_000));
    }
    let mut body = vec![0; LARGE_BYTES];
    slow.read_exact(&mut body).expect("a body");
    assert!(body == counted(LARGE_BYTES));
}

#[test]
fn a_file_that_shrinks_while_it_is_sent_ends_in_a_reset() {
    /// More than the system holds of a connection that nobody reads from.
    const HUGE_BYTES: u64 = 256 * 1024 * 1024;
    let (folder, server) = stage();
    let file = File::create(folder.path().join("root/huge.bin")).expect("a file");
    file.set_len(HUGE_BYTES).expect("a length");
    let mut client = connect(&server);
    client.write_all(b"GET /huge.bin HTTP/1.1\r\nHost: a\r\n\r\n").expect("sent");
    assert!(head(&mut client).starts_with("HTTP/1.1 200 OK\r\n"));
    file.set_len(100_000).expect("shorter");
    let mut body = Vec::new();
    let error = client.read_to_end(&mut body).expect_err("no clean end");
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    assert!((body.len() as u64) < HUGE_BYTES);
}
