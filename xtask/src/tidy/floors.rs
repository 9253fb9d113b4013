//! Rule: a crate uses crates on floors below it, never one on its own floor or above; names follow folders.
//!
//! Tests may use what they like: a dev-dependency builds no floor.

use crate::problem::Problem;

use super::SETTINGS;
use super::graph::{Edge, Graph, Kind, Package};
use super::settings::{Settings, short_name};

/// Checks every member of the workspace and every edge between two of them.
pub(crate) fn check(graph: &Graph, settings: &Settings) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (_, package) in graph.members() {
        problems.extend(check_name(package, settings));
        for edge in package.edges.iter().filter(|edge| edge.kind != Kind::Test) {
            if let Some(to) = graph.packages.get(&edge.to).filter(|to| to.member.is_some()) {
                problems.extend(check_edge(package, edge, to, settings));
            }
        }
    }
    problems
}

fn check_name(package: &Package, settings: &Settings) -> Option<Problem> {
    let folder = package.member.as_ref()?;
    let manifest = folder.join("Cargo.toml");
    let short = folder.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let wanted = if settings.short_names.iter().any(|name| name == short) {
        short.to_owned()
    } else {
        format!("tidegate-{short}")
    };
    if package.name != wanted {
        return Some(
            Problem::new(format!("the package in {} is named `{}`", folder.display(), package.name))
                .at(manifest, 0)
                .help(format!("name it `{wanted}`")),
        );
    }
    let placed = settings.floor(short).is_some() || settings.beside.iter().any(|name| name == short);
    (!placed).then(|| {
        Problem::new(format!("the crate {short} stands on no floor"))
            .at(manifest, 0)
            .help(format!("add it to `floors` or to `beside` in {SETTINGS}, and to ARCHITECTURE.md"))
    })
}

fn check_edge(from: &Package, edge: &Edge, to: &Package, settings: &Settings) -> Option<Problem> {
    let manifest = from.member.as_ref()?.join("Cargo.toml");
    let (user, used) = (short_name(&from.name), short_name(&to.name));
    if edge.called != used {
        return Some(
            Problem::new(format!("{user} calls the crate {used} `{}`", edge.called))
                .at(manifest, 0)
                .help(format!("write `{used}.workspace = true`; the workspace renames it")),
        );
    }
    // A crate beside the floors may use any of them.
    let floor = settings.floor(user)?;
    match settings.floor(used) {
        Some(below) if below < floor => None,
        Some(same) => Some(
            Problem::new(format!("{user} (floor {floor}) uses {used} (floor {same})"))
                .at(manifest, 0)
                .help("use only floors below: move what is needed down, or let the floor above join the two"),
        ),
        None => Some(
            Problem::new(format!("{user} (floor {floor}) uses {used}, which stands beside the floors"))
                .at(manifest, 0)
                .help("make it a dev-dependency, or move what is needed onto a floor"),
        ),
    }
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
    fn using_a_floor_below_and_testing_with_anything_passes() {
        let found = found(&[
            ("tidegate-wire@wire", "", &[("tidegate-kit=kit", Kind::Test)]),
            ("tidegate-config@config", "", &[("tidegate-wire=wire", Kind::Normal), ("serde", Kind::Normal)]),
            ("tidegate-kit@kit", "", &[("tidegate-config=config", Kind::Normal)]),
            ("serde", "", &[]),
        ]);
        assert_eq!(found, Vec::<String>::new());
    }

    #[test]
    fn using_the_same_floor_or_one_above_is_found() {
        let found = found(&[
            ("tidegate-config@config", "", &[("tidegate-signals=signals", Kind::Normal)]),
            ("tidegate-signals@signals", "", &[("tidegate-proxy=proxy", Kind::Build)]),
            ("tidegate-proxy@proxy", "", &[]),
        ]);
        assert_eq!(
            found,
            ["config (floor 2) uses signals (floor 2)", "signals (floor 2) uses proxy (floor 3)"]
        );
    }

    #[test]
    fn a_floor_that_stands_on_something_beside_is_found() {
        let found = found(&[
            ("tidegate-proxy@proxy", "", &[("tidegate-kit=kit", Kind::Normal)]),
            ("tidegate-kit@kit", "", &[]),
        ]);
        assert_eq!(found, ["proxy (floor 3) uses kit, which stands beside the floors"]);
    }

    #[test]
    fn names_that_do_not_follow_their_folder_are_found() {
        let found = found(&[
            ("wire@wire", "", &[]),
            ("tidegate-attic@attic", "", &[]),
            ("demo@demo", "", &[("tidegate-kit=tidegate_kit", Kind::Normal)]),
            ("tidegate-kit@kit", "", &[]),
        ]);
        assert_eq!(
            found,
            [
                "demo calls the crate kit `tidegate_kit`",
                "the crate attic stands on no floor",
                "the package in wire is named `wire`",
            ]
        );
    }
}
