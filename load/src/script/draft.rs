//! A script in the making: names become positions, requests become bytes or templates.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use config::read::nearest;
use wire::Method;

use super::template::{Piece, pieces};
use super::value::Values;
use super::{
    BadTemplate, Capture, Compiled, Encoding, Expect, Facts, Flow, Prepared, Script, Source, Step, Table,
    Template, Text,
};
use crate::Nanos;
use crate::plan::Pause;

/// Most steps and variables that a script can have: positions are 16 bits.
const MOST: usize = u16::MAX as usize;

/// A script in the making.
#[derive(Debug)]
pub struct Draft {
    authority: String,
    keep_alive: bool,
    /// What each name stands for, and where it is among `sources` once something uses it.
    names: BTreeMap<String, (Source, Option<u16>)>,
    sources: Vec<Source>,
    tables: Vec<Table>,
    flows: Vec<Flow>,
    steps: Vec<Step>,
    /// Where the flow in the making begins.
    first: usize,
}

/// A request as it is asked for.
#[derive(Clone, Debug)]
pub struct Request {
    /// A token, such as `GET`.
    pub method: String,
    /// Path and query, made by [`Draft::path`].
    pub path: Template,
    /// Header fields besides those of the connection and the framing, which are added. A Host or User-Agent given
    /// here replaces Tidegate's own.
    pub fields: Vec<(String, Template)>,
    /// The body; `None` sends none.
    pub body: Option<Body>,
}

/// A body, and how the values in it are written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Body {
    /// The text.
    pub template: Template,
    /// The Content-Type that it has unless a field says otherwise.
    pub content_type: Option<&'static str>,
}

/// More of something than a script can hold.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TooMany(pub &'static str);

impl fmt::Display for TooMany {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a script has at most {MOST} {}", self.0)
    }
}

impl std::error::Error for TooMany {}

impl Draft {
    /// A script that asks `authority` (the Host field). Without `keep_alive` every request says
    /// `Connection: close`.
    pub fn new(authority: &str, keep_alive: bool) -> Self {
        Self {
            authority: authority.to_owned(),
            keep_alive,
            names: BTreeMap::new(),
            sources: Vec::new(),
            tables: Vec::new(),
            flows: Vec::new(),
            steps: Vec::new(),
            first: 0,
        }
    }

    /// Gives a name to a source of values; one that has the name already is replaced.
    pub fn variable(&mut self, name: &str, source: Source) {
        self.names.insert(name.to_owned(), (source, None));
    }

    /// Forgets a name until it is given again.
    pub fn hide(&mut self, name: &str) {
        self.names.remove(name);
    }

    /// Whether something has this name.
    pub fn knows(&self, name: &str) -> bool {
        self.names.contains_key(name)
    }

    /// Adds a table whose columns are called `NAME.COLUMN`.
    pub fn table(&mut self, name: &str, columns: &[String], table: Table) {
        let at = self.tables.len() as u16;
        for (column, called) in columns.iter().enumerate() {
            let source = Source::Column { table: at, column: column as u16 };
            self.variable(&format!("{name}.{called}"), source);
        }
        self.tables.push(table);
    }

    /// The position of a variable, for captures.
    pub fn position(&mut self, name: &str) -> Option<u16> {
        let (source, at) = self.names.get_mut(name)?;
        Some(*at.get_or_insert_with(|| {
            self.sources.push(source.clone());
            (self.sources.len() - 1) as u16
        }))
    }

    /// A text whose values are written as `encoding` says.
    ///
    /// # Errors
    /// A `{{` without end, a name that stands for nothing.
    pub fn template(&mut self, text: &str, encoding: Encoding) -> Result<Template, BadTemplate> {
        let mut template = Template::default();
        for piece in pieces(text)? {
            match piece {
                Piece::Text(text) => template.fixed(text.as_bytes()),
                Piece::Name(name) => self.put(&mut template, name, encoding)?,
            }
        }
        Ok(template)
    }

    /// A path with its query. A variable at its beginning stands for a path, or the beginning of one.
    ///
    /// # Errors
    /// As [`Draft::template`].
    pub fn path(&mut self, text: &str) -> Result<Template, BadTemplate> {
        let mut template = Template::default();
        for (at, piece) in pieces(text)?.into_iter().enumerate() {
            match piece {
                Piece::Text(text) => template.fixed(text.as_bytes()),
                Piece::Name(name) if at == 0 => self.put(&mut template, name, Encoding::Target)?,
                Piece::Name(name) => self.put(&mut template, name, Encoding::Percent)?,
            }
        }
        Ok(template)
    }

    /// A body. Its values are escaped as its type asks: for JSON when `content_type` says so or, without one, when
    /// it begins with `[` or with a single `{`; percent-encoded in a form; else they are put in as they are.
    ///
    /// # Errors
    /// As [`Draft::template`].
    pub fn body(&mut self, text: &str, content_type: Option<&str>) -> Result<Body, BadTemplate> {
        let inferred = if content_type.is_none() { inferred_type(text) } else { None };
        let encoding = match content_type.or(inferred) {
            Some(kind) if kind.contains("json") => Encoding::Json,
            Some(kind) if kind.starts_with("application/x-www-form-urlencoded") => Encoding::Percent,
            _ => Encoding::Plain,
        };
        Ok(Body { template: self.template(text, encoding)?, content_type: inferred })
    }

