//! Reading stocks: from a filter to SQL, with every value bound and every column name from our own tables.

use std::collections::HashMap;

use serde::Serialize;
use sqlx::{QueryBuilder, Row as _, Sqlite, SqliteConnection};

use super::{Store, StoreError};
use crate::filter::{Filter, SortBy};
use crate::stock::{FIELDS, Listing, Stock};

const COLUMNS: &str = "symbol, name, sector, industry, market_cap, price, pe, pb, roe, dividend_yield, \
                       debt_to_equity, revenue_growth, change_52w, volume, synthetic";

/// One page of what a filter found.
#[derive(Debug)]
pub(crate) struct Found {
    /// Stocks that match, on all pages.
    pub(crate) total: i64,
    /// This page's; without closes unless they were asked for.
    pub(crate) listings: Vec<Listing>,
}

/// A sector's industry and how many stocks are in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, sqlx::FromRow)]
pub(crate) struct Facet {
    pub(crate) sector: String,
    pub(crate) industry: String,
    pub(crate) count: i64,
    /// How many of them are synthetic.
    #[serde(skip)]
    pub(crate) synthetic: i64,
}

impl Store {
    /// One page of the stocks that match, and how many match in all, both as of one moment.
    pub(crate) async fn find(&self, filter: &Filter, with_closes: bool) -> Result<Found, StoreError> {
        let mut snapshot = self.pool.begin().await?;
        let mut count = QueryBuilder::new("SELECT count(*) FROM stocks");
        push_where(&mut count, filter);
        let total: i64 = count.build_query_scalar().fetch_one(&mut *snapshot).await?;

        let mut page = select(filter);
        let skipped = i64::from(filter.page.number - 1) * i64::from(filter.page.size);
        page.push(" LIMIT ").push_bind(filter.page.size).push(" OFFSET ").push_bind(skipped);
        let stocks: Vec<Stock> = page.build_query_as().fetch_all(&mut *snapshot).await?;
        let listings = if with_closes {
            with_histories(&mut snapshot, stocks).await?
        } else {
            stocks.into_iter().map(|stock| Listing { stock, closes: Vec::new() }).collect()
        };
        snapshot.rollback().await?;
        Ok(Found { total, listings })
    }

    /// Every stock that matches, with closes, whatever the filter's page.
    pub(crate) async fn find_all(&self, filter: &Filter) -> Result<Vec<Listing>, StoreError> {
        let mut snapshot = self.pool.begin().await?;
        let stocks: Vec<Stock> = select(filter).build_query_as().fetch_all(&mut *snapshot).await?;
        let mut listings = Vec::with_capacity(stocks.len());
        for chunk in stocks.chunks(1_000) {
            listings.extend(with_histories(&mut snapshot, chunk.to_vec()).await?);
        }
        snapshot.rollback().await?;
        Ok(listings)
    }

    /// One stock by its symbol.
    pub(crate) async fn stock(&self, symbol: &str) -> Result<Option<Listing>, StoreError> {
        let mut snapshot = self.pool.begin().await?;
        let mut one = QueryBuilder::<Sqlite>::new(format!("SELECT {COLUMNS} FROM stocks WHERE symbol = "));
        let stock: Option<Stock> =
            one.push_bind(symbol.to_owned()).build_query_as().fetch_optional(&mut *snapshot).await?;
        let listings = with_histories(&mut snapshot, stock.into_iter().collect()).await?;
        snapshot.rollback().await?;
        Ok(listings.into_iter().next())
    }

    /// Every sector and industry with its number of stocks.
    pub(crate) async fn facets(&self) -> Result<Vec<Facet>, StoreError> {
        let by_sector = "SELECT sector, industry, count(*) AS count, sum(synthetic) AS synthetic \
                         FROM stocks GROUP BY sector, industry ORDER BY sector, industry";
        Ok(sqlx::query_as(by_sector).fetch_all(&self.pool).await?)
    }

    /// How many stocks there are.
    pub(crate) async fn count(&self) -> Result<i64, StoreError> {
        Ok(sqlx::query_scalar("SELECT count(*) FROM stocks").fetch_one(&self.pool).await?)
    }
}

fn select(filter: &Filter) -> QueryBuilder<Sqlite> {
    let mut query = QueryBuilder::new(format!("SELECT {COLUMNS} FROM stocks"));
    push_where(&mut query, filter);
    query.push(" ORDER BY ").push(filter.sort.by.name());
    query.push(if filter.sort.descending { " DESC NULLS LAST" } else { " ASC NULLS LAST" });
    if filter.sort.by != SortBy::Symbol {
        query.push(", symbol");
    }
    query
}

fn push_where(query: &mut QueryBuilder<Sqlite>, filter: &Filter) {
    let mut joint = " WHERE ";
    let mut and = move || std::mem::replace(&mut joint, " AND ");
    if let Some(text) = &filter.text {
        let text = like_escaped(text);
        query
            .push(and())
            .push("(symbol LIKE ")
            .push_bind(format!("{text}%"))
            .push(" ESCAPE '\\' OR name LIKE ");
        query.push_bind(format!("%{text}%")).push(" ESCAPE '\\')");
    }
    for (column, wanted) in [("sector", &filter.sectors), ("industry", &filter.industries)] {
        if !wanted.is_empty() {
            query.push(and()).push(column).push(" IN (");
            let mut list = query.separated(", ");
            for value in wanted {
                list.push_bind(value.clone());
            }
            query.push(")");
        }
    }
    for (about, range) in FIELDS.iter().zip(&filter.ranges) {
        if let Some(min) = range.min {
            query.push(and()).push(about.name).push(" >= ").push_bind(min);
        }
        if let Some(max) = range.max {
            query.push(and()).push(about.name).push(" <= ").push_bind(max);
        }
    }
}

/// `%` and `_` mean themselves when someone searches for them.
fn like_escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_")
}

async fn with_histories(
    connection: &mut SqliteConnection,
    stocks: Vec<Stock>,
) -> Result<Vec<Listing>, sqlx::Error> {
    if stocks.is_empty() {
        return Ok(Vec::new());
    }
    let mut query = QueryBuilder::<Sqlite>::new("SELECT symbol, prices FROM closes WHERE symbol IN (");
    let mut list = query.separated(", ");
    for stock in &stocks {
        list.push_bind(stock.symbol.clone());
    }
    query.push(")");
    let mut histories = HashMap::with_capacity(stocks.len());
    for row in query.build().fetch_all(&mut *connection).await? {
        let prices: String = row.try_get("prices")?;
        let closes: Vec<f64> = prices.split(' ').filter_map(|price| price.parse().ok()).collect();
        histories.insert(row.try_get::<String, _>("symbol")?, closes);
    }
    let listing = |stock: Stock| {
        let closes = histories.remove(&stock.symbol).unwrap_or_default();
        Listing { stock, closes }
    };
    Ok(stocks.into_iter().map(listing).collect())
}
