//! `[surge.NAME]`: what is tightened while a surge is on.

use crate::table::{table, words};
use crate::value::{Count, Frequency, Share, Time};

table! {
    /// What is tightened while `tidegate surge on` says so. Everything else stays as it is, and nothing is ever loosened:
    /// where the file says less already, that holds. A profile says at least one thing.
    pub struct Surge {
        /// The rate, the burst and the requests in flight of every limit, times this: `"50%"`, or 0.5. Bandwidths stay,
        /// for answers that are sent more slowly hold their places longer.
        limits: Share => absent("as they are"),
        /// New connections of one client by time, in place of `server.limits.connection_rate`.
        connection_rate: Frequency => absent("as it is"),
        /// New connections of one client at once.
        connection_burst: Count<1, 1_000_000> => absent("as many as the number of `connection_rate`"),
        /// Who may wait for a slot, in every upstream that has a queue.
        queue: SurgeQueue => table,
        /// People who come in through every waiting room, times this. Rooms with `when = "surge"` have a rate for surges
        /// anyway, which stays.
        waiting_rooms: Share => absent("as they are"),
        /// Refuse requests of this priority, and of lower ones, with 503 before they ask for a slot at their upstream. What
        /// the cache or a folder answers is not refused.
        shed: Shed => absent("nothing is refused for its priority"),
    }

    /// Who may wait for a slot.
    pub struct SurgeQueue {
        /// Most requests that wait.
        limit: Count<0, 1_000_000> => absent("as many as otherwise"),
        /// Longest wait for a slot.
        timeout: Time<1> => absent("as long as otherwise"),
    }
}

words! {
    /// Whose requests are refused.
    pub enum Shed {
        /// Those of routes with `priority = "low"`, or whose header says so.
        Low = "low",
        /// All but critical ones.
        Normal = "normal",
    }
}

words! {
    /// When people wait in line.
    pub enum When {
        /// Whenever more come than come in.
        Always = "always",
        /// While a surge is on (`tidegate surge on`); everybody comes in at once otherwise.
        Surge = "surge",
    }
}
