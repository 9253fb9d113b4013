//! What people see of a run: the page and the summary, drawn from reports of every kind.

mod samples;

use tidegate_load::report::html::html;
use tidegate_load::report::text::text;
use tidegate_load::report::{Report, Verdict};

#[test]
fn the_summary_of_a_run_that_passes() {
    insta::assert_snapshot!(text(&samples::pass(), false));
}

#[test]
fn the_summary_of_a_run_that_fails() {
    insta::assert_snapshot!(text(&samples::freeze(), false));
}

#[test]
fn the_summary_of_a_run_that_says_nothing_about_the_target() {
    insta::assert_snapshot!(text(&samples::inconclusive(), false));
}

#[test]
fn the_summary_of_sockets() {
    insta::assert_snapshot!(text(&samples::sockets(), false));
}

#[test]
fn the_summary_of_the_closed_model() {
    insta::assert_snapshot!(text(&samples::closed(), false));
}

#[test]
fn the_summary_of_a_run_in_which_nothing_happened() {
    insta::assert_snapshot!(text(&samples::empty(), false));
}

#[test]
fn colours_change_nothing_but_colours_and_signs() {
    let colours = regex::Regex::new("\x1b\\[[0-9;]*m").unwrap();
    for (name, report) in samples::all() {
        let (coloured, bare) = (text(&report, true), text(&report, false));
        assert!(!bare.contains('\x1b'), "{name}");
        let stripped = colours.replace_all(&coloured, "").into_owned();
        let words = stripped.replace('✓', "pass").replace('✗', "FAIL");
        assert_eq!(words, bare, "{name}");
    }
}

#[test]
fn the_verdict_is_the_last_line() {
    for (name, report) in samples::all() {
        let text = text(&report, false);
        let word = match report.verdict {
            Verdict::Pass => "pass: ",
            Verdict::Fail => "fail: ",
            Verdict::Inconclusive => "inconclusive: ",
        };
        assert!(text.lines().last().unwrap().starts_with(word), "{name}: {text}");
    }
}

#[test]
fn a_name_can_neither_move_the_cursor_nor_break_a_line() {
    let evil = "a\x1b[2J\rb\nc";
    let mut report = samples::pass();
    let lines = text(&report, false).lines().count();
    for text in [&mut report.name, &mut report.target, &mut report.reason, &mut report.steps[0].name] {
        *text = evil.into();
    }
    report.failures[0].meaning = evil.into();
    report.thresholds[0].text = evil.into();
    report.steps[2].failures[0].name = evil.into();
    let text = text(&report, false);
    assert_eq!((text.lines().next(), text.lines().count()), (Some("a [2J b c"), lines));
    assert!(!text.contains(['\x1b', '\r']));
}

#[test]
fn every_page_asks_nothing_of_the_network() {
    for (name, report) in samples::all() {
        let page = html(&report);
        for outside in ["src=", "href=", "url(", "@import", "fetch(", "XMLHttpRequest", "<link", "<img"] {
            assert!(!page.contains(outside), "{name} contains {outside}");
        }
        assert!(page.contains("default-src 'none'"), "{name}");
        assert!(page.len() < 200_000, "{name} has {} bytes", page.len());
    }
}

#[test]
fn every_page_is_well_formed_and_has_only_finite_numbers() {
    for (name, report) in samples::all() {
        let page = html(&report);
        for wrong in ["NaN", "inf\"", "inf ", "Infinity%"] {
            assert!(!page.contains(wrong), "{name} contains {wrong}");
        }
        unclosed(&page).unwrap_or_else(|wrong| panic!("{name}: {wrong}"));
    }
}

#[test]
fn the_page_says_the_verdict_first() {
    for (report, word) in [
        (samples::pass(), "Passed"),
        (samples::freeze(), "Failed"),
        (samples::inconclusive(), "Inconclusive"),
    ] {
        let page = html(&report);
        assert!(page.contains(&format!("<title>{word}: ")), "{word}");
        let (verdict, thresholds) = (page.find(&format!("<h2>{word}</h2>")), page.find("id=\"thresholds\""));
        assert!(verdict.is_some() && verdict < thresholds, "{word}");
        assert!(page.contains(&report.reason.replace('>', "&gt;").replace('<', "&lt;")), "{word}");
    }
}