    /// A text for sockets: its values are escaped for JSON when it looks like JSON. `{{mark}}` stays as it is.
    ///
    /// # Errors
    /// As [`Draft::template`].
    pub fn text(&mut self, text: &str) -> Result<Text, BadTemplate> {
        let encoding = if looks_like_json(text) { Encoding::Json } else { Encoding::Plain };
        let mut template = Template::default();
        for piece in pieces(text)? {
            match piece {
                Piece::Text(text) => template.fixed(text.as_bytes()),
                Piece::Name("mark") => template.fixed(Text::MARK.as_bytes()),
                Piece::Name(name) => self.put(&mut template, name, encoding)?,
            }
        }
        Ok(Text(template))
    }

    fn put(&mut self, template: &mut Template, name: &str, encoding: Encoding) -> Result<(), BadTemplate> {
        let Some((source, _)) = self.names.get(name) else {
            let known: Vec<&str> = self.names.keys().map(String::as_str).collect();
            let near = nearest(name, &known).map(str::to_owned);
            return Err(BadTemplate::Unknown { name: name.to_owned(), near });
        };
        if let Source::Constant(text) = source {
            let mut bytes = Vec::new();
            // A constant that should be a path and is none fails when it is rendered, as others do.
            if encoding.write(text, &mut bytes).is_ok() {
                template.fixed(&bytes);
                return Ok(());
            }
        }
        let variable = self.position(name).unwrap_or_default();
        template.value(variable, encoding);
        Ok(())
    }

    /// The names of the steps so far.
    pub fn step_names(&self) -> Vec<String> {
        self.steps.iter().map(|step| step.name.clone()).collect()
    }

    /// Adds a step to the flow that [`Draft::flow`] will end. `name` is for reports.
    pub fn step(
        &mut self,
        name: &str,
        request: &Request,
        think: Pause,
        expect: Expect,
        captures: Vec<Capture>,
    ) {
        let facts = Facts {
            index: self.steps.len() as u16,
            method: Method::from_bytes(request.method.as_bytes()),
            wants_body: expect.wants_body() || captures.iter().any(Capture::wants_body),
            within: expect
                .within
                .map_or(Nanos::MAX, |within| Nanos::try_from(within.as_nanos()).unwrap_or(Nanos::MAX)),
            think,
            is_last: false,
        };
        let request = self.prepare(request);
        let (name, captures) = (name.to_owned(), captures.into());
        self.steps.push(Step { name, facts, request, expect, captures });
    }

    /// Makes one flow of the steps since the last one, drawn as often as its weight says.
    pub fn flow(&mut self, weight: u64) {
        let Some(last) = self.steps.last_mut().filter(|last| !last.facts.is_last) else { return };
        last.facts.is_last = true;
        let before = self.flows.last().map_or(0, |flow| flow.weight_up_to);
        self.flows.push(Flow { weight_up_to: before + weight, first: self.first as u16 });
        self.first = self.steps.len();
    }

    /// The script.
    ///
    /// # Errors
    /// More than 65,535 steps, or 65,534 variables and tables.
    pub fn finish(self) -> Result<Script, TooMany> {
        if self.steps.len() > MOST {
            return Err(TooMany("steps"));
        }
        if self.sources.len() + self.tables.len() >= MOST {
            return Err(TooMany("variables"));
        }
        let values = Values::new(self.sources, self.tables);
        Ok(Script(Arc::new(Compiled { flows: self.flows.into(), steps: self.steps.into(), values })))
    }

    /// Head and body in the form that costs least to send.
    fn prepare(&self, request: &Request) -> Prepared {
        let mut head = Template::default();
        head.fixed(format!("{} ", request.method).as_bytes());
        head.append(&request.path);
        head.fixed(b" HTTP/1.1\r\n");
        let given = |name: &str| request.fields.iter().any(|(given, _)| given.eq_ignore_ascii_case(name));
        if !given("host") {
            head.fixed(format!("Host: {}\r\n", self.authority).as_bytes());
        }
        if !given("user-agent") {
            head.fixed(b"User-Agent: tidegate-load\r\n");
        }
        for (name, value) in &request.fields {
            head.fixed(format!("{name}: ").as_bytes());
            head.append(value);
            head.fixed(b"\r\n");
        }
        if !self.keep_alive {
            head.fixed(b"Connection: close\r\n");
        }
        let Some(body) = &request.body else {
            head.fixed(b"\r\n");
            return whole(head);
        };
        if let Some(kind) = body.content_type.filter(|_| !given("content-type")) {
            head.fixed(format!("Content-Type: {kind}\r\n").as_bytes());
        }
        head.fixed(b"Content-Length: ");
        let Some(bytes) = body.template.as_fixed() else {
            return Prepared::Measured { head, body: body.template.clone() };
        };
        head.fixed(format!("{}\r\n\r\n", bytes.len()).as_bytes());
        head.fixed(bytes);
        whole(head)
    }
}

fn whole(template: Template) -> Prepared {
    match template.as_fixed() {
        Some(bytes) => Prepared::Fixed(bytes.into()),
        None => Prepared::Whole(template),
    }
}

/// The type of a body that is not told.
pub(crate) fn inferred_type(text: &str) -> Option<&'static str> {
    looks_like_json(text).then_some("application/json")
}

/// Whether a text begins as a JSON object or list does; `{{` begins a variable.
fn looks_like_json(text: &str) -> bool {
    let text = text.trim_start();
    text.starts_with('[') || (text.starts_with('{') && !text.starts_with("{{"))
}
