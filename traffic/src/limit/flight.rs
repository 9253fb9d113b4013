//! Requests in flight by key, streams and tunnels among them.
//!
//! Takes memory for what is in flight and nothing else, so it is bounded by what bounds that.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, PoisonError};

use super::store::Key;

/// Parts, each behind a lock of its own.
const SHARDS: usize = 64;

type Shard = Mutex<HashMap<u64, u32, foldhash::fast::FixedState>>;

/// Requests in flight by key.
#[derive(Debug)]
pub struct Flights {
    shards: Box<[Shard]>,
}

/// A request's place among those of its key; given back when dropped.
#[derive(Debug)]
pub struct Flight {
    flights: Arc<Flights>,
    key: Key,
}

impl Default for Flights {
    fn default() -> Self {
        Self { shards: (0..SHARDS).map(|_| Shard::default()).collect() }
    }
}

impl Flights {
    /// A place for one request more of this key, unless it has `most` in flight already.
    pub fn enter(self: &Arc<Self>, key: Key, most: u32) -> Option<Flight> {
        let mut shard = self.shard(key).lock().unwrap_or_else(PoisonError::into_inner);
        let held = shard.entry(key.0).or_insert(0);
        if *held >= most {
            return None;
        }
        *held += 1;
        Some(Flight { flights: Arc::clone(self), key })
    }

    /// How many are in flight.
    pub fn held(&self, key: Key) -> u32 {
        let shard = self.shard(key).lock().unwrap_or_else(PoisonError::into_inner);
        shard.get(&key.0).copied().unwrap_or(0)
    }

    /// Keys that have something in flight.
    pub fn keys(&self) -> u64 {
        let len = |shard: &Shard| shard.lock().unwrap_or_else(PoisonError::into_inner).len() as u64;
        self.shards.iter().map(len).sum()
    }

    fn shard(&self, key: Key) -> &Shard {
        &self.shards[(key.0 >> 58) as usize % SHARDS]
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        let mut shard = self.flights.shard(self.key).lock().unwrap_or_else(PoisonError::into_inner);
        if let Entry::Occupied(mut held) = shard.entry(self.key.0) {
            *held.get_mut() -= 1;
            if *held.get() == 0 {
                held.remove();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_gets_as_many_places_as_it_may_have_and_each_back() {
        let flights = Arc::new(Flights::default());
        let (one, other) = (Key(1), Key(2));
        let first = flights.enter(one, 2).unwrap();
        let _second = flights.enter(one, 2).unwrap();
        assert!(flights.enter(one, 2).is_none());
        assert!(flights.enter(other, 2).is_some());
        drop(first);
        assert_eq!(flights.held(one), 1);
        assert!(flights.enter(one, 2).is_some());
    }

    #[test]
    fn what_has_nothing_in_flight_takes_no_memory() {
        let flights = Arc::new(Flights::default());
        let held: Vec<_> = (0..1000).map(|key| flights.enter(Key(key << 40), 1).unwrap()).collect();
        assert_eq!(flights.keys(), 1000);
        drop(held);
        assert_eq!(flights.keys(), 0);
    }

    #[test]
    fn threads_together_never_hold_more_than_one_key_may() {
        let flights = Arc::new(Flights::default());
        let most = std::sync::atomic::AtomicU32::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..2_000 {
                        if let Some(flight) = flights.enter(Key(9), 3) {
                            most.fetch_max(flights.held(Key(9)), std::sync::atomic::Ordering::Relaxed);
                            drop(flight);
                        }
                    }
                });
            }
        });
        assert!(most.into_inner() <= 3);
        assert_eq!(flights.held(Key(9)), 0);
    }
}
