//! The report as one HTML page that needs nothing else: no network, no fonts, no library. It says first whether the
//! run passed, then where time went, then everything else.
//!
//! Whatever comes from outside (names, addresses, reasons) goes through `escape`. The page forbids itself any
//! request by its own content policy.

mod chart;
mod charts;

use std::collections::BTreeMap;
use std::fmt::Write;

use super::findings::{findings, spent_ms, waited_ms};
use super::{Failed, Latencies, Report, Sockets, Verdict, figures};

const STYLE: &str = include_str!("../../assets/report.css");
const SCRIPT: &str = include_str!("../../assets/report.js");

/// Length of the bar for all of something.
const SHARE_PX: f64 = 70.0;

/// The page.
pub fn html(report: &Report) -> String {
    let (class, word, _) = verdict(report.verdict);
    let charts =
        [charts::latency(report), charts::rates(report), charts::delivered(report)].into_iter().flatten();
    let small = [charts::percentiles(report), charts::open(report)].into_iter().flatten();
    let drawn = |chart: chart::Chart| chart.draw();
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; \
         script-src 'unsafe-inline'\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <title>{word}: {name}</title>\n<style>\n{STYLE}</style>\n</head>\n<body class=\"{class}\">\n<main>\n\
         {header}{banner}{thresholds}{tiles}{time}{charts}<div class=\"pair\">{small}</div>\n\
         {sockets}{failures}{steps}{latencies}{generator}</main>\n<script>\n{SCRIPT}</script>\n</body>\n</html>\n",
        name = escape(&report.name),
        header = header(report),
        banner = banner(report),
        thresholds = thresholds(report),
        tiles = tiles(report),
        time = where_time_went(report),
        charts = charts.map(drawn).collect::<String>(),
        small = small.map(drawn).collect::<String>(),
        sockets = report.sockets.as_ref().map(sockets).unwrap_or_default(),
        failures = failures(&report.failures),
        steps = steps(report),
        latencies = latencies(report),
        generator = generator(report),
    )
}

/// Text as HTML, in an element or a quoted attribute. Control characters are replaced: no browser shows them.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\n' | '\t' => out.push(' '),
            _ if character.is_control() => out.push(char::REPLACEMENT_CHARACTER),
            _ => out.push(character),
        }
    }
    out
}

/// Class, word and sign (a path of a 24 x 24 picture) of a verdict.
const fn verdict(verdict: Verdict) -> (&'static str, &'static str, &'static str) {
    match verdict {
        Verdict::Pass => ("pass", "Passed", "M5 12.5l4.5 4.5L19 7.5"),
        Verdict::Fail => ("fail", "Failed", "M6.5 6.5l11 11m0-11l-11 11"),
        Verdict::Inconclusive => ("inconclusive", "Inconclusive", "M12 5.5v8.5m0 4v.4"),
    }
}

fn sign(path: &str) -> String {
    format!("<svg class=\"sign\" viewBox=\"0 0 24 24\" aria-hidden=\"true\"><path d=\"{path}\"/></svg>")
}

fn header(report: &Report) -> String {
    let model = match report.model.as_str() {
        _ if report.sockets.is_some() => "Sockets: opened and held by schedule",
        "open" => "Open model: requests are due by schedule, whatever the target does",
        "closed" => "Closed model: each request waits for the answer before",
        other => other,
    };
    let begun = report.started_at.replacen('T', " ", 1).replace('Z', " UTC");
    format!(
        "<header><p class=\"mark\">Tidegate load test</p><h1>{}</h1>\
         <p class=\"facts\"><span>{}</span><span>{}</span><span>{}</span><span>{}</span></p></header>\n",
        escape(&report.name),
        escape(&report.target),
        escape(&begun),
        figures::span(report.duration_s),
        escape(model),
    )
}

fn banner(report: &Report) -> String {
    let (class, word, path) = verdict(report.verdict);
    format!(
        "<section class=\"banner {class}\">{}<div><h2>{word}</h2><p>{}</p></div></section>\n",
        sign(path),
        escape(&report.reason)
    )
}

