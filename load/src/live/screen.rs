//! The view of the whole terminal: where the run is, what it measures now and so far, how that went over time, and
//! what failed.

use std::time::Duration;

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style, Stylize};
use ratatui::symbols::Marker;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Axis as Scale, Block, Chart, Dataset, Gauge, GraphType, Paragraph, Row, Table};

use super::course::Course;
use super::window::{Window, open};
use crate::Nanos;
use crate::failure::Failure;
use crate::record::{Record, Stretch};
use crate::report::axis::Axis;
use crate::report::figures;

/// All that one picture shows.
pub struct Shown<'a> {
    /// What the run has before it.
    pub course: &'a Course,
    /// Time since it began.
    pub elapsed: Nanos,
    /// Everything recorded.
    pub total: &'a Record,
    /// What was recorded in the last seconds.
    pub now: &'a Window,
}

/// A line of a chart: seconds and values.
type Points = Vec<(f64, f64)>;

const SECOND: f64 = 1e9;
/// Most failures that are listed; the report has all.
const MOST_FAILURES: usize = 5;

impl Shown<'_> {
    /// Draws it. What does not fit is left out, the charts first.
    pub fn draw(&self, frame: &mut Frame<'_>) {
        let failures = self.course.failures(self.total);
        let rows = failures.len().min(MOST_FAILURES) as u16;
        let areas: [Rect; 6] = Layout::vertical([
            Constraint::Length(1),
            Constraint::Length(2),
            Constraint::Length(4),
            Constraint::Fill(1),
            Constraint::Length(if rows > 0 { rows + 1 } else { 0 }),
            Constraint::Length(1),
        ])
        .areas(frame.area());
        let [header, progress, table, charts, failed, footer] = areas;
        let title = [self.course.name.clone().bold(), "  ".into(), self.course.target.clone().dim()];
        frame.render_widget(Line::from_iter(title), header);
        self.progress(frame, progress);
        self.figures(frame, table);
        // A chart with less room than this shows nothing but its frame.
        if charts.height >= 6 && charts.width >= 30 {
            let [left, right] = Layout::horizontal([Constraint::Fill(1), Constraint::Fill(1)]).areas(charts);
            self.rates(frame, left);
            self.times(frame, right);
        }
        frame.render_widget(Paragraph::new(lines(&failures)), failed);
        frame.render_widget(Line::from("q ends the run now and reports what it has".dim()), footer);
    }

    fn progress(&self, frame: &mut Frame<'_>, area: Rect) {
        let requests = self.total.requests();
        let place = self.course.place(self.elapsed);
        let label = match place.stage {
            Some((index, stage)) => {
                let of = self.course.stages.len();
                let number = if of > 1 { format!("{}/{of} ", index + 1) } else { String::new() };
                let level = self.course.level(stage);
                // What ends a run of so many requests is not its stage.
                let left = match self.course.requests {
                    Some(_) => self
                        .course
                        .expected(self.elapsed, requests)
                        .saturating_sub(Duration::from_nanos(self.elapsed)),
                    None => place.left,
                };
                format!("{number}{}, {level}, {} left", stage.name, figures::span(left.as_secs_f64().ceil()))
            }
            None => "waiting for the last answers".to_owned(),
        };
        let [bar, words] = Layout::vertical([Constraint::Length(1), Constraint::Length(1)]).areas(area);
        let gauge = Gauge::default()
            .ratio(self.course.done(self.elapsed, requests))
            .label(self.course.progress(self.elapsed, requests))
            .use_unicode(true)
            .gauge_style(Style::new().fg(Color::Blue).bg(Color::DarkGray));
        frame.render_widget(gauge, bar);
        frame.render_widget(Line::from(label), words);
    }

    fn figures(&self, frame: &mut Frame<'_>, area: Rect) {
        let so_far = Window::new(self.elapsed, self.total, self.course.sockets);
        let mut names = vec![""];
        match (self.course.sockets, self.course.has_schedule) {
            (true, _) => names.extend(["open", "delivered"]),
            (false, true) => names.extend(["offered", "achieved", "open"]),
            (false, false) => names.extend(["achieved", "open"]),
        }
        names.extend(["p50", "p95", "p99", "longest"]);
        let row = |title: &'static str, window: &Window, open: u64| {
            let cells = names.iter().map(|name| match *name {
                "offered" => window.rate(window.due),
                "achieved" => window.rate(window.succeeded),
                "delivered" => window.rate(window.delivered),
                "open" => figures::count(open),
                "p50" => window.time(0.5),
                "p95" => window.time(0.95),
                "p99" => window.time(0.99),
                "longest" => window.time(1.0),
                _ => title.to_owned(),
            });
            Row::new(cells.enumerate().map(|(n, cell)| {
                let line = Line::from(cell);
                if n == 0 { line } else { line.right_aligned() }
            }))
        };
        let head = names.iter().map(|name| Line::from(*name).right_aligned().dim());
        let rows = [row("now", self.now, open(self.total)), row("so far", &so_far, self.total.most_open())];
        let widths = names
            .iter()
            .enumerate()
            .map(|(n, _)| if n == 0 { Constraint::Length(7) } else { Constraint::Max(13) });
        frame.render_widget(Table::new(rows, widths).header(Row::new(head)), area);
    }

    fn rates(&self, frame: &mut Frame<'_>, area: Rect) {
        let width = self.total.timeline.width() as f64 / SECOND;
        let per_second = |count: u64| count as f64 / width;
        let mut series: Vec<(&str, Color, Points)> = Vec::new();
        if self.course.sockets {
            series.push((
                "delivered",
                Color::Cyan,
                self.points(|stretch| Some(per_second(stretch.delivered))),
            ));
        } else {
            if self.course.has_schedule {
                series.push((
                    "offered",
                    Color::DarkGray,
                    self.points(|stretch| Some(per_second(stretch.due))),
                ));
            }
            let achieved = |stretch: &Stretch| Some(per_second(stretch.ended.saturating_sub(stretch.failed)));
            series.push(("achieved", Color::Cyan, self.points(achieved)));
            let failed = self.points(|stretch| Some(per_second(stretch.failed)));
            if failed.iter().any(|(_, failed)| *failed > 0.0) {
                series.push(("failed", Color::Red, failed));
            }
        }
        let most =
            series.iter().flat_map(|(_, _, points)| points).map(|(_, value)| *value).fold(0.0, f64::max);
        self.chart(frame, area, &series, &Axis::linear(most, figures::rate));
    }

    fn times(&self, frame: &mut Frame<'_>, area: Rect) {
        let sockets = self.course.sockets;
        let time = |stretch: &Stretch, share| {
            if sockets { stretch.delivery.quantile_ms(share) } else { stretch.response.quantile_ms(share) }
        };
        let series = [("p50", Color::Cyan, 0.5), ("p95", Color::Yellow, 0.95), ("p99", Color::Magenta, 0.99)]
            .map(|(name, colour, share)| (name, colour, self.points(|stretch| time(stretch, share))));
        let values = series.iter().flat_map(|(_, _, points)| points).map(|(_, value)| *value);
        self.chart(frame, area, &series, &Axis::times(values));
    }

    /// A value of each stretch that is over. The last second may not have been told by all threads yet; drawn, it
    /// would look like a fall.
    fn points(&self, value: impl Fn(&Stretch) -> Option<f64>) -> Points {
        let width = self.total.timeline.width();
        let stretches = self.total.timeline.stretches().iter();
        let over = stretches.filter(|s| (u64::from(s.index) + 1) * width + SECOND as Nanos <= self.elapsed);
        over.filter_map(|s| value(s).map(|value| ((f64::from(s.index) + 0.5) * width as f64 / SECOND, value)))
            .collect()
    }

    fn chart(&self, frame: &mut Frame<'_>, area: Rect, series: &[(&str, Color, Points)], y: &Axis) {
        let end = self.course.expected(self.elapsed, self.total.requests()).as_secs_f64().max(1.0);
        let placed: Vec<Points> = (series.iter())
            .map(|(_, _, points)| points.iter().map(|(x, value)| (*x, y.place(*value))).collect())
            .collect();
        let lines = series.iter().zip(&placed).map(|((_, colour, _), points)| {
            Dataset::default()
                .marker(Marker::Braille)
                .graph_type(GraphType::Line)
                .style(Style::new().fg(*colour))
                .data(points)
        });
        let names = series
            .iter()
            .flat_map(|(name, colour, _)| [Span::from(" "), (*name).fg(*colour), Span::from(" ")]);
        let labels: Vec<String> = y.ends().map(|end| format!("{end:>8}")).into();
        let chart = Chart::new(lines.collect())
            .block(
                Block::bordered()
                    .border_style(Style::new().add_modifier(Modifier::DIM))
                    .title(names.collect::<Line<'_>>()),
            )
            .legend_position(None)
            .x_axis(Scale::default().bounds([0.0, end]).labels(["0".to_owned(), figures::span(end)]))
            .y_axis(Scale::default().bounds([0.0, 1.0]).labels(labels));
        frame.render_widget(chart, area);
    }
}

