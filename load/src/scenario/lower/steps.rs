//! Requests, what is expected of their answers, and what is captured from them.

use std::collections::HashMap;
use std::ops::Range;

use config::field::{is_framing, is_token, is_value};
use config::read::Key;
use config::{Diagnostic, Shortened};
use memchr::memmem::Finder;
use regex::bytes::Regex;
use toml::Spanned;

use super::super::file::{self, File};
use super::super::target::wrong_in_path;
use super::Lowering;
use crate::script::{
    Body, BodyRule, Capture, Encoding, Expect, From, HeaderRule, Pointer, Request, Template, Wanted,
};

/// Names of steps and where they were first given.
type Names = HashMap<String, Range<usize>>;

impl Lowering<'_> {
    /// Adds every step and flow to the draft.
    pub(super) fn flows(&mut self, file: &File) {
        let mut names = Names::new();
        let steps = file.step.get().map(|list| list.0.as_slice()).unwrap_or_default();
        let flows = file.flow.get().map(|list| list.0.as_slice()).unwrap_or_default();
        if steps.is_empty() && flows.is_empty() && !file.step.is_refused() && !file.flow.is_refused() {
            let help = "add [[step]] with path = \"/\", [[flow]] with steps, or [websocket]";
            self.error(None, "the scenario asks for nothing", help);
        }
        for step in steps {
            self.step(step, None, &mut names);
            self.draft.flow(step.get_ref().weight().0);
        }
        for flow in flows {
            let steps = flow.get_ref().step.get().map(|list| list.0.as_slice()).unwrap_or_default();
            if steps.is_empty() && !flow.get_ref().step.is_refused() {
                self.error(flow.span(), "the flow has no step", "add [[flow.step]] with path = \"/\"");
            }
            for step in steps {
                if let Some(span) = step.get_ref().weight.span() {
                    let what = "a step inside a flow has no weight: every user goes through all of them";
                    self.error(span, what, "give the weight to the flow");
                }
                self.step(step, flow.get_ref().name.get().map(String::as_str), &mut names);
            }
            self.draft.flow(flow.get_ref().weight().0);
        }
    }

    fn step(&mut self, written: &Spanned<file::Step>, flow: Option<&str>, names: &mut Names) {
        let step = written.get_ref();
        let request = self.request(step);
        let path = step.path.get().map(String::as_str).unwrap_or_default();
        let own = step.name.get().cloned().unwrap_or_else(|| format!("{} {path}", request.method));
        let name = flow.map(|flow| format!("{flow}/{own}")).unwrap_or(own);
        let span = step.name.span().or(step.path.span()).unwrap_or(written.span());
        if let Some(first) = names.get(&name) {
            let diagnostic = Diagnostic::error(span, format!("two steps are called \"{name}\""));
            let help = "give each a name of its own, so that reports can tell them apart";
            self.report(diagnostic.note(first.clone(), "the first one").help(help));
        } else {
            names.insert(name.clone(), span);
        }
        let expect = self.expect(&step.expect());
        let captures = step.capture();
        let captures = captures.0.iter().filter_map(|(name, capture)| self.capture(name, capture)).collect();
        self.draft.step(&name, &request, step.think().0, expect, captures);
    }

    fn request(&mut self, step: &file::Step) -> Request {
        let has_body = !step.body.is_absent() || !step.json.is_absent();
        let method =
            step.method.get().cloned().unwrap_or_else(|| if has_body { "POST" } else { "GET" }.to_owned());
        if !is_token(&method) || method == "CONNECT" {
            let help = "write one such as \"GET\" or \"POST\"";
            self.error(step.method.span(), format!("\"{method}\" is no method that can be asked for"), help);
        }
        let path = match step.path.written() {
            Some(path) => self.path(path.span(), path.get_ref()),
            None => Template::default(),
        };
        let headers = step.headers();
        let fields = headers.0.iter().filter_map(|(name, value)| self.field(name, value)).collect();
        let is_type = |(name, _): &&(Spanned<String>, _)| name.get_ref().eq_ignore_ascii_case("content-type");
        let kind = headers.0.iter().find(is_type).map(|(_, value)| value.get_ref().as_str());
        let body = self.body(step, kind);
        Request { method, path, fields, body }
    }

    fn body(&mut self, step: &file::Step, kind: Option<&str>) -> Option<Body> {
        if let (Some(body), Some(json)) = (step.body.span(), step.json.span()) {
            let diagnostic = Diagnostic::error(json, "a request has one body");
            self.report(diagnostic.note(body, "the other one").help("write body or json"));
        }
        if let Some(text) = step.body.written() {
            let made = self.draft.body(text.get_ref(), kind);
            return self.made(text.span(), made);
        }
        let json = step.json.written()?;
        let made = self.draft.template(&json.get_ref().0.to_string(), Encoding::Json);
        let template = self.made(json.span(), made)?;
        Some(Body { template, content_type: Some("application/json") })
    }

    /// A path whose fixed parts can stand in a request.
    pub(super) fn path(&mut self, span: Range<usize>, text: &str) -> Template {
        let made = self.draft.path(text);
        let Some(template) = self.made(span.clone(), made) else { return Template::default() };
        if !text.starts_with('/') && !template.begins_with_value() {
            let help = format!("write \"/{}\"", text.trim_start_matches('/'));
            self.error(span, format!("the path \"{text}\" does not begin with a slash"), help);
        } else if let Some(wrong) = template.fixed_parts().find_map(wrong_in_path) {
            self.error(span, wrong, "percent-encode it");
        }
        template
    }

    /// A header field whose fixed parts can stand in a request.
    pub(super) fn field(
        &mut self,
        name: &Spanned<String>,
        value: &Spanned<String>,
    ) -> Option<(String, Template)> {
        let (named, text) = (name.get_ref(), value.get_ref());
        if !self.is_field_name(name) {
            return None;
        }
        if is_framing(named) && !named.eq_ignore_ascii_case("host") {
            let help = "leave it out; keep_alive = false closes connections, and lengths are counted";
            self.error(name.span(), format!("\"{named}\" belongs to the connection"), help);
            return None;
        }
        if !is_value(text) {
            let help = "leave out control characters, and blanks at the ends";
            self.error(value.span(), format!("{text:?} is no value of a header field"), help);
        }
        let made = self.draft.template(text, Encoding::Field);
        Some((named.clone(), self.made(value.span(), made)?))
    }

    fn is_field_name(&mut self, name: &Spanned<String>) -> bool {
        let is_name = is_token(name.get_ref());
        if !is_name {
            let what = format!("\"{}\" is no name of a header field", name.get_ref());
            self.error(name.span(), what, "write letters, digits and \"-\"");
        }
        is_name
    }

    fn expect(&mut self, expect: &file::Expect) -> Expect {
        let statuses = expect.status.get().map(|list| list.0.as_slice()).unwrap_or_default();
        let statuses = statuses.iter().map(|one| (one.get_ref().first, one.get_ref().last)).collect();
        let mut headers = Vec::new();
        for (name, rule) in &expect.headers().0 {
            self.is_field_name(name);
            let Shortened(rule) = rule.get_ref();
            let mut wanted = self.wanted(&rule.equals, &rule.contains, &rule.matches);
            if wanted.is_empty() {
                wanted.push(Wanted::Present);
            }
            headers
                .extend(wanted.into_iter().map(|wanted| HeaderRule { name: name.get_ref().clone(), wanted }));
        }
        let body = expect.body.get().map(|Shortened(rule)| self.body_rules(rule)).unwrap_or_default();
        let within = expect.within.get().map(|time| time.0);
        Expect { statuses, within, headers: headers.into(), body }
    }

    fn body_rules(&mut self, rule: &file::BodyRule) -> Box<[BodyRule]> {
        let mut rules = Vec::new();
        rules.extend(rule.length.get().map(|length| BodyRule::Length(length.0)));
        let texts = self.wanted(&rule.equals, &rule.contains, &rule.matches);
        rules.extend(texts.into_iter().map(BodyRule::Text));
        for (pointer, value) in &rule.json().0 {
            let found = self.pointer(pointer);
            rules.extend(found.map(|pointer| BodyRule::Json(pointer, value.get_ref().0.clone())));
        }
        rules.into()
    }

    fn wanted(&mut self, equals: &Key<String>, contains: &Key<String>, matches: &Key<String>) -> Vec<Wanted> {
        let mut wanted = Vec::new();
        wanted.extend(equals.get().map(|text| Wanted::Equals(text.as_bytes().into())));
        wanted.extend(contains.get().map(|text| Wanted::Contains(Box::new(Finder::new(text).into_owned()))));
        wanted.extend(matches.written().and_then(|text| self.regex(text)).map(Wanted::Matches));
        wanted
    }

    fn regex(&mut self, text: &Spanned<String>) -> Option<Regex> {
        let told = |error: regex::Error| match error {
            // The last line says what is wrong; those before it draw the expression.
            regex::Error::Syntax(drawn) => drawn.lines().last().unwrap_or_default().replace("error: ", ""),
            other => other.to_string(),
        };
        Regex::new(text.get_ref())
            .map_err(|error| {
                let what = format!("{:?} is no regular expression: {}", text.get_ref(), told(error));
                self.error(text.span(), what, "in single quotes, TOML leaves backslashes as they are");
            })
            .ok()
    }

    fn pointer(&mut self, text: &Spanned<String>) -> Option<Pointer> {
        let pointer = Pointer::parse(text.get_ref());
        if pointer.is_none() {
            let help = "write the way to the value, such as \"/items/0/id\"";
            self.error(text.span(), format!("\"{}\" is no JSON pointer", text.get_ref()), help);
        }
        pointer
    }

    fn capture(
        &mut self,
        name: &Spanned<String>,
        written: &Spanned<Shortened<file::Capture>>,
    ) -> Option<Capture> {
        let Shortened(capture) = written.get_ref();
        let from = match (capture.json.written(), capture.header.written(), capture.regex.get()) {
            (Some(json), None, None) => From::Json(self.pointer(json)?),
            (None, Some(header), _) => {
                self.is_field_name(header);
                From::Header(header.get_ref().clone())
            }
            (None, None, Some(_)) => From::Body,
            _ if capture.has_mistakes => return None,
            _ => {
                let help = "write a JSON pointer, header = \"…\", regex = '…', or header and regex";
                self.error(written.span(), "a value is captured in one way", help);
                return None;
            }
        };
        let part = match capture.regex.written() {
            Some(text) => {
                let regex = self.regex(text)?;
                let group = usize::from(regex.captures_len() > 1);
                Some((regex, group))
            }
            None => None,
        };
        let variable = self.draft.position(name.get_ref())?;
        Some(Capture { variable, from, part })
    }
}
