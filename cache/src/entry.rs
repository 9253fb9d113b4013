//! A stored response, shared by reference between cores.
//!
//! A million of them are kept, so what surrounds key, head and body is packed: one text for all that is bytes, a small
//! body included, and one allocation for both, moments as lapses of four bytes, validators as places in the head.
//! [`Entry::terms`] unpacks without allocating.

mod standing;
mod whole;

use core::any::Any;
use core::fmt;
use core::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, Ordering::Relaxed};
use std::sync::Arc;

use wire::Span;

pub(crate) use self::whole::Held;
use self::whole::{COUNTS_BYTES, whole};
use crate::store::Budget;
use crate::{Ask, Key, Storable, Terms, UnixMs, vary};

/// A stored response. Never changes but for what is atomic: a refresh makes a new entry that shares the body.
///
/// What the store has let in is accounted until the last reference is gone, so that memory that a slow client holds
/// on to is not given away twice.
///
/// It is one piece of memory, what is looked at for a hit in front: who finds it among millions waits for the memory
/// once, and not for one piece after the other.
#[repr(C)]
pub struct Entry {
    around: Around,
    /// Key, head, spec of the variant, hashes of the tags, and a body of at most [`NEAR_BYTES`].
    text: [u8],
}

/// What is in front of the text. What a look-up reads and counts comes first, beside the reference counts.
#[repr(C)]
struct Around {
    /// How long after `born_ms` it is fresh. Atomic for soft purges.
    fresh: AtomicU32,
    /// How long after that it may be served stale, so that a soft purge leaves it these windows.
    stale: u32,
    error: u32,
    key_len: u32,
    text_len: u32,
    head_len: u32,
    born_ms: UnixMs,
    /// These four are the shard's, see [`standing`].
    hits: AtomicU32,
    slot: AtomicU32,
    freq: AtomicU8,
    in_main: AtomicBool,
    flags: AtomicU8,
    tags: u8,
    vary_len: u16,
    status: u16,
    etag_start: u16,
    etag_len: u16,
    changed_s: u32,
    changed_start: u16,
    changed_len: u8,
    /// When it was stored, after `born_ms`.
    stored: u32,
    beside: Option<Arc<Beside>>,
}

/// What an entry has elsewhere in memory. Those with small bodies share that of their store, so that each keeps one
/// address and not two.
#[derive(Debug)]
pub(crate) struct Beside {
    /// Who accounts for it, once it is in a store.
    budget: Option<Arc<Budget>>,
    /// Any body that does not lie behind its head.
    far: Option<Body>,
}

impl Beside {
    /// For entries with small bodies that this one accounts for.
    pub(crate) const fn of(budget: Arc<Budget>) -> Self {
        Self { budget: Some(budget), far: None }
    }
}

/// Longest body that lies behind its head: so a small entry takes one allocation and not three, and those that are as
/// large as this take little more for each byte.
pub const NEAR_BYTES: u64 = 16 * 1024;

const ALWAYS_VALIDATE: u8 = 1;
const NEVER_STALE: u8 = 2;
const PUBLIC: u8 = 4;
/// This entry accounts for the body, too, and not another one that shares it.
const HAS_BODY: u8 = 8;
/// It has left the budget before its last reference is gone.
const LEFT: u8 = 16;
/// Its body does not lie behind its head. Told here, since who gives a small one out need not look beside it.
const FAR: u8 = 32;

/// What an entry is made of.
#[derive(Debug)]
pub struct Parts<'a> {
    /// The key's bytes.
    pub key: &'a [u8],
    /// The status.
    pub status: u16,
    /// The prebuilt head, see [`Entry::head`].
    pub head: &'a [u8],
    /// The body.
    pub body: Body,
    /// When and for whom it may be served.
    pub storable: &'a Storable,
    /// When it is stored.
    pub stored_ms: UnixMs,
}

