//! Draws how the adaptive limit follows an app that becomes four times slower and faster, out of the same queueing model
//! as the tests: `cargo xtask docs` writes it to docs/pictures/adaptive.svg.

#[path = "../tests/model/mod.rs"]
mod model;

use std::fmt::Write as _;

use model::{App, Record, Shape, Source, play};
use tidegate_traffic::queue::Settings;

const PLACES: usize = 8;
const SERVICE_MS: f64 = 20.0;
const SECONDS: f64 = 60.0;
/// From when on the app takes how many times as long.
const PACES: [(f64, f64); 3] = [(15.0, 4.0), (30.0, 1.0), (45.0, 0.25)];

const WIDTH: f64 = 860.0;
const LEFT: f64 = 64.0;
const RIGHT: f64 = 16.0;
const PANEL: f64 = 150.0;
const GAP: f64 = 46.0;
const TOP: f64 = 64.0;

/// One chart of the picture.
struct Panel {
    title: &'static str,
    top: f64,
    most: f64,
    ticks: [f64; 3],
}

impl Panel {
    fn y(&self, value: f64) -> f64 {
        self.top + PANEL * (1.0 - (value / self.most).clamp(0.0, 1.0))
    }

    fn frame(&self, out: &mut String) {
        // Writing to a String does not fail.
        let _ =
            writeln!(out, "<text class=\"t\" x=\"{LEFT}\" y=\"{}\">{}</text>", self.top - 10.0, self.title);
        for tick in self.ticks {
            let y = self.y(tick);
            let _ = writeln!(out, "<path class=\"g\" d=\"M{LEFT} {y:.1}H{}\"/>", WIDTH - RIGHT);
            let _ = writeln!(
                out,
                "<text class=\"l\" text-anchor=\"end\" x=\"{}\" y=\"{:.1}\">{tick}</text>",
                LEFT - 8.0,
                y + 4.0
            );
        }
    }

    fn line(&self, out: &mut String, class: &str, points: impl Iterator<Item = (f64, f64)>) {
        let path: Vec<String> =
            points.map(|(second, value)| format!("{:.1} {:.1}", x(second), self.y(value))).collect();
        let _ = writeln!(out, "<path class=\"{class}\" d=\"M{}\"/>", path.join("L"));
    }
}

fn x(second: f64) -> f64 {
    LEFT + (WIDTH - LEFT - RIGHT) * second / SECONDS
}

fn main() {
    let app = App { paces: PACES.to_vec(), ..App::steady(PLACES, SERVICE_MS, Shape::Exponential) };
    let peak = PLACES as f64 / (SERVICE_MS / 1e3);
    let record = play(Settings::default(), app, &[Source::steady(6.0 * peak, SECONDS)], 1);
    print!("{}", draw(&record, peak));
}

fn draw(record: &Record, peak: f64) -> String {
    let mut out = String::new();
    let height = TOP + 3.0 * PANEL + 2.0 * GAP + 30.0;
    let _ = writeln!(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" font-family=\"system-ui,sans-serif\">\n\
         <style>.t{{font-size:13px;font-weight:600;fill:#333}}.l{{font-size:11px;fill:#666}}.g{{stroke:#ddd;fill:none}}\
         .a{{stroke:#0b6e99;stroke-width:1.8;fill:none}}.b{{stroke:#c2571a;stroke-width:1.3;fill:none}}\
         .w{{fill:#fff}}.s{{fill:#f3f1ea}}</style>\n<rect class=\"w\" width=\"{WIDTH}\" height=\"{height}\"/>"
    );
    let mut changes = vec![(0.0, 1.0)];
    changes.extend(PACES);
    for (index, (from, pace)) in changes.iter().enumerate() {
        let to = changes.get(index + 1).map_or(SECONDS, |(next, _)| *next);
        if index % 2 == 1 {
            let (left, width, below) = (x(*from), x(to) - x(*from), height - TOP - 30.0);
            let _ = writeln!(
                out,
                "<rect class=\"s\" x=\"{left:.1}\" y=\"{TOP}\" width=\"{width:.1}\" height=\"{below}\"/>"
            );
        }
        let said = format!("{:.0} ms per request", SERVICE_MS * pace);
        let _ = writeln!(out, "<text class=\"l\" x=\"{:.1}\" y=\"24\">{said}</text>", x(*from) + 4.0);
    }
    let panel =
        |at: usize, title, most, ticks| Panel { title, top: TOP + at as f64 * (PANEL + GAP), most, ticks };
    let limit = panel(0, "slots: the limit that is found out (the app has 8 places)", 32.0, [0.0, 8.0, 16.0]);
    limit.frame(&mut out);
    limit.line(
        &mut out,
        "a",
        record.samples.iter().map(|sample| (sample.at.0 as f64 / 1e9, f64::from(sample.limit))),
    );
    let goodput = panel(
        1,
        "answers per second, offered six times what the app can do at first",
        peak * 4.4,
        [0.0, peak, peak * 4.0],
    );
    goodput.frame(&mut out);
    let seconds = || (0..SECONDS as usize * 2).map(|half| half as f64 / 2.0);
    goodput.line(&mut out, "a", seconds().map(|from| (from + 0.25, record.goodput(from, from + 0.5))));
    let latency = panel(
        2,
        "milliseconds: p50 in the app (blue), p99 with the wait (orange)",
        900.0,
        [0.0, 200.0, 800.0],
    );
    latency.frame(&mut out);
    latency.line(
        &mut out,
        "b",
        seconds().map(|from| (from + 0.25, record.quantile(0.99, from, from + 0.5, |_| true))),
    );
    latency.line(&mut out, "a", seconds().map(|from| (from + 0.25, record.in_app(0.5, from, from + 0.5))));
    for second in (0..=SECONDS as usize).step_by(15) {
        let _ = writeln!(
            out,
            "<text class=\"l\" text-anchor=\"middle\" x=\"{:.1}\" y=\"{}\">{second} s</text>",
            x(second as f64),
            height - 12.0
        );
    }
    out.push_str("</svg>\n");
    out
}
