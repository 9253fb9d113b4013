//! The route table against an oracle that knows no tree and no hash map: it tries every rule on every
//! request and sorts those that match by how specific they are.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use tidegate_traffic::route::{
    HeaderMatch, HostPattern, NoRoute, Params, PathPattern, Query, RouteId, Rule, Table, Verdict,
};

const HOSTS: [&str; 6] = ["*", "a.test", "b.a.test", "*.a.test", "*.test", "*.b.a.test"];
const ASKED_HOSTS: [&str; 6] = ["a.test", "b.a.test", "c.b.a.test", "test", "other", ""];
const METHODS: [&str; 4] = ["GET", "HEAD", "POST", "BREW"];

#[derive(Clone, Debug)]
struct Written {
    host: String,
    path: String,
    methods: Vec<String>,
    headers: BTreeSet<(String, Option<String>)>,
}

impl Written {
    fn random(rng: &mut fastrand::Rng) -> Self {
        let mut path = String::new();
        for position in 0..rng.usize(..5) {
            path.push('/');
            match rng.u8(..6) {
                0 | 1 => path.push('a'),
                2 => path.push('b'),
                3 | 4 => path.extend(["{p", ["0", "1", "2", "3"][position], "}"]),
                _ => {}
            }
        }
        if path.is_empty() || path == "/" {
            path.clear();
            path.push_str(rng.choice(&["/", "=/", "/*"]).unwrap());
        } else if rng.u8(..3) == 0 {
            path.push_str("/*");
        }
        let methods = if rng.bool() { vec![] } else { rng.choose_multiple(METHODS, 2) };
        let headers = rng.choose_multiple([("x", None), ("x", Some("1")), ("y", None), ("y", Some("2"))], 4);
        let kept = if rng.bool() { 0 } else { rng.usize(..3) };
        Self {
            host: (*rng.choice(&HOSTS).unwrap()).to_owned(),
            path,
            methods: methods.into_iter().map(str::to_owned).collect(),
            headers: headers
                .into_iter()
                .take(kept)
                .map(|(name, value): (&str, Option<&str>)| (name.to_owned(), value.map(str::to_owned)))
                .collect(),
        }
    }

    fn rule(&self) -> Rule {
        let header = |(name, value): &(String, Option<String>)| HeaderMatch {
            name: name.to_uppercase(),
            value: value.clone(),
        };
        Rule {
            host: HostPattern::parse(&self.host).unwrap(),
            path: PathPattern::parse(&self.path).unwrap(),
            methods: self.methods.clone(),
            headers: self.headers.iter().map(header).collect(),
        }
    }

    /// The path as a list of segments, with parameters as `{}`, and whether `*` follows.
    fn shape(&self) -> (Vec<&str>, bool) {
        if let Some(literal) = self.path.strip_prefix('=') {
            return (literal[1..].split('/').collect(), false);
        }
        if self.path == "/" || self.path == "/*" {
            return (vec![], true);
        }
        let (path, rest) = match self.path.strip_suffix("/*") {
            Some(path) => (path, true),
            None => (&*self.path, false),
        };
        let blank = |piece| if str::starts_with(piece, '{') { "{}" } else { piece };
        (path[1..].split('/').map(blank).collect(), rest)
    }

    fn same_requests_but_for_methods(&self, other: &Self) -> bool {
        self.host == other.host && self.shape() == other.shape() && self.headers == other.headers
    }

    fn conflicts_with(&self, other: &Self) -> bool {
        let both_any = self.methods.is_empty() && other.methods.is_empty();
        let shared = self.methods.iter().any(|method| other.methods.contains(method));
        self.same_requests_but_for_methods(other) && (both_any || shared)
    }

    fn takes(&self, method: &str, all: &[Self]) -> bool {
        let lists = |rule: &Self, method: &str| rule.methods.iter().any(|known| known == method);
        let head_is_asked_for =
            || all.iter().any(|other| self.same_requests_but_for_methods(other) && lists(other, "HEAD"));
        self.methods.is_empty()
            || lists(self, method)
            || (method == "HEAD" && lists(self, "GET") && !head_is_asked_for())
    }

    fn host_rank(&self, host: &str) -> Option<(u8, usize)> {
        match self.host.strip_prefix("*.") {
            _ if self.host == "*" => Some((0, 0)),
            None => (self.host == host).then_some((2, 0)),
            Some(suffix) => (host.len() > suffix.len() + 1 && host.ends_with(&self.host[1..]))
                .then_some((1, suffix.len())),
        }
    }

    /// Per segment 3 for a literal and 2 for a parameter, then 1 for the end or 0 for `*`.
    fn path_rank(&self, path: &[&str]) -> Option<Vec<u8>> {
        let (segments, rest) = self.shape();
        if path.len() < segments.len() || (path.len() > segments.len() && !rest) {
            return None;
        }
        let mut rank = Vec::new();
        for (pattern, asked) in segments.iter().zip(path) {
            match *pattern {
                "{}" if !asked.is_empty() => rank.push(2),
                literal if literal == *asked => rank.push(3),
                _ => return None,
            }
        }
        rank.push(u8::from(!rest));
        Some(rank)
    }
}

