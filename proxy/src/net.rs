//! Sockets: how they are bound, accepted from and connected.

use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::pin::Pin;
use std::sync::{Arc, Weak};

use config::ListenAddress;
use rustix::net::SocketFlags;
use socket2::{Domain, Protocol, SockAddr, SockRef, Socket, Type};
use tokio::net::{TcpSocket, UnixStream};
use traffic::endpoint::Address;

use crate::core::{Connect, Peer};
use crate::stream::Stream;

/// Connections to endpoints over real sockets.
#[derive(Clone, Copy, Debug)]
pub struct Sockets;

impl Connect for Sockets {
    fn connect<'a>(&'a self, address: &'a Address) -> Pin<Box<dyn Future<Output = io::Result<Stream>> + 'a>> {
        Box::pin(async move {
            match address {
                Address::Ip(address) => {
                    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
                    socket.set_nodelay(true)?;
                    if address.ip().is_loopback() {
                        // Pacing is made for paths with a length and only costs between two processes of
                        // one machine. Where the system knows no other way, its own stays. It has to be
                        // said before the connection stands: what has begun to pace goes on doing so.
                        let _ = SockRef::from(&socket).set_tcp_congestion(b"reno");
                    }
                    Ok(Stream::Tcp(socket.connect(*address).await?))
                }
                Address::Unix(path) => Ok(Stream::Unix(UnixStream::connect(path).await?)),
            }
        })
    }
}

/// A socket that listens; each core accepts from one of its own (TCP) or a copy of one (Unix).
#[derive(Debug)]
pub struct Listening {
    socket: OwnedFd,
    is_unix: bool,
    /// Let go of behind the socket: see [`Listening::open`].
    open: Arc<()>,
}

/// Binds `address` once for each of `cores`. The kernel spreads TCP connections over the sockets
/// (SO_REUSEPORT). Gives the address that was bound too, for port 0 means any free one.
///
/// `ours` are the addresses at which this process has a socket already.
///
/// # Errors
/// What the system says; an address that another process listens on is found out even though
/// SO_REUSEPORT would let two processes share it.
pub fn bind<'a>(
    address: &ListenAddress,
    backlog: u32,
    cores: usize,
    ours: impl IntoIterator<Item = &'a ListenAddress>,
) -> io::Result<(ListenAddress, Vec<Listening>)> {
    match address {
        ListenAddress::Tcp(address) => {
            // All addresses of a port and one of them take it from each other; who holds it is no other process then.
            let is_ours = ours
                .into_iter()
                .any(|ours| matches!(ours, ListenAddress::Tcp(ours) if ours.port() == address.port()));
            if address.port() != 0 && !is_ours {
                tcp(*address, None, false)?;
            }
            let first = tcp(*address, Some(backlog), true)?;
            let bound = first.local_addr()?.as_socket().unwrap_or(*address);
            let open = Arc::default();
            let listening =
                |socket: Socket| Listening { socket: socket.into(), is_unix: false, open: Arc::clone(&open) };
            let mut sockets = vec![listening(first)];
            for _ in 1..cores {
                sockets.push(listening(tcp(bound, Some(backlog), true)?));
            }
            Ok((ListenAddress::Tcp(bound), sockets))
        }
        ListenAddress::Unix(path) => {
            let socket = unix(path, backlog)?;
            let mut sockets = Vec::new();
            let open = Arc::default();
            for _ in 0..cores {
                let socket = socket.try_clone()?.into();
                sockets.push(Listening { socket, is_unix: true, open: Arc::clone(&open) });
            }
            Ok((address.clone(), sockets))
        }
    }
}

fn tcp(address: SocketAddr, backlog: Option<u32>, shared: bool) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(shared)?;
    if address.is_ipv6() {
        socket.set_only_v6(false)?;
    }
    socket.bind(&address.into())?;
    if let Some(backlog) = backlog {
        // Accepted sockets inherit it, which saves a call per connection.
        socket.set_tcp_nodelay(true)?;
        socket.set_nonblocking(true)?;
        socket.listen(i32::try_from(backlog).unwrap_or(i32::MAX))?;
    }
    Ok(socket)
}

/// Binds a path. A socket that a dead process left behind is replaced; one that answers is not.
fn unix(path: &Path, backlog: u32) -> io::Result<Socket> {
    let address = SockAddr::unix(path)?;
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    if let Err(error) = socket.bind(&address) {
        let left_behind = error.kind() == io::ErrorKind::AddrInUse
            && Socket::new(Domain::UNIX, Type::STREAM, None)?
                .connect(&address)
                .is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused);
        if !left_behind {
            return Err(error);
        }
        std::fs::remove_file(path)?;
        socket.bind(&address)?;
    }
    socket.set_nonblocking(true)?;
    socket.listen(i32::try_from(backlog).unwrap_or(i32::MAX))?;
    Ok(socket)
}

impl AsFd for Listening {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl std::os::fd::AsRawFd for Listening {
    fn as_raw_fd(&self) -> std::os::fd::RawFd {
        std::os::fd::AsRawFd::as_raw_fd(&self.socket)
    }
}

impl Listening {
    /// Alive as long as a socket is open that was bound together with this one, on whatever core.
    pub fn open(&self) -> Weak<()> {
        Arc::downgrade(&self.open)
    }

    /// Lets so many connections wait from here on.
    ///
    /// # Errors
    /// What the system says.
    pub fn set_backlog(&self, backlog: u32) -> io::Result<()> {
        Ok(rustix::net::listen(&self.socket, i32::try_from(backlog).unwrap_or(i32::MAX))?)
    }

    /// Accepts one connection without waiting.
    pub fn accept(&self) -> io::Result<(Stream, Peer)> {
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        if self.is_unix {
            let socket = rustix::net::accept_with(&self.socket, flags)?;
            let stream = UnixStream::from_std(socket.into())?;
            return Ok((Stream::Unix(stream), Peer::new(IpAddr::V4(Ipv4Addr::LOCALHOST))));
        }
        let (socket, address) = rustix::net::acceptfrom_with(&self.socket, flags)?;
        let ip = address
            .and_then(|address| SocketAddr::try_from(address).ok())
            .map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |address| address.ip().to_canonical());
        Ok((Stream::Fresh(Some(socket.into())), Peer::new(ip)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backlog_is_changed_while_it_is_in_use() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("front.sock");
        let (_, sockets) = bind(&ListenAddress::Unix(path.clone()), 1, 1, []).expect("a path");
        let connect = || {
            let socket = Socket::new(Domain::UNIX, Type::STREAM, None).expect("a socket");
            socket.set_nonblocking(true).expect("a flag");
            socket.connect(&SockAddr::unix(&path).expect("an address")).map(|()| socket)
        };
        let mut waiting = Vec::new();
        // Nobody accepts them.
        let error = loop {
            match connect() {
                Ok(socket) => waiting.push(socket),
                Err(error) => break error,
            }
        };
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
        sockets[0].set_backlog(8).expect("a longer one");
        assert!(connect().is_ok());
    }
}
