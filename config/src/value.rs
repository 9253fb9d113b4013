//! Values with a unit or a range: durations, sizes, rates, shares, counts, statuses, plain text.

use core::time::Duration;

use schemars::json_schema;
use toml::de::DeValue;

use crate::read::{Read, Reader, Value};

/// Longest duration that can be written: a year. Sums of them cannot overflow.
const LONGEST: Duration = Duration::from_hours(365 * 24);

/// A duration such as `"30s"`, `"250ms"` or `"1m30s"`; at least `MIN_MS` milliseconds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Time<const MIN_MS: u64>(pub Duration);

/// A number of bytes such as `"64 MiB"` or `"16 KiB"`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Size(pub u64);

/// Bytes per second, such as `"1 KiB/s"`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rate(pub u64);

/// How often: so many in a time, such as `"100/s"`, `"1000/h"` or `"10/15m"`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Frequency {
    /// So many; at least one.
    pub count: u64,
    /// In this time.
    pub per: Duration,
}

/// A share from 0 to 1, written as `0.2` or `"20%"`.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Share(pub f64);

/// A whole number in a range.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Count<const MIN: u64, const MAX: u64>(pub u64);

/// A number that may have a fraction, in a range of whole numbers.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Number<const MIN: u64, const MAX: u64>(pub f64);

/// Statuses: `200`, `"200-299"` or `"2xx"`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Statuses {
    /// First status that is meant.
    pub first: u16,
    /// Last status that is meant.
    pub last: u16,
}

/// Reads `30s`, `250ms`, `1m30s`: one or more whole numbers, each with a unit.
pub fn parse_time(text: &str) -> Option<Duration> {
    let mut rest = text.trim();
    if rest == "0" {
        return Some(Duration::ZERO);
    }
    let mut total = Duration::ZERO;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).filter(|at| *at > 0)?;
        let number: u64 = rest[..digits].parse().ok()?;
        rest = rest[digits..].trim_start();
        let letters = rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len());
        let unit_us: u64 = match &rest[..letters] {
            "us" => 1,
            "ms" => 1_000,
            "s" => 1_000_000,
            "m" | "min" => 60_000_000,
            "h" => 3_600_000_000,
            "d" => 86_400_000_000,
            _ => return None,
        };
        total = total.checked_add(Duration::from_micros(number.checked_mul(unit_us)?))?;
        rest = rest[letters..].trim_start();
    }
    (!text.trim().is_empty() && total <= LONGEST).then_some(total)
}

/// Reads `64 MiB`, `16KiB`, `500 kB`, `0`.
pub fn parse_size(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let number: u64 = text[..digits].parse().ok()?;
    let unit: u64 = match text[digits..].trim_start().to_ascii_lowercase().as_str() {
        "" if number == 0 => 1,
        "b" => 1,
        "kib" => 1 << 10,
        "mib" => 1 << 20,
        "gib" => 1 << 30,
        "kb" => 1_000,
        "mb" => 1_000_000,
        "gb" => 1_000_000_000,
        _ => return None,
    };
    // Sizes are added to one another; this bound keeps every sum inside 64 bits.
    number.checked_mul(unit).filter(|bytes| *bytes <= 1 << 50)
}

/// Reads `100/s`, `1000/h`, `10/15m`.
pub fn parse_frequency(text: &str) -> Option<Frequency> {
    let (count, per) = text.split_once('/')?;
    let count = count.trim().parse().ok().filter(|count| (1..=1_000_000_000).contains(count))?;
    let per = per.trim();
    let per = match per.as_bytes().first()? {
        b'0'..=b'9' => parse_time(per)?,
        _ => parse_time(&format!("1{per}"))?,
    };
    (!per.is_zero()).then_some(Frequency { count, per })
}

/// Writes a duration as [`parse_time`] reads it.
fn show_ms(ms: u64) -> String {
    if ms >= 1000 && ms.is_multiple_of(1000) { format!("{}s", ms / 1000) } else { format!("{ms}ms") }
}

