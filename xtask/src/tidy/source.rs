//! A parsed source file, and the questions that several rules ask of it: its tokens, and which lines are tests.

use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use proc_macro2::{Delimiter, TokenStream, TokenTree};
use syn::spanned::Spanned;
use syn::visit::Visit;

use crate::problem::{OrProblem, Problem};

/// Every file of the repository that people write, by its path relative to the root, sorted.
pub(crate) fn list(root: &Path) -> Result<Vec<PathBuf>, Problem> {
    let walk = walkdir::WalkDir::new(root).sort_by_file_name().into_iter().filter_entry(|entry| {
        let name = entry.file_name().to_string_lossy();
        // Hidden files have names that other programs chose.
        entry.depth() == 0 || !(name == "target" || name.starts_with('.'))
    });
    let mut paths = Vec::new();
    for entry in walk {
        let entry = entry.problem(&format!("list {}", root.display()))?;
        if entry.file_type().is_file() {
            paths.push(entry.path().strip_prefix(root).unwrap_or(entry.path()).to_path_buf());
        }
    }
    Ok(paths)
}

/// One Rust file.
pub(crate) struct SourceFile {
    /// Relative to the root.
    pub(crate) path: PathBuf,
    pub(crate) text: String,
    pub(crate) syntax: syn::File,
    /// All tokens in order, groups opened up; comments are not among them.
    pub(crate) tokens: Vec<Token>,
    /// The line ranges of items that exist only in tests.
    tests: Vec<RangeInclusive<usize>>,
    /// The line ranges that run in virtual time.
    paused: Vec<RangeInclusive<usize>>,
}

/// A token without its nesting.
#[derive(Debug, Clone)]
pub(crate) struct Token {
    pub(crate) kind: TokenKind,
    /// Counted from 1.
    pub(crate) line: usize,
}

/// What the rules look for in a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum TokenKind {
    Word(String),
    Mark(char),
    /// As written, quotes and prefix included.
    Literal(String),
    Open(Delimiter),
    Close(Delimiter),
}

impl SourceFile {
    /// Parses a file; one that the parser refuses is a problem of its own.
    pub(crate) fn parse(path: impl Into<PathBuf>, text: String) -> Result<Self, Problem> {
        let path = path.into();
        let refused = |error: &syn::Error| {
            Problem::new(format!("cannot be parsed: {error}")).at(path.clone(), error.span().start().line)
        };
        let stream: TokenStream = syn::parse_str(&text).map_err(|error| refused(&error))?;
        let syntax = syn::parse_file(&text).map_err(|error| refused(&error))?;
        let mut tokens = Vec::new();
        flatten(stream, &mut tokens);
        let mut ranges = TestRanges::default();
        ranges.visit_file(&syntax);
        // A scene of the testkit pauses the time; scripts of its origins may stand in functions of their own.
        if pauses_time(&tokens) {
            ranges.paused.push(1..=text.lines().count());
        }
        Ok(Self { path, text, syntax, tokens, tests: ranges.tests, paused: ranges.paused })
    }

    /// A file of the tests of the rules.
    #[cfg(test)]
    pub(crate) fn sample(path: &str, text: &str) -> Self {
        Self::parse(path, text.to_owned()).expect("the sample parses")
    }

    /// The folder that the file's crate lives in, named by its last part: `systems/screener/src/lib.rs` is `screener`.
    pub(crate) fn crate_name(&self) -> &str {
        let parts: Vec<&str> = self.path.iter().filter_map(|part| part.to_str()).collect();
        let end = parts.iter().position(|part| ["src", "tests", "examples", "benches"].contains(part));
        end.and_then(|end| end.checked_sub(1)).or(Some(0)).and_then(|at| parts.get(at)).copied().unwrap_or("")
    }

    /// Whether the file belongs to its crate's library or binary, and not to tests, examples or benches.
    pub(crate) fn is_product(&self) -> bool {
        self.path.iter().any(|part| part == "src")
    }

    /// Whether a line (counted from 1) exists only in tests.
    pub(crate) fn is_test(&self, line: usize) -> bool {
        self.path.iter().any(|part| part == "tests") || self.tests.iter().any(|range| range.contains(&line))
    }

    /// Whether a line runs in virtual time.
    pub(crate) fn is_paused(&self, line: usize) -> bool {
        self.paused.iter().any(|range| range.contains(&line))
    }

    /// Tokens that follow the one at `index` directly, as words and marks.
    pub(crate) fn follows(&self, index: usize, kind: &TokenKind) -> bool {
        self.tokens.get(index + 1).is_some_and(|token| token.kind == *kind)
    }
}

impl Token {
    /// The word, when the token is one.
    pub(crate) fn word(&self) -> Option<&str> {
        match &self.kind {
            TokenKind::Word(word) => Some(word),
            _ => None,
        }
    }
}

