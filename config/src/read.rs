//! Reading TOML values into typed tables, collecting every mistake instead of stopping at the first.
//!
//! serde stops at the first error and has no notion of a span for a missing key, so the reader is
//! our own: a type says how it is read ([`Read`]), the [`table!`] macro makes tables out of keys, and
//! the same list of keys makes the JSON schema. What the reader takes and what the manual says can
//! therefore not differ.

use core::fmt;
use core::ops::Range;
use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::diagnostic::Diagnostic;
use crate::substitute::{Fault, substitute};

/// A TOML value and where it stands.
pub(crate) type Value<'i> = Spanned<DeValue<'i>>;

/// A key and its value.
type Entry<'v, 'i> = (&'v Spanned<Cow<'i, str>>, &'v Value<'i>);

/// A type that is read from a TOML value.
pub(crate) trait Read: Sized {
    /// The value, or `None` after the reader was told what is wrong with it.
    fn read(reader: &mut Reader<'_>, value: &Value<'_>) -> Option<Self>;
}

/// A table that can be written shorter, as one value.
pub(crate) trait Short: Read {
    /// The one value.
    type Value: Read;
    /// The table that the one value stands for.
    fn from_value(value: Spanned<Self::Value>) -> Self;
}

/// What became of one key of a table.
#[derive(Clone, PartialEq, Debug, Default)]
pub enum Key<T> {
    /// The key was not written.
    #[default]
    Absent,
    /// The key was written and refused; there is a diagnostic about it.
    Refused,
    /// The key was written.
    Written(Spanned<T>),
}

impl<T> Key<T> {
    /// The value, when one was written and taken.
    pub fn get(&self) -> Option<&T> {
        self.written().map(Spanned::get_ref)
    }

    /// The value and where it stands.
    pub fn written(&self) -> Option<&Spanned<T>> {
        match self {
            Self::Written(value) => Some(value),
            Self::Absent | Self::Refused => None,
        }
    }

    /// Where the value stands.
    pub fn span(&self) -> Option<Range<usize>> {
        self.written().map(Spanned::span)
    }

    /// Whether the key was written, but not taken.
    pub fn is_refused(&self) -> bool {
        matches!(self, Self::Refused)
    }

    /// Whether the key was not written at all.
    pub fn is_absent(&self) -> bool {
        matches!(self, Self::Absent)
    }
}