/// The failures, the most frequent first.
fn lines(failures: &[(Failure, u64)]) -> Vec<Line<'static>> {
    let mut lines = Vec::new();
    if !failures.is_empty() {
        let all = failures.iter().map(|(_, count)| count).sum();
        let more = failures.len().saturating_sub(MOST_FAILURES);
        let more = if more > 0 { format!(", {more} more kinds") } else { String::new() };
        lines.push(Line::from(format!("{}{more}", figures::of(all, "failure"))).red().bold());
    }
    lines.extend(failures.iter().take(MOST_FAILURES).map(|(failure, count)| {
        let count = format!("{:>9}  ", figures::count(*count));
        Line::from_iter([
            Span::from(count),
            Span::from(format!("{:<16}", failure.name())),
            failure.meaning().dim(),
        ])
    }));
    lines
}

#[cfg(test)]
mod tests {
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;

    use super::super::course::tests::course;
    use super::super::tests::{run, sockets};
    use super::*;

    /// What a terminal of this size shows after `seconds`, with `record` until then.
    fn picture(size: (u16, u16), seconds: u64, course: &Course, record: fn(Nanos) -> Record) -> TestBackend {
        let elapsed = seconds * 1_000_000_000;
        let total = record(elapsed);
        let now = Window::new(elapsed, &total, course.sockets);
        let mut terminal = Terminal::new(TestBackend::new(size.0, size.1)).unwrap();
        let shown = Shown { course, elapsed, total: &total, now: &now };
        terminal.draw(|frame| shown.draw(frame)).unwrap();
        terminal.backend().clone()
    }

