//! The report as text: what is printed when a run ends, on a terminal and into pipes. The verdict is the last line,
//! where the eye (and `tail -1`) finds it.

use std::fmt::Write;
use std::ops::Range;

use super::findings::findings;
use super::{Failed, Latencies, Report, Sockets, Verdict, figures};

/// The report. With `colour` for a terminal: signs and colours; without for everything else: words.
pub fn text(report: &Report, colour: bool) -> String {
    let paint = Paint(colour);
    let mut out = String::new();
    let model = if report.sockets.is_some() { "sockets" } else { &report.model };
    let _ = writeln!(out, "{}", paint.bold(&plain(&report.name)));
    let _ = writeln!(out, "{}, {model}, {}\n", plain(&report.target), figures::span(report.duration_s));
    out += &columns(&key_figures(report), 1..usize::MAX);
    out += &section("time", &columns(&latencies(report), 1..usize::MAX));
    out += &section("steps", &columns(&steps(report), 1..6));
    out += &section("failures", &columns(&failures(&report.failures), 0..1));
    out += &section("what stands out", &listed(&findings(report)));
    out += &section("thresholds", &thresholds(report, paint));
    let verdict = match report.verdict {
        Verdict::Pass => paint.green("pass"),
        Verdict::Fail => paint.red("fail"),
        Verdict::Inconclusive => paint.yellow("inconclusive"),
    };
    let _ = writeln!(out, "\n{verdict}: {}", plain(&report.reason));
    out
}

/// Colours of a terminal, or none.
#[derive(Clone, Copy)]
struct Paint(bool);