fn flatten(stream: TokenStream, tokens: &mut Vec<Token>) {
    for tree in stream {
        let line = tree.span().start().line;
        match tree {
            TokenTree::Ident(word) => tokens.push(Token { kind: TokenKind::Word(word.to_string()), line }),
            TokenTree::Punct(mark) => tokens.push(Token { kind: TokenKind::Mark(mark.as_char()), line }),
            TokenTree::Literal(literal) => {
                tokens.push(Token { kind: TokenKind::Literal(literal.to_string()), line });
            }
            TokenTree::Group(group) => {
                tokens.push(Token { kind: TokenKind::Open(group.delimiter()), line });
                flatten(group.stream(), tokens);
                let line = group.span_close().start().line;
                tokens.push(Token { kind: TokenKind::Close(group.delimiter()), line });
            }
        }
    }
}

/// Whether a scene is begun somewhere, or a runtime is built that pauses the time.
fn pauses_time(tokens: &[Token]) -> bool {
    tokens.windows(2).any(|pair| {
        matches!(pair[0].word(), Some("scene" | "start_paused"))
            && pair[1].kind == TokenKind::Open(Delimiter::Parenthesis)
    })
}

/// Collects the ranges of items behind `#[cfg(test)]`, `#[test]` and their kin.
#[derive(Default)]
struct TestRanges {
    tests: Vec<RangeInclusive<usize>>,
    paused: Vec<RangeInclusive<usize>>,
}

impl TestRanges {
    fn look(&mut self, attributes: &[syn::Attribute], item: &impl Spanned) {
        let span = item.span();
        let range = span.start().line..=span.end().line;
        for attribute in attributes {
            let words = words(&attribute.meta);
            // `cfg(not(test))` is the opposite of a test.
            if words.iter().any(|word| word == "test") && !words.iter().any(|word| word == "not") {
                self.tests.push(range.clone());
            }
            if words.iter().any(|word| word == "start_paused") {
                self.paused.push(range.clone());
            }
        }
    }
}

impl<'ast> Visit<'ast> for TestRanges {
    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        self.look(&item.attrs, item);
        syn::visit::visit_item_mod(self, item);
    }

    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        self.look(&item.attrs, item);
        syn::visit::visit_item_fn(self, item);
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.look(&item.attrs, item);
        syn::visit::visit_impl_item_fn(self, item);
    }

    fn visit_item_impl(&mut self, item: &'ast syn::ItemImpl) {
        self.look(&item.attrs, item);
        syn::visit::visit_item_impl(self, item);
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        self.look(&item.attrs, item);
    }
}

/// All words of an attribute; `#[tokio::test(start_paused = true)]` has tokio, test, `start_paused` and true.
fn words(meta: &syn::Meta) -> Vec<String> {
    let mut words: Vec<String> =
        meta.path().segments.iter().map(|segment| segment.ident.to_string()).collect();
    if let syn::Meta::List(list) = meta {
        let mut tokens = Vec::new();
        flatten(list.tokens.clone(), &mut tokens);
        words.extend(tokens.iter().filter_map(Token::word).map(str::to_owned));
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_test_modules_and_test_functions_are_tests() {
        let file = SourceFile::sample(
            "wire/src/lib.rs",
            "fn a() {}\n#[cfg(test)]\nmod tests {\n  fn b() {}\n}\n#[cfg(not(test))]\nfn c() {}\n#[test]\nfn d() {}\n",
        );
        let tests: Vec<usize> = (1..=9).filter(|&line| file.is_test(line)).collect();
        assert_eq!(tests, [2, 3, 4, 5, 8, 9]);
    }

    #[test]
    fn every_line_under_a_tests_folder_is_a_test() {
        assert!(SourceFile::sample("proxy/tests/retry.rs", "fn a() {}").is_test(1));
    }

    #[test]
    fn a_crate_is_named_by_its_folder() {
        let name = |path: &str| SourceFile::sample(path, "").crate_name().to_owned();
        assert_eq!(name("wire/src/head/request.rs"), "wire");
        assert_eq!(name("systems/screener/tests/api.rs"), "screener");
        assert_eq!(name("wire/fuzz/fuzz_targets/head.rs"), "wire");
    }

    #[test]
    fn comments_are_not_tokens() {
        let file = SourceFile::sample("a/src/lib.rs", "// unsafe\nfn a() { /* dbg!() */ }");
        assert_eq!(file.tokens.iter().filter_map(Token::word).collect::<Vec<_>>(), ["fn", "a"]);
    }

    #[test]
    fn what_cannot_be_parsed_is_named_with_its_line() {
        let problem = SourceFile::parse("a.rs", "fn a() {}\nfn (".to_owned()).err().expect("refused");
        assert!(problem.to_string().contains("a.rs:"), "{problem}");
    }
}