struct Asked {
    host: String,
    path: String,
    method: &'static str,
    x: Option<&'static [u8]>,
    y: Option<&'static [u8]>,
}

impl Asked {
    fn random(rng: &mut fastrand::Rng) -> Self {
        let segments: Vec<&str> =
            (0..rng.usize(1..6)).map(|_| *rng.choice(&["a", "b", "c", ""]).unwrap()).collect();
        let values: [Option<&'static [u8]>; 4] = [None, Some(b""), Some(b"1"), Some(b"2")];
        Self {
            host: (*rng.choice(&ASKED_HOSTS).unwrap()).to_owned(),
            path: format!("/{}", segments.join("/")),
            method: rng.choice(&METHODS).unwrap(),
            x: *rng.choice(&values).unwrap(),
            y: *rng.choice(&values).unwrap(),
        }
    }

    fn header(&self, name: &str) -> Option<&'static [u8]> {
        match name {
            "x" => self.x,
            "y" => self.y,
            _ => None,
        }
    }

    fn segments(&self) -> Vec<&str> {
        self.path[1..].split('/').collect()
    }
}

/// All rules that match host and path, the most specific first.
fn candidates(rules: &[Written], asked: &Asked) -> Vec<usize> {
    let mut found: Vec<_> = rules
        .iter()
        .enumerate()
        .filter_map(|(number, rule)| {
            let host = rule.host_rank(&asked.host)?;
            let path = rule.path_rank(&asked.segments())?;
            let values = rule.headers.iter().filter(|(_, value)| value.is_some()).count();
            let rank = (host, path, rule.headers.len(), values, !rule.methods.is_empty());
            Some((Reverse(rank), &rule.headers, number))
        })
        .collect();
    found.sort();
    found.into_iter().map(|(_, _, number)| number).collect()
}

fn headers_match(rule: &Written, asked: &Asked) -> bool {
    rule.headers.iter().all(|(name, value)| match (asked.header(name), value) {
        (None, _) => false,
        (Some(_), None) => true,
        (Some(found), Some(value)) => found == value.as_bytes(),
    })
}

/// Builds the table, dropping the second of each pair that is refused, after checking the refusal.
fn build(mut written: Vec<Written>) -> (Table, Vec<Written>) {
    loop {
        let conflict = match Table::build(written.iter().map(Written::rule).collect()) {
            Ok(table) => {
                for (number, rule) in written.iter().enumerate() {
                    let clash = written[..number].iter().find(|earlier| earlier.conflicts_with(rule));
                    assert!(clash.is_none(), "{rule:?} and {clash:?} were not refused");
                }
                return (table, written);
            }
            Err(conflict) => conflict,
        };
        let (first, second) = (&written[conflict.first.index()], &written[conflict.second.index()]);
        assert!(conflict.first < conflict.second && first.conflicts_with(second), "{first:?} and {second:?}");
        written.remove(conflict.second.index());
    }
}

fn check(table: &Table, rules: &[Written], asked: &Asked) {
    let header = |name: &str| asked.header(name);
    let query = Query {
        host: asked.host.as_bytes(),
        path: asked.path.as_bytes(),
        method: asked.method.as_bytes(),
        header: &header,
    };
    let candidates = candidates(rules, asked);
    let open: Vec<usize> = candidates.iter().copied().filter(|&n| headers_match(&rules[n], asked)).collect();
    let expected = open.iter().copied().find(|&number| rules[number].takes(asked.method, rules));
    let mut params = Params::new();
    match (table.select(&query, &mut params), expected) {
        (Ok(route), Some(number)) => {
            assert_eq!(route.index(), number, "{:?} for {}{}", rules[number], asked.host, asked.path);
            check_params(&params, &rules[number], asked);
        }
        (Err(NoRoute::NotFound), None) => assert!(open.is_empty()),
        (Err(NoRoute::MethodNotAllowed { allow }), None) => {
            let methods = ["BREW", "GET", "HEAD", "POST"].into_iter();
            let methods = methods.filter(|method| open.iter().any(|&n| rules[n].takes(method, rules)));
            assert_eq!(allow.to_string(), methods.collect::<Vec<_>>().join(", "));
        }
        (got, expected) => panic!("{got:?} instead of {expected:?} for {} {}", asked.host, asked.path),
    }
    let explained = table.explain(&query);
    assert_eq!(explained.iter().map(|one| one.route.index()).collect::<Vec<_>>(), candidates);
    let selected = explained.iter().find(|candidate| candidate.verdict == Verdict::Selected);
    assert_eq!(selected.map(|candidate| candidate.route.index()), expected);
}

fn check_params(params: &Params<'_>, rule: &Written, asked: &Asked) {
    let names = rule.path.strip_prefix('/').unwrap_or_default().split('/');
    let segments = asked.segments();
    let expected: Vec<(&str, &str)> = names
        .enumerate()
        .filter_map(|(at, name)| Some((name.strip_prefix('{')?.strip_suffix('}')?, segments[at])))
        .collect();
    let found: Vec<(&str, &str)> = params.iter().map(|(name, range)| (name, &asked.path[range])).collect();
    assert_eq!(found, expected);
    for (name, value) in expected {
        assert_eq!(params.value(name, asked.path.as_bytes()), Some(value.as_bytes()));
    }
}