/// The body of an entry.
#[derive(Clone, Copy, Debug)]
pub enum Stored<'a> {
    /// It lies behind its head.
    Near(&'a [u8]),
    /// It lies elsewhere in memory, or outside of it.
    Far(&'a Body),
}

/// A body. Cloning shares it.
#[derive(Clone, Debug, Default)]
pub enum Body {
    /// No bytes.
    #[default]
    Empty,
    /// In one piece.
    Piece(Arc<[u8]>),
    /// In pieces, as they came.
    Pieces(Arc<Pieces>),
    /// Not in memory: what a lower tier answered with.
    Elsewhere(Arc<dyn Place>),
}

/// Several pieces, none of them empty.
#[derive(Debug)]
pub struct Pieces {
    list: Box<[Arc<[u8]>]>,
    len: u64,
    allocated_bytes: u64,
}

/// Where a body lies that is not in memory. Only who made it knows how to send it.
pub trait Place: Any + Send + Sync + fmt::Debug {
    /// Bytes of the body.
    fn len_bytes(&self) -> u64;
}

impl Entry {
    /// Makes an entry. Nobody accounts for it before it is in a store.
    #[allow(clippy::new_ret_no_self)] // It has no size of its own.
    pub fn new(parts: Parts<'_>) -> Arc<Self> {
        let Parts { key, status, head, body, storable, stored_ms } = parts;
        let Storable { terms, vary, tags } = storable;
        let spec = vary.as_deref().unwrap_or_default();
        let is_near = body.place().is_none() && body.len_bytes() <= NEAR_BYTES;
        let near_len = if is_near { body.len_bytes() as usize } else { 0 };
        let (near, beside): (&[_], _);
        if is_near {
            (near, beside) = (body.pieces(), None);
        } else {
            (near, beside) = (&[], Some(Arc::new(Beside { budget: None, far: Some(body) })));
        }
        let is_short = |span: Span| u16::try_from(span.start() as usize + span.len()).is_ok();
        let etag = terms.etag.filter(|etag| is_short(*etag)).unwrap_or_default();
        let (changed_s, changed) = terms
            .last_modified
            .filter(|(at, span)| {
                u32::try_from(*at).is_ok() && u8::try_from(span.len()).is_ok() && is_short(*span)
            })
            .unwrap_or_default();
        let flag = |set: bool, flag: u8| if set { flag } else { 0 };
        let around = Around {
            born_ms: terms.born_ms,
            fresh: AtomicU32::new(pack(terms.fresh_until_ms.saturating_sub(terms.born_ms))),
            stale: pack(terms.stale_until_ms.saturating_sub(terms.fresh_until_ms)),
            error: pack(terms.error_until_ms.saturating_sub(terms.fresh_until_ms)),
            stored: pack(stored_ms.saturating_sub(terms.born_ms)),
            key_len: key.len() as u32,
            head_len: head.len() as u32,
            text_len: (key.len() + head.len() + spec.len() + tags.len() * 8 + near_len) as u32,
            changed_s: changed_s as u32,
            etag_start: etag.start() as u16,
            changed_start: changed.start() as u16,
            etag_len: etag.len() as u16,
            // No more than `vary::MAX_SPEC_BYTES`.
            vary_len: spec.len() as u16,
            status,
            changed_len: changed.len() as u8,
            // No more than `storable::MAX_TAGS`.
            tags: tags.len() as u8,
            hits: AtomicU32::new(0),
            slot: AtomicU32::new(0),
            freq: AtomicU8::new(0),
            in_main: AtomicBool::new(false),
            flags: AtomicU8::new(
                flag(terms.always_validate, ALWAYS_VALIDATE)
                    | flag(terms.never_stale, NEVER_STALE)
                    | flag(terms.public, PUBLIC)
                    | flag(!is_near, FAR),
            ),
            beside,
        };
        let tags: Vec<u8> = tags.iter().flat_map(|tag| tag.to_le_bytes()).collect();
        let front = [key, head, spec, &tags].into_iter();
        whole(around, front.chain(near.iter().map(|piece| &**piece)))
    }

    /// The same response with its body coded anew: other bytes, which mean the same.
    pub(crate) fn with_body(&self, body: Body) -> Arc<Self> {
        let vary = self.vary().map(Box::from);
        Self::new(Parts {
            key: self.key(),
            status: self.status(),
            head: self.head(),
            body,
            storable: &Storable { terms: self.terms(), vary, tags: self.tags().collect() },
            stored_ms: self.stored_ms(),
        })
    }

    /// Its key's bytes, for listing and comparing.
    #[inline]
    pub fn key(&self) -> &[u8] {
        &self.text[..self.around.key_len as usize]
    }

    /// The URL: what its key begins with.
    pub fn url(&self) -> &[u8] {
        crate::key::url_of(self.key())
    }

    /// The status.
    #[inline]
    pub const fn status(&self) -> u16 {
        self.around.status
    }

    /// The prebuilt head: status line and stored fields, each ending in CR LF, without the empty line that ends it;
    /// without Age, Connection, Content-Length, Transfer-Encoding, and whatever else differs by client.
    #[inline]
    pub fn head(&self) -> &[u8] {
        &self.text[self.around.key_len as usize..][..self.around.head_len as usize]
    }

    /// The body.
    #[inline]
    pub fn body(&self) -> Stored<'_> {
        match self.around.far() {
            Some(body) => Stored::Far(body),
            None => Stored::Near(&self.text[self.tags_start() + usize::from(self.around.tags) * 8..]),
        }
    }

    /// When and for whom it may be served.
    #[inline]
    pub fn terms(&self) -> Terms {
        let flags = self.around.flags.load(Relaxed);
        let fresh_until_ms = self.around.born_ms.saturating_add(unpack(self.around.fresh.load(Relaxed)));
        let until = |lapse| fresh_until_ms.saturating_add(unpack(lapse));
        let span = |start: u16, len: u16| Span::new(start.into(), u32::from(start) + u32::from(len));
        Terms {
            born_ms: self.around.born_ms,
            fresh_until_ms,
            stale_until_ms: until(self.around.stale),
            error_until_ms: until(self.around.error),
            always_validate: flags & ALWAYS_VALIDATE != 0,
            never_stale: flags & NEVER_STALE != 0,
            public: flags & PUBLIC != 0,
            etag: (self.around.etag_len > 0).then(|| span(self.around.etag_start, self.around.etag_len)),
            last_modified: (self.around.changed_len > 0).then(|| {
                (
                    self.around.changed_s.into(),
                    span(self.around.changed_start, self.around.changed_len.into()),
                )
            }),
        }
    }

    /// What it varies on, made by [`crate::vary`].
    #[inline]
    pub fn vary(&self) -> Option<&[u8]> {
        let start = (self.around.key_len + self.around.head_len) as usize;
        (self.around.vary_len > 0).then(|| &self.text[start..][..self.around.vary_len.into()])
    }

    /// Hashes of its tags, in order.
    pub fn tags(&self) -> impl Iterator<Item = u64> {
        let (tags, _) = self.text[self.tags_start()..][..usize::from(self.around.tags) * 8].as_chunks();
        tags.iter().map(|tag| u64::from_le_bytes(*tag))
    }

    fn tags_start(&self) -> usize {
        (self.around.key_len + self.around.head_len) as usize + usize::from(self.around.vary_len)
    }

    /// When it was stored.
    pub const fn stored_ms(&self) -> UnixMs {
        self.around.born_ms.saturating_add(unpack(self.around.stored))
    }

    /// How old it is.
    #[inline]
    pub const fn age_ms(&self, now: UnixMs) -> u64 {
        now.saturating_sub(self.around.born_ms)
    }

    /// Bytes that it is accounted with: key, head, body and everything around them but its place in the store.
    pub fn cost_bytes(&self) -> u64 {
        self.own_bytes() + self.far_bytes()
    }

    /// Whether it answers this key (two keys may share a hash).
    #[inline]
    pub fn is_for(&self, key: &Key<'_>) -> bool {
        self.key() == key.bytes
    }

    /// Whether it is the variant that a request gets.
    #[inline]
    pub fn fits(&self, ask: &Ask<'_>) -> bool {
        self.vary().is_none_or(|spec| vary::matches(spec, ask))
    }

    /// Bytes without what another entry may share of the body.
    pub(crate) fn own_bytes(&self) -> u64 {
        self.around.own_bytes()
    }

    fn far_bytes(&self) -> u64 {
        self.around.far_bytes()
    }

    /// Bytes of memory that are the body's.
    pub(crate) fn body_bytes(&self) -> u64 {
        match self.body() {
            Stored::Near(bytes) => bytes.len() as u64,
            Stored::Far(body) => body.allocated_bytes(),
        }
    }

    /// From now on the budget has reserved [`Entry::cost_bytes`], or only [`Entry::own_bytes`] if the body is another
    /// entry's to account for. Of what others have already it makes a copy.
    pub(crate) fn accounted(mut self: Arc<Self>, by: &Arc<Beside>, with_body: bool) -> Arc<Self> {
        if Arc::get_mut(&mut self).is_none() {
            self = self.with_body(self.body().to_body());
        }
        let own = Arc::get_mut(&mut self).expect("a copy is nobody else's");
        match &mut own.around.beside {
            Some(beside) if beside.far.is_some() => {
                let beside = Arc::get_mut(beside).expect("one with a large body is one entry's");
                beside.budget.clone_from(&by.budget);
            }
            beside => *beside = Some(Arc::clone(by)),
        }
        if with_body {
            *own.around.flags.get_mut() |= HAS_BODY;
        }
        self
    }

    /// Leaves the body to be accounted for by another entry that shares it. Whether it was this one's.
    pub(crate) fn leave_body(&self) -> bool {
        self.around.leave_body()
    }

    /// Gives back what is reserved for it, because whoever holds it from now on accounts for it otherwise.
    pub(crate) fn leave(&self) {
        self.around.leave();
    }

    /// Makes it as stale as the one that it takes the place of.
    pub(crate) fn expire_as(&self, old: &Self) {
        self.around.fresh.fetch_min(old.around.fresh.load(Relaxed), Relaxed);
    }

    /// Makes it stale, if it is not already: a soft purge.
    pub(crate) fn expire(&self, now: UnixMs) {
        self.around.fresh.fetch_min(pack(now.saturating_sub(self.around.born_ms)), Relaxed);
    }
}

