//! The store in memory: who finds what, who fills, who leaves.
//!
//! Shards, each with a mutex that is held for a few hundred nanoseconds and never together with another one; all
//! entries of a URL are in one shard. A hit takes the mutex once, counts, and clones a reference. Memory is accounted
//! for in one place for all shards, so that an entry may be larger than a shard's share; who needs room takes it from
//! its own shard, or from the fullest one when its own has less than its share.

mod budget;
mod ghost;
mod index;
mod notes;
mod queue;
mod shard;
mod ticket;
pub mod tier;
mod usage;

use core::fmt;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

pub(crate) use budget::Budget;
use shard::{Gone as Leaving, Seen, Shard};
pub(crate) use ticket::Promotion;
pub use ticket::{Gone, Ticket, Writer};
pub use tier::{Purge, Tier};
use usage::Tally;
pub use usage::Usage;

use crate::entry::{Beside, Held};
use crate::filling::{Filling, Limits};
use crate::key::Seed;
use crate::{Ask, Body, Bypass, Entry, Key, Rules, UnixMs};

/// Shards, unless somebody knows better.
pub const SHARDS: usize = 64;

/// Share of the memory that one entry may take at most.
const LARGEST_SHARE: u64 = 4;

/// Share of the memory from which on a body is large: it lies below, if there is anything below. None of less than
/// [`LEAST_LARGE_BYTES`] does.
const LARGE_SHARE: u64 = 64;
const LEAST_LARGE_BYTES: u64 = 64 << 10;

/// Slots that a purge looks at before it lets others have the shard.
const PURGE_STRIDE: u32 = 1024;

/// The store. A clone is the same store.
#[derive(Clone)]
pub struct Store {
    shared: Arc<Shared>,
}

struct Shared {
    lanes: Box<[Lane]>,
    budget: Arc<Budget>,
    /// That of the entries whose bodies are small.
    beside: Arc<Beside>,
    seed: Seed,
    below: OnceLock<Arc<dyn Tier>>,
    /// Memory that the tier below takes for itself.
    below_bytes: AtomicU64,
}

/// A shard on cache lines of its own (two, since processors fetch them in pairs).
#[repr(align(128))]
struct Lane {
    shard: Mutex<Shard>,
    /// What its entries weigh, for those who look for the fullest.
    weight: AtomicU64,
    /// What its tables and queues have reserved.
    structures: AtomicU64,
}

/// What a request finds.
#[derive(Debug)]
pub enum Found {
    /// Something fresh.
    Hit(Arc<Entry>),
    /// Something stale that may be served.
    Stale {
        /// What to deliver.
        entry: Arc<Entry>,
        /// The duty to refresh it behind, unless somebody has it already or the origin failed a second ago.
        refresh: Option<Ticket>,
    },
    /// Another request is filling: [`Filling::read_along`].
    Follow(Arc<Filling>),
    /// Nothing that may be used without asking. The request is to be filled, or what is
    /// [stored](Ticket::stored) to be validated.
    Fill(Ticket),
    /// Forward it as if there were no cache.
    Pass(Bypass),
    /// It wanted only what is stored, and that is nothing: 504 (RFC 9111 section 5.2.1.7).
    NotHere,
}

/// What a request would find, for `explain`.
#[derive(Debug)]
pub struct Peek {
    /// What is stored for it, whether it may be used or not.
    pub entry: Option<Arc<Entry>>,
    /// How often that was hit since it was first stored.
    pub hits: u32,
    /// What would come of it.
    pub outcome: Foreseen,
}

/// What would come of a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Foreseen {
    /// [`Found::Hit`].
    Hit,
    /// [`Found::Stale`]; whether the request would cause a refresh.
    Stale {
        /// It would.
        refresh: bool,
    },
    /// [`Found::Follow`].
    Follow,
    /// [`Found::Fill`].
    Fill,
    /// [`Found::Pass`].
    Pass(Bypass),
    /// [`Found::NotHere`].
    NotHere,
}

/// An entry in a list.
#[derive(Clone, Debug)]
pub struct Listed {
    /// The entry.
    pub entry: Arc<Entry>,
    /// How often it was hit since it was first stored.
    pub hits: u32,
}

