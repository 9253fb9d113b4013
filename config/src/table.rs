//! The macros that make tables and words out of their keys: struct, reader and schema in one place.
//!
//! A key has one of five rules. `required(EXAMPLE)`: it has to be written. `needed`: the same, but the check is
//! made while lowering, which has better words for it. `default(VALUE)`: what it is when left
//! out; the value is TOML, read by the same reader as the file's, and shown in the manual as written.
//! `absent("…")`: left out means something that is no value; the text says what. `table`: a table whose
//! own keys have their own rules; left out is the same as empty.

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::{Map, Value as Json};
use toml::de::DeValue;

use crate::read::{Read, Reader};

/// The value of a default as it stands in a [`table!`].
pub fn default_value<T: Read>(toml: &str) -> T {
    let value = DeValue::parse(toml).expect("every default is valid TOML, which a test reads");
    let mut reader = Reader::new(toml, &|_| None);
    T::read(&mut reader, &value).expect("every default can be read, which a test does")
}

/// What a key is when it is left out, for the schema.
pub enum Rule {
    Required,
    Default(&'static str),
    Absent(&'static str),
    Table,
}

/// Schema of a table that is being put together from its keys.
pub struct TableSchema<'g> {
    generator: &'g mut SchemaGenerator,
    properties: Map<String, Json>,
    required: Vec<Json>,
}

impl<'g> TableSchema<'g> {
    pub fn new(generator: &'g mut SchemaGenerator) -> Self {
        Self { generator, properties: Map::new(), required: Vec::new() }
    }

    pub fn key<T: JsonSchema>(&mut self, key: &str, doc: &str, rule: &Rule) {
        let mut schema = self.generator.subschema_for::<T>();
        schema.insert("description".to_owned(), prose(doc).into());
        match rule {
            Rule::Required => self.required.push(key.into()),
            Rule::Default(text) => {
                let value = serde_json::from_str(text).expect("every default is JSON too, as a test proves");
                schema.insert("default".to_owned(), value);
            }
            Rule::Absent(text) => {
                schema.insert("x-left-out".to_owned(), (*text).into());
            }
            Rule::Table => {}
        }
        self.properties.insert(key.to_owned(), schema.to_value());
    }

