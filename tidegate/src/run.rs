//! `tidegate run` and `tidegate check`: from a configuration to a running process, and back out.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use config::{EndpointAddress, ListenAddress, Plan};
use notify::{RecursiveMode, Watcher};
use proxy::Server;
use signals::Signals;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use crate::cli::{self, AdminPlace};
use crate::control::Control;

/// Read when no file is named.
const DEFAULT_FILE: &str = "tidegate.toml";

/// Descriptors kept for other things than connections: listeners, logs, probes, admin.
const SPARE_DESCRIPTORS: u64 = 200;

/// Several writes to a file in short order are one change.
const SETTLE: Duration = Duration::from_millis(200);

/// Where the configuration comes from, so that it can be read again.
#[derive(Clone, Debug)]
pub enum Source {
    /// A file.
    File(PathBuf),
    /// The command line.
    Addresses(ListenAddress, Vec<EndpointAddress>, Option<AdminPlace>),
}

impl Source {
    /// Reads the configuration. What in it has no effect comes with it, for a person.
    ///
    /// # Errors
    /// What is wrong with it, for a person.
    pub fn read(&self, colour: bool) -> Result<(Plan, String), String> {
        match self {
            Self::File(path) => {
                let loaded = config::load(path).map_err(|failure| failure.render(colour))?;
                Ok((loaded.plan, loaded.warnings.render(colour)))
            }
            Self::Addresses(listen, endpoints, admin) => {
                let mut plan = Plan::simple(listen.clone(), endpoints.clone());
                match admin {
                    None => {}
                    Some(AdminPlace::Off) => plan.server.admin = None,
                    Some(AdminPlace::At(address)) => plan.server.admin = Some(*address),
                }
                Ok((plan, String::new()))
            }
        }
    }

    fn path(&self) -> Option<&Path> {
        match self {
            Self::File(path) => Some(path),
            Self::Addresses(..) => None,
        }
    }
}

/// `tidegate check`.
pub(crate) fn check(args: &cli::File) -> ExitCode {
    let colour = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    match Source::File(args.config.clone()).read(colour) {
        Ok((plan, warnings)) => {
            eprint!("{warnings}");
            println!(
                "{}: good, {} listener(s), {} route(s), {} upstream(s)",
                args.config.display(),
                plan.listeners.len(),
                plan.routes.len(),
                plan.upstreams.len()
            );
            ExitCode::SUCCESS
        }
        Err(text) => {
            eprint!("{text}");
            ExitCode::FAILURE
        }
    }
}

/// `tidegate run`.
pub(crate) fn run(args: cli::Run) -> ExitCode {
    let colour = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_ansi(colour)
        .with_target(false)
        .with_env_filter(tracing_subscriber::EnvFilter::try_from_env("TIDEGATE_LOG").unwrap_or_else(|_| {
            tracing_subscriber::EnvFilter::new("info,hickory_net=error,hickory_resolver=error")
        }))
        .init();
    let source = match source(args) {
        Ok(source) => source,
        Err(text) => return fail(&text),
    };
    let (plan, warnings) = match source.read(colour) {
        Ok(read) => read,
        Err(text) => return fail(&text),
    };
    eprint!("{warnings}");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    match runtime {
        Ok(runtime) => runtime.block_on(serve(source, plan)),
        Err(error) => fail(&format!("error: cannot make an event queue: {error}\n")),
    }
}

fn source(args: cli::Run) -> Result<Source, String> {
    if !args.to.is_empty() {
        let listen = args.listen.map_or_else(|| config::parse_listen("127.0.0.1:8080"), Ok);
        let listen = listen.map_err(|error| format!("error: {error}\n"))?;
        return Ok(Source::Addresses(listen, args.to, args.admin));
    }
    let path = args.config.unwrap_or_else(|| PathBuf::from(DEFAULT_FILE));
    Ok(Source::File(path))
}

fn fail(text: &str) -> ExitCode {
    eprint!("{text}");
    ExitCode::FAILURE
}

/// From a plan to the exit.
async fn serve(source: Source, mut plan: Plan) -> ExitCode {
    if let Some(unfit) = fit_connections(&mut plan) {
        tracing::warn!("{unfit}");
    }
    // One shard for each thread, one for probes and names, one for what operators order.
    let signals = Signals::new(plan.server.threads + 2);
    let (admin, watch) = (plan.server.admin, plan.server.watch);
    // The admin address is taken first: a second Tidegate by mistake ends here, before it takes traffic.
    let admin_socket = match admin.map(bind_admin).transpose() {
        Ok(socket) => socket,
        Err(text) => return fail(&text),
    };
    let described = describe(&plan);
    let server = match Server::start(plan, Arc::clone(&signals)) {
        Ok(server) => server,
        Err(error) => return fail(&format!("error: {error}\n")),
    };
    for address in server.addresses() {
        tracing::info!("listening on {}{described}", shown(&address));
    }
    let (wake, mut asked) = mpsc::channel(1);
    let control = Arc::new(Control::new(server, source, Arc::clone(&signals), wake));
    let stop = Arc::new(tokio::sync::Notify::new());
    let admin_task = admin_socket.map(|socket| {
        tracing::info!(
            "admin on http://{}",
            socket.local_addr().map_or_else(|_| String::new(), |a| a.to_string())
        );
        let stop = Arc::clone(&stop);
        let shared: Arc<dyn admin::Control> = Arc::clone(&control) as _;
        tokio::spawn(admin::serve(socket, signals, shared, async move { stop.notified().await }))
    });
    let _watching = watch.then(|| watch_file(&control)).flatten();
    if let Err(error) = until_told_to_stop(&control, &mut asked).await {
        return fail(&format!("error: cannot listen to signals: {error}\n"));
    }
    tokio::select! {
        () = leave(&control) => {}
        () = told_again() => tracing::warn!("told again, leaving at once"),
    }
    stop.notify_one();
    if let Some(task) = admin_task {
        // The admin listener has said why if it did not end well.
        let _ = task.await;
    }
    ExitCode::SUCCESS
}