impl Store {
    /// A store of so many bytes, everything included, in so many shards ([`SHARDS`]). `seed` is a number that nobody
    /// outside knows.
    pub fn new(memory_bytes: u64, shards: usize, seed: u64) -> Self {
        let shards = shards.max(1);
        let seed = Seed::new(seed);
        // A marker takes about a hundred bytes; all of them may take a hundredth of the memory.
        let most_notes = (memory_bytes / 10_000 / shards as u64).clamp(16, 4096) as usize;
        let lane = || Lane {
            shard: Mutex::new(Shard::new(most_notes, seed.clone())),
            weight: AtomicU64::new(0),
            structures: AtomicU64::new(0),
        };
        let lanes = (0..shards).map(|_| lane()).collect();
        let budget = Arc::new(Budget::new(memory_bytes));
        let beside = Arc::new(Beside::of(Arc::clone(&budget)));
        let (below, below_bytes) = (OnceLock::new(), AtomicU64::new(0));
        Self { shared: Arc::new(Shared { lanes, budget, beside, seed, below, below_bytes }) }
    }

    /// Changes how many bytes it may take. With fewer than it has, what was used least goes at once; what is on its way
    /// in stays until it has come in.
    pub fn set_memory(&self, memory_bytes: u64) {
        self.shared.budget.set_memory(memory_bytes);
        let [first, ..] = &*self.shared.lanes else { return };
        while self.shared.budget.is_over() && self.evict(first, self.shared.budget.excess_bytes()) {}
    }

    /// What keys have to be hashed with.
    pub fn seed(&self) -> &Seed {
        &self.shared.seed
    }

    /// What a request finds.
    #[inline]
    pub fn look(&self, key: &Key<'_>, ask: &Ask<'_>, rules: &Rules, now: UnixMs) -> Found {
        let lane = self.lane(key.url_hash);
        let mut shard = lane.lock();
        let seen = shard.see(key, ask, now);
        match seen {
            Seen::Fresh(entry) => {
                shard.hit(&entry, now);
                Found::Hit(entry)
            }
            Seen::Stale { entry, refresh: false, .. } => {
                shard.hit(&entry, now);
                Found::Stale { entry, refresh: None }
            }
            Seen::Follow(filling) => {
                shard.tally.collapsed += 1;
                Found::Follow(filling)
            }
            Seen::Pass(why) => Found::Pass(why),
            Seen::NotHere => Found::NotHere,
            Seen::Stale { .. } | Seen::Fill { .. } => {
                drop(shard);
                // What is seen here is looked at anew, and may have to leave for the filling.
                drop(seen);
                self.look_to_fill(key, ask, rules, now)
            }
        }
    }

    /// What a request would find, without any effect.
    pub fn peek(&self, key: &Key<'_>, ask: &Ask<'_>, now: UnixMs) -> Peek {
        let shard = self.lane(key.url_hash).lock();
        let (entry, hits) = shard.stored(key, ask).unzip();
        let outcome = match shard.see(key, ask, now) {
            Seen::Fresh(_) => Foreseen::Hit,
            Seen::Stale { refresh, .. } => Foreseen::Stale { refresh },
            Seen::Follow(_) => Foreseen::Follow,
            Seen::Fill { .. } => Foreseen::Fill,
            Seen::Pass(why) => Foreseen::Pass(why),
            Seen::NotHere => Foreseen::NotHere,
        };
        Peek { entry, hits: hits.unwrap_or(0), outcome }
    }

    /// Removes entries, or makes them stale, here and below; and what is being filled meanwhile is not kept if it may be
    /// meant. How many entries there were here.
    pub fn purge(&self, what: Purge<'_>, soft: bool, now: UnixMs) -> u64 {
        let soft_at = soft.then_some(now);
        let Some(below) = self.shared.below.get() else { return self.purge_here(what, soft_at, true) };
        let mut count = 0;
        // Twice: what is loaded from below, or leaves for there, between the first two is caught by the others.
        for is_first in [true, false] {
            // What is made stale is still there the second time.
            count += self.purge_here(what, soft_at, is_first || !soft);
            below.purge(what, soft, now);
        }
        count
    }