/// Writes a size as [`parse_size`] reads it.
fn show_bytes(bytes: u64) -> String {
    match bytes {
        0 => "0".to_owned(),
        _ if bytes.is_multiple_of(1 << 20) => format!("{} MiB", bytes >> 20),
        _ if bytes.is_multiple_of(1 << 10) => format!("{} KiB", bytes >> 10),
        _ => format!("{bytes} B"),
    }
}

impl<const MIN_MS: u64> Read for Time<MIN_MS> {
    fn read(reader: &mut Reader<'_>, value: &Value<'_>) -> Option<Self> {
        const WRITE: &str = "write numbers with units, such as \"30s\", \"250ms\", \"5m\" or \"1h30m\"";
        if let DeValue::Integer(number) = value.get_ref() {
            let what = format_args!("{} has no unit", number.as_str());
            reader.mistake(value.span(), what, &format!("write \"{}s\" or \"{0}ms\"", number.as_str()));
            return None;
        }
        let text = reader.string(value, "a duration such as \"30s\"")?;
        let Some(time) = parse_time(&text) else {
            reader.mistake(value.span(), format_args!("\"{text}\" is not a duration"), WRITE);
            return None;
        };
        if time < Duration::from_millis(MIN_MS) {
            let what = format_args!("\"{text}\" is too short");
            reader.mistake(value.span(), what, &format!("the least is \"{}\"", show_ms(MIN_MS)));
            return None;
        }
        Some(Self(time))
    }
}

impl Read for Size {
    fn read(reader: &mut Reader<'_>, value: &Value<'_>) -> Option<Self> {
        const WRITE: &str = "write a number with a unit, such as \"64 MiB\", \"16 KiB\" or \"512 B\"";
        if let DeValue::Integer(number) = value.get_ref() {
            let what = format_args!("{} has no unit", number.as_str());
            let bytes = u64::from_str_radix(number.as_str(), number.radix()).unwrap_or_default();
            reader.mistake(value.span(), what, &format!("write \"{}\"", show_bytes(bytes)));
            return None;
        }
        let text = reader.string(value, "a size such as \"64 MiB\"")?;
        let size = parse_size(&text);
        if size.is_none() {
            reader.mistake(value.span(), format_args!("\"{text}\" is not a size"), WRITE);
        }
        size.map(Self)
    }
}

impl Read for Rate {
    fn read(reader: &mut Reader<'_>, value: &Value<'_>) -> Option<Self> {
        let text = reader.string(value, "a rate such as \"1 KiB/s\"")?;
        let rate =
            if text.trim() == "0" { Some(0) } else { text.trim().strip_suffix("/s").and_then(parse_size) };
        if rate.is_none() {
            let help = "write bytes per second, such as \"1 KiB/s\" or \"500 B/s\"";
            reader.mistake(value.span(), format_args!("\"{text}\" is not a rate"), help);
        }
        rate.map(Self)
    }
}

impl Read for Frequency {
    fn read(reader: &mut Reader<'_>, value: &Value<'_>) -> Option<Self> {
        let text = reader.string(value, "a rate such as \"100/s\"")?;
        let frequency = parse_frequency(&text);
        if frequency.is_none() {
            let help = "write a number and a time, such as \"100/s\", \"1000/h\" or \"10/15m\"";
            reader.mistake(value.span(), format_args!("\"{text}\" is not a rate"), help);
        }
        frequency
    }
}

impl Read for Share {
    fn read(reader: &mut Reader<'_>, value: &Value<'_>) -> Option<Self> {
        let (text, share) = match value.get_ref() {
            DeValue::Float(number) => (number.as_str().to_owned(), parse_float(number.as_str())),
            DeValue::Integer(number) => (number.as_str().to_owned(), parse_float(number.as_str())),
            _ => {
                let text = reader.string(value, "a share such as 0.2 or \"20%\"")?;
                let share = match text.trim().strip_suffix('%') {
                    Some(percent) => parse_float(percent.trim_end()).map(|percent| percent / 100.0),
                    None => parse_float(text.trim()),
                };
                (text, share)
            }
        };
        let share = share.filter(|share| (0.0..=1.0).contains(share));
        if share.is_none() {
            let help = "write a share from 0 to 1, or from \"0%\" to \"100%\"";
            reader.mistake(value.span(), format_args!("{text} is not a share"), help);
        }
        share.map(Self)
    }
}

