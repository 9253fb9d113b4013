//! The projects: all of them, and each.

use super::home::paragraphs;
use super::layout::{Place, each, page};
use crate::assets;
use crate::person::{PROJECTS, Project};

/// Every project.
pub(super) fn list() -> String {
    let main = format!(
        "<section class=\"block top\"><p class=\"eyebrow\">Work</p><h1>Things made for water</h1>\
         <p class=\"lede\">Instruments, charts and programs from the last ten years, newest first.</p>\
         <ul class=\"cards\">{}</ul></section>",
        each(&PROJECTS, card)
    );
    page("Work", "Instruments, charts and programs for coasts, newest first.", Place::Work, &main)
}

/// A project in a list.
pub(super) fn card(project: &Project) -> String {
    let Project { slug, name, year, kind, summary, .. } = project;
    format!(
        "<li class=\"card\"><a href=\"/projects/{slug}\"><img src=\"{}\" alt=\"\" width=\"800\" height=\"500\" \
         loading=\"lazy\"><span class=\"meta\">{kind} · {year}</span><h3>{name}</h3><p>{summary}</p></a></li>",
        picture(project)
    )
}

/// The project at this place of the list.
pub(super) fn one(place: usize) -> String {
    let project = &PROJECTS[place];
    let Project { name, year, kind, summary, story, facts, alt, .. } = project;
    let facts = each(*facts, |(what, value)| format!("<div><dt>{what}</dt><dd>{value}</dd></div>"));
    let next = &PROJECTS[(place + 1) % PROJECTS.len()];
    let main = format!(
        "<article class=\"project\"><header class=\"top\"><p class=\"eyebrow\">{kind} · {year}</p><h1>{name}</h1>\
         <p class=\"lede\">{summary}</p></header>\
         <figure><img src=\"{}\" alt=\"{alt}\" width=\"800\" height=\"500\"></figure>\
         <div class=\"story\"><div class=\"prose\">{}</div><dl class=\"facts\">{facts}</dl></div></article>\n\
         <nav class=\"next\" aria-label=\"More work\"><a href=\"/projects\">All work</a>\
         <a href=\"/projects/{}\" rel=\"next\">Next: {}</a></nav>",
        picture(project),
        paragraphs(story),
        next.slug,
        next.name
    );
    page(name, summary, Place::Work, &main)
}

fn picture(project: &Project) -> String {
    assets::url(&format!("{}.svg", project.slug))
}
