//! The surge switch: a profile of the configuration that tightens what is in force, for as long as it is on.
//!
//! ```text
//!              on, or a reload while one is on
//!   Plan ─────────────────────────────────────────▶ Plan::under ─▶ Live, which keeps the plan as the file says it
//!    ▲                                                              │
//!    └─────────────── off, its time is over, its profile is gone ───┘
//! ```
//!
//! Switching is a reload with another plan: requests in flight finish as they began, counters, queues, lines and what
//! limits know of their keys go on, and the way of a request costs nothing more.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use cache::UnixMs;
use config::Plan;
use config::read::nearest;
use signals::Signals;
use traffic::route::Conflict;

use crate::core::{Shared, unix_ms};
use crate::live::Live;
use crate::state;

/// How often the clock is asked whether the time of a surge is over: a machine that slept has missed its timer.
const LOOK: Duration = Duration::from_secs(1);

/// A surge that is on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct On {
    /// Name of its profile.
    pub profile: String,
    /// Since when.
    pub since_ms: UnixMs,
    /// When it ends by itself; `None` is not before it is switched off.
    pub until_ms: Option<UnixMs>,
}

impl On {
    /// How long it stays on, if that is said.
    pub fn left(&self, now_ms: UnixMs) -> Option<Duration> {
        self.until_ms.map(|until| Duration::from_millis(until.saturating_sub(now_ms)))
    }
}

/// What is in force is so under a surge.
#[derive(Debug)]
pub struct Surge {
    /// Which, and for how long.
    pub on: On,
    /// The plan as the file says it.
    usual: Plan,
}

/// Why no surge is switched on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum No {
    /// The configuration has no profile.
    Nothing,
    /// None was named, and there are several.
    Which(Vec<String>),
    /// There is none of this name.
    Unknown(String, Vec<String>),
}

impl fmt::Display for No {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => {
                f.write_str("the configuration has no surge profile; add [surge.NAME] to it and reload")
            }
            Self::Which(known) => write!(f, "which surge? there are: {}", known.join(", ")),
            Self::Unknown(name, known) => {
                write!(f, "no surge is called {name:?}; ")?;
                let words: Vec<&str> = known.iter().map(String::as_str).collect();
                match nearest(name, &words) {
                    Some(near) => write!(f, "did you mean {near:?}?"),
                    None => write!(f, "there are: {}", known.join(", ")),
                }
            }
        }
    }
}

/// Lets one change of what is in force happen at a time, and keeps what a restart has to know.
#[derive(Debug)]
pub struct Switch {
    one: Mutex<()>,
    path: Option<PathBuf>,
}

/// A change of what is in force, alone.
pub struct Change<'a> {
    shared: &'a Shared,
    /// What is in force until the change is finished.
    pub before: Arc<Live>,
    _one: MutexGuard<'a, ()>,
}

impl Switch {
    /// A switch that keeps its state in this folder.
    pub fn new(state: Option<&Path>) -> Self {
        Self { one: Mutex::default(), path: state.map(path) }
    }

    /// Writes down which surge is on.
    fn keep(&self, on: Option<&On>) {
        let Some(path) = &self.path else { return };
        let kept = match on {
            Some(on) => state::replace(path, &text(on)),
            None => std::fs::remove_file(path).or_else(|error| match error.kind() {
                io::ErrorKind::NotFound => Ok(()),
                _ => Err(error),
            }),
        };
        if let Err(error) = kept {
            tracing::error!("a restart will not know of the surge: cannot write {}: {error}", path.display());
        }
    }
}

