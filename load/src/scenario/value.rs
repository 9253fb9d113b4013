//! Values that only scenarios have: rates, waits, local addresses, constants, JSON.

use std::net::IpAddr;
use std::time::Duration;

use config::inline_schema;
use config::read::{Read, Reader, Value};
use config::value::parse_time;
use schemars::json_schema;
use toml::de::DeValue;

use crate::plan::Pause;

/// Highest rate of one run, per second; more than any machine sends.
pub const MAX_RATE: f64 = 100_000_000.0;

/// Most local addresses of one run.
pub const MAX_SOURCES: usize = 4096;

/// So many per second: `"1000/s"`, `"90/min"`, `"0.5/s"`, `"3600/h"`.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct PerSecond(pub f64);

/// A time that is drawn anew each time: `"1s"`, or `"1s-3s"` for anything between.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Wait(pub Pause);

/// Local addresses: one, or the first and the last: `"127.0.0.2-127.0.0.20"`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Sources(pub Vec<IpAddr>);

/// A text, a number or a flag, as it is put into requests.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Constant(pub String);

/// `true`: it has to be there; a text: what it has to be.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum There {
    /// With any value.
    Any,
    /// With this value.
    Is(String),
}

/// A TOML value as JSON.
#[derive(Clone, PartialEq, Debug)]
pub struct Json(pub serde_json::Value);

/// A whole number that may be negative.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Whole(pub i64);

/// Reads `1000/s`, `90/min`, `0.5/s`; at most [`MAX_RATE`].
pub(crate) fn parse_rate(text: &str) -> Option<f64> {
    let (number, unit) = text.trim().split_once('/')?;
    let seconds = match unit.trim() {
        "s" => 1.0,
        "m" | "min" => 60.0,
        "h" => 3600.0,
        _ => return None,
    };
    let number = number.trim();
    let digits = |byte: u8| byte.is_ascii_digit() || byte == b'.' || byte == b'_';
    if !number.bytes().all(digits) {
        return None;
    }
    let rate = number.replace('_', "").parse::<f64>().ok()? / seconds;
    (rate.is_finite() && rate <= MAX_RATE).then_some(rate)
}

/// Reads `1s` or `1s-3s`.
fn parse_wait(text: &str) -> Option<Pause> {
    let (least, most) = text.split_once('-').unwrap_or((text, text));
    let pause = Pause { least: parse_time(least)?, most: parse_time(most)? };
    (pause.least <= pause.most).then_some(pause)
}

/// Reads an address, or two of one family with `-` between them that span at most [`MAX_SOURCES`].
pub(crate) fn parse_sources(text: &str) -> Option<Vec<IpAddr>> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    match (first.trim().parse().ok()?, last.trim().parse().ok()?) {
        (IpAddr::V4(first), IpAddr::V4(last)) => {
            let count = u32::from(last).checked_sub(u32::from(first))?;
            let within = (count as usize) < MAX_SOURCES;
            within.then(|| (u32::from(first)..=u32::from(last)).map(|ip| IpAddr::V4(ip.into())).collect())
        }
        (IpAddr::V6(first), IpAddr::V6(last)) => {
            let count = u128::from(last).checked_sub(u128::from(first))?;
            let within = count < MAX_SOURCES as u128;
            within.then(|| (u128::from(first)..=u128::from(last)).map(|ip| IpAddr::V6(ip.into())).collect())
        }
        _ => None,
    }
}

/// How a rate is to be written, for people.
pub(crate) const WRITE_RATE: &str = "write so many per time, such as \"1000/s\", \"90/min\" or \"0.5/s\"";

/// How local addresses are to be written, for people.
pub(crate) const WRITE_SOURCES: &str = "write \"127.0.0.2\" or \"127.0.0.2-127.0.0.20\"";

impl Read for PerSecond {
    fn read(reader: &mut Reader<'_>, value: &Value<'_>) -> Option<Self> {
        if let DeValue::Integer(number) = value.get_ref() {
            let what = format_args!("{} has no unit", number.as_str());
            reader.mistake(value.span(), what, &format!("write \"{}/s\"", number.as_str()));
            return None;
        }
        let text = reader.string(value, "a rate such as \"1000/s\"")?;
        let rate = parse_rate(&text);
        if rate.is_none() {
            reader.mistake(value.span(), format_args!("\"{text}\" is not a rate"), WRITE_RATE);
        }
        rate.map(Self)
    }
}

impl Read for Wait {
    fn read(reader: &mut Reader<'_>, value: &Value<'_>) -> Option<Self> {
        if let DeValue::Integer(number) = value.get_ref() {
            let what = format_args!("{} has no unit", number.as_str());
            reader.mistake(value.span(), what, &format!("write \"{}s\"", number.as_str()));
            return None;
        }
        let text = reader.string(value, "a time such as \"1s\" or \"1s-3s\"")?;
        let pause = parse_wait(&text);
        if pause.is_none() {
            let help = "write \"1s\", or \"1s-3s\" for anything between";
            reader.mistake(value.span(), format_args!("\"{text}\" is not a time to wait"), help);
        }
        pause.map(Self)
    }
}

impl Read for Sources {
    fn read(reader: &mut Reader<'_>, value: &Value<'_>) -> Option<Self> {
        let text = reader.string(value, "an address such as \"127.0.0.2\"")?;
        let sources = parse_sources(&text);
        if sources.is_none() {
            let what = format_args!("\"{text}\" is neither an address nor at most {MAX_SOURCES} in a row");
            reader.mistake(value.span(), what, WRITE_SOURCES);
        }
        sources.map(Self)
    }
}

