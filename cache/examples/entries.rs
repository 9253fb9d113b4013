//! What entries take beyond key, head and body, and what a hit among them and an eviction from among them take.
//!
//! Memory is measured from outside, as that of the process, beside what the store says. Times are those of the store
//! alone: keys are written, heads judged and bodies allocated before the clock starts. The entries of hits are drawn at
//! random from all of them. Beside the store there is one of a thousand entries, and a plain map of each size behind a
//! mutex, of the same hashes to shared pieces as large, which compares the key at the front of the piece; it waits for
//! its table, its place in it and the piece. All are measured in turns, and the middle one of the rounds is shown.
//!
//! `cargo run --release -p tidegate-cache --example entries -- 1000000`

use std::hint::black_box;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use cache::freshness::Times;
use cache::key::{Key, Seed, Url};
use cache::{Ask, Found, Head, Rules, Storable, Store, storable};
use hashbrown::HashTable;
use tidegate_cache as cache;
use wire::{Limits, Method, RequestHead, ResponseHead};

const NOW: u64 = 1_800_000_000_000;
const FEW: usize = 1000;
const ROUNDS: usize = 15;
/// So few that the keys of a batch stay in a processor's fastest memory.
const BATCH: usize = 256;
const HITS: usize = 100 * BATCH;
const EVICTIONS: usize = 20 * BATCH;
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
        "entries | bytes each, by the store | by the system | hit, of {FEW} | plain map | hit, of all | plain map | \
         eviction, of {FEW} | of all"
    );
    let mut entries = most.min(FEW);
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
    let before = resident_bytes();
    let mut all = Filled::new(entries, body_bytes);
    let (usage, resident) = (all.store.usage(), resident_bytes());
    assert_eq!(usage.entries, entries as u64);
    let each = |bytes: u64| (bytes as f64 - all.own_bytes as f64) / entries as f64;
    print!("{entries} | {:.0} | {:.0}", each(usage.used_bytes), each((resident - before) as u64));

    let mut few = Filled::new(FEW.min(entries), body_bytes);
    let (mut plain_few, mut plain_all) = (Plain::like(&few), Plain::like(&all));
    let hits = rounds([
        &mut |round| few.hit_ns(round),
        &mut |round| plain_few.hit_ns(round),
        &mut |round| all.hit_ns(round),
        &mut |round| plain_all.hit_ns(round),
    ]);
    [&mut few, &mut all].into_iter().for_each(Filled::make_full);
    let evictions = rounds([&mut |_| few.eviction_ns(), &mut |_| all.eviction_ns()]);
    for ns in hits.iter().chain(&evictions) {
        print!(" | {ns:.0} ns");
    }
    println!();
}

/// The middle one of what each said in turns.
fn rounds<const N: usize>(mut of: [&mut dyn FnMut(u64) -> f64; N]) -> [f64; N] {
    let mut times = [const { Vec::new() }; N];
    for round in 0..ROUNDS as u64 {
        times.iter_mut().zip(&mut of).for_each(|(times, one)| times.push(one(round)));
    }
    times.map(|mut times| {
        times.sort_by(f64::total_cmp);
        times[times.len() / 2]
    })
}

/// A store with entries, and whoever asks it.
struct Filled {
    store: Store,
    rules: Rules,
    keys: Keys,
    entries: usize,
    /// Entries that were ever stored.
    stored: usize,
    own_bytes: usize,
    body_bytes: usize,
}

impl Filled {
    fn new(entries: usize, body_bytes: usize) -> Self {
        let store = Store::new(1 << 40, cache::store::SHARDS, 7);
        let keys = Keys::new(store.seed().clone());
        let rules = Rules::default();
        let mut this = Self { store, rules, keys, entries, stored: 0, own_bytes: 0, body_bytes };
        while this.stored < entries {
            this.fill(BATCH.min(entries - this.stored));
        }
        this
    }

    fn hit_ns(&mut self, round: u64) -> f64 {
        let Self { store, keys, rules, .. } = self;
        keys.hit_ns(self.entries, round, |key, ask| {
            assert!(matches!(black_box(store.look(key, ask, rules, NOW)), Found::Hit(_)));
        })
    }

    /// From here on one leaves for each that comes.
    fn make_full(&mut self) {
        self.store.set_memory(self.store.usage().used_bytes);
        let before = self.store.usage().evictions_total;
        while self.store.usage().evictions_total - before < self.entries.min(EVICTIONS) as u64 {
            self.fill(BATCH);
        }
    }

    fn eviction_ns(&mut self) -> f64 {
        let before = self.store.usage().evictions_total;
        let ns = (0..EVICTIONS / BATCH).map(|_| self.fill(BATCH)).sum::<u128>();
        let evicted = self.store.usage().evictions_total - before;
        assert!(evicted.abs_diff(EVICTIONS as u64) < EVICTIONS as u64 / 10, "{evicted}");
        ns as f64 / EVICTIONS as f64
    }

