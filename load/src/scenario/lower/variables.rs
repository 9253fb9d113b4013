//! Where values come from: `[variables]`, `[data]`, and the names of what steps capture.

use std::ops::Range;
use std::path::Path;

use config::{Named, Shortened};
use toml::Spanned;

use super::super::file::{self, AlgorithmWord, File, Made, OrderWord};
use super::Lowering;
use crate::script::{Algorithm, BadTemplate, Encoding, Order, Secret, Source, Table, Template};

/// Largest file of `[data]`.
pub(super) const DATA_BYTES: usize = 256 << 20;
/// Most columns of a file of `[data]`.
const COLUMNS: usize = 1000;

impl Lowering<'_> {
    /// Makes every name known. Tokens come last, because their claims may use all others.
    pub(super) fn variables(&mut self, file: &File) {
        let written = file.variables.get().map(|named| named.0.as_slice()).unwrap_or_default();
        for (name, variable) in written {
            self.name(name);
            let source = self.source(name, &variable.get_ref().0);
            // What was refused still has its name, so that its uses are not told as mistakes too.
            self.draft.variable(name.get_ref(), source.unwrap_or(Source::Captured));
        }
        for (name, data) in file.data.get().map(|named| named.0.as_slice()).unwrap_or_default() {
            self.name(name);
            self.data(name.get_ref(), data.get_ref());
        }
        self.captured(file);
        let mut tokens = Vec::new();
        for (name, variable) in written {
            if let Some(jwt) = variable.get_ref().0.jwt.get() {
                self.draft.hide(name.get_ref());
                tokens.push((name, variable.span(), jwt));
            }
        }
        let names: Vec<&str> = tokens.iter().map(|(name, ..)| name.get_ref().as_str()).collect();
        let made: Vec<Source> =
            tokens.iter().map(|(_, span, jwt)| self.token(span.clone(), jwt, &names)).collect();
        for (name, source) in names.into_iter().zip(made) {
            self.draft.variable(name, source);
        }
    }

    fn name(&mut self, name: &Spanned<String>) {
        let text = name.get_ref();
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
        if text.is_empty() || !text.bytes().all(fits) {
            let help = "write letters, digits, \"-\" and \"_\"";
            self.error(name.span(), format!("\"{text}\" is no name for a variable"), help);
        } else if text == "mark" {
            self.error(name.span(), "\"mark\" is the mark in the texts of sockets", "choose another name");
        }
    }

    fn source(&mut self, name: &Spanned<String>, variable: &file::Variable) -> Option<Source> {
        let ways = [
            variable.value.is_absent(),
            variable.random.is_absent(),
            variable.choice.is_absent(),
            variable.make.is_absent(),
            variable.jwt.is_absent(),
        ];
        if ways.iter().filter(|absent| !**absent).count() != 1 && !variable.has_mistakes {
            let what = format!("\"{}\" is not made in exactly one way", name.get_ref());
            self.error(name.span(), what, "write one of value, random, choice, make and jwt");
            return None;
        }
        if let Some(constant) = variable.value.get() {
            return Some(Source::Constant(constant.0.as_bytes().into()));
        }
        if let Some(made) = variable.make.get() {
            return Some(match made {
                Made::Uuid => Source::Uuid,
                Made::Counter => Source::Counter,
                Made::UnixTime => Source::UnixTime,
            });
        }
        if let Some(choice) = variable.choice.written() {
            let choices: Box<[Box<[u8]>]> =
                choice.get_ref().0.iter().map(|one| one.get_ref().0.as_bytes().into()).collect();
            if choices.is_empty() {
                self.error(
                    choice.span(),
                    "there is nothing to choose from",
                    "write a list such as [\"a\", \"b\"]",
                );
                return None;
            }
            return Some(Source::Choice(choices));
        }
        let range = variable.random.written()?;
        let (from, to) = (range.get_ref().from.get()?.0, range.get_ref().to.get()?.0);
        if from > to {
            let help = format!("write {{ from = {to}, to = {from} }}");
            self.error(range.span(), "the least number is above the greatest", help);
            return None;
        }
        Some(Source::Random { from, to })
    }

    fn token(&mut self, span: Range<usize>, jwt: &file::Jwt, tokens: &[&str]) -> Source {
        let claims = jwt.claims();
        for (claim, _) in &claims.0 {
            if matches!(claim.get_ref().as_str(), "iat" | "exp") {
                let help = "leave it out; expires_in says how long the token holds";
                self.error(
                    claim.span(),
                    format!("{} is added when the token is signed", claim.get_ref()),
                    help,
                );
            }
        }
        let pair = |(name, value): &(Spanned<String>, Spanned<super::super::value::Json>)| {
            (name.get_ref().clone(), value.get_ref().0.clone())
        };
        let claims = serde_json::Value::Object(claims.0.iter().map(pair).collect()).to_string();
        let claims = match self.draft.template(&claims, Encoding::Json) {
            Err(BadTemplate::Unknown { name, .. }) if tokens.contains(&name.as_str()) => {
                let help = "put what the other token says into the claims themselves";
                self.error(span, format!("a token cannot hold a token, {name}"), help);
                Template::default()
            }
            made => self.made(span, made).unwrap_or_default(),
        };
        let algorithm = match jwt.algorithm() {
            AlgorithmWord::Hs256 => Algorithm::Hs256,
            AlgorithmWord::Hs384 => Algorithm::Hs384,
            AlgorithmWord::Hs512 => Algorithm::Hs512,
        };
        let secret = jwt.secret.get().map(String::as_bytes).unwrap_or_default();
        if let Some(at) = jwt.secret.span().filter(|_| secret.is_empty()) {
            self.error(at, "the secret is empty", "write the secret that the target checks tokens with");
        }
        Source::Token(Box::new(Secret::new(algorithm, secret, claims, jwt.expires_in().0)))
    }

    fn data(&mut self, name: &str, data: &file::Data) {
        let order = match data.order() {
            OrderWord::InTurn => Order::InTurn,
            OrderWord::Random => Order::Random,
        };
        match data.file.written().and_then(|path| self.rows(path, order)) {
            Some((columns, table)) => self.draft.table(name, &columns, table),
            // Nobody knows its columns, so their uses are not judged.
            None => self.unread.push(format!("{name}.")),
        }
    }

    fn rows(&mut self, path: &Spanned<String>, order: Order) -> Option<(Vec<String>, Table)> {
        let (span, path) = (path.span(), path.get_ref());
        let read = match (self.around.read)(Path::new(path), DATA_BYTES) {
            Ok(bytes) if bytes.len() <= DATA_BYTES => read_csv(&bytes, order),
            Ok(_) => Err(("it is larger than 256 MiB".to_owned(), "take a part of it")),
            Err(error) => {
                Err((format!("cannot be read: {error}"), "write a path from the scenario's own folder"))
            }
        };
        read.map_err(|(what, help)| self.error(span, format!("{path}: {what}"), help)).ok()
    }

    /// Makes the names of captured values known, wherever they are captured.
    fn captured(&mut self, file: &File) {
        let steps = file.step.get().map(|list| list.0.as_slice()).unwrap_or_default();
        let flows = file.flow.get().map(|list| list.0.as_slice()).unwrap_or_default();
        let inner = flows.iter().filter_map(|flow| flow.get_ref().step.get()).flat_map(|list| &list.0);
        let taken: Vec<Spanned<String>> = steps
            .iter()
            .chain(inner)
            .filter_map(|step| step.get_ref().capture.get())
            .flat_map(|Named(captures): &Named<Shortened<file::Capture>>| {
                captures.iter().map(|(name, _)| name.clone())
            })
            .collect();
        let is_variable: Vec<bool> = taken.iter().map(|name| self.draft.knows(name.get_ref())).collect();
        for (name, is_variable) in taken.iter().zip(is_variable) {
            self.name(name);
            if is_variable {
                let what = format!("\"{}\" is a variable already", name.get_ref());
                self.error(name.span(), what, "capture it under another name");
            } else {
                self.draft.variable(name.get_ref(), Source::Captured);
            }
        }
    }
}

