//! Who listens at which address of a scene, and what they got.

use std::cell::RefCell;
use std::collections::HashMap;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::rc::Rc;

use proxy::core::Connect;
use proxy::stream::Stream;
use tokio::io::duplex;
use tokio::task::{AbortHandle, JoinHandle, spawn_local};
use traffic::endpoint::Address;

use crate::conn::Conn;
use crate::message::Message;
use crate::pipe::Pipe;
use crate::transcript::Transcript;

pub(crate) type Play = Rc<dyn Fn(Conn) -> Pin<Box<dyn Future<Output = ()>>>>;

/// What happens to a connection attempt.
#[derive(Clone)]
pub(crate) enum Door {
    /// It is accepted and served by a script.
    Open(Play),
    /// It is refused, as where nobody listens.
    Refuse,
    /// It never comes about.
    Hang,
}

/// One connection and what came over it.
#[derive(Debug, Default)]
pub(crate) struct Visit {
    pub(crate) address: String,
    pub(crate) requests: Vec<Message>,
    pub(crate) bytes: Rc<RefCell<Vec<u8>>>,
}

/// All addresses of a scene.
#[derive(Clone)]
pub(crate) struct Origins {
    state: Rc<RefCell<State>>,
    transcript: Transcript,
    pipe_bytes: usize,
}

#[derive(Default)]
struct State {
    doors: HashMap<String, Door>,
    visits: Vec<Rc<RefCell<Visit>>>,
    running: Vec<(String, AbortHandle)>,
    tasks: Vec<JoinHandle<()>>,
}

impl Origins {
    pub(crate) fn new(transcript: Transcript, pipe_bytes: usize) -> Self {
        Self { state: Rc::default(), transcript, pipe_bytes }
    }

    pub(crate) fn set(&self, address: &str, door: Door) {
        self.state.borrow_mut().doors.insert(address.to_owned(), door);
    }

    /// Ends every connection of an address at once.
    pub(crate) fn cut(&self, address: &str) {
        for (at, running) in &self.state.borrow().running {
            if at == address {
                running.abort();
            }
        }
    }

    /// What came, by connection.
    pub(crate) fn visits<T>(&self, map: impl Fn(&Visit) -> T) -> Vec<T> {
        self.state.borrow().visits.iter().map(|visit| map(&visit.borrow())).collect()
    }

    /// The scripts that have been started since the last call.
    pub(crate) fn tasks(&self) -> Vec<JoinHandle<()>> {
        std::mem::take(&mut self.state.borrow_mut().tasks)
    }

    fn accept(&self, address: &str, play: &Play) -> Stream {
        let (ours, theirs) = duplex(self.pipe_bytes);
        let mut state = self.state.borrow_mut();
        let number = state.visits.iter().filter(|visit| visit.borrow().address == address).count();
        let pipe = Pipe::new(theirs, format!("{address}#{number}"), self.transcript.clone());
        let bytes = pipe.received();
        let visit = Visit { address: address.to_owned(), requests: Vec::new(), bytes };
        let visit = Rc::new(RefCell::new(visit));
        state.visits.push(Rc::clone(&visit));
        let task = spawn_local(play(Conn::new(pipe, visit, number)));
        state.running.push((address.to_owned(), task.abort_handle()));
        state.tasks.push(task);
        Stream::Memory(ours)
    }
}

impl Connect for Origins {
    fn connect<'a>(&'a self, address: &'a Address) -> Pin<Box<dyn Future<Output = io::Result<Stream>> + 'a>> {
        Box::pin(async move {
            let address = address.to_string();
            let door = self.state.borrow().doors.get(&address).cloned().unwrap_or(Door::Refuse);
            match door {
                Door::Open(play) => {
                    self.transcript.note(&address, "accepts");
                    Ok(self.accept(&address, &play))
                }
                Door::Refuse => {
                    self.transcript.note(&address, "refuses");
                    Err(io::ErrorKind::ConnectionRefused.into())
                }
                Door::Hang => {
                    self.transcript.note(&address, "lets the connection hang");
                    std::future::pending().await
                }
            }
        })
    }
}
