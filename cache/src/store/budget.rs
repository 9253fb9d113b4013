//! How much memory is taken.

use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Bytes that are taken of those that may be. One for all shards, so that a single entry may be larger than a shard's
/// share.
#[derive(Debug)]
pub(crate) struct Budget {
    memory_bytes: AtomicU64,
    used: AtomicU64,
    fillings: AtomicU64,
}

impl Budget {
    pub(crate) const fn new(memory_bytes: u64) -> Self {
        Self {
            memory_bytes: AtomicU64::new(memory_bytes),
            used: AtomicU64::new(0),
            fillings: AtomicU64::new(0),
        }
    }

    /// Takes so many bytes if they are there. A little is left for tables, which grow at their own pace.
    pub(crate) fn reserve(&self, bytes: u64) -> bool {
        let memory_bytes = self.memory_bytes();
        let most = memory_bytes - memory_bytes / 64;
        let taken = |used: u64| used.checked_add(bytes).filter(|&sum| sum <= most);
        self.used.fetch_update(Relaxed, Relaxed, taken).is_ok()
    }

    /// Takes them in any case: the caller makes room at once.
    pub(crate) fn force(&self, bytes: u64) {
        self.used.fetch_add(bytes, Relaxed);
    }

    pub(crate) fn release(&self, bytes: u64) {
        let before = self.used.fetch_sub(bytes, Relaxed);
        debug_assert!(before >= bytes, "released more than was taken: {bytes} of {before}");
    }

    pub(crate) fn is_over(&self) -> bool {
        self.excess_bytes() > 0
    }

    /// Bytes that are taken beyond those that may be.
    pub(crate) fn excess_bytes(&self) -> u64 {
        self.used().saturating_sub(self.memory_bytes())
    }

    pub(crate) fn used(&self) -> u64 {
        self.used.load(Relaxed)
    }

    pub(crate) fn memory_bytes(&self) -> u64 {
        self.memory_bytes.load(Relaxed)
    }

    pub(crate) fn set_memory(&self, memory_bytes: u64) {
        self.memory_bytes.store(memory_bytes, Relaxed);
    }

    /// Counts bytes as those of a filling, beside having taken them.
    pub(crate) fn add_filling(&self, bytes: u64) {
        self.fillings.fetch_add(bytes, Relaxed);
    }

    pub(crate) fn drop_filling(&self, bytes: u64) {
        self.fillings.fetch_sub(bytes, Relaxed);
    }

    pub(crate) fn fillings(&self) -> u64 {
        self.fillings.load(Relaxed)
    }
}
