//! The packages that are really built for x86_64 Linux, and who depends on whom.
//!
//! The lock file also names packages behind features and platforms that nobody uses; this graph walks from the members
//! of the workspace through what cargo resolved, so only what is compiled can be judged.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::PathBuf;

use cargo_metadata::{DependencyKind, FeatureName, Metadata};

use crate::problem::Problem;
use crate::shell;

/// Packages by an identity that tells two versions apart.
pub(crate) struct Graph {
    pub(crate) packages: BTreeMap<String, Package>,
}

/// One package.
#[derive(Debug, Default)]
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) version: String,
    /// The SPDX expression of its manifest.
    pub(crate) licence: Option<String>,
    /// Its folder relative to the root, when it is a member of the workspace.
    pub(crate) member: Option<PathBuf>,
    pub(crate) edges: Vec<Edge>,
}

/// One dependency.
#[derive(Debug)]
pub(crate) struct Edge {
    /// The identity of the package depended on.
    pub(crate) to: String,
    /// What the code calls it.
    pub(crate) called: String,
    pub(crate) kind: Kind,
}

/// What a dependency is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Part of the product.
    Normal,
    /// Compiled into what builds the product.
    Build,
    /// Compiled into tests only.
    Test,
}

impl Graph {
    /// Walks what cargo resolved from the workspace's members.
    pub(crate) fn new(metadata: &Metadata) -> Result<Self, Problem> {
        let resolve =
            metadata.resolve.as_ref().ok_or_else(|| Problem::new("cargo resolved no dependencies"))?;
        let root = shell::root();
        let mut packages = BTreeMap::new();
        for package in &metadata.packages {
            let folder = package.manifest_path.parent().map(|folder| folder.as_std_path().to_path_buf());
            let member = metadata.workspace_members.contains(&package.id).then_some(folder).flatten();
            packages.insert(
                package.id.repr.clone(),
                Package {
                    name: package.name.to_string(),
                    version: package.version.to_string(),
                    licence: package.license.clone(),
                    member: member.map(|folder| folder.strip_prefix(&root).unwrap_or(&folder).to_path_buf()),
                    edges: Vec::new(),
                },
            );
        }
        for resolved in &resolve.nodes {
            let Some(package) = packages.get_mut(&resolved.id.repr) else { continue };
            let manifest = metadata.packages.iter().find(|manifest| manifest.id == resolved.id);
            for dependency in &resolved.deps {
                let name = metadata.packages.iter().find(|package| package.id == dependency.pkg);
                if let (Some(manifest), Some(name)) = (manifest, name)
                    && is_left_out(manifest, &name.name, &resolved.features)
                {
                    continue;
                }
                package.edges.extend(dependency.dep_kinds.iter().map(|info| Edge {
                    to: dependency.pkg.repr.clone(),
                    called: dependency.name.clone(),
                    kind: match info.kind {
                        DependencyKind::Build => Kind::Build,
                        DependencyKind::Development => Kind::Test,
                        _ => Kind::Normal,
                    },
                }));
            }
        }
        let mut graph = Self { packages };
        let members = graph.members().map(|(id, _)| id.to_owned()).collect::<Vec<_>>();
        let built = graph.reach(members.iter().map(String::as_str), &[Kind::Normal, Kind::Build, Kind::Test]);
        let built: BTreeSet<String> = built.into_keys().map(str::to_owned).collect();
        graph.packages.retain(|id, _| built.contains(id));
        Ok(graph)
    }

    /// The workspace's own packages with their identities.
    pub(crate) fn members(&self) -> impl Iterator<Item = (&str, &Package)> {
        self.packages
            .iter()
            .filter(|(_, package)| package.member.is_some())
            .map(|(id, package)| (id.as_str(), package))
    }

