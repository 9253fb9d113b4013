//! The table of all rules, laid out so that a lookup costs the same with ten routes or ten thousand.
//!
//! Paths without anything variable sit in one hash map keyed by (host, path). All others form one tree
//! per host, a branch per segment; the literal children of every branch sit in a second hash map keyed
//! by (branch, segment). A walk visits the matching patterns in the order of the module's head, from
//! the most specific host down to any host, and turns around where the rules of a pattern decline.

use super::index::{Index, NONE};
use super::params::Params;
use super::pattern::{HostPattern, PathPattern, Segment};
use super::rule::Rule;
use core::cmp::Reverse;
use core::fmt;
use core::ops::ControlFlow::{self, Break, Continue};
use std::collections::{BTreeSet, HashMap};

/// The number of a route: the place of its rule in the vector that the table was built from.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
pub struct RouteId(pub u32);

impl RouteId {
    /// The place as an index.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// What the table asks of a request.
#[derive(Clone, Copy)]
pub struct Query<'a> {
    /// Host in lower case, without the port; empty when the request has none.
    pub host: &'a [u8],
    /// Normalised path, beginning with a slash (or `*`).
    pub path: &'a [u8],
    /// Method as sent.
    pub method: &'a [u8],
    /// The first value of a field; asked with the name in lower case.
    pub header: &'a dyn Fn(&str) -> Option<&'a [u8]>,
}

/// Two rules that match the same requests, of which neither is more specific.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub struct Conflict {
    /// The one that was written first.
    pub first: RouteId,
    /// The other one.
    pub second: RouteId,
}

impl fmt::Display for Conflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (first, second) = (self.first.0 + 1, self.second.0 + 1);
        write!(f, "routes {first} and {second} match the same requests, make one of them more specific")
    }
}

impl core::error::Error for Conflict {}

/// Why no route was selected.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NoRoute<'t> {
    /// No rule matches host, path and headers.
    NotFound,
    /// Rules match host, path and headers, but none of them this method.
    MethodNotAllowed {
        /// The methods that they do take, for the `Allow` field (RFC 9110 section 10.2.1).
        allow: Allow<'t>,
    },
}

/// A set of methods; prints itself as the value of an `Allow` field.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Allow<'t> {
    methods: &'t [String],
    set: u64,
}

impl<'t> Allow<'t> {
    /// The methods, in alphabetical order. Of all the methods in a table the first 64 are listed.
    pub fn iter(self) -> impl Iterator<Item = &'t str> {
        let listed = self.methods.iter().enumerate().filter(move |(bit, _)| self.set >> bit & 1 == 1);
        listed.map(|(_, method)| method.as_str())
    }
}

impl fmt::Display for Allow<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, method) in self.iter().enumerate() {
            let comma = if position == 0 { "" } else { ", " };
            write!(f, "{comma}{method}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Allow<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

/// One rule that matches host and path, and what became of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Candidate {
    /// Which rule.
    pub route: RouteId,
    /// What became of it.
    pub verdict: Verdict,
}

/// What became of a candidate.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// It answers the request.
    Selected,
    /// It would match, but a more specific one was selected.
    LessSpecific,
    /// Its method list does not hold the request's method.
    MethodNotAllowed,
    /// The request lacks this header.
    HeaderMissing(String),
    /// The request's header has another value.
    HeaderDiffers(String),
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Selected => f.write_str("selected"),
            Self::LessSpecific => f.write_str("matches, but a more specific route was selected"),
            Self::MethodNotAllowed => f.write_str("passed over: does not take the method"),
            Self::HeaderMissing(name) => write!(f, "passed over: header {name} is missing"),
            Self::HeaderDiffers(name) => write!(f, "passed over: header {name} has another value"),
        }
    }
}

/// One rule at the end of a pattern. Plain ones are decided without touching the rule itself.
struct Entry {
    route: RouteId,
    plain: bool,
    /// The rule's methods as bits into `Table::methods`.
    methods: u64,
}

/// A place in the tree: the segments walked so far.
#[derive(Clone, Copy)]
struct Branch {
    /// The branch that any one segment leads to.
    parameter: u32,
    /// The group of the patterns that end here.
    end: u32,
    /// The group of the patterns that go on with `*`.
    rest: u32,
    /// Whether the second map knows children of this branch.
    literals: bool,
}

