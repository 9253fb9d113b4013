//! Small files that are asked for again and again, ready in the memory of their core.

use std::hash::{Hash, Hasher};
use std::rc::Rc;

use cache::vary::Codings;
use config::Algorithm;
use quick_cache::unsync::Cache;
use quick_cache::{Equivalent, Weighter};

use super::find::HTML;
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
    /// What else decides which file it is.
    pub asked: Asked,
    /// Path below the root.
    pub path: &'a [u8],
}

/// The same, kept.
#[derive(Debug, PartialEq, Eq)]
struct Kept {
    route: usize,
    asked: Asked,
    path: Box<[u8]>,
}

/// What decides which file answers for a path below the root, a bit each.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Asked(u8);

impl Asked {
    /// The codings that the client takes, and how the path ends that it knows, since some endings are sent elsewhere;
    /// `None`: the configuration asks for the file by its name.
    pub fn of(codings: Codings, public: Option<&[u8]>) -> Self {
        let is = |ending: &[u8]| public.is_some_and(|public| public.ends_with(ending));
        let bits = [codings.zstd, codings.br, codings.gzip, public.is_none(), is(b"/"), is(HTML)];
        Self(bits.iter().fold(0, |all, &bit| all << 1 | u8::from(bit)))
    }

    /// The same file coded, whatever else the client takes.
    pub const fn coded(self, algorithm: Algorithm) -> Self {
        Self(self.0 & 0b111 | (1 + algorithm as u8) << 6)
    }
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
        let Wanted { route, asked, path } = *wanted;
        kept.insert(Kept { route, asked, path: path.into() }, item);
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
        (self.route, self.asked, self.path).hash(state);
    }
}

impl Hash for Kept {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.route, self.asked, &*self.path).hash(state);
    }
}

impl Equivalent<Kept> for Wanted<'_> {
    fn equivalent(&self, kept: &Kept) -> bool {
        self.route == kept.route && self.asked == kept.asked && self.path == &*kept.path
    }
}

#[cfg(test)]
mod tests {
    use config::Files;

    use super::super::find::Search;
    use super::super::item::MEMORY_BYTES;
    use super::*;

    const CODINGS: Codings = Codings { zstd: false, br: false, gzip: false, identity: true };

    /// A file of the largest size that is kept.
    fn item() -> Rc<Item> {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("a"), vec![0; MEMORY_BYTES as usize]).expect("a file");
        let files = Files {
            root: folder.path().into(),
            index: None,
            clean_urls: false,
            fallback: None,
            not_found: None,
            precompressed: false,
            hashed_cache_control: String::new(),
            cache_control: String::new(),
        };
        let found = Search::new(&files, CODINGS).and_then(|search| search.named("a")).expect("it is there");
        Rc::new(Item::load(found, &files, 0).expect("it can be read"))
    }

    fn wanted(path: &str) -> Wanted<'_> {
        Wanted { route: 0, asked: Asked::of(CODINGS, Some(path.as_bytes())), path: path.as_bytes() }
    }

    #[test]
    fn no_more_than_so_many_bytes_are_kept() {
        let (mut shelf, item) = (Shelf::default(), item());
        assert!(item.cost_bytes() > MEMORY_BYTES);
        for number in 0..1_000 {
            shelf.put(1, &wanted(&number.to_string()), Rc::clone(&item));
            let kept = shelf.kept.as_ref().expect("something is kept");
            assert!(kept.weight() <= SHELF_BYTES);
        }
        let kept = shelf.kept.as_ref().expect("something is kept");
        assert!(kept.weight() > SHELF_BYTES / 2 && kept.len() > 100, "and not much less");
    }

    #[test]
    fn a_file_is_kept_by_what_it_was_asked_for_by_until_the_configuration_changes() {
        let (mut shelf, item) = (Shelf::default(), item());
        let wanted = wanted("a");
        shelf.put(2, &wanted, Rc::clone(&item));
        assert!(shelf.get(2, &wanted, 999).is_some_and(|(_, fresh)| fresh));
        assert!(shelf.get(2, &wanted, 1000).is_some_and(|(_, fresh)| !fresh));
        assert!(shelf.get(2, &Wanted { route: 1, ..wanted }, 0).is_none());
        assert!(shelf.get(2, &Wanted { asked: Asked::of(CODINGS, None), ..wanted }, 0).is_none());
        assert!(shelf.get(2, &Wanted { path: b"b", ..wanted }, 0).is_none());
        shelf.put(1, &Wanted { path: b"b", ..wanted }, Rc::clone(&item));
        assert!(shelf.get(1, &Wanted { path: b"b", ..wanted }, 0).is_none(), "it comes from an older one");
        shelf.put(3, &Wanted { path: b"b", ..wanted }, item);
        assert!(shelf.get(3, &wanted, 0).is_none() && shelf.get(2, &wanted, 0).is_none());
    }
}
