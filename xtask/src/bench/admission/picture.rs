//! The picture: what each setup adds to a request, round by round, beside what it may add; below it the limiter's memory
//! beside its bound.

use std::fmt::Write;

use super::super::picture::{Area, MARGIN, Sheet, level, text, upright};
use super::checks::Measured;
use super::{Cost, LIMIT, LIMITED, Results};

/// The whole width, in pixels.
const WIDTH: f64 = 932.0;
/// Where names begin at the left and figures end at the right.
const SIDES: (f64, f64) = (MARGIN.0 + 4.0, WIDTH - MARGIN.0 - 4.0);
/// The drawn part's left and width.
const PLOT: (f64, f64) = (372.0, 430.0);
/// The first row's top: above it stand the names of the two lines.
const TOP: f64 = MARGIN.1 + 26.0;
/// The height of a row, and of the box in its middle.
const ROW: (f64, f64) = (42.0, 20.0);
/// The height of what tells of memory, and of the bar in it.
const MEMORY: (f64, f64) = (86.0, 20.0);

/// The looks that only this picture needs.
const STYLE: &str = "\
.same{stroke:var(--soft);stroke-width:1.25;fill:none}.held{stroke:var(--ink);stroke-width:2;fill:none}\
.box{fill:var(--colour);fill-opacity:.22;stroke:var(--colour);stroke-width:1}\
.median{stroke:var(--colour);stroke-width:3;fill:none}.round{fill:var(--colour);fill-opacity:.55}";

/// Draws everything that was measured.
pub(super) fn draw(results: &Results) -> String {
    let rows = Area { x: PLOT.0, y: TOP, width: PLOT.1, height: ROW.0 * results.costs.len() as f64 };
    let mut drawn = String::from("<g class=\"own\">");
    drawn += &ratios(&results.costs, &rows);
    let mut height = rows.bottom() + 52.0;
    if let Some(checks) = &results.checks {
        drawn += &memory(checks, height);
        height += MEMORY.0;
    }
    drawn += "</g>";
    let sheet = Sheet {
        size: (WIDTH, height),
        title: "What limits and the queue cost: CPU time per request against neither, and the limiter's memory",
        told: &described(results),
        heading: "What limits and the queue add to a request that they let through",
        legend: "CPU time per request / that of the same round with neither; dots: rounds, box: half of them, \
                 bar in it: their median",
        style: STYLE,
    };
    sheet.around(&drawn)
}

/// The same in words, for those who cannot see it.
fn described(results: &Results) -> String {
    let axis = Axis::of(&results.costs);
    let mut told: Vec<String> = results
        .costs
        .iter()
        .map(|cost| {
            let (low, high) = cost.quartiles;
            let mut told = format!("{}: {:.3}, half {low:.3} to {high:.3}", cost.setup.about(), cost.ratio);
            if let Some(beyond) = axis.beyond(cost) {
                let _ = write!(told, ", {beyond}");
            }
            told
        })
        .collect();
    told.push(format!("the limit for {} is {LIMIT:.2}", LIMITED.about()));
    if let Some(checks) = &results.checks {
        let Measured { keys, taken_bytes, bound_bytes, .. } = checks;
        told.push(format!(
            "after {keys:.0} distinct keys the limiter holds {} of {} that it may hold",
            mib(*taken_bytes),
            mib(*bound_bytes)
        ));
    }
    told.join("; ")
}

/// From how far below 1 to how far above it ratios are drawn, and the distance of the lines that help to read them.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Axis {
    reach: f64,
    step: f64,
}

impl Axis {
    /// The widest is for machines that were so busy that the figures say little.
    const ALL: [Self; 5] = [
        Self { reach: 0.05, step: 0.01 },
        Self { reach: 0.1, step: 0.02 },
        Self { reach: 0.2, step: 0.05 },
        Self { reach: 0.5, step: 0.1 },
        Self { reach: 1.0, step: 0.25 },
    ];

    /// The closest one that all boxes lie within; single rounds may not, since one that was disturbed would leave no
    /// room for the others.
    fn of(costs: &[Cost]) -> Self {
        let boxes = || costs.iter().flat_map(|cost| [cost.quartiles.0, cost.ratio, cost.quartiles.1]);
        let fits = |axis: &Self| boxes().all(|ratio| axis.holds(ratio));
        Self::ALL.into_iter().find(fits).unwrap_or(Self::ALL[Self::ALL.len() - 1])
    }

    fn holds(self, ratio: f64) -> bool {
        (ratio - 1.0).abs() <= self.reach
    }

    /// Where a ratio is drawn; what is beyond is drawn at the edge.
    fn x(self, area: &Area, ratio: f64) -> f64 {
        area.across((ratio - 1.0 + self.reach) / (2.0 * self.reach))
    }

