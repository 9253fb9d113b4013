//! How many connections each client holds, over all cores.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

use traffic::client;

/// Parts of the census, each behind a lock of its own; touched when a connection opens or closes.
const SHARDS: usize = 16;

/// Connections by client; IPv6 clients count by /64.
#[derive(Debug, Default)]
pub struct Census {
    shards: [Mutex<HashMap<IpAddr, u32, foldhash::fast::FixedState>>; SHARDS],
}

impl Census {
    /// Counts one connection more of `ip`, unless it holds `most` already.
    pub fn enter(&self, ip: IpAddr, most: usize) -> bool {
        let group = client::group(ip);
        let mut shard = self.shard(group).lock().unwrap_or_else(PoisonError::into_inner);
        let held = shard.entry(group).or_insert(0);
        if *held as usize >= most {
            return false;
        }
        *held += 1;
        true
    }

    /// Counts one connection less.
    pub fn leave(&self, ip: IpAddr) {
        let group = client::group(ip);
        let mut shard = self.shard(group).lock().unwrap_or_else(PoisonError::into_inner);
        if let Entry::Occupied(mut held) = shard.entry(group) {
            *held.get_mut() -= 1;
            if *held.get() == 0 {
                held.remove();
            }
        }
    }

    fn shard(&self, ip: IpAddr) -> &Mutex<HashMap<IpAddr, u32, foldhash::fast::FixedState>> {
        let last = match ip {
            IpAddr::V4(ip) => ip.octets()[3],
            IpAddr::V6(ip) => ip.octets()[7],
        };
        &self.shards[last as usize % SHARDS]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_gets_no_more_connections_than_allowed_and_its_place_back_when_one_closes() {
        let census = Census::default();
        let ip = IpAddr::from([127, 0, 0, 1]);
        assert!(census.enter(ip, 2));
        assert!(census.enter(ip, 2));
        assert!(!census.enter(ip, 2));
        census.leave(ip);
        assert!(census.enter(ip, 2));
    }

    #[test]
    fn a_client_that_left_is_forgotten() {
        let census = Census::default();
        let ip = IpAddr::from([127, 0, 0, 1]);
        census.enter(ip, 1);
        census.leave(ip);
        assert!(census.shards.iter().all(|shard| shard.lock().unwrap().is_empty()));
    }
}
