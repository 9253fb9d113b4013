//! One connection: reads requests, answers them in order; or frames, once it is a WebSocket.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::rc::Rc;
use std::time::Instant;

use rustix::event::epoll::EventFlags;

use crate::message::{self, Answer, Answers, Ask};
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
    /// The rest of a slow answer, and when it is due.
    rest: Option<(Instant, Rc<[u8]>)>,
    /// What will be sent when a worker is done with it.
    worked: Option<Rc<[u8]>>,
    /// Tells it from others that were in the same place.
    pub(crate) number: u64,
    keep: bool,
    /// What it does with frames, once it is a WebSocket.
    socket: Option<Kind>,
}

impl Connection {
    /// A connection that nothing has arrived on.
    pub(crate) fn new(stream: TcpStream, number: u64) -> Self {
        let (received, pending, rest, worked) = (Vec::new(), None, None, None);
        Self { stream, received, pending, rest, worked, number, keep: true, socket: None }
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
        self.fate(&done)
    }

    /// Sends the rest of a slow answer if it is due, and answers what has arrived meanwhile.
    pub(crate) fn resume(&mut self, now: Instant, answers: &mut Answers) -> Fate {
        let Some((_, rest)) = self.rest.take_if(|(due, _)| *due <= now) else { return Fate::Lives };
        let done = self.send(&rest).and_then(|()| self.answer(answers));
        self.fate(&done)
    }

    /// Sends what a worker was busy with, and answers what has arrived meanwhile.
    pub(crate) fn worked(&mut self, answers: &mut Answers) -> Fate {
        let Some(worked) = self.worked.take() else { return Fate::Lives };
        let done = self.send(&worked).and_then(|()| self.answer(answers));
        self.fate(&done)
    }

    fn fate(&self, done: &io::Result<()>) -> Fate {
        let busy = self.pending.is_some() || self.rest.is_some() || self.worked.is_some();
        if done.is_ok() && (self.keep || busy) { Fate::Lives } else { Fate::Over }
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
        while self.pending.is_none() && self.rest.is_none() && self.worked.is_none() && self.keep {
            if self.socket.is_some() {
                let mut received = std::mem::take(&mut self.received);
                return self.talk(&mut received, answers);
            }
            let Some(request) = message::parse(&self.received) else { return Ok(()) };
            let end = request.head_bytes + request.body_bytes;
            let Some(body) = self.received.get(request.head_bytes..end) else { return Ok(()) };
            let (answer, socket) = match request.ask {
                Ask::Socket(kind) => match socket::accept(&self.received[..request.head_bytes]) {
                    Some(answer) => (Answer { bytes: answer.into(), rest: None }, Some(kind)),
                    None => (answers.to(request.ask, request.keep, body), None),
                },
                ask => (answers.to(ask, request.keep, body), None),
            };
            if let Ask::Work(takes) = request.ask {
                answers.work = Some(takes);
                self.worked = Some(answer.bytes);
            } else {
                self.pending = Some((answer.bytes, 0));
            }
            if let Some((delay, rest)) = answer.rest {
                let due = Instant::now() + delay;
                self.rest = Some((due, rest));
                answers.due = Some(due);
            }
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

#[cfg(test)]
mod tests {
    use super::*;

    use std::net::{Ipv4Addr, TcpListener};
    use std::time::Duration;

    fn pair() -> (TcpStream, Connection) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let client = TcpStream::connect(listener.local_addr().expect("an address")).expect("connected");
        let (stream, _) = listener.accept().expect("accepted");
        stream.set_nonblocking(true).expect("set");
        (client, Connection::new(stream, 0))
    }

    #[test]
    fn a_slow_answer_begins_at_once_and_ends_when_it_is_due_and_then_the_next_one_comes() {
        let (mut client, mut connection) = pair();
        let mut answers = Answers::new(64);
        connection.received =
            b"GET /counted/a?ms=60000 HTTP/1.1\r\n\r\nGET /count/a HTTP/1.1\r\nConnection: close\r\n\r\n"
                .to_vec();
        assert_eq!(connection.advance(EventFlags::OUT, &mut answers), Fate::Lives);
        let due = answers.due.expect("a time to resume at");
        let mut first = [0; 1024];
        let count = client.read(&mut first).expect("the first part");
        assert!(first[..count].ends_with(&message::pattern(32)));

        assert_eq!(
            connection.resume(due.checked_sub(Duration::from_millis(1)).unwrap(), &mut answers),
            Fate::Lives
        );
        assert!(connection.rest.is_some());
        assert_eq!(connection.resume(due, &mut answers), Fate::Over);
        drop(connection);
        let mut rest = Vec::new();
        client.read_to_end(&mut rest).expect("the rest");
        assert!(rest.starts_with(&message::pattern(64)[32..]));
        assert!(rest.ends_with(b"\r\n\r\n1\n"));
    }

    #[test]
    fn work_is_answered_when_a_worker_is_done_and_what_follows_waits_for_it() {
        let (mut client, mut connection) = pair();
        let mut answers = Answers::new(1024);
        connection.received =
            b"GET /work/a?ms=20 HTTP/1.1\r\n\r\nGET /count/a HTTP/1.1\r\nConnection: close\r\n\r\n".to_vec();
        assert_eq!(connection.advance(EventFlags::OUT, &mut answers), Fate::Lives);
        assert_eq!(answers.work.take(), Some(Duration::from_millis(20)));
        assert!(connection.pending.is_none(), "nothing is sent before");
        assert_eq!(connection.worked(&mut answers), Fate::Over);
        drop(connection);
        let mut all = Vec::new();
        client.read_to_end(&mut all).expect("both answers");
        let first = answers.to(Ask::Bytes(1024), true, b"").bytes;
        assert!(all.starts_with(&first) && all.ends_with(b"\r\n\r\n0\n"));
    }
}
