//! How a segment begins.
//!
//! ```text
//!  opening (32): "TIDEGATE" │ version u32 │ number u32 │ bytes of the segment before u64 │ 0 u32 │ sum u32
//! ```
//!
//! A segment says how long the one before it was when it was complete, so that one that has lost its end is found out.

use super::Sum;
use super::record::Fields;

/// Bytes of an opening.
pub const OPENING_BYTES: usize = 32;

/// Rises with every change of what is on disk.
const VERSION: u32 = 1;

const MAGIC: &[u8; 8] = b"TIDEGATE";

/// How a segment begins.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Opening {
    /// Its number: one more than that of the segment before.
    pub number: u32,
    /// Bytes of that one.
    pub before_bytes: u64,
}

/// Why a file is no segment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Strange {
    /// It does not begin as one.
    Broken,
    /// It was written by another version of Tidegate.
    Version(u32),
}

impl Opening {
    /// Its bytes.
    pub fn write(self) -> [u8; OPENING_BYTES] {
        let mut out = Vec::with_capacity(OPENING_BYTES);
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(&VERSION.to_le_bytes());
        out.extend_from_slice(&self.number.to_le_bytes());
        out.extend_from_slice(&self.before_bytes.to_le_bytes());
        out.extend_from_slice(&[0; 4]);
        out.extend_from_slice(&Sum::of(&out).to_le_bytes());
        out.try_into().expect("the parts of an opening are as long as it")
    }

    /// Reads one.
    ///
    /// # Errors
    /// Why it is none.
    pub fn read(bytes: &[u8]) -> Result<Self, Strange> {
        let bytes = bytes.get(..OPENING_BYTES).ok_or(Strange::Broken)?;
        let (said, sum) = bytes.split_at(OPENING_BYTES - 4);
        let mut fields = Fields(said);
        if Sum::of(said).to_le_bytes() != *sum || fields.take() != Some(*MAGIC) {
            return Err(Strange::Broken);
        }
        match fields.u32() {
            Ok(VERSION) => {}
            Ok(version) => return Err(Strange::Version(version)),
            Err(_) => return Err(Strange::Broken),
        }
        match (fields.u32(), fields.u64()) {
            (Ok(number), Ok(before_bytes)) => Ok(Self { number, before_bytes }),
            _ => Err(Strange::Broken),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_opening_is_read_as_it_was_written_and_no_bit_otherwise() {
        let opening = Opening { number: 5, before_bytes: 1 << 40 };
        let bytes = opening.write();
        assert_eq!(Opening::read(&bytes), Ok(opening));
        assert_eq!(Opening::read(&bytes[..31]), Err(Strange::Broken));
        for bit in 0..OPENING_BYTES * 8 {
            let mut bytes = bytes;
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Opening::read(&bytes), Err(Strange::Broken), "bit {bit}");
        }
    }

    #[test]
    fn another_version_is_named() {
        let mut bytes = Opening { number: 5, before_bytes: 0 }.write();
        bytes[8] = 9;
        let sum = Sum::of(&bytes[..28]).to_le_bytes();
        bytes[28..].copy_from_slice(&sum);
        assert_eq!(Opening::read(&bytes), Err(Strange::Version(9)));
    }
}
