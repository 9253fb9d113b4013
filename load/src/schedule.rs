//! When things are due: stages to exact moments, without any clock.

use crate::Nanos;
use crate::plan::{Part, Spacing, Stage};

/// The arrivals of the open model that fall to one part: due times in order.
///
/// A stage of D seconds from r0 to r1 per second has had r0·t + (r1−r0)·t²/2D arrivals after t seconds; arrival i is
/// due when that reaches i. With [`Spacing::Poisson`] the same curve is walked in exponential steps.
#[derive(Clone, Debug)]
pub struct Arrivals {}

impl Arrivals {
    /// The arrivals of `part`. `requests`: most of them over all parts.
    pub fn new(
        _stages: &[Stage],
        _spacing: Spacing,
        _requests: Option<u64>,
        _part: Part,
        _seed: u64,
    ) -> Self {
        todo!()
    }
}

impl Iterator for Arrivals {
    /// The number of the arrival among those of all parts, and its due time.
    type Item = (u64, Nanos);
    fn next(&mut self) -> Option<(u64, Nanos)> {
        todo!()
    }
}

/// The level of the stages at a moment: users of the closed model, open sockets. Past the end: the last level.
pub fn level(_stages: &[Stage], _at: Nanos) -> f64 {
    todo!()
}

/// How long all stages take.
pub fn length(_stages: &[Stage]) -> Nanos {
    todo!()
}
