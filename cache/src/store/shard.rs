//! One shard: its entries, the queues that decide who leaves, and what is known of fills in work.
//!
//! Who leaves is decided by S3-FIFO, by bytes: what is new stands in a small queue of a tenth; what was hit there at
//! least twice moves to the main queue, the rest leaves and is remembered as a ghost; what comes while its ghost is
//! remembered goes to the main queue at once. There, who was hit goes round again. A hit only counts.

use core::{mem, ptr};
use std::sync::Arc;

use hashbrown::HashTable;

use super::ghost::Ghost;
use super::index::{Index, mark};
use super::notes::Notes;
use super::queue::{NONE, Queue, Slots};
use super::usage::Tally;
use crate::entry::{Held, allocated};
use crate::freshness::{Cause, Use, decide, may_stand_in};
use crate::key::Seed;
use crate::{Ask, Bypass, Entry, Filling, Key, UnixMs, vary};

/// Hits that a new entry needs to move to the main queue.
const PROVEN: u8 = 2;

/// Who goes round again, at most, before somebody leaves: bounds the time under the mutex.
const MOST_ROUNDS: u32 = 256;

/// What left the store, to be dropped once the mutex is free.
pub(super) type Gone = Vec<Arc<Entry>>;

#[derive(Debug)]
pub(super) struct Shard {
    /// By hash: of the key, or of the variant.
    index: Index<Held>,
    pub slots: Slots,
    small: Queue,
    main: Queue,
    ghost: Ghost,
    /// Keys that vary, by the hash of the key.
    varying: HashTable<Varying>,
    /// URLs that have entries under other hashes than their own, by the hash of the URL.
    families: HashTable<Family>,
    fillings: HashTable<Registered>,
    pub notes: Notes,
    seed: Seed,
    pub tally: Tally,
    /// Bytes of the specs in `varying`.
    spec_bytes: u64,
}

#[derive(Debug)]
struct Varying {
    hash: u64,
    /// The names are those that count; the values are of one variant.
    spec: Box<[u8]>,
    variants: u32,
}

#[derive(Debug)]
struct Family {
    url_hash: u64,
    first: u32,
}

#[derive(Debug)]
struct Registered {
    hash: u64,
    filling: Arc<Filling>,
}

/// What a request would find.
pub(super) enum Seen {
    Fresh(Arc<Entry>),
    Stale { entry: Arc<Entry>, hash: u64, refresh: bool },
    Follow(Arc<Filling>),
    Fill { hash: u64, stored: Option<Arc<Entry>>, probe: bool },
    Pass(Bypass),
    NotHere,
}

impl Shard {
    pub fn new(most_notes: usize, seed: Seed) -> Self {
        Self {
            index: Index::new(),
            slots: Slots::new(),
            small: Queue::new(),
            main: Queue::new(),
            ghost: Ghost::default(),
            varying: HashTable::new(),
            families: HashTable::new(),
            fillings: HashTable::new(),
            notes: Notes::new(most_notes),
            seed,
            tally: Tally::default(),
            spec_bytes: 0,
        }
    }

    /// What a request finds. Changes nothing.
    #[inline]
    pub fn see(&self, key: &Key<'_>, ask: &Ask<'_>, now: UnixMs) -> Seen {
        let (hash, found) = self.find(key, ask);
        if let Some(entry) = found {
            let terms = entry.terms();
            let stale = |refresh| Seen::Stale { entry: entry.share(), hash, refresh };
            match decide(&terms, ask, now) {
                Use::Fresh => return Seen::Fresh(entry.share()),
                Use::StaleWanted => return stale(false),
                Use::StaleWhileRevalidate => {
                    let refresh =
                        self.filling(hash, key.bytes).is_none() && !self.notes.is_backing_off(hash, now);
                    return stale(refresh);
                }
                Use::Pass(why) => return Seen::Pass(why),
                // The origin failed a moment ago: what would stand in for it does so without asking.
                Use::Validate(Cause::Expired)
                    if may_stand_in(&terms, now) && self.notes.is_backing_off(hash, now) =>
                {
                    return stale(false);
                }
                Use::Validate(_) => {}
            }
        }
        self.see_missing(key, ask, now, hash, found)
    }

