//! Text to threshold. Every mistake says which bytes are wrong and what to write in their place.

use std::ops::Range;

use super::metric::{Kind, Metric, Scope};
use super::{BadThreshold, Bound, Op, Threshold, Unit};

/// Longest threshold that is read, in bytes.
const LONGEST_BYTES: usize = 400;

/// Largest number that is read: beyond, whole numbers can't be told from their neighbours.
const MOST: f64 = 1e15;

impl Threshold {
    /// Reads `METRIC[(STEP)] OP VALUE`.
    ///
    /// # Errors
    /// What is wrong where, and how to mend it.
    pub fn parse(text: &str) -> Result<Self, BadThreshold> {
        let bad = |at: Range<usize>, what: String, mend: &str| BadThreshold {
            text: text.to_owned(),
            at,
            what,
            mend: mend.to_owned(),
        };
        if text.len() > LONGEST_BYTES {
            let what = format!("it has more than {LONGEST_BYTES} bytes");
            return Err(bad(0..text.len(), what, "write one condition, such as \"p95 < 100ms\""));
        }
        let name_end = text.find(['(', '<', '>', '=']).unwrap_or(text.len());
        let name = trimmed(text, 0..name_end);
        let metric = Metric::named(&text[name.clone()]).ok_or_else(|| unknown_metric(text, name.clone()))?;
        let (step, op_from) = step(text, name_end, metric)?;
        let rest = trimmed(text, op_from..text.len());
        let op =
            Op::ALL.into_iter().find(|op| text[rest.clone()].starts_with(op.sign())).ok_or_else(|| {
                let mend = format!(
                    "write one of <, <=, >, >=, == and a value, such as \"{metric} {}\"",
                    example(metric)
                );
                bad(rest.clone(), format!("no comparison follows {metric}"), &mend)
            })?;
        let value = trimmed(text, rest.start + op.sign().len()..text.len());
        let bound = bound(text, value, metric)?;
        Ok(Self { metric, step, op, bound })
    }
}

impl std::str::FromStr for Threshold {
    type Err = BadThreshold;

    fn from_str(text: &str) -> Result<Self, BadThreshold> {
        Self::parse(text)
    }
}

/// Reads the step in parentheses that begins at `from`, if there is one, and tells where the rest begins.
fn step(text: &str, from: usize, metric: Metric) -> Result<(Option<String>, usize), BadThreshold> {
    if !text[from..].starts_with('(') {
        return Ok((None, from));
    }
    let bad = |to: usize, what: String, mend: &str| {
        Err(BadThreshold { text: text.to_owned(), at: from..to, what, mend: mend.to_owned() })
    };
    let Some(close) = text.rfind(')') else {
        return bad(text.len(), "the parenthesis is not closed".to_owned(), "write \"p99(search) < 25ms\"");
    };
    let step = trimmed(text, from + 1..close);
    if step.is_empty() {
        let mend = "write the name of a step between them, or leave them out";
        return bad(close + 1, "the parentheses are empty".to_owned(), mend);
    }
    if metric.scope() == Scope::Run {
        return bad(close + 1, format!("{metric} is not measured by step"), "leave the step out");
    }
    Ok((Some(text[step].to_owned()), close + 1))
}