impl Branch {
    const EMPTY: Self = Self { parameter: NONE, end: NONE, rest: NONE, literals: false };
}

/// All rules, ready to be asked. Immutable; a reload builds a new one.
pub struct Table {
    rules: Box<[Rule]>,
    /// Distinct methods of all rules, sorted.
    methods: Box<[String]>,
    /// Hosts under `EXACT` or `BELOW`; the value is the root branch of its tree, which also is its number.
    hosts: Index,
    any_host: u32,
    longest_below: usize,
    /// (root, whole path) -> group.
    paths: Index,
    /// (branch, segment) -> branch.
    literals: Index,
    branches: Box<[Branch]>,
    /// Where each group's entries begin and end.
    groups: Box<[(u32, u32)]>,
    entries: Box<[Entry]>,
}

const EXACT: u32 = 0;
const BELOW: u32 = 1;

impl Table {
    /// Builds the table; the place of a rule in the vector becomes its [`RouteId`].
    pub fn build(mut rules: Vec<Rule>) -> Result<Self, Conflict> {
        rules.iter_mut().for_each(Rule::tidy);
        let mut plan = Plan::default();
        for (number, rule) in rules.iter().enumerate() {
            plan.place(number as u32, rule);
        }
        for members in &mut plan.groups {
            imply_head(members, &mut rules);
            members.sort_by_key(|&member| specificity(&rules[member as usize]));
            check_conflicts(members, &rules)?;
        }
        let methods: BTreeSet<&String> = rules.iter().flat_map(|rule| &rule.methods).collect();
        let methods: Box<[String]> = methods.into_iter().cloned().collect();
        Ok(plan.lay_out(rules, methods))
    }

    /// The rule of a route, with its headers in lower case and its lists sorted.
    pub fn rule(&self, route: RouteId) -> &Rule {
        &self.rules[route.index()]
    }

    /// How many routes the table holds.
    pub fn len(&self) -> usize {
        self.rules.len()
    }