    /// The ratios that have a line.
    fn ticks(self) -> impl Iterator<Item = f64> {
        let each_side = (self.reach / self.step).round() as i32;
        (-each_side..=each_side).map(move |tick| 1.0 + f64::from(tick) * self.step)
    }

    /// How many rounds are not drawn where they belong.
    fn beyond(self, cost: &Cost) -> Option<String> {
        let count = cost.ratios.iter().filter(|ratio| !self.holds(**ratio)).count();
        (count > 0).then(|| format!("{count} of {} rounds beyond the axis", cost.ratios.len()))
    }
}

/// The rows of all setups over one axis.
fn ratios(costs: &[Cost], area: &Area) -> String {
    let axis = Axis::of(costs);
    let (top, bottom) = (area.y, area.bottom());
    let mut svg = String::new();
    for tick in axis.ticks() {
        let x = axis.x(area, tick);
        svg += &upright("grid", x, (top, bottom));
        svg += &text("soft middle", (x, bottom + 16.0), &format!("{tick:.2}"));
    }
    let (same, limit) = (axis.x(area, 1.0), axis.x(area, LIMIT));
    // One ends at its line and one begins there, so that they do not meet, however close the lines are.
    svg += &upright("same", same, (top - 14.0, bottom));
    svg += &text("soft end", (same - 5.0, top - 6.0), "1.00: as with neither");
    svg += &upright("bound", limit, (top - 14.0, bottom));
    svg += &text("soft", (limit + 5.0, top - 6.0), &format!("limit {LIMIT:.2}"));
    svg += &text("soft", (area.x, bottom + 35.0), "the limit is for the setup where its line is thick");
    for (index, cost) in costs.iter().enumerate() {
        svg += &row(cost, axis, area, top + ROW.0 * (index as f64 + 0.5));
    }
    svg
}

/// One setup: its name, its rounds, its figures.
fn row(cost: &Cost, axis: Axis, area: &Area, y: f64) -> String {
    let x = |ratio: f64| axis.x(area, ratio);
    let ((low, high), half) = (cost.quartiles, ROW.1 / 2.0);
    let mut svg = text("name", (SIDES.0, y - 3.0), cost.setup.about());
    let mut below = format!("{:.2} µs per request", cost.cpu_us);
    if let Some(beyond) = axis.beyond(cost) {
        let _ = write!(below, "; {beyond}");
    }
    svg += &text("soft", (SIDES.0, y + 13.0), &below);
    svg += &text("name end", (SIDES.1, y - 3.0), &format!("{:.3}", cost.ratio));
    svg += &text("soft end", (SIDES.1, y + 13.0), &format!("{low:.3} to {high:.3}"));
    let _ = write!(
        svg,
        "<rect class=\"box\" x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{:.1}\" rx=\"2\"/>",
        x(low),
        y - half,
        x(high) - x(low),
        ROW.1
    );
    for (index, ratio) in cost.ratios.iter().enumerate() {
        // Neighbours by size lie at different heights, so that fewer of them hide each other.
        let (x, y) = (x(*ratio), y + [0.0, -6.0, 3.0, -3.0, 6.0][index % 5]);
        let _ = if axis.holds(*ratio) {
            write!(svg, "<circle class=\"round\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"2.5\"/>")
        } else {
            // An arrow that points to where it is.
            let tail = if *ratio > 1.0 { x - 6.0 } else { x + 6.0 };
            let (above, below) = (y - 3.5, y + 3.5);
            write!(
                svg,
                "<path class=\"round\" d=\"M{x:.1} {y:.1}L{tail:.1} {above:.1}L{tail:.1} {below:.1}Z\"/>"
            )
        };
    }
    svg += &upright("median", x(cost.ratio), (y - half - 3.0, y + half + 3.0));
    if cost.setup == LIMITED {
        // The one that the limit is for.
        svg += &upright("held", x(LIMIT), (y - ROW.0 / 2.0, y + ROW.0 / 2.0));
    }
    svg
}

