//! Filters, sorting and paging against a plain oracle: the same universe in memory, filtered by a loop.

mod harness;

use std::cmp::Ordering;
use std::collections::HashSet;

use harness::{Program, Random, start};
use screener::filter::{Filter, SortBy};
use screener::stock::{FIELDS, Listing, Stock};
use screener::synthetic::universe;

const SEED: u64 = 11;
const COUNT: u32 = 900;
const OPTIONS: [&str; 4] = ["--seed", "11", "--count", "900"];

/// Every symbol that matches, in order, without regard to pages.
fn oracle(universe: &[Listing], filter: &Filter) -> Vec<String> {
    let mut stocks: Vec<&Stock> = universe.iter().map(|listing| &listing.stock).collect();
    stocks.retain(|stock| matches(stock, filter));
    stocks.sort_by(|a, b| compare(a, b, filter).then_with(|| a.symbol.cmp(&b.symbol)));
    stocks.iter().map(|stock| stock.symbol.clone()).collect()
}

fn matches(stock: &Stock, filter: &Filter) -> bool {
    let is_text = filter.text.as_ref().is_none_or(|text| {
        let text = text.to_ascii_lowercase();
        stock.symbol.to_ascii_lowercase().starts_with(&text)
            || stock.name.to_ascii_lowercase().contains(&text)
    });
    let is_in = |list: &[String], value: &String| list.is_empty() || list.contains(value);
    let is_in_ranges = FIELDS.iter().zip(&filter.ranges).all(|(about, range)| {
        let number = stock.number(about.field);
        range.min.is_none_or(|min| number.is_some_and(|number| number >= min))
            && range.max.is_none_or(|max| number.is_some_and(|number| number <= max))
    });
    is_text
        && is_in(&filter.sectors, &stock.sector)
        && is_in(&filter.industries, &stock.industry)
        && is_in_ranges
}

fn compare(a: &Stock, b: &Stock, filter: &Filter) -> Ordering {
    let turned = |ordering: Ordering| if filter.sort.descending { ordering.reverse() } else { ordering };
    match filter.sort.by {
        SortBy::Symbol => turned(a.symbol.cmp(&b.symbol)),
        SortBy::Name => turned(a.name.to_ascii_lowercase().cmp(&b.name.to_ascii_lowercase())),
        SortBy::Sector => turned(a.sector.cmp(&b.sector)),
        SortBy::Industry => turned(a.industry.cmp(&b.industry)),
        SortBy::Number(field) => match (a.number(field), b.number(field)) {
            (Some(a), Some(b)) => turned(a.total_cmp(&b)),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => Ordering::Equal,
        },
    }
}

/// A query as someone might write it: a few parameters, bounds taken from the universe so that they cut it.
fn random_query(random: &mut Random, universe: &[Listing]) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    for _ in 0..random.below(3) {
        query.append_pair("sector", &random.pick(universe).stock.sector);
    }
    if random.below(4) == 0 {
        query.append_pair("industry", &random.pick(universe).stock.industry);
    }
    if random.below(5) == 0 {
        query.append_pair("q", random.pick::<&str>(&["a", "AR", "corp", "or", "%", "_", "x y", "ä"]));
    }
    for about in &FIELDS {
        let mut cut = || random.pick(universe).stock.number(about.field);
        if let (Some(a), Some(b)) = (cut(), cut()) {
            match random.below(9) {
                0 => {
                    query.append_pair(&format!("{}_min", about.name), &a.min(b).to_string());
                }
                1 => {
                    query.append_pair(&format!("{}_max", about.name), &a.max(b).to_string());
                }
                2 => {
                    query.append_pair(&format!("{}_min", about.name), &a.min(b).to_string());
                    query.append_pair(&format!("{}_max", about.name), &a.max(b).to_string());
                }
                _ => {}
            }
        }
    }
    let orders: Vec<SortBy> = SortBy::all().collect();
    let order = random.pick(&orders).name();
    query.append_pair("sort", &if random.below(2) == 0 { order.to_owned() } else { format!("-{order}") });
    query.finish()
}

