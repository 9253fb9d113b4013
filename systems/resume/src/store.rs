//! The messages of record. SQL stays in this file. The database is chosen by URL; SQLite is the one that exists so
//! far.
//!
//! The file is opened by whoever needs it first and succeeds, so that a site whose database is away at the start
//! still shows its pages, and takes messages as soon as it is there.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use kit::Problem;
use kit::database::{DatabaseError, prepare_sqlite, sqlite_path};
use serde::Serialize;
use sqlx::sqlite::SqlitePool;
use tokio::sync::OnceCell;

use crate::message::Message;

/// The layout that this version reads and writes.
const LAYOUT: i64 = 1;
const TABLES: &str = "
-- Ids are never used twice, so that a deletion can never meet a later message.
CREATE TABLE messages (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    received_at  TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%SZ', 'now')),
    name         TEXT NOT NULL,
    email        TEXT NOT NULL,
    text         TEXT NOT NULL
) STRICT;
";
/// Connections per process: messages are few and short.
const CONNECTIONS_MAX: u32 = 2;

/// The database.
#[derive(Debug)]
pub(crate) struct Store {
    path: PathBuf,
    messages_max: i64,
    opened: OnceCell<Opened>,
}

#[derive(Debug)]
struct Opened {
    pool: SqlitePool,
    /// Device and inode of the file: SQLite would go on writing to a file that was moved away or deleted.
    file: (u64, u64),
}

/// A message that was stored.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub(crate) struct Stored {
    pub(crate) id: i64,
    /// In UTC.
    pub(crate) received_at: String,
    pub(crate) name: String,
    pub(crate) email: String,
    pub(crate) text: String,
}

/// What whoever wrote a message may know of it.
#[derive(Debug, Clone, Serialize, sqlx::FromRow)]
pub(crate) struct Receipt {
    pub(crate) id: i64,
    pub(crate) received_at: String,
}

/// Why the database did not do as asked.
#[derive(Debug)]
pub enum StoreError {
    /// What any database may say.
    Database(DatabaseError),
    /// The file is not where it was opened, or is another one.
    Gone(PathBuf),
    /// As many messages are stored as may be.
    Full(i64),
}

impl Store {
    /// Names the database without opening it.
    ///
    /// # Errors
    ///
    /// When the URL is not one of SQLite's.
    pub(crate) fn new(url: &str, messages_max: u32) -> Result<Self, StoreError> {
        Ok(Self { path: sqlite_path(url)?, messages_max: messages_max.into(), opened: OnceCell::new() })
    }

    /// Whether a message could be stored now; how many are.
    pub(crate) async fn check(&self) -> Result<i64, StoreError> {
        // A statement that could write, of a message that cannot be: a file that can only be read is found out here,
        // not by a visitor. SQLite makes a transaction that only reads of any other beginning.
        let mut transaction = self.pool().await?.begin_with("BEGIN IMMEDIATE").await?;
        sqlx::query("DELETE FROM messages WHERE id = 0").execute(&mut *transaction).await?;
        let count = sqlx::query_scalar("SELECT count(*) FROM messages").fetch_one(&mut *transaction).await?;
        transaction.rollback().await?;
        Ok(count)
    }

    /// Stores a message.
    pub(crate) async fn add(&self, message: &Message) -> Result<Receipt, StoreError> {
        let mut transaction = self.pool().await?.begin_with("BEGIN IMMEDIATE").await?;
        let count: i64 =
            sqlx::query_scalar("SELECT count(*) FROM messages").fetch_one(&mut *transaction).await?;
        if count >= self.messages_max {
            return Err(StoreError::Full(self.messages_max));
        }
        let insert = "INSERT INTO messages (name, email, text) VALUES (?, ?, ?) RETURNING id, received_at";
        let insert = sqlx::query_as(insert).bind(&message.name).bind(&message.email).bind(&message.text);
        let receipt = insert.fetch_one(&mut *transaction).await?;
        transaction.commit().await?;
        Ok(receipt)
    }

    /// Up to `count` messages, newest first, those before `before`; and how many there are in all.
    pub(crate) async fn list(&self, before: i64, count: u32) -> Result<(Vec<Stored>, i64), StoreError> {
        let mut transaction = self.pool().await?.begin().await?;
        let page =
            "SELECT id, received_at, name, email, text FROM messages WHERE id < ? ORDER BY id DESC LIMIT ?";
        let page = sqlx::query_as(page).bind(before).bind(count).fetch_all(&mut *transaction).await?;
        let total = sqlx::query_scalar("SELECT count(*) FROM messages").fetch_one(&mut *transaction).await?;
        Ok((page, total))
    }

    /// Deletes a message. One that is gone already is as good as deleted.
    pub(crate) async fn delete(&self, id: i64) -> Result<(), StoreError> {
        sqlx::query("DELETE FROM messages WHERE id = ?").bind(id).execute(self.pool().await?).await?;
        Ok(())
    }

    /// Closes every connection, which also folds the write-ahead log into the file if this process is the last.
    pub(crate) async fn close(&self) {
        if let Some(opened) = self.opened.get() {
            opened.pool.close().await;
        }
    }

    async fn pool(&self) -> Result<&SqlitePool, StoreError> {
        let opened = self.opened.get_or_try_init(|| self.open()).await?;
        if identity(&self.path).await? != opened.file {
            return Err(StoreError::Gone(self.path.clone()));
        }
        Ok(&opened.pool)
    }

    async fn open(&self) -> Result<Opened, StoreError> {
        let options = kit::pool::sqlite_file(&self.path);
        let create = prepare_sqlite(&options, LAYOUT, async |transaction| {
            sqlx::raw_sql(TABLES).execute(&mut **transaction).await?;
            Ok(())
        });
        if create.await? {
            tracing::info!("created the database");
        }
        let pool = kit::pool::sqlite_options(CONNECTIONS_MAX).connect_with(options).await?;
        Ok(Opened { pool, file: identity(&self.path).await? })
    }
}

async fn identity(path: &Path) -> Result<(u64, u64), StoreError> {
    match tokio::fs::metadata(path).await {
        Ok(file) => Ok((file.dev(), file.ino())),
        Err(_) => Err(StoreError::Gone(path.to_owned())),
    }
}

impl std::fmt::Display for StoreError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Database(error) => error.fmt(f),
            Self::Gone(path) => write!(
                f,
                "database: {} is not the file that was opened; put it back, or start again for a new one",
                path.display()
            ),
            Self::Full(max) => write!(f, "{max} messages are stored already; the owner has to delete some"),
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
        let detail = error.to_string();
        match error {
            StoreError::Database(error) => error.into(),
            StoreError::Gone(_) => {
                tracing::error!(error = detail, "the database failed");
                Self::unavailable("database-failed", "the database cannot answer now", 5)
            }
            StoreError::Full(_) => Self::unavailable("messages-full", "no more messages fit for now", 3_600),
        }
    }
}
