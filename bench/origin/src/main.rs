//! The app behind every proxy that `cargo xtask bench` measures.
//!
//! It shares a core with the load generator, so it has to be cheaper than any proxy: one thread, one epoll, answers built
//! before the first request. It also has to be a witness. `GET /bytes/N` answers with N known bytes; `POST /check/N`
//! answers 200 only when exactly those N bytes arrived, so a proxy that loses or changes a byte of a request shows up as
//! a failed request in the load generator's report. `GET /cached/N` answers with the same bytes and lets caches keep them; `GET /counted/NAME?ms=M`
//! takes its time and says how often it was asked, as `GET /count/NAME` does. `GET /ws/echo` opens a WebSocket that sends every frame back, and
//! `GET /ws/fan` one that gets every text of every such socket.
//!
//! `GET /work/NAME?ms=M` keeps one of its workers busy: there are as many as the second argument says, and whoever finds
//! none idle waits, however many do.
//!
//! Usage: `origin ADDRESS:PORT [WORKERS]`. Several may share a port. With `origin ADDRESS:PORT --to ADDRESS:PORT` it passes
//! bytes on instead, see [`relay`].

mod connection;
mod message;
mod relay;
mod socket;
mod workers;

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::time::Instant;

use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, sockopt};

use connection::{Connection, Fate};
use message::Answers;
use workers::{Asker, Workers};

/// The largest body in bytes that can be asked for.
const LARGEST_BODY_BYTES: usize = 1 << 20;

/// The event data of the listening socket; connections count from 0.
const LISTENER: u64 = u64::MAX;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let Some(result) = run(&arguments) else {
        eprintln!("usage: origin ADDRESS:PORT [WORKERS | --to ADDRESS:PORT]");
        std::process::exit(2);
    };
    if let Err(error) = result {
        eprintln!("error: serve {}: {error}", arguments[0]);
        std::process::exit(1);
    }
}

/// Does what the arguments say until the process is ended; `None`: they make no sense.
fn run(arguments: &[&str]) -> Option<io::Result<()>> {
    let (address, more) = arguments.split_first()?;
    let address = address.parse().ok()?;
    match more {
        // Without a number, work never waits.
        [] => Some(serve(address, usize::MAX)),
        ["--to", to] => Some(relay::relay(address, to.parse().ok()?)),
        [workers] => Some(serve(address, workers.parse().ok().filter(|workers| *workers > 0)?)),
        _ => None,
    }
}

