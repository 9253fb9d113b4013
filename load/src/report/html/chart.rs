//! One chart as HTML: lines and areas in an SVG that stretches to any width, labels as text beside it that does not.
//! Without script it is complete; with script the pointer shows the figures of a moment.

use std::fmt::Write;

use serde::Serialize;

use super::escape;
use crate::report::axis::Axis;

/// A chart, ready to be drawn.
#[derive(Debug)]
pub struct Chart {
    /// What it shows.
    pub title: &'static str,
    /// One sentence on how to read it.
    pub note: String,
    /// From left to right.
    pub x: Axis,
    /// From bottom to top.
    pub y: Axis,
    /// What is drawn, the first one at the bottom.
    pub series: Vec<Series>,
    /// Parts of the x axis with a name. Empty: not marked.
    pub bands: Vec<Band>,
    /// Parts of the x axis in which nothing came although something was asked.
    pub silent: Vec<(f64, f64)>,
    /// What the pointer shows, from left to right.
    pub readings: Vec<Reading>,
}

/// A line or area.
#[derive(Debug)]
pub struct Series {
    /// In the legend.
    pub name: &'static str,
    /// Its colour and stroke, a class of the style sheet.
    pub class: &'static str,
    /// Whether what lies under it is filled.
    pub filled: bool,
    /// Stretches of points; between two stretches there was nothing to measure.
    pub stretches: Vec<Vec<(f64, f64)>>,
}

/// A part of the x axis with a name.
#[derive(Clone, Debug)]
pub struct Band {
    /// Its name.
    pub name: String,
    /// Where it begins.
    pub from: f64,
    /// Where it ends.
    pub to: f64,
}

/// What the pointer shows at one place.
#[derive(Debug)]
pub struct Reading {
    /// On the x axis.
    pub at: f64,
    /// First line.
    pub title: String,
    /// A figure for each series, in their order, ready to be read.
    pub values: Vec<String>,
}

/// What the script gets.
#[derive(Serialize)]
struct Pointer<'a> {
    /// Places, 0 to 1.
    at: Vec<f64>,
    titles: Vec<&'a str>,
    /// Class, name and a value for each place.
    series: Vec<(&'a str, &'a str, Vec<&'a str>)>,
}

/// Units of the SVG in both directions. It is stretched to its box, so they are no pixels.
const SIDE: f64 = 1000.0;

impl Chart {
    /// The chart as a `figure`.
    pub fn draw(&self) -> String {
        let mut legend = String::new();
        if self.series.len() > 1 {
            for series in &self.series {
                let _ = write!(legend, "<li class=\"{}\"><i></i>{}</li>", series.class, series.name);
            }
        }
        if !self.silent.is_empty() {
            legend.push_str("<li class=\"bad\"><i class=\"silent\"></i>nothing answered</li>");
        }
        let log = if self.y.is_log() { " The scale is logarithmic." } else { "" };
        format!(
            "<figure class=\"chart\"><figcaption><h3>{title}</h3><ul class=\"legend\">{legend}</ul>\
             <p>{note}{log}</p></figcaption><div class=\"frame\">{bands}<div class=\"ys\">{ys}</div>\
             <div class=\"plot\" data-pointer=\"{pointer}\">{svg}</div><div class=\"xs\">{xs}</div></div></figure>\n",
            title = self.title,
            note = escape(&self.note),
            bands = self.band_names(),
            ys = labels(&self.y, "bottom"),
            xs = labels(&self.x, "left"),
            pointer = escape(&self.pointer()),
            svg = self.svg(),
        )
    }

    fn band_names(&self) -> String {
        let mut names = String::new();
        for band in &self.bands {
            let (from, to) = (self.x.place(band.from) * 100.0, self.x.place(band.to) * 100.0);
            let name = if to - from > 8.0 { escape(&band.name) } else { String::new() };
            let _ = write!(
                names,
                "<span style=\"left:{from:.2}%;width:{:.2}%\" title=\"{}\">{name}</span>",
                to - from,
                escape(&band.name)
            );
        }
        if names.is_empty() { names } else { format!("<div class=\"bands\">{names}</div>") }
    }

    fn svg(&self) -> String {
        let mut inside = String::new();
        for (index, band) in self.bands.iter().enumerate() {
            let (from, to) = (self.x.place(band.from) * SIDE, self.x.place(band.to) * SIDE);
            let class = if index % 2 == 0 { "even" } else { "odd" };
            let _ = write!(
                inside,
                "<rect class=\"band {class}\" x=\"{from:.1}\" width=\"{:.1}\" height=\"{SIDE}\"/>",
                to - from
            );
        }
        for (from, to) in &self.silent {
            let (from, to) = (self.x.place(*from) * SIDE, self.x.place(*to) * SIDE);
            let wide = to - from;
            let _ = write!(
                inside,
                "<rect class=\"silent\" x=\"{from:.1}\" width=\"{wide:.1}\" height=\"{SIDE}\"/>"
            );
        }
        for (value, _) in &self.y.ticks {
            let y = (1.0 - self.y.place(*value)) * SIDE;
            let _ = write!(inside, "<path class=\"grid\" d=\"M0 {y:.1}H{SIDE}\"/>");
        }
        for series in &self.series {
            for stretch in &series.stretches {
                let line = self.line(stretch);
                if let (true, Some(first), Some(last)) = (series.filled, stretch.first(), stretch.last()) {
                    let (first, last) = (self.x.place(first.0) * SIDE, self.x.place(last.0) * SIDE);
                    let class = series.class;
                    let _ = write!(
                        inside,
                        "<path class=\"area {class}\" d=\"M{first:.1} {SIDE}L{line}L{last:.1} {SIDE}Z\"/>"
                    );
                }
                let _ = write!(inside, "<path class=\"line {}\" d=\"M{line}\"/>", series.class);
            }
        }
        format!(
            "<svg viewBox=\"0 0 {SIDE} {SIDE}\" preserveAspectRatio=\"none\" role=\"img\" aria-label=\"{}\">{inside}</svg>",
            self.title
        )
    }

    fn line(&self, points: &[(f64, f64)]) -> String {
        let mut line = String::new();
        for (x, y) in points {
            let (x, y) = (self.x.place(*x) * SIDE, (1.0 - self.y.place(*y)) * SIDE);
            let _ = write!(line, "{}{x:.1} {y:.1}", if line.is_empty() { "" } else { " " });
        }
        line
    }

    fn pointer(&self) -> String {
        let values = |index: usize| self.readings.iter().map(move |reading| reading.values[index].as_str());
        let pointer = Pointer {
            at: self.readings.iter().map(|reading| (self.x.place(reading.at) * 1e4).round() / 1e4).collect(),
            titles: self.readings.iter().map(|reading| reading.title.as_str()).collect(),
            series: (self.series.iter().enumerate())
                .map(|(index, series)| (series.class, series.name, values(index).collect()))
                .collect(),
        };
        serde_json::to_string(&pointer).expect("texts and numbers are always JSON")
    }
}

/// The labels of an axis, each at its place from `side`.
fn labels(axis: &Axis, side: &str) -> String {
    let mut labels = String::new();
    for (value, label) in &axis.ticks {
        let _ = write!(labels, "<span style=\"{side}:{:.2}%\">{label}</span>", axis.place(*value) * 100.0);
    }
    labels
}
