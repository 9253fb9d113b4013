//! A comparison as text: a table, what it comes to, and why.

use std::fmt;

use super::{Change, Comparison, Overall, Row, Unit};
use crate::report::figures;

impl fmt::Display for Comparison {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let head = ["metric", "A", "B", "B/A", "99 % of noise", "verdict"].map(str::to_owned);
        let table: Vec<[String; 6]> = std::iter::once(head).chain(self.rows.iter().map(cells)).collect();
        let width = |column: usize| table.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
        let widths: Vec<usize> = (0..6).map(width).collect();
        for row in &table {
            write!(out, "{:<1$}", row[0], widths[0])?;
            for column in 1..5 {
                write!(out, "  {:>1$}", row[column], widths[column])?;
            }
            writeln!(out, "  {}", row[5])?;
        }
        writeln!(out)?;
        for note in &self.notes {
            writeln!(out, "note: {note}")?;
        }
        writeln!(out, "{}", self.sentence())
    }
}

impl Comparison {
    /// What it comes to, in one line.
    pub fn sentence(&self) -> String {
        let named = |change: Change| -> Vec<&str> {
            self.rows.iter().filter(|row| row.change == change).map(|row| row.metric.as_str()).collect()
        };
        let (worse, better) = (named(Change::Worse), named(Change::Better));
        match self.overall {
            Overall::Inconclusive => "inconclusive: these two runs do not tell whether B is worse".to_owned(),
            Overall::Worse if better.is_empty() => format!("worse: {}", worse.join(", ")),
            Overall::Worse => format!("worse: {} (better: {})", worse.join(", "), better.join(", ")),
            Overall::NoWorse if better.is_empty() => "no worse: all differences may be noise".to_owned(),
            Overall::NoWorse => format!("better: {}", better.join(", ")),
        }
    }
}

fn cells(row: &Row) -> [String; 6] {
    let value = |value: f64| match row.unit {
        Unit::Millis => figures::time(value),
        Unit::PerSecond => figures::rate(value),
        Unit::Share => figures::share(value),
    };
    let digits = if row.unit == Unit::Share { 5 } else { 3 };
    let ratio = |ratio: f64| if ratio.is_finite() { format!("{ratio:.digits$}") } else { "-".to_owned() };
    let change = match row.change {
        Change::Better => "better",
        Change::Worse => "worse",
        Change::Same => "same within noise",
        Change::Unknown => "too little measured",
    };
    [
        row.metric.clone(),
        value(row.a),
        value(row.b),
        ratio(row.ratio),
        format!("{} to {}", ratio(row.low), ratio(row.high)),
        change.to_owned(),
    ]
}
