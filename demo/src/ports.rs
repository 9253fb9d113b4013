//! Which addresses to use: the well-known ones when they are free, else whatever is.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};

/// `count` different free loopback addresses.
pub(crate) fn free(count: usize) -> std::io::Result<Vec<SocketAddr>> {
    // All are held at once, so that none is given out twice.
    let held: Result<Vec<TcpListener>, _> =
        (0..count).map(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0))).collect();
    held?.iter().map(TcpListener::local_addr).collect()
}

/// `port` on loopback when it is free, else another one.
pub(crate) fn preferred(port: u16) -> std::io::Result<SocketAddr> {
    match TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
        Ok(held) => held.local_addr(),
        Err(_) => Ok(free(1)?[0]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn free_addresses_differ_and_a_taken_port_gives_way() {
        let found = free(8).unwrap();
        let mut ports: Vec<u16> = found.iter().map(SocketAddr::port).collect();
        ports.sort_unstable();
        ports.dedup();
        assert_eq!(ports.len(), 8);

        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = taken.local_addr().unwrap().port();
        assert_ne!(preferred(port).unwrap().port(), port);
    }
}
