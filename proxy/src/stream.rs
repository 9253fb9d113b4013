//! One byte stream, whatever carries it: an enum instead of a trait object, so that the hot path
//! pays a branch and no call through a table.
//!
//! Reads and writes are poll-level and try the socket at once; only a `Pending` arms for readiness.
//! They go straight to the system: libc would add two checks for thread cancellation to each.

use std::io::{self, IoSlice};
use std::net::TcpStream as StdTcpStream;
use std::os::fd::{AsFd, BorrowedFd};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use rustix::net::{RecvFlags, SendAncillaryBuffer, SendFlags};
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, Interest, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use traffic::limit::Key;

use crate::core::Core;
use crate::fill::Sink;
use crate::live::Live;
use crate::pace::Paced;

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
    /// The cache, which is the client of a fill.
    Fill(Box<Sink>),
    /// One of a client whose bytes are paced.
    Paced(Box<Paced>),
}

impl Stream {
    /// Reads what is there into `buf`; 0 is the end of the stream.
    pub fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        if let Self::Fresh(socket) = self {
            match try_fresh(socket.as_ref(), |socket| receive(socket, buf)) {
                Some(result) => return Poll::Ready(result),
                None => self.register()?,
            }
        }
        let full = buf.len();
        match self {
            Self::Fresh(_) => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
            Self::Tcp(stream) => poll_io(stream, cx, Interest::READABLE, full, |fd| receive(fd, buf)),
            Self::Unix(stream) => poll_io(stream, cx, Interest::READABLE, full, |fd| receive(fd, buf)),
            Self::Fill(sink) => sink.poll_read(cx),
            Self::Paced(paced) => paced.inner().poll_read(cx, buf),
            Self::Memory(stream) => {
                let mut buf = ReadBuf::new(buf);
                ready!(Pin::new(stream).poll_read(cx, &mut buf))?;
                Poll::Ready(Ok(buf.filled().len()))
            }
        }
    }

    /// Writes as much of `buf` as the stream takes now.
    pub fn poll_write(&mut self, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        if let Self::Fresh(socket) = self {
            match try_fresh(socket.as_ref(), |socket| send(socket, buf)) {
                Some(result) => return Poll::Ready(result),
                None => self.register()?,
            }
        }
        let full = buf.len();
        match self {
            Self::Fresh(_) => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
            Self::Tcp(stream) => poll_io(stream, cx, Interest::WRITABLE, full, |fd| send(fd, buf)),
            Self::Unix(stream) => poll_io(stream, cx, Interest::WRITABLE, full, |fd| send(fd, buf)),
            Self::Memory(stream) => Pin::new(stream).poll_write(cx, buf),
            Self::Fill(sink) => sink.poll_write(cx, &[IoSlice::new(buf)]),
            Self::Paced(paced) => paced.poll_write(cx, &[IoSlice::new(buf)]),
        }
    }

    /// Writes as much of `head` and then `body` as the stream takes now, in one call.
    pub fn poll_write_both(
        &mut self,
        cx: &mut Context<'_>,
        head: &[u8],
        body: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(head), IoSlice::new(body)])
    }

    /// Writes as much of some slices as the stream takes now, in one call.
    pub fn poll_write_vectored(
        &mut self,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if let Self::Fresh(socket) = self {
            match try_fresh(socket.as_ref(), |socket| send_all(socket, slices)) {
                Some(result) => return Poll::Ready(result),
                None => self.register()?,
            }
        }
        let full = slices.iter().map(|slice| slice.len()).sum();
        match self {
            Self::Fresh(_) => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
            Self::Tcp(stream) => poll_io(stream, cx, Interest::WRITABLE, full, |fd| send_all(fd, slices)),
            Self::Unix(stream) => poll_io(stream, cx, Interest::WRITABLE, full, |fd| send_all(fd, slices)),
            Self::Memory(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
            Self::Fill(sink) => sink.poll_write(cx, slices),
            Self::Paced(paced) => paced.poll_write(cx, slices),
        }
    }

    /// Writes as much of `buf` as the stream takes now, and says that more follows at once, so that the beginning of it
    /// may go into the same segment.
    pub fn poll_write_more(&mut self, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        if let Self::Fresh(socket) = self {
            match try_fresh(socket.as_ref(), |socket| send_more(socket, buf)) {
                Some(result) => return Poll::Ready(result),
                None => self.register()?,
            }
        }
        let full = buf.len();
        match self {
            Self::Fresh(_) => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
            Self::Tcp(stream) => poll_io(stream, cx, Interest::WRITABLE, full, |fd| send_more(fd, buf)),
            Self::Unix(stream) => poll_io(stream, cx, Interest::WRITABLE, full, |fd| send_more(fd, buf)),
            Self::Memory(stream) => Pin::new(stream).poll_write(cx, buf),
            Self::Fill(sink) => sink.poll_write(cx, &[IoSlice::new(buf)]),
            Self::Paced(paced) => paced.poll_write(cx, &[IoSlice::new(buf)]),
        }
    }

    /// Sends as much of a file from `offset` on as the stream takes now, `most` bytes at most; 0 is the end of the
    /// file. Sockets take it from the disk's cache; what is none gets it by way of `scratch`.
    pub fn poll_send_file(
        &mut self,
        cx: &mut Context<'_>,
        file: impl AsFd,
        offset: u64,
        most: usize,
        scratch: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        if let Self::Fresh(socket) = self {
            match try_fresh(socket.as_ref(), |socket| send_file(socket, &file, offset, most)) {
                Some(result) => return Poll::Ready(result),
                None => self.register()?,
            }
        }
        // A file that ends too soon moves less than it should as well, and does not fill the socket: whether that is
        // full, only the next call says.
        let full = 0;
        match self {
            Self::Fresh(_) => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
            Self::Tcp(stream) => {
                poll_io(stream, cx, Interest::WRITABLE, full, |fd| send_file(fd, &file, offset, most))
            }
            Self::Unix(stream) => {
                poll_io(stream, cx, Interest::WRITABLE, full, |fd| send_file(fd, &file, offset, most))
            }
            Self::Memory(stream) => {
                let most = most.min(scratch.len());
                match rustix::io::pread(&file, &mut scratch[..most], offset)? {
                    0 => Poll::Ready(Ok(0)),
                    read => Pin::new(stream).poll_write(cx, &scratch[..read]),
                }
            }
            // Files are not cached, so no fill is ever given one.
            Self::Fill(_) => Poll::Ready(Err(io::ErrorKind::Unsupported.into())),
            Self::Paced(paced) => paced.poll_within(cx, most, |stream, cx, most| {
                stream.poll_send_file(cx, file.as_fd(), offset, most, scratch)
            }),
        }
    }

    /// Ends the writing half; the peer reads an end of stream.
    pub fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Fresh(Some(socket)) => Poll::Ready(socket.shutdown(std::net::Shutdown::Write)),
            Self::Fresh(None) | Self::Fill(_) => Poll::Ready(Ok(())),
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Unix(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Memory(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Paced(paced) => paced.inner().poll_shutdown(cx),
        }
    }

    /// Whether a stream that should be silent is: nothing came, and the peer has not closed it.
    /// Costs no system call, for the event loop has already noted what arrived.
    pub fn is_silent(&mut self) -> bool {
        let mut byte = [0_u8; 1];
        match self {
            Self::Tcp(stream) => is_silent(stream, |fd| receive(fd, &mut byte)),
            Self::Unix(stream) => is_silent(stream, |fd| receive(fd, &mut byte)),
            Self::Paced(paced) => paced.inner().is_silent(),
            Self::Fresh(_) | Self::Memory(_) | Self::Fill(_) => {
                let mut cx = Context::from_waker(Waker::noop());
                self.poll_read(&mut cx, &mut byte).is_pending()
            }
        }
    }

    /// Makes the coming close a reset, so that the peer cannot take a truncated answer for a whole
    /// one. Streams that know no reset are closed.
    pub fn reset_on_close(&self) {
        // A failure here leaves an ordinary close, which is all that can be done.
        let linger = Some(Duration::ZERO);
        match self {
            Self::Fresh(Some(socket)) => drop(socket2::SockRef::from(socket).set_linger(linger)),
            Self::Tcp(socket) => drop(socket2::SockRef::from(socket).set_linger(linger)),
            Self::Paced(paced) => paced.inner_ref().reset_on_close(),
            Self::Fresh(None) | Self::Unix(_) | Self::Memory(_) | Self::Fill(_) => {}
        }
    }

    /// Lets a limit of the route pace the bytes of this request.
    #[allow(clippy::redundant_allocation)] // As the core holds it.
    pub fn pace(
        &mut self,
        core: &Rc<Core>,
        live: &Rc<Arc<Live>>,
        route: Option<usize>,
        limit: usize,
        key: Key,
    ) {
        if !matches!(self, Self::Paced(_)) {
            let stream = std::mem::replace(self, Self::Fresh(None));
            *self = Self::Paced(Box::new(Paced::new(stream, core, live)));
        }
        if let Self::Paced(paced) = self {
            paced.add(live, route, limit, key);
        }
    }

    /// Whether bytes wait for their pace, and not for the peer.
    pub fn is_kept_back(&self) -> bool {
        matches!(self, Self::Paced(paced) if paced.is_waiting())
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

/// A socket of the event loop.
trait Socket: AsFd {
    fn poll_ready(&self, cx: &mut Context<'_>, interest: Interest) -> Poll<io::Result<()>>;
    fn try_io(&self, interest: Interest, operation: impl FnOnce() -> io::Result<usize>) -> io::Result<usize>;
}

macro_rules! socket {
    ($($stream:ty)+) => {$(
        impl Socket for $stream {
            fn poll_ready(&self, cx: &mut Context<'_>, interest: Interest) -> Poll<io::Result<()>> {
                if interest.is_readable() { self.poll_read_ready(cx) } else { self.poll_write_ready(cx) }
            }

            fn try_io(
                &self,
                interest: Interest,
                operation: impl FnOnce() -> io::Result<usize>,
            ) -> io::Result<usize> {
                self.try_io(interest, operation)
            }
        }
    )+};
}

socket!(TcpStream UnixStream);

/// Tries an operation on a socket of the event loop, as soon as the loop thinks that it can go on.
///
/// One that moves less than the `full` length has emptied (or filled) the socket: the readiness is
/// taken back at once, so that the next call waits for news instead of asking the kernel for nothing.
#[inline]
fn poll_io(
    socket: &impl Socket,
    cx: &mut Context<'_>,
    interest: Interest,
    full: usize,
    mut operation: impl FnMut(BorrowedFd<'_>) -> io::Result<usize>,
) -> Poll<io::Result<usize>> {
    // A write is tried without asking the event loop to wait. Only reads ask each time, for there the
    // loop also sees to it that a connection which never runs dry lets the others have their turn.
    let mut at_once = interest.is_writable();
    loop {
        if !std::mem::take(&mut at_once) {
            ready!(socket.poll_ready(cx, interest))?;
        }
        let mut moved = None;
        let result = socket.try_io(interest, || match operation(socket.as_fd()) {
            Ok(part) if part > 0 && part < full => {
                moved = Some(part);
                Err(io::ErrorKind::WouldBlock.into())
            }
            result => result,
        });
        match (moved, result) {
            (Some(part), _) => return Poll::Ready(Ok(part)),
            (None, Err(error)) if error.kind() == io::ErrorKind::WouldBlock => {}
            (None, Err(error)) if error.kind() == io::ErrorKind::Interrupted => {}
            (None, result) => return Poll::Ready(result),
        }
    }
}

/// Whether a read from a socket of the event loop would have to wait. Nobody is to be woken for it.
fn is_silent(socket: &impl Socket, operation: impl FnOnce(BorrowedFd<'_>) -> io::Result<usize>) -> bool {
    let result = socket.try_io(Interest::READABLE, || operation(socket.as_fd()));
    result.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
}

/// Tries an operation on a socket outside the event loop; `None` where it would block.
fn try_fresh(
    socket: Option<&StdTcpStream>,
    mut operation: impl FnMut(&StdTcpStream) -> io::Result<usize>,
) -> Option<io::Result<usize>> {
    let socket = socket?;
    loop {
        match operation(socket) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return None,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return Some(result),
        }
    }
}

fn receive(socket: impl AsFd, buf: &mut [u8]) -> io::Result<usize> {
    Ok(rustix::net::recv(socket, buf, RecvFlags::empty())?.0)
}

fn send(socket: impl AsFd, buf: &[u8]) -> io::Result<usize> {
    Ok(rustix::net::send(socket, buf, SendFlags::NOSIGNAL)?)
}

fn send_more(socket: impl AsFd, buf: &[u8]) -> io::Result<usize> {
    Ok(rustix::net::send(socket, buf, SendFlags::NOSIGNAL | SendFlags::MORE)?)
}

fn send_file(socket: impl AsFd, file: impl AsFd, offset: u64, most: usize) -> io::Result<usize> {
    let mut offset = offset;
    Ok(rustix::fs::sendfile(socket, file, Some(&mut offset), most)?)
}

fn send_all(socket: impl AsFd, slices: &[IoSlice<'_>]) -> io::Result<usize> {
    Ok(rustix::net::sendmsg(socket, slices, &mut SendAncillaryBuffer::default(), SendFlags::NOSIGNAL)?)
}
