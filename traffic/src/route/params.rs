//! What the `{name}` segments of a path pattern matched, as ranges into the path.

use core::fmt;
use core::ops::Range;

/// Parameters that one path pattern may have; more are refused when the pattern is parsed.
pub const PARAMETERS_MAX: usize = 8;

/// The parameters of the selected route. Holds no bytes of its own and never allocates.
#[derive(Clone, Default)]
pub struct Params<'t> {
    names: &'t [Box<str>],
    ranges: [(u32, u32); PARAMETERS_MAX],
    len: usize,
}

impl<'t> Params<'t> {
    /// No parameters yet; the same as `Params::default()`.
    pub fn new() -> Self {
        Self::default()
    }

    /// Where in the path the parameter's bytes stand; `None` when the route has no such parameter.
    pub fn get(&self, name: &str) -> Option<Range<usize>> {
        let position = self.names.iter().position(|known| &**known == name)?;
        self.range(position)
    }

    /// The parameter's bytes, cut out of the path that was given to `select`.
    pub fn value<'p>(&self, name: &str, path: &'p [u8]) -> Option<&'p [u8]> {
        path.get(self.get(name)?)
    }

    /// The range of the parameter at `position`, counted from the left of the pattern.
    pub fn range(&self, position: usize) -> Option<Range<usize>> {
        let &(start, end) = self.ranges[..self.len].get(position)?;
        Some(start as usize..end as usize)
    }

    /// Names and ranges, from left to right.
    pub fn iter(&self) -> impl Iterator<Item = (&'t str, Range<usize>)> {
        self.names
            .iter()
            .zip(&self.ranges[..self.len])
            .map(|(name, &(start, end))| (&**name, start as usize..end as usize))
    }

    /// How many parameters the selected route has.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether the selected route has no parameters.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub(super) fn clear(&mut self) {
        self.len = 0;
        self.names = &[];
    }

    /// Notes one more matched segment. Patterns hold at most [`PARAMETERS_MAX`], so there is room.
    pub(super) fn push(&mut self, range: Range<usize>) {
        self.ranges[self.len] = (range.start as u32, range.end as u32);
        self.len += 1;
    }

    /// Takes the last segment back when the walk turns around.
    pub(super) fn pop(&mut self) {
        self.len -= 1;
    }

    pub(super) fn name(&mut self, names: &'t [Box<str>]) {
        debug_assert_eq!(names.len(), self.len);
        self.names = names;
    }
}

impl fmt::Debug for Params<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}