impl Shared {
    /// Begins a change of what is in force; others wait until it is over.
    pub fn change(&self) -> Change<'_> {
        let one = self.surge.one.lock().unwrap_or_else(PoisonError::into_inner);
        Change { shared: self, before: self.live(), _one: one }
    }

    /// Says what has become of the surge that the last process has left on; the configuration may have it no more.
    pub fn take_over(&self, kept: &On) {
        if self.live().surge.is_some() {
            tracing::warn!("surge {} is on, as the last process has left it", kept.profile);
        } else {
            tracing::warn!("surge {0} is off, for there is no [surge.{0}] any more", kept.profile);
            self.surge.keep(None);
        }
    }
}

impl Live {
    /// The surge that is on.
    pub fn surge_on(&self) -> Option<&On> {
        self.surge.as_ref().map(|surge| &surge.on)
    }

    /// What it tightens, in words.
    pub fn tightens(&self, on: &On) -> String {
        self.plan.surge(&on.profile).map(|surge| self.plan.tightens(surge)).unwrap_or_default()
    }
}

impl Change<'_> {
    /// What another configuration makes, under the surge that is on if it has its profile.
    ///
    /// # Errors
    /// Two routes that match the same requests.
    pub fn reloaded(&self, plan: Plan) -> Result<Live, Conflict> {
        let on = self.before.surge_on().cloned();
        build(plan, on, &self.shared.signals, Some(&self.before))
    }

    /// Puts it in force. Gives the surge that is over by this.
    pub fn finish(self, live: Live) -> Option<On> {
        let (before, now) = (self.before.surge_on().cloned(), live.surge_on().cloned());
        self.shared.replace(live);
        if before != now {
            self.shared.surge.keep(now.as_ref());
        }
        before.filter(|_| now.is_none())
    }

    /// The plan as the file says it, whatever is on.
    fn usual(&self) -> Plan {
        self.before.surge.as_ref().map_or(&self.before.plan, |surge| &surge.usual).clone()
    }

    /// Puts the same configuration in force under this surge, or none.
    fn switch(self, on: Option<On>) -> Option<On> {
        let live = build(self.usual(), on, &self.shared.signals, Some(&self.before))
            .expect("routes that are in force do not match the same requests");
        self.finish(live)
    }
}

/// What a plan makes under a surge; without it, where the plan has no such profile.
///
/// # Errors
/// Two routes that match the same requests.
pub fn build(plan: Plan, on: Option<On>, signals: &Signals, before: Option<&Live>) -> Result<Live, Conflict> {
    let under = on.and_then(|on| Some((plan.under(plan.surge(&on.profile)?), on)));
    match under {
        Some((tightened, on)) => {
            let live = Live::build(tightened, signals, before)?;
            Ok(Live { surge: Some(Surge { on, usual: plan }), ..live })
        }
        None => Live::build(plan, signals, before),
    }
}

/// Switches a profile on, for so long: the one of this name, or the only one. Gives what is on now, and what was before.
///
/// # Errors
/// There is no such profile.
pub fn on(shared: &Shared, profile: Option<&str>, lasts: Option<Duration>) -> Result<(On, Option<On>), No> {
    let change = shared.change();
    let known = || change.before.plan.surges.iter().map(|surge| surge.name.clone()).collect();
    let profile = match (profile, &change.before.plan.surges[..]) {
        (_, []) => return Err(No::Nothing),
        (Some(name), _) if change.before.plan.surge(name).is_none() => {
            return Err(No::Unknown(name.to_owned(), known()));
        }
        (Some(name), _) => name.to_owned(),
        (None, [only]) => only.name.clone(),
        (None, _) => return Err(No::Which(known())),
    };
    let now_ms = shared.unix_ms();
    let before = change.before.surge_on().cloned();
    let since_ms = before.as_ref().filter(|on| on.profile == profile).map_or(now_ms, |on| on.since_ms);
    let until_ms = lasts.map(|lasts| now_ms.saturating_add(lasts.as_millis() as u64));
    let on = On { profile, since_ms, until_ms };
    change.switch(Some(on.clone()));
    Ok((on, before))
}

