//! Texts with `{{name}}` in them, cut into what is fixed and what is put in.
//!
//! What a value may do depends on where it is put, so every place says how it is encoded; a value can never end a
//! header line, add a part to a path or close a JSON string. Constants are put in when the template is made.

use core::fmt;

/// How a value is written where it is put in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Encoding {
    /// In a path, a query or a form: all but letters, digits, `-`, `.`, `_` and `~` is percent-encoded.
    Percent,
    /// As the beginning of a path, such as a captured Location: what a path and a query may hold stays, an
    /// `http://host` before it and a fragment behind it are left out, all else is percent-encoded.
    Target,
    /// In a header field: controls become blanks.
    Field,
    /// In a JSON string.
    Json,
    /// As it is.
    Plain,
}

/// A text, ready to be rendered.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Template {
    pub(super) parts: Vec<Part>,
}

/// A piece of a template.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Part {
    Fixed(Vec<u8>),
    Value { variable: u16, encoding: Encoding },
}

/// Why a text is no template.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum BadTemplate {
    /// `{{` without `}}`.
    Open,
    /// A name that no variable has; the nearest one that there is.
    Unknown {
        /// As it was written.
        name: String,
        /// What may have been meant.
        near: Option<String>,
    },
}

impl fmt::Display for BadTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Open => f.write_str("\"{{\" without \"}}\""),
            Self::Unknown { name, .. } => write!(f, "there is no variable \"{name}\""),
        }
    }
}

impl BadTemplate {
    /// How to mend it.
    pub fn help(&self) -> String {
        match self {
            Self::Open => "close the name of the variable: {{name}}".to_owned(),
            Self::Unknown { near: Some(near), .. } => format!("did you mean {{{{{near}}}}}?"),
            Self::Unknown { name, near: None } => {
                format!("add {name} = \"…\" to [variables], or capture it in a step before")
            }
        }
    }
}

impl Template {
    /// These bytes, without anything that is put in.
    pub fn of(bytes: &[u8]) -> Self {
        let mut template = Self::default();
        template.fixed(bytes);
        template
    }

    /// The bytes, when nothing is put in.
    pub(super) fn as_fixed(&self) -> Option<&[u8]> {
        match self.parts.as_slice() {
            [] => Some(&[]),
            [Part::Fixed(bytes)] => Some(bytes),
            _ => None,
        }
    }

    /// Every piece that is fixed.
    pub fn fixed_parts(&self) -> impl Iterator<Item = &[u8]> {
        self.parts.iter().filter_map(|part| match part {
            Part::Fixed(bytes) => Some(bytes.as_slice()),
            Part::Value { .. } => None,
        })
    }

    /// Whether it begins with a value.
    pub fn begins_with_value(&self) -> bool {
        matches!(self.parts.first(), Some(Part::Value { .. }))
    }

    pub(super) fn fixed(&mut self, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        match self.parts.last_mut() {
            Some(Part::Fixed(before)) => before.extend_from_slice(bytes),
            _ => self.parts.push(Part::Fixed(bytes.to_vec())),
        }
    }

    pub(super) fn value(&mut self, variable: u16, encoding: Encoding) {
        self.parts.push(Part::Value { variable, encoding });
    }

    pub(super) fn append(&mut self, other: &Self) {
        for part in &other.parts {
            match part {
                Part::Fixed(bytes) => self.fixed(bytes),
                Part::Value { .. } => self.parts.push(part.clone()),
            }
        }
    }
}

/// A piece of a text: itself, or the name of a variable.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Piece<'t> {
    Text(&'t str),
    Name(&'t str),
}

/// Cuts a text at its variables.
pub(super) fn pieces(text: &str) -> Result<Vec<Piece<'_>>, BadTemplate> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{{") {
        let (name, behind) = after.split_once("}}").ok_or(BadTemplate::Open)?;
        if !before.is_empty() {
            pieces.push(Piece::Text(before));
        }
        pieces.push(Piece::Name(name.trim()));
        rest = behind;
    }
    if !rest.is_empty() {
        pieces.push(Piece::Text(rest));
    }
    Ok(pieces)
}

impl Encoding {
    /// Appends `value`. Fails when it cannot stand here at all: a target that is no path.
    pub(super) fn write(self, value: &[u8], out: &mut Vec<u8>) -> Result<(), NoPath> {
        match self {
            Self::Percent => percent(value, out, unreserved),
            Self::Target => return target(value, out),
            Self::Field => {
                let clean =
                    |&byte: &u8| if byte != b'\t' && (byte < b' ' || byte == 0x7F) { b' ' } else { byte };
                out.extend(value.iter().map(clean));
            }
            Self::Json => json(value, out),
            Self::Plain => out.extend_from_slice(value),
        }
        Ok(())
    }
}

/// A value that should begin a path, and does not.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct NoPath;