    fn purge_here(&self, what: Purge<'_>, soft_at: Option<UnixMs>, is_counted: bool) -> u64 {
        let counted = |count: u64| if is_counted { count } else { 0 };
        if let Purge::Url(url) = what {
            let url_hash = self.shared.seed.hash(url);
            return self.change(url_hash, |shard, leaving| {
                shard.detach_all(|filling| filling.url() == url);
                let count = counted(shard.purge_url(url_hash, url, soft_at, leaving));
                shard.tally.purged += count;
                count
            });
        }
        for lane in &self.shared.lanes {
            lane.lock().detach_all(|filling| is_meant(filling, what));
        }
        let note = |tally: &mut Tally, count| tally.purged += counted(count);
        counted(self.purge_where(soft_at, |entry| what.is_of(entry), note))
    }

    /// Looks at every entry, a few at a time.
    fn purge_where(
        &self,
        soft_at: Option<UnixMs>,
        is: impl Fn(&Entry) -> bool,
        note: impl Fn(&mut Tally, u64),
    ) -> u64 {
        let mut count = 0;
        for lane in &self.shared.lanes {
            let mut start = 0;
            loop {
                let (purged, end) = self.change_lane(lane, |shard, leaving| {
                    let end = shard.slots.end();
                    let range = start.min(end)..(start + PURGE_STRIDE).min(end);
                    let purged = shard.purge(range, soft_at, &is, leaving);
                    note(&mut shard.tally, purged);
                    (purged, end)
                });
                count += purged;
                start += PURGE_STRIDE;
                if start >= end {
                    break;
                }
            }
        }
        count
    }

    /// A request may have changed what is at this URL ([`crate::invalidation::targets`]).
    pub fn invalidate(&self, url: &[u8]) -> u64 {
        self.purge(Purge::Url(url), false, 0)
    }

    /// Puts another body into the place of an entry's, which means the same, such as one that is compressed better.
    /// False: the entry is not there any more, or there is no room.
    pub fn replace_body(&self, old: &Arc<Entry>, body: Body) -> bool {
        let (key_hash, url_hash) = (self.shared.seed.hash(old.key()), self.shared.seed.hash(old.url()));
        let entry = old.with_body(body);
        if !self.make_room(url_hash, entry.cost_bytes()) {
            return false;
        }
        let entry = entry.accounted(&self.shared.beside, true);
        self.change(url_hash, |shard, leaving| shard.swap(key_hash, old, Some(&entry), leaving))
    }

    /// Entries whose URL begins with `prefix`, at most so many, in no order.
    pub fn list(&self, prefix: &[u8], most: usize) -> Vec<Listed> {
        let mut all = Vec::new();
        self.each(|listed| {
            if all.len() < most && listed.entry.url().starts_with(prefix) {
                all.push(listed.clone());
            }
            all.len() < most
        });
        all
    }

    /// The entries with the most hits, the first one first.
    pub fn top(&self, most: usize) -> Vec<Listed> {
        let mut top: Vec<Listed> = Vec::new();
        self.each(|listed| {
            let at = top.partition_point(|other| other.hits >= listed.hits);
            if at < most {
                top.insert(at, listed.clone());
                top.truncate(most);
            }
            true
        });
        top
    }

    /// What it counts.
    pub fn usage(&self) -> Usage {
        let mut usage = Usage { memory_bytes: self.shared.budget.memory_bytes(), ..Usage::default() };
        for lane in &self.shared.lanes {
            let shard = lane.lock();
            usage.entries += u64::from(shard.slots.len());
            usage.overhead_bytes += lane.structures.load(Relaxed);
            usage.markers += shard.notes.len();
            usage.fillings += shard.fillings();
            shard.tally.add_to(&mut usage);
        }
        usage.overhead_bytes += self.shared.below_bytes.load(Relaxed);
        usage.used_bytes = self.shared.budget.used();
        usage.filling_bytes = self.shared.budget.fillings();
        let here = usage.head_bytes + usage.body_bytes + usage.overhead_bytes + usage.filling_bytes;
        // The shards were not read at one moment.
        usage.leaving_bytes = usage.used_bytes.saturating_sub(here);
        usage
    }

