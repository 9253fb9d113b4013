//! A store with a tier below it, whose folder is a map.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use tidegate_cache::disk::{
    Corrupt, Failure, Files, Ledger, Lies, Position, Recovery, Sum, Usage, Writer, front,
};
use tidegate_cache::entry::{Body, Place};
use tidegate_cache::store::{Found, Purge, Tier};
use tidegate_cache::{Entry, Stored, UnixMs, vary};

use crate::support::*;

pub const LIMIT: u64 = 4 << 20;

/// What is on disk: files by number.
pub type Disk = BTreeMap<u32, Vec<u8>>;

/// A folder that may fail.
#[derive(Debug, Default)]
pub struct Folder {
    pub disk: Disk,
    /// Bytes that may still be written.
    pub room: Option<usize>,
    /// Nothing can be removed, or cut off.
    pub is_stuck: bool,
    /// Large entries that were written, with where.
    pub kept: Vec<(Arc<Entry>, Lies)>,
    pub noted: u32,
}

impl Folder {
    fn put(&mut self, number: u32, offset: usize, bytes: &[u8]) -> Result<(), Failure> {
        let most = self.room.unwrap_or(usize::MAX).min(bytes.len());
        self.room = self.room.map(|room| room - most);
        let file = self.disk.entry(number).or_default();
        file.resize(offset, 0);
        file.extend_from_slice(&bytes[..most]);
        if most < bytes.len() { Err(Failure::Full) } else { Ok(()) }
    }
}

impl Files for Folder {
    fn begin(&mut self, number: u32, opening: &[u8]) -> Result<(), Failure> {
        self.disk.remove(&number);
        self.put(number, 0, opening)
    }

    fn write(&mut self, at: Position, front: &[u8], body: Stored<'_>, padding: usize) -> Result<(), Failure> {
        let pieces = body.pieces().flatten().copied();
        let bytes: Vec<u8> = front.iter().copied().chain(pieces).chain(vec![0; padding]).collect();
        self.put(at.segment, at.offset_bytes() as usize, &bytes)
    }

    fn cut(&mut self, at: Position) -> Result<(), Failure> {
        if self.is_stuck {
            return Err(Failure::Write);
        }
        self.disk.entry(at.segment).or_default().truncate(at.offset_bytes() as usize);
        Ok(())
    }

    fn remove(&mut self, number: u32) -> Result<(), Failure> {
        if self.is_stuck {
            return Err(Failure::Write);
        }
        let freed = self.disk.remove(&number).map_or(0, |file| file.len());
        self.room = self.room.map(|room| room + freed);
        Ok(())
    }

    fn noted(&mut self) {
        self.noted += 1;
    }

    fn sum(&self, _body: Stored<'_>) -> Option<u32> {
        None
    }

    fn kept(&mut self, entry: &Arc<Entry>, lies: Lies, _body_start: u64, _body_sum: u32) {
        // What is held here is not free for others.
        if entry.body().len_bytes() >= 200_000 {
            self.kept.push((Arc::clone(entry), lies));
        }
    }
}

/// The tier, as the store is told of it.
struct Below(Arc<Mutex<Ledger>>);

impl Tier for Below {
    fn load(&self, _key: &[u8], _hash: u64, _done: Box<dyn FnOnce(Option<Arc<Entry>>) + Send>) {
        unreachable!("the stage reads by itself")
    }

    fn keep(&self, entry: &Arc<Entry>) {
        // What is dropped is counted.
        let _ = self.0.lock().unwrap().keep(entry, NOW);
    }

    fn replace(&self, hash: u64) {
        self.0.lock().unwrap().replace(hash);
    }

    fn purge(&self, what: Purge<'_>, soft: bool, now: UnixMs) {
        self.0.lock().unwrap().purge(what, soft, now);
    }
}

pub struct Stage {
    pub world: World,
    pub ledger: Arc<Mutex<Ledger>>,
    pub writer: Writer<Folder>,
    pub recovery: Recovery,
    pub now: UnixMs,
}

impl Stage {
    pub fn new(memory_bytes: u64) -> Self {
        Self::on(memory_bytes, LIMIT, Disk::new())
    }

