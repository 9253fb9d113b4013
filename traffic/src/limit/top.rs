//! Who is refused most: the Space-Saving sketch, in a fixed number of places.
//!
//! A key without a place takes that of the one with the fewest refusals, together with its count, which is then by how
//! much its own may be too high. Whoever has more refusals than all of them divided by the places is always among them.
//! Counts fade by half every ten minutes, so that the list is about now.

use core::time::Duration;

use crate::moment::Moment;

/// Places.
const PLACES: usize = 128;

/// Bytes of a key that are kept to be shown.
pub const SHOWN_BYTES: usize = 48;

/// Counts are halved so often.
const HALF_LIFE: Duration = Duration::from_mins(10);

/// Who is refused most.
#[derive(Debug, Default)]
pub struct Top {
    keys: Vec<TopKey>,
    halved: Moment,
}

/// One of them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TopKey {
    /// Which limit and key.
    pub key: u64,
    /// What the caller knows the limit by.
    pub limit: u64,
    /// Refusals of late; may be too high by `error`.
    pub refused: u64,
    /// By how much at most.
    pub error: u64,
    /// When it was refused last.
    pub last: Moment,
    bytes: [u8; SHOWN_BYTES],
    len: u8,
}

impl TopKey {
    /// The beginning of the key.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}

impl Top {
    /// One refusal.
    pub fn count(&mut self, now: Moment, limit: u64, key: u64, shown: &[u8]) {
        self.fade(now);
        if let Some(known) = self.keys.iter_mut().find(|known| known.key == key && known.limit == limit) {
            known.refused += 1;
            known.last = now;
            return;
        }
        let mut bytes = [0; SHOWN_BYTES];
        let len = shown.len().min(SHOWN_BYTES);
        bytes[..len].copy_from_slice(&shown[..len]);
        let fresh = TopKey { key, limit, refused: 1, error: 0, last: now, bytes, len: len as u8 };
        if self.keys.len() < PLACES {
            self.keys.push(fresh);
        } else if let Some(least) = self.keys.iter_mut().min_by_key(|known| (known.refused, known.last)) {
            let error = least.refused;
            *least = TopKey { refused: error + 1, error, ..fresh };
        }
    }

    /// The first `most` of them, the one with the most refusals first.
    pub fn list(&self, most: usize) -> Vec<TopKey> {
        let mut keys = self.keys.clone();
        keys.sort_by_key(|known| core::cmp::Reverse(known.refused - known.error));
        keys.truncate(most);
        keys
    }

    fn fade(&mut self, now: Moment) {
        let mut halvings = 0;
        while now.since(self.halved) >= HALF_LIFE && halvings < u64::BITS {
            self.halved = self.halved.plus(HALF_LIFE);
            halvings += 1;
        }
        if halvings == u64::BITS {
            self.halved = now;
        }
        if halvings == 0 {
            return;
        }
        for known in &mut self.keys {
            known.refused = known.refused.checked_shr(halvings).unwrap_or(0);
            known.error = known.error.checked_shr(halvings).unwrap_or(0);
        }
        self.keys.retain(|known| known.refused > 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_is_refused_often_is_found_in_a_flood_of_others() {
        let mut top = Top::default();
        for round in 0..2_000_u64 {
            top.count(Moment::ZERO, 1, 7, b"loud");
            for other in 0..20 {
                top.count(Moment::ZERO, 1, 1_000 + round * 20 + other, b"other");
            }
        }
        let list = top.list(1);
        assert_eq!(list[0].bytes(), b"loud");
        assert!(list[0].refused >= 2_000 && list[0].refused - list[0].error <= 2_000);
        assert_eq!(top.keys.len(), PLACES);
    }

    #[test]
    fn what_happened_long_ago_fades() {
        let mut top = Top::default();
        for _ in 0..8 {
            top.count(Moment::ZERO, 1, 7, b"past");
        }
        top.count(Moment::ZERO.plus(HALF_LIFE), 1, 8, b"present");
        assert_eq!(top.list(9)[0].refused, 4);
        top.count(Moment::from_secs(1 << 30), 1, 8, b"present");
        assert_eq!(top.list(9).len(), 1);
    }

    #[test]
    fn long_keys_are_cut() {
        let mut top = Top::default();
        top.count(Moment::ZERO, 1, 7, &[b'x'; 100]);
        assert_eq!(top.list(1)[0].bytes().len(), SHOWN_BYTES);
    }
}