impl Paint {
    fn with(self, code: &str, text: &str) -> String {
        if self.0 { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
    fn bold(self, text: &str) -> String {
        self.with("1", text)
    }
    fn green(self, text: &str) -> String {
        self.with("1;32", text)
    }
    fn red(self, text: &str) -> String {
        self.with("1;31", text)
    }
    fn yellow(self, text: &str) -> String {
        self.with("1;33", text)
    }
}

/// Text from outside, unable to move the cursor or to break a line.
fn plain(text: &str) -> String {
    text.chars().map(|character| if character.is_control() { ' ' } else { character }).collect()
}

type Row = Vec<String>;

fn row<const N: usize>(cells: [&str; N]) -> Row {
    cells.map(str::to_owned).into()
}

fn key_figures(report: &Report) -> Vec<Row> {
    if let Some(sockets) = &report.sockets {
        return sockets_figures(sockets);
    }
    let mut rows = Vec::new();
    if report.model == "open" {
        rows.push(row(["offered", &figures::rate(report.offered_rate)]));
    }
    rows.push(row(["achieved", &figures::rate(report.achieved_rate)]));
    let success = if report.requests > 0 { figures::share(report.success) } else { "-".into() };
    rows.push(row(["success", &success]));
    rows.push(row(["requests", &figures::count(report.requests)]));
    rows.push(row(["failed", &figures::count(report.requests.saturating_sub(report.succeeded))]));
    rows.push(row(["received", &figures::bytes(report.received_bytes)]));
    rows
}

fn sockets_figures(sockets: &Sockets) -> Vec<Row> {
    let counts = [
        ("sockets opened", sockets.opened),
        ("not opened", sockets.not_opened),
        ("most open", sockets.most_open),
        ("lost connections", sockets.disconnected),
        ("messages sent", sockets.published),
        ("delivered", sockets.delivered),
        ("lost", sockets.lost),
        ("duplicated", sockets.duplicated),
        ("reordered", sockets.reordered),
        ("other messages", sockets.received),
    ];
    counts.map(|(name, count)| row([name, &figures::count(count)])).into()
}

fn latencies(report: &Report) -> Vec<Row> {
    let mut rows = vec![row(["", "mean", "p50", "p90", "p95", "p99", "p99.9", "longest"])];
    // In the closed model service is the same as response; a socket is not served.
    let named: &[(&str, Latencies)] = match (&report.sockets, report.model.as_str()) {
        (Some(sockets), _) => &[("delivery", sockets.delivery), ("opening", report.response)],
        (None, "closed") => &[("response", report.response)],
        (None, _) => &[("response", report.response), ("service", report.service)],
    };
    // With one status they are the response times once more.
    let by_status = report.by_status.iter().filter(|_| report.by_status.len() > 1);
    let by_status: Vec<_> = by_status.map(|(status, times)| (format!("status {status}"), *times)).collect();
    let by_status = by_status.iter().map(|(name, times)| (name.as_str(), *times));
    let others = [("connect", report.connect), ("generator lag", report.lag)];
    for (name, latencies) in named.iter().copied().chain(by_status).chain(others) {
        let Latencies { count, mean_ms, p50_ms, p90_ms, p95_ms, p99_ms, p999_ms, max_ms, .. } = latencies;
        if count > 0 {
            let times = [mean_ms, p50_ms, p90_ms, p95_ms, p99_ms, p999_ms, max_ms].map(figures::time);
            rows.push([name.to_owned()].into_iter().chain(times).collect());
        }
    }
    if rows.len() > 1 { rows } else { Vec::new() }
}

/// One row for each step. A single step is the whole run, and told already.
fn steps(report: &Report) -> Vec<Row> {
    if report.steps.len() < 2 {
        return Vec::new();
    }
    let mut rows = vec![row(["", "requests", "success", "p50", "p95", "p99", "answers"])];
    for step in &report.steps {
        let answers =
            step.statuses.iter().map(|(status, count)| format!("{status}: {}", figures::count(*count)));
        let failures =
            step.failures.iter().map(|failed| format!("{}: {}", failed.name, figures::count(failed.count)));
        let share = step.succeeded as f64 / step.requests.max(1) as f64;
        rows.push(vec![
            step.name.clone(),
            figures::count(step.requests),
            if step.requests > 0 { figures::share(share) } else { "-".into() },
            figures::time(step.response.p50_ms),
            figures::time(step.response.p95_ms),
            figures::time(step.response.p99_ms),
            answers.chain(failures).collect::<Vec<_>>().join(", "),
        ]);
    }
    rows
}

fn failures(failures: &[Failed]) -> Vec<Row> {
    failures
        .iter()
        .map(|failed| row([&figures::count(failed.count), &failed.name, &failed.meaning]))
        .collect()
}

fn thresholds(report: &Report, paint: Paint) -> String {
    let sign = |holds| match (paint.0, holds) {
        (true, true) => paint.green("✓"),
        (true, false) => paint.red("✗"),
        (false, true) => "pass".into(),
        (false, false) => "FAIL".into(),
    };
    let judged: Vec<Row> =
        report.thresholds.iter().map(|judged| row([&judged.text, &judged.measured])).collect();
    let lines = columns(&judged, 0..0);
    let signed = report.thresholds.iter().zip(lines.lines());
    signed.fold(String::new(), |out, (judged, line)| out + "  " + &sign(judged.holds) + line + "\n")
}

fn listed(sentences: &[String]) -> String {
    sentences.iter().fold(String::new(), |out, sentence| out + "  " + &plain(sentence) + "\n")
}

fn section(title: &str, inside: &str) -> String {
    if inside.is_empty() { String::new() } else { format!("\n{title}\n{inside}") }
}

/// Rows as aligned columns, free of control characters. Those in `numbers` stand to the right.
fn columns(rows: &[Row], numbers: Range<usize>) -> String {
    let rows: Vec<Row> = rows.iter().map(|row| row.iter().map(|cell| plain(cell)).collect()).collect();
    let width = |cell: &String| cell.chars().count();
    let count = rows.iter().map(Vec::len).max().unwrap_or(0);
    let widths: Vec<usize> =
        (0..count).map(|n| rows.iter().filter_map(|row| row.get(n)).map(width).max().unwrap_or(0)).collect();
    let mut out = String::new();
    for row in &rows {
        let mut line = String::new();
        for (n, cell) in row.iter().enumerate() {
            let room = " ".repeat(widths[n] - width(cell));
            let (before, after) =
                if numbers.contains(&n) { (room.as_str(), "") } else { ("", room.as_str()) };
            let _ = write!(line, "  {before}{cell}{after}");
        }
        let _ = writeln!(out, "{}", line.trim_end());
    }
    out
}