    #[cold]
    fn look_to_fill(&self, key: &Key<'_>, ask: &Ask<'_>, rules: &Rules, now: UnixMs) -> Found {
        let cost = Filling::cost_bytes(key);
        let reserved = self.make_room_to_grow(key.url_hash, 0) && self.make_room(key.url_hash, cost);
        let found = self.change(key.url_hash, |shard, _| {
            let (hash, stored, stale) = match shard.see(key, ask, now) {
                Seen::Fresh(entry) => {
                    shard.hit(&entry, now);
                    return Ok(Found::Hit(entry));
                }
                Seen::Stale { entry, refresh, .. } if !refresh || !reserved => {
                    shard.hit(&entry, now);
                    return Ok(Found::Stale { entry, refresh: None });
                }
                Seen::Follow(filling) => {
                    shard.tally.collapsed += 1;
                    return Ok(Found::Follow(filling));
                }
                Seen::Pass(why) => return Ok(Found::Pass(why)),
                Seen::NotHere => return Ok(Found::NotHere),
                Seen::Fill { .. } if !reserved => {
                    shard.tally.refuse(Bypass::NoRoom);
                    return Ok(Found::Pass(Bypass::NoRoom));
                }
                Seen::Stale { entry, hash, .. } => {
                    shard.hit(&entry, now);
                    (hash, Some(entry), true)
                }
                Seen::Fill { hash, stored, probe } => {
                    if probe {
                        shard.notes.probing(hash, now);
                    }
                    (hash, stored, false)
                }
            };
            // With a tier below it is not known yet whether the origin is asked.
            shard.tally.fills += u64::from(self.shared.below.get().is_none());
            let mut filling = Filling::new(key, Limits::of(rules), stored.clone(), &self.shared.budget);
            filling.varies = hash != key.hash;
            let filling = Arc::new(filling);
            shard.register(hash, Arc::clone(&filling));
            Err((filling, hash, stored.filter(|_| stale)))
        });
        match found {
            Ok(found) => {
                if reserved {
                    self.shared.budget.release(cost);
                }
                found
            }
            Err((filling, hash, stale)) => {
                let ticket = Ticket::new(self.clone(), filling, hash);
                match stale {
                    Some(entry) => Found::Stale { entry, refresh: Some(ticket) },
                    None => Found::Fill(ticket),
                }
            }
        }
    }

    /// Hands every entry to `take` until that says `false`.
    fn each(&self, mut take: impl FnMut(&Listed) -> bool) {
        for lane in &self.shared.lanes {
            let shard = lane.lock();
            if !shard.entries().all(|entry| take(&Listed { entry: entry.share(), hits: entry.hits() })) {
                return;
            }
        }
    }

    fn lane(&self, url_hash: u64) -> &Lane {
        // The table in the shard uses the lowest and the highest bits.
        let at = (url_hash >> 16) as u32 as usize % self.shared.lanes.len();
        &self.shared.lanes[at]
    }

    /// Changes the shard of a URL, and sees to what follows from it.
    fn change<T>(&self, url_hash: u64, change: impl FnOnce(&mut Shard, &mut Leaving) -> T) -> T {
        self.change_lane(self.lane(url_hash), change)
    }

    fn change_lane<T>(&self, lane: &Lane, change: impl FnOnce(&mut Shard, &mut Leaving) -> T) -> T {
        let made = self.change_once(lane, change);
        while self.shared.budget.is_over() && self.evict(lane, 1) {}
        made
    }

    fn change_once<T>(&self, lane: &Lane, change: impl FnOnce(&mut Shard, &mut Leaving) -> T) -> T {
        let mut leaving = Vec::new();
        let mut shard = lane.lock();
        let made = change(&mut shard, &mut leaving);
        lane.weight.store(shard.bytes(), Relaxed);
        let bytes = shard.structure_bytes();
        let before = lane.structures.swap(bytes, Relaxed);
        if bytes > before {
            self.shared.budget.force(bytes - before);
        } else {
            self.shared.budget.release(before - bytes);
        }
        drop(shard);
        // Entries are taken apart while others have the shard.
        drop(leaving);
        made
    }