/// What the limiter holds, beside what it may hold.
fn memory(checks: &Measured, top: f64) -> String {
    let Measured { keys, taken_bytes: taken, bound_bytes: bound, .. } = *checks;
    let area = Area { x: PLOT.0, y: top + 24.0, width: PLOT.1, height: MEMORY.1 };
    // Whichever is more has room on its right.
    let x = |bytes: f64| area.across(bytes / (taken.max(bound) * 1.1));
    let middle = area.y + area.height / 2.0;
    let mut svg = level("grid", SIDES, top);
    svg += &text("name", (SIDES.0, middle - 3.0), "memory of the limiter");
    let millions = keys / 1e6;
    svg += &text("soft", (SIDES.0, middle + 13.0), &format!("after {millions:.0} million distinct keys"));
    let _ = write!(
        svg,
        "<rect class=\"box\" x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{:.1}\" rx=\"2\"/>",
        area.x,
        area.y,
        x(taken) - area.x,
        area.height
    );
    svg += &upright("median", x(taken), (area.y - 3.0, area.bottom() + 3.0));
    svg += &upright("bound", x(bound), (area.y - 5.0, area.bottom() + 5.0));
    svg += &text("soft middle", (x(bound), area.y - 9.0), &format!("bound {}", mib(bound)));
    svg += &text("soft", (area.x, area.bottom() + 17.0), "0 MiB");
    svg += &text("name end", (SIDES.1, middle - 3.0), &mib(taken));
    svg +=
        &text("soft end", (SIDES.1, middle + 13.0), &format!("{:.1} % of its bound", taken / bound * 100.0));
    svg
}