/// The walk over one file: where it is, what the environment holds, what was wrong so far.
pub(crate) struct Reader<'a> {
    text: &'a str,
    env: &'a dyn Fn(&str) -> Option<String>,
    path: Vec<String>,
    diagnostics: Vec<Diagnostic>,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(text: &'a str, env: &'a dyn Fn(&str) -> Option<String>) -> Self {
        Self { text, env, path: Vec::new(), diagnostics: Vec::new() }
    }

    /// Every mistake found.
    pub(crate) fn into_diagnostics(self) -> Vec<Diagnostic> {
        self.diagnostics
    }

    pub(crate) fn report(&mut self, diagnostic: Diagnostic) {
        self.diagnostics.push(diagnostic);
    }

    /// Reports a mistake at `span`, under the path of the key that is being read.
    pub(crate) fn mistake(&mut self, span: Range<usize>, what: impl fmt::Display, help: &str) {
        let message = format!("{}: {what}", self.path.join("."));
        let mut diagnostic = Diagnostic::error(span, message);
        if !help.is_empty() {
            diagnostic = diagnostic.help(help);
        }
        self.report(diagnostic);
    }

    /// Reports that `value` is of another type than `wanted`.
    pub(crate) fn wrong_type(&mut self, value: &Value<'_>, wanted: &str) {
        let found = match value.get_ref() {
            DeValue::String(_) => "a string",
            DeValue::Integer(_) => "a whole number",
            DeValue::Float(_) => "a number",
            DeValue::Boolean(_) => "true or false",
            DeValue::Datetime(_) => "a date",
            DeValue::Array(_) => "a list",
            DeValue::Table(_) => "a table",
        };
        self.mistake(value.span(), format_args!("expected {wanted}, found {found}"), "");
    }

    /// The value of one key of a table.
    pub(crate) fn key<T: Read>(&mut self, key: &str, value: &Value<'_>) -> Key<T> {
        self.path.push(key.to_owned());
        let read = T::read(self, value);
        self.path.pop();
        read.map_or(Key::Refused, |read| Key::Written(Spanned::new(value.span(), read)))
    }

    /// Reports a key that no table has here, with the nearest one that it has.
    pub(crate) fn unknown(&mut self, key: &Spanned<Cow<'_, str>>, known: &[&str]) {
        let place = if self.path.is_empty() { String::new() } else { format!(" in {}", self.path.join(".")) };
        let message = format!("unknown key \"{}\"{place}", key.get_ref());
        let help = match nearest(key.get_ref(), known) {
            Some(near) => format!("did you mean \"{near}\"?"),
            None => format!("the keys here are {}", known.join(", ")),
        };
        self.report(Diagnostic::error(key.span(), message).help(help));
    }

    /// Reports a key that has to be there.
    pub(crate) fn missing(&mut self, table: Range<usize>, key: &str, example: &str) {
        let message = format!("{} has no {key}", self.path.join("."));
        self.report(Diagnostic::error(table, message).help(format!("add {key} = {example}")));
    }

    /// The keys of a table in the order of the file.
    pub(crate) fn table<'v, 'i>(&mut self, value: &'v Value<'i>) -> Option<Vec<Entry<'v, 'i>>> {
        let DeValue::Table(table) = value.get_ref() else {
            self.wrong_type(value, "a table");
            return None;
        };
        Some(in_order(table))
    }

    /// The text of a string, with the environment put in. `None` when the value is no string
    /// (`wanted` says what it should be) or a variable is missing.
    pub(crate) fn string(&mut self, value: &Value<'_>, wanted: &str) -> Option<String> {
        let DeValue::String(text) = value.get_ref() else {
            self.wrong_type(value, wanted);
            return None;
        };
        match substitute(text, self.env) {
            Ok(text) => Some(text.into_owned()),
            Err(faults) => {
                for fault in faults {
                    self.fault(value.span(), text, fault);
                }
                None
            }
        }
    }

    /// The text of a string that has variables in it: where a number or a flag is wanted, only such
    /// a string may stand for it.
    pub(crate) fn substituted(&mut self, value: &Value<'_>, wanted: &str) -> Option<String> {
        match value.get_ref() {
            DeValue::String(text) if text.contains("${") => self.string(value, wanted),
            DeValue::String(_) => {
                let what = format_args!("expected {wanted}, found a string");
                self.mistake(value.span(), what, "leave the quotes out");
                None
            }
            _ => {
                self.wrong_type(value, wanted);
                None
            }
        }
    }

    fn fault(&mut self, span: Range<usize>, text: &str, fault: Fault) {
        let (at, what, help) = match fault {
            Fault::Missing { name, at } => {
                let help = format!("set it, or give a default: ${{{name}:-…}}");
                (at, format!("the environment variable {name} is not set"), help)
            }
            Fault::Open { at } => {
                (at, "\"${\" without \"}\"".to_owned(), "write \"$${\" for a plain \"${\"".to_owned())
            }
            Fault::Name { name, at } => {
                let help = "write ${NAME} or ${NAME:-default}, or \"$${\" for a plain \"${\"".to_owned();
                (at, format!("\"{name}\" is no name of an environment variable"), help)
            }
        };
        // Escapes can make the written form longer than the text, so the place is searched for.
        let written = self.text.get(span.clone()).and_then(|written| written.find(&text[at.clone()]));
        let span = written.map_or(span.clone(), |found| span.start + found..span.start + found + at.len());
        self.mistake(span, what, &help);
    }
}

