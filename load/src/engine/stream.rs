//! How bytes travel over an established connection: the one place where TLS will join plain TCP.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, send};

use crate::plan::Transport;

/// A non-blocking connection.
#[derive(Debug)]
pub(crate) enum Stream {
    /// TCP and nothing else.
    Plain(OwnedFd),
}

impl Stream {
    /// A stream over a socket that is connected or connecting.
    pub(crate) fn new(transport: Transport, socket: OwnedFd) -> Self {
        match transport {
            Transport::Plain => Self::Plain(socket),
        }
    }

    /// Reads what has arrived into `buf`; 0 is the end. [`Errno::AGAIN`]: nothing has arrived.
    #[inline]
    pub(crate) fn recv(&mut self, buf: &mut [u8]) -> Result<usize, Errno> {
        match self {
            Self::Plain(socket) => {
                retry(|| recv(&*socket, &mut *buf, RecvFlags::empty()).map(|(_, count)| count))
            }
        }
    }

    /// Sends as much of `buf` as there is room for. [`Errno::AGAIN`]: there is none.
    #[inline]
    pub(crate) fn send(&mut self, buf: &[u8]) -> Result<usize, Errno> {
        match self {
            Self::Plain(socket) => retry(|| send(&*socket, buf, SendFlags::NOSIGNAL)),
        }
    }
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Plain(socket) => socket.as_fd(),
        }
    }
}

fn retry(mut call: impl FnMut() -> Result<usize, Errno>) -> Result<usize, Errno> {
    loop {
        match call() {
            Err(Errno::INTR) => {}
            done => return done,
        }
    }
}