    fn see_missing(
        &self,
        key: &Key<'_>,
        ask: &Ask<'_>,
        now: UnixMs,
        hash: u64,
        stored: Option<&Held>,
    ) -> Seen {
        if ask.only_if_cached() {
            return Seen::NotHere;
        }
        let filling = self.filling(hash, key.bytes);
        let stored = stored.map(Held::share);
        if let Some(probe) = self.notes.marked(hash, now) {
            return match filling {
                None if probe => Seen::Fill { hash, stored, probe },
                _ => Seen::Pass(Bypass::RecentlyUncacheable),
            };
        }
        let fill = Seen::Fill { hash, stored, probe: false };
        let Some(filling) = filling else { return fill };
        let Some(Ok(storable)) = filling.begun.get().map(|head| &head.storable) else {
            return Seen::Follow(Arc::clone(filling));
        };
        match decide(&storable.terms, ask, now) {
            Use::Pass(why) => Seen::Pass(why),
            // What comes in is not new enough for this request, so that another one takes its place.
            Use::Validate(_) => fill,
            _ if storable.vary.as_deref().is_none_or(|spec| vary::matches(spec, ask)) => {
                Seen::Follow(Arc::clone(filling))
            }
            _ => fill,
        }
    }

    /// The entry for a request, and the hash under which it is or would be.
    #[inline]
    fn find(&self, key: &Key<'_>, ask: &Ask<'_>) -> (u64, Option<&Held>) {
        let at = |hash| self.index.find(mark(hash), |entry| entry.is_for(key) && entry.fits(ask));
        if let Some(found) = at(key.hash) {
            return (key.hash, Some(found));
        }
        match self.varying(key.hash) {
            None => (key.hash, None),
            Some(varying) => {
                let hash = vary::hash(&varying.spec, ask, key.hash, &self.seed);
                (hash, at(hash))
            }
        }
    }

    /// Counts a hit.
    #[inline]
    pub fn hit(&mut self, entry: &Entry, now: UnixMs) {
        entry.count_hit();
        self.tally.hits += 1;
        self.tally.hit_age_ms = self.tally.hit_age_ms.saturating_add(entry.age_ms(now));
    }

    /// All entries, in no order.
    pub fn entries(&self) -> impl Iterator<Item = &Held> {
        self.index.iter()
    }

    /// What stands in a slot that is in use.
    fn entry(&self, at: u32) -> &Held {
        standing(&self.index, &self.slots, at).expect("queues and families name slots that are in use")
    }

    fn varying(&self, hash: u64) -> Option<&Varying> {
        self.varying.find(hash, |varying| varying.hash == hash)
    }

    fn filling(&self, hash: u64, key: &[u8]) -> Option<&Arc<Filling>> {
        let is = |one: &Registered| one.hash == hash && *one.filling.key == *key;
        self.fillings.find(hash, is).map(|one| &one.filling)
    }

    /// Lets others find a filling, in place of one that they found before.
    pub fn register(&mut self, hash: u64, filling: Arc<Filling>) {
        if let Ok(before) =
            self.fillings.find_entry(hash, |one| one.hash == hash && one.filling.key == filling.key)
        {
            before.remove();
        }
        self.fillings.insert_unique(hash, Registered { hash, filling }, |one| one.hash);
    }

    /// No longer lets others find it. Whether they could.
    pub fn detach(&mut self, hash: u64, filling: &Arc<Filling>) -> bool {
        let found = self.fillings.find_entry(hash, |one| Arc::ptr_eq(&one.filling, filling));
        let found = found.map(hashbrown::hash_table::OccupiedEntry::remove).is_ok();
        if self.fillings.capacity() > 64 && self.fillings.len() < self.fillings.capacity() / 8 {
            self.fillings.shrink_to_fit(|one| one.hash);
        }
        found
    }

    /// No longer lets others find those that `is` true for: their answers are not to be kept.
    pub fn detach_all(&mut self, mut is: impl FnMut(&Filling) -> bool) {
        self.fillings.retain(|one| !is(&one.filling));
    }

    /// A filling has its head and is to be found under the hash of the variant that it is. The hash, even if others
    /// cannot find it any more.
    ///
    /// # Errors
    /// [`Bypass::TooManyVariants`].
    pub fn settle_variant(
        &mut self,
        hash: u64,
        filling: &Arc<Filling>,
        spec: Option<&[u8]>,
        gone: &mut Gone,
    ) -> Result<u64, Bypass> {
        let settled = self.hash_of(filling.key_hash, spec);
        if !self.detach(hash, filling) {
            return Ok(settled);
        }
        self.notes.unmark(hash);
        if let Some(spec) = spec {
            self.vary_by(filling.key_hash, &filling.key, filling.url_hash, spec, gone);
            let known = self.position(settled, &filling.key).is_some();
            let full =
                self.varying(filling.key_hash).is_some_and(|one| one.variants >= filling.limits.variants);
            if full && !known {
                return Err(Bypass::TooManyVariants);
            }
        }
        if self.filling(settled, &filling.key).is_none() {
            self.register(settled, Arc::clone(filling));
        }
        Ok(settled)
    }