fn mib(bytes: f64) -> String {
    format!("{:.1} MiB", bytes / f64::from(1 << 20))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::admission::{Setup, checks};

    /// Fifteen rounds of each setup, around what it costs.
    fn results(costs: [f64; 5], spread: f64) -> Results {
        let cost = |(setup, ratio): (Setup, f64)| {
            let round = |at: i32| ratio + spread * f64::from(at) / 7.0;
            let ratios: Vec<f64> = (-7..=7).map(round).collect();
            let quartiles = (ratios[3], ratios[11]);
            let (requests_per_second, errors) = (40_000.0, 0);
            Cost { setup, cpu_us: 23.0 * ratio, ratio, ratios, quartiles, requests_per_second, errors }
        };
        let checks = checks::Measured {
            limit_ns: 30.0,
            limit_cold_ns: 100.0,
            keys: 1e7,
            bound_bytes: f64::from(64 << 20),
            taken_bytes: f64::from(63 << 20),
            resident_bytes: f64::from(70 << 20),
        };
        Results { costs: Setup::ALL.into_iter().zip(costs).map(cost).collect(), checks: Some(checks) }
    }

    /// All values of an attribute, in the order of the picture.
    fn values(svg: &str, name: &str) -> Vec<f64> {
        let name = format!(" {name}=\"");
        let parts = svg.split(name.as_str()).skip(1);
        parts.filter_map(|part| part.split('"').next()?.parse().ok()).collect()
    }

    /// All points of all lines: pairs, and what follows an H or a V.
    fn points(svg: &str) -> (Vec<f64>, Vec<f64>) {
        let (mut xs, mut ys) = (Vec::new(), Vec::new());
        for path in svg.split(" d=\"M").skip(1) {
            let path = path.split('"').next().unwrap_or_default().trim_end_matches('Z');
            for pair in path.split('L') {
                let number = |text: &str| text.parse::<f64>().expect("a number");
                let (x, rest) = pair.split_once(' ').expect("a pair");
                let end = rest.find(['H', 'V']).unwrap_or(rest.len());
                xs.push(number(x));
                ys.push(number(&rest[..end]));
                match rest[end..].chars().next() {
                    Some('H') => xs.push(number(&rest[end + 1..])),
                    Some(_) => ys.push(number(&rest[end + 1..])),
                    None => {}
                }
            }
        }
        (xs, ys)
    }

    #[test]
    fn nothing_lies_outside_of_the_frame_however_far_off_a_round_is() {
        for (costs, spread) in [
            ([1.0, 1.004, 1.009, 1.012, 1.02], 0.01),
            ([1.0, 0.8, 1.3, 1.031, 1.1], 0.6),
            ([1.0, 9.0, 0.01, 1.2, 2.1], 40.0),
        ] {
            let svg = draw(&results(costs, spread));
            let (width, height) = (values(&svg, "width")[0], values(&svg, "height")[0]);
            let (mut xs, mut ys) = points(&svg);
            xs.extend([values(&svg, "x"), values(&svg, "cx")].concat());
            ys.extend([values(&svg, "y"), values(&svg, "cy")].concat());
            assert!(xs.iter().all(|x| (0.0..=width).contains(x)), "{xs:?}");
            assert!(ys.iter().all(|y| (0.0..=height).contains(y)), "{ys:?}");
            for part in svg.split("<rect class=\"box\"").skip(1) {
                let (x, width) = (values(part, "x")[0], values(part, "width")[0]);
                assert!(x >= PLOT.0 && width >= 0.0 && x + width <= PLOT.0 + PLOT.1 + 0.1, "{part}");
            }
        }
    }

    #[test]
    fn names_end_before_the_plot_and_labels_do_not_meet() {
        // As wide as the letters of the widest font that is likely.
        let (name_px, soft_px) = (7.7, 6.4);
        let names = Setup::ALL.map(|setup| SIDES.0 + setup.about().len() as f64 * name_px);
        assert!(names.iter().all(|end| *end <= PLOT.0), "{names:?}");
        for (costs, spread) in [([1.0; 5], 0.01), ([1.0, 9.0, 0.01, 1.2, 2.1], 40.0)] {
            let svg = draw(&results(costs, spread));
            let mut seen: Vec<(f64, f64, f64)> = Vec::new();
            for part in svg.split("<text class=\"soft").skip(1) {
                let words = part.split(['<', '>']).nth(1).expect("words");
                let (x, y, wide) =
                    (values(part, "x")[0], values(part, "y")[0], words.chars().count() as f64 * soft_px);
                let before = [(" end\"", 1.0), (" middle\"", 0.5)]
                    .into_iter()
                    .find(|(class, _)| part.starts_with(class));
                let left = x - wide * before.map_or(0.0, |(_, share)| share);
                let right = left + wide;
                assert!(left >= 0.0 && right <= WIDTH, "{words}: {left} to {right}");
                let meets = |(other, from, to): &(f64, f64, f64)| {
                    (other - y).abs() < 12.0 && left < *to && *from < right
                };
                assert!(!seen.iter().any(meets), "{words}: {svg}");
                seen.push((y, left, right));
            }
        }
    }

    #[test]
    fn setups_stand_below_each_other_as_in_the_table_and_a_dearer_one_further_right() {
        let svg = draw(&results([1.0, 1.004, 1.009, 1.012, 1.02], 0.01));
        let rows: Vec<&str> = svg.split("<text class=\"name\"").skip(1).collect();
        let mut before = (0.0, 0.0);
        for (row, setup) in rows.iter().zip(Setup::ALL) {
            assert!(row.contains(&format!(">{}</text>", setup.about())), "{row}");
            let here = (values(row, "y")[0], values(row, "x")[3]);
            assert!(here.0 > before.0 && here.1 >= before.1, "{here:?} after {before:?}");
            before = here;
        }
        assert_eq!(rows.len(), Setup::ALL.len() + 1, "the setups, and memory");
        assert_eq!(svg.matches("<circle class=\"round\"").count(), 5 * 15);
    }

    #[test]
    fn a_round_beyond_the_axis_is_an_arrow_at_its_edge_and_counted_in_words() {
        let mut results = results([1.0, 1.004, 1.009, 1.012, 1.02], 0.01);
        results.costs[1].ratios[14] = 3.0;
        results.costs[1].ratios[0] = 0.2;
        let svg = draw(&results);
        let (left, right) = (PLOT.0, PLOT.0 + PLOT.1);
        assert!(svg.contains(&format!("<path class=\"round\" d=\"M{left:.1} ")), "{svg}");
        assert!(svg.contains(&format!("<path class=\"round\" d=\"M{right:.1} ")), "{svg}");
        assert!(svg.contains("23.09 µs per request; 2 of 15 rounds beyond the axis</text>"), "{svg}");
        assert!(
            svg.contains("a limit by client: 1.004, half 0.998 to 1.010, 2 of 15 rounds beyond the axis;")
        );
        assert!(!svg.contains("neither a limit nor a queue: 1.000, half 0.994 to 1.006,"), "{svg}");
    }

    #[test]
    fn the_axis_is_the_closest_one_that_holds_all_boxes() {
        let of = |costs, spread| Axis::of(&results(costs, spread).costs);
        assert_eq!(of([1.0, 1.01, 1.01, 1.02, 1.03], 0.02), Axis::ALL[0]);
        assert_eq!(of([1.0, 1.01, 1.01, 1.02, 1.06], 0.02), Axis::ALL[1]);
        assert_eq!(of([1.0, 1.0, 1.0, 1.0, 7.0], 0.02), Axis::ALL[4]);
        assert_eq!(Axis::of(&[]), Axis::ALL[0]);
        for axis in Axis::ALL {
            assert!(axis.holds(LIMIT) && (5..=11).contains(&axis.ticks().count()), "{axis:?}");
        }
    }

    #[test]
    fn more_than_the_bound_is_drawn_beyond_its_line() {
        let mut results = results([1.0; 5], 0.01);
        let ends = |results: &Results| {
            let svg = memory(results.checks.as_ref().expect("measured"), 0.0);
            let of = |class: &str| points(&svg[svg.find(class).expect("drawn") - 12..]).0[0];
            (of("class=\"median\""), of("class=\"bound\""))
        };
        let (taken, bound) = ends(&results);
        assert!(taken < bound && bound < PLOT.0 + PLOT.1);
        if let Some(checks) = &mut results.checks {
            checks.taken_bytes *= 1.5;
        }
        let (taken, bound) = ends(&results);
        assert!(taken > bound && taken < PLOT.0 + PLOT.1);
    }
}
