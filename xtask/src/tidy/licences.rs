//! Rule: everything that is built can be given away with this project under its own terms.

use std::collections::BTreeSet;

use crate::problem::Problem;

use super::SETTINGS;
use super::graph::{Graph, Kind};
use super::settings::Settings;
use super::spdx::Expression;

/// Judges the licence of every package of the graph.
pub(crate) fn check(graph: &Graph, settings: &Settings) -> Vec<Problem> {
    let product = graph.members().filter(|(_, package)| package.name != "xtask").map(|(id, _)| id);
    let product: BTreeSet<&str> = graph.reach(product, &[Kind::Normal]).into_keys().collect();
    let mut problems = Vec::new();
    for (id, package) in &graph.packages {
        let given_away = product.contains(id.as_str());
        if let Some(what) = judge(package.licence.as_deref(), given_away, settings) {
            problems.push(
                Problem::new(format!("{} {}: {what}", package.name, package.version))
                    .at("Cargo.lock", 0)
                    .help(format!(
                        "use another crate, or allow the licence in {SETTINGS} after reading its terms"
                    )),
            );
        }
    }
    problems
}

fn judge(licence: Option<&str>, given_away: bool, settings: &Settings) -> Option<String> {
    let Some(licence) = licence else { return Some("its manifest names no licence".to_owned()) };
    let expression = match Expression::parse(licence) {
        Ok(expression) => expression,
        Err(error) => return Some(format!("its licence cannot be read: {error}")),
    };
    let has = |list: &[String], id: &str| list.iter().any(|entry| entry == id);
    let lists = &settings.licences;
    let allowed = |id: &str, exception: Option<&str>| {
        let id_allowed = has(&lists.allow, id) || (!given_away && has(&lists.tools_only, id));
        id_allowed && exception.is_none_or(|name| has(&lists.exceptions, name))
    };
    (!expression.is_met(&allowed)).then(|| format!("the licence `{licence}` is not among those allowed"))
}

#[cfg(test)]
mod tests {
    use super::super::graph::Sample;
    use super::*;

    fn found(packages: &[Sample<'_>]) -> Vec<String> {
        let graph = Graph::sample(packages);
        check(&graph, &Settings::sample("")).iter().map(|problem| problem.what().to_owned()).collect()
    }

    #[test]
    fn allowed_licences_pass() {
        let found = found(&[
            ("a@a", "MIT OR Apache-2.0", &[("b", Kind::Normal), ("c", Kind::Build)]),
            ("b", "GPL-3.0-only OR MIT", &[]),
            ("c", "(MIT OR Apache-2.0) AND Unicode-3.0", &[]),
        ]);
        assert_eq!(found, Vec::<String>::new());
    }

    #[test]
    fn missing_unreadable_and_foreign_licences_are_found() {
        let found = found(&[
            ("a@a", "MIT", &[("b", Kind::Normal), ("c", Kind::Normal), ("d", Kind::Test)]),
            ("b", "", &[]),
            ("c", "MIT OR", &[]),
            ("d", "AGPL-3.0-only", &[]),
        ]);
        assert_eq!(
            found,
            [
                "b 1.0.0: its manifest names no licence",
                "c 1.0.0: its licence cannot be read: expected a licence, found the end",
                "d 1.0.0: the licence `AGPL-3.0-only` is not among those allowed",
            ]
        );
    }

    #[test]
    fn a_licence_for_tools_is_not_one_for_the_product() {
        let tool = found(&[("a@a", "MIT", &[("b", Kind::Test)]), ("b", "MPL-2.0", &[])]);
        assert_eq!(tool, Vec::<String>::new());
        let product = found(&[("a@a", "MIT", &[("b", Kind::Normal)]), ("b", "MPL-2.0", &[])]);
        assert_eq!(product, ["b 1.0.0: the licence `MPL-2.0` is not among those allowed"]);
    }
}