impl Around {
    fn own_bytes(&self) -> u64 {
        let beside = if self.far().is_some() { allocated(size_of::<Beside>() + COUNTS_BYTES) } else { 0 };
        allocated((COUNTS_BYTES + size_of::<Self>() + self.text_len as usize).next_multiple_of(8)) + beside
    }

    #[inline]
    fn far(&self) -> Option<&Body> {
        let beside = self.beside.as_ref().filter(|_| self.flags.load(Relaxed) & FAR != 0);
        beside.and_then(|beside| beside.far.as_ref())
    }

    fn far_bytes(&self) -> u64 {
        self.far().map_or(0, Body::allocated_bytes)
    }

    fn leave_body(&self) -> bool {
        self.flags.fetch_and(!HAS_BODY, Relaxed) & HAS_BODY != 0
    }

    fn leave(&self) {
        if let Some(budget) = self.beside.as_ref().and_then(|beside| beside.budget.as_ref())
            && self.flags.fetch_or(LEFT, Relaxed) & LEFT == 0
        {
            let body_bytes = if self.leave_body() { self.far_bytes() } else { 0 };
            budget.release(self.own_bytes() + body_bytes);
        }
    }
}

impl Drop for Around {
    fn drop(&mut self) {
        self.leave();
    }
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entry")
            .field("key", &String::from_utf8_lossy(self.key()))
            .field("status", &self.status())
            .field("len_bytes", &self.body().len_bytes())
            .field("terms", &self.terms())
            .finish_non_exhaustive()
    }
}

