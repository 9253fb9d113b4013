//! The app put together: pages, database, router; and its life from start to stop.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use kit::{Checks, Limits, Metrics, ServeError};

use crate::contact::Outcomes;
use crate::options::Options;
use crate::pace::Pace;
use crate::page::Pages;
use crate::routes;
use crate::store::{Store, StoreError};

/// The longest that any answer may take; a form that trickles in for longer is no person's.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a connection from Tidegate may stay idle. Its own bound in tidegate.toml is shorter, so that it closes
/// first.
const KEEP_ALIVE: Duration = Duration::from_secs(5);

/// Why the site did not start, or stopped.
#[derive(Debug)]
pub enum Error {
    /// It cannot begin to serve.
    Serve(ServeError),
    /// The URL names no database that there is.
    Store(StoreError),
}

/// What every handler can reach.
#[derive(Debug)]
pub(crate) struct App {
    pub(crate) pages: Pages,
    pub(crate) store: Store,
    pub(crate) pace: Pace,
    pub(crate) outcomes: Outcomes,
    pub(crate) owner_token: Option<String>,
}

/// Serves until SIGTERM or SIGINT. Blocks.
///
/// # Errors
///
/// When it cannot start; see [`Error`].
pub fn run(options: Options) -> Result<(), Error> {
    let serving = options.serve.clone();
    serving.block_on(serve(options))
}

async fn serve(options: Options) -> Result<(), Error> {
    kit::raise_open_file_limit();
    let app = Arc::new(App {
        pages: Pages::render(),
        store: Store::new(&options.database, options.messages_max)?,
        pace: Pace::new(options.messages_per_hour, Instant::now()),
        outcomes: Outcomes::default(),
        owner_token: options.owner_token,
    });
    tokio::spawn(open_store(Arc::clone(&app)));

    let metrics = Metrics::new();
    metrics.register(|registry| app.outcomes.register(registry));
    let checks = Arc::new(checks(&app));
    let router: Router = routes::all().with_state(Arc::clone(&app));
    let router = kit::watch(kit::at_most(router, options.in_flight_max), &metrics, &checks, REQUEST_TIMEOUT);

    let listener = options.serve.listen()?;
    let limits = Limits { keep_alive: KEEP_ALIVE, ..options.serve.limits() };
    let stopped = kit::serve(listener, router, &checks, limits).await;
    app.store.close().await;
    stopped.map(drop).map_err(|error| ServeError::Runtime(error).into())
}

/// Beside the start, since pages need no database.
async fn open_store(app: Arc<App>) {
    if let Err(error) = app.store.check().await {
        tracing::warn!(%error, "no message can be stored yet; the pages are served");
    }
}

fn checks(app: &Arc<App>) -> Checks {
    let app = Arc::clone(app);
    Checks::new().with("database", move || {
        let app = Arc::clone(&app);
        async move {
            match app.store.check().await {
                Ok(count) => Ok(format!("{count} messages")),
                Err(error) => Err(error.to_string()),
            }
        }
    })
}

impl From<ServeError> for Error {
    fn from(error: ServeError) -> Self {
        Self::Serve(error)
    }
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Serve(error) => error.fmt(f),
            Self::Store(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for Error {}