    pub fn finish(self, doc: &str) -> Schema {
        let mut schema = schemars::json_schema!({
            "type": "object",
            "description": prose(doc),
            "properties": self.properties,
            "additionalProperties": false,
        });
        if !self.required.is_empty() {
            schema.insert("required".to_owned(), self.required.into());
        }
        schema
    }
}

/// Doc comment lines as prose: one paragraph per line.
pub fn prose(doc: &str) -> String {
    let paragraphs = doc.split("\n\n").map(|p| p.split_whitespace().collect::<Vec<_>>().join(" "));
    paragraphs.filter(|paragraph| !paragraph.is_empty()).collect::<Vec<_>>().join("\n\n")
}

/// Makes a table: `/// doc` `name: type => rule,` for every key. A key that Rust does not take as a name is given
/// after another one: `length as "for": type => rule,`.
#[doc(hidden)]
#[macro_export]
macro_rules! table {
    ($(
        $(#[doc = $table_doc:expr])*
        pub struct $table:ident {$(
            $(#[doc = $doc:expr])*
            $key:ident $(as $name:literal)?: $type:ty => $rule:ident $(($text:tt))?
        ),* $(,)?}
    )*) => {$(
        $(#[doc = $table_doc])*
        #[derive(Clone, Debug, Default)]
        pub struct $table {$(
            $(#[doc = $doc])*
            pub $key: $crate::read::Key<$type>,
        )*
            /// Whether a key was unknown or refused, so that what is there is not all that was meant.
            pub has_mistakes: bool,
        }

        impl $table {
            /// Every key of the table.
            pub const KEYS: &[&str] = &[$($crate::table::table!(@name $key $($name)?)),*];

            $($crate::table::table!(@value $key, $type, $rule $(($text))?);)*
        }

        impl $crate::read::Read for $table {
            fn read(reader: &mut $crate::read::Reader<'_>, value: &$crate::read::Value<'_>) -> Option<Self> {
                let mut table = Self::default();
                for (key, value) in reader.table(value)? {
                    match key.get_ref().as_ref() {
                        $($crate::table::table!(@name $key $($name)?) => {
                            table.$key = reader.key($crate::table::table!(@name $key $($name)?), value);
                        })*
                        _ => {
                            reader.unknown(key, Self::KEYS);
                            table.has_mistakes = true;
                        }
                    }
                }
                $($crate::table::table!(@missing reader, value, table, $key $($name)?, $rule $(($text))?);)*
                table.has_mistakes |= [$(table.$key.is_refused()),*].contains(&true);
                Some(table)
            }
        }

        impl schemars::JsonSchema for $table {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($table).into()
            }
            fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
                let mut schema = $crate::table::TableSchema::new(generator);
                $(schema.key::<$type>(
                    $crate::table::table!(@name $key $($name)?),
                    concat!($($doc, "\n",)*),
                    &$crate::table::table!(@rule $rule $(($text))?),
                );)*
                schema.finish(concat!($($table_doc, "\n",)*))
            }
        }
    )*};

    (@value $key:ident, $type:ty, default($text:tt)) => {
        /// The value, or its default.
        pub fn $key(&self) -> $type {
            self.$key.get().cloned().unwrap_or_else(|| $crate::table::default_value(stringify!($text)))
        }
    };
    (@value $key:ident, $type:ty, table) => {
        /// The table, empty when it was left out.
        pub fn $key(&self) -> $type {
            self.$key.get().cloned().unwrap_or_default()
        }
    };
    (@value $key:ident, $type:ty, $rule:ident $(($text:tt))?) => {};

    (@missing $reader:ident, $value:ident, $table:ident, $key:ident $($name:literal)?, required($example:tt)) => {
        if $table.$key.is_absent() {
            let key = $crate::table::table!(@name $key $($name)?);
            $reader.missing($value.span(), key, stringify!($example));
            $table.has_mistakes = true;
        }
    };
    (@missing $reader:ident, $value:ident, $table:ident, $key:ident $($name:literal)?, $rule:ident $(($text:tt))?) => {};

    (@name $key:ident) => { stringify!($key) };
    (@name $key:ident $name:literal) => { $name };

    (@rule required($example:tt)) => { $crate::table::Rule::Required };
    (@rule needed) => { $crate::table::Rule::Required };
    (@rule default($text:tt)) => { $crate::table::Rule::Default(stringify!($text)) };
    (@rule absent($text:tt)) => { $crate::table::Rule::Absent($text) };
    (@rule table) => { $crate::table::Rule::Table };
}

/// Makes an enum whose variants are written as words: `/// doc` `Variant = "word",`.
#[doc(hidden)]
#[macro_export]
macro_rules! words {
    (
        $(#[doc = $doc:expr])*
        pub enum $name:ident {$(
            $(#[doc = $word_doc:expr])*
            $variant:ident = $word:literal
        ),* $(,)?}
    ) => {
        $(#[doc = $doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub enum $name {$(
            $(#[doc = $word_doc])*
            $variant,
        )*}

        impl $crate::read::Read for $name {
            fn read(reader: &mut $crate::read::Reader<'_>, value: &$crate::read::Value<'_>) -> Option<Self> {
                const WORDS: &[&str] = &[$($word),*];
                let text = reader.string(value, "a string")?;
                match text.as_str() {
                    $($word => Some(Self::$variant),)*
                    _ => {
                        let help = match $crate::read::nearest(&text, WORDS) {
                            Some(near) => format!("did you mean \"{near}\"?"),
                            None => format!("write one of \"{}\"", WORDS.join("\", \"")),
                        };
                        reader.mistake(value.span(), format_args!("\"{text}\" is not known"), &help);
                        None
                    }
                }
            }
        }

        impl schemars::JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }
            fn inline_schema() -> bool {
                true
            }
            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({
                    "oneOf": [$({
                        "const": $word,
                        "description": $crate::table::prose(concat!($($word_doc, "\n",)*)),
                    }),*]
                })
            }
        }
    };
}

pub use {table, words};
