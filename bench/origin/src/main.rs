//! The app behind every proxy that `cargo xtask bench` measures.
//!
//! It shares a core with the load generator, so it has to be cheaper than any proxy: one thread, one epoll, answers built
//! before the first request. It also has to be a witness. `GET /bytes/N` answers with N known bytes; `POST /check/N`
//! answers 200 only when exactly those N bytes arrived, so a proxy that loses or changes a byte of a request shows up as
//! a failed request in the load generator's report. `GET /cached/N` answers with the same bytes and lets caches keep them; `GET /counted/NAME?ms=M`
//! takes its time and says how often it was asked, as `GET /count/NAME` does. `GET /ws/echo` opens a WebSocket that sends every frame back, and
//! `GET /ws/fan` one that gets every text of every such socket.
//!
//! Usage: `origin ADDRESS:PORT`. Several may share a port.

mod connection;
mod message;
mod socket;

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::time::Instant;

use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, sockopt};

use connection::{Connection, Fate};
use message::Answers;

/// The largest body in bytes that can be asked for.
const LARGEST_BODY_BYTES: usize = 1 << 20;

/// The event data of the listening socket; connections count from 0.
const LISTENER: u64 = u64::MAX;

fn main() {
    let address = std::env::args().nth(1).and_then(|text| text.parse::<SocketAddr>().ok());
    let Some(address) = address else {
        eprintln!("usage: origin ADDRESS:PORT");
        std::process::exit(2);
    };
    if let Err(error) = serve(address) {
        eprintln!("error: serve {address}: {error}");
        std::process::exit(1);
    }
}

/// Serves until the process is ended.
fn serve(address: SocketAddr) -> io::Result<()> {
    let listener = listen(address)?;
    let epoll = epoll::create(CreateFlags::CLOEXEC)?;
    epoll::add(&epoll, &listener, EventData::new_u64(LISTENER), EventFlags::IN)?;

    let mut answers = Answers::new(LARGEST_BODY_BYTES);
    // Slots of closed connections are used again, so the number in an event stays a small index.
    let mut connections: Vec<Option<Connection>> = Vec::new();
    let mut free: Vec<usize> = Vec::new();
    let mut events: Vec<Event> = Vec::with_capacity(1024);
    // When slow answers go on, and in which slot. A connection that took over a slot finds nothing due in itself.
    let mut timers: BinaryHeap<Reverse<(Instant, usize)>> = BinaryHeap::new();
    loop {
        events.clear();
        let patience = timers.peek().map(|Reverse((due, _))| due.saturating_duration_since(Instant::now()));
        let patience = patience.and_then(|patience| Timespec::try_from(patience).ok());
        match epoll::wait(&epoll, rustix::buffer::spare_capacity(&mut events), patience.as_ref()) {
            Ok(_) => {}
            Err(Errno::INTR) => continue,
            Err(error) => return Err(error.into()),
        }
        for event in &events {
            if event.data.u64() == LISTENER {
                accept(&listener, &epoll, &mut connections, &mut free)?;
                continue;
            }
            let slot = event.data.u64() as usize;
            let Some(Some(connection)) = connections.get_mut(slot) else { continue };
            if connection.advance(event.flags, &mut answers) == Fate::Over {
                connections[slot] = None;
                free.push(slot);
            }
            timers.extend(answers.due.take().map(|due| Reverse((due, slot))));
            if !answers.fan.is_empty() {
                fan_out(&mut answers.fan, &mut connections, &mut free);
            }
        }
        resume(&mut timers, &mut answers, &mut connections, &mut free);
    }
}

/// Goes on with every slow answer whose rest is due.
fn resume(
    timers: &mut BinaryHeap<Reverse<(Instant, usize)>>,
    answers: &mut Answers,
    connections: &mut [Option<Connection>],
    free: &mut Vec<usize>,
) {
    while let Some(&Reverse((due, slot))) = timers.peek() {
        let now = Instant::now();
        if due > now {
            return;
        }
        timers.pop();
        let Some(Some(connection)) = connections.get_mut(slot) else { continue };
        if connection.resume(now, answers) == Fate::Over {
            connections[slot] = None;
            free.push(slot);
        }
        // What it answered next may be slow as well.
        timers.extend(answers.due.take().map(|due| Reverse((due, slot))));
    }
}

/// Sends what one client said to all, and forgets it. Those that cannot take it are cut off.
fn fan_out(bytes: &mut Vec<u8>, connections: &mut [Option<Connection>], free: &mut Vec<usize>) {
    for (slot, entry) in connections.iter_mut().enumerate() {
        if entry.as_mut().is_some_and(|connection| connection.send_fan(bytes) == Fate::Over) {
            *entry = None;
            free.push(slot);
        }
    }
    bytes.clear();
}

/// Several origins may share a port: then the kernel spreads connections over them.
fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(family, SocketType::STREAM, flags, None)?;
    sockopt::set_socket_reuseaddr(&socket, true)?;
    sockopt::set_socket_reuseport(&socket, true)?;
    rustix::net::bind(&socket, &address)?;
    // A thousand proxied connections may arrive at once.
    rustix::net::listen(&socket, 4096)?;
    Ok(TcpListener::from(socket))
}

/// Takes every connection that waits. Edge-triggered interest in both directions is registered once and never changed.
fn accept(
    listener: &TcpListener,
    epoll: &impl std::os::fd::AsFd,
    connections: &mut Vec<Option<Connection>>,
    free: &mut Vec<usize>,
) -> io::Result<()> {
    loop {
        let stream = match listener.accept() {
            Ok((stream, _)) => stream,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
            // The peer left before it was accepted.
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => continue,
            Err(error) => return Err(error),
        };
        stream.set_nonblocking(true)?;
        stream.set_nodelay(true)?;
        let slot = free.pop().unwrap_or(connections.len());
        let interest = EventFlags::IN | EventFlags::OUT | EventFlags::RDHUP | EventFlags::ET;
        epoll::add(epoll, &stream, EventData::new_u64(slot as u64), interest)?;
        let connection = Some(Connection::new(stream));
        if slot == connections.len() {
            connections.push(connection);
        } else {
            connections[slot] = connection;
        }
    }
}
