//! Making an entry whole: what is around a text and the text itself in one piece of memory, which safe code cannot do for
//! a text whose length is known only now.
#![allow(unsafe_code)]

use core::ptr;
use std::sync::Arc;

use super::{Around, Entry};

/// Bytes of the reference counts in front of what an [`Arc`] shares.
pub(super) const COUNTS_BYTES: usize = 2 * size_of::<usize>();

// An `Around` lies in whole numbers of eight bytes.
const _: () = assert!(align_of::<Around>() == 8 && size_of::<Around>().is_multiple_of(8));

/// An entry with these bytes as its text, one after the other.
pub(super) fn whole<'a>(around: Around, text: impl Iterator<Item = &'a [u8]> + Clone) -> Arc<Entry> {
    let len = text.clone().map(<[u8]>::len).sum::<usize>();
    let mut memory = Arc::<[u64]>::new_uninit_slice((size_of::<Around>() + len).div_ceil(size_of::<u64>()));
    let place = Arc::get_mut(&mut memory).expect("nobody else has it yet");
    let (front, behind) = place.split_at_mut(size_of::<Around>() / size_of::<u64>());
    // SAFETY: `front` is as large as an `Around`, aligned for it, and nobody else's.
    unsafe { front.as_mut_ptr().cast::<Around>().write(around) };
    let (mut to, mut left) = (behind.as_mut_ptr().cast::<u8>(), len);
    for piece in text {
        // An iterator whose clone gives other bytes would be a mistake, but not one that writes elsewhere.
        left = left.checked_sub(piece.len()).expect("a text has the length that it was counted with");
        // SAFETY: `behind` has room for `len` bytes, of which `left` and `piece` were left, and nobody else has it, nor
        // is it where `piece` is.
        to = unsafe {
            ptr::copy_nonoverlapping(piece.as_ptr(), to, piece.len());
            to.add(piece.len())
        };
    }
    assert_eq!(left, 0, "a text has the length that it was counted with");
    let start = Arc::into_raw(memory).cast::<u64>();
    // What a slice has behind its address is what an `Entry` has: the number of elements at its end, which are bytes here.
    // SAFETY: an `Entry` (`repr(C)`) is an `Around` and, without a gap, `len` bytes, which is what was written. It has the
    // alignment of `u64`, and rounded up to that the size of the slice that the memory was made for, so that it is freed
    // as it was allocated.
    unsafe { Arc::from_raw(ptr::slice_from_raw_parts(start, len) as *const Entry) }
}
