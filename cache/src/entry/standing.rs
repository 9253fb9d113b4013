//! What the shard that an entry is in keeps in the entry itself: so a hit counts where it has to look anyway. Whoever
//! changes it holds the shard's mutex, so that what is atomic for the compiler's sake takes no more than what is not.

use core::sync::atomic::Ordering::Relaxed;

use super::Entry;

/// Hits that count for who stays.
const MOST_FREQ: u8 = 3;

impl Entry {
    /// Counts a hit.
    #[inline]
    pub(crate) fn count_hit(&self) {
        let freq = self.freq();
        self.around.hits.store(self.hits().saturating_add(1), Relaxed);
        self.set_freq((freq + 1).min(MOST_FREQ));
    }

    /// How often it was hit since it was first stored.
    pub(crate) fn hits(&self) -> u32 {
        self.around.hits.load(Relaxed)
    }

    /// Hits since it entered its queue, up to [`MOST_FREQ`].
    #[inline]
    pub(crate) fn freq(&self) -> u8 {
        self.around.freq.load(Relaxed)
    }

    #[inline]
    pub(crate) fn set_freq(&self, freq: u8) {
        self.around.freq.store(freq, Relaxed);
    }

    /// Whether its queue is the main one.
    pub(crate) fn in_main(&self) -> bool {
        self.around.in_main.load(Relaxed)
    }

    pub(crate) fn set_in_main(&self, in_main: bool) {
        self.around.in_main.store(in_main, Relaxed);
    }

    /// Its place in the queue.
    pub(crate) fn slot(&self) -> u32 {
        self.around.slot.load(Relaxed)
    }

    pub(crate) fn set_slot(&self, slot: u32) {
        self.around.slot.store(slot, Relaxed);
    }

    /// Stands where another one stood, for the same key and variant, from now on.
    pub(crate) fn stand_as(&self, old: &Self) {
        self.around.hits.store(old.hits(), Relaxed);
        self.set_freq(old.freq());
        self.set_in_main(old.in_main());
        self.set_slot(old.slot());
    }
}