    /// Remembers what names a key varies on. What varied on others, or did not vary, can no longer be chosen.
    fn vary_by(&mut self, key_hash: u64, key: &[u8], url_hash: u64, spec: &[u8], gone: &mut Gone) {
        match self.varying(key_hash) {
            Some(known) if vary::same_names(&known.spec, spec) => return,
            Some(_) => self.remove_variants(key, url_hash, key_hash, gone),
            None => {}
        }
        if let Some(plain) = self.position(key_hash, key) {
            gone.push(self.remove(plain));
        }
        self.forget_varying(key_hash);
        self.spec_bytes += allocated(spec.len());
        let varying = Varying { hash: key_hash, spec: spec.into(), variants: 0 };
        self.varying.insert_unique(key_hash, varying, |one| one.hash);
    }

    fn forget_varying(&mut self, key_hash: u64) {
        if let Ok(known) = self.varying.find_entry(key_hash, |one| one.hash == key_hash) {
            self.spec_bytes -= allocated(known.remove().0.spec.len());
        }
    }

    /// Forgets the names of a key of which no variant came to be stored.
    pub fn forget_unused_names(&mut self, key_hash: u64) {
        if self.varying(key_hash).is_some_and(|varying| varying.variants == 0) {
            self.forget_varying(key_hash);
        }
    }

    fn remove_variants(&mut self, key: &[u8], url_hash: u64, key_hash: u64, gone: &mut Gone) {
        let mut at = self.first_kin(url_hash);
        while at != NONE {
            let next = self.next_kin(at, url_hash);
            let entry = self.entry(at);
            if entry.vary().is_some() && entry.key() == key {
                gone.push(self.remove(at));
            }
            at = next;
        }
        self.forget_varying(key_hash);
    }

    fn first_kin(&self, url_hash: u64) -> u32 {
        self.families.find(url_hash, |family| family.url_hash == url_hash).map_or(NONE, |family| family.first)
    }

    /// The hash under which an entry is kept.
    pub fn hash_of(&self, key_hash: u64, spec: Option<&[u8]>) -> u64 {
        spec.map_or(key_hash, |spec| vary::hash_of(spec, key_hash, &self.seed))
    }

    /// The slot of the entry with this hash and key.
    fn position(&self, hash: u64, key: &[u8]) -> Option<u32> {
        let is = |entry: &Held| entry.key() == key && self.hash_of(self.seed.hash(key), entry.vary()) == hash;
        self.index.find(mark(hash), is).map(|entry| entry.slot())
    }

    /// What is stored for a request, whether it may be used or not, and how often it was hit.
    pub fn stored(&self, key: &Key<'_>, ask: &Ask<'_>) -> Option<(Arc<Entry>, u32)> {
        self.find(key, ask).1.map(|entry| (entry.share(), entry.hits()))
    }

    /// Fills in work that others may follow.
    pub fn fillings(&self) -> u64 {
        self.fillings.len() as u64
    }

    /// Takes it out: what has come since is not to be kept.
    pub fn forget(&mut self, hash: u64, key: &[u8], gone: &mut Gone) {
        if let Some(at) = self.position(hash, key) {
            gone.push(self.remove(at));
        }
    }

    /// Stores what a filling has brought, in place of what was there for the same key and variant.
    ///
    /// # Errors
    /// [`Bypass::TooManyVariants`].
    pub fn insert(&mut self, entry: Arc<Entry>, filling: &Filling, gone: &mut Gone) -> Result<(), Bypass> {
        let (key_hash, url_hash) = (filling.key_hash, filling.url_hash);
        let hash = self.hash_of(key_hash, entry.vary());
        match entry.vary() {
            Some(spec) => self.vary_by(key_hash, &filling.key, url_hash, spec, gone),
            None if self.varying(key_hash).is_some() => {
                self.remove_variants(&filling.key, url_hash, key_hash, gone);
            }
            None => {}
        }
        if let Some(at) = self.position(hash, &filling.key) {
            gone.push(self.replace(at, entry));
            return Ok(());
        }
        if entry.vary().is_some()
            && let Some(varying) = self.varying.find_mut(key_hash, |one| one.hash == key_hash)
        {
            if varying.variants >= filling.limits.variants {
                return Err(Bypass::TooManyVariants);
            }
            varying.variants += 1;
        }
        self.tally.add(&entry);
        let at = self.slots.add(mark(hash));
        self.ghost.fit(self.slots.len() as usize);
        let in_main = self.ghost.take(mark(hash));
        entry.set_slot(at);
        entry.set_in_main(in_main);
        let queue = if in_main { &mut self.main } else { &mut self.small };
        queue.push(&mut self.slots, at, entry.cost_bytes());
        self.index.insert(mark(hash), entry.into());
        if hash != url_hash {
            self.join_family(at, url_hash);
        }
        Ok(())
    }

