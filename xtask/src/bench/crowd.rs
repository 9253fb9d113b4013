//! A client with many connections that looks at every answer: what load generators do not tell.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::{Duration, Instant};

use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::io::Errno;
use rustix::thread::{CpuSet, sched_setaffinity};

use crate::problem::{OrProblem, Problem};

use super::answer::{Answer, head_bytes};
use super::idle::raise_descriptor_limit;
use super::process::LOAD_CORE;

/// How long nothing may arrive on any connection before what is missing is given up.
const PATIENCE: Duration = Duration::from_secs(20);

/// What a request led to.
pub(crate) struct Outcome {
    /// The number of the request, from 0.
    pub(crate) request: u32,
    /// None when the connection ended before its end, or nothing came for long.
    pub(crate) answer: Option<Answer>,
    /// When the first byte of the body arrived, since the first request of all was sent.
    pub(crate) began: Duration,
    /// When the last byte arrived, since the first request of all was sent.
    pub(crate) ended: Duration,
    /// From the request to the last byte.
    pub(crate) took: Duration,
}

/// Sends GET requests for `target(0)`, `target(1)` and so on over as many connections, which are all open before the
/// first request is sent; each connection has one request at a time. Shows every outcome to `see`.
///
/// It runs on the load generator's core.
pub(crate) fn ask(
    port: u16,
    connections: u32,
    requests: u32,
    target: impl Fn(u32) -> String + Sync,
    mut see: impl FnMut(Outcome) -> Result<(), Problem> + Send,
) -> Result<(), Problem> {
    raise_descriptor_limit(u64::from(connections) + 100)?;
    std::thread::scope(|scope| {
        let asking = scope.spawn(|| {
            let mut core = CpuSet::new();
            core.set(LOAD_CORE as usize);
            sched_setaffinity(None, &core).problem("keep to the load generator's core")?;
            Crowd::new(port, connections)?.ask(requests, &target, &mut see)
        });
        asking.join().map_err(|_| Problem::new("the thread that asked panicked"))?
    })
}

struct Crowd {
    epoll: std::os::fd::OwnedFd,
    clients: Vec<Client>,
    buffer: Vec<u8>,
    started: Instant,
}

/// A connection with at most one request that is not answered.
struct Client {
    stream: TcpStream,
    received: Vec<u8>,
    /// The request that is not answered, and when it was sent.
    asked: Option<(u32, Instant)>,
    began: Option<Duration>,
    /// The peer has closed it.
    over: bool,
}

impl Crowd {
    fn new(port: u16, connections: u32) -> Result<Self, Problem> {
        let epoll = epoll::create(CreateFlags::CLOEXEC).problem("create an epoll")?;
        let mut clients = Vec::new();
        for at in 0..connections {
            let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).problem("connect to a peer")?;
            stream.set_nonblocking(true).problem("make a socket non-blocking")?;
            stream.set_nodelay(true).problem("make a socket send at once")?;
            let data = EventData::new_u64(u64::from(at));
            epoll::add(&epoll, &stream, data, EventFlags::IN).problem("watch a socket")?;
            clients.push(Client { stream, received: Vec::new(), asked: None, began: None, over: false });
        }
        Ok(Self { epoll, clients, buffer: vec![0; 64 * 1024], started: Instant::now() })
    }

    fn ask(
        mut self,
        requests: u32,
        target: &impl Fn(u32) -> String,
        see: &mut impl FnMut(Outcome) -> Result<(), Problem>,
    ) -> Result<(), Problem> {
        self.started = Instant::now();
        let mut next = 0..requests;
        for client in &mut self.clients {
            client.send(next.next(), target)?;
        }
        let mut missing = requests;
        let mut events: Vec<Event> = Vec::with_capacity(1024);
        while missing > 0 {
            events.clear();
            let patience = Timespec::try_from(PATIENCE).ok();
            match epoll::wait(&self.epoll, rustix::buffer::spare_capacity(&mut events), patience.as_ref()) {
                Ok(0) => return self.give_up(next, see),
                Ok(_) => {}
                Err(Errno::INTR) => continue,
                Err(error) => return Err(error).problem("wait for answers"),
            }
            for event in &events {
                let Some(client) = self.clients.get_mut(event.data.u64() as usize) else { continue };
                let outcome = client.receive(&mut self.buffer, self.started)?;
                let answered = outcome.is_some();
                if let Some(outcome) = outcome {
                    missing -= 1;
                    see(outcome)?;
                }
                if client.over {
                    // What this connection would have asked, the others ask.
                    epoll::delete(&self.epoll, &client.stream).problem("forget a socket")?;
                } else if answered {
                    client.send(next.next(), target)?;
                }
            }
            if missing > 0 && self.clients.iter().all(|client| client.asked.is_none()) {
                return self.give_up(next, see);
            }
        }
        Ok(())
    }

    /// Says of everything that is not answered, or was never asked, that it failed.
    fn give_up(
        self,
        never_asked: std::ops::Range<u32>,
        see: &mut impl FnMut(Outcome) -> Result<(), Problem>,
    ) -> Result<(), Problem> {
        let now = self.started.elapsed();
        let open = self.clients.iter().filter_map(|client| client.asked.map(|(request, _)| request));
        for request in open.chain(never_asked) {
            see(Outcome { request, answer: None, began: now, ended: now, took: now })?;
        }
        Ok(())
    }
}