    /// Whether the table holds no route.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// The most specific route for the request; its parameters are left in `params`. Allocates nothing.
    pub fn select<'t>(&'t self, query: &Query<'_>, params: &mut Params<'t>) -> Result<RouteId, NoRoute<'t>> {
        let mut allow = None;
        let found = self.walk(query.host, query.path, params, &mut |group| {
            let (start, end) = self.groups[group as usize];
            for entry in &self.entries[start as usize..end as usize] {
                if entry.plain {
                    return Break(entry.route);
                }
                let rule = self.rule(entry.route);
                if rule.missing(query.header).is_some() {
                    continue;
                }
                if rule.takes(query.method) {
                    return Break(entry.route);
                }
                *allow.get_or_insert(0) |= entry.methods;
            }
            Continue(())
        });
        match found {
            Break(route) => {
                params.name(&self.rule(route).path.names);
                Ok(route)
            }
            Continue(()) => Err(match allow {
                None => NoRoute::NotFound,
                Some(set) => NoRoute::MethodNotAllowed { allow: Allow { methods: &self.methods, set } },
            }),
        }
    }

    /// Every rule that matches host and path, the most specific first, and why each was passed over.
    /// It walks the same way as [`Table::select`], so the two cannot disagree.
    pub fn explain(&self, query: &Query<'_>) -> Vec<Candidate> {
        let mut candidates = Vec::new();
        let mut selected = false;
        let _: ControlFlow<()> = self.walk(query.host, query.path, &mut Params::new(), &mut |group| {
            let (start, end) = self.groups[group as usize];
            for entry in &self.entries[start as usize..end as usize] {
                let verdict = self.verdict(entry.route, query, selected);
                selected |= verdict == Verdict::Selected;
                candidates.push(Candidate { route: entry.route, verdict });
            }
            Continue(())
        });
        candidates
    }

    fn verdict(&self, route: RouteId, query: &Query<'_>, selected: bool) -> Verdict {
        let rule = self.rule(route);
        if let Some(header) = rule.missing(query.header) {
            let name = header.name.clone();
            return match (query.header)(&header.name) {
                Some(_) => Verdict::HeaderDiffers(name),
                None => Verdict::HeaderMissing(name),
            };
        }
        if !rule.takes(query.method) {
            return Verdict::MethodNotAllowed;
        }
        if selected { Verdict::LessSpecific } else { Verdict::Selected }
    }

    /// Visits the groups of all patterns that match, the most specific first, until `visit` breaks.
    fn walk<B>(
        &self,
        host: &[u8],
        path: &[u8],
        params: &mut Params<'_>,
        visit: &mut impl FnMut(u32) -> ControlFlow<B>,
    ) -> ControlFlow<B> {
        params.clear();
        let host = host.strip_suffix(b".").unwrap_or(host);
        if let Some(root) = self.hosts.get(EXACT, host) {
            self.walk_host(root, path, params, visit)?;
        }
        if self.longest_below > 0 {
            let dots = host.iter().enumerate().skip(1).filter(|&(_, &byte)| byte == b'.');
            let suffixes = dots.map(|(dot, _)| &host[dot + 1..]);
            for suffix in suffixes.skip_while(|suffix| suffix.len() > self.longest_below) {
                if let Some(root) = self.hosts.get(BELOW, suffix) {
                    self.walk_host(root, path, params, visit)?;
                }
            }
        }
        if self.any_host == NONE {
            return Continue(());
        }
        self.walk_host(self.any_host, path, params, visit)
    }

    fn walk_host<B>(
        &self,
        root: u32,
        path: &[u8],
        params: &mut Params<'_>,
        visit: &mut impl FnMut(u32) -> ControlFlow<B>,
    ) -> ControlFlow<B> {
        if let Some(group) = self.paths.get(root, path) {
            visit(group)?;
        }
        if path.first() == Some(&b'/') {
            return self.descend(root, path, 1, params, visit);
        }
        // The `*` of `OPTIONS *` has no segments: only a pattern for everything takes it.
        visit_some(self.branches[root as usize].rest, visit)
    }

    /// Continues at `at`, where a segment begins; past the end of the path when there is none left.
    fn descend<B>(
        &self,
        branch: u32,
        path: &[u8],
        at: usize,
        params: &mut Params<'_>,
        visit: &mut impl FnMut(u32) -> ControlFlow<B>,
    ) -> ControlFlow<B> {
        let here = &self.branches[branch as usize];
        if at > path.len() {
            visit_some(here.end, visit)?;
            return visit_some(here.rest, visit);
        }
        if here.literals || here.parameter != NONE {
            let end = memchr::memchr(b'/', &path[at..]).map_or(path.len(), |slash| at + slash);
            let segment = &path[at..end];
            if here.literals
                && let Some(child) = self.literals.get(branch, segment)
            {
                self.descend(child, path, end + 1, params, visit)?;
            }
            if here.parameter != NONE && !segment.is_empty() {
                params.push(at..end);
                self.descend(here.parameter, path, end + 1, params, visit)?;
                params.pop();
            }
        }
        visit_some(here.rest, visit)
    }
}

fn visit_some<B>(group: u32, visit: &mut impl FnMut(u32) -> ControlFlow<B>) -> ControlFlow<B> {
    if group == NONE { Continue(()) } else { visit(group) }
}

impl fmt::Debug for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.rules).finish()
    }
}

/// The order among rules of one pattern; smaller comes first. See the module's head.
fn specificity(rule: &Rule) -> impl Ord + use<> {
    let values = rule.headers.iter().filter(|header| header.value.is_some()).count();
    let order = (rule.headers.len(), values, !rule.methods.is_empty());
    (Reverse(order), rule.headers.clone())
}

/// A rule that takes GET takes HEAD too (RFC 9110 section 9.3.2), unless a sibling asks for HEAD itself.
fn imply_head(members: &[u32], rules: &mut [Rule]) {
    for &member in members {
        let rule = &rules[member as usize];
        let siblings = members.iter().map(|&sibling| &rules[sibling as usize]);
        let listed = siblings
            .filter(|sibling| sibling.headers == rule.headers)
            .any(|sibling| sibling.methods.iter().any(|method| method == "HEAD"));
        if !listed && rule.methods.iter().any(|method| method == "GET") {
            let rule = &mut rules[member as usize];
            rule.methods.push("HEAD".to_owned());
            rule.tidy();
        }
    }
}

/// Rules of one pattern with the same headers may only differ by methods that do not overlap.
fn check_conflicts(members: &[u32], rules: &[Rule]) -> Result<(), Conflict> {
    for (position, &second) in members.iter().enumerate() {
        for &first in &members[..position] {
            let (one, other) = (&rules[first as usize], &rules[second as usize]);
            let overlap = one.methods.is_empty() && other.methods.is_empty()
                || one.methods.iter().any(|method| other.methods.contains(method));
            if one.headers == other.headers && overlap {
                let (first, second) = (RouteId(first.min(second)), RouteId(first.max(second)));
                return Err(Conflict { first, second });
            }
        }
    }
    Ok(())
}

