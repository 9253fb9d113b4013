//! The run as plain lines, for pipes and logs: one every second, and after ten seconds every five.

use super::course::Course;
use super::window::{Window, open};
use crate::Nanos;
use crate::record::Record;
use crate::report::figures;

const SECOND: Nanos = 1_000_000_000;

/// When the next line is due, and what came since the last one.
#[derive(Debug)]
pub struct Lines {
    since: Window,
    next: Nanos,
}

impl Default for Lines {
    fn default() -> Self {
        Self { since: Window::default(), next: SECOND }
    }
}

impl Lines {
    /// Takes in what came. A line when one is due: rates and times since the last line, failures since the beginning.
    pub fn add(
        &mut self,
        course: &Course,
        elapsed: Nanos,
        total: &Record,
        recent: &Window,
    ) -> Option<String> {
        self.since.add(recent);
        if elapsed < self.next {
            return None;
        }
        let step = if elapsed < 10 * SECOND { SECOND } else { 5 * SECOND };
        self.next = (elapsed / step + 1) * step;
        let since = std::mem::take(&mut self.since);
        let requests = total.requests();
        let mut parts = vec![course.progress(elapsed, requests)];
        if course.sockets {
            parts.push(format!("open {}", figures::count(open(total))));
            parts.push(format!("delivered {}", since.rate(since.delivered)));
        } else {
            if course.has_schedule {
                parts.push(format!("offered {}", since.rate(since.due)));
            }
            parts.push(format!("achieved {}", since.rate(since.succeeded)));
        }
        parts.push(format!("p50 {}", since.time(0.5)));
        parts.push(format!("p99 {}", since.time(0.99)));
        let failed = course.failures(total).iter().map(|(_, count)| count).sum();
        parts.push(format!("failed {}", figures::count(failed)));
        Some(parts.join("  "))
    }
}

#[cfg(test)]
mod tests {
    use super::super::course::tests::course;
    use super::super::tests::{run, sockets};
    use super::*;

    /// The lines of a run whose record is taken every half second.
    fn lines(course: &Course, seconds: u64, until: impl Fn(Nanos) -> Record) -> Vec<String> {
        let (mut lines, mut before, mut out) = (Lines::default(), Record::default(), Vec::new());
        for half in 1..=seconds * 2 {
            let at = half * SECOND / 2;
            let total = until(at);
            let mut window = Window::new(SECOND / 2, &total, course.sockets);
            let earlier = Window::new(SECOND / 2, &before, course.sockets);
            window.due -= earlier.due;
            window.succeeded -= earlier.succeeded;
            window.delivered -= earlier.delivered;
            out.extend(lines.add(course, at, &total, &window));
            before = total;
        }
        out
    }

    #[test]
    fn a_line_comes_every_second_and_after_ten_seconds_every_five() {
        let lines = lines(&course(), 25, run);
        let moments: Vec<&str> = lines.iter().map(|line| line.split('/').next().unwrap()).collect();
        assert_eq!(
            moments,
            ["1s", "2s", "3s", "4s", "5s", "6s", "7s", "8s", "9s", "10s", "15s", "20s", "25s"]
        );
    }

    #[test]
    fn a_line_tells_rates_times_and_failures() {
        insta::assert_snapshot!(lines(&course(), 20, run).join("\n"));
    }

    #[test]
    fn lines_of_a_closed_model_offer_nothing() {
        let course = Course { has_schedule: false, ..course() };
        assert!(
            lines(&course, 2, run).iter().all(|line| !line.contains("offered") && line.contains("achieved"))
        );
    }

    #[test]
    fn lines_of_sockets_tell_what_is_open_and_delivered() {
        let course = Course { sockets: true, has_schedule: false, ..course() };
        insta::assert_snapshot!(lines(&course, 3, sockets).join("\n"));
    }

    #[test]
    fn a_line_of_a_run_in_which_nothing_happened_has_no_times() {
        let lines = lines(&course(), 1, |_| Record::default());
        assert_eq!(lines, ["1s/60s  offered 0/s  achieved 0/s  p50 -  p99 -  failed 0"]);
    }
}
