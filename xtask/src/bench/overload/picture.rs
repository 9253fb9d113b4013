//! The picture: goodput over time, one small chart for each setup, all on the same scale, since lines of those who do well
//! would lie on each other. An SVG without script that is readable on white and on black.

use std::fmt::Write;

use super::ask::{Moment, Report};
use super::front::Front;
use super::{Results, TIMES};

/// Charts beside each other.
const COLUMNS: usize = 3;
/// The size of a chart with its title, in pixels.
const CELL: (f64, f64) = (300.0, 196.0);
/// The room at the left of the first chart and above it.
const MARGIN: (f64, f64) = (16.0, 62.0);
/// The drawn part of a chart, from its cell's corner.
const PLOT: Area = Area { x: 34.0, y: 44.0, width: 244.0, height: 112.0 };

struct Area {
    x: f64,
    y: f64,
    width: f64,
    height: f64,
}

/// What everything looks like, in both schemes.
const STYLE: &str = "\
:root{--paper:#fff;--ink:#1f2328;--soft:#59636e;--line:#d1d9e0;--own:#0b7285;--other:#8a6d3b;--peak:#59636e}\
@media(prefers-color-scheme:dark){:root{--paper:#0d1117;--ink:#e6edf3;--soft:#9198a1;--line:#30363d;--own:#3bc9db;\
--other:#d9a54a;--peak:#9198a1}}\
text{font-family:system-ui,-apple-system,'Segoe UI',Roboto,sans-serif;fill:var(--ink)}\
.paper{fill:var(--paper)}.title{font-size:17px;font-weight:600}.name{font-size:13.5px;font-weight:600}\
.soft{font-size:11.5px;fill:var(--soft)}.end{text-anchor:end}.grid{stroke:var(--line);stroke-width:1;fill:none}\
.peak{stroke:var(--peak);stroke-width:1.25;stroke-dasharray:4 3;fill:none}\
.own{--colour:var(--own)}.other{--colour:var(--other)}\
.area{fill:var(--colour);fill-opacity:.22}.line{fill:none;stroke:var(--colour);stroke-width:2;stroke-linejoin:round}";

/// Draws all of them.
pub(super) fn draw(results: &Results) -> String {
    let rows = results.fronts.len().div_ceil(COLUMNS).max(1);
    let width = 2.0 * MARGIN.0 + CELL.0 * COLUMNS as f64;
    let height = MARGIN.1 + CELL.1 * rows as f64 + 8.0;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" \
         role=\"img\" aria-labelledby=\"t d\"><title id=\"t\">Goodput of an app that is asked for {TIMES} times what it can do</title>\
         <desc id=\"d\">{}</desc><style>{STYLE}</style>\
         <rect class=\"paper\" width=\"{width}\" height=\"{height}\" rx=\"8\"/>",
        described(results)
    );
    let _ = write!(
        svg,
        "<text class=\"title\" x=\"{x}\" y=\"28\">Asked for {TIMES} times what the app can do: what reaches people in time</text>\
         <text class=\"soft\" x=\"{x}\" y=\"48\">answers per second within 2 s, over {} s; dashed: what the app can do at most</text>",
        results.seconds,
        x = MARGIN.0 + 4.0
    );
    for (index, (front, report)) in results.fronts.iter().enumerate() {
        let x = MARGIN.0 + CELL.0 * (index % COLUMNS) as f64;
        let y = MARGIN.1 + CELL.1 * (index / COLUMNS) as f64;
        let _ = write!(svg, "<g transform=\"translate({x} {y})\">{}</g>", chart(results, *front, report));
    }
    svg += "</svg>\n";
    svg
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
    // A little more than the peak has room, so that its line is seen.
    let top = peak * 1.15;
    let x = |at_s: f64| PLOT.x + PLOT.width * (at_s / f64::from(results.seconds)).clamp(0.0, 1.0);
    let y = |rate: f64| PLOT.y + PLOT.height * (1.0 - (rate / top).clamp(0.0, 1.0));
    let (left, right, bottom) = (PLOT.x, PLOT.x + PLOT.width, PLOT.y + PLOT.height);
    let critical = report.success("critical").unwrap_or(0.0) * 100.0;
    let p99 = report
        .of_admitted()
        .map_or("nothing admitted".to_owned(), |times| format!("p99 {:.0} ms", times.p99_ms));
    let mut svg = format!(
        "<text class=\"name\" x=\"4\" y=\"16\">{}</text><text class=\"name end\" x=\"{right}\" y=\"16\">{:.0} %</text>\
         <text class=\"soft\" x=\"4\" y=\"33\">critical in time: {critical:.1} %</text>\
         <text class=\"soft end\" x=\"{right}\" y=\"33\">{p99}</text>",
        front.name(),
        report.achieved_rate / peak * 100.0
    );
    for rate in [0.0, 100.0, 200.0, 300.0, 400.0] {
        let at = y(rate);
        let _ = write!(
            svg,
            "<path class=\"grid\" d=\"M{left} {at:.1}H{right}\"/>\
             <text class=\"soft end\" x=\"{:.1}\" y=\"{:.1}\">{rate:.0}</text>",
            left - 5.0,
            at + 4.0
        );
    }
    let _ = write!(svg, "<path class=\"peak\" d=\"M{left} {:.1}H{right}\"/>", y(peak));
    let line = line(&report.timeline, f64::from(results.seconds), x, y);
    let class = if front == Front::Tidegate { "own" } else { "other" };
    if let Some((first, last)) = ends(&report.timeline, f64::from(results.seconds)) {
        let (first, last) = (x(first), x(last));
        let _ = write!(
            svg,
            "<g class=\"{class}\"><path class=\"area\" d=\"M{first:.1} {bottom}L{line}L{last:.1} {bottom}Z\"/>\
             <path class=\"line\" d=\"M{line}\"/></g>"
        );
    }
    let ends = [(0.0, ""), (f64::from(results.seconds), " s")];
    for (at, unit) in ends {
        let class = if at > 0.0 { "soft end" } else { "soft" };
        let _ = write!(
            svg,
            "<text class=\"{class}\" x=\"{:.1}\" y=\"{:.1}\">{at}{unit}</text>",
            x(at),
            bottom + 16.0
        );
    }
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
            fairness: None,
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