fn symbols(list: &serde_json::Value) -> Vec<String> {
    let stocks = list["stocks"].as_array().unwrap();
    stocks.iter().map(|stock| stock["symbol"].as_str().unwrap().to_owned()).collect()
}

/// Every page of a query, by its own links.
fn walk(screener: &Program, query: &str, per_page: usize) -> Vec<String> {
    let mut found = Vec::new();
    let mut next = Some(format!("/api/stocks?{query}&per_page={per_page}"));
    while let Some(target) = next {
        let list = screener.json(&target);
        found.extend(symbols(&list));
        next = list["next"].as_str().map(str::to_owned);
    }
    found
}

#[test]
fn filters_find_what_a_plain_loop_finds_in_the_same_order() {
    let folder = tempfile::tempdir().unwrap();
    let screener = start(&folder.path().join("s.db"), &OPTIONS);
    let universe = universe(SEED, COUNT);
    let mut sizes = Vec::new();
    for seed in 1..=150 {
        let mut random = Random(seed * 0x9e37_79b9);
        let query = random_query(&mut random, &universe);
        let wanted = oracle(&universe, &Filter::parse(&query).strict().unwrap());
        let list = screener.json(&format!("/api/stocks?{query}&per_page=200"));
        assert_eq!(list["total"], wanted.len(), "seed {seed}: {query}");
        assert_eq!(symbols(&list), wanted[..wanted.len().min(200)], "seed {seed}: {query}");
        sizes.push(wanted.len());
    }
    let is_between = |size: &&usize| (1..COUNT as usize).contains(*size);
    assert!(sizes.iter().filter(is_between).count() > 75, "the queries say little: {sizes:?}");
}

#[test]
fn pages_follow_each_other_without_gap_or_repeat() {
    let folder = tempfile::tempdir().unwrap();
    let screener = start(&folder.path().join("s.db"), &OPTIONS);
    let universe = universe(SEED, COUNT);
    // Sectors and yields have long runs of equal values, P/E many stocks without one.
    for (order, per_page) in [("sector", 50), ("-dividend_yield", 97), ("pe", 200), ("-pe", 131)] {
        let query = format!("sort={order}");
        let wanted = oracle(&universe, &Filter::parse(&query).strict().unwrap());
        let found = walk(&screener, &query, per_page);
        assert_eq!(found.iter().collect::<HashSet<_>>().len(), COUNT as usize, "{query}");
        assert_eq!(found, wanted, "{query}");
    }
}

#[test]
fn a_page_past_the_end_is_empty_and_says_how_many_there_are() {
    let folder = tempfile::tempdir().unwrap();
    let screener = start(&folder.path().join("s.db"), &["--count", "120"]);
    let list = screener.json("/api/stocks?page=4");
    assert_eq!((&list["total"], &list["pages"], &list["next"]), (&120.into(), &3.into(), &().into()));
    assert!(symbols(&list).is_empty());
    assert!(screener.get("/?page=4").text().contains("There are fewer pages than this."));
}

#[test]
fn the_export_holds_every_match_and_is_marked_synthetic() {
    let folder = tempfile::tempdir().unwrap();
    let screener = start(&folder.path().join("s.db"), &OPTIONS);
    let universe = universe(SEED, COUNT);
    let query = "pe_max=15&sort=symbol";
    let export = screener.get(&format!("/api/stocks.csv?{query}"));
    let text = export.text();
    let found: Vec<_> = text.lines().skip(1).map(|line| line.split(',').next().unwrap().to_owned()).collect();
    assert_eq!(found, oracle(&universe, &Filter::parse(query).strict().unwrap()));
    assert!(text.lines().skip(1).all(|line| line.ends_with(",true")));
    assert!(export.header("content-disposition").unwrap().contains("synthetic-stocks.csv"));
    assert_eq!(screener.get("/api/stocks.csv?page=2").named(), [(None, "page".to_owned())]);
}
