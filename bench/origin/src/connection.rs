//! One connection: reads requests, answers them in order.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::rc::Rc;

use rustix::event::epoll::EventFlags;

use crate::message::{self, Answers};

/// How much is read at once, in bytes.
const READ_BYTES: usize = 64 * 1024;

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
}

impl Connection {
    /// A connection that nothing has arrived on.
    pub(crate) fn new(stream: TcpStream) -> Self {
        Self { stream, received: Vec::new(), pending: None, keep: true }
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
                self.received.extend_from_slice(&buffer[..count]);
                self.answer(answers)?;
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
            let Some(request) = message::parse(&self.received) else { return Ok(()) };
            let end = request.head_bytes + request.body_bytes;
            let Some(body) = self.received.get(request.head_bytes..end) else { return Ok(()) };
            self.pending = Some((answers.to(request.ask, body), 0));
            self.keep = request.keep;
            if end == self.received.len() {
                self.received.clear();
            } else {
                self.received.drain(..end);
            }
            self.write()?;
        }
        Ok(())
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