/// A finite number; TOML allows `_` between digits.
fn parse_float(text: &str) -> Option<f64> {
    text.replace('_', "").parse().ok().filter(|number: &f64| number.is_finite())
}

/// The whole number that `value` holds, or that its substituted text holds.
fn whole(reader: &mut Reader<'_>, value: &Value<'_>) -> Option<(String, Option<u64>)> {
    if let DeValue::Integer(number) = value.get_ref() {
        return Some((number.to_string(), u64::from_str_radix(number.as_str(), number.radix()).ok()));
    }
    let text = reader.substituted(value, "a whole number")?;
    if let Ok(number) = text.trim().parse() {
        return Some((text, Some(number)));
    }
    reader.mistake(value.span(), format_args!("\"{text}\" is not a whole number"), "");
    None
}

impl<const MIN: u64, const MAX: u64> Read for Count<MIN, MAX> {
    fn read(reader: &mut Reader<'_>, value: &Value<'_>) -> Option<Self> {
        let (text, number) = whole(reader, value)?;
        let number = number.filter(|number| (MIN..=MAX).contains(number));
        if number.is_none() {
            let help = format!("write a whole number from {MIN} to {MAX}");
            reader.mistake(value.span(), format_args!("{text} is out of range"), &help);
        }
        number.map(Self)
    }
}

impl<const MIN: u64, const MAX: u64> Read for Number<MIN, MAX> {
    fn read(reader: &mut Reader<'_>, value: &Value<'_>) -> Option<Self> {
        let text = match value.get_ref() {
            DeValue::Float(number) => number.as_str().to_owned(),
            DeValue::Integer(number) => number.as_str().to_owned(),
            _ => reader.substituted(value, "a number")?,
        };
        let number = parse_float(text.trim()).filter(|number| (MIN as f64..=MAX as f64).contains(number));
        if number.is_none() {
            let help = format!("write a number from {MIN} to {MAX}");
            reader.mistake(value.span(), format_args!("{text} is out of range"), &help);
        }
        number.map(Self)
    }
}

impl Read for bool {
    fn read(reader: &mut Reader<'_>, value: &Value<'_>) -> Option<Self> {
        if let DeValue::Boolean(flag) = value.get_ref() {
            return Some(*flag);
        }
        match reader.substituted(value, "true or false")?.trim() {
            "true" => Some(true),
            "false" => Some(false),
            other => {
                reader.mistake(value.span(), format_args!("\"{other}\" is neither true nor false"), "");
                None
            }
        }
    }
}

impl Read for String {
    fn read(reader: &mut Reader<'_>, value: &Value<'_>) -> Option<Self> {
        reader.string(value, "a string")
    }
}

/// Reads `200`, `200-299` or `2xx`.
pub fn parse_statuses(text: &str) -> Option<Statuses> {
    let status = |text: &str| text.trim().parse().ok().filter(|status| (100..600).contains(status));
    if let Some(class) = text.strip_suffix("xx") {
        let class: u16 = class.parse().ok().filter(|class| (1..=5).contains(class))?;
        return Some(Statuses { first: class * 100, last: class * 100 + 99 });
    }
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (status(first)?, status(last)?);
    (first <= last).then_some(Statuses { first, last })
}

impl Read for Statuses {
    fn read(reader: &mut Reader<'_>, value: &Value<'_>) -> Option<Self> {
        let text = match value.get_ref() {
            DeValue::Integer(number) => number.as_str().to_owned(),
            _ => reader.string(value, "a status such as 200, \"200-299\" or \"2xx\"")?,
        };
        let statuses = parse_statuses(text.trim());
        if statuses.is_none() {
            let help = "write 200, \"200-299\" or \"2xx\"";
            reader.mistake(value.span(), format_args!("\"{text}\" is no status"), help);
        }
        statuses
    }
}

/// Gives a type a schema that stands inline, under the title that the manual shows as its type.
#[doc(hidden)]
#[macro_export]
macro_rules! inline_schema {
    ($([$($generics:tt)*] $type:ty, $name:literal => $schema:expr;)*) => {$(
        impl<$($generics)*> schemars::JsonSchema for $type {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                $name.into()
            }
            fn inline_schema() -> bool {
                true
            }
            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                $schema
            }
        }
    )*};
}
pub use inline_schema;

