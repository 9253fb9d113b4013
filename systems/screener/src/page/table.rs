//! The table page: what was found, in rows that can be sorted, paged and read.

use kit::page::escaped;
use std::fmt::Write as _;

use kit::FieldError;

use super::show::{bound, count, direction, is_change, number};
use super::{chart, form, layout};
use crate::filter::{Filter, Range, Sort, SortBy};
use crate::stock::{FIELDS, Field, Listing};
use crate::store::{Facet, Found, Screen};

/// The whole page.
pub(super) fn render(
    filter: &Filter,
    wrong: &[FieldError],
    found: &Found,
    facets: &[Facet],
    screens: &[Screen],
) -> String {
    let universe: i64 = facets.iter().map(|facet| facet.count).sum();
    let is_synthetic = facets.iter().any(|facet| facet.synthetic > 0);
    let main = format!(
        "<div class=\"columns\">{}<main id=\"results\" tabindex=\"-1\">{}{}{}{}{}</main></div>",
        form::render(filter, facets, screens),
        layout::errors(wrong),
        summary(filter, found, universe),
        chips(filter),
        rows(filter, found),
        pages(filter, found.total),
    );
    layout::page("Stocks", is_synthetic, &main)
}

fn summary(filter: &Filter, found: &Found, universe: i64) -> String {
    let query = escaped(&filter.first_page().to_query());
    let whole = escaped(&Filter { page: crate::filter::Page::default(), ..filter.clone() }.to_query());
    let of = if found.total == universe {
        format!("<b>{}</b> companies", count(universe))
    } else {
        format!("<b>{}</b> of {} companies", count(found.total), count(universe))
    };
    format!(
        "<div class=\"summary\"><p role=\"status\">{of}</p><p class=\"links\"><a href=\"/api/stocks?{query}\">JSON</a>\
         <a href=\"/api/stocks.csv?{whole}\" download>CSV</a></p></div>"
    )
}

/// What is filtered by, each with a link that takes it away.
fn chips(filter: &Filter) -> String {
    let mut chips = Vec::new();
    let mut chip = |label: String, change: &dyn Fn(&mut Filter)| {
        let mut without = filter.first_page();
        change(&mut without);
        let (label, query) = (escaped(&label), escaped(&without.to_query()));
        chips.push(format!(
            "<a class=\"chip\" href=\"/?{query}\" aria-label=\"Remove {label}\">{label}<i>×</i></a>"
        ));
    };
    if let Some(text) = &filter.text {
        chip(format!("“{text}”"), &|filter| filter.text = None);
    }
    for sector in &filter.sectors {
        chip(sector.clone(), &|filter| filter.sectors.retain(|other| other != sector));
    }
    for industry in &filter.industries {
        chip(industry.clone(), &|filter| filter.industries.retain(|other| other != industry));
    }
    for (about, range) in FIELDS.iter().zip(&filter.ranges) {
        let label = match (range.min.map(bound), range.max.map(bound)) {
            (Some(min), Some(max)) => format!("{} {min} – {max}", about.label),
            (Some(min), None) => format!("{} ≥ {min}", about.label),
            (None, Some(max)) => format!("{} ≤ {max}", about.label),
            (None, None) => continue,
        };
        chip(label, &|filter| filter.ranges[about.field.index()] = Range::default());
    }
    if chips.is_empty() { String::new() } else { format!("<p class=\"chips\">{}</p>", chips.concat()) }
}

fn rows(filter: &Filter, found: &Found) -> String {
    if found.listings.is_empty() {
        let why = if found.total == 0 {
            "No company matches all of this. Take a filter away, or widen a range."
        } else {
            "There are fewer pages than this."
        };
        return format!("<p class=\"nothing\">{why}</p>");
    }
    let mut html = String::from(
        "<div class=\"scroll\" tabindex=\"0\" aria-label=\"Table of stocks\"><table><thead><tr>",
    );
    heading(&mut html, filter, SortBy::Name, "Company", "company");
    heading(&mut html, filter, SortBy::Sector, "Sector", "sector");
    for about in &FIELDS {
        let class = if about.field == Field::Change52w { "wide" } else { "" };
        heading(&mut html, filter, SortBy::Number(about.field), about.label, class);
    }
    html += "</tr></thead><tbody>";
    found.listings.iter().for_each(|listing| row(&mut html, listing));
    html + "</tbody></table></div>"
}

/// A heading that sorts: numbers downwards first, texts upwards first, then the other way.
fn heading(html: &mut String, filter: &Filter, by: SortBy, label: &str, class: &str) {
    let is_current = filter.sort.by == by;
    let is_number = matches!(by, SortBy::Number(_));
    let descending = if is_current { !filter.sort.descending } else { is_number };
    let query = Filter { sort: Sort { by, descending }, ..filter.first_page() }.to_query();
    let state = match (is_current, filter.sort.descending) {
        (false, _) => "",
        (true, true) => " aria-sort=\"descending\"",
        (true, false) => " aria-sort=\"ascending\"",
    };
    let number = if is_number { "number " } else { "" };
    let _ = write!(
        html,
        "<th scope=\"col\" class=\"{number}{class}\"{state}><a href=\"/?{}\">{label}</a></th>",
        escaped(&query)
    );
}

fn row(html: &mut String, Listing { stock, closes }: &Listing) {
    let (symbol, name) = (escaped(&stock.symbol), escaped(&stock.name));
    let _ = write!(
        html,
        "<tr><th scope=\"row\" class=\"company\"><a href=\"/stocks/{symbol}\"><b>{symbol}</b> <span>{name}</span></a></th>\
         <td class=\"sector\">{} <span>{}</span></td>",
        escaped(&stock.sector),
        escaped(&stock.industry)
    );
    for about in &FIELDS {
        let shown = number(stock, about);
        let _ = if about.field == Field::Change52w {
            let direction = direction(stock.change_52w);
            write!(
                html,
                "<td class=\"number wide {direction}\">{}<span>{shown}</span></td>",
                chart::spark(closes)
            )
        } else {
            let direction = if is_change(about.field) { direction(stock.number(about.field)) } else { "" };
            write!(html, "<td class=\"number {direction}\">{shown}</td>")
        };
    }
    *html += "</tr>";
}

fn pages(filter: &Filter, total: i64) -> String {
    let size = i64::from(filter.page.size);
    let last = u32::try_from((total + size - 1) / size).unwrap_or(u32::MAX).max(1);
    if last == 1 && filter.page.number == 1 {
        return String::new();
    }
    let here = filter.page.number;
    let link = |page: u32, label: &str, more: &str| {
        format!("<a href=\"/?{}\"{more}>{label}</a>", escaped(&filter.at_page(page).to_query()))
    };
    let mut html = String::from("<nav class=\"pages\" aria-label=\"Pages\">");
    html += &if here > 1 {
        link((here - 1).min(last), "Previous", " rel=\"prev\"")
    } else {
        "<s>Previous</s>".to_owned()
    };
    let mut before = 0;
    for page in [1, 2, here.saturating_sub(1), here, here + 1, last.saturating_sub(1), last] {
        if page <= before || page > last {
            continue;
        }
        if page > before + 1 {
            html += "<s>…</s>";
        }
        let current = if page == here { " aria-current=\"page\"" } else { "" };
        html += &link(page, &count(page.into()), current);
        before = page;
    }
    html += &if here < last { link(here + 1, "Next", " rel=\"next\"") } else { "<s>Next</s>".to_owned() };
    html + "</nav>"
}
