//! Rule: functions fit on a screen and files in a head. What is longer stands in tidy.toml, and may only shrink.

use std::collections::BTreeMap;
use std::path::PathBuf;

use syn::visit::Visit;

use crate::problem::Problem;

use super::SETTINGS;
use super::settings::Settings;
use super::source::SourceFile;

/// Measures every function and file against the limits and the list of exceptions.
pub(crate) fn check(files: &[SourceFile], settings: &Settings) -> Vec<Problem> {
    let mut problems = check_files(files, settings);
    problems.extend(check_functions(files, settings));
    problems
}

fn check_files(files: &[SourceFile], settings: &Settings) -> Vec<Problem> {
    let mut problems = Vec::new();
    for file in files {
        let lines = file.text.lines().count();
        let excepted = settings.file.iter().any(|exception| exception.path == file.path);
        if lines > settings.file_lines && !excepted {
            problems.push(
                Problem::new(format!("the file has {lines} lines, more than {}", settings.file_lines))
                    .at(&file.path, 0)
                    .help(format!(
                        "split it along its trades, or give the reason in {SETTINGS} under [[file]]"
                    )),
            );
        }
        if lines <= settings.file_lines && excepted {
            problems.push(
                Problem::new(format!("the file has {lines} lines and needs no exception"))
                    .at(&file.path, 0)
                    .help(format!("delete its entry from {SETTINGS}")),
            );
        }
    }
    problems
}

fn check_functions(files: &[SourceFile], settings: &Settings) -> Vec<Problem> {
    let mut problems = Vec::new();
    let listed = settings.function.iter().map(|long| ((long.path.clone(), long.name.clone()), long.lines));
    let mut listed: BTreeMap<(PathBuf, String), usize> = listed.collect();
    for file in files {
        let mut functions = Functions::default();
        functions.visit_file(&file.syntax);
        for function in &functions.found {
            let entry = listed.remove(&(file.path.clone(), function.name.clone()));
            if let Some(problem) = judge(function, entry, settings) {
                problems.push(problem.at(&file.path, function.line));
            }
        }
    }
    problems.extend(listed.into_keys().map(|(path, name)| {
        Problem::new(format!("the function `{name}` is listed as long but is not there"))
            .at(path, 0)
            .help(format!("delete its entry from {SETTINGS}"))
    }));
    problems
}

/// Compares one function with the limit and with its entry in the list, if it has one.
fn judge(function: &Function, entry: Option<usize>, settings: &Settings) -> Option<Problem> {
    let Function { name, lines, .. } = function;
    let limit = settings.function_lines;
    let delete = format!("delete its entry from {SETTINGS}");
    match entry {
        None if *lines > limit => Some(
            Problem::new(format!("the function `{name}` has {lines} lines, more than {limit}"))
                .help("say its steps by name: move each into a function of its own"),
        ),
        Some(_) if *lines <= limit => Some(
            Problem::new(format!("the function `{name}` has {lines} lines and needs no exception"))
                .help(delete),
        ),
        Some(allowed) if *lines > allowed => Some(
            Problem::new(format!("the function `{name}` grew from {allowed} to {lines} lines"))
                .help("long functions may only shrink: move what was added into a function of its own"),
        ),
        Some(allowed) if *lines < allowed => Some(
            Problem::new(format!("the function `{name}` shrank from {allowed} to {lines} lines"))
                .help(format!("write lines = {lines} in {SETTINGS}, so that it stays so")),
        ),
        _ => None,
    }
}

/// A function with its size from signature to closing brace.
struct Function {
    name: String,
    line: usize,
    lines: usize,
}

#[derive(Default)]
struct Functions {
    /// The type of the `impl` or trait that is being visited.
    owner: Option<String>,
    found: Vec<Function>,
}

impl Functions {
    fn add(&mut self, signature: &syn::Signature, block: &syn::Block) {
        let name = match &self.owner {
            Some(owner) => format!("{owner}::{}", signature.ident),
            None => signature.ident.to_string(),
        };
        let line = signature.fn_token.span.start().line;
        let lines = block.brace_token.span.close().end().line + 1 - line;
        self.found.push(Function { name, line, lines });
    }
}

impl<'ast> Visit<'ast> for Functions {
    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        self.add(&item.sig, &item.block);
        syn::visit::visit_item_fn(self, item);
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.add(&item.sig, &item.block);
        syn::visit::visit_impl_item_fn(self, item);
    }

    fn visit_trait_item_fn(&mut self, item: &'ast syn::TraitItemFn) {
        if let Some(block) = &item.default {
            self.add(&item.sig, block);
        }
        syn::visit::visit_trait_item_fn(self, item);
    }

    fn visit_item_impl(&mut self, item: &'ast syn::ItemImpl) {
        let owner = match &*item.self_ty {
            syn::Type::Path(path) => path.path.segments.last().map(|segment| segment.ident.to_string()),
            _ => None,
        };
        let outer = std::mem::replace(&mut self.owner, owner);
        syn::visit::visit_item_impl(self, item);
        self.owner = outer;
    }

    fn visit_item_trait(&mut self, item: &'ast syn::ItemTrait) {
        let outer = self.owner.replace(item.ident.to_string());
        syn::visit::visit_item_trait(self, item);
        self.owner = outer;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEVEN_LINES: &str = "struct A;\nimpl A {\nfn f() {\n1;\n2;\n3;\n4;\n5;\n}\n}";

    fn found(text: &str, extra: &str) -> Vec<String> {
        let files = [SourceFile::sample("a/src/lib.rs", text)];
        check(&files, &Settings::sample(extra)).iter().map(|problem| problem.what().to_owned()).collect()
    }

    fn listed(lines: usize) -> String {
        format!("[[function]]\npath = 'a/src/lib.rs'\nname = 'A::f'\nlines = {lines}")
    }

    #[test]
    fn a_new_long_function_is_found() {
        assert_eq!(found(SEVEN_LINES, ""), ["the function `A::f` has 7 lines, more than 5"]);
    }

    #[test]
    fn a_listed_function_passes_at_its_size_only() {
        assert_eq!(found(SEVEN_LINES, &listed(7)), Vec::<String>::new());
        assert_eq!(found(SEVEN_LINES, &listed(6)), ["the function `A::f` grew from 6 to 7 lines"]);
        assert_eq!(found(SEVEN_LINES, &listed(9)), ["the function `A::f` shrank from 9 to 7 lines"]);
    }

    #[test]
    fn an_entry_that_is_no_longer_needed_is_found() {
        let short = "struct A;\nimpl A { fn f() {} }";
        assert_eq!(found(short, &listed(7)), ["the function `A::f` has 1 lines and needs no exception"]);
        assert_eq!(found("", &listed(7)), ["the function `A::f` is listed as long but is not there"]);
    }

    #[test]
    fn a_long_file_needs_a_reason() {
        let text = "\n".repeat(11);
        assert_eq!(found(&text, ""), ["the file has 11 lines, more than 10"]);
        let reason = "[[file]]\npath = 'a/src/lib.rs'\nreason = 'one table'";
        assert_eq!(found(&text, reason), Vec::<String>::new());
        assert_eq!(found("", reason), ["the file has 0 lines and needs no exception"]);
    }
}
