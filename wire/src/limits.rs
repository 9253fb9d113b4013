//! How much a peer may send before it is refused. The rest of the crate takes these by reference, so that a
//! listener and an upstream can have their own.

/// Slots that a head has for header lines. [`Limits::headers`] may ask for fewer, never for more.
pub const MAX_HEADERS: usize = 128;

/// Longest method name that is taken. The longest registered one (`UPDATEREDIRECTREF`) has 17 bytes.
pub const MAX_METHOD_BYTES: usize = 32;

/// Bounds on heads and on the framing of bodies. Payload is bounded by whoever reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a whole head, from the first byte (skipped empty lines included) to the empty line that ends
    /// it. Past it: [`HeadTooLarge`](crate::Malformed::HeadTooLarge). Default 16 KiB.
    pub head_bytes: u32,
    /// Bytes of a request target. Past it: [`TargetTooLong`](crate::Malformed::TargetTooLong). Default 8 KiB.
    pub target_bytes: u32,
    /// Header lines in one head, at most [`MAX_HEADERS`]. Past it:
    /// [`TooManyHeaders`](crate::Malformed::TooManyHeaders). Default 100.
    pub headers: u16,
    /// Bytes by which chunk extensions may outrun the payload. Every payload byte gives one back, so a long
    /// stream with small extensions passes and one that is mostly extensions does not. Past it:
    /// [`ChunkExtensionTooLong`](crate::Malformed::ChunkExtensionTooLong). Default 4 KiB.
    pub chunk_extension_bytes: u32,
    /// Bytes of the trailer section after the last chunk. Past it:
    /// [`TrailerTooLarge`](crate::Malformed::TrailerTooLarge). Default 8 KiB.
    pub trailer_bytes: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            head_bytes: 16 * 1024,
            target_bytes: 8 * 1024,
            headers: 100,
            chunk_extension_bytes: 4 * 1024,
            trailer_bytes: 8 * 1024,
        }
    }
}
