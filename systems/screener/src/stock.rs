//! One company's row, and the table of its numbers that everything else is built from: SQL columns, filter
//! parameters, CSV columns, table headings and the API's schema all read [`FIELDS`].

use serde::Serialize;

/// The most companies a universe may hold. Every exchange of the world together lists about 50,000.
pub const UNIVERSE_MAX: u32 = 50_000;

/// One company.
#[derive(Debug, Clone, PartialEq, Serialize, sqlx::FromRow)]
pub struct Stock {
    /// Ticker symbol, upper case; unique.
    pub symbol: String,
    /// The company's name.
    pub name: String,
    /// One of a dozen or so sectors.
    pub sector: String,
    /// The industry within the sector.
    pub industry: String,
    /// Market capitalisation in dollars.
    pub market_cap: i64,
    /// Last price in dollars.
    pub price: f64,
    /// Price to earnings; none for a company that loses money.
    pub pe: Option<f64>,
    /// Price to book value; none with negative equity.
    pub pb: Option<f64>,
    /// Return on equity in percent.
    pub roe: Option<f64>,
    /// Dividend yield in percent; 0 for a company that pays none.
    pub dividend_yield: Option<f64>,
    /// Debt to equity.
    pub debt_to_equity: Option<f64>,
    /// Growth of revenue over a year in percent.
    pub revenue_growth: Option<f64>,
    /// Change of the price over 52 weeks in percent.
    pub change_52w: Option<f64>,
    /// Shares traded on an average day.
    pub volume: i64,
    /// Whether the company was made up by [`crate::synthetic`].
    pub synthetic: bool,
}

/// A company with its price history.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Listing {
    /// The company.
    #[serde(flatten)]
    pub stock: Stock,
    /// Weekly closing prices in dollars, oldest first, the last one being [`Stock::price`]; empty when unknown.
    pub closes: Vec<f64>,
}

/// A number of a company that can be filtered and sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field {
    /// [`Stock::market_cap`].
    MarketCap,
    /// [`Stock::price`].
    Price,
    /// [`Stock::pe`].
    Pe,
    /// [`Stock::pb`].
    Pb,
    /// [`Stock::roe`].
    Roe,
    /// [`Stock::dividend_yield`].
    DividendYield,
    /// [`Stock::debt_to_equity`].
    DebtToEquity,
    /// [`Stock::revenue_growth`].
    RevenueGrowth,
    /// [`Stock::change_52w`].
    Change52w,
    /// [`Stock::volume`].
    Volume,
}

/// What a number counts, which decides how it is read and shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Dollars of a company: shown as 1.2B.
    BigDollars,
    /// Dollars of a share: shown with cents.
    Dollars,
    /// A bare ratio.
    Ratio,
    /// Percent.
    Percent,
    /// Shares: shown as 1.2M.
    Shares,
}

/// What there is to know about a [`Field`].
#[derive(Debug)]
pub struct About {
    /// Which one.
    pub field: Field,
    /// Its name in SQL, JSON, CSV and (with `_min`, `_max`) in the query.
    pub name: &'static str,
    /// Its heading in the table.
    pub label: &'static str,
    /// What it counts.
    pub unit: Unit,
    /// Whether a company may lack it.
    pub optional: bool,
    /// The least and the greatest value that an import accepts; wide enough for any real company.
    pub bounds: (f64, f64),
    /// One sentence for people.
    pub meaning: &'static str,
}

/// Every number of a company, in the order of the table's columns.
pub const FIELDS: [About; 10] = [
    about(Field::Price, "price", "Price", Unit::Dollars, false, (0.0001, 1e7), "last price in dollars"),
    about(
        Field::Change52w,
        "change_52w",
        "52 weeks",
        Unit::Percent,
        true,
        (-100.0, 1e6),
        "change of the price over 52 weeks in percent",
    ),
    about(
        Field::MarketCap,
        "market_cap",
        "Market cap",
        Unit::BigDollars,
        false,
        (0.0, 1e15),
        "market capitalisation in dollars",
    ),
    about(
        Field::Pe,
        "pe",
        "P/E",
        Unit::Ratio,
        true,
        (0.0, 1e6),
        "price to earnings; none for a company that loses money",
    ),
    about(
        Field::Pb,
        "pb",
        "P/B",
        Unit::Ratio,
        true,
        (0.0, 1e6),
        "price to book value; none with negative equity",
    ),
    about(Field::Roe, "roe", "ROE", Unit::Percent, true, (-1e6, 1e6), "return on equity in percent"),
    about(
        Field::DividendYield,
        "dividend_yield",
        "Yield",
        Unit::Percent,
        true,
        (0.0, 1000.0),
        "dividend yield in percent; 0 for a company that pays none",
    ),
    about(Field::DebtToEquity, "debt_to_equity", "D/E", Unit::Ratio, true, (0.0, 1e6), "debt to equity"),
    about(
        Field::RevenueGrowth,
        "revenue_growth",
        "Growth",
        Unit::Percent,
        true,
        (-100.0, 1e6),
        "growth of revenue over a year in percent",
    ),
    about(
        Field::Volume,
        "volume",
        "Volume",
        Unit::Shares,
        false,
        (0.0, 1e12),
        "shares traded on an average day",
    ),
];

const fn about(
    field: Field,
    name: &'static str,
    label: &'static str,
    unit: Unit,
    optional: bool,
    bounds: (f64, f64),
    meaning: &'static str,
) -> About {
    About { field, name, label, unit, optional, bounds, meaning }
}

impl Unit {
    /// Whether values are whole numbers.
    pub fn is_whole(self) -> bool {
        matches!(self, Self::BigDollars | Self::Shares)
    }
}

impl Field {
    /// Its place in [`FIELDS`].
    pub fn index(self) -> usize {
        FIELDS.iter().position(|about| about.field == self).expect("the table holds every field")
    }

    /// What there is to know about it.
    pub fn about(self) -> &'static About {
        &FIELDS[self.index()]
    }
}

impl Stock {
    /// The number, or none when the company lacks it.
    pub fn number(&self, field: Field) -> Option<f64> {
        match field {
            Field::MarketCap => Some(self.market_cap as f64),
            Field::Price => Some(self.price),
            Field::Pe => self.pe,
            Field::Pb => self.pb,
            Field::Roe => self.roe,
            Field::DividendYield => self.dividend_yield,
            Field::DebtToEquity => self.debt_to_equity,
            Field::RevenueGrowth => self.revenue_growth,
            Field::Change52w => self.change_52w,
            Field::Volume => Some(self.volume as f64),
        }
    }
}

/// Whether `symbol` may name a company: 1 to 12 of `A`-`Z`, `0`-`9`, `.`, `-`, beginning with a letter or digit.
pub fn is_symbol(symbol: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || b".-".contains(&byte);
    (1..=12).contains(&symbol.len()) && symbol.bytes().all(is_allowed) && !symbol.starts_with(['.', '-'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_finds_its_own_row_in_the_table() {
        for about in &FIELDS {
            assert_eq!(about.field.about().name, about.name);
        }
    }

    #[test]
    fn symbols_are_what_exchanges_print() {
        for good in ["A", "BRK.B", "7203", "RDS-A"] {
            assert!(is_symbol(good), "{good}");
        }
        for bad in ["", "a", ".A", "-A", "ABCDEFGHIJKLM", "A B", "Ä", "A/B"] {
            assert!(!is_symbol(bad), "{bad}");
        }
    }
}
