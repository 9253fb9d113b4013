//! Termination state: who ended a request and how far it had come, as words for logs, metrics and people.

use crate::request::{Cached, Stage, Who};

impl Who {
    /// Every one, in the order of the enum.
    pub const ALL: [Self; 4] = [Self::Complete, Self::Client, Self::Endpoint, Self::Tidegate];

    /// The word for logs and metrics.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::Client => "client",
            Self::Endpoint => "endpoint",
            Self::Tidegate => "tidegate",
        }
    }
}

/// How a body was compressed on its way to a client.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Coding {
    /// Zstandard.
    Zstd,
    /// Brotli.
    Brotli,
    /// gzip.
    Gzip,
}

impl Coding {
    /// Every one, in the order of the enum.
    pub const ALL: [Self; 3] = [Self::Zstd, Self::Brotli, Self::Gzip];

    /// Its name in HTTP, for metrics.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Zstd => "zstd",
            Self::Brotli => "br",
            Self::Gzip => "gzip",
        }
    }
}

impl Stage {
    /// Every one, in the order of the enum, which is the order of a request's life.
    pub const ALL: [Self; 8] = [
        Self::Head,
        Self::Route,
        Self::Connect,
        Self::Send,
        Self::Wait,
        Self::Deliver,
        Self::Tunnel,
        Self::Done,
    ];

    /// The word for logs and metrics.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Head => "head",
            Self::Route => "route",
            Self::Connect => "connect",
            Self::Send => "send",
            Self::Wait => "wait",
            Self::Deliver => "deliver",
            Self::Tunnel => "tunnel",
            Self::Done => "done",
        }
    }
}

impl Cached {
    /// The words for logs and metrics, by [`Cached::index`].
    pub const CODES: [&str; 6] = ["hit", "stale", "revalidated", "miss", "collapsed", "bypass"];

    /// Position in [`Cached::CODES`].
    pub const fn index(self) -> usize {
        match self {
            Self::Hit => 0,
            Self::Stale => 1,
            Self::Revalidated => 2,
            Self::Miss => 3,
            Self::Collapsed => 4,
            Self::Bypass(_) => 5,
        }
    }

    /// The word for logs and metrics.
    pub const fn code(self) -> &'static str {
        Self::CODES[self.index()]
    }

    /// Whether the request was answered without one of its own to the origin: it counts for the hit ratio.
    pub const fn is_hit(self) -> bool {
        matches!(self, Self::Hit | Self::Stale | Self::Collapsed)
    }
}

/// Termination state as one text: `complete` for a request that ran to its end, otherwise who and at which stage,
/// such as `client/deliver` or `endpoint/wait`.
pub const fn code(who: Who, stage: Stage) -> &'static str {
    /// The words of one party, in the order of the stages.
    macro_rules! at {
        ($who:literal) => {
            match stage {
                Stage::Head => concat!($who, "/head"),
                Stage::Route => concat!($who, "/route"),
                Stage::Connect => concat!($who, "/connect"),
                Stage::Send => concat!($who, "/send"),
                Stage::Wait => concat!($who, "/wait"),
                Stage::Deliver => concat!($who, "/deliver"),
                Stage::Tunnel => concat!($who, "/tunnel"),
                Stage::Done => concat!($who, "/done"),
            }
        };
    }
    match who {
        Who::Complete => "complete",
        Who::Client => at!("client"),
        Who::Endpoint => at!("endpoint"),
        Who::Tidegate => at!("tidegate"),
    }
}

/// Classes of status that requests are counted by.
pub(crate) const CLASSES: [&str; 6] = ["none", "1xx", "2xx", "3xx", "4xx", "5xx"];

/// Index into [`CLASSES`]: 1 to 5 for a status from 100 to 599, otherwise 0 (nothing was sent).
#[inline]
pub(crate) const fn class(status: u16) -> usize {
    match status {
        100..=599 => (status / 100) as usize,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_and_stage_stand_at_their_index() {
        for (index, who) in Who::ALL.into_iter().enumerate() {
            assert_eq!(who as usize, index);
        }
        for (index, stage) in Stage::ALL.into_iter().enumerate() {
            assert_eq!(stage as usize, index);
        }
    }

    #[test]
    fn what_the_cache_did_has_a_word_of_its_own() {
        let all = [
            Cached::Hit,
            Cached::Stale,
            Cached::Revalidated,
            Cached::Miss,
            Cached::Collapsed,
            Cached::Bypass(cache::Bypass::Method),
        ];
        let names = ["Hit", "Stale", "Revalidated", "Miss", "Collapsed", "Bypass"];
        for (index, (cached, name)) in all.into_iter().zip(names).enumerate() {
            assert_eq!((cached.index(), cached.code()), (index, &*name.to_lowercase()));
        }
        assert_eq!(all.map(Cached::is_hit), [true, true, false, false, true, false]);
    }

    #[test]
    fn a_termination_state_is_made_of_both_words() {
        for who in Who::ALL {
            for stage in Stage::ALL {
                let expected = match who {
                    Who::Complete => "complete".to_owned(),
                    _ => format!("{}/{}", who.code(), stage.code()),
                };
                assert_eq!(code(who, stage), expected);
            }
        }
    }

    #[test]
    fn a_status_outside_of_http_counts_as_none() {
        assert_eq!([0, 99, 100, 204, 304, 499, 599, 600, 999].map(class), [0, 0, 1, 2, 3, 4, 5, 0, 0]);
    }
}
