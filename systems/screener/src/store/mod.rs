//! The database of record, behind one type. Everything above speaks of filters, stocks and screens; SQL stays in
//! this folder. The database is chosen by URL; SQLite is the one that exists so far.

mod import;
mod schema;
mod screens;
mod select;

use std::path::PathBuf;
use std::time::Duration;

use kit::Problem;
use sqlx::sqlite::SqlitePool;

pub(crate) use import::Mode;
pub(crate) use screens::{NAME_MAX_BYTES, Screen};
pub(crate) use select::{Facet, Found};

/// Connections per process. Reads run beside each other, one connection each; more than a core or two can use
/// would only queue inside SQLite.
const CONNECTIONS_MAX: u32 = 4;
/// How long a starting process waits for another one that creates and fills the database.
const START_TIMEOUT: Duration = Duration::from_mins(1);
/// How long a start waits between two tries while SQLite says busy without waiting by itself.
const START_PAUSE: Duration = Duration::from_millis(20);

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
    /// The URL names a database that this version does not speak to.
    Url(String),
    /// The file was made by a newer version of this program.
    Newer(i64),
    /// Another process held the write lock for longer than the busy timeout.
    Busy,
    /// No connection was free in time.
    Exhausted,
    /// A screen of this name exists.
    NameTaken(String),
    /// As many screens are saved as may be.
    ScreensFull(i64),
    /// The import would leave more stocks than a universe may hold.
    UniverseFull(i64),
    /// Anything else that the database said.
    Sql(sqlx::Error),
}

impl Store {
    /// Opens the database, creating and filling it when it is empty. Safe to call from many processes at once: one
    /// creates, the others wait.
    ///
    /// # Errors
    ///
    /// When the URL is not one of SQLite's, or the file cannot be opened, created or waited for.
    pub(crate) async fn open(url: &str, seed: u64, count: u32) -> Result<Self, StoreError> {
        let options = kit::pool::sqlite_file(path(url)?).pragma("mmap_size", "268435456");
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

/// The file that a URL or path names.
fn path(url: &str) -> Result<PathBuf, StoreError> {
    let refuse = |why: &str| Err(StoreError::Url(format!("database {url:?}: {why}")));
    let path = match url.split_once(':') {
        Some(("sqlite", rest)) => rest.strip_prefix("//").unwrap_or(rest),
        Some(("postgres" | "postgresql", rest)) if rest.starts_with("//") => {
            return refuse_without_secrets(url);
        }
        Some((_, rest)) if rest.starts_with("//") => {
            return refuse(
                "not a kind of database that the screener speaks to; give a path or sqlite://PATH",
            );
        }
        _ => url,
    };
    if path.is_empty() {
        return refuse("names no file; give a path such as screener.db");
    }
    if path.starts_with(":memory:") {
        return refuse("every connection would see its own memory; give a path to a file");
    }
    if path.contains('?') {
        return refuse("parameters after ? are not read; give the path alone");
    }
    Ok(PathBuf::from(path))
}

/// A PostgreSQL URL usually holds a password, so the error does not repeat it.
fn refuse_without_secrets(url: &str) -> Result<PathBuf, StoreError> {
    let scheme = url.split(':').next().unwrap_or_default();
    Err(StoreError::Url(format!(
        "database {scheme}://…: PostgreSQL comes in a later version; until then give a path or sqlite://PATH"
    )))
}

impl std::fmt::Display for StoreError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Url(what) => f.write_str(what),
            Self::Newer(version) => write!(
                f,
                "database: layout {version} was made by a newer screener, this one knows {}; update it",
                schema::LAYOUT
            ),
            Self::Busy => f.write_str("database: another process is writing, try again"),
            Self::Exhausted => f.write_str("database: no connection was free in time, try again"),
            Self::NameTaken(name) => write!(f, "a screen named {name:?} exists already"),
            Self::ScreensFull(max) => write!(f, "{max} screens are saved already, delete one first"),
            Self::UniverseFull(max) => write!(f, "more than {max} stocks would be in the universe"),
            Self::Sql(error) => write!(f, "database: {error}"),
        }
    }
}

impl std::error::Error for StoreError {}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        // SQLITE_BUSY is 5; its extended codes keep that in their low byte (sqlite.org/rescode.html).
        let code = error.as_database_error().and_then(|error| error.code()?.parse::<u32>().ok());
        match (&error, code) {
            (sqlx::Error::PoolTimedOut, _) => Self::Exhausted,
            (_, Some(code)) if code & 0xff == 5 => Self::Busy,
            _ => Self::Sql(error),
        }
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        use axum::http::StatusCode;
        let detail = error.to_string();
        match error {
            StoreError::Busy => Self::unavailable("database-busy", detail, 1),
            StoreError::Exhausted => Self::unavailable("database-exhausted", detail, 1),
            StoreError::NameTaken(_) => Self::new(StatusCode::CONFLICT, "name-taken", detail),
            StoreError::ScreensFull(_) => Self::new(StatusCode::CONFLICT, "screens-full", detail),
            StoreError::UniverseFull(_) => Self::new(StatusCode::CONFLICT, "universe-full", detail),
            // What the database said is for the log; a client learns that it is not at fault.
            StoreError::Sql(_) | StoreError::Url(_) | StoreError::Newer(_) => {
                tracing::error!(error = detail, "the database failed");
                Self::unavailable("database-failed", "the database cannot answer now", 5)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_is_a_path_with_or_without_its_scheme() {
        for url in ["data/a.db", "sqlite:data/a.db", "sqlite://data/a.db"] {
            assert_eq!(path(url).unwrap(), PathBuf::from("data/a.db"), "{url}");
        }
        assert_eq!(path("sqlite:///srv/a.db").unwrap(), PathBuf::from("/srv/a.db"));
    }

    #[test]
    fn other_databases_are_refused_with_what_to_do_and_without_their_password() {
        let refused = |url| path(url).unwrap_err().to_string();
        let postgres = refused("postgres://user:secret@host/db");
        assert!(postgres.contains("later version") && !postgres.contains("secret"), "{postgres}");
        assert!(refused("mysql://host/db").contains("sqlite://PATH"));
        assert!(refused("sqlite::memory:").contains("path to a file"));
        assert!(refused("sqlite://").contains("names no file"));
        assert!(refused("a.db?mode=ro").contains("not read"));
    }
}
