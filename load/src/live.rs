//! What is shown while a run goes on, on standard error: a view of the whole terminal, or plain lines where there is
//! none. Whatever happens to the terminal, the run goes on; and whatever happens to the run, the terminal is given
//! back.

mod course;
mod lines;
mod screen;
mod terminal;
mod window;

use std::collections::VecDeque;
use std::io::{IsTerminal, Write};

use crate::Nanos;
use crate::plan::Plan;
use crate::record::Record;
use course::Course;
use lines::Lines;
use screen::Shown;
use terminal::Held;
use window::Window;

/// How a run is shown.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Form {
    /// A view that takes the whole terminal until the run ends.
    Screen,
    /// A line every second, and after ten seconds every five.
    Lines,
    /// Not at all.
    Silent,
}

impl Form {
    /// The one that fits to standard error: a screen on a terminal that can do more than print.
    pub fn fitting() -> Self {
        let dumb = std::env::var_os("TERM").is_none_or(|term| term.is_empty() || term == "dumb");
        if std::io::stderr().is_terminal() && !dumb { Self::Screen } else { Self::Lines }
    }
}

/// What the person in front of the terminal wants.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub enum Wish {
    /// Nothing in particular.
    GoOn,
    /// The run is to end now, and to report what it has (q or Ctrl-C).
    End,
}

/// Shows a run that goes on.
pub struct Live {
    course: Course,
    /// When [`Live::update`] was called last.
    updated: Nanos,
    output: Output,
}

enum Output {
    Screen { held: Box<Held>, recent: VecDeque<Window> },
    Lines(Lines),
    Silent,
}

/// How much of the past counts as now: long enough that reports which come every half second from every thread even
/// out.
const NOW: Nanos = 2_000_000_000;

impl Live {
    /// Begins to show a run of `plan`. A terminal that cannot be taken gets lines instead.
    pub fn new(plan: &Plan, form: Form) -> Self {
        let output = match form {
            Form::Screen => match Held::take() {
                Ok(held) => Output::Screen { held: Box::new(held), recent: VecDeque::new() },
                Err(_) => Output::Lines(Lines::default()),
            },
            Form::Lines => Output::Lines(Lines::default()),
            Form::Silent => Output::Silent,
        };
        Self { course: Course::new(plan), updated: 0, output }
    }

    /// Shows how it goes. `total`: everything up to now; `recent`: what was added since the last call. To be called
    /// about twice a second.
    pub fn update(&mut self, elapsed: Nanos, total: &Record, recent: &Record) -> Wish {
        let window = Window::new(elapsed.saturating_sub(self.updated), recent, self.course.sockets);
        self.updated = elapsed;
        match &mut self.output {
            Output::Silent => Wish::GoOn,
            Output::Lines(lines) => {
                if let Some(line) = lines.add(&self.course, elapsed, total, &window) {
                    // Nobody reads it: that is no reason to end the run.
                    let _ = writeln!(std::io::stderr(), "{line}");
                }
                Wish::GoOn
            }
            Output::Screen { held, recent } => {
                recent.push_back(window);
                while recent.iter().skip(1).map(|window| window.took).sum::<Nanos>() >= NOW {
                    recent.pop_front();
                }
                let mut now = Window::default();
                for window in recent.iter() {
                    now.add(window);
                }
                let shown = Shown { course: &self.course, elapsed, total, now: &now };
                held.draw(|frame| shown.draw(frame));
                Held::wish()
            }
        }
    }

    /// Ends the view and gives the terminal back.
    pub fn finish(self) {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::Failure;
    use crate::record::{Done, Event, Recorder};

    const MS: Nanos = 1_000_000;

    /// What was recorded up to `until` of a run of 100 requests per second, of which each thirtieth fails between
    /// second 20 and second 25, when answers take ten times as long.
    pub(super) fn run(until: Nanos) -> Record {
        let mut recorder = Recorder::new(&["list".to_owned(), "detail".to_owned()]);
        for number in 0..until / (10 * MS) {
            let due = number * 10 * MS;
            let slow = (2_000..2_500).contains(&number);
            let took = (MS + number % 17 * MS / 4) * if slow { 10 } else { 1 };
            let fails = slow && number % 30 == 0;
            recorder.due(due, 20_000);
            recorder.open(due, 4 + (number / 100 % 5) as u32 * if slow { 8 } else { 1 });
            recorder.done(&Done {
                step: (number % 2) as u16,
                due,
                sent: Some(due),
                at: due + took,
                status: if fails { 503 } else { 200 },
                outcome: if fails { Err(Failure::Status) } else { Ok(()) },
                received_bytes: 1_200,
                sent_bytes: 90,
            });
        }
        recorder.take()
    }

    /// Sockets that rise by 50 each second, with 100 messages a second to them.
    pub(super) fn sockets(until: Nanos) -> Record {
        let mut recorder = Recorder::new(&["room".to_owned()]);
        for number in 0..until / (10 * MS) {
            let at = number * 10 * MS;
            recorder.open(at, number as u32 / 2);
            recorder.event(at, Event::Delivered { took: MS + number % 11 * MS / 2 });
            if number % 150 == 149 {
                recorder.event(at, Event::Lost(2));
                recorder.event(at, Event::Disconnected);
            }
        }
        recorder.take()
    }

    #[test]
    fn a_silent_run_shows_nothing_and_wishes_nothing() {
        let mut live = Live { course: course::tests::course(), updated: 0, output: Output::Silent };
        let record = run(1_000 * MS);
        assert_eq!(live.update(1_000 * MS, &record, &record), Wish::GoOn);
        live.finish();
    }
}