/// Columns and rows of a CSV text, or what is wrong and how to mend it.
fn read_csv(bytes: &[u8], order: Order) -> Result<(Vec<String>, Table), (String, &'static str)> {
    const COLUMN_NAMES: &str = "name every column once in the first line";
    let bytes = bytes.strip_prefix("\u{FEFF}".as_bytes()).unwrap_or(bytes);
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::Headers).from_reader(bytes);
    let names = reader.headers().map_err(|error| (error.to_string(), COLUMN_NAMES))?;
    let columns: Vec<String> = names.iter().map(str::to_owned).collect();
    for (at, column) in columns.iter().enumerate() {
        if column.is_empty() || column.contains(['{', '}']) || columns[..at].contains(column) {
            return Err((format!("\"{column}\" cannot name a column"), COLUMN_NAMES));
        }
    }
    if columns.is_empty() || columns.len() > COLUMNS {
        return Err((format!("it has {} columns", columns.len()), "write 1 to 1000 columns"));
    }
    let mut table = Table::new(order, columns.len());
    let mut record = csv::ByteRecord::new();
    while reader
        .read_byte_record(&mut record)
        .map_err(|error| (error.to_string(), "give every row as many cells as there are columns"))?
    {
        for cell in &record {
            if !table.push(cell) {
                return Err(("it is larger than 4 GiB".to_owned(), "take a part of it"));
            }
        }
    }
    if table.rows() == 0 {
        return Err(("it has no row".to_owned(), "add rows below the names of the columns"));
    }
    Ok((columns, table))
}
