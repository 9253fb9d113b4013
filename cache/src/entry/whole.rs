//! Making an entry whole: what is around a text and the text itself in one piece of memory, which safe code cannot do for
//! a text whose length is known only now. And a reference to such an entry that is as small as an address.
#![allow(unsafe_code)]

use core::ops::Deref;
use core::ptr::{self, NonNull};
use core::{fmt, mem};
use std::sync::Arc;

use super::{Around, Entry};

/// Bytes of the reference counts in front of what an [`Arc`] shares.
pub(super) const COUNTS_BYTES: usize = 2 * size_of::<usize>();

// An `Around` lies in whole numbers of eight bytes.
const _: () = assert!(align_of::<Around>() == 8 && size_of::<Around>().is_multiple_of(8));

/// An entry with these bytes as its text, one after the other.
pub(super) fn whole<'a>(around: Around, text: impl Iterator<Item = &'a [u8]> + Clone) -> Arc<Entry> {
    let len = around.text_len as usize;
    assert_eq!(len, text.clone().map(<[u8]>::len).sum::<usize>(), "an entry knows how long its text is");
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

/// What an `Arc<Entry>` is, in half of its bytes: the length that such a one has beside the address is in the entry, too.
pub(crate) struct Held(NonNull<Around>);

const fn may_be_shared<T: Send + Sync>() {}
const _: () = may_be_shared::<Arc<Entry>>();
// SAFETY: it is an `Arc<Entry>`, which may be sent to others and shared with them.
unsafe impl Send for Held {}
// SAFETY: as above.
unsafe impl Sync for Held {}

impl Held {
    /// Another reference to the same entry.
    #[inline]
    pub(crate) fn share(&self) -> Arc<Entry> {
        // SAFETY: this one stays, and is one of those that are counted.
        unsafe { Arc::increment_strong_count(self.raw()) };
        // SAFETY: the reference that was just counted is the one that is made here.
        unsafe { Arc::from_raw(self.raw()) }
    }

    /// What [`Arc::into_raw`] had said.
    #[inline]
    fn raw(&self) -> *const Entry {
        // SAFETY: the entry is there as long as this reference to it, and begins with what is around its text.
        let len = unsafe { (*self.0.as_ptr()).text_len } as usize;
        // The length is that of the text, which `whole` has seen to, and nobody changes.
        ptr::slice_from_raw_parts(self.0.as_ptr().cast_const().cast::<u64>(), len) as *const Entry
    }
}

impl From<Arc<Entry>> for Held {
    fn from(entry: Arc<Entry>) -> Self {
        let start = Arc::into_raw(entry).cast_mut().cast();
        // SAFETY: what an `Arc` shares is somewhere.
        Self(unsafe { NonNull::new_unchecked(start) })
    }
}

impl From<Held> for Arc<Entry> {
    fn from(held: Held) -> Self {
        let entry = held.raw();
        mem::forget(held);
        // SAFETY: the reference that was given up here is the one that is made.
        unsafe { Self::from_raw(entry) }
    }
}

impl Deref for Held {
    type Target = Entry;

    #[inline]
    fn deref(&self) -> &Entry {
        // SAFETY: the entry is there as long as this reference to it.
        unsafe { &*self.raw() }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // SAFETY: the reference that is given up here is the one that was taken over when it was made.
        drop(unsafe { Arc::from_raw(self.raw()) });
    }
}

impl fmt::Debug for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}
