//! Opening connections: from source addresses in turn, to target addresses in turn, without waiting.

use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::sockopt::{set_tcp_congestion, set_tcp_nodelay, socket_error};
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, connect, ipproto, socket_with};

use super::poll::{Poller, Token};
use super::stream::Stream;
use crate::failure::Failure;
use crate::plan::{Part, Target};

/// Opens connections to one target.
#[derive(Debug)]
pub(crate) struct Dialer<'a> {
    target: &'a Target,
    sources: &'a [IpAddr],
    /// Connections begun so far, counted from the part's own number so that parts begin with different addresses.
    turn: usize,
}

impl<'a> Dialer<'a> {
    /// A dialer for one part of a run.
    pub(crate) fn new(target: &'a Target, sources: &'a [IpAddr], part: Part) -> Self {
        Self { target, sources, turn: part.index as usize }
    }

    /// Begins to connect. The poller tells when the stream has become writable; [`established`] then says how it went.
    pub(crate) fn dial(&mut self, poller: &Poller, token: Token) -> Result<Stream, Failure> {
        let address = self.target.addresses[self.turn % self.target.addresses.len()];
        let opened = self.open(address).map_err(unconnected);
        self.turn = self.turn.wrapping_add(1);
        let socket = opened?;
        poller.add(&socket, token).map_err(|_| Failure::Unreachable)?;
        Ok(Stream::new(self.target.transport, socket))
    }

    fn open(&self, address: SocketAddr) -> Result<OwnedFd, Errno> {
        let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let socket = socket_with(family, SocketType::STREAM, flags, Some(ipproto::TCP))?;
        set_tcp_nodelay(&socket, true)?;
        if address.ip().is_loopback() {
            // Pacing is made for paths with a length. Where the system knows no other way, its own stays.
            let _ = set_tcp_congestion(&socket, "reno");
        }
        if let Some(source) = self.source(address) {
            bind(&socket, &SocketAddr::new(source, 0))?;
        }
        match connect(&socket, &address) {
            Ok(()) | Err(Errno::INPROGRESS) => Ok(socket),
            Err(error) => Err(error),
        }
    }

    /// The source address of the same family whose turn it is. It changes when all target addresses have had theirs,
    /// so that each source meets each of them.
    fn source(&self, address: SocketAddr) -> Option<IpAddr> {
        let fits = || self.sources.iter().filter(|source| source.is_ipv4() == address.is_ipv4());
        let round = self.turn / self.target.addresses.len();
        fits().nth(round % fits().count().max(1)).copied()
    }
}

/// Whether a stream that has become writable for the first time is connected, and why not.
pub(crate) fn established(stream: impl AsFd) -> Result<(), Failure> {
    match socket_error(stream) {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) | Err(error) => Err(unconnected(error)),
    }
}

/// What an error means while a connection is being opened.
fn unconnected(error: Errno) -> Failure {
    match error {
        Errno::CONNREFUSED => Failure::Refused,
        Errno::TIMEDOUT => Failure::ConnectTimeout,
        Errno::CONNRESET | Errno::CONNABORTED => Failure::Reset,
        // No route, no port, no descriptor, forbidden by a filter.
        _ => Failure::Unreachable,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Transport;

    fn target(addresses: &[&str]) -> Target {
        Target {
            origin: "http://app.example".into(),
            authority: "app.example".into(),
            addresses: addresses.iter().map(|address| address.parse().unwrap()).collect(),
            transport: Transport::Plain,
        }
    }

    #[test]
    fn every_source_meets_every_target_address() {
        let target = target(&["127.0.0.1:1", "127.0.0.2:1"]);
        let sources = ["127.0.0.3".parse().unwrap(), "127.0.0.4".parse().unwrap()];
        let mut dialer = Dialer::new(&target, &sources, Part { index: 0, of: 1 });
        let mut pairs = std::collections::BTreeSet::new();
        for turn in 0..4 {
            dialer.turn = turn;
            let address = target.addresses[turn % 2];
            pairs.insert((address, dialer.source(address).unwrap()));
        }
        assert_eq!(pairs.len(), 4);
    }

    #[test]
    fn a_source_of_another_family_is_not_used() {
        let target = target(&["[::1]:1"]);
        let sources = ["127.0.0.3".parse().unwrap()];
        let dialer = Dialer::new(&target, &sources, Part { index: 0, of: 1 });
        assert_eq!(dialer.source(target.addresses[0]), None);
    }
}