    #[test]
    fn a_run_on_a_small_terminal() {
        insta::assert_snapshot!(picture((80, 24), 40, &course(), run));
    }

    #[test]
    fn a_run_on_a_large_terminal() {
        insta::assert_snapshot!(picture((120, 40), 40, &course(), run));
    }

    #[test]
    fn a_closed_run_that_waits_for_its_last_answers() {
        let course = Course { has_schedule: false, requests: Some(7_000), ..course() };
        insta::assert_snapshot!(picture((80, 24), 61, &course, run));
    }

    #[test]
    fn sockets_on_a_small_terminal() {
        let course = Course { sockets: true, has_schedule: false, ..course() };
        insta::assert_snapshot!(picture((80, 24), 12, &course, sockets));
    }

    #[test]
    fn the_beginning_of_a_run_has_empty_charts() {
        insta::assert_snapshot!(picture((80, 24), 0, &course(), |_| Record::default()));
    }

    #[test]
    fn no_terminal_is_too_small_to_be_drawn_on() {
        for width in [0, 1, 2, 5, 10, 29, 30, 31, 79] {
            for height in [0, 1, 2, 3, 7, 12, 13, 14, 23] {
                let picture = picture((width, height), 30, &course(), run);
                assert_eq!((picture.buffer().area.width, picture.buffer().area.height), (width, height));
            }
        }
    }
}
