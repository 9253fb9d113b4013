//! Database pools with defaults that survive a bad day: a bounded wait for a connection, a test before use, and a
//! recycling age.

use std::path::Path;
use std::time::Duration;

use sqlx::pool::PoolOptions;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};

/// How long a request waits for a connection before it is refused. Longer would only pile requests up.
const CHECKOUT_TIMEOUT: Duration = Duration::from_secs(3);
/// The age at which a connection is replaced: below the idle limits of common firewalls and of PostgreSQL proxies.
const RECYCLE_AFTER: Duration = Duration::from_hours(1);
/// How long a statement waits for another process's write to end.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Pool settings for any database: wait at most 3 s for a connection, test it before use, replace it after an hour.
pub fn options<DB: sqlx::Database>(connections_max: u32) -> PoolOptions<DB> {
    PoolOptions::new()
        .max_connections(connections_max)
        .acquire_timeout(CHECKOUT_TIMEOUT)
        .test_before_acquire(true)
        .max_lifetime(RECYCLE_AFTER)
}

/// Pool settings for SQLite: as [`options`], but without the test and the recycling. A file does not go away as a
/// server does, and the test would cost each query a second trip to the connection's thread.
pub fn sqlite_options(connections_max: u32) -> SqlitePoolOptions {
    options(connections_max).test_before_acquire(false).max_lifetime(None).idle_timeout(None)
}

/// Connection settings for a SQLite file that several processes share: write-ahead log (readers never wait for the
/// writer), 5 s of patience with another writer, foreign keys checked, sync at checkpoints (a power cut may lose the
/// last commits, never the file).
pub fn sqlite_file(path: impl AsRef<Path>) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Normal)
        .busy_timeout(BUSY_TIMEOUT)
        .foreign_keys(true)
        .pragma("temp_store", "memory")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_sqlite_pool_opens_a_file_with_a_write_ahead_log() {
        let folder = tempfile::tempdir().unwrap();
        let pool = sqlite_options(2).connect_with(sqlite_file(folder.path().join("app.db"))).await.unwrap();
        let mode: String = sqlx::query_scalar("PRAGMA journal_mode").fetch_one(&pool).await.unwrap();
        assert_eq!(mode, "wal");
    }

    #[tokio::test]
    async fn a_checkout_is_refused_after_three_seconds() {
        let folder = tempfile::tempdir().unwrap();
        let pool = sqlite_options(1).connect_with(sqlite_file(folder.path().join("app.db"))).await.unwrap();
        let _held = pool.acquire().await.unwrap();
        tokio::time::pause();
        let started = tokio::time::Instant::now();
        let refused = pool.acquire().await;
        assert!(matches!(refused, Err(sqlx::Error::PoolTimedOut)));
        assert!(started.elapsed() >= CHECKOUT_TIMEOUT);
    }
}
