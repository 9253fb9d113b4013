//! One stock's page.

use kit::page::escaped;
use std::fmt::Write as _;

use super::show::{direction, dollars, is_change, number, signed_percent};
use super::{chart, layout};
use crate::filter::Filter;
use crate::stock::{FIELDS, Field, Listing};

/// The whole page.
pub(super) fn render(listing: &Listing) -> String {
    let Listing { stock, closes } = listing;
    let (symbol, name) = (escaped(&stock.symbol), escaped(&stock.name));
    let of_sector = Filter { sectors: vec![stock.sector.clone()], ..Filter::default() };
    let of_industry = Filter { industries: vec![stock.industry.clone()], ..of_sector.clone() };
    let change = stock.change_52w.map_or(String::new(), |change| {
        let direction = direction(Some(change));
        format!("<span class=\"{direction}\">{} in 52 weeks</span>", signed_percent(change))
    });
    let mut main = format!(
        "<main class=\"listing\" id=\"results\"><p class=\"crumbs\"><a href=\"/\">Stocks</a> / \
         <a href=\"/?{}\">{}</a> / <a href=\"/?{}\">{}</a></p>\
         <h1>{name} <small>{symbol}</small></h1>\
         <p class=\"price\"><b>{}</b> {change}</p>",
        escaped(&of_sector.to_query()),
        escaped(&stock.sector),
        escaped(&of_industry.to_query()),
        escaped(&stock.industry),
        dollars(stock.price),
    );
    if stock.synthetic {
        main +=
            "<p class=\"hint\">This company does not exist. It was generated, and so were its numbers.</p>";
    }
    let chart = chart::chart(closes);
    if !chart.is_empty() {
        let _ = write!(
            main,
            "<figure>{chart}<figcaption>Weekly closes over {} weeks</figcaption></figure>",
            closes.len() - 1
        );
    }
    main += "<dl class=\"facts\">";
    for about in FIELDS.iter().filter(|about| about.field != Field::Price) {
        let direction = if is_change(about.field) { direction(stock.number(about.field)) } else { "" };
        let _ = write!(
            main,
            "<div><dt>{}</dt><dd class=\"{direction}\">{}</dd><p>{}</p></div>",
            about.label,
            number(stock, about),
            about.meaning
        );
    }
    let _ = write!(main, "</dl><p class=\"links\"><a href=\"/api/stocks/{symbol}\">JSON</a></p></main>");
    layout::page(&format!("{} {}", stock.symbol, stock.name), stock.synthetic, &main)
}