    /// Another entry in the same place of its queue.
    fn replace(&mut self, at: u32, entry: Arc<Entry>) -> Arc<Entry> {
        self.tally.add(&entry);
        let place = self.index.find_mut(self.slots.get(at).mark, |entry| entry.slot() == at);
        let place = place.expect("who replaces has found it");
        let queue = if place.in_main() { &mut self.main } else { &mut self.small };
        queue.bytes = queue.bytes - place.cost_bytes() + entry.cost_bytes();
        entry.stand_as(place);
        let old: Arc<Entry> = Arc::from(mem::replace(place, Held::from(entry)));
        self.tally.remove(&old);
        old
    }

    /// Another entry for the same key and variant in place of `old`, or none, if that is still there.
    pub fn swap(
        &mut self,
        key_hash: u64,
        old: &Arc<Entry>,
        new: Option<&Arc<Entry>>,
        gone: &mut Gone,
    ) -> bool {
        let hash = self.hash_of(key_hash, old.vary());
        let found = self.index.find(mark(hash), |entry| ptr::eq(&raw const **entry, &raw const **old));
        let Some(at) = found.map(|entry| entry.slot()) else { return false };
        gone.push(match new {
            Some(new) => {
                new.expire_as(old);
                self.replace(at, Arc::clone(new))
            }
            None => self.remove(at),
        });
        true
    }

    fn join_family(&mut self, at: u32, url_hash: u64) {
        let first = self.first_kin(url_hash);
        if first == NONE {
            self.families.insert_unique(url_hash, Family { url_hash, first: at }, |one| one.url_hash);
            self.link_kin(at, at);
        } else {
            self.link_kin(self.slots.get(first).kin_prev, at);
            self.link_kin(at, first);
        }
    }

    fn leave_family(&mut self, at: u32, url_hash: u64) {
        let slot = self.slots.get(at);
        let (prev, next) = (slot.kin_prev, slot.kin_next);
        self.link_kin(prev, next);
        if let Ok(mut family) = self.families.find_entry(url_hash, |family| family.url_hash == url_hash) {
            match next {
                _ if next == at => drop(family.remove()),
                _ if family.get().first == at => family.get_mut().first = next,
                _ => {}
            }
        }
    }

    fn link_kin(&mut self, prev: u32, next: u32) {
        self.slots.get_mut(prev).kin_next = next;
        self.slots.get_mut(next).kin_prev = prev;
    }

    /// Who comes after that one in its family, if anybody does.
    fn next_kin(&self, at: u32, url_hash: u64) -> u32 {
        let next = self.slots.get(at).kin_next;
        if next == self.first_kin(url_hash) { NONE } else { next }
    }

    /// Takes an entry out of everything.
    fn remove(&mut self, at: u32) -> Arc<Entry> {
        let entry = self.entry(at);
        let (in_main, cost_bytes) = (entry.in_main(), entry.cost_bytes());
        let queue = if in_main { &mut self.main } else { &mut self.small };
        queue.remove(&mut self.slots, at, cost_bytes);
        self.remove_queued(at)
    }

    /// Takes an entry out of everything but its queue, which it has left.
    fn remove_queued(&mut self, at: u32) -> Arc<Entry> {
        let slot = self.slots.get(at);
        let (mark, has_kin) = (slot.mark, slot.kin_next != NONE);
        let entry = self.index.remove(mark, |entry| entry.slot() == at);
        let entry: Arc<Entry> = entry.expect("queues and families name slots that are in use").into();
        if has_kin {
            // Only variants and keys with more parts than the URL are hashed anew.
            self.leave_family(at, self.seed.hash(entry.url()));
            if entry.vary().is_some() {
                self.drop_variant(self.seed.hash(entry.key()));
            }
        }
        self.slots.remove(at);
        self.tally.remove(&entry);
        entry
    }