    /// Makes room for what the tables of a shard may grow by when something is added. Others may take it meanwhile, and
    /// then whoever adds something makes room again.
    fn make_room_to_grow(&self, url_hash: u64, spec_len: usize) -> bool {
        let growth = self.lane(url_hash).lock().growth_bytes(spec_len);
        let roomy = growth == 0 || self.make_room(url_hash, growth);
        if roomy {
            self.shared.budget.release(growth);
        }
        roomy
    }

    /// Reserves so many bytes, at others' cost if need be.
    fn make_room(&self, url_hash: u64, bytes: u64) -> bool {
        let lane = self.lane(url_hash);
        loop {
            if self.shared.budget.reserve(bytes) {
                return true;
            }
            if bytes > self.shared.budget.memory_bytes() || !self.evict(lane, bytes) {
                return false;
            }
        }
    }

    /// Sends away so many bytes of entries, or fewer, but at least one. Whether there was one.
    fn evict(&self, own: &Lane, bytes: u64) -> bool {
        let Some(lane) = self.fullest(own) else { return false };
        self.change_once(lane, |shard, leaving| {
            let mut freed = 0;
            while freed < bytes
                && let Some(entry) = shard.evict()
            {
                // What somebody still sends is not free yet.
                let is_free = Arc::strong_count(&entry) == 1;
                freed += if is_free { entry.cost_bytes() } else { 0 };
                if let Some(below) = self.shared.below.get() {
                    below.keep(&entry);
                    // What waits there is counted there; something large stays until it is written.
                    if is_free && !self.is_large(entry.body().len_bytes()) {
                        entry.leave();
                    }
                }
                leaving.push(entry);
            }
            !leaving.is_empty()
        })
    }

    /// The shard that has to give: its own, unless that has clearly less than its share.
    fn fullest<'s>(&'s self, own: &'s Lane) -> Option<&'s Lane> {
        let weigh = |lane: &Lane| lane.weight.load(Relaxed);
        let lanes = &self.shared.lanes;
        let share = lanes.iter().map(weigh).sum::<u64>() / lanes.len() as u64;
        if weigh(own) > 0 && weigh(own) >= share - share / 8 {
            return Some(own);
        }
        lanes.iter().max_by_key(|lane| weigh(lane)).filter(|lane| weigh(lane) > 0)
    }

    /// Largest body that is kept.
    fn largest_bytes(&self) -> u64 {
        self.shared.budget.memory_bytes() / LARGEST_SHARE
    }
}

/// What fills need of the store.
impl Store {
    /// The origin has been asked.
    fn count_fill(&self, filling: &Filling) {
        if self.shared.below.get().is_some() {
            self.lane(filling.url_hash).lock().tally.fills += 1;
        }
    }

    fn detach(&self, hash: u64, filling: &Arc<Filling>) -> bool {
        self.change(filling.url_hash, |shard, _| shard.detach(hash, filling))
    }

    /// A fill has its head, and goes where the variant is.
    fn settle_variant(&self, hash: u64, filling: &Arc<Filling>, spec: Option<&[u8]>) -> Result<u64, Bypass> {
        let roomy = self.make_room_to_grow(filling.url_hash, spec.map_or(0, <[u8]>::len));
        self.change(filling.url_hash, |shard, leaving| {
            if roomy { shard.settle_variant(hash, filling, spec, leaving) } else { Err(Bypass::NoRoom) }
        })
    }

    /// What comes is not to be kept.
    fn refuse(&self, hash: u64, filling: &Arc<Filling>, (why, status): (Bypass, u16), now: UnixMs) {
        let roomy = self.make_room_to_grow(filling.url_hash, 0);
        self.change(filling.url_hash, |shard, leaving| {
            shard.detach(hash, filling);
            shard.tally.refuse(why);
            if why.is_lasting(status) {
                if roomy {
                    shard.notes.mark(hash, now, filling.limits.hit_for_miss_ms);
                }
                // It has taken the place of what was there before.
                self.forget_in(shard, leaving, hash, filling);
            } else if filling.stored().is_some() && roomy {
                shard.notes.back_off(hash, now);
            }
            shard.forget_unused_names(filling.key_hash);
        });
    }

