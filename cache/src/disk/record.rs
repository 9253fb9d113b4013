//! Records: an entry or a note as bytes, and back.
//!
//! Numbers are little-endian. A record begins at a multiple of [`ALIGN`] and is padded to one.
//!
//! ```text
//!  head (40):  "TGr1" │ kind u8, 0 u8 ×3 │ text length u32 │ text sum u32 │ body length u64 │ body sum u32
//!              │ segment u32 │ unit u32 │ sum of the head u32
//! ```

use std::sync::Arc;

use wire::Span;

use super::Sum;
use crate::entry::{Body, Parts};
use crate::key::url_of;
use crate::storable::MAX_TAGS;
use crate::{Entry, Storable, Terms, UnixMs, vary};

/// What records begin at a multiple of.
pub const ALIGN: u64 = 8;

/// Bytes of a record's head.
pub const HEAD_BYTES: usize = 40;

/// Most bytes of a record's text: key, head and what an entry varies on.
pub const MAX_TEXT_BYTES: u32 = 16 << 20;

/// Most bytes of a body: what a place in the index can say.
pub const MAX_BODY_BYTES: u64 = 8 << 30;

const MAGIC: &[u8; 4] = b"TGr1";

/// Bytes of an entry's text before its key.
const FIXED_BYTES: usize = 84;

const ALWAYS_VALIDATE: u8 = 1;
const NEVER_STALE: u8 = 2;
const PUBLIC: u8 = 4;
const VARIES: u8 = 8;
const ETAG: u8 = 16;
const CHANGED: u8 = 32;

/// Where a record begins. In the order in which they were written.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Position {
    /// The segment's number.
    pub segment: u32,
    /// How many times [`ALIGN`] from its beginning.
    pub unit: u32,
}

/// What a record holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// An entry.
    Entry,
    /// Positions that are void.
    Void,
    /// A purge of what stands before it.
    Purge,
}

/// The head of a record.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Head {
    /// What the record holds.
    pub kind: Kind,
    /// Bytes of its text.
    pub text_bytes: u32,
    /// Their sum.
    pub text_sum: u32,
    /// Bytes of its body; notes have none.
    pub body_bytes: u64,
    /// Their sum.
    pub body_sum: u32,
}

/// Why a record is not believed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Corrupt {
    /// The head does not add up.
    Head,
    /// It says that it stands elsewhere.
    Place,
    /// It is longer than what is there.
    Torn,
    /// The text does not add up.
    Text,
    /// The text adds up and makes no sense.
    Sense,
    /// The body does not add up.
    Body,
    /// It cannot be read.
    Unreadable,
    /// A segment is not there, or shorter than the next one says.
    Missing,
    /// A segment does not begin as one.
    Opening,
}

impl Corrupt {
    /// What it means, for people.
    pub const fn what(self) -> &'static str {
        match self {
            Self::Head => "the head of a record does not add up",
            Self::Place => "a record says that it stands elsewhere",
            Self::Torn => "a record is cut off",
            Self::Text => "the text of a record does not add up",
            Self::Sense => "the text of a record makes no sense",
            Self::Body => "the body of a record does not add up",
            Self::Unreadable => "a record cannot be read",
            Self::Missing => "a segment is missing, or a part of it",
            Self::Opening => "a segment does not begin as one",
        }
    }
}

impl Position {
    /// Bytes from the segment's beginning.
    pub const fn offset_bytes(self) -> u64 {
        self.unit as u64 * ALIGN
    }

    pub(super) const fn packed(self) -> u64 {
        (self.segment as u64) << 32 | self.unit as u64
    }

    pub(super) const fn unpacked(packed: u64) -> Self {
        Self { segment: (packed >> 32) as u32, unit: packed as u32 }
    }
}

