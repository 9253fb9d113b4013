//! How much is asked: model, stages, users.

use std::time::Duration;

use config::read::Key;
use config::{Count, Shortened};
use toml::Spanned;

use super::super::file::{self, File, ModelWord, SpacingWord};
use super::super::value::PerSecond;
use super::super::{MAX_USERS, USERS_UP_TO};
use super::Lowering;
use crate::plan::{Model, Spacing, Stage, Users};

/// What the levels of the stages are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    /// Requests or flows per second.
    Open,
    /// Users.
    Closed,
    /// Open sockets.
    Sockets,
}

impl Kind {
    /// The key of a stage that gives its level.
    const fn key(self) -> &'static str {
        match self {
            Self::Open => "rate",
            Self::Closed => "users",
            Self::Sockets => "connections",
        }
    }

    const fn what(self) -> &'static str {
        match self {
            Self::Open => "the open model",
            Self::Closed => "the closed model",
            Self::Sockets => "a websocket",
        }
    }

    const fn example(self) -> &'static str {
        match self {
            Self::Open => "rate = \"100/s\"",
            Self::Closed => "users = 10",
            Self::Sockets => "connections = 1000",
        }
    }
}

/// A level that changes within a stage, whatever its unit.
struct Shape {
    from: f64,
    to: Option<f64>,
    steps: Option<u64>,
    spike: Option<f64>,
}

impl Lowering<'_> {
    /// What is loaded, and that it is not two things at once.
    pub(super) fn kind(&mut self, file: &File) -> Kind {
        let closed = file.model() == ModelWord::Closed;
        let Some(span) = file.websocket.span() else {
            return if closed { Kind::Closed } else { Kind::Open };
        };
        let exclusive = [
            ("step", file.step.span()),
            ("flow", file.flow.span()),
            ("model", file.model.span()),
            ("spacing", file.spacing.span()),
            ("requests", file.requests.span()),
            ("keep_alive", file.keep_alive.span()),
        ];
        for (key, at) in exclusive {
            if let Some(at) = at {
                let diagnostic =
                    config::Diagnostic::error(at, format!("{key} has no meaning beside a websocket"));
                let help = format!("leave {key} out, or load sockets in a scenario of their own");
                self.report(diagnostic.note(span.clone(), "the websocket").help(help));
            }
        }
        Kind::Sockets
    }

    pub(super) fn model(&mut self, file: &File, kind: Kind) -> Model {
        if kind == Kind::Closed {
            if let Some(span) = file.spacing.span() {
                self.error(
                    span,
                    "in the closed model nothing is due, so there is no spacing",
                    "leave spacing out",
                );
            }
            return Model::Closed;
        }
        Model::Open(match file.spacing() {
            SpacingWord::Even => Spacing::Even,
            SpacingWord::Poisson => Spacing::Poisson,
        })
    }

    pub(super) fn users(&mut self, file: &File, kind: Kind, stages: &[Stage]) -> Users {
        if kind == Kind::Open {
            let Some(Shortened(crowd)) = file.users.get() else { return Users::UpTo(USERS_UP_TO) };
            if let (Some(_), Some(span)) = (crowd.exactly.get(), crowd.up_to.span()) {
                self.error(span, "exactly and up_to contradict each other", "write one of them");
            }
            return match crowd.exactly.get() {
                Some(exactly) => Users::Exactly(exactly.0 as u32),
                None => Users::UpTo(crowd.up_to().0 as u32),
            };
        }
        if let Some(span) = file.users.span() {
            let help = format!("leave it out, and write {} in each stage", kind.example());
            self.error(span, format!("with {}, the stages say how many", kind.what()), help);
        }
        let most = stages.iter().flat_map(|stage| [stage.from, stage.to]).fold(1.0, f64::max);
        Users::Exactly(most as u32)
    }

    /// The stages; never empty.
    pub(super) fn stages(&mut self, file: &File, kind: Kind) -> Vec<Stage> {
        let written = file.stage.get().map(|list| list.0.as_slice()).unwrap_or_default();
        if written.is_empty() && !file.stage.is_refused() {
            let help = format!("add [[stage]] with for = \"30s\" and {}", kind.example());
            self.error(file.stage.span(), "the scenario has no stage", help);
        }
        let mut stages = Vec::new();
        for stage in written {
            self.stage(stage, kind, &mut stages);
        }
        if stages.is_empty() {
            stages.push(Stage { name: String::new(), duration: Duration::from_secs(1), from: 0.0, to: 0.0 });
        } else if stages.iter().all(|stage| stage.from <= 0.0 && stage.to <= 0.0)
            && self.diagnostics.is_empty()
        {
            let help = format!("write {} in a stage", kind.example());
            self.error(file.stage.span(), "no stage asks for anything", help);
        }
        stages
    }

    fn stage(&mut self, written: &Spanned<file::Stage>, kind: Kind, stages: &mut Vec<Stage>) {
        let stage = written.get_ref();
        let levels = [
            (Kind::Open, stage.rate.span()),
            (Kind::Closed, stage.users.span()),
            (Kind::Sockets, stage.connections.span()),
        ];
        for (other, span) in levels {
            if let Some(span) = span.filter(|_| other != kind) {
                let what = format!("{} is for {}, and this is {}", other.key(), other.what(), kind.what());
                self.error(span, what, format!("write {} instead", kind.example()));
            }
        }
        let shape = match kind {
            Kind::Open => stage.rate.written().map(|rate| (rate.span(), rate_shape(&rate.get_ref().0))),
            Kind::Closed => {
                stage.users.written().map(|count| (count.span(), count_shape(&count.get_ref().0)))
            }
            Kind::Sockets => {
                stage.connections.written().map(|count| (count.span(), count_shape(&count.get_ref().0)))
            }
        };
        let Some((span, shape)) = shape else {
            if !stage.has_mistakes && levels_are_absent(stage) {
                self.error(
                    written.span(),
                    format!("the stage has no {}", kind.key()),
                    format!("add {}", kind.example()),
                );
            }
            return;
        };
        if shape.spike.is_some() && (shape.to.is_some() || shape.steps.is_some()) {
            self.error(span, "a spike comes back to where it began", "leave to and steps out, or spike");
            return;
        }
        if shape.steps.is_some() && shape.to.is_none() {
            self.error(span, "steps lead nowhere without to", "add to, the level of the last step");
            return;
        }
        let Some(length) = stage.length.get() else { return };
        let name = stage.name.get().cloned();
        shape.lay_out(name, length.0, kind, stages);
    }
}

