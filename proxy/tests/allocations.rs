//! What a request costs in memory: nothing, once a connection is warm; and an idle connection little.
#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::fs::File;
use std::io::{self, Write as _};
use std::path::Path;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::{Arc, Once};
use std::time::{Duration, SystemTime};

use signals::Signals;
use tidegate_proxy::connection::{Rules, serve};
use tidegate_proxy::core::{Connect, Core, Peer, Shared};
use tidegate_proxy::live::Live;
use tidegate_proxy::stream::Stream;
use tidegate_proxy::timers::TICK;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::runtime::{Builder, LocalOptions};
use tokio::task::{AbortHandle, spawn_local};
use traffic::endpoint::Address;

thread_local! {
    static COUNTED: Cell<Counted> = const { Cell::new(Counted { allocations: 0, taken_bytes: 0, given_bytes: 0 }) };
}

/// What this thread has asked for and given back.
#[derive(Clone, Copy, Debug)]
struct Counted {
    allocations: u64,
    taken_bytes: usize,
    given_bytes: usize,
}

impl Counted {
    /// May wrap, for what another thread asked for can be given back here; differences are right.
    fn held_bytes(self) -> usize {
        self.taken_bytes.wrapping_sub(self.given_bytes)
    }
}

fn count(allocations: u64, taken: usize, given: usize) {
    let Counted { allocations: before, taken_bytes, given_bytes } = COUNTED.get();
    COUNTED.set(Counted {
        allocations: before + allocations,
        taken_bytes: taken_bytes + taken,
        given_bytes: given_bytes + given,
    });
}

/// The system's allocator, counting by thread, so that tests beside each other do not mix.
struct Counting;

