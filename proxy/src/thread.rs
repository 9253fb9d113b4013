//! One thread of the data plane: its runtime, its listeners, its clock.

use std::cell::Cell;
use std::collections::HashMap;
use std::convert::Infallible;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

use config::ListenAddress;
use signals::log::LogHandle;
use tokio::io::unix::AsyncFd;
use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, spawn_local};
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::connection::{self, Rules};
use crate::core::{Core, Shared};
use crate::net::{Listening, Sockets};
use crate::sys;
use crate::timers::TICK;

/// Connections accepted before the core looks at those that it has.
const ACCEPTS_AT_ONCE: usize = 32;

/// As many connections as can wait to be accepted where a backlog is the longest that the configuration takes.
const MOST_BACKLOG: usize = 65_536;

/// Turns of tasks after which the core asks for events although tasks still wait, which costs a call to
/// the system: seldom, for it asks anyway as soon as none waits. All of them take about a millisecond.
const EVENT_INTERVAL: u32 = 256;

/// Threads per core that read from the cache's tier on disk; there are none while there is nothing to read.
const READERS: usize = 4;

/// How long a core stops accepting when the process is out of descriptors.
const BREATHER: Duration = Duration::from_millis(100);

/// How often that is said.
const SAID_EVERY: Duration = Duration::from_secs(30);

/// What a thread is told.
pub enum Command {
    /// Accept from this socket.
    Listen(ListenAddress, Listening, Rules),
    /// Other rules for the connections of this listener from here on, and so many that wait to be accepted.
    Change(ListenAddress, Rules, u32),
    /// Close this listener.
    Unlisten(ListenAddress),
    /// Write the access log here.
    Log(Option<LogHandle>),
    /// Close all listeners and idle connections. What comes with it is dropped when that is done.
    Drain(mpsc::Sender<Infallible>),
}

/// Starts the thread; it ends when the sender of its commands is dropped.
///
/// # Errors
/// The system has no thread, or no event queue, to give.
pub fn start(
    index: usize,
    shared: Arc<Shared>,
    inbox: mpsc::UnboundedReceiver<Command>,
) -> io::Result<JoinHandle<()>> {
    std::thread::Builder::new().name(format!("tidegate-{index}")).spawn(move || {
        let mut runtime = Builder::new_current_thread();
        runtime.enable_io().enable_time().event_interval(EVENT_INTERVAL).max_blocking_threads(READERS);
        let runtime = match runtime.build_local(LocalOptions::default()) {
            Ok(runtime) => runtime,
            Err(error) => {
                tracing::error!(thread = index, %error, "cannot make an event queue");
                return;
            }
        };
        runtime.block_on(run(index, shared, inbox));
        // A disk that hangs does not keep the process.
        runtime.shutdown_timeout(BREATHER);
    })
}

async fn run(index: usize, shared: Arc<Shared>, mut inbox: mpsc::UnboundedReceiver<Command>) {
    let shard = shared.signals.shard(index);
    let core = Core::new(shared, shard, Box::new(Sockets), fastrand::u64(..));
    spawn_local(tick(index, Rc::clone(&core)));
    spawn_local(spin(Rc::clone(&core)));
    let mut listeners: HashMap<ListenAddress, Open> = HashMap::new();
    while let Some(command) = inbox.recv().await {
        match command {
            Command::Listen(address, socket, rules) => match Open::new(&core, socket, rules) {
                Ok(open) => drop(listeners.insert(address, open)),
                Err(error) => tracing::error!(%error, "cannot wait for connections"),
            },
            Command::Change(address, rules, backlog) => {
                if let Some(open) = listeners.get(&address) {
                    open.rules.set(rules);
                    if let Err(error) = open.socket.get_ref().set_backlog(backlog) {
                        tracing::warn!(%error, "the backlog stays as it is");
                    }
                }
            }
            Command::Unlisten(address) => {
                if let Some(open) = listeners.remove(&address) {
                    open.close(&core).await;
                }
            }
            Command::Log(log) => *core.log.borrow_mut() = log,
            Command::Drain(done) => {
                for (_, open) in listeners.drain() {
                    open.close(&core).await;
                }
                // What was accepted last is counted among the open connections once it has run.
                tokio::task::yield_now().await;
                core.pools.borrow_mut().clear();
                core.timers.wake_all();
                drop(done);
            }
        }
    }
    // What the log still holds is written when its handle is dropped.
    core.log.borrow_mut().take();
}

async fn tick(index: usize, core: Rc<Core>) {
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        core.tick();
        if index == 0 {
            core.shared.follow(SystemTime::now());
        }
    }
}

