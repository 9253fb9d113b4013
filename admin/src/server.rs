//! Connections of the admin listener: accepted, bounded, ended.

use core::pin::pin;
use core::time::Duration;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
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

/// Pause after an accept that failed for want of descriptors or memory.
const BREATH: Duration = Duration::from_millis(100);

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
        match listener.accept().await {
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