impl Client {
    fn send(&mut self, request: Option<u32>, target: &impl Fn(u32) -> String) -> Result<(), Problem> {
        let Some(request) = request else { return Ok(()) };
        let text = format!("GET {} HTTP/1.1\r\nHost: bench\r\n\r\n", target(request));
        self.asked = Some((request, Instant::now()));
        // So short a text always fits into an empty socket. One that the peer has closed is told by the next read.
        match self.stream.write_all(text.as_bytes()) {
            Err(error) if !ended(&error) => Err(error).problem("send a request"),
            _ => Ok(()),
        }
    }

    /// Reads once; what the request led to when that is known.
    fn receive(&mut self, buffer: &mut [u8], started: Instant) -> Result<Option<Outcome>, Problem> {
        let count = match self.stream.read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
            Err(error) if ended(&error) => 0,
            read => read.problem("read an answer")?,
        };
        self.over = count == 0;
        let now = started.elapsed();
        self.received.extend_from_slice(&buffer[..count]);
        if self.began.is_none() && head_bytes(&self.received).is_some_and(|end| end < self.received.len()) {
            self.began = Some(now);
        }
        let answer = Answer::read(&self.received)?;
        if answer.is_none() && count > 0 {
            return Ok(None);
        }
        self.received.clear();
        let began = self.began.take().unwrap_or(now);
        let Some((request, sent)) = self.asked.take() else { return Ok(None) };
        let answer = answer.map(|(answer, _)| answer);
        Ok(Some(Outcome { request, answer, began, ended: now, took: sent.elapsed() }))
    }
}

/// Whether the peer has left.
fn ended(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe)
}

#[cfg(test)]
mod tests {
    use super::*;

    use std::net::TcpListener;

    /// Serves so many connections, one after the other, each with as many answers to requests of one read.
    fn serve(connections: usize, answers: usize) -> u16 {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let port = listener.local_addr().expect("an address").port();
        std::thread::spawn(move || {
            for _ in 0..connections {
                let (mut stream, _) = listener.accept().expect("a client");
                for _ in 0..answers {
                    let mut request = [0; 1024];
                    let count = stream.read(&mut request).expect("a request");
                    let request = String::from_utf8_lossy(&request[..count]);
                    let path = request.split(' ').nth(1).unwrap_or_default().to_owned();
                    let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{path}", path.len());
                    stream.write_all(answer.as_bytes()).expect("written");
                }
            }
        });
        port
    }

    fn outcomes(port: u16, connections: u32, requests: u32) -> Vec<(u32, Option<Vec<u8>>)> {
        let mut seen = Vec::new();
        let see = |outcome: Outcome| {
            assert!(outcome.began <= outcome.ended);
            seen.push((outcome.request, outcome.answer.map(|answer| answer.body)));
            Ok(())
        };
        ask(port, connections, requests, |request| format!("/{request}"), see).expect("asked");
        seen.sort();
        seen
    }

    #[test]
    fn every_request_is_asked_once_and_its_own_answer_is_seen() {
        let expected: Vec<_> = (0..6).map(|at| (at, Some(format!("/{at}").into_bytes()))).collect();
        assert_eq!(outcomes(serve(1, 6), 1, 6), expected);
    }

    #[test]
    fn requests_that_nobody_answers_are_seen_too() {
        let expected = [(0, Some(b"/0".to_vec())), (1, Some(b"/1".to_vec())), (2, None), (3, None)];
        assert_eq!(outcomes(serve(1, 2), 1, 4), expected);
    }
}
