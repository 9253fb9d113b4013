//! What the tier on disk counts.

/// Numbers of the tier on disk. Those named `*_total` only grow.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Usage {
    /// What `cache.disk.size` says; 0: there is no such tier.
    pub limit_bytes: u64,
    /// Bytes of its files.
    pub used_bytes: u64,
    /// Entries that can be found in them.
    pub entries: u64,
    /// Segments.
    pub segments: u64,
    /// Memory of the index, which is part of that of the cache.
    pub index_bytes: u64,
    /// What waits to be written.
    pub waiting_bytes: u64,
    /// Requests, or those that waited together, that were answered from it.
    pub hits_total: u64,
    /// Entries written.
    pub written_total: u64,
    /// Entries that were to be written and were not, by [`Dropped::index`].
    pub dropped_total: [u64; Dropped::ALL.len()],
    /// What went wrong, by [`Fault::index`].
    pub faults_total: [u64; Fault::ALL.len()],
}

macro_rules! reasons {
    ($(#[$about:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident = $code:literal,)+ }) => {
        $(#[$about])*
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub enum $name { $($(#[$doc])* $variant,)+ }

        impl $name {
            /// Every one, in the order of the enum.
            pub const ALL: [Self; [$($code),+].len()] = [$(Self::$variant),+];

            /// Position in [`Self::ALL`].
            pub const fn index(self) -> usize {
                self as usize
            }

            /// The word in metrics.
            pub const fn code(self) -> &'static str {
                match self { $(Self::$variant => $code,)+ }
            }
        }
    };
}

reasons! {
    /// Why an entry was not written.
    Dropped {
        /// Too much waits already: the disk is slower than what comes.
        Busy = "busy",
        /// The disk has failed a moment ago.
        Failing = "failing",
        /// It would take too large a part of the room there.
        TooLarge = "too-large",
        /// It is of no use any more.
        Expired = "expired",
        /// Something newer, or a purge, has come before it was written.
        Overtaken = "overtaken",
        /// Writing it failed.
        Write = "write",
    }
}

reasons! {
    /// What went wrong.
    Fault {
        /// A write failed.
        Write = "write",
        /// There was no room on the disk.
        Full = "full",
        /// A read failed.
        Read = "read",
        /// A file could not be removed.
        Remove = "remove",
        /// Something did not add up, and was dropped.
        Corrupt = "corrupt",
        /// A read took too long, or too many were under way, and the origin was asked instead.
        Slow = "slow",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_know_their_place() {
        assert!(Dropped::ALL.iter().enumerate().all(|(at, why)| why.index() == at));
        assert!(Fault::ALL.iter().enumerate().all(|(at, why)| why.index() == at));
    }
}