impl<'a> Stored<'a> {
    /// Bytes of the body.
    #[inline]
    pub fn len_bytes(self) -> u64 {
        match self {
            Self::Near(bytes) => bytes.len() as u64,
            Self::Far(body) => body.len_bytes(),
        }
    }

    /// The pieces in memory; none where it lies outside of it.
    pub fn pieces(self) -> impl Iterator<Item = &'a [u8]> {
        let (near, far) = match self {
            Self::Near(bytes) => (Some(bytes), &[][..]),
            Self::Far(body) => (None, body.pieces()),
        };
        near.filter(|bytes| !bytes.is_empty()).into_iter().chain(far.iter().map(|piece| &**piece))
    }

    /// Where it lies, if not in memory: downcast it to what the tier that answered makes.
    pub fn place(self) -> Option<&'a dyn Any> {
        match self {
            Self::Near(_) => None,
            Self::Far(body) => body.place(),
        }
    }

    /// The same body for another entry: shared, or a copy if it is small.
    pub fn to_body(self) -> Body {
        match self {
            Self::Near([]) => Body::Empty,
            Self::Near(bytes) => Body::Piece(bytes.into()),
            Self::Far(body) => body.clone(),
        }
    }
}

impl Body {
    /// From pieces. Empty ones are left out.
    pub fn from_pieces(pieces: impl IntoIterator<Item = Arc<[u8]>>) -> Self {
        let mut pieces: Vec<Arc<[u8]>> = pieces.into_iter().filter(|piece| !piece.is_empty()).collect();
        if pieces.len() <= 1 {
            return pieces.pop().map_or(Self::Empty, Self::Piece);
        }
        let len = pieces.iter().map(|piece| piece.len() as u64).sum();
        let around = allocated(size_of::<Pieces>() + 16) + allocated(pieces.len() * size_of::<Arc<[u8]>>());
        let allocated_bytes = around + pieces.iter().map(|piece| piece_bytes(piece.len())).sum::<u64>();
        Self::Pieces(Arc::new(Pieces { list: pieces.into_boxed_slice(), len, allocated_bytes }))
    }