/// The entries of a table in the order of the file.
fn in_order<'v, 'i>(table: &'v DeTable<'i>) -> Vec<Entry<'v, 'i>> {
    let mut entries: Vec<_> = table.iter().collect();
    entries.sort_by_key(|(key, _)| key.span().start);
    entries
}

/// The word of `known` that `word` most likely stands for: at most a third of its letters differ.
pub(crate) fn nearest<'k>(word: &str, known: &[&'k str]) -> Option<&'k str> {
    let lower = word.to_ascii_lowercase().replace(' ', "-");
    known
        .iter()
        .map(|known| (strsim::damerau_levenshtein(&lower, known), *known))
        .min()
        .filter(|(distance, known)| *distance <= known.len().max(lower.len()).div_ceil(3).min(3))
        .map(|(_, known)| known)
}

/// Every entry of a list; `None` when one was refused, so that nothing is judged by half a list.
#[derive(Clone, PartialEq, Debug)]
pub struct List<T>(pub Vec<Spanned<T>>);

impl<T: Read> Read for List<T> {
    fn read(reader: &mut Reader<'_>, value: &Value<'_>) -> Option<Self> {
        let DeValue::Array(list) = value.get_ref() else {
            reader.wrong_type(value, "a list");
            return None;
        };
        let read: Vec<_> =
            list.iter().map(|entry| T::read(reader, entry).map(|r| Spanned::new(entry.span(), r))).collect();
        read.into_iter().collect::<Option<_>>().map(Self)
    }
}

/// A table whose keys are names that the file chooses.
#[derive(Clone, PartialEq, Debug)]
pub struct Named<T>(pub Vec<(Spanned<String>, Spanned<T>)>);

impl<T> Default for Named<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T: Read> Read for Named<T> {
    fn read(reader: &mut Reader<'_>, value: &Value<'_>) -> Option<Self> {
        let mut whole = true;
        let mut entries = Vec::new();
        for (key, value) in reader.table(value)? {
            match reader.key(key.get_ref(), value) {
                Key::Written(read) => {
                    entries.push((Spanned::new(key.span(), key.get_ref().to_string()), read));
                }
                Key::Absent | Key::Refused => whole = false,
            }
        }
        whole.then_some(Self(entries))
    }
}

/// One value, or a list of them.
#[derive(Clone, PartialEq, Debug)]
pub struct OneOrMany<T>(pub Vec<Spanned<T>>);

impl<T: Read> Read for OneOrMany<T> {
    fn read(reader: &mut Reader<'_>, value: &Value<'_>) -> Option<Self> {
        if value.get_ref().is_array() {
            return List::read(reader, value).map(|list| Self(list.0));
        }
        T::read(reader, value).map(|one| Self(vec![Spanned::new(value.span(), one)]))
    }
}

/// A value that can be switched off by writing `"off"`.
#[derive(Clone, PartialEq, Debug)]
pub enum Switch<T> {
    /// `"off"` was written.
    Off,
    /// A value was written.
    On(T),
}

impl<T> Switch<T> {
    /// The value, unless it is switched off.
    pub fn on(&self) -> Option<&T> {
        match self {
            Self::Off => None,
            Self::On(value) => Some(value),
        }
    }
}

impl<T: Read> Read for Switch<T> {
    fn read(reader: &mut Reader<'_>, value: &Value<'_>) -> Option<Self> {
        match value.get_ref() {
            DeValue::String(text) if substitute(text, reader.env).is_ok_and(|text| text == "off") => {
                Some(Self::Off)
            }
            _ => T::read(reader, value).map(Self::On),
        }
    }
}

/// A table, or `true` for an empty one and `false` for none.
#[derive(Clone, PartialEq, Debug)]
pub enum Toggle<T> {
    /// `false` was written.
    Off,
    /// `true` or a table was written.
    On(T),
}