    /// What is stored is not what the origin speaks of.
    fn forget(&self, hash: u64, filling: &Filling) {
        self.change(filling.url_hash, |shard, leaving| self.forget_in(shard, leaving, hash, filling));
    }

    fn forget_in(&self, shard: &mut Shard, leaving: &mut Leaving, hash: u64, filling: &Filling) {
        shard.forget(hash, &filling.key, leaving);
        if let Some(below) = self.shared.below.get() {
            below.replace(hash);
        }
    }

    /// It broke off.
    fn abandon(&self, hash: u64, filling: &Arc<Filling>) {
        self.change(filling.url_hash, |shard, _| {
            shard.detach(hash, filling);
            shard.tally.refuse(Bypass::Truncated);
            shard.forget_unused_names(filling.key_hash);
        });
    }

    fn back_off(&self, hash: u64, filling: &Arc<Filling>, now: UnixMs) {
        let roomy = self.make_room_to_grow(filling.url_hash, 0);
        self.change(filling.url_hash, |shard, _| {
            shard.detach(hash, filling);
            if filling.stored().is_some() && roomy {
                shard.notes.back_off(hash, now);
            }
        });
    }

    /// Stores what has come in, of whose cost so much is reserved already. Whether it was stored, or purged before it
    /// was whole: then it is only for those who read along.
    fn keep_filled(
        &self,
        hash: u64,
        filling: &Arc<Filling>,
        entry: Arc<Entry>,
        reserved: u64,
    ) -> Result<(Arc<Entry>, bool), Bypass> {
        let cost = entry.cost_bytes();
        if !self.make_room(filling.url_hash, cost.saturating_sub(reserved)) {
            return Err(Bypass::NoRoom);
        }
        self.shared.budget.release(reserved.saturating_sub(cost));
        let entry = entry.accounted(&self.shared.beside, true);
        let kept = self.keep(hash, filling, &entry, From::Origin);
        Ok((entry, kept))
    }

    /// Stores what a lower tier had, if there is room.
    fn keep_loaded(&self, hash: u64, filling: &Arc<Filling>, mut entry: Arc<Entry>) -> Arc<Entry> {
        let cost = entry.cost_bytes();
        let roomy = cost <= self.largest_bytes() && self.make_room(filling.url_hash, cost);
        if roomy {
            entry = entry.accounted(&self.shared.beside, true);
        }
        self.keep_if(roomy, hash, filling, entry, From::Below)
    }

    /// Stores what a 304 has made of `old`, whose body it shares.
    fn keep_refreshed(
        &self,
        hash: u64,
        filling: &Arc<Filling>,
        mut entry: Arc<Entry>,
        old: &Arc<Entry>,
    ) -> Arc<Entry> {
        // The old one is held by the filling and by its place. If somebody else has it, who may keep it for longer
        // than the new one lives, then each accounts for the body.
        let is_in_use = Arc::strong_count(old) > 3;
        let cost = if is_in_use { entry.cost_bytes() } else { entry.own_bytes() };
        let roomy = self.make_room(filling.url_hash, cost);
        if roomy {
            let takes_body = is_in_use || old.leave_body();
            entry = entry.accounted(&self.shared.beside, takes_body);
        }
        self.keep_if(roomy, hash, filling, entry, From::Origin)
    }

    fn keep_if(
        &self,
        roomy: bool,
        hash: u64,
        filling: &Arc<Filling>,
        entry: Arc<Entry>,
        from: From,
    ) -> Arc<Entry> {
        if roomy {
            self.keep(hash, filling, &entry, from);
        } else {
            self.change(filling.url_hash, |shard, _| {
                shard.detach(hash, filling);
                shard.tally.refuse(Bypass::NoRoom);
            });
        }
        entry
    }

