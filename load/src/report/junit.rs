//! The JUnit report, which CI systems show as tests: one for each threshold.

use std::fmt::Write as _;

use super::{Report, Verdict};

/// A report as JUnit XML. A threshold that does not hold is a failure; where the generator was the limit it is an
/// error, because the test could not be done.
pub fn write(report: &Report) -> String {
    let broken = report.thresholds.iter().filter(|judged| !judged.holds).count();
    let (failures, errors) = match report.verdict {
        Verdict::Inconclusive => (0, broken),
        Verdict::Pass | Verdict::Fail => (broken, 0),
    };
    let name = escaped(&report.name);
    let counts = format!("tests=\"{}\" failures=\"{failures}\" errors=\"{errors}\"", report.thresholds.len());
    let time = format!("{:.3}", report.duration_s);
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let _ = writeln!(out, "<testsuites name=\"tidegate load\" {counts} time=\"{time}\">");
    let _ = writeln!(
        out,
        "  <testsuite name=\"{name}\" {counts} time=\"{time}\" timestamp=\"{}\">",
        escaped(report.started_at.trim_end_matches('Z'))
    );
    for judged in &report.thresholds {
        let text = escaped(&judged.text);
        let _ = write!(out, "    <testcase classname=\"{name}\" name=\"{text}\" time=\"{time}\"");
        if judged.holds {
            out.push_str("/>\n");
            continue;
        }
        let message = escaped(&format!("{} does not hold: {}", judged.text, judged.measured));
        let element = match report.verdict {
            Verdict::Inconclusive => {
                format!(
                    "<error type=\"inconclusive\" message=\"{message}\">{}</error>",
                    escaped(&report.reason)
                )
            }
            Verdict::Pass | Verdict::Fail => format!("<failure type=\"threshold\" message=\"{message}\"/>"),
        };
        let _ = writeln!(out, ">\n      {element}\n    </testcase>");
    }
    out.push_str("  </testsuite>\n</testsuites>\n");
    out
}

/// Text as it may stand in XML, within quotes and without. What XML 1.0 cannot hold at all becomes U+FFFD.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\t' | '\n' | '\r' => {
                let _ = write!(out, "&#{};", character as u32);
            }
            '\0'..='\x1f' | '\u{fffe}' | '\u{ffff}' => out.push('\u{fffd}'),
            _ => out.push(character),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::escaped;

    #[test]
    fn what_has_a_meaning_in_xml_is_escaped() {
        assert_eq!(
            escaped("p95 < 5ms & \"x\">\n\u{1}ä"),
            "p95 &lt; 5ms &amp; &quot;x&quot;&gt;&#10;\u{fffd}ä"
        );
    }

    proptest! {
        #[test]
        fn escaped_text_has_nothing_that_ends_a_value(text in any::<String>()) {
            let escaped = escaped(&text);
            let bad = ['<', '>', '"', '\n', '\0', '\u{1b}'];
            prop_assert!(!escaped.contains(bad));
        }
    }
}
