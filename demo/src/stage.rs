//! The stage: everything is started in order, watched, and stopped in the opposite order.
//!
//! ```text
//!   starting ──(apps ready, then Tidegate)──> playing ──(Ctrl-C, SIGTERM)──────> stopping: Tidegate, then apps
//!      │                                        │ └─(an app dies)─> playing, one fewer
//!      └──(a part fails)──> stopping            └───(Tidegate dies)──> stopping
//! ```

use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::System;
use crate::child::Child;
use crate::ports;
use crate::program::{ADMIN_PORT, Addresses, LISTEN_PORT, PROCESSES};

/// How long a part may take until it answers.
const START_PATIENCE: Duration = Duration::from_mins(1);
/// How often a starting part is asked.
const ASK_EVERY: Duration = Duration::from_millis(50);
/// How long Tidegate may take to finish what is in flight; beyond the 30 s after which it gives up by itself.
const TIDEGATE_PATIENCE: Duration = Duration::from_secs(35);
/// How long an app may take once Tidegate is gone.
const APP_PATIENCE: Duration = Duration::from_secs(10);

/// Plays `system` until told to stop. Blocks.
pub(crate) fn run(system: System) -> ExitCode {
    // One thread: there is little to do, and the children have more need of the cores.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let outcome = match runtime {
        Ok(runtime) => runtime.block_on(play(system)),
        Err(error) => Err(format!("runtime: {error}")),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The two signals that end the play.
struct Curtain {
    interrupt: Signal,
    terminate: Signal,
}

impl Curtain {
    fn new() -> std::io::Result<Self> {
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    async fn falls(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

async fn play(system: System) -> Result<(), String> {
    let mut curtain = Curtain::new().map_err(|error| format!("signals: {error}"))?;
    let folder = tempfile::Builder::new().prefix("tidegate-demo-").tempdir();
    let folder = folder.map_err(|error| format!("temporary folder: {error}"))?;
    let mut cast = Cast { apps: Vec::new(), tidegate: None };
    let outcome = tokio::select! {
        outcome = perform(system, &folder, &mut cast) => outcome,
        () = curtain.falls() => Ok(()),
    };
    println!("\nStopping…");
    tokio::select! {
        () = cast.leave() => {}
        // A second signal: whatever is left is killed as it drops.
        () = curtain.falls() => {}
    }
    drop(cast);
    folder.close().map_err(|error| format!("temporary folder: {error}"))?;
    outcome
}

/// Everyone on stage.
struct Cast {
    apps: Vec<Child>,
    tidegate: Option<Child>,
}

impl Cast {
    /// Tidegate first, which lets requests in flight end; then the apps, which nobody asks any more.
    async fn leave(&mut self) {
        if let Some(tidegate) = &mut self.tidegate {
            tidegate.stop(TIDEGATE_PATIENCE).await;
        }
        for app in &mut self.apps {
            app.stop(APP_PATIENCE).await;
        }
    }
}

/// Starts everyone, tells the audience, and watches. Returns only when Tidegate or a start has failed.
async fn perform(system: System, folder: &TempDir, cast: &mut Cast) -> Result<(), String> {
    let addresses = addresses().map_err(|error| format!("free ports: {error}"))?;
    let token = token().map_err(|error| format!("random token: {error}"))?;
    println!("Starting {PROCESSES} processes of the app and Tidegate…");
    start_apps(system, folder, &addresses, &token, cast).await?;
    start_tidegate(system, folder, &addresses, cast).await?;

    for (what, used, usual) in
        [("traffic", addresses.listen, LISTEN_PORT), ("admin", addresses.admin, ADMIN_PORT)]
    {
        if used.port() != usual {
            println!("Port {usual} is taken, so {what} goes to port {}.", used.port());
        }
    }
    let pids: Vec<u32> = cast.apps.iter().map(|app| app.pid).collect();
    let program = std::env::args().next().unwrap_or_else(|| "demo".to_owned());
    println!("{}", system.invitation(&addresses, &pids, &program, &token));
    watch(cast).await
}

fn addresses() -> std::io::Result<Addresses> {
    let listen = ports::preferred(LISTEN_PORT)?;
    let admin = ports::preferred(ADMIN_PORT)?;
    Ok(Addresses { listen, admin, apps: ports::free(PROCESSES)? })
}

/// A token that guards the app, new each time: 128 random bits.
fn token() -> std::io::Result<String> {
    use std::io::Read as _;
    let mut bytes = [0; 16];
    std::fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(format!("{:032x}", u128::from_ne_bytes(bytes)))
}

async fn start_apps(
    system: System,
    folder: &TempDir,
    addresses: &Addresses,
    token: &str,
    cast: &mut Cast,
) -> Result<(), String> {
    let environment = [(system.token_variable().to_owned(), token.to_owned())];
    for (at, address) in addresses.apps.iter().enumerate() {
        let name = format!("{} {}", system.name(), at + 1);
        let args = system.app_args(folder.path(), *address);
        let app = Child::start(&name, folder.path(), args, &environment);
        cast.apps.push(app.map_err(|error| format!("{name}: {error}"))?);
    }
    for (app, address) in cast.apps.iter_mut().zip(&addresses.apps) {
        until_ready(app, *address).await?;
    }
    Ok(())
}

async fn start_tidegate(
    system: System,
    folder: &TempDir,
    addresses: &Addresses,
    cast: &mut Cast,
) -> Result<(), String> {
    let config = folder.path().join("tidegate.toml");
    std::fs::write(&config, system.config()).map_err(|error| format!("{}: {error}", config.display()))?;
    let args = ["tidegate".as_ref(), "run".as_ref(), "-c".as_ref(), config.as_os_str()];
    let tidegate = Child::start("tidegate", folder.path(), args, &system.environment(addresses));
    let tidegate = cast.tidegate.insert(tidegate.map_err(|error| format!("tidegate: {error}"))?);
    until_ready(tidegate, addresses.admin).await?;
    // Through the front as well: only then has a first probe found the apps.
    until_ready(tidegate, addresses.listen).await
}

/// Waits until `GET /ready` is answered by 200.
async fn until_ready(child: &mut Child, address: SocketAddr) -> Result<(), String> {
    let started = Instant::now();
    while started.elapsed() < START_PATIENCE {
        if is_ready(address).await {
            return Ok(());
        }
        if let Ok(Some(status)) = child.has_ended() {
            return Err(format!("{} ended at its start ({status}):\n{}", child.name, child.last_words()));
        }
        tokio::time::sleep(ASK_EVERY).await;
    }
    let waited_s = START_PATIENCE.as_secs();
    Err(format!("{} is not ready after {waited_s} s:\n{}", child.name, child.last_words()))
}

async fn is_ready(address: SocketAddr) -> bool {
    let ask = async {
        let mut stream = TcpStream::connect(address).await?;
        let request = format!("GET /ready HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await?;
        let mut status = [0; 12];
        stream.read_exact(&mut status).await?;
        Ok::<_, std::io::Error>(&status == b"HTTP/1.1 200")
    };
    matches!(tokio::time::timeout(Duration::from_secs(2), ask).await, Ok(Ok(true)))
}

/// Tells of apps that die, and returns when Tidegate does.
async fn watch(cast: &mut Cast) -> Result<(), String> {
    let Cast { apps, tidegate } = cast;
    let tidegate = tidegate.as_mut().expect("it was started before it is watched");
    loop {
        tokio::select! {
            status = tidegate.ended() => {
                let status = status.map_or_else(|error| error.to_string(), |status| status.to_string());
                return Err(format!("tidegate ended ({status}):\n{}", tidegate.last_words()));
            }
            (at, status) = any_ended(apps) => {
                let dead = apps.swap_remove(at);
                println!(
                    "{} (pid {}) ended: {status}. It is not started again; {} of {PROCESSES} go on.",
                    dead.name,
                    dead.pid,
                    apps.len()
                );
            }
        }
    }
}

/// The next app that ends, by its place; never, when none is left.
async fn any_ended(apps: &mut [Child]) -> (usize, String) {
    let mut waits: Vec<_> = apps.iter_mut().map(|app| Box::pin(app.ended())).collect();
    std::future::poll_fn(move |context| {
        for (at, wait) in waits.iter_mut().enumerate() {
            if let std::task::Poll::Ready(status) = wait.as_mut().poll(context) {
                let status = status.map_or_else(|error| error.to_string(), |status| status.to_string());
                return std::task::Poll::Ready((at, status));
            }
        }
        std::task::Poll::Pending
    })
    .await
}
