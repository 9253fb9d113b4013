//! The database of record, behind one type. Everything above speaks of filters, stocks and screens; SQL stays in
//! this folder. The database is chosen by URL; SQLite is the one that exists so far.

mod import;
mod schema;
mod screens;
mod select;

use kit::Problem;
use kit::database::{DatabaseError, sqlite_path};
use sqlx::sqlite::SqlitePool;

pub(crate) use import::Mode;
pub(crate) use screens::{NAME_MAX_BYTES, Screen};
pub(crate) use select::{Facet, Found};

/// Connections per process. Reads run beside each other, one connection each; more than a core or two can use
/// would only queue inside SQLite.
const CONNECTIONS_MAX: u32 = 4;

/// The database.
#[derive(Debug, Clone)]
pub(crate) struct Store {
    pool: SqlitePool,
}

/// What has changed how often. Each write raises one of them in its own transaction; each process compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(crate) struct Versions {
    /// Raised when stocks change.
    pub(crate) stocks: i64,
    /// Raised when saved screens change.
    pub(crate) screens: i64,
}

/// Why the database did not do as asked.
#[derive(Debug)]
pub enum StoreError {
    /// What any database may say.
    Database(DatabaseError),
    /// A screen of this name exists.
    NameTaken(String),
    /// As many screens are saved as may be.
    ScreensFull(i64),
    /// The import would leave more stocks than a universe may hold.
    UniverseFull(i64),
}

impl Store {
    /// Opens the database, creating and filling it when it is empty. Safe to call from many processes at once: one
    /// creates, the others wait.
    ///
    /// # Errors
    ///
    /// When the URL is not one of SQLite's, or the file cannot be opened, created or waited for.
    pub(crate) async fn open(url: &str, seed: u64, count: u32) -> Result<Self, StoreError> {
        let options = kit::pool::sqlite_file(sqlite_path(url)?).pragma("mmap_size", "268435456");
        schema::prepare(&options, seed, count).await?;
        let pool = kit::pool::sqlite_options(CONNECTIONS_MAX).connect_with(options).await?;
        Ok(Self { pool })
    }

    /// Closes every connection, which also folds the write-ahead log into the file if this process is the last.
    pub(crate) async fn close(&self) {
        self.pool.close().await;
    }

    /// What has changed how often, as of now.
    pub(crate) async fn versions(&self) -> Result<Versions, StoreError> {
        let (stocks, screens) =
            sqlx::query_as("SELECT stocks, screens FROM state").fetch_one(&self.pool).await?;
        Ok(Versions { stocks, screens })
    }

    /// Open connections and how many of them are idle.
    pub(crate) fn connections(&self) -> (u32, u32) {
        (self.pool.size(), self.pool.num_idle() as u32)
    }
}

impl std::fmt::Display for StoreError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Database(error) => error.fmt(f),
            Self::NameTaken(name) => write!(f, "a screen named {name:?} exists already"),
            Self::ScreensFull(max) => write!(f, "{max} screens are saved already, delete one first"),
            Self::UniverseFull(max) => write!(f, "more than {max} stocks would be in the universe"),
        }
    }
}

impl std::error::Error for StoreError {}

impl From<DatabaseError> for StoreError {
    fn from(error: DatabaseError) -> Self {
        Self::Database(error)
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error.into())
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        use axum::http::StatusCode;
        let detail = error.to_string();
        match error {
            StoreError::Database(error) => error.into(),
            StoreError::NameTaken(_) => Self::new(StatusCode::CONFLICT, "name-taken", detail),
            StoreError::ScreensFull(_) => Self::new(StatusCode::CONFLICT, "screens-full", detail),
            StoreError::UniverseFull(_) => Self::new(StatusCode::CONFLICT, "universe-full", detail),
        }
    }
}
