//! What every page has around it: head, banner, footer; and the page for errors.

use std::fmt::Write as _;

use kit::page::{escaped, sentence};
use kit::{FieldError, Problem};

use crate::statics;

/// A whole page around `main`. `is_synthetic` marks every page on which made-up companies show.
pub(super) fn page(title: &str, is_synthetic: bool, main: &str) -> String {
    let badge = if is_synthetic {
        "<span class=\"badge\" title=\"These companies do not exist; they were generated\">Synthetic data</span>"
    } else {
        ""
    };
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<title>{title} · Screener</title>\n\
         <link rel=\"icon\" href=\"{icon}\" type=\"image/svg+xml\">\n<link rel=\"stylesheet\" href=\"{style}\">\n\
         <script src=\"{script}\" defer></script>\n</head>\n<body>\n\
         <a class=\"skip\" href=\"#results\">Skip to the results</a>\n\
         <header class=\"banner\"><a class=\"brand\" href=\"/\"><img src=\"{icon}\" alt=\"\" width=\"22\" height=\"22\">\
         Screener</a>{badge}<nav><a href=\"/openapi.json\">API</a>\
         <button id=\"theme\" type=\"button\" hidden>Dark</button></nav></header>\n{main}\n</body>\n</html>\n",
        title = escaped(title),
        icon = statics::url("icon.svg"),
        style = statics::url("screener.css"),
        script = statics::url("screener.js"),
    )
}

/// The page for a problem.
pub(super) fn error(problem: &Problem) -> String {
    let status = problem.status();
    let title = status.canonical_reason().unwrap_or("Error");
    let main = format!(
        "<main class=\"notice\" id=\"results\"><p class=\"status\">{}</p><h1>{title}</h1><p>{}</p>{}\
         <p><a class=\"button\" href=\"/\">Back to the table</a></p></main>",
        status.as_u16(),
        escaped(&sentence(problem.detail())),
        errors(problem.errors())
    );
    page(title, false, &main)
}

/// A list of what is wrong; nothing when nothing is.
pub(super) fn errors(errors: &[FieldError]) -> String {
    if errors.is_empty() {
        return String::new();
    }
    let mut html = String::from("<ul class=\"errors\" role=\"alert\">");
    for error in errors {
        let _ = write!(html, "<li><code>{}</code> {}", escaped(&error.field), escaped(&error.message));
        if let Some(help) = &error.help {
            let _ = write!(html, " <span class=\"muted\">{}</span>", escaped(help));
        }
        html += "</li>";
    }
    html + "</ul>"
}