/// Reads a value and checks that its unit is one of the metric's.
fn bound(text: &str, at: Range<usize>, metric: Metric) -> Result<Bound, BadThreshold> {
    let value = &text[at.clone()];
    let bad =
        |what: String, mend: String| Err(BadThreshold { text: text.to_owned(), at: at.clone(), what, mend });
    let example = format!("write \"{metric} {}\"", example(metric));
    if value.is_empty() {
        return bad("the value is missing".to_owned(), example);
    }
    let digits_end = value.find(|c: char| !matches!(c, '0'..='9' | '.' | '_')).unwrap_or(value.len());
    let digits = value[..digits_end].replace('_', "");
    let unit_name = match value[digits_end..].trim_start() {
        "µs" | "μs" => "us",
        "min" => "m",
        name => name,
    };
    let is_number = digits.starts_with(|c: char| c.is_ascii_digit()) && !digits.ends_with('.');
    let number: Option<f64> = digits.parse().ok().filter(|number: &f64| is_number && *number <= MOST);
    let Some(number) = number else {
        return bad(format!("\"{value}\" is not a number with a unit"), example);
    };
    let Some(unit) = Unit::ALL.into_iter().find(|unit| unit.name() == unit_name) else {
        return bad(format!("\"{unit_name}\" is not a unit"), example);
    };
    let bound = Bound { number, unit };
    let is_time = matches!(unit, Unit::Micros | Unit::Millis | Unit::Seconds | Unit::Minutes);
    let fits = match metric.kind() {
        Kind::Time => is_time || (number == 0.0 && unit == Unit::Plain),
        Kind::Share => matches!(unit, Unit::Percent | Unit::Plain),
        Kind::Rate => unit == Unit::PerSecond,
        Kind::Count => unit == Unit::Plain,
        Kind::CountOrShare => matches!(unit, Unit::Percent | Unit::Plain),
    };
    if !fits {
        return match (metric.kind(), unit) {
            (Kind::Time, Unit::Plain) => {
                bad(format!("{number} has no unit"), format!("write \"{number}ms\" or \"{number}s\""))
            }
            (Kind::Rate, Unit::Plain) => {
                bad(format!("{number} has no unit"), format!("write \"{number}/s\""))
            }
            _ => bad(format!("{metric} is not measured in {unit_name}"), example),
        };
    }
    let is_share = metric.kind() == Kind::Share || unit == Unit::Percent;
    if is_share && number * unit.factor() > 1.0 {
        let mend = if unit == Unit::Plain { format!("write \"{number}%\"") } else { example };
        return bad(format!("{value} is more than all"), mend);
    }
    if unit == Unit::Plain && !is_share && number.fract() != 0.0 {
        return bad(format!("{metric} is counted, and {number} is not a whole number"), example);
    }
    Ok(bound)
}

/// A comparison that suits a metric.
const fn example(metric: Metric) -> &'static str {
    match metric.kind() {
        Kind::Time => "< 100ms",
        Kind::Share => ">= 99.9%",
        Kind::Rate => ">= 20000/s",
        Kind::CountOrShare => "<= 0.1%",
        Kind::Count => match metric {
            Metric::Requests | Metric::Counted(super::Counted::Open) => ">= 1000",
            _ => "== 0",
        },
    }
}

fn unknown_metric(text: &str, at: Range<usize>) -> BadThreshold {
    let name = &text[at.clone()];
    let known = Metric::names();
    let known: Vec<&str> = known.iter().map(String::as_str).collect();
    let (what, mend) = match (name, nearest(name, &known)) {
        ("", _) => {
            ("the metric is missing".to_owned(), "write what to measure, such as \"p95 < 100ms\"".to_owned())
        }
        ("p0", _) => ("nothing lies below p0".to_owned(), "write \"min\"".to_owned()),
        ("p100", _) => ("nothing lies above p100".to_owned(), "write \"max\"".to_owned()),
        (_, Some(near)) => (format!("nothing is called \"{name}\""), format!("did you mean \"{near}\"?")),
        (_, None) => {
            let mend = "write success, failures, rate, requests, mean, min, max, p50 to p99.99, service.p99, \
                        connect.p99, lag.p99, delivery.p99, lost, duplicated, reordered, disconnected, open, \
                        failure.NAME or status.CODE";
            (format!("nothing is called \"{name}\""), mend.to_owned())
        }
    };
    BadThreshold { text: text.to_owned(), at, what, mend }
}

/// The word that `word` most likely stands for: at most a third of its letters differ.
pub(super) fn nearest<'k>(word: &str, known: &[&'k str]) -> Option<&'k str> {
    let lower = word.to_ascii_lowercase();
    known
        .iter()
        .map(|known| (strsim::damerau_levenshtein(&lower, &known.to_ascii_lowercase()), *known))
        .min()
        .filter(|(distance, known)| *distance <= known.len().max(lower.len()).div_ceil(3).min(3))
        .map(|(_, known)| known)
}

/// Names for people, the first ten of them.
pub(super) fn listed(names: &[&str]) -> String {
    let shown: Vec<String> = names.iter().take(10).map(|name| format!("\"{name}\"")).collect();
    let more = if names.len() > shown.len() { " and others" } else { "" };
    format!("{}{more}", shown.join(", "))
}

/// The part of a range without the blanks around it.
fn trimmed(text: &str, range: Range<usize>) -> Range<usize> {
    let part = &text[range.clone()];
    let start = range.start + (part.len() - part.trim_start().len());
    start..start + part.trim().len()
}