fn unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)
}

fn percent(value: &[u8], out: &mut Vec<u8>, stays: impl Fn(u8) -> bool) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    for &byte in value {
        if stays(byte) {
            out.push(byte);
        } else {
            out.extend_from_slice(&[b'%', HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
        }
    }
}

fn target(value: &[u8], out: &mut Vec<u8>) -> Result<(), NoPath> {
    let schemes: [&[u8]; 2] = [b"http://", b"https://"];
    let absolute = schemes.iter().find_map(|scheme| value.strip_prefix(*scheme));
    let path = match absolute {
        Some(rest) => &rest[rest.iter().position(|byte| *byte == b'/').unwrap_or(rest.len())..],
        None => value,
    };
    let path = path.split(|byte| *byte == b'#').next().unwrap_or_default();
    let path = if path.is_empty() && absolute.is_some() { b"/" } else { path };
    if !path.starts_with(b"/") {
        return Err(NoPath);
    }
    percent(path, out, |byte| unreserved(byte) || b"/?%:@!$&'()*+,;=".contains(&byte));
    Ok(())
}

fn json(value: &[u8], out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    for chunk in value.utf8_chunks() {
        for &byte in chunk.valid().as_bytes() {
            match byte {
                b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
                b'\n' => out.extend_from_slice(b"\\n"),
                b'\r' => out.extend_from_slice(b"\\r"),
                b'\t' => out.extend_from_slice(b"\\t"),
                0..0x20 => {
                    out.extend_from_slice(b"\\u00");
                    out.extend_from_slice(&[HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
                }
                _ => out.push(byte),
            }
        }
        if !chunk.invalid().is_empty() {
            out.extend_from_slice("\u{FFFD}".as_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(encoding: Encoding, value: &[u8]) -> String {
        let mut out = Vec::new();
        encoding.write(value, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_text_is_cut_at_its_variables() {
        use Piece::{Name, Text};
        assert_eq!(pieces("a{{b}}c {{ d }}").unwrap(), [Text("a"), Name("b"), Text("c "), Name("d")]);
        assert_eq!(pieces(r#"{"a":{"b":1}}"#).unwrap(), [Text(r#"{"a":{"b":1}}"#)]);
        assert_eq!(pieces("").unwrap(), []);
        assert_eq!(pieces("a{{b"), Err(BadTemplate::Open));
    }

    #[test]
    fn a_value_adds_no_part_to_a_path_and_no_line_to_a_head() {
        assert_eq!(written(Encoding::Percent, "a/b?c=d&e ü".as_bytes()), "a%2Fb%3Fc%3Dd%26e%20%C3%BC");
        assert_eq!(written(Encoding::Field, b"a\r\nX-B: c\0\td"), "a  X-B: c \td");
    }

    #[test]
    fn a_captured_location_is_a_path_again() {
        assert_eq!(written(Encoding::Target, b"/a/b?c=d%20e#f"), "/a/b?c=d%20e");
        assert_eq!(written(Encoding::Target, b"http://h:1/a b"), "/a%20b");
        assert_eq!(written(Encoding::Target, b"https://h"), "/");
        assert_eq!(Encoding::Target.write(b"a", &mut Vec::new()), Err(NoPath));
    }

    proptest! {
        #[test]
        fn json_strings_read_back(value in any::<String>()) {
            let text = format!("\"{}\"", written(Encoding::Json, value.as_bytes()));
            prop_assert_eq!(serde_json::from_str::<String>(&text).unwrap(), value);
        }

        #[test]
        fn percent_encoding_reads_back(value in any::<Vec<u8>>()) {
            let text = written(Encoding::Percent, &value);
            let mut back = Vec::new();
            let mut bytes = text.bytes();
            while let Some(byte) = bytes.next() {
                let mut digit = || (bytes.next().unwrap() as char).to_digit(16).unwrap() as u8;
                back.push(if byte == b'%' { digit() << 4 | digit() } else { byte });
            }
            prop_assert_eq!(back, value);
        }

        #[test]
        fn no_value_breaks_out_of_where_it_stands(value in any::<Vec<u8>>()) {
            for encoding in [Encoding::Percent, Encoding::Target, Encoding::Field, Encoding::Json] {
                let mut out = Vec::new();
                if encoding.write(&value, &mut out).is_ok() {
                    prop_assert!(!out.iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0)));
                }
            }
        }

        #[test]
        fn pieces_make_the_text_again(text in "[a{} ]{0,24}") {
            if let Ok(pieces) = pieces(&text) {
                let whole: String = pieces.iter().map(|piece| match piece {
                    Piece::Text(text) => (*text).to_owned(),
                    Piece::Name(name) => format!("{{{{{name}}}}}"),
                }).collect();
                prop_assert_eq!(whole.replace(' ', ""), text.replace(' ', ""));
            }
        }
    }
}
