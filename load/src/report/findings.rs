//! Where time went, in sentences: what somebody who knows how to read the figures would point at first.

use super::{Latencies, Moment, Report, figures};

/// At most six sentences, the most telling first. Empty when nothing was measured.
pub fn findings(report: &Report) -> Vec<String> {
    let finders = [silence, messages, waiting, slowest_stretch, failures, slowest_step];
    finders.into_iter().filter_map(|find| find(report)).collect()
}

/// Mean time that requests waited before they were sent, in milliseconds. With sockets and in the closed model
/// nothing waits.
pub fn waited_ms(report: &Report) -> f64 {
    if report.service.count == 0 || report.sockets.is_some() {
        0.0
    } else {
        (report.response.mean_ms - report.service.mean_ms).max(0.0)
    }
}

/// The longest stretch in which requests were due and none ended.
fn silence(report: &Report) -> Option<String> {
    let mut longest: &[Moment] = &[];
    for stretch in report.timeline.chunk_by(|one, other| one.is_silent() == other.is_silent()) {
        if stretch.iter().all(Moment::is_silent) && length(stretch) > length(longest) {
            longest = stretch;
        }
    }
    let due: u64 = longest.iter().map(|moment| moment.offered).sum();
    (length(longest) >= 1.0).then(|| {
        let verb = if due == 1 { "was" } else { "were" };
        format!(
            "{}, nothing was answered, although {} {verb} due.",
            from_to(longest),
            figures::of(due, "request")
        )
    })
}

/// What went wrong with sockets after they were open.
fn messages(report: &Report) -> Option<String> {
    let sockets = report.sockets.as_ref()?;
    let mut wrong = Vec::new();
    if sockets.disconnected > 0 {
        let opened = figures::of(sockets.opened, "socket");
        wrong.push(format!("{} of {opened} were lost", figures::count(sockets.disconnected)));
    }
    if sockets.lost > 0 {
        let all = figures::count(sockets.delivered.saturating_add(sockets.lost));
        wrong.push(format!("{} of {all} deliveries did not come", figures::count(sockets.lost)));
    }
    let counted = [("came twice", sockets.duplicated), ("came out of order", sockets.reordered)];
    wrong.extend(
        counted.into_iter().filter(|(_, n)| *n > 0).map(|(what, n)| format!("{} {what}", figures::count(n))),
    );
    (!wrong.is_empty()).then(|| format!("{}.", wrong.join(", ")))
}

/// How much of the time was spent before requests were sent.
fn waiting(report: &Report) -> Option<String> {
    let (mean, waited) = (report.response.mean_ms, waited_ms(report));
    if report.service.count == 0 || mean <= 0.0 {
        return None;
    }
    let share = waited / mean;
    Some(if report.sockets.is_some() {
        format!("Opening a socket took {} on average.", figures::time(mean))
    } else if share >= 0.2 && waited >= 0.5 {
        format!(
            "{} of the mean response time of {} was spent waiting before the request was sent: requests became due \
             faster than the target took them.",
            figures::percent(share),
            figures::time(mean)
        )
    } else if report.model == "closed" {
        format!("An answer took {} on average, counted from sending.", figures::time(mean))
    } else {
        format!(
            "An answer took {} on average; requests hardly waited to be sent ({}).",
            figures::time(mean),
            figures::time(waited)
        )
    })
}

/// The stretch whose slow requests were much slower than usual.
fn slowest_stretch(report: &Report) -> Option<String> {
    let p99 = |moment: &Moment| moment.response.p99_ms;
    let mut usual: Vec<f64> = report.timeline.iter().filter(|m| m.response.count > 0).map(p99).collect();
    usual.sort_by(f64::total_cmp);
    let median = *usual.get(usual.len() / 2)?;
    let slow = |moment: &Moment| moment.response.count > 0 && p99(moment) > median * 3.0;
    let stretch = (report.timeline.chunk_by(|one, other| slow(one) == slow(other)))
        .filter(|stretch| stretch.iter().all(&slow))
        .max_by(|one, other| worst(one).total_cmp(&worst(other)))?;
    let (worst, median) = (figures::time(worst(stretch)), figures::time(median));
    Some(format!("{}, it was slowest: p99 rose to {worst}; usually it was {median}.", from_to(stretch)))
}

fn worst(stretch: &[Moment]) -> f64 {
    stretch.iter().map(|moment| moment.response.p99_ms).fold(0.0, f64::max)
}

/// The most frequent failure, and when failures happened if they were not spread over the run.
fn failures(report: &Report) -> Option<String> {
    let first = report.failures.first()?;
    let all: u64 = report.failures.iter().map(|failure| failure.count).sum();
    let failing = |moment: &Moment| moment.failed > 0;
    let begin = report.timeline.iter().position(failing);
    let end = report.timeline.iter().rposition(failing);
    let when = match (begin, end) {
        (Some(begin), Some(end)) if end - begin + 1 < report.timeline.len() / 2 => {
            format!(", all of them {}", from_to(&report.timeline[begin..=end]).to_lowercase())
        }
        _ => String::new(),
    };
    let most = if report.failures.len() > 1 {
        format!("{} of {} were", figures::count(first.count), figures::of(all, "failure"))
    } else if all == 1 {
        "The only failure was".to_owned()
    } else {
        format!("All {} were", figures::of(all, "failure"))
    };
    Some(format!("{most} “{}” ({}){when}.", first.name, first.meaning))
}

/// The step that took most of the time, if its share of the requests does not explain that.
fn slowest_step(report: &Report) -> Option<String> {
    let total: f64 = report.steps.iter().map(|step| spent_ms(&step.response)).sum();
    let most = report
        .steps
        .iter()
        .max_by(|one, other| spent_ms(&one.response).total_cmp(&spent_ms(&other.response)))?;
    let (time, requests) =
        (spent_ms(&most.response) / total, most.requests as f64 / report.requests.max(1) as f64);
    (total > 0.0 && time > requests * 1.25).then(|| {
        format!(
            "The step “{}” took {} of all response time with {} of the requests.",
            most.name,
            figures::percent(time),
            figures::percent(requests)
        )
    })
}

impl Report {
    /// The times that the run was about: deliveries with sockets, else responses.
    pub(super) fn measured(&self) -> &Latencies {
        self.sockets.as_ref().map_or(&self.response, |sockets| &sockets.delivery)
    }
}

impl Moment {
    /// Whether requests were due in it and nothing came.
    pub(super) fn is_silent(&self) -> bool {
        self.offered > 0 && self.completed == 0 && self.delivered == 0
    }
}

/// Time of all of them together, in milliseconds.
pub fn spent_ms(latencies: &Latencies) -> f64 {
    latencies.mean_ms * latencies.count as f64
}

fn length(stretch: &[Moment]) -> f64 {
    match (stretch.first(), stretch.last()) {
        (Some(first), Some(last)) => last.at_s + last.width_s - first.at_s,
        _ => 0.0,
    }
}

fn from_to(stretch: &[Moment]) -> String {
    let begin = stretch.first().map_or(0.0, |first| first.at_s);
    format!("From {} to {}", figures::span(begin), figures::span(begin + length(stretch)))
}
