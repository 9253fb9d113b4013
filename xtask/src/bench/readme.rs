//! The parts of the README that are written by benches: what stands between two marks.

use crate::problem::{OrProblem, Problem};
use crate::shell;

/// Puts `text` between `<!-- NAME:begin -->` and `<!-- NAME:end -->`.
pub(crate) fn fill(name: &str, text: &str) -> Result<(), Problem> {
    let path = shell::root().join("README.md");
    let before = std::fs::read_to_string(&path).problem("read README.md")?;
    let after = filled(&before, name, text).ok_or_else(|| {
        Problem::new(format!("README.md has no place for {name}"))
            .help(format!("add a line <!-- {name}:begin --> and a line <!-- {name}:end -->"))
    })?;
    std::fs::write(&path, after).problem("write README.md")
}

fn filled(page: &str, name: &str, text: &str) -> Option<String> {
    let (begin, end) = (format!("<!-- {name}:begin -->\n"), format!("<!-- {name}:end -->"));
    let (before, rest) = page.split_once(&begin)?;
    let (_, after) = rest.split_once(&end)?;
    Some(format!("{before}{begin}{text}{end}{after}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_between_the_marks_is_replaced_and_nothing_else() {
        let page = "a\n<!-- x:begin -->\nold\n<!-- x:end -->\nb\n<!-- y:begin -->\n<!-- y:end -->\n";
        let after = filled(page, "x", "new\n").expect("marks");
        assert_eq!(after, page.replace("old", "new"));
        assert_eq!(filled(&after, "x", "new\n"), Some(after.clone()), "twice is once");
        assert_eq!(filled(page, "z", "new\n"), None);
    }

    #[test]
    fn the_readme_has_a_place_for_every_bench_that_fills_one() {
        let page = std::fs::read_to_string(shell::root().join("README.md")).expect("readable");
        for name in ["bench", "overload"] {
            assert!(filled(&page, name, "").is_some(), "{name}");
        }
    }
}
