//! The data plane as a whole: a thread per core, started, reloaded, drained.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread::JoinHandle;
use std::time::Duration;

use config::{ListenAddress, Listener, Plan};
use signals::Signals;
use signals::log::AccessLog;
use tokio::sync::mpsc;

use crate::connection::Rules;
use crate::control;
use crate::core::Shared;
use crate::disk;
use crate::limits::Limit;
use crate::net;
use crate::surge::{self, On};
use crate::thread::{self, Command};

/// How long what is in memory may take to be written to disk at the end.
const KEEPING: Duration = Duration::from_secs(10);

/// The running data plane.
pub struct Server {
    shared: Arc<Shared>,
    cores: Vec<Running>,
    control: control::Handle,
    bound: Mutex<Bound>,
}

struct Running {
    commands: mpsc::UnboundedSender<Command>,
    thread: JoinHandle<()>,
}

/// What is open besides connections.
struct Bound {
    listeners: Vec<(Listener, ListenAddress)>,
    /// Where sockets are open, those included that a core has been told to close and has not come to yet.
    sockets: Vec<(ListenAddress, Weak<()>)>,
    log: Option<(config::AccessLog, AccessLog)>,
}

/// A listener with the address that was bound for it, and a socket for each core.
type Opened = (Listener, (ListenAddress, Vec<net::Listening>));

/// Why the data plane does not start, or does not take a new configuration.
#[derive(Debug)]
pub enum StartError {
    /// An address cannot be bound.
    Bind(ListenAddress, io::Error),
    /// The access log cannot be opened.
    Log(Option<PathBuf>, io::Error),
    /// Two routes match the same requests.
    Routes(traffic::route::Conflict),
    /// The folder of the cache's tier on disk cannot be used.
    Disk(disk::Error),
    /// A thread cannot be started.
    Thread(io::Error),
}

impl Server {
    /// Binds every listener and starts every thread.
    ///
    /// # Errors
    /// See [`StartError`]; nothing stays behind then.
    pub fn start(plan: Plan, signals: Arc<Signals>) -> Result<Self, StartError> {
        let threads = plan.server.threads;
        let sockets = bind(&plan.listeners, &[], &[], threads)?;
        let log = open_log(plan.server.access_log.as_ref(), &signals)?;
        let kept = surge::kept(plan.server.state.as_deref());
        let live = surge::build(plan, kept.clone(), &signals, None).map_err(StartError::Routes)?;
        let shared = Shared::new(live, signals);
        if let Some(on) = kept {
            shared.take_over(&on);
        }
        shared.open_disk().map_err(StartError::Disk)?;
        let control = control::start(Arc::clone(&shared)).map_err(StartError::Thread)?;
        let mut cores = Vec::new();
        for index in 0..threads {
            let (commands, inbox) = mpsc::unbounded_channel();
            let thread = thread::start(index, Arc::clone(&shared), inbox).map_err(StartError::Thread)?;
            cores.push(Running { commands, thread });
        }
        let bound = Mutex::new(Bound { listeners: Vec::new(), sockets: Vec::new(), log: None });
        let server = Self { shared, cores, control, bound };
        server.listen(sockets);
        server.log_to(log);
        Ok(server)
    }

    /// Puts another configuration in force. Established connections live on; requests in flight
    /// finish under the configuration that they began with. A surge that is on stays on, unless its profile is gone; that
    /// is then what this gives.
    ///
    /// # Errors
    /// See [`StartError`]; nothing has changed then.
    pub fn reload(&self, plan: Plan) -> Result<Option<On>, StartError> {
        let change = self.shared.change();
        let known = self.bound().listeners.clone();
        let ours = self.bound().open();
        let fresh = bind(&plan.listeners, &known, &ours, self.cores.len())?;
        let log_before = self.bound().log.as_ref().map(|(settings, _)| settings.clone());
        let log = if log_before == plan.server.access_log {
            None
        } else {
            Some(open_log(plan.server.access_log.as_ref(), &self.shared.signals)?)
        };
        let wanted = plan.listeners.clone();
        let live = change.reloaded(plan).map_err(StartError::Routes)?;

        // From here on nothing can fail.
        let routes: Vec<_> = live.routes.iter().map(|route| route.slot).collect();
        let upstreams: Vec<_> = live.upstreams.iter().map(|upstream| upstream.slot).collect();
        self.shared.signals.keep_routes(&routes);
        self.shared.signals.keep_upstreams(&upstreams);
        self.shared.signals.keep_limits(&live.all_limits().map(Limit::slot).collect::<Vec<_>>());
        let ended = change.finish(live);
        self.control.reconfigure();
        for (known, _) in &known {
            match wanted.iter().find(|listener| listener.address == known.address) {
                None => self.unlisten(&known.address),
                Some(listener) if listener != known => self.change_rules(listener),
                Some(_) => {}
            }
        }
        self.listen(fresh);
        if let Some(log) = log {
            self.log_to(log);
        }
        Ok(ended)
    }

