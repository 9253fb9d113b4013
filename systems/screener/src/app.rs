//! The app put together: database, kept answers, router; and its life from start to stop.
//!
//! Several processes may serve one database file. A process that writes raises a version in the same transaction.
//! The others learn of it in two ways: each asks for the versions twice a second, which bounds how old their JSON can
//! be; and before a page is answered they are asked for then and there, since a person who has just saved a screen
//! may be answered by another process and wants to see it.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use kit::{Checks, Metrics, ServeError};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric as _};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::gauge::ConstGauge;

use crate::answers::Answers;
use crate::options::Options;
use crate::store::{Store, StoreError};
use crate::{csv, routes};

/// How often a process asks whether another one has written.
const POLL_EVERY: Duration = Duration::from_millis(500);
/// The longest that any answer may take, an upload of the largest file included.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// Why the screener did not start, or stopped.
#[derive(Debug)]
pub enum Error {
    /// It cannot begin to serve.
    Serve(ServeError),
    /// The database cannot be used.
    Store(StoreError),
    /// The file to import cannot be read.
    ImportFile(std::path::PathBuf, std::io::Error),
    /// The file to import is wrong in these places.
    ImportRows(std::path::PathBuf, Vec<kit::FieldError>),
}

/// What every handler can reach.
#[derive(Debug)]
pub(crate) struct App {
    pub(crate) store: Store,
    pub(crate) answers: Answers,
    pub(crate) import_token: Option<String>,
}

impl App {
    /// Learns of what any process has written until now.
    pub(crate) async fn refresh(&self) -> Result<(), StoreError> {
        self.answers.note(self.store.versions().await?);
        Ok(())
    }
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
    let store = Store::open(&options.database, options.seed, options.count).await?;
    if let Some(file) = &options.import {
        import_at_start(&store, file).await?;
    }
    let app = Arc::new(App { store, answers: Answers::new(), import_token: options.import_token });
    app.refresh().await?;

    let metrics = Metrics::new();
    register(&metrics, &app);
    let checks = Arc::new(checks(&app));
    let router: Router = routes::all().router.with_state(Arc::clone(&app));
    let router = kit::watch(router, &metrics, &checks, REQUEST_TIMEOUT);

    let listener = options.serve.listen()?;
    let poll = tokio::spawn(poll(Arc::clone(&app)));
    let stopped = kit::serve(listener, router, &checks, options.serve.limits()).await;
    poll.abort();
    app.store.close().await;
    stopped.map(drop).map_err(|error| ServeError::Runtime(error).into())
}

async fn import_at_start(store: &Store, file: &std::path::Path) -> Result<(), Error> {
    let unreadable = |error| Error::ImportFile(file.to_owned(), error);
    let size = tokio::fs::metadata(file).await.map_err(unreadable)?.len();
    if size > csv::FILE_MAX_BYTES as u64 {
        let message = format!("{size} bytes, of at most {}", csv::FILE_MAX_BYTES);
        return Err(Error::ImportRows(file.to_owned(), vec![kit::FieldError::new("file", message)]));
    }
    let bytes = Bytes::from(tokio::fs::read(file).await.map_err(unreadable)?);
    let listings = csv::read(&bytes).map_err(|errors| Error::ImportRows(file.to_owned(), errors))?;
    if let Some(imported) = store.import_once(&bytes, &listings).await? {
        tracing::info!(?file, imported = imported.imported, "imported");
    } else {
        tracing::info!(?file, "imported before, nothing to do");
    }
    Ok(())
}

fn checks(app: &Arc<App>) -> Checks {
    let store = app.store.clone();
    Checks::new().with("database", move || {
        let store = store.clone();
        async move {
            match store.count().await {
                Ok(count) => Ok(format!("{count} stocks")),
                Err(error) => Err(error.to_string()),
            }
        }
    })
}

async fn poll(app: Arc<App>) {
    let mut ticks = tokio::time::interval(POLL_EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut is_failing = false;
    loop {
        ticks.tick().await;
        match app.refresh().await {
            Ok(()) => is_failing = false,
            Err(error) if !is_failing => {
                is_failing = true;
                tracing::warn!(%error, "cannot see what other processes write; answers may be old");
            }
            Err(_) => {}
        }
    }
}

fn register(metrics: &Metrics, app: &Arc<App>) {
    metrics.register(|registry| {
        registry.register(
            "screener_answer_lookups",
            "Lookups among the kept answers; a falling share of hits means more questions than memory",
            app.answers.lookups(),
        );
        registry.register_collector(Box::new(Gauges(Arc::clone(app))));
    });
}

/// What is read only when it is scraped.
#[derive(Debug)]
struct Gauges(Arc<App>);

impl Collector for Gauges {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let (open, idle) = self.0.store.connections();
        let gauges = [
            ("screener_database_connections", "Open database connections", i64::from(open)),
            (
                "screener_database_connections_idle",
                "Database connections that wait for work; none for long means that queries queue",
                i64::from(idle),
            ),
        ];
        for (name, help, value) in gauges {
            let descriptor = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            ConstGauge::new(value).encode(descriptor)?;
        }
        self.0.answers.encode(encoder)
    }
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
            Self::ImportFile(file, error) => write!(f, "import {}: {error}", file.display()),
            Self::ImportRows(file, errors) => {
                write!(f, "import {}: nothing was imported", file.display())?;
                errors.iter().try_for_each(|error| {
                    let line = error.line.map_or(String::new(), |line| format!("line {line}: "));
                    write!(f, "\n  {line}{}: {}", error.field, error.message)?;
                    error.help.iter().try_for_each(|help| write!(f, "; {help}"))
                })
            }
        }
    }
}

impl std::error::Error for Error {}
