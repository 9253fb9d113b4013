//! What a route does with a request: redirect, fixed answer, rewritten path, changed fields, error pages.

use std::path::Path;

use toml::Spanned;
use traffic::route::PathPattern;

use super::Lowering;
use crate::diagnostic::Diagnostic;
use crate::field::{is_framing, is_value};
use crate::file;
use crate::plan::{Action, ErrorPage, HeaderEdit, Rewrite};
use crate::read::{Switch, Toggle, nearest};

/// Largest error page. It is held in memory and sent whole.
pub(crate) const ERROR_PAGE_BYTES: usize = 256 * 1024;

impl Lowering<'_> {
    pub(super) fn redirect(&mut self, redirect: &file::Redirect, path: &PathPattern) -> Action {
        let status = redirect.status().0 as u16;
        if !matches!(status, 301 | 302 | 303 | 307 | 308) {
            let help = "write 301 or 308 (for ever), 302 or 307 (for now) or 303 (see other)";
            self.error(redirect.status.span(), format!("{status} is no status of a redirect"), help);
        }
        let Some(to) = redirect.to.written() else { return Action::Redirect { to: String::new(), status } };
        // RFC 9110 section 10.2.2: a URI reference; it may hold no blank and nothing that breaks a line.
        let sound = |byte: u8| byte.is_ascii_graphic() && byte != b'"' && byte != b'<' && byte != b'>';
        if to.get_ref().is_empty() || !to.get_ref().bytes().all(sound) {
            let help = "write a URL such as \"https://example.org{path}\"; escape what is not plain ASCII";
            self.error(to.span(), format!("redirect: \"{}\" is no target", to.get_ref()), help);
        }
        self.template("redirect", to, path, &["path", "query", "host"]);
        Action::Redirect { to: to.get_ref().clone(), status }
    }

    pub(super) fn respond(&mut self, respond: &file::Respond) -> Action {
        let (status, body) = (respond.status().0 as u16, respond.body());
        if matches!(status, 204 | 205 | 304) && !body.is_empty() {
            let help = "leave body out, or answer with 200";
            self.error(respond.body.span(), format!("an answer with status {status} has no body"), help);
        }
        let content_type = respond.content_type();
        if content_type.is_empty() || !is_value(&content_type) {
            let help = "write a type such as \"text/html; charset=utf-8\"";
            self.error(respond.content_type.span(), "respond.content_type cannot be sent".to_owned(), help);
        }
        Action::Respond { status, body, content_type }
    }

    pub(super) fn rewrite(&mut self, route: &file::Route, path: &PathPattern) -> Rewrite {
        if let (Some(_), Some(replace)) = (route.strip.written(), route.rewrite.written()) {
            let help = "rewrite alone can do both: \"/v2/{rest}\"";
            self.error(replace.span(), "route has both strip and rewrite".to_owned(), help);
        }
        if let Some(prefix) = route.strip.written() {
            return self.strip(route, prefix, path);
        }
        let Some(template) = route.rewrite.written() else { return Rewrite::None };
        let sound = |byte: u8| byte.is_ascii_graphic() && byte != b'?' && byte != b'#';
        if !template.get_ref().starts_with('/') || !template.get_ref().bytes().all(sound) {
            let help = "write a path such as \"/v2/{rest}\"; the query stays by itself";
            self.error(template.span(), format!("rewrite: \"{}\" is no path", template.get_ref()), help);
        }
        self.template("rewrite", template, path, &["path", "host"]);
        Rewrite::Replace(template.get_ref().clone())
    }

    /// The prefix in the spelling of normalised paths. It has to be the beginning of the route's own path,
    /// segment by segment, or it would be there on some requests only.
    fn strip(&mut self, route: &file::Route, prefix: &Spanned<String>, path: &PathPattern) -> Rewrite {
        let text = prefix.get_ref().trim_end_matches('/');
        let spelled = PathPattern::parse(&format!("{text}/*")).ok().and_then(|path| path.prefix());
        let Some(spelled) = spelled.filter(|spelled| !spelled.is_empty()) else {
            let help = "write the beginning of a path, such as \"/api\"";
            self.error(prefix.span(), format!("strip: \"{}\" is no prefix", prefix.get_ref()), help);
            return Rewrite::None;
        };
        let written = path.to_string();
        let written = written.strip_prefix('=').unwrap_or(&written);
        let below = written.strip_prefix(text).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        if !below && !route.path.is_refused() {
            let help = format!("write path = \"{text}/*\", or strip the beginning of the path");
            let message = format!("strip: paths like \"{path}\" do not begin with \"{}\"", prefix.get_ref());
            self.error(prefix.span(), message, help);
        }
        Rewrite::Strip(spelled)
    }

    /// Checks that every `{name}` of a template stands for something.
    fn template(&mut self, key: &str, template: &Spanned<String>, path: &PathPattern, fixed: &[&str]) {
        let text = template.get_ref();
        let written = path.to_string();
        let has_rest = !written.starts_with('=') && (written == "/" || written.ends_with('*'));
        let mut known: Vec<&str> = path.parameters().chain(fixed.iter().copied()).collect();
        if has_rest {
            known.push("rest");
        }
        let mut left = text.as_str();
        while let Some(at) = left.find(['{', '}']) {
            let name = left[at..].strip_prefix('{').and_then(|inner| inner.split_once('}'));
            let Some((name, rest)) = name else {
                let help = "write \"{name}\"; a brace itself is %7B or %7D";
                self.error(template.span(), format!("{key}: \"{text}\" has a brace alone"), help);
                return;
            };
            if name == "rest" && !has_rest {
                let help = format!(
                    "\"{{rest}}\" is what a \"*\" matched: write path = \"{}/*\"",
                    written.trim_end_matches('/')
                );
                self.error(template.span(), format!("{key}: path \"{written}\" leaves no {{rest}}"), help);
            } else if !known.contains(&name) {
                let help = match nearest(name, &known) {
                    Some(near) => format!("did you mean \"{{{near}}}\"?"),
                    None => format!("the names here are {{{}}}", known.join("}, {")),
                };
                self.error(template.span(), format!("{key}: nothing is called \"{{{name}}}\""), help);
            }
            left = rest;
        }
    }

    pub(super) fn edits(&mut self, key: &str, edits: &file::HeaderEdits) -> Vec<HeaderEdit> {
        let mut all = Vec::new();
        for name in edits.remove().0 {
            self.edited(&format!("{key}.remove"), &name, "", name.span());
            all.push(HeaderEdit::Remove(name.into_inner()));
        }
        let mut seen: Vec<String> = Vec::new();
        for (name, value) in edits.set().0 {
            self.edited(&format!("{key}.set"), &name, value.get_ref(), value.span());
            let lower = name.get_ref().to_ascii_lowercase();
            if seen.contains(&lower) {
                let message = format!("\"{lower}\" stands twice in {key}.set");
                self.error(name.span(), message, "take one away; add gives a field several values");
            }
            seen.push(lower);
            all.push(HeaderEdit::Set(name.into_inner(), value.into_inner()));
        }
        for (name, value) in edits.add().0 {
            self.edited(&format!("{key}.add"), &name, value.get_ref(), value.span());
            all.push(HeaderEdit::Add(name.into_inner(), value.into_inner()));
        }
        all
    }

    fn edited(&mut self, key: &str, name: &Spanned<String>, value: &str, at: core::ops::Range<usize>) {
        self.field(key, name, value, at);
        if is_framing(name.get_ref()) {
            let help = if name.get_ref().eq_ignore_ascii_case("host") {
                "write host = \"…\" in the upstream"
            } else {
                "Tidegate writes it itself, so that both sides agree where a message ends"
            };
            self.error(name.span(), format!("{key}: \"{}\" cannot be changed", name.get_ref()), help);
        }
    }

    pub(super) fn error_pages(&mut self, route: &file::Route) -> Vec<ErrorPage> {
        let written = route.error_pages.get().map(|named| named.0.as_slice()).unwrap_or_default();
        let mut pages: Vec<ErrorPage> = Vec::new();
        for (status, file) in written {
            let Some(number) = status.get_ref().parse().ok().filter(|status| (400..600).contains(status))
            else {
                let help = "write a status from 400 to 599, such as 502 = \"errors/502.html\"";
                self.error(status.span(), format!("\"{}\" is no status of an error", status.get_ref()), help);
                continue;
            };
            if let Some((content_type, body)) = self.page(file) {
                pages.push(ErrorPage { status: number, content_type: content_type.to_owned(), body });
            }
        }
        pages
    }

    pub(super) fn page(&mut self, file: &Spanned<String>) -> Option<(&'static str, Vec<u8>)> {
        let path = Path::new(file.get_ref());
        let extension = path.extension().and_then(|e| e.to_str()).unwrap_or_default().to_ascii_lowercase();
        let content_type = match extension.as_str() {
            "html" | "htm" => "text/html; charset=utf-8",
            "json" => "application/problem+json",
            "txt" => "text/plain; charset=utf-8",
            "xml" => "application/xml",
            _ => {
                let help = "end its name in .html, .json, .txt or .xml";
                self.error(file.span(), format!("nobody knows what \"{}\" holds", file.get_ref()), help);
                return None;
            }
        };
        match (self.read)(path) {
            Ok(body) if body.len() > ERROR_PAGE_BYTES => {
                let help = "an error page has at most 256 KiB";
                self.error(file.span(), format!("\"{}\" is too large", file.get_ref()), help);
                None
            }
            Ok(body) => Some((content_type, body)),
            Err(why) => {
                let help = "the path is taken from the folder of this file";
                self.error(file.span(), format!("cannot read \"{}\": {why}", file.get_ref()), help);
                None
            }
        }
    }

    /// Warns of keys that do not count for what a route does.
    pub(super) fn no_effect(&mut self, route: &file::Route, action: &Action) {
        let forwards = [
            ("request_headers", route.request_headers.span()),
            ("timeouts", route.timeouts.span()),
            ("retry", route.retry.span()),
            ("priority", route.priority.span()),
            ("fallback", route.fallback.get().and_then(Switch::on).and(route.fallback.span())),
            ("cache", route.cache.get().and_then(Toggle::on).and(route.cache.span())),
        ];
        let has_path = [
            ("strip", route.strip.span()),
            ("rewrite", route.rewrite.span()),
            ("error_pages", route.error_pages.span()),
            ("compress", route.compress.get().and_then(Toggle::on).and(route.compress.span())),
        ];
        let (forwards, has_path) = match action {
            Action::Upstream(_) => return,
            Action::Files(_) => (&forwards[..], &[][..]),
            Action::Redirect { .. } | Action::Respond { .. } => (&forwards[..], &has_path[..]),
        };
        for (key, span) in has_path.iter().chain(forwards) {
            if let Some(span) = span {
                let nothing =
                    Diagnostic::warning(span.clone(), format!("{key} has no effect without upstream"));
                self.report(nothing.help(format!("leave {key} out")));
            }
        }
    }
}