    /// Switches a surge on; see [`surge::on`].
    ///
    /// # Errors
    /// There is no such profile.
    pub fn surge_on(
        &self,
        profile: Option<&str>,
        lasts: Option<Duration>,
    ) -> Result<(On, Option<On>), surge::No> {
        let switched = surge::on(&self.shared, profile, lasts)?;
        self.control.reconfigure();
        Ok(switched)
    }

    /// Switches off the surge that is on, and gives which that was.
    pub fn surge_off(&self) -> Option<On> {
        let off = surge::off(&self.shared)?;
        self.control.reconfigure();
        Some(off)
    }

    /// What all cores share.
    pub fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Threads of the data plane.
    pub fn threads(&self) -> usize {
        self.cores.len()
    }

    /// The addresses that are listened on, as bound (port 0 has become a real one).
    pub fn addresses(&self) -> Vec<ListenAddress> {
        self.bound().listeners.iter().map(|(_, bound)| bound.clone()).collect()
    }

    /// The first TCP address that is listened on.
    pub fn address(&self) -> Option<SocketAddr> {
        self.addresses().into_iter().find_map(|address| match address {
            ListenAddress::Tcp(address) => Some(address),
            ListenAddress::Unix(_) => None,
        })
    }

    /// Opens the access log's file again, after it was rotated.
    pub fn reopen_log(&self) {
        if let Some((_, log)) = &self.bound().log {
            log.reopen();
        }
    }