inline_schema! {
    [const MIN_MS: u64] Time<MIN_MS>, "Time" =>
        json_schema!({ "type": "string", "title": "duration", "examples": ["30s", "250ms", "1m30s"] });
    [] Size, "Size" => json_schema!({ "type": "string", "title": "size", "examples": ["64 MiB", "16 KiB"] });
    [] Rate, "Rate" => json_schema!({ "type": "string", "title": "rate", "examples": ["1 KiB/s"] });
    [] Frequency, "Frequency" => json_schema!({
        "type": "string", "title": "number per time", "examples": ["100/s", "1000/h", "10/15m"],
    });
    [] Share, "Share" => json_schema!({ "type": ["number", "string"], "title": "share", "examples": [0.2, "20%"] });
    [const MIN: u64, const MAX: u64] Count<MIN, MAX>, "Count" => json_schema!({
        "type": ["integer", "string"], "title": format!("{MIN} to {MAX}"),
        "minimum": MIN, "maximum": MAX, "pattern": r"\$\{",
    });
    [const MIN: u64, const MAX: u64] Number<MIN, MAX>, "Number" => json_schema!({
        "type": ["number", "string"], "title": format!("{MIN}.0 to {MAX}.0"),
        "minimum": MIN, "maximum": MAX, "pattern": r"\$\{",
    });
    [] Statuses, "Statuses" => json_schema!({
        "type": ["integer", "string"], "title": "status", "examples": [200, "200-299", "2xx"],
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_units_and_may_be_put_together() {
        for (text, ms) in
            [("30s", 30_000), ("250ms", 250), ("5m", 300_000), ("1m30s", 90_000), ("0", 0), ("0s", 0)]
        {
            assert_eq!(parse_time(text), Some(Duration::from_millis(ms)), "{text}");
        }
        assert_eq!(parse_time("50us"), Some(Duration::from_micros(50)));
        assert_eq!(parse_time(" 1 h 30 min "), Some(Duration::from_mins(90)));
        for text in ["", " ", "s", "30", "30 secs", "-1s", "1.5s", "99999999999999999999s", "366d", "1s,2s"] {
            assert_eq!(parse_time(text), None, "{text}");
        }
    }

    #[test]
    fn sizes_have_units() {
        for (text, bytes) in [
            ("64 MiB", 64 << 20),
            ("16KiB", 16 << 10),
            ("1 kB", 1000),
            ("512 b", 512),
            ("0", 0),
            ("2gib", 2 << 30),
        ] {
            assert_eq!(parse_size(text), Some(bytes), "{text}");
        }
        for text in ["", "1", "MiB", "-1 B", "1.5 MiB", "99999999999999999999 B", "9999999999 GiB", "1 TB"] {
            assert_eq!(parse_size(text), None, "{text}");
        }
    }

    #[test]
    fn frequencies_are_a_number_per_time() {
        for (text, count, secs) in [
            ("100/s", 100, 1),
            ("1000/h", 1000, 3600),
            (" 5 / d ", 5, 86_400),
            ("10/15m", 10, 900),
            ("1/1m30s", 1, 90),
        ] {
            assert_eq!(
                parse_frequency(text),
                Some(Frequency { count, per: Duration::from_secs(secs) }),
                "{text}"
            );
        }
        for text in
            ["", "/s", "100", "100/", "0/s", "-1/s", "1.5/s", "100/x", "100/0s", "100/s/s", "99999999999/s"]
        {
            assert_eq!(parse_frequency(text), None, "{text}");
        }
    }

    #[test]
    fn statuses_are_single_ranges_or_classes() {
        assert_eq!(parse_statuses("204"), Some(Statuses { first: 204, last: 204 }));
        assert_eq!(parse_statuses("200-399"), Some(Statuses { first: 200, last: 399 }));
        assert_eq!(parse_statuses("4xx"), Some(Statuses { first: 400, last: 499 }));
        for text in ["", "99", "600", "6xx", "300-200", "2-3", "xx", "200-"] {
            assert_eq!(parse_statuses(text), None, "{text}");
        }
    }
}
