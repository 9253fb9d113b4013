//! Rule: the names of metrics are written once, in the crate that owns them.
//!
//! A test may spell a name out: it pins what people's dashboards depend on.

use crate::problem::Problem;

use super::settings::Settings;
use super::source::{SourceFile, TokenKind};

/// Finds string literals that begin like a metric name outside the owning crate.
pub(crate) fn check(file: &SourceFile, settings: &Settings) -> Vec<Problem> {
    if file.crate_name() == settings.metric_crate || file.crate_name() == "xtask" || !file.is_product() {
        return Vec::new();
    }
    let mut problems = Vec::new();
    for token in &file.tokens {
        let TokenKind::Literal(literal) = &token.kind else { continue };
        // The first quote may follow a prefix such as b, r or r#.
        let Some((_, text)) = literal.split_once('"') else { continue };
        if text.starts_with(&settings.metric_prefix)
            && !names_a_crate(text, settings)
            && !file.is_test(token.line)
        {
            problems.push(
                Problem::new(format!(
                    "the metric name {literal} is written outside {}",
                    settings.metric_crate
                ))
                .at(&file.path, token.line)
                .help(format!("use the name from the {} crate", settings.metric_crate)),
            );
        }
    }
    problems
}

/// `tidegate_proxy=debug` in a log filter names a crate, not a metric.
fn names_a_crate(text: &str, settings: &Settings) -> bool {
    let rest = text.strip_prefix(&settings.metric_prefix).unwrap_or(text);
    let word = rest.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or("");
    settings.floors.iter().flatten().chain(&settings.beside).any(|name| name == word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_metric_name_outside_its_crate_is_found() {
        let file = SourceFile::sample(
            "proxy/src/a.rs",
            "fn a() { emit(r\"tidegate_requests_total\", b\"tidegate_x\"); }",
        );
        assert_eq!(check(&file, &Settings::sample("")).len(), 2);
    }

    #[test]
    fn its_own_crate_tests_and_crate_names_pass() {
        let settings = Settings::sample("");
        let own = SourceFile::sample("signals/src/a.rs", "const A: &str = \"tidegate_requests_total\";");
        let test =
            SourceFile::sample("proxy/src/a.rs", "#[test]\nfn a() { seen(\"tidegate_requests_total\"); }");
        let filter = SourceFile::sample("proxy/src/a.rs", "const A: &str = \"tidegate_proxy=debug\";");
        for file in [own, test, filter] {
            assert_eq!(check(&file, &settings), []);
        }
    }
}