impl Head {
    /// The bytes of the head of a record that stands at `at`.
    pub fn write(&self, at: Position) -> [u8; HEAD_BYTES] {
        let mut out = Vec::with_capacity(HEAD_BYTES);
        out.extend_from_slice(MAGIC);
        let kind = match self.kind {
            Kind::Entry => 1,
            Kind::Void => 2,
            Kind::Purge => 3,
        };
        out.extend_from_slice(&[kind, 0, 0, 0]);
        out.extend_from_slice(&self.text_bytes.to_le_bytes());
        out.extend_from_slice(&self.text_sum.to_le_bytes());
        out.extend_from_slice(&self.body_bytes.to_le_bytes());
        out.extend_from_slice(&self.body_sum.to_le_bytes());
        out.extend_from_slice(&at.segment.to_le_bytes());
        out.extend_from_slice(&at.unit.to_le_bytes());
        out.extend_from_slice(&Sum::of(&out).to_le_bytes());
        out.try_into().expect("the parts of a head are as long as it")
    }

    /// Reads the head of the record that should stand at `at`.
    ///
    /// # Errors
    /// Why it is none.
    pub fn read(bytes: &[u8], at: Position) -> Result<Self, Corrupt> {
        let mut fields = Fields(bytes.get(..HEAD_BYTES).ok_or(Corrupt::Torn)?);
        let said = &bytes[HEAD_BYTES - 4..HEAD_BYTES];
        if Sum::of(&bytes[..HEAD_BYTES - 4]).to_le_bytes() != *said {
            return Err(Corrupt::Head);
        }
        let begins = fields.take().ok_or(Corrupt::Torn)?;
        let kind = match (&begins, fields.take().ok_or(Corrupt::Torn)?) {
            (MAGIC, [1, 0, 0, 0]) => Kind::Entry,
            (MAGIC, [2, 0, 0, 0]) => Kind::Void,
            (MAGIC, [3, 0, 0, 0]) => Kind::Purge,
            _ => return Err(Corrupt::Head),
        };
        let (text_bytes, text_sum) = (fields.u32()?, fields.u32()?);
        let (body_bytes, body_sum) = (fields.u64()?, fields.u32()?);
        if text_bytes > MAX_TEXT_BYTES || body_bytes > MAX_BODY_BYTES {
            return Err(Corrupt::Head);
        }
        if (Position { segment: fields.u32()?, unit: fields.u32()? }) != at {
            return Err(Corrupt::Place);
        }
        Ok(Self { kind, text_bytes, text_sum, body_bytes, body_sum })
    }

    /// Where its body begins, from the record's beginning.
    pub const fn body_start(&self) -> u64 {
        HEAD_BYTES as u64 + self.text_bytes as u64
    }

    /// Bytes of the record without its padding.
    pub const fn used_bytes(&self) -> u64 {
        self.body_start() + self.body_bytes
    }

    /// Bytes of the record.
    pub const fn total_bytes(&self) -> u64 {
        self.used_bytes().next_multiple_of(ALIGN)
    }
}

/// Reads the head and the text of the entry that should stand at `at`, of a record from its beginning on.
///
/// # Errors
/// Why it is not believed. [`Corrupt::Torn`] also where `bytes` do not go as far as the body.
pub fn front(bytes: &[u8], at: Position) -> Result<(Head, Text<'_>), Corrupt> {
    let head = Head::read(bytes, at)?;
    let text = bytes.get(HEAD_BYTES..head.body_start() as usize).ok_or(Corrupt::Torn)?;
    match head.kind {
        _ if Sum::of(text) != head.text_sum => Err(Corrupt::Text),
        Kind::Entry => Ok((head, Text::read(text)?)),
        Kind::Void | Kind::Purge => Err(Corrupt::Sense),
    }
}

/// The text of an entry: everything but its body.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Text<'a> {
    /// The key's bytes.
    pub key: &'a [u8],
    /// The status.
    pub status: u16,
    /// The prebuilt head, see [`Entry::head`].
    pub head: &'a [u8],
    /// When and for whom it may be served.
    pub terms: Terms,
    /// When it was stored.
    pub stored_ms: UnixMs,
    /// What it varies on.
    pub vary: Option<&'a [u8]>,
    tags: &'a [u8],
}