    /// Bytes of the body.
    #[inline]
    pub fn len_bytes(&self) -> u64 {
        match self {
            Self::Empty => 0,
            Self::Piece(piece) => piece.len() as u64,
            Self::Pieces(pieces) => pieces.len,
            Self::Elsewhere(place) => place.len_bytes(),
        }
    }

    /// The pieces in memory; none where it lies elsewhere.
    #[inline]
    pub fn pieces(&self) -> &[Arc<[u8]>] {
        match self {
            Self::Empty | Self::Elsewhere(_) => &[],
            Self::Piece(piece) => core::slice::from_ref(piece),
            Self::Pieces(pieces) => &pieces.list,
        }
    }

    /// Where it lies, if not in memory: downcast it to what the tier that answered makes.
    pub fn place(&self) -> Option<&dyn Any> {
        match self {
            Self::Elsewhere(place) => Some(&**place as &dyn Any),
            _ => None,
        }
    }

    /// Bytes of memory.
    pub(crate) fn allocated_bytes(&self) -> u64 {
        match self {
            Self::Empty => 0,
            Self::Piece(piece) => piece_bytes(piece.len()),
            Self::Pieces(pieces) => pieces.allocated_bytes,
            Self::Elsewhere(place) => allocated(16 + size_of_val(&**place)),
        }
    }
}

/// Bytes of a shared piece of this length.
pub(crate) fn piece_bytes(len: usize) -> u64 {
    allocated(len + 16)
}

/// What an allocator takes for so many bytes: a header of eight, and whole units of sixteen, two at least.
pub(crate) const fn allocated(bytes: usize) -> u64 {
    match bytes {
        0 => 0,
        1..=24 => 32,
        _ => (bytes as u64 + 8).next_multiple_of(16),
    }
}

const IN_SECONDS: u32 = 1 << 31;

/// Milliseconds in four bytes: exact for 24 days, then in whole seconds.
fn pack(lapse_ms: u64) -> u32 {
    match u32::try_from(lapse_ms) {
        Ok(exact) if exact < IN_SECONDS => exact,
        _ => IN_SECONDS | (lapse_ms / 1000).min(u64::from(IN_SECONDS - 1)) as u32,
    }
}