// SAFETY: every call goes to the system's allocator unchanged, which keeps the contract; the counting
// touches a thread-local cell without a destructor, which allocates nothing and cannot be gone.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(1, layout.size(), 0);
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        count(0, 0, layout.size());
        // SAFETY: the caller keeps the contract of `dealloc`, and `at` came from `System`.
        unsafe { System.dealloc(at, layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(1, size, layout.size());
        // SAFETY: the caller keeps the contract of `realloc`, and `at` came from `System`.
        unsafe { System.realloc(at, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const REQUEST: &[u8] =
    b"GET /items?page=2 HTTP/1.1\r\nHost: example.org\r\nUser-Agent: test\r\nAccept: */*\r\n\
    Accept-Encoding: gzip\r\nCookie: session=0123456789\r\n\r\n";

const BODY_BYTES: usize = 1024;

/// An origin that answers without allocating: 1 KiB for every request that fits one read.
struct Origin(Vec<u8>);

impl Origin {
    fn new() -> Self {
        let mut response = format!(
            "HTTP/1.1 200 OK\r\nServer: app\r\nETag: \"v1\"\r\nVary: Accept-Encoding\r\n\
             Content-Type: text/html\r\nContent-Length: {BODY_BYTES}\r\n\r\n"
        )
        .into_bytes();
        response.resize(response.len() + BODY_BYTES, b'x');
        Self(response)
    }
}

impl Connect for Origin {
    fn connect<'a>(
        &'a self,
        _address: &'a Address,
    ) -> Pin<Box<dyn Future<Output = io::Result<Stream>> + 'a>> {
        Box::pin(async move {
            let (ours, mut theirs) = duplex(64 * 1024);
            let response = self.0.clone();
            spawn_local(async move {
                let mut buffer = [0; 16 * 1024];
                while theirs.read(&mut buffer).await.is_ok_and(|read| read > 0) {
                    if theirs.write_all(&response).await.is_err() {
                        return;
                    }
                }
            });
            Ok(Stream::Memory(ours))
        })
    }
}

/// A core with its default features, an origin behind it, and a folder of files. `more` is said of the origin's route.
/// What is below `/kept/` is cached.
fn core(more: &str) -> Rc<Core> {
    let config = format!(
        "listener = [{{ address = \"127.0.0.1:8080\" }}]\n\
         [upstream.app]\nendpoints = [\"127.0.0.1:3001\"]\n[[route]]\nupstream = \"app\"\n{more}\n\
         [[route]]\npath = \"/kept/*\"\nupstream = \"app\"\n\
         cache = {{ ttl = \"1h\", key = {{ query = {{ except = [\"utm_*\"] }}, sort_query = true }} }}\n\
         [[route]]\npath = \"/files/*\"\nfiles = \"{}\"",
        folder().display()
    );
    let loaded = config::parse(&config, "tidegate.toml", &|_| None, &|path| std::fs::read(path));
    let plan = loaded.unwrap_or_else(|diagnostics| panic!("{diagnostics}")).plan;
    let signals = Signals::new(2);
    let live = Live::build(plan, &signals, None).expect("one route");
    let shared = Shared::new(live, Arc::clone(&signals));
    let core = Core::new(shared, signals.shard(0), Box::new(Origin::new()), 1);
    let ticking = Rc::clone(&core);
    spawn_local(async move {
        loop {
            tokio::time::sleep(TICK).await;
            ticking.tick();
        }
    });
    core
}

/// A folder with one file, written long ago.
fn folder() -> &'static Path {
    static WRITE: Once = Once::new();
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    WRITE.call_once(|| {
        let file = File::create(folder.join("sp ace.txt")).expect("a file");
        (&file).write_all(&[b'x'; BODY_BYTES]).expect("a file");
        file.set_modified(SystemTime::now() - Duration::from_hours(1)).expect("a time");
    });
    folder
}

fn connect(core: &Rc<Core>) -> (DuplexStream, AbortHandle) {
    let (ours, theirs) = duplex(4 * 1024);
    let peer = Peer::new([203, 0, 113, 7].into());
    let rules = Rules { proxy_protocol: false };
    let task = spawn_local(serve(Rc::clone(core), Stream::Memory(ours), peer, rules));
    (theirs, task.abort_handle())
}

/// Sends a request and reads its response; allocates nothing itself.
async fn ask(client: &mut DuplexStream, request: &[u8]) {
    client.write_all(request).await.expect("a request is taken");
    let mut buffer = [0; 4 * 1024];
    let mut read = 0;
    let mut whole = usize::MAX;
    while read < whole {
        let more = client.read(&mut buffer[read..]).await.expect("a response");
        assert!(more > 0, "the connection goes on");
        read += more;
        if let Some(end) = buffer[..read].windows(4).position(|window| window == b"\r\n\r\n") {
            whole = end + 4 + BODY_BYTES;
        }
    }
    assert!(read == whole && (buffer.starts_with(b"HTTP/1.1 20")));
}

fn play(play: impl AsyncFnOnce(&Rc<Core>)) {
    play_with("", play);
}

fn play_with(more: &str, play: impl AsyncFnOnce(&Rc<Core>)) {
    Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build_local(LocalOptions::default())
        .expect("the system gives an event queue")
        .block_on(async {
            let core = core(more);
            play(&core).await;
        });
}

#[test]
fn a_proxied_request_on_a_warm_connection_allocates_nothing() {
    play(async |core| {
        let (mut client, _serving) = connect(core);
        for _ in 0..50 {
            ask(&mut client, REQUEST).await;
        }
        let before = COUNTED.get().allocations;
        for _ in 0..1_000 {
            ask(&mut client, REQUEST).await;
        }
        let allocations = COUNTED.get().allocations - before;
        assert_eq!(allocations, 0, "allocations in 1,000 requests");
    });
}

#[test]
fn a_request_that_limits_let_pass_allocates_nothing() {
    let route = "limit = [{ rate = \"100000/s\" }, { by = \"cookie:session\", rate = \"100000/s\" }, \
                 { name = \"places\", concurrency = 9 }]";
    play_with(route, async |core| {
        let (mut client, _serving) = connect(core);
        for _ in 0..50 {
            ask(&mut client, REQUEST).await;
        }
        let before = COUNTED.get().allocations;
        for _ in 0..200 {
            ask(&mut client, REQUEST).await;
        }
        assert_eq!(COUNTED.get().allocations - before, 0);
        assert_eq!(core.shared.live().limits.usage().entries, 2);
    });
}

#[test]
fn a_body_that_goes_up_in_one_piece_allocates_nothing() {
    play(async |core| {
        let mut request = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1024\r\n\r\n".to_vec();
        request.resize(request.len() + 1024, b'y');
        let (mut client, _serving) = connect(core);
        for _ in 0..50 {
            ask(&mut client, &request).await;
        }
        let before = COUNTED.get().allocations;
        for _ in 0..1_000 {
            ask(&mut client, &request).await;
        }
        assert_eq!(COUNTED.get().allocations - before, 0, "allocations in 1,000 requests");
    });
}

/// Sends a request and reads its response, which comes in one piece, in this coding; allocates nothing itself.
async fn ask_coded(client: &mut DuplexStream, request: &[u8], coding: &[u8]) {
    client.write_all(request).await.expect("a request is taken");
    let mut buffer = [0; 4 * 1024];
    let read = client.read(&mut buffer).await.expect("a response");
    let head = &buffer[..read];
    assert!(head.starts_with(b"HTTP/1.1 200 OK\r\n") && read < BODY_BYTES);
    assert!(head.windows(coding.len()).any(|part| part == coding), "{}", head.escape_ascii());
}

#[test]
fn a_coded_body_allocates_nothing_where_the_library_can_be_used_twice() {
    let route = "compress = true\nsecurity_headers = true\ncors = { origins = [\"https://shop.example\"] }";
    play_with(route, async |core| {
        for coding in ["zstd", "gzip"] {
            let request = format!(
                "GET / HTTP/1.1\r\nHost: a\r\nOrigin: https://shop.example\r\nAccept-Encoding: {coding}\r\n\r\n"
            );
            let said = format!("Content-Encoding: {coding}\r\n");
            let (mut client, _serving) = connect(core);
            for _ in 0..50 {
                ask_coded(&mut client, request.as_bytes(), said.as_bytes()).await;
            }
            let before = COUNTED.get().allocations;
            for _ in 0..1_000 {
                ask_coded(&mut client, request.as_bytes(), said.as_bytes()).await;
            }
            assert_eq!(COUNTED.get().allocations - before, 0, "allocations in 1,000 requests for {coding}");
        }
    });
}

#[test]
fn a_small_file_on_a_warm_connection_allocates_nothing() {
    play(async |core| {
        const FILE: &[u8] =
            b"GET /files/sp%20ace.txt HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip, br\r\n\r\n";
        let (mut client, _serving) = connect(core);
        for _ in 0..50 {
            ask(&mut client, FILE).await;
        }
        let before = COUNTED.get().allocations;
        for _ in 0..1_000 {
            ask(&mut client, FILE).await;
        }
        assert_eq!(COUNTED.get().allocations - before, 0, "allocations in 1,000 requests");
    });
}

#[test]
fn a_hit_allocates_nothing() {
    play(async |core| {
        let target = "/kept/items?page=2";
        let (first, behind) = (String::from_utf8_lossy(REQUEST), "\r\n\r\n");
        let plain = first.replace("/items?page=2", target);
        let part = plain.replace(behind, "\r\nRange: bytes=0-1023\r\nIf-Range: \"v1\"\r\n\r\n");
        let (mut client, _serving) = connect(core);
        for _ in 0..50 {
            ask(&mut client, plain.as_bytes()).await;
            ask(&mut client, part.as_bytes()).await;
        }
        let before = COUNTED.get().allocations;
        for _ in 0..1_000 {
            ask(&mut client, plain.as_bytes()).await;
        }
        assert_eq!(COUNTED.get().allocations - before, 0, "allocations in 1,000 hits");
        assert_eq!(core.shared.cache.usage().entries, 1);
        let before = COUNTED.get().allocations;
        for _ in 0..1_000 {
            ask(&mut client, part.as_bytes()).await;
        }
        assert_eq!(COUNTED.get().allocations - before, 0, "allocations in 1,000 parts");
    });
}

#[test]
fn time_that_passes_allocates_nothing() {
    play(async |core| {
        let (mut client, _serving) = connect(core);
        for _ in 0..50 {
            ask(&mut client, REQUEST).await;
            tokio::time::sleep(TICK).await;
        }
        let before = COUNTED.get().allocations;
        for _ in 0..100 {
            ask(&mut client, REQUEST).await;
            tokio::time::sleep(TICK).await;
        }
        assert_eq!(COUNTED.get().allocations - before, 0, "allocations in 100 requests and ticks");
    });
}

#[test]
fn a_connection_is_a_small_future() {
    play(async |core| {
        let (ours, _theirs) = duplex(64);
        let peer = Peer::new([203, 0, 113, 7].into());
        let future = serve(Rc::clone(core), Stream::Memory(ours), peer, Rules { proxy_protocol: false });
        let bytes = size_of_val(&future);
        println!("a connection is a future of {bytes} bytes");
        assert!(bytes <= 4 * 1024, "{bytes} bytes");
    });
}

#[test]
fn an_idle_connection_holds_no_more_than_its_future_and_its_deadline() {
    const CLIENTS: usize = 500;
    play(async |core| {
        // What the core itself needs for so many requests at once is there before the count begins.
        let mut warm: Vec<_> = (0..CLIENTS).map(|_| connect(core)).collect();
        for (client, _) in &mut warm {
            ask(client, REQUEST).await;
        }
        drop(warm);
        tokio::time::sleep(TICK).await;
        let mut clients = Vec::with_capacity(CLIENTS);
        let before = COUNTED.get().held_bytes();
        for _ in 0..CLIENTS {
            clients.push(connect(core));
        }
        for (client, _) in &mut clients {
            ask(client, REQUEST).await;
        }
        tokio::time::sleep(TICK).await;
        let each = COUNTED.get().held_bytes().wrapping_sub(before) / CLIENTS;
        println!("an idle connection holds {each} bytes, the scene's in-memory pipe included");
        assert!(each <= 4 * 1024, "{each} bytes");
    });
}