/// Polls for events for a while before the thread sleeps, when the configuration asks for it: a lone
/// connection is answered sooner, for more CPU.
async fn spin(core: Rc<Core>) {
    loop {
        let spin = core.live().plan.server.spin;
        if spin.is_zero() {
            tokio::time::sleep(Duration::from_secs(1)).await; // A reload may switch it on.
            continue;
        }
        let mut served = core.served.get();
        let mut since = Instant::now();
        while since.elapsed() < spin {
            tokio::task::yield_now().await;
            if core.served.get() != served {
                served = core.served.get();
                since = Instant::now();
            }
        }
        core.woken.notified().await;
    }
}

/// A listener of this core.
struct Open {
    accepting: AbortHandle,
    socket: Rc<AsyncFd<Listening>>,
    rules: Rc<Cell<Rules>>,
}

impl Open {
    /// Accepts from this socket from here on.
    fn new(core: &Rc<Core>, socket: Listening, rules: Rules) -> io::Result<Self> {
        let socket = Rc::new(sys::watch(socket)?);
        let rules = Rc::new(Cell::new(rules));
        let accepting = spawn_local(accept(Rc::clone(core), Rc::clone(&socket), Rc::clone(&rules)));
        Ok(Self { accepting: accepting.abort_handle(), socket, rules })
    }

    /// Accepts who is connected already, for the kernel would reset them, and closes the socket.
    async fn close(self, core: &Rc<Core>) {
        self.accepting.abort();
        // It holds the socket until it has run once more.
        tokio::task::yield_now().await;
        for _ in 0..MOST_BACKLOG {
            let Ok((stream, peer)) = self.socket.get_ref().accept() else { break };
            spawn_local(connection::serve(Rc::clone(core), stream, peer, self.rules.get()));
        }
    }
}

/// Accepts connections until it is aborted.
async fn accept(core: Rc<Core>, socket: Rc<AsyncFd<Listening>>, rules: Rc<Cell<Rules>>) {
    let mut said: Option<Instant> = None;
    loop {
        let Ok(mut ready) = socket.readable().await else { return };
        for _ in 0..ACCEPTS_AT_ONCE {
            match ready.try_io(|socket| socket.get_ref().accept()) {
                Ok(Ok((stream, peer))) => {
                    spawn_local(connection::serve(Rc::clone(&core), stream, peer, rules.get()));
                }
                Ok(Err(error)) if is_exhausted(&error) => {
                    if said.is_none_or(|said| said.elapsed() > SAID_EVERY) {
                        tracing::warn!(%error, "out of descriptors: accepting pauses (ulimit -n)");
                        said = Some(Instant::now());
                    }
                    tokio::time::sleep(BREATHER).await;
                    break;
                }
                // The client left between its connect and our accept.
                Ok(Err(_)) => {}
                Err(_would_block) => break,
            }
        }
        tokio::task::yield_now().await;
    }
}

fn is_exhausted(error: &io::Error) -> bool {
    [rustix::io::Errno::MFILE, rustix::io::Errno::NFILE, rustix::io::Errno::NOBUFS, rustix::io::Errno::NOMEM]
        .iter()
        .any(|errno| error.raw_os_error() == Some(errno.raw_os_error()))
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpStream;
    use std::path::Path;

    use signals::Signals;

    use super::*;
    use crate::{net, surge};

    fn shared() -> Arc<Shared> {
        let text = "server.threads = 1\nlistener = [{ address = \":0\" }]\nroute = [{ respond = 204 }]";
        let none = |_: &Path| Err(io::ErrorKind::NotFound.into());
        let loaded = config::parse(text, "", &|_| None, &none).unwrap_or_else(|error| panic!("{error}"));
        let signals = Signals::new(2);
        let live = surge::build(loaded.plan, None, &signals, None).expect("routes");
        Shared::new(live, signals)
    }

    #[test]
    fn who_is_connected_when_a_listener_closes_is_answered() {
        for drains in [false, true] {
            let shared = shared();
            let (commands, inbox) = mpsc::unbounded_channel();
            let address = ListenAddress::Tcp("127.0.0.1:0".parse().expect("an address"));
            let (bound, mut sockets) = net::bind(&address, 8, 1, []).expect("a port");
            let ListenAddress::Tcp(bound) = bound else { panic!("{bound:?}") };
            // Nobody accepts yet: the kernel alone knows of the connection.
            let mut client = TcpStream::connect(bound).expect("a connection");
            client.write_all(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").expect("sent");
            let socket = sockets.pop().expect("a socket");
            let listen = Command::Listen(address.clone(), socket, Rules { proxy_protocol: false });
            assert!(commands.send(listen).is_ok());
            let (done, mut closed) = mpsc::channel(1);
            let close = if drains { Command::Drain(done) } else { Command::Unlisten(address) };
            assert!(commands.send(close).is_ok());
            let thread = start(0, shared, inbox).expect("a thread");
            if drains {
                assert!(closed.blocking_recv().is_none());
            }
            let mut answer = String::new();
            client.read_to_string(&mut answer).expect("an answer");
            assert!(answer.starts_with("HTTP/1.1 204"), "{answer}");
            drop(commands);
            thread.join().expect("it ends");
        }
    }
}
