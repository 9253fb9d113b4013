//! What finds an entry by its hash: lines of memory, each with a few entries and a part of the hash of each.

/// Entries of one line.
const WAYS: usize = 5;
/// Those that a line has on average when there are as many as there may be.
const FULL: usize = 4;

/// A hash table that grows by a quarter, so that little of it is unused, and in which who looks for something waits for
/// memory once: what tells that it is there and where it lies are beside each other.
#[derive(Debug)]
pub(super) struct Index<T> {
    /// In the order of the marks.
    lines: Vec<Line<T>>,
    len: usize,
}

/// As much as a processor fetches at once.
#[derive(Debug)]
#[repr(C, align(64))]
struct Line<T> {
    marks: [u32; WAYS],
    /// How many lie in a later line because this one was full when they came: the search for others ends here if there
    /// are none.
    passed: u32,
    items: [Option<T>; WAYS],
}

// Else it is no line.
const _: () = assert!(size_of::<Line<Box<u8>>>() == 64);

/// The part of a hash that an index compares.
pub(super) const fn mark(hash: u64) -> u32 {
    (hash >> 32) as u32
}

/// Which of so many places in a row is for a mark. More of them leave their order as it is.
pub(super) const fn place(mark: u32, places: usize) -> usize {
    ((mark as u64 * places as u64) >> 32) as usize
}

/// To how many places a table of so many grows.
pub(super) const fn grown(places: usize) -> usize {
    places + places / 4 + 1
}

impl<T> Index<T> {
    pub const fn new() -> Self {
        Self { lines: Vec::new(), len: 0 }
    }

    /// The one with this mark that `is` true for.
    #[inline]
    pub fn find(&self, mark: u32, is: impl FnMut(&T) -> bool) -> Option<&T> {
        let (line, at) = self.locate(mark, is)?;
        self.lines[line].items[at].as_ref()
    }

    /// The same, to be replaced.
    pub fn find_mut(&mut self, mark: u32, is: impl FnMut(&T) -> bool) -> Option<&mut T> {
        let (line, at) = self.locate(mark, is)?;
        self.lines[line].items[at].as_mut()
    }

    pub fn insert(&mut self, mark: u32, item: T) {
        if self.is_full() {
            let before = core::mem::take(&mut self.lines);
            self.lines.reserve_exact(grown(before.len()));
            self.lines.resize_with(grown(before.len()), Line::default);
            for line in before {
                for (mark, item) in line.marks.into_iter().zip(line.items) {
                    if let Some(item) = item {
                        self.put(mark, item);
                    }
                }
            }
        }
        self.len += 1;
        self.put(mark, item);
    }

    pub fn remove(&mut self, mark: u32, is: impl FnMut(&T) -> bool) -> Option<T> {
        let (found, at) = self.locate(mark, is)?;
        let mut line = place(mark, self.lines.len());
        while line != found {
            self.lines[line].passed -= 1;
            line = self.after(line);
        }
        self.len -= 1;
        self.lines[found].items[at].take()
    }

    /// All of them, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.lines.iter().flat_map(|line| line.items.iter().flatten())
    }

    /// Bytes that it grows by when one is added.
    pub fn growth(&self) -> usize {
        let lines = self.lines.len();
        if self.is_full() { (grown(lines) - lines) * size_of::<Line<T>>() } else { 0 }
    }

    pub fn allocated_bytes(&self) -> u64 {
        (self.lines.capacity() * size_of::<Line<T>>()) as u64
    }

    fn is_full(&self) -> bool {
        self.len >= self.lines.len() * FULL
    }

    #[inline]
    fn locate(&self, mark: u32, mut is: impl FnMut(&T) -> bool) -> Option<(usize, usize)> {
        let mut line = place(mark, self.lines.len());
        // Once around at most: each line may have been full at another time.
        for _ in 0..self.lines.len() {
            let here = &self.lines[line];
            for (at, item) in here.items.iter().enumerate() {
                if here.marks[at] == mark && item.as_ref().is_some_and(&mut is) {
                    return Some((line, at));
                }
            }
            if here.passed == 0 {
                break;
            }
            line = self.after(line);
        }
        None
    }

    fn put(&mut self, mark: u32, item: T) {
        let mut at = place(mark, self.lines.len());
        loop {
            let line = &mut self.lines[at];
            if let Some(free) = line.items.iter().position(Option::is_none) {
                line.marks[free] = mark;
                line.items[free] = Some(item);
                return;
            }
            line.passed += 1;
            at = self.after(at);
        }
    }

    const fn after(&self, line: usize) -> usize {
        if line + 1 == self.lines.len() { 0 } else { line + 1 }
    }
}

impl<T> Default for Line<T> {
    fn default() -> Self {
        Self { marks: [0; WAYS], passed: 0, items: [const { None }; WAYS] }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_holds_what_a_plain_map_holds(
            // Few marks, far apart and close together, so that lines overflow and wrap around.
            steps in prop::collection::vec((any::<bool>(), 0..12_u32, 0..6_u32), 0..400)
        ) {
            let mut index = Index::new();
            let mut model: HashMap<u32, (u32, Box<u32>)> = HashMap::new();
            for (adds, high, low) in steps {
                let (mark, id) = (u32::MAX / 11 * high, high * 8 + low);
                if adds && !model.contains_key(&id) {
                    let grows = index.growth() as u64;
                    let before = index.allocated_bytes();
                    index.insert(mark, Box::new(id));
                    model.insert(id, (mark, Box::new(id)));
                    prop_assert_eq!(index.allocated_bytes(), before + grows);
                } else {
                    prop_assert_eq!(index.remove(mark, |item| **item == id), model.remove(&id).map(|(_, item)| item));
                }
                prop_assert_eq!(index.find(mark, |item| **item == id), model.get(&id).map(|(_, item)| item));
                prop_assert_eq!(index.iter().count(), model.len());
                for (id, (mark, item)) in &model {
                    prop_assert_eq!(index.find(*mark, |item| **item == *id), Some(item));
                }
            }
        }
    }

    #[test]
    fn once_all_have_left_nothing_is_passed() {
        let mut index = Index::new();
        (0..40_u32).for_each(|at| index.insert(7, Box::new(at)));
        assert!(index.lines.iter().any(|line| line.passed > 0));
        (0..40).for_each(|at| assert!(index.remove(7, |item| **item == at).is_some()));
        assert!(index.lines.iter().all(|line| line.passed == 0) && index.len == 0);
        assert!(index.find(7, |_| true).is_none());
    }
}
