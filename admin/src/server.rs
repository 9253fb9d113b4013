//! Connections of the admin listener: accepted, bounded, ended.

use core::future::poll_fn;
use core::net::SocketAddr;
use core::pin::pin;
use core::task::Poll;
use core::time::Duration;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use rustix::io::Errno;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use signals::Signals;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time;

use crate::control::Control;
use crate::handlers::{self, Desk};
use crate::rates::{self, Rates};

/// Connections at once; more wait to be accepted.
const CONNECTIONS: usize = 64;

/// A head must arrive within this time; an idle connection is closed after it.
const HEAD: Duration = Duration::from_secs(30);

/// Longest head in bytes.
const HEAD_BYTES: usize = 32 * 1024;

/// A connection lives no longer, so that a client that stops reading cannot hold its place for ever.
const LIFETIME: Duration = Duration::from_mins(10);

/// How long requests in flight may take after the end was announced.
const GRACE: Duration = Duration::from_secs(5);

/// Most descriptors that are kept back: for those who scrape, and for somebody who looks what is wrong.
const KEPT_BACK: u64 = 16;

/// Pause after an accept that failed for want of descriptors or memory.
const BREATH: Duration = Duration::from_millis(100);

/// Descriptors that a process of so many keeps back for the admin listener. It sets itself a limit that is lower by them
/// than the system's, and only who asks here goes past it.
pub const fn kept_back(maximum: u64) -> u64 {
    let share = maximum / 8;
    if share < KEPT_BACK { share } else { KEPT_BACK }
}

/// Serves the admin listener until `shutdown` is ready, then finishes what is in flight. To be awaited on a tokio
/// runtime with time and IO switched on.
///
/// # Errors
/// The listener cannot be used by the runtime.
pub async fn serve(
    listener: std::net::TcpListener,
    signals: Arc<Signals>,
    control: Arc<dyn Control>,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    let listener = TcpListener::from_std(listener)?;
    let desk = Arc::new(Desk { signals, control, rates: Mutex::new(Rates::default()) });
    let mut connections = JoinSet::new();
    let (ending, ended) = watch::channel(());
    tokio::select! {
        () = shutdown => {}
        () = sample(&desk) => {}
        () = accept(listener, handlers::router(Arc::clone(&desk)), ended, &mut connections) => {}
    }
    drop(ending);
    let all = async { while connections.join_next().await.is_some() {} };
    if time::timeout(GRACE, all).await.is_err() {
        connections.shutdown().await;
    }
    Ok(())
}

async fn sample(desk: &Desk) {
    let mut ticks = time::interval(rates::EVERY);
    ticks.set_missed_tick_behavior(time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let totals = desk.signals.totals();
        desk.rates.lock().unwrap_or_else(PoisonError::into_inner).sample(Instant::now(), &totals);
    }
}

async fn accept(
    listener: TcpListener,
    router: Router,
    ended: watch::Receiver<()>,
    connections: &mut JoinSet<()>,
) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        // The semaphore is never closed.
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        let accepted = match listener.accept().await {
            Err(error) if error.raw_os_error() == Some(Errno::MFILE.raw_os_error()) => {
                match accept_all_the_same(&listener).await {
                    Poll::Ready(accepted) => accepted,
                    // The system looks for a descriptor before it looks whether anybody is there.
                    Poll::Pending => continue,
                }
            }
            accepted => accepted,
        };
        match accepted {
            Ok((stream, _)) => {
                let (router, ended) = (router.clone(), ended.clone());
                connections.spawn(async move {
                    let _ = time::timeout(LIFETIME, connection(stream, router, ended)).await;
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!("admin: cannot accept: {error}");
                time::sleep(BREATH).await;
            }
        }
        while connections.try_join_next().is_some() {}
    }
}

/// Accepts who is there with a descriptor that was kept back. The limit is that of the whole process, so it is raised for
/// no longer than this call.
async fn accept_all_the_same(listener: &TcpListener) -> Poll<io::Result<(TcpStream, SocketAddr)>> {
    let limit = getrlimit(Resource::Nofile);
    // Where the limit cannot be changed, there is no descriptor, and that is said.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
    let accepted = poll_fn(|cx| Poll::Ready(listener.poll_accept(cx))).await;
    let _ = setrlimit(Resource::Nofile, limit);
    accepted
}

async fn connection(stream: TcpStream, router: Router, mut ended: watch::Receiver<()>) {
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEAD).max_buf_size(HEAD_BYTES);
    let mut connection =
        pin!(builder.serve_connection(TokioIo::new(stream), TowerToHyperService::new(router)));
    // Errors are the client's: it left, or sent what is no request. It has been answered where that was possible.
    tokio::select! {
        _ = connection.as_mut() => {}
        // The sender is dropped when the end has come.
        _ = ended.changed() => {
            connection.as_mut().graceful_shutdown();
            let _ = connection.await;
        }
    }
}
