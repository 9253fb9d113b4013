//! Notes: what is said in the log about what stands before it.

use super::record::{Corrupt, Fields, Kind, Position};
use crate::key::tag_hash;
use crate::{Entry, Purge, UnixMs};

/// Positions in one note.
pub(super) const MOST_POSITIONS: usize = 4096;

/// Something to be remembered.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Note {
    /// What stands at these positions is void.
    Void(Vec<Position>),
    /// A purge.
    Purge(Standing),
}

/// A purge that holds for everything before it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Standing {
    what: What,
    /// Soft: when it became stale.
    soft_ms: Option<UnixMs>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum What {
    Url(Box<[u8]>),
    Prefix(Box<[u8]>),
    Tag(u64),
    All,
}

impl Standing {
    pub(super) fn of(what: Purge<'_>, soft_ms: Option<UnixMs>) -> Self {
        let what = match what {
            Purge::Url(url) => What::Url(url.into()),
            Purge::Prefix(prefix) => What::Prefix(prefix.into()),
            Purge::Tag(tag) => What::Tag(tag_hash(tag)),
            Purge::All => What::All,
        };
        Self { what, soft_ms }
    }

    /// Whether everything before it is gone.
    pub(super) const fn takes_all(&self) -> bool {
        matches!(self, Self { what: What::All, soft_ms: None })
    }

    pub(super) const fn soft_ms(&self) -> Option<UnixMs> {
        self.soft_ms
    }

    pub(super) fn is_of(&self, entry: &Entry) -> bool {
        match &self.what {
            What::Url(url) => entry.url() == &**url,
            What::Prefix(prefix) => entry.url().starts_with(prefix),
            What::Tag(hash) => entry.tags().any(|tag| tag == *hash),
            What::All => true,
        }
    }
}

impl Note {
    /// What kind of record holds it.
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Void(_) => Kind::Void,
            Self::Purge(_) => Kind::Purge,
        }
    }

    /// The text of its record.
    pub fn write(&self) -> Vec<u8> {
        match self {
            Self::Void(positions) => {
                positions.iter().flat_map(|position| position.packed().to_le_bytes()).collect()
            }
            Self::Purge(Standing { what, soft_ms }) => {
                let (word, bytes): (u8, &[u8]) = match what {
                    What::Url(url) => (1, url),
                    What::Prefix(prefix) => (2, prefix),
                    What::Tag(hash) => (3, &hash.to_le_bytes()),
                    What::All => (4, b""),
                };
                let mut out = vec![word, u8::from(soft_ms.is_some()), 0, 0, 0, 0, 0, 0];
                out.extend_from_slice(&soft_ms.unwrap_or_default().to_le_bytes());
                out.extend_from_slice(bytes);
                out
            }
        }
    }

    /// Reads the text of a record of this kind. Any bytes do no harm.
    ///
    /// # Errors
    /// [`Corrupt::Sense`].
    pub fn read(kind: Kind, text: &[u8]) -> Result<Self, Corrupt> {
        match kind {
            Kind::Entry => Err(Corrupt::Sense),
            Kind::Void => {
                let (positions, rest) = text.as_chunks();
                if !rest.is_empty() || positions.len() > MOST_POSITIONS {
                    return Err(Corrupt::Sense);
                }
                let positions =
                    positions.iter().map(|bytes| Position::unpacked(u64::from_le_bytes(*bytes))).collect();
                Ok(Self::Void(positions))
            }
            Kind::Purge => {
                let mut fields = Fields(text);
                let word = fields.take::<8>().ok_or(Corrupt::Sense)?;
                let moment = fields.u64()?;
                let soft_ms = match word[1] {
                    0 if moment == 0 => None,
                    1 => Some(moment),
                    _ => return Err(Corrupt::Sense),
                };
                let what = match (word[0], fields.0) {
                    (1, url) => What::Url(url.into()),
                    (2, prefix) => What::Prefix(prefix.into()),
                    (3, tag) => What::Tag(u64::from_le_bytes(tag.try_into().map_err(|_| Corrupt::Sense)?)),
                    (4, []) => What::All,
                    _ => return Err(Corrupt::Sense),
                };
                Ok(Self::Purge(Standing { what, soft_ms }))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_are_read_as_they_were_written() {
        let purges = [Purge::Url(b"http://a/"), Purge::Prefix(b"http://a"), Purge::Tag(b"news"), Purge::All];
        let purges = purges.into_iter().flat_map(|what| {
            [None, Some(1_800_000_000_000)].map(|soft_ms| Note::Purge(Standing::of(what, soft_ms)))
        });
        let at = |unit| Position { segment: 1, unit };
        for note in purges.chain([Note::Void(vec![at(4), at(9)]), Note::Void(Vec::new())]) {
            assert_eq!(Note::read(note.kind(), &note.write()), Ok(note));
        }
    }

    #[test]
    fn what_is_no_note_is_none() {
        let no = Err(Corrupt::Sense);
        assert_eq!(Note::read(Kind::Void, &[1; 9]), no);
        assert_eq!(Note::read(Kind::Void, &vec![0; 8 * (MOST_POSITIONS + 1)]), no);
        assert_eq!(Note::read(Kind::Entry, b""), no);
        for text in [&[][..], &[1; 15], &[9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]] {
            assert_eq!(Note::read(Kind::Purge, text), no, "{text:?}");
        }
        let all_of_something = [4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
        assert_eq!(Note::read(Kind::Purge, &all_of_something), no);
    }
}
