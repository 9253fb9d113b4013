//! What is kept: the store in memory, the tier on disk, and what a route says about caching.

use core::net::IpAddr;
use std::path::PathBuf;

use cache::Rules;
use ipnet::IpNet;

/// The store that all routes share.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Cache {
    /// Bytes of memory for everything that is kept, overheads included; 0: nothing is cached. A reload changes it.
    pub memory_bytes: u64,
    /// Parts that the store is divided into, each with a lock of its own: a power of two, 1 to 1,024. The process keeps
    /// those that it began with.
    pub shards: usize,
    /// Whether nobody has said how many.
    pub shards_are_auto: bool,
    /// The tier on disk; `None` is none.
    pub disk: Option<Disk>,
}

/// The tier on disk, behind the one in memory.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Disk {
    /// Folder that holds it. The process keeps the one that it began with.
    pub path: PathBuf,
    /// Most bytes that it takes there. A reload changes it.
    pub bytes: u64,
}

/// How the answers of a route are cached.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RouteCache {
    /// What is kept, for whom and how long, with the store's own settings filled in.
    pub rules: Rules,
    /// Whether answers say in `Cache-Status` (RFC 9211) what the cache did.
    pub status: bool,
    /// Who may purge with the method PURGE; `None`: it is a method like any other.
    pub purge: Option<Purge>,
}

/// Who may purge with the method PURGE.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Purge {
    /// Networks of the clients that may; at least one.
    pub networks: Vec<IpNet>,
}

impl Purge {
    /// Whether this client may purge. The client is the peer, or whom a trusted proxy named.
    pub fn allows(&self, client: IpAddr) -> bool {
        let client = client.to_canonical();
        self.networks.iter().any(|network| network.contains(&client))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_networks_named_may_purge() {
        let networks = ["127.0.0.0/8", "fd00::/8"].map(|network| network.parse().unwrap()).to_vec();
        let purge = Purge { networks };
        for (client, may) in [
            ("127.0.0.1", true),
            ("::ffff:127.0.0.1", true),
            ("fd00::1", true),
            ("10.0.0.1", false),
            ("::1", false),
        ] {
            assert_eq!(purge.allows(client.parse().unwrap()), may, "{client}");
        }
    }
}
