//! What every page has around it: head, banner, footer.

use kit::page::escaped;

use crate::assets;
use crate::person::{NAME, ROLE};

/// Where on the site a page is, for the banner to mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Home,
    Work,
    Contact,
    Elsewhere,
}

const LINKS: [(Place, &str, &str); 3] = [
    (Place::Home, "/", "About"),
    (Place::Work, "/projects", "Work"),
    (Place::Contact, "/contact", "Contact"),
];

/// Every item rendered, one after the other.
pub(super) fn each<T>(items: impl IntoIterator<Item = T>, render: impl Fn(T) -> String) -> String {
    items.into_iter().map(render).collect()
}

/// A whole page around `main`. `about` is its description for search engines and previews.
pub(super) fn page(title: &str, about: &str, place: Place, main: &str) -> String {
    let links = each(LINKS, |(this, target, text)| {
        let current = if this == place { " aria-current=\"page\"" } else { "" };
        format!("<a href=\"{target}\"{current}>{text}</a>")
    });
    let title = if title == NAME { format!("{NAME}, {ROLE}") } else { format!("{title} · {NAME}") };
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <title>{title}</title>\n<meta name=\"description\" content=\"{about}\">\n\
         <link rel=\"icon\" href=\"{icon}\" type=\"image/svg+xml\">\n<link rel=\"stylesheet\" href=\"{style}\">\n\
         <script src=\"{script}\" defer></script>\n</head>\n<body>\n\
         <a class=\"skip\" href=\"#main\">Skip to the content</a>\n\
         <header class=\"banner\"><a class=\"brand\" href=\"/\"><img src=\"{icon}\" alt=\"\" width=\"26\" height=\"26\">\
         <span>{NAME}</span></a><span class=\"badge\" title=\"{NAME} does not exist\">A synthetic person</span>\
         <nav aria-label=\"Pages\">{links}<button id=\"theme\" type=\"button\" hidden>Dark</button></nav></header>\n\
         <main id=\"main\" tabindex=\"-1\">\n{main}\n</main>\n\
         <footer class=\"foot\"><p>{NAME} is synthetic: neither she nor her employers and projects exist. \
         The tides are computed.</p></footer>\n</body>\n</html>\n",
        title = escaped(&title),
        about = escaped(about),
        icon = assets::url("icon.svg"),
        style = assets::url("site.css"),
        script = assets::url("site.js"),
    )
}
