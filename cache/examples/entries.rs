//! What entries take beyond key, head and body, and how long they take to find and to send away, by their number:
//! measured from outside, as the memory of the process, beside what the store says.
//!
//! A hit among many waits for the memory, whatever the store does. How long it has to is told by a plain map of numbers
//! to shared pieces, as many and as large: that one looks at its table, at the piece and at nothing else. What a hit
//! takes longer than a plain look-up, both among few and among many, is what the store adds.
//!
//! `cargo run --release -p tidegate-cache --example entries -- 1000000`

use std::collections::HashMap;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use cache::freshness::Times;
use cache::key::{Key, Url};
use cache::{Ask, Found, Head, Rules, Store, storable};
use tidegate_cache as cache;
use wire::{Limits, Method, RequestHead, ResponseHead};

const NOW: u64 = 1_800_000_000_000;
const FIELDS: &str = "HTTP/1.1 200 OK\r\nDate: Fri, 15 Jan 2027 08:00:00 GMT\r\nContent-Type: text/html\r\n\
    Cache-Control: max-age=3600\r\nETag: \"0123456789abcdef\"\r\n\r\n";

fn main() {
    let number =
        |at: usize, or: usize| std::env::args().nth(at).and_then(|text| text.parse().ok()).unwrap_or(or);
    let (most, body_bytes) = (number(1, 1_000_000), number(2, 100));
    if number(3, 0) == 1 {
        return measure(most, body_bytes);
    }
    println!(
        "entries | by the store | by the system | fill | hit | plain map | hit / plain map | fill that evicts"
    );
    let mut entries = most.min(1000);
    loop {
        // Each in a process of its own, since memory that one has freed would be found by the next.
        let program = std::env::current_exe().expect("this program");
        let arguments = [entries, body_bytes, 1].map(|number| number.to_string());
        let status = std::process::Command::new(program).args(arguments).status().expect("it runs");
        assert!(status.success());
        if entries == most {
            break;
        }
        entries = (entries * 10).min(most);
    }
}

fn measure(entries: usize, body_bytes: usize) {
    let rules = Rules::default();
    let before = resident_bytes();
    let store = Store::new(1 << 40, cache::store::SHARDS, 7);
    let mut asker = Asker::new(&rules, &store);
    let body = vec![b'x'; body_bytes];
    let mut own = 0;
    let fill_ns = timed(entries, |at| own += asker.fill(at, &body));
    let (usage, resident) = (store.usage(), resident_bytes());
    assert_eq!(usage.entries, entries as u64);
    let rounds = entries.max(200_000);
    let hit_ns = timed(rounds, |at| assert!(asker.is_hit(scattered(at, entries))));
    let plain_ns = plain(entries, own / entries, rounds);
    // From here on one leaves for each that comes.
    store.set_memory(usage.used_bytes);
    let evicting_ns = timed(200_000, |at| {
        asker.fill(entries + at, &body);
    });
    assert!(store.usage().evictions_total > 150_000.min(entries as u64 / 2));
    let each = |bytes: f64| bytes / entries as f64;
    println!(
        "{entries} | {:.0} | {:.0} | {fill_ns:.0} ns | {hit_ns:.0} ns | {plain_ns:.0} ns | {:.2} | {evicting_ns:.0} ns",
        each(usage.used_bytes as f64 - own as f64),
        each((resident - before) as f64 - own as f64),
        hit_ns / plain_ns,
    );
}

/// How long it takes to find a piece in a plain map and to share it.
fn plain(entries: usize, bytes: usize, rounds: usize) -> f64 {
    let piece = vec![1; bytes];
    let map: HashMap<u64, Arc<[u8]>> = (0..entries).map(|at| (at as u64, Arc::from(&*piece))).collect();
    let mut last = 0;
    timed(rounds, |at| {
        // Which one is next is known when the last one is there: no two are waited for at once, as behind a mutex.
        let found = map.get(&(scattered(at + last, entries) as u64)).map(Arc::clone);
        last = black_box(found).map_or(0, |piece| usize::from(piece[0]) - 1);
    })
}

fn timed(count: usize, mut what: impl FnMut(usize)) -> f64 {
    let start = Instant::now();
    (0..count).for_each(&mut what);
    start.elapsed().as_nanos() as f64 / count as f64
}

/// Neighbours far apart.
fn scattered(at: usize, count: usize) -> usize {
    (at as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) as usize % count
}

struct Asker<'a> {
    rules: &'a Rules,
    store: &'a Store,
    request: RequestHead,
    request_bytes: Vec<u8>,
    response: ResponseHead,
    path: String,
    key: Vec<u8>,
}

impl<'a> Asker<'a> {
    fn new(rules: &'a Rules, store: &'a Store) -> Self {
        let request_bytes = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n".to_vec();
        let mut request = RequestHead::new();
        assert_eq!(request.parse(&request_bytes, &Limits::default()), Ok(true));
        let mut response = ResponseHead::new();
        assert_eq!(response.parse(FIELDS.as_bytes(), Method::Get, &Limits::default()), Ok(true));
        Self { rules, store, request, request_bytes, response, path: String::new(), key: Vec::new() }
    }

    fn look(&mut self, at: usize) -> Found {
        use std::fmt::Write;
        self.path.clear();
        let _ = write!(self.path, "/some/page/{at}");
        let ask = Ask::read(&self.request, &self.request_bytes, self.rules).expect("a request");
        let url =
            Url { scheme: "http", host: b"example.com", port: None, path: self.path.as_bytes(), query: None };
        let key = Key::write(&mut self.key, &url, &ask, self.rules, self.store.seed());
        self.store.look(&key, &ask, self.rules, NOW)
    }

    fn is_hit(&mut self, at: usize) -> bool {
        matches!(black_box(self.look(at)), Found::Hit(_))
    }

    /// Bytes of key, head and body.
    fn fill(&mut self, at: usize, body: &[u8]) -> usize {
        let Found::Fill(ticket) = self.look(at) else { panic!("it is not there yet") };
        let ask = Ask::read(&self.request, &self.request_bytes, self.rules).expect("a request");
        let buf = FIELDS.as_bytes();
        let times = Times::new(NOW, NOW);
        let mut storable =
            storable::judge(&ask, &self.response, buf, self.rules, times).expect("it may be kept");
        let mut head = Vec::new();
        storable::write_head(&self.response, buf, self.rules, NOW, &mut head);
        storable::locate_validators(&mut storable.terms, &head);
        let head = Head {
            status: 200,
            bytes: head.into(),
            body_bytes: Some(body.len() as u64),
            storable: Ok(storable),
        };
        let leader = ticket.leader();
        let mut writer = ticket.begin(head, NOW);
        writer.push(body.into());
        let entry = writer.finish(NOW).expect("it is kept");
        drop(leader);
        entry.key().len() + entry.head().len() + body.len()
    }
}

/// Memory of this process, as the system counts it.
fn resident_bytes() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).expect("a line");
    line.trim().trim_end_matches(" kB").trim().parse::<usize>().expect("a number") * 1024
}
