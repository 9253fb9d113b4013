//! One byte stream, whatever carries it: an enum instead of a trait object, so that the hot path
//! pays a branch and no call through a table.
//!
//! Reads and writes are poll-level and try the socket at once; only a `Pending` arms for readiness.

use std::io::{self, IoSlice, Read, Write};
use std::net::TcpStream as StdTcpStream;
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};
use tokio::net::{TcpStream, UnixStream};

/// A connection's byte stream.
#[derive(Debug)]
pub enum Stream {
    /// Accepted and not yet registered with the event loop. A connection that carries one request
    /// and never has to wait is served and closed without ever being registered.
    Fresh(Option<StdTcpStream>),
    /// TCP.
    Tcp(TcpStream),
    /// Unix-domain socket.
    Unix(UnixStream),
    /// In-memory pipe of the scenes.
    Memory(DuplexStream),
}

impl Stream {
    /// Reads what is there into `buf`; 0 is the end of the stream.
    pub fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        if let Self::Fresh(socket) = self {
            match try_fresh(socket.as_ref(), |mut socket| socket.read(buf)) {
                Some(result) => return Poll::Ready(result),
                None => self.register()?,
            }
        }
        let mut buf = ReadBuf::new(buf);
        let result = match self {
            Self::Fresh(_) => return Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
            Self::Tcp(stream) => Pin::new(stream).poll_read(cx, &mut buf),
            Self::Unix(stream) => Pin::new(stream).poll_read(cx, &mut buf),
            Self::Memory(stream) => Pin::new(stream).poll_read(cx, &mut buf),
        };
        ready!(result)?;
        Poll::Ready(Ok(buf.filled().len()))
    }

    /// Writes as much of `buf` as the stream takes now.
    pub fn poll_write(&mut self, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        if let Self::Fresh(socket) = self {
            match try_fresh(socket.as_ref(), |mut socket| socket.write(buf)) {
                Some(result) => return Poll::Ready(result),
                None => self.register()?,
            }
        }
        match self {
            Self::Fresh(_) => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
            Self::Tcp(stream) => Pin::new(stream).poll_write(cx, buf),
            Self::Unix(stream) => Pin::new(stream).poll_write(cx, buf),
            Self::Memory(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    /// Writes as much of `head` and then `body` as the stream takes now, in one call.
    pub fn poll_write_both(
        &mut self,
        cx: &mut Context<'_>,
        head: &[u8],
        body: &[u8],
    ) -> Poll<io::Result<usize>> {
        let slices = [IoSlice::new(head), IoSlice::new(body)];
        if let Self::Fresh(socket) = self {
            match try_fresh(socket.as_ref(), |mut socket| socket.write_vectored(&slices)) {
                Some(result) => return Poll::Ready(result),
                None => self.register()?,
            }
        }
        match self {
            Self::Fresh(_) => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
            Self::Tcp(stream) => Pin::new(stream).poll_write_vectored(cx, &slices),
            Self::Unix(stream) => Pin::new(stream).poll_write_vectored(cx, &slices),
            Self::Memory(stream) => Pin::new(stream).poll_write_vectored(cx, &slices),
        }
    }

    /// Ends the writing half; the peer reads an end of stream.
    pub fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Fresh(Some(socket)) => Poll::Ready(socket.shutdown(std::net::Shutdown::Write)),
            Self::Fresh(None) => Poll::Ready(Ok(())),
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Unix(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Memory(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }

    /// Whether waiting on this stream costs no system call: it is registered with the event loop.
    pub fn is_registered(&self) -> bool {
        !matches!(self, Self::Fresh(_))
    }

    /// Whether a stream that should be silent is: nothing came, and the peer has not closed it.
    /// Costs no system call, for the event loop has already noted what arrived.
    pub fn is_silent(&mut self) -> bool {
        let mut byte = [0_u8; 1];
        let mut cx = Context::from_waker(Waker::noop());
        self.poll_read(&mut cx, &mut byte).is_pending()
    }

    /// Makes the coming close a reset, so that the peer cannot take a truncated answer for a whole
    /// one. Streams that know no reset are closed.
    pub fn reset_on_close(&self) {
        // A failure here leaves an ordinary close, which is all that can be done.
        let linger = Some(Duration::ZERO);
        match self {
            Self::Fresh(Some(socket)) => drop(socket2::SockRef::from(socket).set_linger(linger)),
            Self::Tcp(socket) => drop(socket2::SockRef::from(socket).set_linger(linger)),
            Self::Fresh(None) | Self::Unix(_) | Self::Memory(_) => {}
        }
    }

    /// Joins the event loop, on the first call that would have to wait.
    fn register(&mut self) -> io::Result<()> {
        if let Self::Fresh(socket) = self {
            let socket = socket.take().ok_or(io::ErrorKind::NotConnected)?;
            *self = Self::Tcp(TcpStream::from_std(socket)?);
        }
        Ok(())
    }
}

/// Tries an operation on a socket outside the event loop; `None` where it would block.
fn try_fresh<T>(
    socket: Option<&StdTcpStream>,
    mut operation: impl FnMut(&StdTcpStream) -> io::Result<T>,
) -> Option<io::Result<T>> {
    let socket = socket?;
    loop {
        match operation(socket) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return None,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return Some(result),
        }
    }
}
