//! What is wrong with a file: where, and how to mend it.
//!
//! Every check adds a [`Diagnostic`] and goes on, so that a person sees all of them at once. They
//! are shown in two forms: [`Diagnostics::render`] draws the lines of the file for a terminal;
//! `Display` is the compact form for logs and pipes.

use core::fmt;
use core::ops::Range;

use ariadne::{CharSet, Color, Config, IndexType, Label, Report, ReportKind, Source};

/// How bad it is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Severity {
    /// The file cannot be used.
    Error,
    /// The file can be used, but something in it has no effect.
    Warning,
}

impl Severity {
    /// The word that stands before the message.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

/// One thing that is wrong: what, where, how to mend it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Diagnostic {
    /// Whether the file can still be used.
    pub severity: Severity,
    /// What is wrong; lower case, no full stop.
    pub message: String,
    /// Bytes of the file that are meant; `None` when something is missing from the whole file.
    pub span: Option<Range<usize>>,
    /// Other places that have to do with it.
    pub notes: Vec<Note>,
    /// How to mend it.
    pub help: Option<String>,
}

/// Another place that has to do with a [`Diagnostic`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Note {
    /// Bytes of the file that are meant.
    pub span: Range<usize>,
    /// What is there, such as `the first one`.
    pub text: String,
}

impl Diagnostic {
    /// An error at `span`.
    pub fn error(span: impl Into<Option<Range<usize>>>, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            message: message.into(),
            span: span.into(),
            notes: Vec::new(),
            help: None,
        }
    }

    /// A warning at `span`.
    pub fn warning(span: impl Into<Option<Range<usize>>>, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(span, message) }
    }

    /// Adds how to mend it.
    #[must_use]
    pub fn help(self, help: impl Into<String>) -> Self {
        Self { help: Some(help.into()), ..self }
    }

    /// Adds another place that has to do with it.
    #[must_use]
    pub fn note(mut self, span: Range<usize>, text: impl Into<String>) -> Self {
        self.notes.push(Note { span, text: text.into() });
        self
    }
}

/// Everything that is wrong with one file, in the order of the file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Diagnostics {
    name: String,
    text: String,
    items: Vec<Diagnostic>,
}

impl Diagnostics {
    /// Diagnostics about `text`, which is shown under `name`.
    pub fn new(name: &str, text: &str, mut items: Vec<Diagnostic>) -> Self {
        let place = |item: &Diagnostic| item.span.as_ref().map_or(text.len(), |span| span.start);
        items.sort_by_key(|item| (item.severity, place(item)));
        Self { name: name.to_owned(), text: text.to_owned(), items }
    }

    /// The diagnostics, errors first, each kind in the order of the file.
    pub fn items(&self) -> &[Diagnostic] {
        &self.items
    }

    /// Whether there is nothing to say.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Whether one of them forbids the use of the file.
    pub fn has_errors(&self) -> bool {
        self.items.iter().any(|item| item.severity == Severity::Error)
    }

    /// Draws every diagnostic with the lines it is about. `colour` is for terminals; whoever calls
    /// minds NO_COLOR.
    pub fn render(&self, colour: bool) -> String {
        let source = Source::from(self.text.as_str());
        let mut out = Vec::new();
        for item in &self.items {
            let drawn = match &item.span {
                Some(span) => self.draw(item, span, &source, colour, &mut out),
                None => writeln_compact(&mut out, self, item),
            };
            // A Vec takes every byte it is given.
            drawn.expect("writing to memory cannot fail");
        }
        String::from_utf8_lossy(&out).into_owned()
    }

    fn draw(
        &self,
        item: &Diagnostic,
        span: &Range<usize>,
        source: &Source<&str>,
        colour: bool,
        out: &mut Vec<u8>,
    ) -> std::io::Result<()> {
        let tint = match item.severity {
            Severity::Error => Color::Red,
            Severity::Warning => Color::Yellow,
        };
        // ariadne colours a kind of our own even when told not to; its own kinds begin with a capital.
        let kind = match item.severity {
            severity if colour => ReportKind::Custom(severity.word(), tint),
            Severity::Error => ReportKind::Error,
            Severity::Warning => ReportKind::Warning,
        };
        let config = Config::default()
            .with_color(colour)
            .with_index_type(IndexType::Char)
            .with_char_set(if colour { CharSet::Unicode } else { CharSet::Ascii });
        let name = self.name.as_str();
        // Labels come in the order of the file, or each would be drawn in a box of its own.
        let label = |span: &Range<usize>, text: &str| {
            let at = self.inside(span);
            let order = i32::try_from(at.start).unwrap_or(i32::MAX);
            Label::new((name, at)).with_message(text).with_order(order)
        };
        let start = out.len();
        let mut report = Report::build(kind, (name, self.inside(span)))
            .with_config(config)
            .with_message(&item.message)
            .with_label(label(span, "here").with_color(tint));
        for note in &item.notes {
            report.add_label(label(&note.span, &note.text));
        }
        if let Some(help) = &item.help {
            report.set_help(help);
        }
        report.finish().write((name, source), &mut *out)?;
        out[start].make_ascii_lowercase();
        Ok(())
    }

