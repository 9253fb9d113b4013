//! The home page: who she is, what she made, where she worked.

use super::layout::{Place, each, page};
use super::work::card;
use crate::assets;
use crate::person::{ABOUT, LEDE, NAME, POSTS, PRACTICE, PROJECTS, Post, ROLE, SCHOOLS};

/// How many projects the home page shows.
const SHOWN: usize = 3;

pub(super) fn render() -> String {
    let main = format!(
        "<section class=\"hero\"><div class=\"words\"><p class=\"eyebrow\">{ROLE}</p><h1>{NAME}</h1>\
         <p class=\"lede\">{LEDE}</p><p class=\"calls\"><a class=\"button primary\" href=\"/projects\">See the work</a>\
         <a class=\"button\" href=\"/contact\">Write to her</a></p></div>\
         <figure class=\"tides\"><img src=\"{tides}\" width=\"720\" height=\"720\" fetchpriority=\"high\" \
         alt=\"Twenty-nine curves, one above the other: they swell towards spring tide, flatten towards neap, and swell again\">\
         <figcaption>Twenty-nine days of tide, one day a line, from four harmonic constituents: \
         springs at new and full moon, neaps between.</figcaption></figure></section>\n\
         <section class=\"block about\"><h2>About</h2><div class=\"prose\">{about}</div></section>\n\
         <section class=\"block\"><div class=\"split\"><h2>Selected work</h2><a href=\"/projects\">All {count} projects</a></div>\
         <ul class=\"cards\">{cards}</ul></section>\n\
         <section class=\"block posts\"><h2>Experience</h2><ol>{posts}</ol></section>\n\
         <div class=\"pair\"><section class=\"block\"><h2>Practice</h2><dl class=\"practice\">{practice}</dl></section>\n\
         <section class=\"block\"><h2>Education</h2><ul class=\"schools\">{schools}</ul></section></div>\n\
         <section class=\"call\"><h2>Something near water?</h2><p>A gauge that should outlive its batteries, a chart that \
         nobody drew yet, a question about either.</p><a class=\"button primary\" href=\"/contact\">Write to her</a></section>",
        tides = assets::url("tides.svg"),
        about = paragraphs(&ABOUT),
        count = PROJECTS.len(),
        cards = each(PROJECTS.iter().take(SHOWN), card),
        posts = each(&POSTS, post),
        practice = each(PRACTICE, |(what, how)| format!("<div><dt>{what}</dt><dd>{how}</dd></div>")),
        schools = each(SCHOOLS, |(years, what, place)| {
            format!("<li><p class=\"when\">{years}</p><h3>{what}</h3><p class=\"where\">{place}</p></li>")
        }),
    );
    page(NAME, LEDE, Place::Home, &main)
}

pub(super) fn paragraphs(texts: &[&str]) -> String {
    each(texts, |text| format!("<p>{text}</p>"))
}

fn post(Post { years, title, place, text }: &Post) -> String {
    format!(
        "<li><p class=\"when\">{years}</p><div><h3>{title}</h3><p class=\"where\">{place}</p><p>{text}</p></div></li>"
    )
}