impl Read for Constant {
    fn read(reader: &mut Reader<'_>, value: &Value<'_>) -> Option<Self> {
        match value.get_ref() {
            DeValue::Integer(number) => Some(Self(number.to_string())),
            DeValue::Float(number) => Some(Self(number.to_string())),
            DeValue::Boolean(flag) => Some(Self(flag.to_string())),
            _ => reader.string(value, "a text, a number or a table").map(Self),
        }
    }
}

impl Read for There {
    fn read(reader: &mut Reader<'_>, value: &Value<'_>) -> Option<Self> {
        match value.get_ref() {
            DeValue::Boolean(true) => Some(Self::Any),
            _ => reader.string(value, "a text, true or a table").map(Self::Is),
        }
    }
}

impl Read for Whole {
    fn read(reader: &mut Reader<'_>, value: &Value<'_>) -> Option<Self> {
        let DeValue::Integer(number) = value.get_ref() else {
            let text = reader.substituted(value, "a whole number")?;
            let number = text.trim().parse().ok();
            if number.is_none() {
                reader.mistake(value.span(), format_args!("\"{text}\" is not a whole number"), "");
            }
            return number.map(Self);
        };
        let read = i64::from_str_radix(number.as_str(), number.radix()).ok();
        if read.is_none() {
            reader.mistake(
                value.span(),
                format_args!("{number} is out of range"),
                "write a number of 64 bits",
            );
        }
        read.map(Self)
    }
}

impl Read for Json {
    fn read(reader: &mut Reader<'_>, value: &Value<'_>) -> Option<Self> {
        let json = match value.get_ref() {
            DeValue::String(_) => reader.string(value, "a string")?.into(),
            DeValue::Boolean(flag) => (*flag).into(),
            DeValue::Integer(_) => Whole::read(reader, value)?.0.into(),
            DeValue::Float(number) => {
                let read = number.as_str().replace('_', "").parse::<f64>().ok();
                let json = read.and_then(serde_json::Number::from_f64);
                if json.is_none() {
                    reader.mistake(
                        value.span(),
                        format_args!("JSON has no {number}"),
                        "write a finite number",
                    );
                }
                json?.into()
            }
            DeValue::Datetime(_) => {
                reader.mistake(value.span(), "JSON has no dates", "write it as a string, in quotes");
                return None;
            }
            DeValue::Array(list) => {
                let read: Vec<_> = list.iter().map(|entry| Self::read(reader, entry)).collect();
                read.into_iter().map(|entry| entry.map(|json| json.0)).collect::<Option<Vec<_>>>()?.into()
            }
            DeValue::Table(_) => {
                let named = config::Named::<Self>::read(reader, value)?;
                let entry = |(key, value): (toml::Spanned<String>, toml::Spanned<Self>)| {
                    (key.into_inner(), value.into_inner().0)
                };
                serde_json::Value::Object(named.0.into_iter().map(entry).collect())
            }
        };
        Some(Self(json))
    }
}

inline_schema! {
    [] PerSecond, "PerSecond" => json_schema!({
        "type": "string", "title": "rate", "examples": ["1000/s", "90/min", "0.5/s"],
    });
    [] Wait, "Wait" => json_schema!({
        "type": "string", "title": "time or range of times", "examples": ["1s", "1s-3s"],
    });
    [] Sources, "Sources" => json_schema!({
        "type": "string", "title": "address or range of addresses",
        "examples": ["127.0.0.2", "127.0.0.2-127.0.0.20"],
    });
    [] Constant, "Constant" => json_schema!({
        "type": ["string", "number", "boolean"], "title": "text or number",
    });
    [] There, "There" => json_schema!({ "type": ["string", "boolean"], "title": "text or true" });
    [] Json, "Json" => json_schema!({
        "type": ["string", "number", "boolean", "array", "object"], "title": "any JSON value",
    });
    [] Whole, "Whole" => json_schema!({
        "type": ["integer", "string"], "title": "whole number", "pattern": r"\$\{",
    });
}

/// The whole of a duration that is not written as text.
pub(crate) fn seconds(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_per_second_minute_or_hour() {
        for (text, rate) in [
            ("1000/s", 1000.0),
            ("90/min", 1.5),
            (" 0.5 / s ", 0.5),
            ("3_600/h", 1.0),
            ("6/m", 0.1),
            ("0/s", 0.0),
        ] {
            assert_eq!(parse_rate(text), Some(rate), "{text}");
        }
        for text in ["", "1000", "/s", "-1/s", "inf/s", "1e3/s", "1/d", "100000001/s", "./s", "1/s/s"] {
            assert_eq!(parse_rate(text), None, "{text}");
        }
    }

    #[test]
    fn waits_are_times_or_ranges() {
        let pause =
            |least, most| Pause { least: Duration::from_secs(least), most: Duration::from_secs(most) };
        assert_eq!(parse_wait("1s"), Some(pause(1, 1)));
        assert_eq!(parse_wait("1s - 1m"), Some(pause(1, 60)));
        for text in ["", "2s-1s", "1s-", "-1s", "1-2s"] {
            assert_eq!(parse_wait(text), None, "{text}");
        }
    }

    #[test]
    fn sources_are_addresses_or_ranges_of_a_bounded_length() {
        assert_eq!(parse_sources("127.0.0.2-127.0.0.4").unwrap().len(), 3);
        assert_eq!(parse_sources("::1"), Some(vec!["::1".parse().unwrap()]));
        assert_eq!(parse_sources("127.0.0.0-127.0.15.255").unwrap().len(), MAX_SOURCES);
        for text in ["", "127.0.0.0-127.0.16.0", "127.0.0.2-127.0.0.1", "127.0.0.1-::1", "a", "::-ffff::"] {
            assert_eq!(parse_sources(text), None, "{text}");
        }
    }
}