#[test]
fn text_from_outside_stays_text() {
    let evil = "\"'><script>alert(1)</script>&amp;";
    let mut report = samples::pass();
    for text in [&mut report.name, &mut report.target, &mut report.reason, &mut report.started_at] {
        *text = evil.into();
    }
    for name in report.stages.iter_mut().map(|stage| &mut stage.name) {
        *name = evil.into();
    }
    for name in report.steps.iter_mut().map(|step| &mut step.name) {
        *name = evil.into();
    }
    report.thresholds[0].text = evil.into();
    report.thresholds[0].measured = evil.into();
    report.failures[0].name = evil.into();
    report.failures[0].meaning = evil.into();
    report.generator.limit = Some(evil.into());
    let page = html(&report);
    assert_eq!(page.matches("<script>").count(), 1, "only the page's own");
    assert!(!page.contains("alert(1)</script>"));
    assert!(page.contains("&quot;&#39;&gt;&lt;script&gt;alert(1)&lt;/script&gt;&amp;amp;"));
    unclosed(&page).unwrap();
}

#[test]
fn a_stretch_without_answers_is_marked_and_named() {
    let page = html(&samples::freeze());
    assert!(page.contains("From 20 s to 30 s, nothing was answered, although 10,000 requests were due."));
    assert_eq!(page.matches("<rect class=\"silent\"").count(), 1);
    assert_eq!(html(&samples::pass()).matches("<rect class=\"silent\"").count(), 0);
}

#[test]
fn a_run_that_ended_before_its_plan_fills_its_charts() {
    let mut report = samples::closed();
    let whole = html(&report);
    report.stages[0].to_s = 3_600.0;
    assert_eq!(html(&report), whole);
}

#[test]
fn a_page_has_the_sections_that_its_run_has_something_for() {
    let sections = |report: &Report| {
        let page = html(report);
        let ids = page.split("<section id=\"").skip(1).map(|rest| rest[..rest.find('"').unwrap()].to_owned());
        let charts = page.split("<h3>").skip(1).map(|rest| rest[..rest.find('<').unwrap()].to_owned());
        ids.chain(charts).collect::<Vec<_>>().join(", ")
    };
    assert_eq!(
        sections(&samples::pass()),
        "thresholds, time, failures, steps, latencies, generator, Latency, Rate, Percentiles, Open connections"
    );
    assert_eq!(
        sections(&samples::sockets()),
        "thresholds, time, sockets, failures, steps, latencies, generator, Delivery time, Openings, Messages, \
         Opening times, Open sockets"
    );
    assert_eq!(sections(&samples::empty()), "thresholds, time, generator");
}

/// Checks that every element is closed in order and every attribute quoted.
fn unclosed(page: &str) -> Result<(), String> {
    let (body, _) = page.split_once("<script>").ok_or("no script")?;
    let mut open: Vec<&str> = Vec::new();
    for rest in body.split('<').skip(1) {
        let (tag, _) = rest.split_once('>').ok_or_else(|| format!("not ended: {rest}"))?;
        let name = tag.split([' ', '/']).find(|part| !part.is_empty()).unwrap_or_default();
        if tag.matches('"').count() % 2 != 0 {
            return Err(format!("quotes of <{tag}>"));
        }
        if tag.starts_with('/') {
            let opened = open.pop();
            (opened == Some(name)).then_some(()).ok_or_else(|| format!("</{name}> closes {opened:?}"))?;
        } else if !tag.ends_with('/') && !["!doctype", "meta"].contains(&name) {
            open.push(name);
        }
    }
    (open == ["html", "body"]).then_some(()).ok_or_else(|| format!("left open: {open:?}"))
}