fn thresholds(report: &Report) -> String {
    let mut rows = String::new();
    for judged in &report.thresholds {
        let (class, word, path) = if judged.holds {
            ("pass", "holds", verdict(Verdict::Pass).2)
        } else {
            ("fail", "does not hold", verdict(Verdict::Fail).2)
        };
        let (text, measured) = (escape(&judged.text), escape(&judged.measured));
        let _ = write!(
            rows,
            "<tr class=\"{class}\"><th scope=\"row\"><code>{text}</code></th><td>{measured}</td><td>{}{word}</td></tr>",
            sign(path)
        );
    }
    section(
        "thresholds",
        "Thresholds",
        "",
        &table("", "<th>Condition</th><th>Measured</th><th>Verdict</th>", &rows),
        rows.is_empty(),
    )
}

fn tiles(report: &Report) -> String {
    let measured = report.measured();
    let failed = report.requests - report.succeeded.min(report.requests);
    let mut tiles = Vec::new();
    if let Some(sockets) = &report.sockets {
        let count = figures::count;
        tiles.push((
            "Opened",
            count(sockets.opened),
            format!("{} failed", figures::of(sockets.not_opened, "attempt")),
        ));
        tiles.push(("Most open", count(sockets.most_open), format!("{} lost", count(sockets.disconnected))));
        tiles.push(("Delivered", count(sockets.delivered), format!("{} lost", count(sockets.lost))));
    } else {
        let success = or_dash(report.requests, || figures::share(report.success));
        let detail = match failed {
            0 => figures::of(report.requests, "request"),
            _ => format!("{} of {} failed", figures::count(failed), figures::of(report.requests, "request")),
        };
        tiles.push(("Success", success, detail));
        let offered = match report.model.as_str() {
            "closed" => "as fast as answers came".to_owned(),
            _ => format!("of {} offered", figures::rate(report.offered_rate)),
        };
        tiles.push(("Achieved", figures::rate(report.achieved_rate), offered));
    }
    let time = |ms| or_dash(measured.count, || figures::time(ms));
    tiles.push(("Median", time(measured.p50_ms), format!("p75 {}", time(measured.p75_ms))));
    tiles.push(("p95", time(measured.p95_ms), format!("p90 {}", time(measured.p90_ms))));
    tiles.push(("p99", time(measured.p99_ms), format!("p99.9 {}", time(measured.p999_ms))));
    tiles.push(("Longest", time(measured.max_ms), format!("mean {}", time(measured.mean_ms))));
    if report.requests > 0 && report.sockets.is_none() {
        let sent = format!("{} sent", figures::bytes(report.sent_bytes));
        tiles.push(("Received", figures::bytes(report.received_bytes), sent));
    }
    let mut out = String::from("<section class=\"tiles\" aria-label=\"Key figures\"><dl>");
    for (name, figure, detail) in tiles {
        let _ = write!(out, "<div><dt>{name}</dt><dd>{figure}</dd><dd class=\"detail\">{detail}</dd></div>");
    }
    out + "</dl></section>\n"
}

fn where_time_went(report: &Report) -> String {
    let mut inside = String::new();
    let waited = waited_ms(report);
    if report.model == "open"
        && report.sockets.is_none()
        && report.service.count > 0
        && report.response.mean_ms > 0.0
    {
        let share = (waited / report.response.mean_ms * 100.0).clamp(0.0, 100.0);
        let _ = write!(
            inside,
            "<div class=\"split\" role=\"img\" aria-label=\"{share:.0} percent waiting, the rest service\">\
             <span class=\"wait\" style=\"width:{share:.2}%\"></span><span class=\"serve\"></span></div>\
             <ul class=\"legend\"><li class=\"three\"><i></i>waiting to be sent {}</li>\
             <li class=\"one\"><i></i>sending and being answered {}</li></ul>",
            figures::time(waited),
            figures::time(report.service.mean_ms),
        );
    }
    let mut items = String::new();
    for finding in findings(report) {
        let _ = write!(items, "<li>{}</li>", escape(&finding));
    }
    if items.is_empty() {
        items.push_str("<li>Nothing was measured.</li>");
    }
    inside = format!("{inside}<ul class=\"findings\">{items}</ul>");
    section("time", "Where time went", "", &inside, false)
}

