//! Accepting connections, and leaving without dropping a request.
//!
//! hyper drives each connection; what lives here is the bound on their number, the settings that suit a place behind
//! a proxy, and the order in which a stopping app lets go.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Semaphore, watch};

use crate::Checks;

/// Connections that may wait in the kernel for their accept.
const BACKLOG: u32 = 2_048;
/// The pause after a failed accept (such as out of file descriptors), so that the loop does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// The limits of a serving app.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Open connections at once; the next ones wait in the kernel's backlog. Default 20,000.
    pub connections_max: u32,
    /// How long a connection may stay idle between two requests, and how long a request's head may take. Longer
    /// than the proxy's own idle limit, so that the proxy closes first and never meets a closing connection.
    /// Default 75 s.
    pub keep_alive: Duration,
    /// After SIGTERM: how long to go on serving while `/ready` says no, so that the proxy's probes see it.
    /// Default 1 s.
    pub lame_duck: Duration,
    /// After the lame duck: how long requests in flight may take to end. Default 25 s, below the 30 s after which
    /// container platforms kill.
    pub drain: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections_max: 20_000,
            keep_alive: Duration::from_secs(75),
            lame_duck: Duration::from_secs(1),
            drain: Duration::from_secs(25),
        }
    }
}

/// Why an app stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// SIGTERM: whoever runs the app wants it gone without loss.
    Terminate,
    /// SIGINT: a person waits at a terminal, so the lame duck is skipped.
    Interrupt,
}

/// How an app stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stopped {
    /// Why.
    pub reason: Stop,
    /// Connections that were still busy when the drain's time was over; 0 is a clean stop.
    pub connections_cut: usize,
}

/// Listens on `address` (port 0: a free one) with a backlog of 2,048.
pub fn bind(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // A restarted app takes its port back while old connections linger in TIME_WAIT.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Raises the soft limit on open files to the hard one: each connection is a file, and the usual soft limit of
/// 1,024 is far below what an app can serve. Returns the limit that holds now; `None` means unlimited.
pub fn raise_open_file_limit() -> Option<u64> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    match setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }) {
        Ok(()) => maximum,
        Err(_) => current,
    }
}

/// Serves until SIGTERM or SIGINT, then stops as [`serve_until`] says. A second signal ends the drain at once.
///
/// # Errors
///
/// When the signal handlers cannot be installed.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    checks: &Checks,
    limits: Limits,
) -> std::io::Result<Stopped> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let (stop_sender, mut stop) = tokio::sync::mpsc::channel(2);
    let relay = tokio::spawn(async move {
        loop {
            let reason = tokio::select! {
                _ = terminate.recv() => Stop::Terminate,
                _ = interrupt.recv() => Stop::Interrupt,
            };
            if stop_sender.send(reason).await.is_err() {
                return;
            }
        }
    });
    let stopped = serve_until(listener, router, checks, limits, &mut stop).await;
    relay.abort();
    Ok(stopped)
}

/// Where a connection's task stands.
///
/// ```text
///   Serving ──(stop, lame duck over)──> Draining ──(drain over, or a second stop)──> Cut
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Serving,
    Draining,
    Cut,
}

/// Serves until a [`Stop`] arrives, then: readiness fails; after the lame duck no connection is accepted and idle
/// ones close; requests in flight end, within the drain's bound; what is left is cut. A second [`Stop`] skips to
/// the cut. A closed channel counts as [`Stop::Terminate`].
pub async fn serve_until(
    listener: TcpListener,
    router: Router,
    checks: &Checks,
    limits: Limits,
    stop: &mut tokio::sync::mpsc::Receiver<Stop>,
) -> Stopped {
    let (phase, _) = watch::channel(Phase::Serving);
    let connections = Arc::new(Semaphore::new(limits.connections_max as usize));

    let reason = tokio::select! {
        reason = stop.recv() => reason.unwrap_or(Stop::Terminate),
        never = accept_forever(&listener, &router, &connections, &phase, limits) => match never {},
    };
    tracing::info!(?reason, "stopping");
    checks.stop();
    let mut hurried = false;
    if reason == Stop::Terminate {
        tokio::select! {
            () = tokio::time::sleep(limits.lame_duck) => {}
            again = stop.recv() => hurried = again.is_some(),
            never = accept_forever(&listener, &router, &connections, &phase, limits) => match never {},
        }
    }
    drop(listener);
    phase.send_replace(Phase::Draining);

    // Every permit is back when every connection has ended.
    if !hurried {
        tokio::select! {
            _ = connections.acquire_many(limits.connections_max) => {}
            () = tokio::time::sleep(limits.drain) => {}
            Some(_) = stop.recv() => {}
        }
    }
    let connections_cut = limits.connections_max as usize - connections.available_permits();
    phase.send_replace(Phase::Cut);
    tracing::info!(connections_cut, "stopped");
    Stopped { reason, connections_cut }
}

async fn accept_forever(
    listener: &TcpListener,
    router: &Router,
    connections: &Arc<Semaphore>,
    phase: &watch::Sender<Phase>,
    limits: Limits,
) -> std::convert::Infallible {
    loop {
        let permit = Arc::clone(connections).acquire_owned().await.expect("the semaphore is never closed");
        let stream = loop {
            match listener.accept().await {
                Ok((stream, _)) => break stream,
                Err(error) => {
                    tracing::warn!(%error, "could not accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        };
        let (router, phase) = (router.clone(), phase.subscribe());
        tokio::spawn(async move {
            converse(stream, router, phase, limits.keep_alive).await;
            drop(permit);
        });
    }
}

/// One connection from its accept to its end.
async fn converse(
    stream: TcpStream,
    router: Router,
    mut phase: watch::Receiver<Phase>,
    keep_alive: Duration,
) {
    // Answers are written whole; waiting for more to send would only delay them. A failure costs nothing else.
    let _ = stream.set_nodelay(true);
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(keep_alive)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    let mut connection = std::pin::pin!(connection);
    loop {
        tokio::select! {
            ended = connection.as_mut() => {
                if let Err(error) = ended {
                    tracing::debug!(%error, "connection ended early");
                }
                return;
            }
            changed = phase.changed() => match *phase.borrow_and_update() {
                Phase::Draining if changed.is_ok() => connection.as_mut().graceful_shutdown(),
                _ => return,
            }
        }
    }
}