const fn unpack(lapse: u32) -> u64 {
    let value = (lapse & !IN_SECONDS) as u64;
    if lapse & IN_SECONDS == 0 { value } else { value * 1000 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lapses_are_exact_for_weeks_and_whole_seconds_after_that() {
        for exact in [0, 1, 999, 86_400_000, u64::from(IN_SECONDS) - 1] {
            assert_eq!(unpack(pack(exact)), exact);
        }
        let year_ms = 365 * 86_400_000 + 999;
        assert_eq!(unpack(pack(year_ms)), year_ms - 999);
        assert_eq!(unpack(pack(u64::MAX)), u64::from(IN_SECONDS - 1) * 1000);
    }

    #[test]
    fn what_does_not_fit_the_packed_form_is_left_out_and_not_cut_off() {
        let terms = Terms {
            born_ms: 5,
            fresh_until_ms: 6,
            stale_until_ms: 7,
            error_until_ms: 8,
            always_validate: false,
            never_stale: true,
            public: false,
            etag: Some(Span::new(0, 70_000)),
            last_modified: Some((u64::from(u32::MAX) + 1, Span::new(3, 32))),
        };
        let head = vec![b'h'; 70_000];
        let parts = |storable| Parts {
            key: b"k",
            status: 200,
            head: &head,
            body: Body::Empty,
            storable,
            stored_ms: 5,
        };
        let storable = Storable { terms, vary: None, tags: Box::new([1, u64::MAX]) };
        let entry = Entry::new(parts(&storable));
        assert_eq!(entry.terms(), Terms { etag: None, last_modified: None, ..terms });
        assert_eq!(entry.tags().collect::<Vec<_>>(), [1, u64::MAX]);
        assert_eq!(entry.body().len_bytes(), 0);
        let etag = Some(Span::new(10, 65_535));
        let terms = Terms { etag, last_modified: None, ..terms };
        let storable = Storable { terms, ..storable.clone() };
        assert_eq!(Entry::new(parts(&storable)).terms(), storable.terms);
    }

    #[test]
    fn a_small_body_lies_behind_its_head_and_a_large_one_is_shared() {
        let terms = Terms {
            born_ms: 0,
            fresh_until_ms: 1,
            stale_until_ms: 1,
            error_until_ms: 1,
            always_validate: false,
            never_stale: false,
            public: false,
            etag: None,
            last_modified: None,
        };
        let storable = Storable { terms, vary: Some(Box::from(*b"vary")), tags: Box::new([7, 8]) };
        let make = |body: Body| {
            let parts =
                Parts { key: b"key", status: 200, head: b"head", body, storable: &storable, stored_ms: 0 };
            Entry::new(parts)
        };
        let piece = |len: usize| -> Arc<[u8]> { vec![b'x'; len].into() };
        for lens in
            [&[][..], &[1], &[5, 6, 7], &[NEAR_BYTES as usize], &[16_000, 385], &[90_000], &[90_000, 1]]
        {
            let body = Body::from_pieces(lens.iter().map(|len| piece(*len)));
            let bytes = lens.iter().sum::<usize>() as u64;
            let entry = make(body.clone());
            assert_eq!(matches!(entry.body(), Stored::Near(_)), bytes <= NEAR_BYTES, "{lens:?}");
            assert_eq!(
                (entry.key(), entry.head(), entry.vary()),
                (&b"key"[..], &b"head"[..], Some(&b"vary"[..]))
            );
            assert_eq!(entry.tags().collect::<Vec<_>>(), [7, 8]);
            assert_eq!(entry.body().len_bytes(), bytes);
            assert!(
                entry
                    .body()
                    .pieces()
                    .all(|piece| !piece.is_empty() && piece.iter().all(|&byte| byte == b'x'))
            );
            assert_eq!(entry.body().pieces().map(<[u8]>::len).sum::<usize>() as u64, bytes);
            assert_eq!(entry.body().to_body().len_bytes(), bytes);
            assert!(entry.cost_bytes() > bytes + 100 && entry.own_bytes() > 100);
        }
    }

    #[test]
    fn what_is_held_by_its_address_alone_is_the_same_entry_and_counted() {
        let terms = Terms {
            born_ms: 1,
            fresh_until_ms: 2,
            stale_until_ms: 2,
            error_until_ms: 2,
            always_validate: false,
            never_stale: false,
            public: false,
            etag: None,
            last_modified: None,
        };
        let storable = Storable { terms, vary: None, tags: Box::default() };
        let make = |key: &[u8], body| {
            Entry::new(Parts { key, status: 200, head: b"head", body, storable: &storable, stored_ms: 1 })
        };
        for len in [0, 1, NEAR_BYTES as usize + 1] {
            let entry = make(b"http://a/\0=b", Body::from_pieces([vec![b'x'; len].into()]));
            let held = Held::from(Arc::clone(&entry));
            assert_eq!(
                (held.key(), held.url(), held.head()),
                (&b"http://a/\0=b"[..], &b"http://a/"[..], &b"head"[..])
            );
            assert_eq!(held.body().len_bytes(), len as u64);
            let shared = held.share();
            assert!(Arc::ptr_eq(&shared, &entry) && Arc::strong_count(&entry) == 3);
            let back: Arc<Entry> = held.into();
            assert!(Arc::ptr_eq(&back, &entry) && Arc::strong_count(&entry) == 3);
            drop((shared, Held::from(back)));
            assert_eq!(Arc::strong_count(&entry), 1);
            let other = make(b"http://a/", Body::Empty);
            entry.count_hit();
            entry.set_slot(7);
            other.stand_as(&entry);
            assert_eq!((other.hits(), other.freq(), other.slot(), other.in_main()), (1, 1, 7, false));
        }
    }

    #[test]
    fn a_body_leaves_out_empty_pieces_and_knows_its_length() {
        let piece = |len: usize| -> Arc<[u8]> { vec![0; len].into() };
        let lens = |lens: &[usize]| Body::from_pieces(lens.iter().map(|len| piece(*len)));
        assert!(matches!(lens(&[0, 0]), Body::Empty));
        assert!(matches!(lens(&[0, 3]), Body::Piece(_)));
        let several = lens(&[1, 0, 2, 3]);
        assert_eq!((several.len_bytes(), several.pieces().len()), (6, 3));
    }
}
