//! A database from its URL to its tables, and what can go wrong with it. SQLite is the one that exists so far.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use sqlx::sqlite::{Sqlite, SqliteConnectOptions, SqliteConnection};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, Transaction};

use crate::Problem;

/// How long a starting process waits for another one that creates and fills the database.
const START_TIMEOUT: Duration = Duration::from_mins(1);
/// How long a start waits between two tries while SQLite says busy without waiting by itself.
const START_PAUSE: Duration = Duration::from_millis(20);

/// Why the database did not do as asked.
#[derive(Debug)]
pub enum DatabaseError {
    /// The URL names a database that this version does not speak to.
    Url(String),
    /// The file was made by a newer version of the program: the layout found, and the newest known.
    Newer(i64, i64),
    /// Another process held the write lock for longer than the busy timeout.
    Busy,
    /// No connection was free in time.
    Exhausted,
    /// Anything else that the database said.
    Sql(sqlx::Error),
}

/// The file that a URL (`sqlite://PATH`) or a path names.
///
/// # Errors
///
/// When it names another kind of database, or no file that processes can share.
pub fn sqlite_path(url: &str) -> Result<PathBuf, DatabaseError> {
    let refuse = |why: &str| Err(DatabaseError::Url(format!("database {url:?}: {why}")));
    let path = match url.split_once(':') {
        Some(("sqlite", rest)) => rest.strip_prefix("//").unwrap_or(rest),
        Some((scheme @ ("postgres" | "postgresql"), rest)) if rest.starts_with("//") => {
            // Such a URL usually holds a password, so the error does not repeat it.
            return Err(DatabaseError::Url(format!(
                "database {scheme}://…: PostgreSQL comes in a later version; until then give a path or sqlite://PATH"
            )));
        }
        Some((_, rest)) if rest.starts_with("//") => {
            return refuse("not a kind of database that is spoken to here; give a path or sqlite://PATH");
        }
        _ => url,
    };
    if path.is_empty() {
        return refuse("names no file; give a path such as app.db");
    }
    if path.starts_with(":memory:") {
        return refuse("every connection would see its own memory; give a path to a file");
    }
    if path.contains('?') {
        return refuse("parameters after ? are not read; give the path alone");
    }
    Ok(PathBuf::from(path))
}

/// Creates the tables of this `layout` (at least 1) by `fill`, unless that was done before. Safe to call from many
/// processes at once: one creates, the others wait, up to a minute. Returns whether this one created them.
///
/// # Errors
///
/// When the file cannot be opened, written or waited for, or has a newer layout.
pub async fn prepare_sqlite(
    options: &SqliteConnectOptions,
    layout: i64,
    fill: impl AsyncFnOnce(&mut Transaction<'_, Sqlite>) -> Result<(), DatabaseError>,
) -> Result<bool, DatabaseError> {
    let mut connection = connect(options).await?;
    // The write lock from the first statement on: of several processes one finds the file empty, the others wait
    // here until its commit and then find it filled.
    let mut transaction = connection.begin_with("BEGIN EXCLUSIVE").await?;
    let found: i64 = sqlx::query_scalar("PRAGMA user_version").fetch_one(&mut *transaction).await?;
    if found > layout {
        return Err(DatabaseError::Newer(found, layout));
    }
    let is_new = found == 0;
    if is_new {
        fill(&mut transaction).await?;
        let mark = AssertSqlSafe(format!("PRAGMA user_version = {layout}"));
        sqlx::raw_sql(mark).execute(&mut *transaction).await?;
        transaction.commit().await?;
    } else {
        transaction.rollback().await?;
    }
    connection.close().await?;
    Ok(is_new)
}

/// Opens the file. Switching a new file to the write-ahead log needs a lock for which SQLite does not wait by
/// itself, so a busy answer is tried again here.
async fn connect(options: &SqliteConnectOptions) -> Result<SqliteConnection, DatabaseError> {
    let started = Instant::now();
    let options = options.clone().busy_timeout(START_TIMEOUT);
    loop {
        match options.connect().await.map_err(DatabaseError::from) {
            Err(DatabaseError::Busy) if started.elapsed() < START_TIMEOUT => {
                tokio::time::sleep(START_PAUSE).await;
            }
            outcome => return outcome,
        }
    }
}

impl std::fmt::Display for DatabaseError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Url(what) => f.write_str(what),
            Self::Newer(found, known) => write!(
                f,
                "database: layout {found} was made by a newer version of this program, which knows {known}; update it"
            ),
            Self::Busy => f.write_str("database: another process is writing, try again"),
            Self::Exhausted => f.write_str("database: no connection was free in time, try again"),
            Self::Sql(error) => write!(f, "database: {error}"),
        }
    }
}

impl std::error::Error for DatabaseError {}

impl From<sqlx::Error> for DatabaseError {
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

impl From<DatabaseError> for Problem {
    fn from(error: DatabaseError) -> Self {
        let detail = error.to_string();
        match error {
            DatabaseError::Busy => Self::unavailable("database-busy", detail, 1),
            DatabaseError::Exhausted => Self::unavailable("database-exhausted", detail, 1),
            // What the database said is for the log; a client learns that it is not at fault.
            DatabaseError::Sql(_) | DatabaseError::Url(_) | DatabaseError::Newer(..) => {
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
            assert_eq!(sqlite_path(url).unwrap(), PathBuf::from("data/a.db"), "{url}");
        }
        assert_eq!(sqlite_path("sqlite:///srv/a.db").unwrap(), PathBuf::from("/srv/a.db"));
    }

    #[test]
    fn other_databases_are_refused_with_what_to_do_and_without_their_password() {
        let refused = |url| sqlite_path(url).unwrap_err().to_string();
        let postgres = refused("postgres://user:secret@host/db");
        assert!(postgres.contains("later version") && !postgres.contains("secret"), "{postgres}");
        assert!(refused("mysql://host/db").contains("sqlite://PATH"));
        assert!(refused("sqlite::memory:").contains("path to a file"));
        assert!(refused("sqlite://").contains("names no file"));
        assert!(refused("a.db?mode=ro").contains("not read"));
    }

    #[tokio::test]
    async fn tables_are_made_once_and_a_newer_file_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let options = crate::pool::sqlite_file(folder.path().join("app.db"));
        let prepare = async |layout| {
            prepare_sqlite(&options, layout, async |transaction| {
                sqlx::raw_sql("CREATE TABLE things (name TEXT)").execute(&mut **transaction).await?;
                Ok(())
            })
            .await
        };
        assert!(prepare(2).await.unwrap());
        assert!(!prepare(2).await.unwrap());
        assert!(matches!(prepare(1).await, Err(DatabaseError::Newer(2, 1))));
    }
}
