//! When sockets open and close: the stages as moments, one socket at a time.
//!
//! Socket `i`, counted over all parts, is wanted from the moment at which the level rises to `i + 1` until it falls to
//! `i`. So sockets open in order, each at its exact moment, the newest close first, and one that opens at the top of a
//! ramp is not closed in the same instant.

use crate::Nanos;
use crate::plan::{Part, Stage};

/// A socket that the stages want from now on, or no longer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Turn {
    /// It is to be opened.
    Open,
    /// It is to be closed.
    Close,
}

/// The turns of the sockets of one part, in order of time: when, what, and the number of the socket over all parts.
#[derive(Clone, Debug)]
pub(crate) struct Ramp {
    stages: Vec<Stage>,
    part: Part,
    /// Position in the stages.
    stage: usize,
    /// Whether the level has jumped to where the line of this stage begins.
    is_on_line: bool,
    /// When this stage began.
    began: Nanos,
    /// Sockets wanted now, over all parts.
    wanted: u32,
    /// How many may still be opened, over all parts.
    left: u64,
}

impl Ramp {
    /// The turns that fall to `part`. `requests`: most openings over all parts; later ones are left out.
    pub(crate) fn new(stages: &[Stage], requests: Option<u64>, part: Part) -> Self {
        let left = requests.unwrap_or(u64::MAX);
        Self { stages: stages.to_vec(), part, stage: 0, is_on_line: false, began: 0, wanted: 0, left }
    }

    /// The next turn of any part.
    fn step(&mut self) -> Option<(Nanos, Turn, u32)> {
        loop {
            let stage = self.stages.get(self.stage)?;
            let goal = if self.is_on_line { stage.to } else { stage.from };
            let wanted = f64::from(self.wanted);
            let length = stage.duration.as_nanos() as f64;
            let moment = |level: f64| {
                let share =
                    if self.is_on_line { (level - stage.from) / (stage.to - stage.from) } else { 0.0 };
                self.began + (share * length) as Nanos
            };
            if wanted + 1.0 <= goal {
                let at = moment(wanted + 1.0);
                self.wanted += 1;
                return Some((at, Turn::Open, self.wanted - 1));
            }
            if wanted - 1.0 >= goal {
                let at = moment(wanted - 1.0);
                self.wanted -= 1;
                return Some((at, Turn::Close, self.wanted));
            }
            if self.is_on_line {
                self.began += stage.duration.as_nanos() as Nanos;
                self.stage += 1;
            }
            self.is_on_line = !self.is_on_line;
        }
    }
}

impl Iterator for Ramp {
    type Item = (Nanos, Turn, u32);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let (at, turn, socket) = self.step()?;
            if turn == Turn::Open {
                if self.left == 0 {
                    continue;
                }
                self.left -= 1;
            }
            if socket % self.part.of == self.part.index {
                return Some((at, turn, socket));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use proptest::prelude::*;

    const ALL: Part = Part { index: 0, of: 1 };
    const SECOND: Nanos = 1_000_000_000;

    fn stage(seconds: u64, from: f64, to: f64) -> Stage {
        Stage { name: String::new(), duration: Duration::from_secs(seconds), from, to }
    }

    #[test]
    fn a_rising_line_opens_each_socket_at_its_moment() {
        let turns: Vec<_> = Ramp::new(&[stage(4, 0.0, 4.0)], None, ALL).collect();
        let due = |socket: u32| (Nanos::from(socket + 1) * SECOND, Turn::Open, socket);
        assert_eq!(turns, [due(0), due(1), due(2), due(3)]);
    }

    #[test]
    fn a_level_jumps_and_the_newest_close_first() {
        let turns: Vec<_> = Ramp::new(&[stage(1, 3.0, 3.0), stage(2, 3.0, 1.0)], None, ALL).collect();
        assert_eq!(
            turns,
            [
                (0, Turn::Open, 0),
                (0, Turn::Open, 1),
                (0, Turn::Open, 2),
                (2 * SECOND, Turn::Close, 2),
                (3 * SECOND, Turn::Close, 1),
            ]
        );
    }

    #[test]
    fn openings_end_at_the_number_of_requests() {
        let stages = [stage(1, 5.0, 5.0), stage(1, 0.0, 5.0)];
        let opened = |part| Ramp::new(&stages, Some(7), part).filter(|turn| turn.1 == Turn::Open).count();
        assert_eq!(opened(ALL), 7);
        assert_eq!(opened(Part { index: 0, of: 2 }) + opened(Part { index: 1, of: 2 }), 7);
    }

    proptest! {
        #[test]
        fn turns_are_in_order_and_follow_the_level(
            levels in prop::collection::vec((1u64..5, 0u32..50, 0u32..50), 1..6), of in 1u32..4,
        ) {
            let stages: Vec<_> =
                levels.iter().map(|&(seconds, from, to)| stage(seconds, from.into(), to.into())).collect();
            let mut all: Vec<_> =
                (0..of).flat_map(|index| Ramp::new(&stages, None, Part { index, of })).collect();
            all.sort_by_key(|&(at, ..)| at);
            let whole: Vec<_> = Ramp::new(&stages, None, ALL).collect();
            prop_assert!(whole.is_sorted_by_key(|&(at, ..)| at));
            prop_assert_eq!(all.len(), whole.len());
            let mut began = 0;
            for (stage, &(seconds, from, to)) in stages.iter().zip(&levels) {
                for quarter in 1..4u64 {
                    let at = began + seconds * SECOND * quarter / 4;
                    let level = f64::from(from) + (f64::from(to) - f64::from(from)) * quarter as f64 / 4.0;
                    let open: i64 = whole.iter().filter(|turn| turn.0 <= at)
                        .map(|turn| if turn.1 == Turn::Open { 1 } else { -1 }).sum();
                    prop_assert!((level - open as f64).abs() <= 1.0 + 1e-6, "{} for {}", open, level);
                }
                began += stage.duration.as_nanos() as Nanos;
            }
        }
    }
}