/// Switches off what is on, and gives what that was.
pub fn off(shared: &Shared) -> Option<On> {
    let change = shared.change();
    if change.before.surge.is_some() { change.switch(None) } else { None }
}

/// Waits until the time of the surge that is on is over, and switches it off. Whoever switches has to begin this anew.
pub async fn over(shared: &Shared) {
    loop {
        let until_ms = shared.live().surge_on().and_then(|on| on.until_ms);
        let Some(until_ms) = until_ms else { return std::future::pending().await };
        let left = Duration::from_millis(until_ms.saturating_sub(shared.unix_ms()));
        if left.is_zero() {
            let change = shared.change();
            // It may have been given more time a moment ago.
            let is_over = |on: &On| on.until_ms.is_some_and(|until| until <= shared.unix_ms());
            if change.before.surge_on().is_some_and(is_over)
                && let Some(on) = change.switch(None)
            {
                tracing::info!("surge {}: its time is over, it is off", on.profile);
                return;
            }
        } else {
            tokio::time::sleep(left.min(LOOK)).await;
        }
    }
}

/// The surge that the last process has left on, if its time is not over.
pub fn kept(state: Option<&Path>) -> Option<On> {
    let path = path(state?);
    match state::read(&path, parse) {
        Ok(on) => on.filter(|on| on.until_ms.is_none_or(|until| until > unix_ms(SystemTime::now()))),
        Err(error) => {
            tracing::error!("no surge is on: cannot read {}: {error}", path.display());
            None
        }
    }
}

/// What is tightened now, in words; `None` while no surge is on.
pub fn explain(live: &Live, now_ms: Option<UnixMs>) -> Option<String> {
    let on = live.surge_on()?;
    let left = now_ms.and_then(|now_ms| on.left(now_ms));
    let left = left.map_or_else(String::new, |left| format!(" for another {left:.0?}"));
    Some(format!("{} is on{left}: {}", on.profile, live.tightens(on)))
}

fn path(state: &Path) -> PathBuf {
    state.join("surge")
}

/// The file's text.
fn text(on: &On) -> String {
    let On { profile, since_ms, until_ms } = on;
    let until = until_ms.map_or_else(|| "none".to_owned(), |until| until.to_string());
    format!(
        "# The surge that is on, kept by Tidegate.\nprofile = {profile}\nsince_ms = {since_ms}\nuntil_ms = {until}\nend\n"
    )
}

/// Reads it; `None` is anything but a whole one.
fn parse(text: &str) -> Option<On> {
    let mut lines = text.lines().filter(|line| !line.starts_with('#'));
    let mut value = |name: &str| lines.next()?.strip_prefix(name)?.strip_prefix(" = ");
    let profile = value("profile")?.to_owned();
    let since_ms = value("since_ms")?.parse().ok()?;
    let until_ms = match value("until_ms")? {
        "none" => None,
        until => Some(until.parse().ok()?),
    };
    (lines.next() == Some("end")).then_some(On { profile, since_ms, until_ms })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_reads_back_and_half_of_it_does_not() {
        for until_ms in [None, Some(1_800_000_000_000)] {
            let on = On { profile: "sale".to_owned(), since_ms: 1_700_000_000_000, until_ms };
            let text = text(&on);
            assert_eq!(parse(&text), Some(on));
            assert!((0..text.len() - 1).all(|end| parse(&text[..end]).is_none()));
        }
    }

    #[test]
    fn an_unknown_name_is_answered_with_the_nearest_or_with_all() {
        let known = || vec!["night".to_owned(), "sale".to_owned()];
        assert_eq!(
            No::Unknown("sael".to_owned(), known()).to_string(),
            "no surge is called \"sael\"; did you mean \"sale\"?"
        );
        assert_eq!(
            No::Unknown("x".to_owned(), known()).to_string(),
            "no surge is called \"x\"; there are: night, sale"
        );
        assert_eq!(No::Which(known()).to_string(), "which surge? there are: night, sale");
    }
}
