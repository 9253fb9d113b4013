//! Prometheus text exposition format 0.0.4: families, samples, escaping.

use core::fmt::Write as _;

use crate::counter::{BOUNDS_NS, BOUNDS_SECONDS, HistogramTotal};
use crate::metric::{Kind, Metric};

/// A page of metrics in the making. Samples go under the family that was begun last.
pub(crate) struct Page {
    text: String,
    metric: Option<Metric>,
}

impl Page {
    pub(crate) fn new() -> Self {
        Self { text: String::with_capacity(32 * 1024), metric: None }
    }

    /// Begins the family of a metric: its help and type, once.
    pub(crate) fn family(&mut self, metric: Metric) {
        self.metric = Some(metric);
        let name = metric.name();
        self.text.push_str("# HELP ");
        self.text.push_str(name);
        self.text.push(' ');
        escape(&mut self.text, metric.help(), false);
        self.text.push_str("\n# TYPE ");
        self.text.push_str(name);
        self.text.push(' ');
        self.text.push_str(metric.kind().code());
        self.text.push('\n');
    }

    /// One sample with the values of the metric's labels, in their order.
    pub(crate) fn sample(&mut self, labels: &[&str], value: u64) {
        self.head("", labels, None);
        let _ = writeln!(self.text, " {value}");
    }

    /// One sample that is not a whole number.
    pub(crate) fn sample_f64(&mut self, labels: &[&str], value: f64) {
        self.head("", labels, None);
        let _ = writeln!(self.text, " {value}");
    }

    /// A histogram of durations: a cumulative count for each bound, then sum and count.
    pub(crate) fn histogram(&mut self, labels: &[&str], total: &HistogramTotal) {
        let mut count = 0;
        for (inside, bound) in total.buckets.iter().zip(BOUNDS_SECONDS.into_iter().chain(["+Inf"])) {
            count += inside;
            self.head("_bucket", labels, Some(bound));
            let _ = writeln!(self.text, " {count}");
        }
        self.head("_sum", labels, None);
        let _ = writeln!(self.text, " {}", total.sum_ns as f64 / 1e9);
        self.head("_count", labels, None);
        let _ = writeln!(self.text, " {count}");
    }

    pub(crate) fn finish(self) -> String {
        self.text
    }

    fn head(&mut self, suffix: &str, labels: &[&str], bound: Option<&str>) {
        let Some(metric) = self.metric else { return };
        debug_assert_eq!(metric.labels().len(), labels.len(), "labels of {}", metric.name());
        debug_assert_eq!(
            metric.kind() == Kind::Histogram,
            !suffix.is_empty(),
            "samples of {}",
            metric.name()
        );
        self.text.push_str(metric.name());
        self.text.push_str(suffix);
        let pairs =
            metric.labels().iter().copied().zip(labels.iter().copied()).chain(bound.map(|le| ("le", le)));
        let mut separator = '{';
        for (name, value) in pairs {
            self.text.push(separator);
            self.text.push_str(name);
            self.text.push_str("=\"");
            escape(&mut self.text, value, true);
            self.text.push('"');
            separator = ',';
        }
        if separator == ',' {
            self.text.push('}');
        }
    }
}

const _: () = assert!(BOUNDS_NS.len() == BOUNDS_SECONDS.len());

/// Backslash and line feed are escaped everywhere, the double quote in label values only.
fn escape(text: &mut String, value: &str, is_label: bool) {
    for character in value.chars() {
        match character {
            '\\' => text.push_str("\\\\"),
            '\n' => text.push_str("\\n"),
            '"' if is_label => text.push_str("\\\""),
            other => text.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn label_values_are_escaped() {
        let mut page = Page::new();
        page.family(Metric::Reloads);
        page.sample(&["a\"b\\c\nd é"], 3);
        let text = page.finish();
        assert!(text.ends_with("tidegate_reloads_total{result=\"a\\\"b\\\\c\\nd é\"} 3\n"), "{text}");
    }

    #[test]
    fn a_histogram_counts_cumulatively() {
        let mut page = Page::new();
        page.family(Metric::RequestSeconds);
        let mut total = HistogramTotal { sum_ns: 61_250_000_000, ..Default::default() };
        (total.buckets[0], total.buckets[8], total.buckets[16]) = (2, 1, 1);
        page.histogram(&["/"], &total);
        let text = page.finish();
        for line in [
            "tidegate_request_duration_seconds_bucket{route=\"/\",le=\"0.0005\"} 2",
            "tidegate_request_duration_seconds_bucket{route=\"/\",le=\"0.25\"} 3",
            "tidegate_request_duration_seconds_bucket{route=\"/\",le=\"60\"} 3",
            "tidegate_request_duration_seconds_bucket{route=\"/\",le=\"+Inf\"} 4",
            "tidegate_request_duration_seconds_sum{route=\"/\"} 61.25",
            "tidegate_request_duration_seconds_count{route=\"/\"} 4",
        ] {
            assert!(text.lines().any(|candidate| candidate == line), "{line} is not in\n{text}");
        }
    }
}
