//! Many small entries: what each takes besides its bytes, and whether a hit among many costs what it costs among few.

use std::path::Path;

use crate::problem::Problem;

use super::super::field::Field;
use super::super::measure::median;
use super::super::peer::{Peer, Running};
use super::super::{correctness, crowd, procfs};

/// The body of each entry, in bytes.
pub(super) const BODY_BYTES: usize = 100;
/// How many entries are few.
pub(super) const FEW: u32 = 1000;

/// What was seen of one peer.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Kept {
    pub(super) peer: Peer,
    /// Entries that were fetched.
    pub(super) entries: u32,
    /// Those of them that were still there afterwards.
    pub(super) still_there: u64,
    /// Memory of the server with all of them.
    pub(super) memory_bytes: u64,
    /// By how much the memory grew from few entries to all, per entry.
    pub(super) growth_bytes: f64,
    /// The part of it that is neither key, nor head, nor body.
    pub(super) overhead_bytes: f64,
    /// What the files of an entry take.
    pub(super) disk_bytes: f64,
    /// Hits among few entries, and among all.
    pub(super) few: Hits,
    pub(super) many: Hits,
}

/// What hits took.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Hits {
    pub(super) cpu_us: f64,
    pub(super) p50_us: f64,
}

/// Fills every peer with so many entries over so many connections.
pub(super) fn measure(field: &Field<'_>, connections: u32, entries: u32) -> Result<Vec<Kept>, Problem> {
    let mut all = Vec::new();
    for peer in field.caches() {
        let running = field.start(peer)?;
        let filled = Filled { running: &running, connections };
        // Each of the few once, then hits of them, as many as there will be of all.
        filled.ask(FEW, |request| request)?;
        let few = filled.ask(entries, |request| scattered(request, entries) % FEW)?;
        let own_bytes = own_bytes(field.origin, running.port, entries)?;
        let before = memory(&running)?;
        filled.ask(entries - FEW, |request| FEW + request)?;
        let memory_bytes = memory(&running)?;
        let fetched = field.fetched()?;
        let many = filled.ask(entries, |request| scattered(request, entries))?;
        let growth_bytes = (memory_bytes as f64 - before as f64) / f64::from(entries - FEW);
        let files = allocated_bytes(&field.scratch.join(peer.name()).join("cache"));
        let kept = Kept {
            peer,
            entries,
            still_there: u64::from(entries).saturating_sub(field.fetched()? - fetched),
            memory_bytes,
            growth_bytes,
            overhead_bytes: growth_bytes - own_bytes,
            disk_bytes: files as f64 / f64::from(entries),
            few,
            many,
        };
        println!(
            "  {:9} {} kept, {:.1} MiB, {:.0} bytes each, {:.0} of them overhead; a hit among {FEW}: {:.2} µs CPU, p50 \
             {:.0} µs, among all: {:.2} µs CPU, p50 {:.0} µs",
            peer.name(),
            kept.still_there,
            memory_bytes as f64 / 1024.0 / 1024.0,
            growth_bytes,
            kept.overhead_bytes,
            few.cpu_us,
            few.p50_us,
            many.cpu_us,
            many.p50_us
        );
        all.push(kept);
    }
    Ok(all)
}

/// A peer that is filled.
struct Filled<'a> {
    running: &'a Running,
    connections: u32,
}

impl Filled<'_> {
    /// Asks so many times for entries, the entry of each request told by `entry`. Every answer is compared byte by byte.
    fn ask(&self, requests: u32, entry: impl Fn(u32) -> u32 + Sync) -> Result<Hits, Problem> {
        let expected = correctness::pattern(BODY_BYTES);
        let mut times_us = Vec::with_capacity(requests as usize);
        let before = procfs::cpu_us(self.running.process.id())?;
        let see = |outcome: crowd::Outcome| {
            let what = format!("{}, entry {}", self.running.peer.name(), entry(outcome.request));
            let answer = outcome.answer.ok_or_else(|| Problem::new(format!("{what}: no answer")))?;
            times_us.push(outcome.took.as_secs_f64() * 1e6);
            answer.expect(200, &expected, &what)
        };
        crowd::ask(self.running.port, self.connections, requests, |request| target(entry(request)), see)?;
        let used = procfs::cpu_us(self.running.process.id())? - before;
        Ok(Hits {
            cpu_us: used / f64::from(requests.max(1)),
            p50_us: median(times_us.into_iter()).unwrap_or(0.0),
        })
    }
}