/// The table while it grows, with maps that can be written.
#[derive(Default)]
struct Plan {
    hosts: HashMap<(u32, Box<str>), u32>,
    any_host: Option<u32>,
    paths: HashMap<(u32, String), u32>,
    literals: HashMap<(u32, Box<str>), u32>,
    branches: Vec<Branch>,
    groups: Vec<Vec<u32>>,
}

impl Plan {
    fn place(&mut self, number: u32, rule: &Rule) {
        let root = self.root(&rule.host);
        let group = match rule.path.literal() {
            Some(path) => *self.paths.entry((root, path)).or_insert_with(|| new_group(&mut self.groups)),
            None => self.grow(root, &rule.path),
        };
        self.groups[group as usize].push(number);
    }

    fn root(&mut self, host: &HostPattern) -> u32 {
        let branches = &mut self.branches;
        match host {
            HostPattern::Any => *self.any_host.get_or_insert_with(|| new_branch(branches)),
            HostPattern::Exact(name) => {
                *self.hosts.entry((EXACT, name.clone())).or_insert_with(|| new_branch(branches))
            }
            HostPattern::Below(name) => {
                *self.hosts.entry((BELOW, name.clone())).or_insert_with(|| new_branch(branches))
            }
        }
    }

    /// Follows or grows the branches of a pattern and returns the group at its end.
    fn grow(&mut self, root: u32, path: &PathPattern) -> u32 {
        let mut at = root;
        for segment in &path.segments {
            match segment {
                Segment::Literal(piece) => {
                    self.branches[at as usize].literals = true;
                    let child = self.literals.entry((at, piece.clone()));
                    at = *child.or_insert_with(|| new_branch(&mut self.branches));
                }
                Segment::Parameter => {
                    if self.branches[at as usize].parameter == NONE {
                        self.branches[at as usize].parameter = new_branch(&mut self.branches);
                    }
                    at = self.branches[at as usize].parameter;
                }
            }
        }
        let branch = &mut self.branches[at as usize];
        let group = if path.rest { &mut branch.rest } else { &mut branch.end };
        if *group == NONE {
            *group = new_group(&mut self.groups);
        }
        *group
    }

    fn lay_out(self, rules: Vec<Rule>, methods: Box<[String]>) -> Table {
        let mut entries = Vec::new();
        let mut groups = Vec::new();
        for members in &self.groups {
            let start = entries.len() as u32;
            entries.extend(members.iter().map(|&member| entry(member, &rules[member as usize], &methods)));
            groups.push((start, entries.len() as u32));
        }
        let below = self.hosts.keys().filter(|(kind, _)| *kind == BELOW);
        Table {
            longest_below: below.map(|(_, name)| name.len()).max().unwrap_or(0),
            hosts: Index::build(
                self.hosts.iter().map(|((kind, name), &root)| (*kind, name.as_bytes(), root)),
            ),
            any_host: self.any_host.unwrap_or(NONE),
            paths: Index::build(
                self.paths.iter().map(|((root, path), &group)| (*root, path.as_bytes(), group)),
            ),
            literals: Index::build(
                self.literals.iter().map(|((at, piece), &to)| (*at, piece.as_bytes(), to)),
            ),
            branches: self.branches.into_boxed_slice(),
            groups: groups.into_boxed_slice(),
            entries: entries.into_boxed_slice(),
            rules: rules.into_boxed_slice(),
            methods,
        }
    }
}

fn entry(member: u32, rule: &Rule, methods: &[String]) -> Entry {
    let listed = methods.iter().take(64).enumerate().filter(|(_, method)| rule.methods.contains(method));
    let plain = rule.methods.is_empty() && rule.headers.is_empty();
    Entry { route: RouteId(member), plain, methods: listed.fold(0, |set, (bit, _)| set | 1 << bit) }
}

fn new_branch(branches: &mut Vec<Branch>) -> u32 {
    branches.push(Branch::EMPTY);
    branches.len() as u32 - 1
}

fn new_group(groups: &mut Vec<Vec<u32>>) -> u32 {
    groups.push(Vec::new());
    groups.len() as u32 - 1
}
