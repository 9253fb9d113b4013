//! What no proxy can be cheaper than: bytes that are read from one socket and written to another, nothing looked at. For
//! each client there is one connection to the origin.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};

use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};

use crate::{LISTENER, accept, listen, register, wait};

/// How much is read at once, in bytes.
const READ_BYTES: usize = 72 * 1024;

/// One direction of a pair's traffic ends at each of its two sockets.
struct Side {
    stream: TcpStream,
    /// What this socket has not taken yet. The other one is not read meanwhile.
    unsent: Vec<u8>,
    /// The other one has something to read that had to wait.
    is_awaited: bool,
}

/// Relays until the process is ended.
pub(crate) fn relay(address: SocketAddr, to: SocketAddr) -> io::Result<()> {
    let listener = listen(address)?;
    let epoll = epoll::create(CreateFlags::CLOEXEC)?;
    epoll::add(&epoll, &listener, EventData::new_u64(LISTENER), EventFlags::IN)?;
    // The two sockets of a pair lie behind one another, so one's place tells the other's.
    let mut sides: Vec<Option<Side>> = Vec::new();
    let mut free: Vec<usize> = Vec::new();
    let mut events: Vec<Event> = Vec::with_capacity(1024);
    let mut buffer = vec![0; READ_BYTES];
    loop {
        wait(&epoll, &mut events, None)?;
        for event in &events {
            if event.data.u64() == LISTENER {
                accept(&listener, |client| {
                    let Ok(origin) = TcpStream::connect(to) else { return Ok(()) };
                    let first = free.pop().unwrap_or(sides.len());
                    sides.resize_with(sides.len().max(first + 2), || None);
                    for (at, stream) in [client, origin].into_iter().enumerate() {
                        register(&epoll, &stream, first + at)?;
                        sides[first + at] = Some(Side { stream, unsent: Vec::new(), is_awaited: false });
                    }
                    Ok(())
                })?;
                continue;
            }
            let at = event.data.u64() as usize;
            let first = at & !1;
            let [Some(client), Some(origin)] = &mut sides[first..first + 2] else { continue };
            let (own, other) = if at == first { (client, origin) } else { (origin, client) };
            if advance(own, other, event.flags, &mut buffer).is_err() {
                sides[first] = None;
                sides[first + 1] = None;
                free.push(first);
            }
        }
    }
}

/// Does what the event of one socket allows. An error is the end of both.
fn advance(own: &mut Side, other: &mut Side, event: EventFlags, buffer: &mut [u8]) -> io::Result<()> {
    if event.intersects(EventFlags::OUT) && !own.unsent.is_empty() {
        let unsent = std::mem::take(&mut own.unsent);
        own.write(&unsent)?;
        if own.unsent.is_empty() && std::mem::take(&mut own.is_awaited) {
            pass_on(other, own, false, buffer)?;
        }
    }
    if event.intersects(EventFlags::IN | EventFlags::RDHUP) {
        pass_on(own, other, event.contains(EventFlags::RDHUP), buffer)?;
    }
    Ok(())
}

/// Reads what has arrived at one socket and writes it to the other, to the end if the peer has `finished` sending.
fn pass_on(from: &mut Side, to: &mut Side, finished: bool, buffer: &mut [u8]) -> io::Result<()> {
    loop {
        if !to.unsent.is_empty() {
            to.is_awaited = true;
            return Ok(());
        }
        let count = match from.stream.read(buffer) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error),
        };
        to.write(&buffer[..count])?;
        // A short read emptied the socket; what comes later is a new edge.
        if count < buffer.len() && !finished {
            return Ok(());
        }
    }
}

impl Side {
    /// Writes, and keeps what the socket does not take.
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut written = 0;
        while written < bytes.len() {
            match self.stream.write(&bytes[written..]) {
                Ok(count) => written += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        self.unsent.extend_from_slice(&bytes[written..]);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Shutdown, TcpListener};
    use std::thread;

    use super::*;

    #[test]
    fn every_byte_arrives_however_slowly_it_is_read() {
        let sink = TcpListener::bind("127.0.0.1:0").expect("a port");
        let to = sink.local_addr().expect("bound");
        let spare = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = spare.local_addr().expect("bound");
        drop(spare);
        // It ends with the process.
        thread::spawn(move || relay(address, to).expect("it relays"));
        let mut client = loop {
            match TcpStream::connect(address) {
                Ok(client) => break client,
                Err(_) => thread::yield_now(),
            }
        };
        let sent: Vec<u8> = (0..16_u32 << 18).flat_map(u32::to_le_bytes).collect();
        let (mut origin, _) = sink.accept().expect("the relay's own connection");
        let back = sent.clone();
        let writing = thread::spawn(move || {
            origin.write_all(&back).expect("it is taken");
            let mut got = vec![0; back.len()];
            origin.read_exact(&mut got).expect("all of it");
            got
        });
        // Nothing is read here until all is written, so one way backs up while the other is under way.
        let mut reader = client.try_clone().expect("a second handle");
        let reading = thread::spawn(move || {
            let mut got = vec![0; 16 << 20];
            reader.read_exact(&mut got).expect("all of it");
            got
        });
        client.write_all(&sent).expect("it is taken");
        assert!(reading.join().expect("read") == sent);
        assert!(writing.join().expect("written") == sent);
        client.shutdown(Shutdown::Both).expect("open until now");
    }
}