impl<T> Toggle<T> {
    /// The table, unless it is switched off.
    pub fn on(&self) -> Option<&T> {
        match self {
            Self::Off => None,
            Self::On(table) => Some(table),
        }
    }
}

impl<T: Read + Default> Read for Toggle<T> {
    fn read(reader: &mut Reader<'_>, value: &Value<'_>) -> Option<Self> {
        const WANTED: &str = "true, false or a table";
        let flag = match value.get_ref() {
            DeValue::Table(_) => return T::read(reader, value).map(Self::On),
            DeValue::Boolean(flag) => flag.to_string(),
            _ => reader.substituted(value, WANTED)?,
        };
        match flag.trim() {
            "true" => Some(Self::On(T::default())),
            "false" => Some(Self::Off),
            other => {
                reader.mistake(value.span(), format_args!("expected {WANTED}, found \"{other}\""), "");
                None
            }
        }
    }
}

/// A table, or the one value that stands for it.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Shortened<T>(pub T);

impl<T: Short> Read for Shortened<T> {
    fn read(reader: &mut Reader<'_>, value: &Value<'_>) -> Option<Self> {
        if value.get_ref().is_table() {
            return T::read(reader, value).map(Self);
        }
        let short = T::Value::read(reader, value)?;
        Some(Self(T::from_value(Spanned::new(value.span(), short))))
    }
}

impl<T: JsonSchema> JsonSchema for List<T> {
    fn schema_name() -> Cow<'static, str> {
        format!("List{}", T::schema_name()).into()
    }
    fn inline_schema() -> bool {
        true
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "array", "items": generator.subschema_for::<T>() })
    }
}

impl<T: JsonSchema> JsonSchema for Named<T> {
    fn schema_name() -> Cow<'static, str> {
        format!("Named{}", T::schema_name()).into()
    }
    fn inline_schema() -> bool {
        true
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "object", "additionalProperties": generator.subschema_for::<T>() })
    }
}

impl<T: JsonSchema> JsonSchema for OneOrMany<T> {
    fn schema_name() -> Cow<'static, str> {
        format!("OneOrMany{}", T::schema_name()).into()
    }
    fn inline_schema() -> bool {
        true
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let one = generator.subschema_for::<T>();
        json_schema!({ "anyOf": [one, { "type": "array", "items": one }] })
    }
}

impl<T: JsonSchema> JsonSchema for Switch<T> {
    fn schema_name() -> Cow<'static, str> {
        format!("Switch{}", T::schema_name()).into()
    }
    fn inline_schema() -> bool {
        true
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [{ "const": "off" }, generator.subschema_for::<T>()] })
    }
}

impl<T: JsonSchema> JsonSchema for Toggle<T> {
    fn schema_name() -> Cow<'static, str> {
        format!("Toggle{}", T::schema_name()).into()
    }
    fn inline_schema() -> bool {
        true
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [generator.subschema_for::<bool>(), generator.subschema_for::<T>()] })
    }
}

impl<T: Short + JsonSchema> JsonSchema for Shortened<T>
where
    T::Value: JsonSchema,
{
    fn schema_name() -> Cow<'static, str> {
        format!("Shortened{}", T::schema_name()).into()
    }
    fn inline_schema() -> bool {
        true
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let short = generator.subschema_for::<T::Value>();
        json_schema!({ "anyOf": [short, generator.subschema_for::<T>()] })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_word_is_found_when_it_is_near() {
        let known = ["interval", "timeout", "path", "least-requests"];
        assert_eq!(nearest("intervall", &known), Some("interval"));
        assert_eq!(nearest("Timeout", &known), Some("timeout"));
        assert_eq!(nearest("tiemout", &known), Some("timeout"));
        assert_eq!(nearest("least requests", &known), Some("least-requests"));
        assert_eq!(nearest("cache", &known), None);
    }
}
