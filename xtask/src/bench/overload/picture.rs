//! The picture: goodput over time, one small chart for each setup, all on the same scale, since lines of those who do well
//! would lie on each other.

use std::fmt::Write;

use super::super::picture::{Area, MARGIN, Sheet, level, text};
use super::ask::{Moment, Report};
use super::front::Front;
use super::{Results, TIMES};

/// Charts beside each other.
const COLUMNS: usize = 3;
/// The size of a chart with its title, in pixels.
const CELL: (f64, f64) = (300.0, 196.0);
/// The drawn part of a chart, from its cell's corner.
const PLOT: Area = Area { x: 34.0, y: 44.0, width: 244.0, height: 112.0 };

/// Draws all of them.
pub(super) fn draw(results: &Results) -> String {
    let rows = results.fronts.len().div_ceil(COLUMNS).max(1);
    let mut charts = String::new();
    for (index, (front, report)) in results.fronts.iter().enumerate() {
        let x = MARGIN.0 + CELL.0 * (index % COLUMNS) as f64;
        let y = MARGIN.1 + CELL.1 * (index / COLUMNS) as f64;
        let _ = write!(charts, "<g transform=\"translate({x} {y})\">{}</g>", chart(results, *front, report));
    }
    let sheet = Sheet {
        size: (2.0 * MARGIN.0 + CELL.0 * COLUMNS as f64, MARGIN.1 + CELL.1 * rows as f64 + 8.0),
        title: &format!("Goodput of an app that is asked for {TIMES} times what it can do"),
        told: &described(results),
        heading: &format!("Asked for {TIMES} times what the app can do: what reaches people in time"),
        legend: &format!(
            "answers per second within 2 s, over {} s; dashed: what the app can do at most",
            results.seconds
        ),
        style: "",
    };
    sheet.around(&charts)
}

/// The same in words, for those who cannot see it.
fn described(results: &Results) -> String {
    let told = results.fronts.iter().map(|(front, report)| {
        format!("{}: {:.0} % of the peak", front.name(), report.achieved_rate / results.alone.peak * 100.0)
    });
    told.collect::<Vec<_>>().join("; ")
}

fn chart(results: &Results, front: Front, report: &Report) -> String {
    let peak = results.alone.peak;
    let seconds = f64::from(results.seconds);
    // A little more than the peak has room, so that its line is seen.
    let top = peak * 1.15;
    let x = |at_s: f64| PLOT.across(at_s / seconds);
    let y = |rate: f64| PLOT.up(rate / top);
    let (left, right, bottom) = (PLOT.x, PLOT.right(), PLOT.bottom());
    let critical = report.success("critical").unwrap_or(0.0) * 100.0;
    let p99 = report
        .of_admitted()
        .map_or("nothing admitted".to_owned(), |times| format!("p99 {:.0} ms", times.p99_ms));
    let mut svg = text("name", (4.0, 16.0), front.name());
    svg += &text("name end", (right, 16.0), &format!("{:.0} %", report.achieved_rate / peak * 100.0));
    svg += &text("soft", (4.0, 33.0), &format!("critical in time: {critical:.1} %"));
    svg += &text("soft end", (right, 33.0), &p99);
    for rate in [0.0, 100.0, 200.0, 300.0, 400.0] {
        svg += &level("grid", (left, right), y(rate));
        svg += &text("soft end", (left - 5.0, y(rate) + 4.0), &format!("{rate:.0}"));
    }
    svg += &level("bound", (left, right), y(peak));
    let line = line(&report.timeline, seconds, x, y);
    let class = if front == Front::Tidegate { "own" } else { "other" };
    if let Some((first, last)) = ends(&report.timeline, seconds) {
        let (first, last) = (x(first), x(last));
        let _ = write!(
            svg,
            "<g class=\"{class}\"><path class=\"area\" d=\"M{first:.1} {bottom}L{line}L{last:.1} {bottom}Z\"/>\
             <path class=\"line\" d=\"M{line}\"/></g>"
        );
    }
    svg += &text("soft", (left, bottom + 16.0), "0");
    svg += &text("soft end", (right, bottom + 16.0), &format!("{seconds} s"));
    svg
}

/// The middle of a moment, if it lies in the time in which something was asked.
fn middle(moment: &Moment, seconds: f64) -> Option<f64> {
    (moment.width_s > 0.0 && moment.at_s + moment.width_s <= seconds + 1e-6)
        .then_some(moment.at_s + moment.width_s / 2.0)
}

fn ends(timeline: &[Moment], seconds: f64) -> Option<(f64, f64)> {
    let mut middles = timeline.iter().filter_map(|moment| middle(moment, seconds));
    let first = middles.next()?;
    Some((first, middles.next_back().unwrap_or(first)))
}

fn line(timeline: &[Moment], seconds: f64, x: impl Fn(f64) -> f64, y: impl Fn(f64) -> f64) -> String {
    let mut line = String::new();
    for moment in timeline {
        let Some(at) = middle(moment, seconds) else { continue };
        let rate = moment.completed.saturating_sub(moment.failed) as f64 / moment.width_s;
        let _ = write!(line, "{}{:.1} {:.1}", if line.is_empty() { "" } else { " " }, x(at), y(rate));
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::overload::Alone;

    fn results(rates: &[u64]) -> Results {
        let timeline = rates.iter().enumerate().map(|(at, rate)| Moment {
            at_s: at as f64,
            width_s: 1.0,
            completed: rate + 800,
            failed: 800,
        });
        let report = Report { timeline: timeline.collect(), achieved_rate: 380.0, ..Report::default() };
        Results {
            seconds: 3,
            alone: Alone { peak: 400.0, p50_ms: 20.0, p99_ms: 21.0 },
            fronts: vec![(Front::Tidegate, report.clone()), (Front::Nginx, report)],
            fairness: Vec::new(),
            down: None,
        }
    }

    #[test]
    fn every_setup_is_drawn_with_what_came_in_time_and_nothing_after_the_end() {
        let svg = draw(&results(&[400, 0, 200, 900]));
        assert_eq!(svg.matches("class=\"line\"").count(), 2);
        // 3 s are 244 pixels: the middles lie at 0.5, 1.5 and 2.5 s; what came after them was asked before.
        assert!(svg.contains("d=\"M74.7 58.6 156.0 156.0 237.3 107.3\""), "{svg}");
        assert!(svg.contains("Tidegate: 95 % of the peak; nginx: 95 % of the peak"));
    }

    #[test]
    fn nothing_measured_draws_no_line() {
        assert_eq!(draw(&results(&[])).matches("class=\"line\"").count(), 0);
    }
}