    fn keep(&self, hash: u64, filling: &Arc<Filling>, entry: &Arc<Entry>, from: From) -> bool {
        let roomy = self.make_room_to_grow(filling.url_hash, entry.vary().map_or(0, <[u8]>::len));
        self.change(filling.url_hash, |shard, leaving| {
            let mut kept = Err(Bypass::Purged);
            if !roomy {
                shard.detach(hash, filling);
                kept = Err(Bypass::NoRoom);
            } else if shard.detach(hash, filling) {
                kept = shard.insert(Arc::clone(entry), filling, leaving);
            }
            if let (Ok(()), From::Origin, Some(below)) = (&kept, from, self.shared.below.get()) {
                below.replace(shard.hash_of(filling.key_hash, entry.vary()));
                if self.is_large(entry.body().len_bytes()) {
                    below.keep(entry);
                }
            }
            if let Err(why) = kept {
                shard.tally.refuse(why);
            }
            kept.is_ok()
        })
    }
}

/// Where something comes from that is to be stored.
#[derive(Clone, Copy)]
enum From {
    Origin,
    /// Where it is still kept.
    Below,
}

/// What a tier below needs of the store, besides being told.
impl Store {
    /// Has a tier below it from now on, told of what leaves, what is out of date and what is purged. There is one at
    /// most: the first.
    pub fn set_below(&self, tier: Arc<dyn Tier>) {
        // A second one is a mistake of ours, and would be told nothing.
        let is_first = self.shared.below.set(tier).is_ok();
        debug_assert!(is_first, "a store has one tier below it");
    }

    /// Whether a body of so many bytes lies below, and not in memory.
    pub fn is_large(&self, body_bytes: u64) -> bool {
        body_bytes >= self.large_bytes()
    }

    /// Bytes from which on a body is large.
    pub fn large_bytes(&self) -> u64 {
        (self.shared.budget.memory_bytes() / LARGE_SHARE).max(LEAST_LARGE_BYTES)
    }

    /// Counts so many bytes as taken by the tier below for itself, instead of what it said before.
    pub fn account_below(&self, bytes: u64) {
        let before = self.shared.below_bytes.swap(bytes, Relaxed);
        if bytes <= before {
            self.shared.budget.release(before - bytes);
            return;
        }
        self.shared.budget.force(bytes - before);
        let [first, ..] = &*self.shared.lanes else { return };
        while self.shared.budget.is_over() && self.evict(first, 1) {}
    }

    /// Puts another entry in the place of `old`, if that is still there: the same response, whose body lies elsewhere now.
    /// `None` takes it out.
    pub fn swap(&self, old: &Arc<Entry>, new: Option<Arc<Entry>>) -> bool {
        let new = new.map(|entry| {
            self.shared.budget.force(entry.cost_bytes());
            entry.accounted(&self.shared.beside, true)
        });
        let (key_hash, url_hash) = (self.shared.seed.hash(old.key()), self.shared.seed.hash(old.url()));
        self.change(url_hash, |shard, leaving| shard.swap(key_hash, old, new.as_ref(), leaving))
    }

    /// Takes out every entry that `is` true for. How many they were.
    pub fn forget_where(&self, is: impl Fn(&Entry) -> bool) -> u64 {
        self.purge_where(None, is, |tally, count| tally.evictions += count)
    }

    /// Every entry, one after the other, as long as `take` says so: what is to be kept below before the process ends.
    pub fn each_entry(&self, mut take: impl FnMut(&Arc<Entry>) -> bool) {
        for lane in &self.shared.lanes {
            let entries: Vec<_> = lane.lock().entries().map(Held::share).collect();
            if !entries.iter().all(&mut take) {
                return;
            }
        }
    }
}

/// Whether what comes in may be meant by a purge. Of what has no head yet nobody knows the tags.
fn is_meant(filling: &Filling, what: Purge<'_>) -> bool {
    match what {
        Purge::Url(url) => filling.url() == url,
        Purge::Prefix(prefix) => filling.url().starts_with(prefix),
        Purge::All => true,
        Purge::Tag(tag) => match filling.begun.get().map(|head| &head.storable) {
            Some(Ok(storable)) => storable.tags.contains(&crate::key::tag_hash(tag)),
            _ => true,
        },
    }
}

impl Lane {
    #[inline]
    fn lock(&self) -> MutexGuard<'_, Shard> {
        // A panic under this mutex is a mistake of ours, and the process says so; what others have stored stays good.
        self.shard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("budget", &self.shared.budget).finish_non_exhaustive()
    }
}