impl<'a> Text<'a> {
    /// The text of an entry, as bytes.
    pub fn of(entry: &Entry) -> Vec<u8> {
        let (key, url, head, vary) = (entry.key(), entry.url(), entry.head(), entry.vary());
        let terms = entry.terms();
        let spec = vary.unwrap_or_default();
        let mut out = Vec::with_capacity(FIXED_BYTES + key.len() + head.len() + spec.len() + 64);
        for len in [key.len(), url.len(), head.len(), spec.len()] {
            out.extend_from_slice(&(len as u32).to_le_bytes());
        }
        let flag = |set: bool, flag: u8| if set { flag } else { 0 };
        out.extend_from_slice(&(entry.tags().count() as u16).to_le_bytes());
        out.extend_from_slice(&entry.status().to_le_bytes());
        out.push(
            flag(terms.always_validate, ALWAYS_VALIDATE)
                | flag(terms.never_stale, NEVER_STALE)
                | flag(terms.public, PUBLIC)
                | flag(vary.is_some(), VARIES)
                | flag(terms.etag.is_some(), ETAG)
                | flag(terms.last_modified.is_some(), CHANGED),
        );
        out.extend_from_slice(&[0; 3]);
        let moments = [terms.born_ms, terms.fresh_until_ms, terms.stale_until_ms, terms.error_until_ms];
        for moment in moments.into_iter().chain([entry.stored_ms()]) {
            out.extend_from_slice(&moment.to_le_bytes());
        }
        let etag = terms.etag.unwrap_or_default();
        // Entries keep the seconds in four bytes.
        let (changed_s, changed) = terms.last_modified.unwrap_or_default();
        for number in
            [etag.start(), etag.len() as u32, changed_s as u32, changed.start(), changed.len() as u32]
        {
            out.extend_from_slice(&number.to_le_bytes());
        }
        debug_assert_eq!(out.len(), FIXED_BYTES, "the length is a promise to whoever reads");
        out.extend_from_slice(key);
        out.extend_from_slice(head);
        out.extend_from_slice(spec);
        entry.tags().for_each(|tag| out.extend_from_slice(&tag.to_le_bytes()));
        out
    }

    /// Reads the text of an entry. Any bytes do no harm.
    ///
    /// # Errors
    /// [`Corrupt::Sense`].
    pub fn read(bytes: &'a [u8]) -> Result<Self, Corrupt> {
        let mut fields = Fields(bytes);
        let lens = [fields.u32()?, fields.u32()?, fields.u32()?, fields.u32()?];
        let [key_len, url_len, head_len, spec_len] = lens;
        let tags = usize::from(fields.u16()?);
        let status = fields.u16()?;
        let [flags, pad @ ..] = fields.take::<4>().ok_or(Corrupt::Sense)?;
        let [born_ms, fresh_until_ms, stale_until_ms, error_until_ms, stored_ms] =
            [fields.u64()?, fields.u64()?, fields.u64()?, fields.u64()?, fields.u64()?];
        let (etag_start, etag_len) = (fields.u32()?, fields.u32()?);
        let (changed_s, changed_start, changed_len) = (fields.u32()?, fields.u32()?, fields.u32()?);
        let span = |flag: u8, start: u32, len: u32| match flags & flag != 0 {
            false if (start, len) == (0, 0) => Ok(None),
            true if len > 0 && start.checked_add(len).is_some_and(|end| end <= head_len) => {
                Ok(Some(Span::new(start, start + len)))
            }
            _ => Err(Corrupt::Sense),
        };
        let etag = span(ETAG, etag_start, etag_len)?;
        let changed = span(CHANGED, changed_start, changed_len)?;
        let terms = Terms {
            born_ms,
            fresh_until_ms,
            stale_until_ms,
            error_until_ms,
            always_validate: flags & ALWAYS_VALIDATE != 0,
            never_stale: flags & NEVER_STALE != 0,
            public: flags & PUBLIC != 0,
            etag,
            last_modified: changed.map(|span| (u64::from(changed_s), span)),
        };
        let key = fields.slice(key_len)?;
        let head = fields.slice(head_len)?;
        let spec = fields.slice(spec_len)?;
        let varies = flags & VARIES != 0;
        let ordered = born_ms <= fresh_until_ms && fresh_until_ms <= stale_until_ms.min(error_until_ms);
        let sound = url_len > 0
            && url_of(key).len() == url_len as usize
            && (100..600).contains(&status)
            && flags < 2 * CHANGED
            && pad == [0; 3]
            && (changed.is_some() || changed_s == 0)
            && ordered
            && (if varies { vary::is_spec(spec) } else { spec.is_empty() })
            && tags <= MAX_TAGS
            && fields.0.len() == tags * 8;
        if !sound {
            return Err(Corrupt::Sense);
        }
        let vary = varies.then_some(spec);
        Ok(Self { key, status, head, terms, stored_ms, vary, tags: fields.0 })
    }

