//! Rule: some packages are not built, or not under some crates, for the reasons that tidy.toml gives.

use crate::problem::Problem;

use super::graph::{Graph, Kind};
use super::settings::{Ban, Settings, short_name};

/// Follows normal and build dependencies; returns what is an error and what is only a warning.
pub(crate) fn check(graph: &Graph, settings: &Settings) -> (Vec<Problem>, Vec<Problem>) {
    let mut errors = Vec::new();
    let mut warnings = Vec::new();
    for ban in &settings.ban {
        let found = look(graph, ban);
        if ban.warn { warnings.extend(found) } else { errors.extend(found) }
    }
    (errors, warnings)
}

fn look(graph: &Graph, ban: &Ban) -> Vec<Problem> {
    let covered = |name: &str| ban.from.is_empty() || ban.from.iter().any(|from| from == short_name(name));
    let from = graph.members().filter(|(_, package)| covered(&package.name)).map(|(id, _)| id);
    let reached = graph.reach(from, &[Kind::Normal, Kind::Build]);
    let verdict = if ban.warn { "not wanted" } else { "banned" };
    let mut problems = Vec::new();
    for (id, from) in &reached {
        let by_member =
            from.and_then(|from| graph.packages.get(from)).is_some_and(|from| from.member.is_some());
        if ban.direct && !by_member {
            continue;
        }
        let Some(package) = graph.packages.get(*id).filter(|package| package.member.is_none()) else {
            continue;
        };
        if ban.packages.contains(&package.name) {
            problems.push(
                Problem::new(format!(
                    "the package {} is {verdict}: {}",
                    package.name,
                    graph.way(&reached, id)
                ))
                .at("Cargo.lock", 0)
                .help(ban.reason.clone()),
            );
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::super::graph::Sample;
    use super::*;

    const HYPER: &str = "[[ban]]\npackages = ['hyper']\nfrom = ['proxy']\nreason = 'own engine'";

    fn found(packages: &[Sample<'_>], extra: &str) -> (Vec<String>, Vec<String>) {
        let (errors, warnings) = check(&Graph::sample(packages), &Settings::sample(extra));
        let what =
            |problems: Vec<Problem>| problems.iter().map(|problem| problem.what().to_owned()).collect();
        (what(errors), what(warnings))
    }

    #[test]
    fn a_banned_package_is_found_with_the_way_to_it() {
        let packages: &[Sample<'_>] = &[
            ("tidegate-proxy@proxy", "", &[("client", Kind::Normal)]),
            ("client", "", &[("hyper", Kind::Normal)]),
            ("hyper", "", &[]),
        ];
        let (errors, warnings) = found(packages, HYPER);
        assert_eq!(errors, ["the package hyper is banned: tidegate-proxy -> client -> hyper"]);
        assert_eq!(warnings, Vec::<String>::new());
        let (errors, warnings) = found(packages, &format!("{HYPER}\nwarn = true"));
        assert_eq!((errors.len(), warnings.len()), (0, 1));
    }

    #[test]
    fn a_direct_ban_leaves_alone_what_dependencies_bring_along() {
        let direct = format!("{HYPER}\ndirect = true");
        let brought: &[Sample<'_>] = &[
            ("tidegate-proxy@proxy", "", &[("client", Kind::Normal)]),
            ("client", "", &[("hyper", Kind::Normal)]),
            ("hyper", "", &[]),
        ];
        assert_eq!(found(brought, &direct).0, Vec::<String>::new());
        let asked_for: &[Sample<'_>] =
            &[("tidegate-proxy@proxy", "", &[("hyper", Kind::Normal)]), ("hyper", "", &[])];
        assert_eq!(found(asked_for, &direct).0, ["the package hyper is banned: tidegate-proxy -> hyper"]);
    }

    #[test]
    fn other_crates_and_tests_may_use_it() {
        let packages: &[Sample<'_>] = &[
            ("tidegate-proxy@proxy", "", &[("hyper", Kind::Test)]),
            ("tidegate-kit@kit", "", &[("hyper", Kind::Normal)]),
            ("hyper", "", &[]),
        ];
        assert_eq!(found(packages, HYPER), (Vec::new(), Vec::new()));
    }
}