/// Lets balancers in front turn away, then finishes what is in flight.
async fn leave(control: &Control) {
    let shutdown = control.shared().live().plan.server.shutdown.clone();
    control.fail_readiness();
    if !shutdown.lame_duck.is_zero() {
        tracing::info!("leaving: not ready, still serving for {:?}", shutdown.lame_duck);
        tokio::time::sleep(shutdown.lame_duck).await;
    }
    tracing::info!("draining for up to {:?}", shutdown.drain);
    let cut = match control.take_server() {
        Some(server) => server.shut_down(shutdown.drain).await,
        None => 0,
    };
    match cut {
        0 => tracing::info!("stopped"),
        cut => tracing::warn!("stopped, {cut} connection(s) were cut off"),
    }
}

/// Waits for one more signal to stop. Where none can be listened to, there is none.
async fn told_again() {
    let (Ok(mut terminate), Ok(mut interrupt)) =
        (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}

/// Reloads and reopens as signals say, until one says to stop.
async fn until_told_to_stop(control: &Arc<Control>, asked: &mut mpsc::Receiver<()>) -> std::io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    let mut user1 = signal(SignalKind::user_defined1())?;
    loop {
        tokio::select! {
            _ = terminate.recv() => return Ok(()),
            _ = interrupt.recv() => return Ok(()),
            _ = hang_up.recv() => drop(control.reload_now()),
            _ = user1.recv() => control.reopen_log(),
            Some(()) = asked.recv() => {
                tokio::time::sleep(SETTLE).await;
                while asked.try_recv().is_ok() {}
                drop(control.reload_now());
            }
        }
    }
}

/// Asks for a reload whenever the file changes. Editors replace files, so its folder is watched.
fn watch_file(control: &Arc<Control>) -> Option<notify::RecommendedWatcher> {
    let path = control.source().path()?.to_owned();
    let folder =
        path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new(".")).to_owned();
    let name = path.file_name()?.to_owned();
    let wake = control.wake();
    let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        let Ok(event) = event else { return };
        let changes = event.kind.is_modify() || event.kind.is_create() || event.kind.is_remove();
        if changes && event.paths.iter().any(|path| path.file_name() == Some(&name)) {
            // A full channel holds a wish already.
            let _ = wake.try_send(());
        }
    });
    let started = watcher.and_then(|mut watcher| {
        watcher.watch(&folder, RecursiveMode::NonRecursive)?;
        Ok(watcher)
    });
    match started {
        Ok(watcher) => Some(watcher),
        Err(error) => {
            tracing::warn!("cannot watch {}: {error}; reload with SIGHUP or tidegate reload", path.display());
            None
        }
    }
}

fn bind_admin(address: std::net::SocketAddr) -> Result<std::net::TcpListener, String> {
    std::net::TcpListener::bind(address).map_err(|error| {
        format!(
            "error: cannot listen on {address} for admin: {error}\nhelp: is Tidegate running already? another \
             address is set by [server] admin = \"…\" or --admin, \"off\" does without\n"
        )
    })
}

/// Takes as many descriptors as the system gives, but for a few that are kept back for the admin listener, and holds no
/// more connections than they allow. A connection at work needs two, an idle one needs one: three quarters of the
/// descriptors go to clients. If that is fewer than configured, it is said, for a person.
pub(crate) fn fit_connections(plan: &mut Plan) -> Option<String> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let current = limit.maximum.map(|maximum| maximum - admin::kept_back(maximum));
    // Not being allowed to leaves the limit where it is.
    let descriptors = match setrlimit(Resource::Nofile, Rlimit { current, ..limit }) {
        Ok(()) => limit.maximum?,
        Err(_) => limit.current?,
    };
    let most = (descriptors.saturating_sub(SPARE_DESCRIPTORS) / 4 * 3).max(16) as usize;
    let wanted = plan.server.limits.connections;
    plan.server.limits.connections = wanted.min(most);
    (wanted > most).then(|| {
        format!(
            "connections limited to {most} instead of {wanted}: this process may open {descriptors} descriptors (ulimit -n)"
        )
    })
}

fn describe(plan: &Plan) -> String {
    match plan.upstreams.as_slice() {
        [only] if plan.routes.len() == 1 => {
            let endpoints: Vec<String> = only
                .endpoints
                .iter()
                .map(|endpoint| match &endpoint.address {
                    EndpointAddress::Ip(address) => address.to_string(),
                    EndpointAddress::Unix(path) => format!("unix:{}", path.display()),
                    EndpointAddress::Name(name, port) => format!("{name}:{port}"),
                })
                .collect();
            format!(" → {}", endpoints.join(", "))
        }
        _ => format!(", {} route(s), {} upstream(s)", plan.routes.len(), plan.upstreams.len()),
    }
}

/// An address as people write it.
pub(crate) fn shown(address: &ListenAddress) -> String {
    match address {
        ListenAddress::Tcp(address) => format!("http://{address}"),
        ListenAddress::Unix(path) => format!("unix:{}", path.display()),
    }
}