    /// The first line of `span`, in characters: what a person has to look at, however long the table is.
    fn inside(&self, span: &Range<usize>) -> Range<usize> {
        let start = self.text.floor_char_boundary(span.start);
        let end = self.text.ceil_char_boundary(span.end.max(start));
        let line = self.text[start..end].split('\n').next().unwrap_or_default();
        let first = self.text[..start].chars().count();
        first..first + line.chars().count()
    }

    /// Line and column of a byte, both from 1; the column counts characters.
    fn place(&self, at: usize) -> (usize, usize) {
        line_and_column(&self.text, at)
    }
}

/// Line and column of a byte of `text`, both from 1; the column counts characters.
pub(crate) fn line_and_column(text: &str, at: usize) -> (usize, usize) {
    let before = &text.as_bytes()[..at.min(text.len())];
    let line = before.split(|byte| *byte == b'\n').count();
    let start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |newline| newline + 1);
    // Continuation bytes of UTF-8 are 0b10xxxxxx; every other byte begins a character.
    let column = before[start..].iter().filter(|byte| **byte & 0xC0 != 0x80).count() + 1;
    (line, column)
}

fn writeln_compact(out: &mut Vec<u8>, all: &Diagnostics, item: &Diagnostic) -> std::io::Result<()> {
    use std::io::Write;
    writeln!(out, "{}", Compact(all, item))
}

/// The compact form of one diagnostic.
struct Compact<'a>(&'a Diagnostics, &'a Diagnostic);

impl fmt::Display for Compact<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(all, item) = self;
        write!(f, "{}: {}\n --> {}", item.severity.word(), item.message, all.name)?;
        if let Some(span) = &item.span {
            let (line, column) = all.place(span.start);
            write!(f, ":{line}:{column}")?;
        }
        for note in &item.notes {
            let (line, column) = all.place(note.span.start);
            write!(f, "\nnote: {} is at {}:{line}:{column}", note.text, all.name)?;
        }
        if let Some(help) = &item.help {
            write!(f, "\nhelp: {help}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, item) in self.items.iter().enumerate() {
            if index > 0 {
                f.write_str("\n\n")?;
            }
            write!(f, "{}", Compact(self, item))?;
        }
        Ok(())
    }
}

impl core::error::Error for Diagnostics {}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# größe\na = 1\n[b]\nc = 2\n";

    #[test]
    fn errors_come_first_and_each_kind_in_the_order_of_the_file() {
        let items = vec![
            Diagnostic::warning(9..10, "w"),
            Diagnostic::error(None, "whole file"),
            Diagnostic::error(20..21, "late"),
            Diagnostic::error(10..11, "early"),
        ];
        let messages: Vec<_> =
            Diagnostics::new("x", TEXT, items).items().iter().map(|d| d.message.clone()).collect();
        assert_eq!(messages, ["early", "late", "whole file", "w"]);
    }

    #[test]
    fn columns_count_characters() {
        let at = TEXT.find("ße").unwrap();
        assert_eq!(line_and_column(TEXT, at), (1, 6));
        assert_eq!(line_and_column(TEXT, TEXT.find('c').unwrap()), (4, 1));
        assert_eq!(line_and_column(TEXT, 9999), (5, 1));
    }

    #[test]
    fn the_compact_form_says_what_where_and_how() {
        let at = TEXT.find("[b]").unwrap();
        let item = Diagnostic::error(at..TEXT.len(), "b is wrong").note(10..11, "a").help("mend b");
        let all = Diagnostics::new("t.toml", TEXT, vec![item, Diagnostic::error(None, "no c")]);
        insta::assert_snapshot!(all, @r"
        error: b is wrong
         --> t.toml:3:1
        note: a is at t.toml:2:1
        help: mend b

        error: no c
         --> t.toml
        ");
    }

    #[test]
    fn the_drawn_form_shows_the_line_and_no_colour_unless_asked() {
        let at = TEXT.find("[b]").unwrap();
        let all = Diagnostics::new("t.toml", TEXT, vec![Diagnostic::error(at..TEXT.len(), "b is wrong")]);
        let plain = all.render(false);
        assert!(plain.contains("[b]") && plain.contains("t.toml:3:1"), "{plain}");
        assert!(!plain.contains('\u{1b}'), "{plain}");
        assert!(all.render(true).contains('\u{1b}'));
    }
}
