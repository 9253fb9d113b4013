//! Small files that are asked for again and again, ready in the memory of their core.

use std::hash::{Hash, Hasher};
use std::rc::Rc;

use quick_cache::unsync::Cache;
use quick_cache::{Equivalent, Weighter};

use super::item::Item;

/// Bytes of files that one core keeps.
const SHELF_BYTES: u64 = 16 * 1024 * 1024;

/// How many files that is about.
const SHELF_ITEMS: usize = 1024;

/// After this long a file is looked at again before it is sent from memory.
const CHECK_MS: u64 = 1000;

/// The files that one core keeps ready, under one configuration.
#[derive(Debug, Default)]
pub struct Shelf {
    /// Made when the first file comes: most cores never see one.
    kept: Option<Cache<Kept, Rc<Item>, Cost>>,
    /// Under which configuration they were read; with another one they are read anew.
    live: u64,
}

/// What a file is asked for by.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// Index of the route.
    pub route: usize,
    /// The codings that the client takes, a bit each.
    pub codings: u8,
    /// Path below the root.
    pub path: &'a [u8],
}

/// The same, kept.
#[derive(Debug, PartialEq, Eq)]
struct Kept {
    route: usize,
    codings: u8,
    path: Box<[u8]>,
}

/// Counts bytes.
#[derive(Clone, Debug)]
struct Cost;

impl Shelf {
    /// A file as it was when last looked at, and whether that is so short ago that it is taken to be the same.
    pub fn get(&mut self, live: u64, wanted: &Wanted<'_>, now_ms: u64) -> Option<(Rc<Item>, bool)> {
        if self.live != live {
            return None;
        }
        let item = self.kept.as_ref()?.get(wanted)?;
        Some((Rc::clone(item), now_ms < item.checked_ms.get() + CHECK_MS))
    }

    /// Keeps a file.
    pub fn put(&mut self, live: u64, wanted: &Wanted<'_>, item: Rc<Item>) {
        if live < self.live {
            return; // A request that began before the reload.
        }
        if live > self.live {
            self.kept = None;
            self.live = live;
        }
        let kept = self.kept.get_or_insert_with(|| Cache::with_weighter(SHELF_ITEMS, SHELF_BYTES, Cost));
        let Wanted { route, codings, path } = *wanted;
        kept.insert(Kept { route, codings, path: path.into() }, item);
    }

    /// Forgets a file.
    pub fn remove(&mut self, wanted: &Wanted<'_>) {
        if let Some(kept) = &mut self.kept {
            kept.remove(wanted);
        }
    }
}

impl Weighter<Kept, Rc<Item>> for Cost {
    fn weight(&self, key: &Kept, item: &Rc<Item>) -> u64 {
        (size_of::<Kept>() + key.path.len()) as u64 + item.cost_bytes()
    }
}

impl Hash for Wanted<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.route, self.codings, self.path).hash(state);
    }
}

impl Hash for Kept {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.route, self.codings, &*self.path).hash(state);
    }
}

impl Equivalent<Kept> for Wanted<'_> {
    fn equivalent(&self, kept: &Kept) -> bool {
        self.route == kept.route && self.codings == kept.codings && self.path == &*kept.path
    }
}
