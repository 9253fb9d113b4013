//! One connection: reads requests, answers them in order; or frames, once it is a WebSocket.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::rc::Rc;

use rustix::event::epoll::EventFlags;

use crate::message::{self, Answers, Ask};
use crate::socket::{self, Kind};

/// How much is read at once, in bytes.
const READ_BYTES: usize = 64 * 1024;

/// The most that is kept for a socket that does not read; past it, the socket is cut off.
const UNREAD_BYTES: usize = 1 << 20;

/// Whether a connection goes on.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Lives,
    Over,
}

/// A connection with what has arrived of the next request and what is still to be written of the last answer.
pub(crate) struct Connection {
    stream: TcpStream,
    /// Received bytes that are not answered yet.
    received: Vec<u8>,
    pending: Option<(Rc<[u8]>, usize)>,
    keep: bool,
    /// What it does with frames, once it is a WebSocket.
    socket: Option<Kind>,
}

impl Connection {
    /// A connection that nothing has arrived on.
    pub(crate) fn new(stream: TcpStream) -> Self {
        Self { stream, received: Vec::new(), pending: None, keep: true, socket: None }
    }

    /// Does what the event allows. Events are edges, so everything possible is done each time.
    pub(crate) fn advance(&mut self, event: EventFlags, answers: &mut Answers) -> Fate {
        if event.intersects(EventFlags::ERR | EventFlags::HUP) {
            return Fate::Over;
        }
        let done = self.write().and_then(|()| {
            let readable = event.intersects(EventFlags::IN | EventFlags::RDHUP);
            if readable {
                self.read(answers, event.contains(EventFlags::RDHUP))
            } else {
                self.answer(answers)
            }
        });
        match done {
            Ok(()) if self.keep || self.pending.is_some() => Fate::Lives,
            _ => Fate::Over,
        }
    }

    /// Reads what has arrived, answering between reads, up to the end when the peer has `finished` sending.
    fn read(&mut self, answers: &mut Answers, finished: bool) -> io::Result<()> {
        thread_local! {
            static BUFFER: std::cell::RefCell<Vec<u8>> = std::cell::RefCell::new(vec![0; READ_BYTES]);
        }
        BUFFER.with_borrow_mut(|buffer| {
            loop {
                let count = match self.stream.read(buffer) {
                    Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                    Ok(count) => count,
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                    Err(error) => return Err(error),
                };
                if self.socket.is_some() && self.received.is_empty() && self.pending.is_none() {
                    self.talk(&mut buffer[..count], answers)?;
                } else {
                    self.received.extend_from_slice(&buffer[..count]);
                    self.answer(answers)?;
                }
                // A short read emptied the socket; what comes later is a new edge.
                if count < buffer.len() && !finished {
                    return Ok(());
                }
            }
        })
    }

    /// Answers every request that has arrived whole, as long as the answers can be written.
    fn answer(&mut self, answers: &mut Answers) -> io::Result<()> {
        while self.pending.is_none() && self.keep {
            if self.socket.is_some() {
                let mut received = std::mem::take(&mut self.received);
                return self.talk(&mut received, answers);
            }
            let Some(request) = message::parse(&self.received) else { return Ok(()) };
            let end = request.head_bytes + request.body_bytes;
            let Some(body) = self.received.get(request.head_bytes..end) else { return Ok(()) };
            let (answer, socket) = match request.ask {
                Ask::Socket(kind) => match socket::accept(&self.received[..request.head_bytes]) {
                    Some(answer) => (answer.into(), Some(kind)),
                    None => (answers.to(request.ask, request.keep, body), None),
                },
                ask => (answers.to(ask, request.keep, body), None),
            };
            self.pending = Some((answer, 0));
            self.socket = socket;
            self.keep = request.keep;
            if end == self.received.len() && socket.is_some() {
                // There may be many sockets, and most of them are idle.
                self.received = Vec::new();
            } else if end == self.received.len() {
                self.received.clear();
            } else {
                self.received.drain(..end);
            }
            self.write()?;
        }
        Ok(())
    }

    /// Deals with the frames in `input`, and keeps the beginning of one that has not arrived whole.
    fn talk(&mut self, input: &mut [u8], answers: &mut Answers) -> io::Result<()> {
        let Some(kind) = self.socket else { return Ok(()) };
        let dealt = socket::deal(kind, input, &mut answers.reply, &mut answers.fan);
        self.keep = dealt.keep;
        self.received.extend_from_slice(&input[dealt.consumed..]);
        let reply = std::mem::take(&mut answers.reply);
        let sent = if reply.is_empty() { Ok(()) } else { self.send(&reply) };
        answers.reply = reply;
        answers.reply.clear();
        sent
    }

    /// Sends what is for all, if this is a socket that gets it.
    pub(crate) fn send_fan(&mut self, bytes: &[u8]) -> Fate {
        if self.socket == Some(Kind::Fan) && self.send(bytes).is_err() { Fate::Over } else { Fate::Lives }
    }

    /// Sends bytes behind those that are pending.
    fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        if let Some((answer, written)) = self.pending.take() {
            let unread = [&answer[written..], bytes].concat();
            if unread.len() > UNREAD_BYTES {
                return Err(io::ErrorKind::TimedOut.into());
            }
            self.pending = Some((unread.into(), 0));
            return Ok(());
        }
        match self.stream.write(bytes) {
            Ok(count) if count == bytes.len() => Ok(()),
            Ok(count) => {
                self.pending = Some((bytes[count..].into(), 0));
                self.write()
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.pending = Some((bytes.into(), 0));
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// Writes what the socket takes of the pending answer.
    fn write(&mut self) -> io::Result<()> {
        while let Some((answer, written)) = &mut self.pending {
            match self.stream.write(&answer[*written..]) {
                Ok(count) => *written += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
            if *written == answer.len() {
                self.pending = None;
            }
        }
        Ok(())
    }
}