fn sockets(sockets: &Sockets) -> String {
    let bad = |count: u64| if count > 0 { " class=\"bad\"" } else { "" };
    let figure = |name: &str, count: u64, class: &str| {
        format!("<div><dt>{name}</dt><dd{class}>{}</dd></div>", figures::count(count))
    };
    let counts = [
        figure("Opened", sockets.opened, ""),
        figure("Not opened", sockets.not_opened, bad(sockets.not_opened)),
        figure("Most open at a time", sockets.most_open, ""),
        figure("Lost connections", sockets.disconnected, bad(sockets.disconnected)),
        figure("Messages sent", sockets.published, ""),
        figure("Delivered", sockets.delivered, ""),
        figure("Lost", sockets.lost, bad(sockets.lost)),
        figure("Duplicated", sockets.duplicated, bad(sockets.duplicated)),
        figure("Reordered", sockets.reordered, bad(sockets.reordered)),
        figure("Other messages", sockets.received, ""),
    ];
    let rows = latency_row("Delivery", "from sending a message to its arrival", &sockets.delivery);
    let inside =
        format!("<dl class=\"figures\">{}</dl>{}", counts.concat(), table("wide", LATENCY_HEAD, &rows));
    section("sockets", "Sockets", "", &inside, false)
}

fn failures(failures: &[Failed]) -> String {
    let most = failures.iter().map(|failure| failure.count).max().unwrap_or(1).max(1);
    let mut rows = String::new();
    for failure in failures {
        let _ = write!(
            rows,
            "<tr><th scope=\"row\"><code>{}</code></th><td class=\"number\">{}</td>\
             <td class=\"share\"><i class=\"bad\" style=\"width:{:.0}px\"></i></td><td>{}</td></tr>",
            escape(&failure.name),
            figures::count(failure.count),
            failure.count as f64 / most as f64 * SHARE_PX,
            escape(&failure.meaning)
        );
    }
    let head = "<th>Name</th><th class=\"number\">Count</th><td class=\"share\"></td><th>Meaning</th>";
    section("failures", "Failures", "", &table("", head, &rows), rows.is_empty())
}

fn steps(report: &Report) -> String {
    let total = report.steps.iter().map(|step| spent_ms(&step.response)).sum::<f64>().max(f64::MIN_POSITIVE);
    let mut rows = String::new();
    for step in &report.steps {
        let share = spent_ms(&step.response) / total;
        let success = step.succeeded as f64 / step.requests.max(1) as f64;
        let class = if step.succeeded < step.requests { " bad" } else { "" };
        let time = |ms| or_dash(step.response.count, || figures::time(ms));
        let _ = write!(
            rows,
            "<tr><th scope=\"row\">{}</th><td class=\"number\">{}</td><td class=\"number{class}\">{}</td>\
             <td class=\"number\">{}</td><td class=\"number\">{}</td><td class=\"number\">{}</td>\
             <td class=\"share\"><i style=\"width:{:.0}px\"></i>{}</td><td>{}{}</td></tr>",
            escape(&step.name),
            figures::count(step.requests),
            or_dash(step.requests, || figures::share(success)),
            time(step.response.p50_ms),
            time(step.response.p95_ms),
            time(step.response.p99_ms),
            share * SHARE_PX,
            figures::percent(share),
            statuses(&step.statuses),
            names(&step.failures),
        );
    }
    let head = "<th>Step</th><th class=\"number\">Requests</th><th class=\"number\">Success</th>\
                <th class=\"number\">p50</th><th class=\"number\">p95</th><th class=\"number\">p99</th>\
                <th>Share of time</th><th>Answers</th>";
    let title = if report.sockets.is_some() { "Openings" } else { "By step" };
    section("steps", title, "", &table("wide", head, &rows), rows.is_empty())
}

/// `200 × 1,234`, coloured by class.
fn statuses(statuses: &BTreeMap<u16, u64>) -> String {
    let mut out = String::new();
    for (status, count) in statuses {
        let class = if *status >= 400 { " bad" } else { "" };
        let _ = write!(out, "<span class=\"chip{class}\"><b>{status}</b> {}</span> ", figures::count(*count));
    }
    out
}

