//! The side of the table: saved screens and the filter's form, which works without a script.

use kit::page::escaped;
use std::fmt::Write as _;

use super::show::{bound, count};
use crate::filter::{Filter, PER_PAGE_DEFAULT, Sort};
use crate::stock::{FIELDS, Unit};
use crate::store::{Facet, NAME_MAX_BYTES, Screen};

/// Saved screens, then the filter.
pub(super) fn render(filter: &Filter, facets: &[Facet], screens: &[Screen]) -> String {
    format!(
        "<aside class=\"side\"><details class=\"fold\" open><summary>Filters and screens</summary>{}{}</details></aside>",
        saved(filter, screens),
        form(filter, facets)
    )
}

fn saved(filter: &Filter, screens: &[Screen]) -> String {
    let current = filter.first_page().to_query();
    let mut html = String::from("<section class=\"screens\"><h2>Saved screens</h2><ul>");
    for Screen { id, name, query, .. } in screens {
        let is_current = if *query == current { " aria-current=\"true\"" } else { "" };
        let (name, query) = (escaped(name), escaped(query));
        let _ = write!(
            html,
            "<li><a href=\"/?{query}\"{is_current}>{name}</a><form method=\"post\" action=\"/screens/{id}/delete\">\
             <button class=\"quiet\" title=\"Delete {name}\" aria-label=\"Delete {name}\">×</button></form></li>"
        );
    }
    if screens.is_empty() {
        html += "<li class=\"muted\">None yet. Set a filter, then save it here.</li>";
    }
    let _ = write!(
        html,
        "</ul><form class=\"save\" method=\"post\" action=\"/screens\">\
         <input type=\"hidden\" name=\"query\" value=\"{}\">\
         <input name=\"name\" required maxlength=\"{NAME_MAX_BYTES}\" placeholder=\"Name this screen\" \
         aria-label=\"Name of the screen\" autocomplete=\"off\"><button>Save</button></form></section>",
        escaped(&current)
    );
    html
}

fn form(filter: &Filter, facets: &[Facet]) -> String {
    let mut html = String::from("<form class=\"filter\" id=\"filter\" method=\"get\" action=\"/\">");
    let _ = write!(
        html,
        "<label class=\"search\"><span>Search</span><input type=\"search\" name=\"q\" value=\"{}\" maxlength=\"100\" \
         placeholder=\"Symbol or name\"></label>",
        escaped(filter.text.as_deref().unwrap_or_default())
    );
    if filter.sort != Sort::default() {
        let _ = write!(html, "<input type=\"hidden\" name=\"sort\" value=\"{}\">", filter.sort);
    }
    if filter.page.size != PER_PAGE_DEFAULT {
        let _ = write!(html, "<input type=\"hidden\" name=\"per_page\" value=\"{}\">", filter.page.size);
    }
    html += "<div class=\"actions\"><button class=\"primary\">Apply</button><a class=\"button\" href=\"/\">Clear</a></div>";
    html += &sectors(filter, facets);
    html += &industries(filter, facets);
    html += &ranges(filter);
    html + "</form>"
}

fn sectors(filter: &Filter, facets: &[Facet]) -> String {
    let mut html = String::from("<fieldset class=\"checks\"><legend>Sector</legend>");
    for sector in facets.chunk_by(|a, b| a.sector == b.sector) {
        let stocks = sector.iter().map(|facet| facet.count).sum();
        check(&mut html, "sector", &sector[0].sector, stocks, &filter.sectors);
    }
    html + "</fieldset>"
}

/// Industries of the chosen sectors, or of all; folded, as there are many.
fn industries(filter: &Filter, facets: &[Facet]) -> String {
    let open = if filter.industries.is_empty() { "" } else { " open" };
    let mut html = format!("<details class=\"checks\"{open}><summary>Industry</summary>");
    let is_shown = |facet: &Facet| {
        filter.sectors.is_empty()
            || filter.sectors.contains(&facet.sector)
            || filter.industries.contains(&facet.industry)
    };
    for sector in facets.chunk_by(|a, b| a.sector == b.sector).filter(|sector| sector.iter().any(is_shown)) {
        let _ = write!(html, "<fieldset><legend>{}</legend>", escaped(&sector[0].sector));
        for facet in sector.iter().filter(|facet| is_shown(facet)) {
            check(&mut html, "industry", &facet.industry, facet.count, &filter.industries);
        }
        html += "</fieldset>";
    }
    html + "</details>"
}

fn check(html: &mut String, name: &str, value: &str, stocks: i64, chosen: &[String]) {
    let checked = if chosen.iter().any(|chosen| chosen == value) { " checked" } else { "" };
    let value = escaped(value);
    let _ = write!(
        html,
        "<label><input type=\"checkbox\" name=\"{name}\" value=\"{value}\"{checked}><span>{value}</span>\
         <span class=\"count\">{}</span></label>",
        count(stocks)
    );
}

fn ranges(filter: &Filter) -> String {
    let mut html = String::from("<fieldset class=\"ranges\"><legend>Numbers <span>from – to</span></legend>");
    for (about, range) in FIELDS.iter().zip(&filter.ranges) {
        let unit = match about.unit {
            Unit::BigDollars | Unit::Dollars => " <small>$</small>",
            Unit::Percent => " <small>%</small>",
            Unit::Ratio | Unit::Shares => "",
        };
        let (label, name) = (about.label, about.name);
        let _ = write!(html, "<div class=\"range\"><span title=\"{}\">{label}{unit}</span>", about.meaning);
        for (end, value, hint) in [("min", range.min, "min"), ("max", range.max, "max")] {
            let _ = write!(
                html,
                "<input name=\"{name}_{end}\" value=\"{}\" placeholder=\"{hint}\" aria-label=\"{label}, {end}\" \
                 inputmode=\"text\" autocomplete=\"off\" size=\"6\">",
                value.map(bound).unwrap_or_default()
            );
        }
        html += "</div>";
    }
    html + "</fieldset>"
}
