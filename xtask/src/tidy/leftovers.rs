//! Rule: nothing is left for later. No `todo!`, `unimplemented!`, `dbg!`, and no test that is switched off.

use crate::problem::Problem;

use super::source::{SourceFile, TokenKind};

/// Finds the macros anywhere, and `#[ignore]` on tests.
pub(crate) fn check(file: &SourceFile) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (index, token) in file.tokens.iter().enumerate() {
        let Some(word) = token.word() else { continue };
        let is_macro =
            file.follows(index, &TokenKind::Mark('!')) && !file.follows(index + 1, &TokenKind::Mark('='));
        if is_macro && ["todo", "unimplemented", "dbg"].contains(&word) {
            problems.push(
                Problem::new(format!("`{word}!` is left over"))
                    .at(&file.path, token.line)
                    .help("write what belongs there, or leave the feature out whole"),
            );
        }
        let in_attribute = index >= 2
            && file.tokens[index - 1].kind == TokenKind::Open(proc_macro2::Delimiter::Bracket)
            && file.tokens[index - 2].kind == TokenKind::Mark('#');
        if in_attribute && word == "ignore" {
            problems.push(
                Problem::new("a test is switched off")
                    .at(&file.path, token.line)
                    .help("mend the test or delete it"),
            );
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leftover_macros_and_ignored_tests_are_found() {
        let file = SourceFile::sample(
            "a/src/lib.rs",
            "fn a() { todo!() }\nfn b() { dbg!(1); }\n#[test]\n#[ignore]\nfn c() { unimplemented!() }",
        );
        let found: Vec<String> = check(&file).iter().map(|problem| problem.what().to_owned()).collect();
        assert_eq!(
            found,
            [
                "`todo!` is left over",
                "`dbg!` is left over",
                "a test is switched off",
                "`unimplemented!` is left over"
            ]
        );
    }

    #[test]
    fn words_that_only_look_alike_pass() {
        let file = SourceFile::sample(
            "a/src/lib.rs",
            "fn todo(dbg: u8) -> bool { dbg != 1 && \"todo!()\" != \"\" }",
        );
        assert_eq!(check(&file), []);
    }
}