fn names(failures: &[Failed]) -> String {
    let mut out = String::new();
    for failure in failures {
        let (name, meaning) = (escape(&failure.name), escape(&failure.meaning));
        let count = figures::count(failure.count);
        let _ = write!(out, "<span class=\"chip bad\" title=\"{meaning}\"><b>{name}</b> {count}</span> ");
    }
    out
}

const LATENCY_HEAD: &str = "<th>Time</th><th class=\"number\">Count</th><th class=\"number\">Mean</th>\
    <th class=\"number\">p50</th><th class=\"number\">p90</th><th class=\"number\">p95</th>\
    <th class=\"number\">p99</th><th class=\"number\">p99.9</th><th class=\"number\">Longest</th>";

fn latencies(report: &Report) -> String {
    let (name, response) = match report.model.as_str() {
        _ if report.sockets.is_some() => ("Opening", "from the due time to the open socket"),
        "closed" => ("Response", "from sending to the end of the answer"),
        _ => ("Response", "from the due time to the end of the answer"),
    };
    // In the closed model service is the same as response; a socket is not served.
    let service = match (&report.sockets, report.model.as_str()) {
        (None, "open") => latency_row("Service", "from sending to the end of the answer", &report.service),
        _ => String::new(),
    };
    let rows = [
        latency_row(name, response, &report.response),
        service,
        latency_row("Connect", "establishing a connection", &report.connect),
        latency_row("Lag", "how late the generator itself was", &report.lag),
    ];
    let rows = rows.concat();
    section("latencies", "All times", "", &table("wide", LATENCY_HEAD, &rows), rows.is_empty())
}

/// A row of the table under [`LATENCY_HEAD`]. Nothing when nothing was measured.
fn latency_row(name: &str, meaning: &str, latencies: &Latencies) -> String {
    if latencies.count == 0 {
        return String::new();
    }
    let times = [
        latencies.mean_ms,
        latencies.p50_ms,
        latencies.p90_ms,
        latencies.p95_ms,
        latencies.p99_ms,
        latencies.p999_ms,
        latencies.max_ms,
    ];
    let times = times.map(|ms| format!("<td class=\"number\">{}</td>", figures::time(ms))).concat();
    let count = figures::count(latencies.count);
    format!(
        "<tr><th scope=\"row\">{name}<small>{meaning}</small></th><td class=\"number\">{count}</td>{times}</tr>"
    )
}

fn generator(report: &Report) -> String {
    let generator = &report.generator;
    let lag = or_dash(report.lag.count, || figures::time(report.lag.p99_ms));
    let parallel = format!(
        "{} in {}",
        figures::of(generator.threads.into(), "thread"),
        match generator.processes {
            1 => "1 process".to_owned(),
            processes => format!("{} processes", figures::count(processes.into())),
        }
    );
    let figures = [
        ("Ran as", parallel),
        ("CPU of its threads", figures::percent(generator.cpu)),
        ("Lag p99", lag),
        ("Memory", figures::bytes(generator.resident_bytes)),
    ];
    let inside: String =
        figures.map(|(name, figure)| format!("<div><dt>{name}</dt><dd>{figure}</dd></div>")).concat();
    let note = match &generator.limit {
        Some(limit) => format!("The generator was the limit: {}.", escape(limit)),
        None => "The generator was not the limit of this run.".into(),
    };
    section(
        "generator",
        "The generator itself",
        &note,
        &format!("<dl class=\"figures\">{inside}</dl>"),
        false,
    )
}

fn section(id: &str, title: &str, note: &str, inside: &str, empty: bool) -> String {
    if empty {
        return String::new();
    }
    let note = if note.is_empty() { String::new() } else { format!("<p>{note}</p>") };
    format!("<section id=\"{id}\"><h2>{title}</h2>{note}{inside}</section>\n")
}

fn table(class: &str, head: &str, rows: &str) -> String {
    format!(
        "<div class=\"scroll\"><table class=\"{class}\"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>"
    )
}

/// A figure, or a dash when nothing was counted that it could be drawn from.
fn or_dash(count: u64, figure: impl FnOnce() -> String) -> String {
    if count > 0 { figure() } else { "–".into() }
}