    /// Stores so many more. How long that took in the store.
    fn fill(&mut self, count: usize) -> u128 {
        let keys = self.keys.write(self.stored..self.stored + count);
        let brought: Vec<(Head, Arc<[u8]>)> = (0..count)
            .map(|_| (head(&keys.ask, &self.rules, self.body_bytes), body(self.body_bytes)))
            .collect();
        let head_bytes = brought.first().map_or(0, |(head, _)| head.bytes.len());
        self.own_bytes += keys.bytes.len() + count * (head_bytes + self.body_bytes);
        self.stored += count;
        let start = Instant::now();
        for (key, (head, body)) in keys.iter().zip(brought) {
            let Found::Fill(ticket) = self.store.look(&key, &keys.ask, &self.rules, NOW) else {
                panic!("it is not there yet")
            };
            let mut writer = ticket.begin(head, NOW);
            writer.push(body);
            assert!(writer.finish(NOW).is_some(), "it is kept");
        }
        start.elapsed().as_nanos()
    }
}

fn body(bytes: usize) -> Arc<[u8]> {
    vec![b'x'; bytes].into()
}

fn head(ask: &Ask<'_>, rules: &Rules, body_bytes: usize) -> Head {
    let buf = FIELDS.as_bytes();
    let mut response = ResponseHead::new();
    assert_eq!(response.parse(buf, Method::Get, &Limits::default()), Ok(true));
    let times = Times::new(NOW, NOW);
    let mut storable: Storable = storable::judge(ask, &response, buf, rules, times).expect("it may be kept");
    let mut bytes = Vec::new();
    storable::write_head(&response, buf, rules, NOW, &mut bytes);
    storable::locate_validators(&mut storable.terms, &bytes);
    Head { status: 200, bytes: bytes.into(), body_bytes: Some(body_bytes as u64), storable: Ok(storable) }
}

/// The keys of a batch, written beforehand.
struct Keys {
    seed: Seed,
    ask: Ask<'static>,
    rules: Rules,
    bytes: Vec<u8>,
    /// Where each ends, and its hash.
    list: Vec<(usize, u64)>,
}

impl Keys {
    fn new(seed: Seed) -> Self {
        let bytes = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
        let head = Box::leak(Box::new(RequestHead::new()));
        assert_eq!(head.parse(bytes, &Limits::default()), Ok(true));
        let rules = Rules::default();
        let ask = Ask::read(head, bytes, &rules).expect("a request");
        Self { seed, ask, rules, bytes: Vec::new(), list: Vec::new() }
    }

    fn write(&mut self, entries: impl Iterator<Item = usize>) -> &Self {
        self.bytes.clear();
        self.list.clear();
        let mut bytes = Vec::new();
        for entry in entries {
            let path = format!("/some/page/{entry}");
            let url =
                Url { scheme: "http", host: b"example.com", port: None, path: path.as_bytes(), query: None };
            let key = Key::write(&mut bytes, &url, &self.ask, &self.rules, &self.seed);
            self.bytes.extend_from_slice(key.bytes);
            self.list.push((self.bytes.len(), key.hash));
        }
        self
    }

    /// What it takes to hit those drawn from so many, one after the other.
    fn hit_ns(&mut self, entries: usize, round: u64, hit: impl Fn(&Key<'_>, &Ask<'_>)) -> f64 {
        let mut random = Random(round);
        let mut ns = 0;
        for _ in 0..HITS / BATCH {
            let keys = self.write((0..BATCH).map(|_| random.below(entries)));
            let start = Instant::now();
            keys.iter().for_each(|key| hit(&key, &keys.ask));
            ns += start.elapsed().as_nanos();
        }
        ns as f64 / HITS as f64
    }

    fn iter(&self) -> impl Iterator<Item = Key<'_>> {
        let mut start = 0;
        self.list.iter().map(move |&(end, hash)| {
            let bytes = &self.bytes[std::mem::replace(&mut start, end)..end];
            Key { bytes, url_len: bytes.len() as u32, url_hash: hash, hash }
        })
    }
}

/// A plain map of as many pieces, each as large as an entry.
struct Plain {
    map: Mutex<HashTable<(u64, Arc<[u8]>)>>,
    keys: Keys,
}

impl Plain {
    fn like(filled: &Filled) -> Self {
        let usage = filled.store.usage();
        let bytes = (usage.head_bytes + usage.body_bytes) as usize / filled.entries;
        let mut keys = Keys::new(filled.store.seed().clone());
        let mut map = HashTable::new();
        for entry in 0..filled.entries {
            for key in keys.write(entry..=entry).iter() {
                let mut piece = key.bytes.to_vec();
                piece.resize(bytes, 0);
                map.insert_unique(key.hash, (key.hash, Arc::from(piece)), |(hash, _)| *hash);
            }
        }
        Self { map: Mutex::new(map), keys }
    }

    fn hit_ns(&mut self, round: u64) -> f64 {
        let (map, keys) = (&self.map, &mut self.keys);
        let entries = map.lock().expect("nobody panicked").len();
        keys.hit_ns(entries, round, |key, _| {
            let map = map.lock().expect("nobody panicked");
            let is = |(hash, piece): &(u64, Arc<[u8]>)| *hash == key.hash && piece.starts_with(key.bytes);
            assert!(black_box(map.find(key.hash, is).map(|(_, piece)| Arc::clone(piece))).is_some());
        })
    }
}

/// Numbers that look random.
struct Random(u64);

impl Random {
    fn below(&mut self, count: usize) -> usize {
        // SplitMix64.
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((mixed ^ (mixed >> 31)) % count as u64) as usize
    }
}

/// Memory of this process, as the system counts it.
fn resident_bytes() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).expect("a line");
    line.trim().trim_end_matches(" kB").trim().parse::<usize>().expect("a number") * 1024
}
