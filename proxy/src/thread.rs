//! One thread of the data plane: its runtime, its listeners, its clock.

use std::collections::HashMap;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

use config::ListenAddress;
use signals::log::LogHandle;
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
    /// Other rules for the connections of this listener from here on.
    Rules(ListenAddress, Rules),
    /// Close this listener.
    Unlisten(ListenAddress),
    /// Write the access log here.
    Log(Option<LogHandle>),
    /// Close all listeners and idle connections.
    Drain,
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
    let mut listeners: HashMap<ListenAddress, (AbortHandle, Rc<std::cell::Cell<Rules>>)> = HashMap::new();
    while let Some(command) = inbox.recv().await {
        match command {
            Command::Listen(address, socket, rules) => {
                let rules = Rc::new(std::cell::Cell::new(rules));
                let accepting = spawn_local(accept(Rc::clone(&core), socket, Rc::clone(&rules)));
                listeners.insert(address, (accepting.abort_handle(), rules));
            }
            Command::Rules(address, changed) => {
                if let Some((_, rules)) = listeners.get(&address) {
                    rules.set(changed);
                }
            }
            Command::Unlisten(address) => {
                if let Some((accepting, _)) = listeners.remove(&address) {
                    accepting.abort();
                }
            }
            Command::Log(log) => *core.log.borrow_mut() = log,
            Command::Drain => {
                for (_, (accepting, _)) in listeners.drain() {
                    accepting.abort();
                }
                core.pools.borrow_mut().clear();
                core.timers.wake_all();
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

/// Accepts connections until it is aborted.
async fn accept(core: Rc<Core>, socket: Listening, rules: Rc<std::cell::Cell<Rules>>) {
    let socket = match sys::watch(socket) {
        Ok(socket) => socket,
        Err(error) => {
            tracing::error!(%error, "cannot wait for connections");
            return;
        }
    };
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