#[test]
fn the_table_selects_what_sorting_all_matching_rules_selects() {
    for seed in 0..400 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let written = (0..rng.usize(1..60)).map(|_| Written::random(&mut rng)).collect();
        let (table, rules) = build(written);
        println!("seed {seed}, {} rules", rules.len());
        for _ in 0..200 {
            check(&table, &rules, &Asked::random(&mut rng));
        }
    }
}

#[test]
fn the_order_of_the_rules_decides_nothing() {
    for seed in 0..50 {
        println!("seed {seed}");
        let mut rng = fastrand::Rng::with_seed(seed);
        let (table, mut rules) = build((0..40).map(|_| Written::random(&mut rng)).collect());
        let before = rules.clone();
        rng.shuffle(&mut rules);
        let (shuffled, rules) = build(rules);
        for _ in 0..100 {
            let asked = Asked::random(&mut rng);
            let header = |name: &str| asked.header(name);
            let (host, path, method) =
                (asked.host.as_bytes(), asked.path.as_bytes(), asked.method.as_bytes());
            let query = Query { host, path, method, header: &header };
            let one = table.select(&query, &mut Params::new()).ok().map(|route| &before[route.index()]);
            let other = shuffled.select(&query, &mut Params::new()).ok().map(|route| &rules[route.index()]);
            assert_eq!(one.map(|rule| format!("{rule:?}")), other.map(|rule| format!("{rule:?}")));
        }
    }
}

fn table(paths: &[&str]) -> Table {
    let rule = |path: &&str| Rule {
        host: HostPattern::Any,
        path: PathPattern::parse(path).unwrap(),
        methods: vec![],
        headers: vec![],
    };
    Table::build(paths.iter().map(rule).collect()).unwrap()
}

fn select(table: &Table, path: &str) -> Option<u32> {
    let header = |_: &str| None;
    let query = Query { host: b"any", path: path.as_bytes(), method: b"GET", header: &header };
    table.select(&query, &mut Params::new()).ok().map(|RouteId(number)| number)
}

#[test]
fn a_lone_slash_is_everything_and_an_equals_sign_makes_it_the_root() {
    let everything = table(&["/"]);
    for path in ["/", "/x", "/x/y/", "*", "//"] {
        assert_eq!(select(&everything, path), Some(0), "{path}");
    }
    let root = table(&["=/", "/x/*"]);
    assert_eq!(select(&root, "/"), Some(0));
    assert_eq!(select(&root, "//"), None);
    assert_eq!(select(&root, "*"), None);
    assert_eq!(select(&root, "/x"), Some(1));
    assert_eq!(select(&root, "/x/"), Some(1));
    assert_eq!(select(&root, "/xy"), None);
}

#[test]
fn a_walk_that_ends_in_a_blind_alley_turns_around() {
    let table = table(&["/a/b/c", "/a/{x}/d", "/{x}/b/e", "/a/*"]);
    assert_eq!(select(&table, "/a/b/c"), Some(0));
    assert_eq!(select(&table, "/a/b/d"), Some(1));
    assert_eq!(select(&table, "/a/b/e"), Some(3));
    assert_eq!(select(&table, "/z/b/e"), Some(2));
    assert_eq!(select(&table, "/z/b/f"), None);
}

#[test]
fn a_host_without_a_matching_path_gives_way_to_a_more_general_host() {
    let rule = |host: &str, path: &str| Rule {
        host: HostPattern::parse(host).unwrap(),
        path: PathPattern::parse(path).unwrap(),
        methods: vec![],
        headers: vec![],
    };
    let rules = vec![rule("*", "/"), rule("*.example.org", "/img/*"), rule("a.example.org", "/api/*")];
    let table = Table::build(rules).unwrap();
    let select = |host: &str, path: &str| {
        let header = |_: &str| None;
        let query = Query { host: host.as_bytes(), path: path.as_bytes(), method: b"GET", header: &header };
        table.select(&query, &mut Params::new()).unwrap().0
    };
    assert_eq!(select("a.example.org", "/api/x"), 2);
    assert_eq!(select("a.example.org.", "/api/x"), 2);
    assert_eq!(select("a.example.org", "/img/x"), 1);
    assert_eq!(select("a.example.org", "/x"), 0);
    assert_eq!(select("example.org", "/img/x"), 0);
}

#[test]
fn rules_that_match_the_same_requests_are_refused_by_their_places() {
    let paths = ["/a/{x}", "/b", "/a/{y}"];
    let rules = paths.map(|path| Rule {
        host: HostPattern::Any,
        path: PathPattern::parse(path).unwrap(),
        methods: vec![],
        headers: vec![],
    });
    let conflict = Table::build(rules.to_vec()).unwrap_err();
    assert_eq!((conflict.first, conflict.second), (RouteId(0), RouteId(2)));
}