    /// Takes no new work, waits until what is in flight is done or `drain` is over, then stops.
    /// Gives the number of connections that were cut off.
    pub async fn shut_down(self, drain: Duration) -> usize {
        self.shared.drain();
        let (done, mut closed) = mpsc::channel(1);
        for core in &self.cores {
            // A thread that is gone has nothing to drain.
            let _ = core.commands.send(Command::Drain(done.clone()));
        }
        drop(done);
        let end = tokio::time::Instant::now() + drain;
        // Who was connected already counts among those that are open from then on.
        let _ = tokio::time::timeout_at(end, closed.recv()).await;
        let open = || self.shared.connections.load(Ordering::Relaxed);
        while open() > 0 && tokio::time::Instant::now() < end {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let cut = open();
        let unix: Vec<PathBuf> = self
            .addresses()
            .into_iter()
            .filter_map(|address| match address {
                ListenAddress::Unix(path) => Some(path),
                ListenAddress::Tcp(_) => None,
            })
            .collect();
        drop(self.control);
        for core in self.cores {
            drop(core.commands);
            // A thread that panicked has said so already.
            let _ = core.thread.join();
        }
        for path in unix {
            let _ = std::fs::remove_file(path);
        }
        for room in &self.shared.live().rooms {
            room.keep(true);
        }
        // Whoever is told again to stop does not have to wait for the disk.
        let shared = self.shared;
        let leaving = tokio::task::spawn_blocking(move || {
            if let Some(disk) = shared.disk.get() {
                disk.leave(&shared.cache, KEEPING);
            }
        });
        // A thread that panicked has said so already.
        let _ = leaving.await;
        cut
    }

    fn listen(&self, sockets: Vec<Opened>) {
        for (listener, (address, sockets)) in sockets {
            self.bound().sockets.extend(sockets.first().map(|socket| (address.clone(), socket.open())));
            for (core, socket) in self.cores.iter().zip(sockets) {
                let rules = Rules { proxy_protocol: listener.proxy_protocol };
                let _ = core.commands.send(Command::Listen(listener.address.clone(), socket, rules));
            }
            self.bound().listeners.push((listener, address));
        }
    }

    fn unlisten(&self, address: &ListenAddress) {
        for core in &self.cores {
            let _ = core.commands.send(Command::Unlisten(address.clone()));
        }
        self.bound().listeners.retain(|(listener, _)| listener.address != *address);
        if let ListenAddress::Unix(path) = address {
            let _ = std::fs::remove_file(path);
        }
    }

    fn change_rules(&self, listener: &Listener) {
        let rules = Rules { proxy_protocol: listener.proxy_protocol };
        for core in &self.cores {
            let _ = core.commands.send(Command::Change(listener.address.clone(), rules, listener.backlog));
        }
        for (known, _) in &mut self.bound().listeners {
            if known.address == listener.address {
                *known = listener.clone();
            }
        }
    }

    fn log_to(&self, log: Option<(config::AccessLog, AccessLog)>) {
        for core in &self.cores {
            let handle = log.as_ref().map(|(_, log)| log.handle());
            let _ = core.commands.send(Command::Log(handle));
        }
        self.bound().log = log;
    }

    fn bound(&self) -> std::sync::MutexGuard<'_, Bound> {
        self.bound.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Bound {
    /// Addresses at which a socket is open.
    fn open(&mut self) -> Vec<ListenAddress> {
        self.sockets.retain(|(_, open)| open.strong_count() > 0);
        self.sockets.iter().map(|(address, _)| address.clone()).collect()
    }
}

/// Binds the listeners that are not known yet; `ours` is where sockets are open.
fn bind(
    listeners: &[Listener],
    known: &[(Listener, ListenAddress)],
    ours: &[ListenAddress],
    cores: usize,
) -> Result<Vec<Opened>, StartError> {
    let mut fresh: Vec<Opened> = Vec::new();
    for listener in listeners {
        if known.iter().any(|(known, _)| known.address == listener.address) {
            continue;
        }
        let ours = ours.iter().chain(fresh.iter().map(|(_, (bound, _))| bound));
        let opened = net::bind(&listener.address, listener.backlog, cores, ours)
            .map_err(|error| StartError::Bind(listener.address.clone(), error))?;
        fresh.push((listener.clone(), opened));
    }
    Ok(fresh)
}

fn open_log(
    settings: Option<&config::AccessLog>,
    signals: &Signals,
) -> Result<Option<(config::AccessLog, AccessLog)>, StartError> {
    let Some(settings) = settings else { return Ok(None) };
    let format = match settings.format {
        config::LogFormat::Json => signals::log::Format::Json,
        config::LogFormat::Combined => signals::log::Format::Combined,
    };
    let wanted = signals::log::Settings { path: settings.path.clone(), format, sample: settings.sample };
    let log =
        AccessLog::open(wanted, signals).map_err(|error| StartError::Log(settings.path.clone(), error))?;
    Ok(Some((settings.clone(), log)))
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bind(address, error) => {
                let address = match address {
                    ListenAddress::Tcp(address) => address.to_string(),
                    ListenAddress::Unix(path) => format!("unix:{}", path.display()),
                };
                write!(f, "cannot listen on {address}: {}", plain(error))?;
                match error.kind() {
                    io::ErrorKind::AddrInUse => {
                        write!(f, "\nhelp: another process listens there; stop it or choose another address")
                    }
                    io::ErrorKind::PermissionDenied => {
                        write!(f, "\nhelp: ports below 1024 need the capability CAP_NET_BIND_SERVICE")
                    }
                    io::ErrorKind::AddrNotAvailable => {
                        write!(f, "\nhelp: this machine has no such address")
                    }
                    _ => Ok(()),
                }
            }
            Self::Log(path, error) => {
                let path =
                    path.as_ref().map_or_else(|| "standard output".to_owned(), |p| p.display().to_string());
                write!(f, "cannot open the access log {path}: {}", plain(error))
            }
            Self::Routes(conflict) => write!(f, "{conflict}"),
            Self::Disk(error) => write!(f, "{error}"),
            Self::Thread(error) => write!(f, "cannot start a thread: {}", plain(error)),
        }
    }
}

impl std::error::Error for StartError {}

/// The system's words without its number, in lower case.
pub(crate) fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or(&text).to_lowercase()
}