    /// What a process makes of a folder when it starts.
    pub fn on(memory_bytes: u64, limit_bytes: u64, disk: Disk) -> Self {
        let world = World::sharded(memory_bytes, 1);
        let mut ledger = Ledger::new(world.store.seed().clone(), limit_bytes, memory_bytes);
        let files: Vec<(u32, u64)> = disk.iter().map(|(&number, file)| (number, file.len() as u64)).collect();
        let recovery = ledger.recover(&files, &mut |number, offset, out: &mut [u8]| {
            let file = disk.get(&number).and_then(|file| file.get(offset as usize..));
            let Some(bytes) = file.and_then(|file| file.get(..out.len())) else { return false };
            out.copy_from_slice(bytes);
            true
        });
        let mut folder = Folder { disk, ..Folder::default() };
        for number in &recovery.removals {
            folder.remove(*number).unwrap();
        }
        if let Some((number, bytes)) = recovery.cut {
            folder.disk.get_mut(&number).unwrap().truncate(bytes as usize);
        }
        let ledger = Arc::new(Mutex::new(ledger));
        world.store.set_below(Arc::new(Below(Arc::clone(&ledger))));
        let writer = Writer::new(Arc::clone(&ledger), folder);
        Self { world, ledger, writer, recovery, now: NOW }
    }

    /// The process ends, and another one starts.
    pub fn restart(self, change: impl FnOnce(&mut Disk)) -> Self {
        let limit_bytes = self.usage().limit_bytes;
        let mut disk = self.writer.files.disk;
        change(&mut disk);
        Self::on(self.world.usage().memory_bytes, limit_bytes, disk)
    }

    pub fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap()
    }

    pub fn usage(&self) -> Usage {
        self.ledger().usage()
    }

    /// Lets the writer do all that it can do now.
    pub fn settle(&mut self) {
        while self.writer.step(self.now) {}
    }

    /// Sends everything below that is in memory, and forgets it there.
    pub fn flush(&mut self) {
        let store = self.world.store.clone();
        store.each_entry(|entry| {
            // What is dropped is counted.
            let _ = self.ledger().keep(entry, self.now);
            self.settle();
            true
        });
        self.world.store.forget_where(|_| true);
        self.settle();
    }

    /// What is on disk for a path, if it may be given out.
    pub fn load(&self, path: &str, fields: &[&str]) -> Option<Arc<Entry>> {
        self.world.asking(path, fields, |key, ask| {
            let first = self.read(key.bytes, key.hash)?;
            let Some(spec) = first.vary() else { return Some(first) };
            let hash = vary::hash(spec, ask, key.hash, self.world.store.seed());
            self.read(key.bytes, hash).filter(|entry| entry.fits(ask))
        })
    }

    fn read(&self, key: &[u8], hash: u64) -> Option<Arc<Entry>> {
        let mut ledger = self.ledger();
        let lies = ledger.find(hash)?;
        let read = || -> Result<Arc<Entry>, Corrupt> {
            let file = self.writer.files.disk.get(&lies.at.segment).ok_or(Corrupt::Missing)?;
            let start = lies.at.offset_bytes() as usize;
            let bytes = file.get(start..start + lies.bytes as usize).ok_or(Corrupt::Torn)?;
            let (head, text) = front(bytes, lies.at)?;
            let body = &bytes[head.body_start() as usize..head.used_bytes() as usize];
            if Sum::of(body) != head.body_sum {
                return Err(Corrupt::Body);
            }
            Ok(text.entry(Body::from_pieces([Arc::from(body)])))
        };
        match read() {
            Ok(entry) if entry.key() == key && !ledger.is_purged(lies.at, &entry) => Some(entry),
            _ => {
                ledger.forget(hash, lies.at);
                None
            }
        }
    }

    /// The body on disk for a path.
    pub fn body(&self, path: &str) -> Option<Vec<u8>> {
        self.load(path, &[]).map(|entry| body(&entry))
    }

    /// Gives a request what is below, as whoever fills does. Whether there was something.
    pub fn promote(&self, path: &str) -> bool {
        let Found::Fill(ticket) = self.world.look(path, &[]) else { return false };
        match self.load(path, &[]) {
            Some(entry) => ticket.answer(entry).is_ok(),
            None => false,
        }
    }
}

/// Where a body lies that is not in memory.
#[derive(Debug)]
pub struct Far(pub u64);

impl Place for Far {
    fn len_bytes(&self) -> u64 {
        self.0
    }
}