    /// The URL.
    pub fn url(&self) -> &'a [u8] {
        url_of(self.key)
    }

    /// The entry with this text.
    pub fn entry(&self, body: Body) -> Arc<Entry> {
        let (tags, _) = self.tags.as_chunks();
        let storable = Storable {
            terms: self.terms,
            vary: self.vary.map(Box::from),
            tags: tags.iter().map(|tag| u64::from_le_bytes(*tag)).collect(),
        };
        Entry::new(Parts {
            key: self.key,
            status: self.status,
            head: self.head,
            body,
            storable: &storable,
            stored_ms: self.stored_ms,
        })
    }
}

/// Takes numbers and slices from the front of some bytes.
pub(super) struct Fields<'a>(pub &'a [u8]);

impl<'a> Fields<'a> {
    pub(super) fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (first, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*first)
    }

    fn u16(&mut self) -> Result<u16, Corrupt> {
        self.take().map(u16::from_le_bytes).ok_or(Corrupt::Sense)
    }

    pub(super) fn u32(&mut self) -> Result<u32, Corrupt> {
        self.take().map(u32::from_le_bytes).ok_or(Corrupt::Sense)
    }

    pub(super) fn u64(&mut self) -> Result<u64, Corrupt> {
        self.take().map(u64::from_le_bytes).ok_or(Corrupt::Sense)
    }

    fn slice(&mut self, len: u32) -> Result<&'a [u8], Corrupt> {
        let (slice, rest) = self.0.split_at_checked(len as usize).ok_or(Corrupt::Sense)?;
        self.0 = rest;
        Ok(slice)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_read_as_it_was_written_and_only_at_its_place() {
        let at = Position { segment: 7, unit: 9 };
        let head = Head { kind: Kind::Entry, text_bytes: 11, text_sum: 12, body_bytes: 13, body_sum: 14 };
        let bytes = head.write(at);
        assert_eq!(Head::read(&bytes, at), Ok(head));
        assert_eq!(Head::read(&bytes, Position { unit: 10, ..at }), Err(Corrupt::Place));
        assert_eq!(Head::read(&bytes[..39], at), Err(Corrupt::Torn));
        for bit in 0..HEAD_BYTES * 8 {
            let mut bytes = bytes;
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Head::read(&bytes, at), Err(Corrupt::Head), "bit {bit}");
        }
        assert_eq!((head.used_bytes(), head.total_bytes()), (64, 64));
    }

    #[test]
    fn positions_are_ordered_as_they_were_written() {
        let at = |segment, unit| Position { segment, unit };
        assert!(at(1, 9) < at(2, 0) && at(2, 0) < at(2, 1));
        assert_eq!(Position::unpacked(at(3, 4).packed()), at(3, 4));
        assert!(at(1, u32::MAX).packed() < at(2, 0).packed());
    }
}
