//! What was promised, beside what came out.

use std::fmt::Write;

/// A figure that was promised, and what came out.
pub(crate) struct Goal {
    pub(crate) what: String,
    pub(crate) bound: Bound,
    pub(crate) limit: f64,
    /// None when this run did not measure it.
    pub(crate) measured: Option<f64>,
}

/// On which side of its limit a figure has to be.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bound {
    AtMost,
    AtLeast,
}

impl Goal {
    /// A figure that may not exceed `limit`.
    pub(crate) fn at_most(what: &str, limit: f64, measured: Option<f64>) -> Self {
        Self { what: what.to_owned(), bound: Bound::AtMost, limit, measured }
    }

    /// A figure that has to reach `limit`.
    pub(crate) fn at_least(what: &str, limit: f64, measured: Option<f64>) -> Self {
        Self { what: what.to_owned(), bound: Bound::AtLeast, limit, measured }
    }

    fn is_met(&self, value: f64) -> bool {
        match self.bound {
            Bound::AtMost => value <= self.limit,
            Bound::AtLeast => value >= self.limit,
        }
    }
}

/// All goals as a table in Markdown.
pub(crate) fn table(goals: &[Goal]) -> String {
    let mut text = String::from("| goal | limit | measured | |\n| --- | ---: | ---: | --- |\n");
    for goal in goals {
        let sign = match goal.bound {
            Bound::AtMost => "≤",
            Bound::AtLeast => "≥",
        };
        let (measured, verdict) = match goal.measured {
            None => ("–".to_owned(), "not measured"),
            Some(value) if goal.is_met(value) => (format!("{value:.2}"), "reached"),
            Some(value) => (format!("{value:.2}"), "missed"),
        };
        let _ = writeln!(text, "| {} | {sign} {:.2} | {measured} | {verdict} |", goal.what, goal.limit);
    }
    text.push('\n');
    text
}