    fn drop_variant(&mut self, key_hash: u64) {
        let Some(varying) = self.varying.find_mut(key_hash, |one| one.hash == key_hash) else { return };
        varying.variants = varying.variants.saturating_sub(1);
        if varying.variants == 0 {
            self.forget_varying(key_hash);
        }
    }

    /// Whoever has to leave next, if anybody is here.
    pub fn evict(&mut self) -> Option<Arc<Entry>> {
        let mut rounds = MOST_ROUNDS;
        loop {
            let from_small = self.small.bytes * 10 >= self.bytes() && self.small.len > 0;
            let queue = if from_small || self.main.len == 0 { &mut self.small } else { &mut self.main };
            let at = queue.back()?;
            let entry = standing(&self.index, &self.slots, at).expect("queues name slots that are in use");
            let (freq, was_in_main, cost_bytes) = (entry.freq(), entry.in_main(), entry.cost_bytes());
            queue.remove(&mut self.slots, at, cost_bytes);
            if rounds > 0 && freq >= if was_in_main { 1 } else { PROVEN } {
                rounds -= 1;
                entry.set_freq(if was_in_main { freq - 1 } else { 0 });
                entry.set_in_main(true);
                self.main.push(&mut self.slots, at, cost_bytes);
                continue;
            }
            if !was_in_main {
                self.ghost.insert(self.slots.get(at).mark);
            }
            self.tally.evictions += 1;
            return Some(self.remove_queued(at));
        }
    }

    /// Removes every entry in the slots `range` that `is` true for, or, if `soft`, makes them stale.
    pub fn purge(
        &mut self,
        range: core::ops::Range<u32>,
        soft_at: Option<UnixMs>,
        is: impl Fn(&Entry) -> bool,
        gone: &mut Gone,
    ) -> u64 {
        let mut count = 0;
        for at in range {
            let entry = standing(&self.index, &self.slots, at);
            let Some(entry) = entry.filter(|entry| is(entry)) else { continue };
            count += 1;
            match soft_at {
                Some(now) => entry.expire(now),
                None => gone.push(self.remove(at)),
            }
        }
        count
    }

    /// The same for all entries of one URL.
    pub fn purge_url(&mut self, url_hash: u64, url: &[u8], soft_at: Option<UnixMs>, gone: &mut Gone) -> u64 {
        let plain = self.position(url_hash, url);
        let mut at = self.first_kin(url_hash);
        let mut count = 0;
        let mut drop_one = |shard: &mut Self, at: u32| {
            if shard.entry(at).url() == url {
                count += shard.purge(at..at + 1, soft_at, |_| true, gone);
            }
        };
        while at != NONE {
            let next = self.next_kin(at, url_hash);
            drop_one(self, at);
            at = next;
        }
        if let Some(at) = plain {
            drop_one(self, at);
        }
        count
    }

    /// Weight of all entries.
    pub const fn bytes(&self) -> u64 {
        self.small.bytes + self.main.bytes
    }

    /// Bytes of the tables and queues.
    pub fn structure_bytes(&self) -> u64 {
        let tables = self.varying.allocation_size()
            + self.families.allocation_size()
            + self.fillings.allocation_size();
        let others = self.index.allocated_bytes()
            + self.slots.allocated_bytes()
            + self.ghost.allocated_bytes()
            + self.notes.allocated_bytes();
        tables as u64 + others + self.spec_bytes
    }

    /// Most bytes that they grow by when something is added to each.
    pub fn growth_bytes(&self, spec_len: usize) -> u64 {
        let tables =
            table_growth(&self.varying) + table_growth(&self.families) + table_growth(&self.fillings);
        let others = self.index.growth()
            + self.slots.growth()
            + self.notes.growth()
            + self.ghost.growth(self.slots.len() as usize + 1);
        (tables + others) as u64 + allocated(spec_len)
    }
}

/// What stands in a slot, unless that is free.
fn standing<'a>(index: &'a Index<Held>, slots: &Slots, at: u32) -> Option<&'a Held> {
    index.find(slots.get(at).mark, |entry| entry.slot() == at)
}

/// Bytes that a table grows by when one is added: it doubles.
pub(super) fn table_growth<T>(table: &HashTable<T>) -> usize {
    let least = 8 * (size_of::<T>() + 1) + 64;
    if table.len() < table.capacity() { 0 } else { table.allocation_size() + least }
}