fn target(entry: u32) -> String {
    format!("/cached/{BODY_BYTES}?i={entry}")
}

/// Every number below `count` once, neighbours far apart: the step is about the golden part of `count`, and made prime to
/// it.
fn scattered(at: u32, count: u32) -> u32 {
    let mut step = (f64::from(count) * 0.618) as u64 | 1;
    while greatest_divisor(step, u64::from(count)) != 1 {
        step += 2;
    }
    (u64::from(at) * step % u64::from(count)) as u32
}

fn greatest_divisor(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { greatest_divisor(b, a % b) }
}

/// The bytes of an entry that any cache has to keep, on average: its URL, head and body as the origin sends them, and what
/// a cache has to add to the head where the origin has not sent it, if it does so.
fn own_bytes(origin: u16, peer: u16, entries: u32) -> Result<f64, Problem> {
    let request = format!("GET {} HTTP/1.1\r\nHost: bench\r\n\r\n", target(0));
    let ask = |port| correctness::Client::connect(port)?.ask(request.as_bytes());
    let (answer, hit) = (ask(origin)?, ask(peer)?);
    let added = added_bytes(&answer.head, &hit.head);
    let urls: usize = (0..entries).map(|entry| "http://bench".len() + target(entry).len()).sum();
    Ok((answer.head.len() + added + answer.body.len()) as f64 + urls as f64 / f64::from(entries))
}

/// Bytes of the lines that a cache must add to a head, Date (RFC 9110 section 6.6.1) and Via (section 7.6.3), and has added.
fn added_bytes(sent: &str, hit: &str) -> usize {
    let names = ["date:", "via:"].into_iter().filter(|name| !sent.lines().any(|line| line.starts_with(name)));
    let lines = names.filter_map(|name| hit.lines().find(|line| line.starts_with(name)));
    lines.map(|line| line.len() + 2).sum()
}

fn memory(running: &Running) -> Result<u64, Problem> {
    procfs::proportional_bytes(running.process.id())
}

/// What the files in a folder take on disk, in bytes; 0 when there is no such folder.
fn allocated_bytes(folder: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt;

    let files =
        walkdir::WalkDir::new(folder).into_iter().flatten().filter(|entry| entry.file_type().is_file());
    // The unit of this count is 512 bytes, whatever the file system's block is.
    files.filter_map(|file| file.metadata().ok()).map(|metadata| metadata.blocks() * 512).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scattered_numbers_are_all_there_and_neighbours_are_apart() {
        for count in [1, 2, 10, 1000, 4096] {
            let mut numbers: Vec<u32> = (0..count).map(|at| scattered(at, count)).collect();
            assert!(count < 1000 || numbers[0].abs_diff(numbers[1]) > count / 3);
            numbers.sort_unstable();
            assert_eq!(numbers, (0..count).collect::<Vec<_>>());
        }
    }

    #[test]
    fn what_a_cache_must_add_counts_where_it_did_and_the_origin_had_not() {
        let sent = "http/1.1 200 ok\r\nserver: a\r\n\r\n";
        let hit = "http/1.1 200 ok\r\nserver: a\r\nvia: 1.1 b\r\nage: 7\r\ndate: x\r\n\r\n";
        assert_eq!(added_bytes(sent, hit), "via: 1.1 b\r\n".len() + "date: x\r\n".len());
        assert_eq!((added_bytes(hit, hit), added_bytes(sent, sent)), (0, 0));
    }

    #[test]
    fn files_count_with_the_blocks_that_they_take() {
        let folder = tempfile::tempdir().expect("a folder");
        assert_eq!(allocated_bytes(&folder.path().join("none")), 0);
        std::fs::write(folder.path().join("file"), [1; 5000]).expect("written");
        std::fs::File::open(folder.path().join("file")).and_then(|file| file.sync_all()).expect("on disk");
        assert!(allocated_bytes(folder.path()) >= 5000);
    }
}
