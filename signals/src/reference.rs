//! The reference page of metrics, made from the enum that holds them.

use core::fmt::Write as _;

use crate::metric::{Kind, Metric};
use crate::{MAX_ENDPOINTS, MAX_LIMITS, MAX_ROUTES, MAX_UPSTREAMS, NONE, OTHER};

/// Every metric as a page of Markdown: name, type, labels, what it says, what to do about it.
pub fn reference() -> String {
    let mut page = format!(
        "# Metrics\n\n\
         `GET /metrics` on the admin listener answers in the Prometheus text format 0.0.4. Label sets are bounded: \
         the first {MAX_ROUTES} routes, {MAX_UPSTREAMS} upstreams, {MAX_LIMITS} limits and {MAX_ENDPOINTS} endpoints have names of their \
         own, later ones share `{OTHER}`. Requests that ended before a route was chosen count under the route \
         `{NONE}`. A name that leaves with a reload is shown for ten minutes more.\n\n\
         Buckets of the histograms, in seconds: {}.\n",
        crate::counter::BOUNDS_SECONDS.join(", ")
    );
    for &metric in Metric::ALL {
        let labels = match metric.labels() {
            [] => "no labels".to_owned(),
            labels => labels.iter().map(|label| format!("`{label}`")).collect::<Vec<_>>().join(", "),
        };
        let kind = match metric.kind() {
            Kind::Counter => "Counter",
            Kind::Gauge => "Gauge",
            Kind::Histogram => "Histogram",
        };
        let _ = write!(
            page,
            "\n## {}\n\n{kind}; {labels}.\n\n{}\n\nWhat to do: {}\n",
            metric.name(),
            metric.help(),
            metric.advice()
        );
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_holds_every_metric_once() {
        let page = reference();
        for &metric in Metric::ALL {
            assert_eq!(page.matches(&format!("\n## {}\n", metric.name())).count(), 1);
            assert!(page.contains(metric.advice()));
        }
    }
}
