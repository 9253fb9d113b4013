//! Writing stocks: all of an import or none of it.

use axum::body::Bytes;
use serde::Serialize;
use sqlx::{QueryBuilder, Sqlite, SqliteConnection, Transaction};

use super::{Store, StoreError};
use crate::stock::{Listing, UNIVERSE_MAX};
use kit::digest;

/// Rows per statement: 15 values each, far below SQLite's 32,766 parameters.
const ROWS_PER_STATEMENT: usize = 500;

/// What happens to the stocks that an import does not mention.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// They go.
    Replace,
    /// They stay.
    Merge,
}

/// What an import did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct Imported {
    /// Stocks that the file held.
    pub(crate) imported: usize,
    /// Stocks in the universe afterwards.
    pub(crate) total: i64,
}

impl Store {
    /// Writes stocks in one transaction, which readers see all at once.
    pub(crate) async fn import(&self, listings: &[Listing], mode: Mode) -> Result<Imported, StoreError> {
        let mut transaction = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        let imported = write(&mut transaction, listings, mode).await?;
        transaction.commit().await?;
        Ok(imported)
    }

    /// Replaces the universe by a file's, unless that file was the last one to do so: of several processes started
    /// with the same file one writes it. `None` when it was in already.
    pub(crate) async fn import_once(
        &self,
        file: &Bytes,
        listings: &[Listing],
    ) -> Result<Option<Imported>, StoreError> {
        let digest = format!("{:016x}-{}", digest(file), file.len());
        let mut transaction = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        let last: Option<String> =
            sqlx::query_scalar("SELECT import_digest FROM state").fetch_one(&mut *transaction).await?;
        if last.as_ref() == Some(&digest) {
            return Ok(None);
        }
        let imported = write(&mut transaction, listings, Mode::Replace).await?;
        sqlx::query("UPDATE state SET import_digest = ?").bind(digest).execute(&mut *transaction).await?;
        transaction.commit().await?;
        Ok(Some(imported))
    }
}

async fn write(
    transaction: &mut Transaction<'_, Sqlite>,
    listings: &[Listing],
    mode: Mode,
) -> Result<Imported, StoreError> {
    if mode == Mode::Replace {
        sqlx::raw_sql("DELETE FROM closes; DELETE FROM stocks;").execute(&mut **transaction).await?;
    }
    insert(transaction, listings).await?;
    let total: i64 = sqlx::query_scalar("SELECT count(*) FROM stocks").fetch_one(&mut **transaction).await?;
    if total > i64::from(UNIVERSE_MAX) {
        return Err(StoreError::UniverseFull(UNIVERSE_MAX.into()));
    }
    // The digest goes too: after another import the same file may be given at a start again.
    sqlx::raw_sql("UPDATE state SET stocks = stocks + 1, import_digest = NULL")
        .execute(&mut **transaction)
        .await?;
    Ok(Imported { imported: listings.len(), total })
}

/// Inserts stocks, replacing those of the same symbol, and counts afresh what the query planner goes by.
pub(super) async fn insert(
    connection: &mut SqliteConnection,
    listings: &[Listing],
) -> Result<(), sqlx::Error> {
    for chunk in listings.chunks(ROWS_PER_STATEMENT) {
        let mut rows = QueryBuilder::<Sqlite>::new(
            "INSERT OR REPLACE INTO stocks (symbol, name, sector, industry, market_cap, price, pe, pb, roe, \
             dividend_yield, debt_to_equity, revenue_growth, change_52w, volume, synthetic) ",
        );
        rows.push_values(chunk, |mut row, Listing { stock, .. }| {
            row.push_bind(stock.symbol.clone())
                .push_bind(stock.name.clone())
                .push_bind(stock.sector.clone())
                .push_bind(stock.industry.clone())
                .push_bind(stock.market_cap)
                .push_bind(stock.price)
                .push_bind(stock.pe)
                .push_bind(stock.pb)
                .push_bind(stock.roe)
                .push_bind(stock.dividend_yield)
                .push_bind(stock.debt_to_equity)
                .push_bind(stock.revenue_growth)
                .push_bind(stock.change_52w)
                .push_bind(stock.volume)
                .push_bind(stock.synthetic);
        });
        rows.build().execute(&mut *connection).await?;

        // Replacing a stock deleted its old history with it.
        let histories: Vec<&Listing> = chunk.iter().filter(|listing| !listing.closes.is_empty()).collect();
        if !histories.is_empty() {
            let mut rows = QueryBuilder::<Sqlite>::new("INSERT OR REPLACE INTO closes (symbol, prices) ");
            rows.push_values(histories, |mut row, Listing { stock, closes }| {
                let prices: Vec<_> = closes.iter().map(f64::to_string).collect();
                row.push_bind(stock.symbol.clone()).push_bind(prices.join(" "));
            });
            rows.build().execute(&mut *connection).await?;
        }
    }
    sqlx::raw_sql("ANALYZE").execute(&mut *connection).await?;
    Ok(())
}