fn levels_are_absent(stage: &file::Stage) -> bool {
    stage.rate.is_absent() && stage.users.is_absent() && stage.connections.is_absent()
}

fn rate_shape(shape: &file::RateShape) -> Shape {
    let level = |key: &Key<PerSecond>| key.get().map(|rate| rate.0);
    let steps = shape.steps.get().map(|steps| steps.0);
    Shape {
        from: level(&shape.from).unwrap_or_default(),
        to: level(&shape.to),
        steps,
        spike: level(&shape.spike),
    }
}

fn count_shape(shape: &file::CountShape) -> Shape {
    let level = |key: &Key<Count<0, { MAX_USERS as u64 }>>| key.get().map(|count| count.0 as f64);
    let steps = shape.steps.get().map(|steps| steps.0);
    Shape {
        from: level(&shape.from).unwrap_or_default(),
        to: level(&shape.to),
        steps,
        spike: level(&shape.spike),
    }
}

impl Shape {
    /// Appends the stages of a plan that this is: one for a constant level or a ramp, several for a staircase, three
    /// for a spike.
    fn lay_out(&self, name: Option<String>, length: Duration, kind: Kind, stages: &mut Vec<Stage>) {
        let unit = if kind == Kind::Open { "/s" } else { "" };
        let mut add = |name: String, duration, from, to| stages.push(Stage { name, duration, from, to });
        let level = |level: f64| format!("{level}{unit}");
        let to = self.to.unwrap_or(self.from);
        if let Some(spike) = self.spike {
            let name = |part: &str, at| format!("{} {part}", name.clone().unwrap_or_else(|| level(at)));
            let third = length / 3;
            add(name("before", self.from), third, self.from, self.from);
            add(name("spike", spike), third, spike, spike);
            add(name("after", self.from), length.saturating_sub(third * 2), self.from, self.from);
        } else if let Some(steps) = self.steps {
            let each = length / steps as u32;
            for step in 0..steps {
                let at = self.from + (to - self.from) * step as f64 / (steps - 1) as f64;
                let at = if kind == Kind::Open { at } else { at.round() };
                let name =
                    name.as_ref().map_or_else(|| level(at), |name| format!("{name} {}/{steps}", step + 1));
                let is_last = step + 1 == steps;
                let duration = if is_last { length.saturating_sub(each * step as u32) } else { each };
                add(name, duration, at, at);
            }
        } else {
            let is_level = (to - self.from).abs() < f64::EPSILON;
            let usual =
                || if is_level { level(to) } else { format!("{} to {}", level(self.from), level(to)) };
            add(name.unwrap_or_else(usual), length, self.from, to);
        }
    }
}
