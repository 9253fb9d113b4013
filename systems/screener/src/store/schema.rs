//! The tables, and how they come to be: exactly once, also when several processes start on an empty folder.

use std::time::Instant;

use kit::database::prepare_sqlite;
use sqlx::sqlite::SqliteConnectOptions;

use super::{StoreError, import};

/// The layout that this version reads and writes; kept in the file's `user_version`.
const LAYOUT: i64 = 1;

/// Keyed by symbol without row ids, so that each index carries the symbol that breaks ties. One index for every
/// column that a filter or a sort may begin with.
const TABLES: &str = "
CREATE TABLE stocks (
    symbol          TEXT PRIMARY KEY,
    name            TEXT NOT NULL COLLATE NOCASE,
    sector          TEXT NOT NULL,
    industry        TEXT NOT NULL,
    market_cap      INTEGER NOT NULL,
    price           REAL NOT NULL,
    pe              REAL,
    pb              REAL,
    roe             REAL,
    dividend_yield  REAL,
    debt_to_equity  REAL,
    revenue_growth  REAL,
    change_52w      REAL,
    volume          INTEGER NOT NULL,
    synthetic       INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX stocks_name ON stocks (name);
CREATE INDEX stocks_sector ON stocks (sector, industry);
CREATE INDEX stocks_industry ON stocks (industry);
CREATE INDEX stocks_market_cap ON stocks (market_cap);
CREATE INDEX stocks_price ON stocks (price);
CREATE INDEX stocks_pe ON stocks (pe);
CREATE INDEX stocks_pb ON stocks (pb);
CREATE INDEX stocks_roe ON stocks (roe);
CREATE INDEX stocks_dividend_yield ON stocks (dividend_yield);
CREATE INDEX stocks_debt_to_equity ON stocks (debt_to_equity);
CREATE INDEX stocks_revenue_growth ON stocks (revenue_growth);
CREATE INDEX stocks_change_52w ON stocks (change_52w);
CREATE INDEX stocks_volume ON stocks (volume);

-- Weekly closes apart from the rows that filters scan: they are three times as long.
CREATE TABLE closes (
    symbol  TEXT PRIMARY KEY REFERENCES stocks (symbol) ON DELETE CASCADE,
    prices  TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- Names are unique whatever their case; ids are never used twice.
CREATE TABLE screens (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    name        TEXT NOT NULL UNIQUE COLLATE NOCASE,
    query       TEXT NOT NULL,
    created_at  TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%SZ', 'now'))
) STRICT;

-- One row: how often each kind of data changed, and the digest of the file that was imported at a start.
CREATE TABLE state (
    only_row       INTEGER PRIMARY KEY CHECK (only_row = 1),
    stocks         INTEGER NOT NULL,
    screens        INTEGER NOT NULL,
    import_digest  TEXT
) STRICT;
INSERT INTO state VALUES (1, 1, 1, NULL);
";

/// Creates the tables and fills them with a synthetic universe, unless that was done before.
pub(super) async fn prepare(options: &SqliteConnectOptions, seed: u64, count: u32) -> Result<(), StoreError> {
    let started = Instant::now();
    let is_new = prepare_sqlite(options, LAYOUT, async |transaction| {
        sqlx::raw_sql(TABLES).execute(&mut **transaction).await?;
        Ok(import::insert(transaction, &crate::synthetic::universe(seed, count)).await?)
    });
    if is_new.await? {
        let took_ms = started.elapsed().as_millis() as u64;
        tracing::info!(seed, count, took_ms, "filled the database with a synthetic universe");
    } else {
        tracing::info!("the database is filled already; seed and count change nothing");
    }
    Ok(())
}
