//! Environment substitution inside strings: `${NAME}`, `${NAME:-default}`, and `$${` for a plain `${`.
//!
//! It happens after TOML was parsed, value by value, so that what a variable holds can never add
//! keys or tables. The result is not looked at again: a variable that holds `${X}` stays that text.

use core::ops::Range;
use std::borrow::Cow;

/// Why a string cannot be substituted. The ranges are bytes of the string itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Fault {
    /// The variable is not set and there is no default.
    Missing { name: String, at: Range<usize> },
    /// `${` without `}`.
    Open { at: Range<usize> },
    /// What stands between `${` and `}` is not a name.
    Name { name: String, at: Range<usize> },
}

/// Puts variables in. Gives every fault, not only the first.
pub(crate) fn substitute<'t>(
    text: &'t str,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<Cow<'t, str>, Vec<Fault>> {
    if !text.contains("${") {
        return Ok(Cow::Borrowed(text));
    }
    let mut out = String::with_capacity(text.len());
    let mut faults = Vec::new();
    let mut at = 0;
    while let Some(found) = text[at..].find("${") {
        let open = at + found;
        if text[at..open].ends_with('$') {
            out.push_str(&text[at..open - 1]);
            out.push_str("${");
            at = open + 2;
            continue;
        }
        out.push_str(&text[at..open]);
        let Some(length) = text[open..].find('}') else {
            faults.push(Fault::Open { at: open..text.len() });
            return Err(faults);
        };
        match variable(&text[open + 2..open + length], open..open + length + 1, env) {
            Ok(value) => out.push_str(&value),
            Err(fault) => faults.push(fault),
        }
        at = open + length + 1;
    }
    out.push_str(&text[at..]);
    if faults.is_empty() { Ok(Cow::Owned(out)) } else { Err(faults) }
}

/// The value of `NAME` or `NAME:-default`. As in a shell, an empty variable takes the default too.
fn variable(inner: &str, at: Range<usize>, env: &dyn Fn(&str) -> Option<String>) -> Result<String, Fault> {
    let (name, default) = match inner.split_once(":-") {
        Some((name, default)) => (name, Some(default)),
        None => (inner, None),
    };
    let starts_well = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    if !starts_well || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
        return Err(Fault::Name { name: name.to_owned(), at });
    }
    match (env(name), default) {
        (Some(value), None) => Ok(value),
        (Some(value), Some(_)) if !value.is_empty() => Ok(value),
        (_, Some(default)) => Ok(default.to_owned()),
        (None, None) => Err(Fault::Missing { name: name.to_owned(), at }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(name: &str) -> Option<String> {
        match name {
            "PORT" => Some("3000".to_owned()),
            "EMPTY" => Some(String::new()),
            "NESTED" => Some("${PORT}".to_owned()),
            _ => None,
        }
    }

    #[test]
    fn variables_defaults_and_escapes_are_put_in() {
        for (text, wanted) in [
            ("plain $ text $1", "plain $ text $1"),
            ("127.0.0.1:${PORT}", "127.0.0.1:3000"),
            ("${PORT}${PORT}", "30003000"),
            ("${NONE:-x}", "x"),
            ("${NONE:-}", ""),
            ("${PORT:-1}", "3000"),
            ("${EMPTY:-x}", "x"),
            ("${EMPTY}", ""),
            ("a $${PORT} b", "a ${PORT} b"),
            ("${NESTED}", "${PORT}"),
            ("${NONE:-a:-b}", "a:-b"),
        ] {
            assert_eq!(substitute(text, &env).as_deref(), Ok(wanted), "{text}");
        }
    }

    #[test]
    fn every_fault_is_told_with_its_place() {
        assert_eq!(
            substitute("a ${ONE} ${2} ${PORT", &env),
            Err(vec![
                Fault::Missing { name: "ONE".to_owned(), at: 2..8 },
                Fault::Name { name: "2".to_owned(), at: 9..13 },
                Fault::Open { at: 14..20 },
            ])
        );
    }
}
