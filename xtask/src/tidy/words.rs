//! Rule: one word for one thing. Words that the lexicon replaces appear in no path and no public name.

use std::path::PathBuf;

use syn::visit::Visit;

use crate::problem::Problem;

use super::settings::Settings;
use super::source::SourceFile;

/// Finds banned words in the names of files and folders.
pub(crate) fn check_paths(paths: &[PathBuf], settings: &Settings) -> Vec<Problem> {
    let mut problems = Vec::new();
    for path in paths {
        for part in path.iter().filter_map(|part| part.to_str()) {
            if let Some(word) = banned_word(part, settings) {
                problems.push(problem(&format!("the path {}", path.display()), word).at(path, 0));
            }
        }
    }
    problems
}

/// Finds banned words in the names that a file makes visible outside its module.
pub(crate) fn check_names(file: &SourceFile, settings: &Settings) -> Vec<Problem> {
    let mut names = PublicNames::default();
    names.visit_file(&file.syntax);
    let banned = names.found.iter().filter_map(|(name, line)| {
        let word = banned_word(name, settings)?;
        Some(problem(&format!("the public name `{name}`"), word).at(&file.path, *line))
    });
    banned.collect()
}

fn problem(what: &str, word: &str) -> Problem {
    Problem::new(format!("{what} uses the word `{word}`")).help("docs/lexicon.md has the word to use instead")
}

/// The banned word in a name, if there is one, in singular; whole words only: `nodes` is one, `nodelay` is not.
fn banned_word<'a>(name: &str, settings: &'a Settings) -> Option<&'a str> {
    let words = split(name);
    let banned = settings.banned_words.iter().map(String::as_str);
    banned
        .into_iter()
        .find(|banned| words.iter().any(|word| word == banned || word.strip_suffix('s') == Some(banned)))
}

/// The words of a snake case, kebab case or camel case name, in lower case.
fn split(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut after_capital = false;
    for c in name.chars() {
        let begins = c.is_uppercase() && !after_capital;
        if (!c.is_alphanumeric() || begins) && words.last().is_some_and(|word| !word.is_empty()) {
            words.push(String::new());
        }
        if let (true, Some(word)) = (c.is_alphanumeric(), words.last_mut()) {
            word.extend(c.to_lowercase());
        }
        after_capital = c.is_uppercase();
    }
    words
}

/// Names declared with any `pub`, with their lines.
#[derive(Default)]
struct PublicNames {
    found: Vec<(String, usize)>,
}

impl PublicNames {
    fn add(&mut self, visibility: &syn::Visibility, name: &syn::Ident) {
        if !matches!(visibility, syn::Visibility::Inherited) {
            self.found.push((name.to_string(), name.span().start().line));
        }
    }
}

impl<'ast> Visit<'ast> for PublicNames {
    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        self.add(&item.vis, &item.sig.ident);
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.add(&item.vis, &item.sig.ident);
    }

    fn visit_item_struct(&mut self, item: &'ast syn::ItemStruct) {
        self.add(&item.vis, &item.ident);
        for field in &item.fields {
            if let Some(name) = &field.ident {
                self.add(&field.vis, name);
            }
        }
    }

    fn visit_item_enum(&mut self, item: &'ast syn::ItemEnum) {
        self.add(&item.vis, &item.ident);
        for variant in &item.variants {
            self.add(&item.vis, &variant.ident);
        }
    }

    fn visit_item_trait(&mut self, item: &'ast syn::ItemTrait) {
        self.add(&item.vis, &item.ident);
        for inner in &item.items {
            if let syn::TraitItem::Fn(function) = inner {
                self.add(&item.vis, &function.sig.ident);
            }
        }
    }

    fn visit_item_type(&mut self, item: &'ast syn::ItemType) {
        self.add(&item.vis, &item.ident);
    }

    fn visit_item_const(&mut self, item: &'ast syn::ItemConst) {
        self.add(&item.vis, &item.ident);
    }

    fn visit_item_static(&mut self, item: &'ast syn::ItemStatic) {
        self.add(&item.vis, &item.ident);
    }

    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        self.add(&item.vis, &item.ident);
        syn::visit::visit_item_mod(self, item);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_split_into_words() {
        assert_eq!(split("HTTPNodeList"), ["httpnode", "list"]);
        assert_eq!(split("NodeList"), ["node", "list"]);
        assert_eq!(split("session_manager.rs"), ["session", "manager", "rs"]);
    }

    #[test]
    fn banned_words_in_paths_are_found() {
        let paths = ["proxy/src/node_list.rs", "utils/a.txt", "proxy/src/pool.rs"].map(PathBuf::from);
        let found = check_paths(&paths, &Settings::sample(""));
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].what(), "the path proxy/src/node_list.rs uses the word `node`");
    }

    #[test]
    fn banned_words_in_public_names_are_found() {
        let file = SourceFile::sample(
            "proxy/src/a.rs",
            "pub struct PoolManager { pub nodes: u8 }\npub(crate) enum A { Node }\nimpl A { pub fn util(&self) {} }",
        );
        let found: Vec<String> =
            check_names(&file, &Settings::sample("")).iter().map(|p| p.what().to_owned()).collect();
        assert_eq!(
            found,
            [
                "the public name `PoolManager` uses the word `manager`",
                "the public name `nodes` uses the word `node`",
                "the public name `Node` uses the word `node`",
                "the public name `util` uses the word `util`",
            ]
        );
    }

    #[test]
    fn private_names_and_longer_words_pass() {
        let file = SourceFile::sample("proxy/src/a.rs", "pub fn set_nodelay() {}\nfn node() {}");
        assert_eq!(check_names(&file, &Settings::sample("")), []);
    }
}