/// Waits for events, the old ones forgotten; there may be none.
fn wait(epoll: &impl AsFd, events: &mut Vec<Event>, patience: Option<&Timespec>) -> io::Result<()> {
    events.clear();
    match epoll::wait(epoll, rustix::buffer::spare_capacity(events), patience) {
        Ok(_) | Err(Errno::INTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Serves until the process is ended.
fn serve(address: SocketAddr, workers: usize) -> io::Result<()> {
    let listener = listen(address)?;
    let epoll = epoll::create(CreateFlags::CLOEXEC)?;
    epoll::add(&epoll, &listener, EventData::new_u64(LISTENER), EventFlags::IN)?;

    let mut answers = Answers::new(LARGEST_BODY_BYTES);
    let mut places = Places::default();
    let mut events: Vec<Event> = Vec::with_capacity(1024);
    // When slow answers go on, and in which slot. A connection that took over a slot finds nothing due in itself.
    let mut timers: BinaryHeap<Reverse<(Instant, usize)>> = BinaryHeap::new();
    let mut workers = Workers::new(workers);
    loop {
        let due = timers.peek().map(|Reverse((due, _))| *due);
        let due = [due, workers.due()].into_iter().flatten().min();
        let patience = due.map(|due| due.saturating_duration_since(Instant::now()));
        let patience = patience.and_then(|patience| Timespec::try_from(patience).ok());
        wait(&epoll, &mut events, patience.as_ref())?;
        for event in &events {
            if event.data.u64() == LISTENER {
                accept(&listener, |stream| places.open(stream, &epoll))?;
                continue;
            }
            let slot = event.data.u64() as usize;
            places.with(slot, |connection| connection.advance(event.flags, &mut answers));
            timers.extend(answers.due.take().map(|due| Reverse((due, slot))));
            places.put_to_work(slot, &mut answers, &mut workers);
            if !answers.fan.is_empty() {
                fan_out(&mut answers.fan, &mut places);
            }
        }
        resume(&mut timers, &mut answers, &mut places, &mut workers);
        hand_out(&mut workers, &mut answers, &mut places, &mut timers);
    }
}

/// Every open connection. Slots of closed ones are used again, so the number in an event stays a small index.
#[derive(Default)]
struct Places {
    connections: Vec<Option<Connection>>,
    free: Vec<usize>,
    /// How many connections there have been.
    opened: u64,
}

impl Places {
    /// Edge-triggered interest in both directions is registered once and never changed.
    fn open(&mut self, stream: TcpStream, epoll: &impl AsFd) -> io::Result<()> {
        let next = self.free.last().copied().unwrap_or(self.connections.len());
        register(epoll, &stream, next)?;
        self.opened += 1;
        let connection = Some(Connection::new(stream, self.opened));
        match self.free.pop() {
            Some(slot) => self.connections[slot] = connection,
            None => self.connections.push(connection),
        }
        Ok(())
    }

    /// Does something with the connection in a slot, if there is one, and forgets it when that was its end.
    fn with(&mut self, slot: usize, act: impl FnOnce(&mut Connection) -> Fate) {
        let Some(place) = self.connections.get_mut(slot) else { return };
        if place.as_mut().is_some_and(|connection| act(connection) == Fate::Over) {
            *place = None;
            self.free.push(slot);
        }
    }

    /// Gives a worker what was just read from the connection in this slot. If that is closed by now, nobody will get the
    /// answer, and it is work all the same.
    fn put_to_work(&self, slot: usize, answers: &mut Answers, workers: &mut Workers) {
        let Some(takes) = answers.work.take() else { return };
        let number = self.connections[slot].as_ref().map_or(0, |connection| connection.number);
        workers.take(Instant::now(), Asker { slot, number }, takes);
    }
}

/// Goes on with every slow answer whose rest is due.
fn resume(
    timers: &mut BinaryHeap<Reverse<(Instant, usize)>>,
    answers: &mut Answers,
    places: &mut Places,
    workers: &mut Workers,
) {
    while let Some(&Reverse((due, slot))) = timers.peek() {
        let now = Instant::now();
        if due > now {
            return;
        }
        timers.pop();
        places.with(slot, |connection| connection.resume(now, answers));
        // What it answered next may be slow as well.
        timers.extend(answers.due.take().map(|due| Reverse((due, slot))));
        places.put_to_work(slot, answers, workers);
    }
}

/// Answers everything that a worker is done with, if whoever asked is still there.
fn hand_out(
    workers: &mut Workers,
    answers: &mut Answers,
    places: &mut Places,
    timers: &mut BinaryHeap<Reverse<(Instant, usize)>>,
) {
    while let Some(Asker { slot, number }) = workers.done(Instant::now()) {
        places.with(
            slot,
            |connection| {
                if connection.number == number { connection.worked(answers) } else { Fate::Lives }
            },
        );
        timers.extend(answers.due.take().map(|due| Reverse((due, slot))));
        places.put_to_work(slot, answers, workers);
    }
}

/// Sends what one client said to all, and forgets it. Those that cannot take it are cut off.
fn fan_out(bytes: &mut Vec<u8>, places: &mut Places) {
    for slot in 0..places.connections.len() {
        places.with(slot, |connection| connection.send_fan(bytes));
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

/// Makes a socket known to the event loop, by the number of its place.
fn register(epoll: &impl AsFd, stream: &TcpStream, place: usize) -> io::Result<()> {
    stream.set_nonblocking(true)?;
    stream.set_nodelay(true)?;
    let interest = EventFlags::IN | EventFlags::OUT | EventFlags::RDHUP | EventFlags::ET;
    Ok(epoll::add(epoll, stream, EventData::new_u64(place as u64), interest)?)
}

/// Takes every connection that waits.
fn accept(listener: &TcpListener, mut open: impl FnMut(TcpStream) -> io::Result<()>) -> io::Result<()> {
    loop {
        let stream = match listener.accept() {
            Ok((stream, _)) => stream,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
            // The peer left before it was accepted.
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => continue,
            Err(error) => return Err(error),
        };
        open(stream)?;
    }
}