    /// Everything reachable over edges of the given kinds, each with the package it was first reached from.
    ///
    /// Test dependencies are followed from the workspace's members only: nobody compiles a dependency's tests.
    pub(crate) fn reach<'a>(
        &'a self,
        from: impl Iterator<Item = &'a str>,
        kinds: &[Kind],
    ) -> BTreeMap<&'a str, Option<&'a str>> {
        let mut reached: BTreeMap<&str, Option<&str>> = from.map(|id| (id, None)).collect();
        let mut queue: VecDeque<&str> = reached.keys().copied().collect();
        while let Some(id) = queue.pop_front() {
            let Some(package) = self.packages.get(id) else { continue };
            for edge in package.edges.iter().filter(|edge| kinds.contains(&edge.kind)) {
                if !reached.contains_key(edge.to.as_str()) {
                    reached.insert(&edge.to, Some(id));
                    queue.push_back(&edge.to);
                }
            }
        }
        reached
    }

    /// `proxy -> hickory-resolver -> ring`: how a package was reached.
    pub(crate) fn way(&self, reached: &BTreeMap<&str, Option<&str>>, id: &str) -> String {
        let mut names = Vec::new();
        let mut at = Some(id);
        while let Some(id) = at {
            names.push(self.packages.get(id).map_or(id, |package| package.name.as_str()));
            at = reached.get(id).copied().flatten();
        }
        names.reverse();
        names.join(" -> ")
    }
}

/// Whether an optional dependency is not switched on by any of the active `features`. What cargo says it resolved also
/// holds dependencies that features only mention weakly (`ring?/std`), and those are not built.
fn is_left_out(manifest: &cargo_metadata::Package, name: &str, features: &[FeatureName]) -> bool {
    let mut declared = manifest.dependencies.iter().filter(|dependency| dependency.name == name).peekable();
    if declared.peek().is_none() || !declared.clone().all(|dependency| dependency.optional) {
        return false;
    }
    !declared.any(|dependency| {
        let called = dependency.rename.as_deref().unwrap_or(&dependency.name);
        features.iter().any(|feature| {
            let switched = manifest.features.get(feature.as_str()).into_iter().flatten();
            switched.into_iter().any(|switch| {
                let switch = switch.strip_prefix("dep:").unwrap_or(switch);
                switch == called || switch.strip_prefix(called).is_some_and(|rest| rest.starts_with('/'))
            })
        })
    })
}

/// A package of a sample graph: name, licence, edges. `name@folder` is a member; an edge `to=called` is renamed.
#[cfg(test)]
pub(crate) type Sample<'a> = (&'a str, &'a str, &'a [(&'a str, Kind)]);

#[cfg(test)]
impl Graph {
    /// A graph for the tests of the rules. A package's identity is its name.
    pub(crate) fn sample(packages: &[Sample<'_>]) -> Self {
        let packages = packages.iter().map(|(name, licence, edges)| {
            let (name, member) = match name.split_once('@') {
                Some((name, folder)) => (name, Some(PathBuf::from(folder))),
                None => (*name, None),
            };
            let edge = |(to, kind): &(&str, Kind)| {
                let (to, called) = to.split_once('=').unwrap_or((to, to));
                Edge { to: to.to_owned(), called: called.to_owned(), kind: *kind }
            };
            let package = Package {
                name: name.to_owned(),
                version: "1.0.0".to_owned(),
                licence: (!licence.is_empty()).then(|| (*licence).to_owned()),
                member,
                edges: edges.iter().map(edge).collect(),
            };
            (name.to_owned(), package)
        });
        Self { packages: packages.collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_to_a_package_is_told_from_the_start() {
        let graph = Graph::sample(&[
            ("a@a", "", &[("b", Kind::Normal), ("t", Kind::Test)]),
            ("b", "", &[("c", Kind::Normal)]),
            ("c", "", &[]),
            ("t", "", &[]),
        ]);
        let reached = graph.reach(["a"].into_iter(), &[Kind::Normal]);
        assert_eq!(graph.way(&reached, "c"), "a -> b -> c");
        assert!(!reached.contains_key("t"));
    }
}
