//! Surges in words.

use super::{plain, uptime};
use crate::status::SurgeStatus;

/// Surges, one in each line.
pub fn surges(surges: &[SurgeStatus]) -> String {
    if surges.is_empty() {
        return "the configuration has no surge profile\n".to_owned();
    }
    surges.iter().map(|surge| line(surge) + "\n").collect()
}

/// Which it is, whether it is on and for how long, and what it tightens.
pub(super) fn line(surge: &SurgeStatus) -> String {
    let name = plain(&surge.profile);
    let state = match (surge.on_ms, surge.left_ms) {
        (None, _) => "off".to_owned(),
        (Some(on), None) => format!("on for {}", uptime(on)),
        (Some(on), Some(left)) => format!("on for {}, {} left", uptime(on), uptime(left)),
    };
    format!("surge {name}: {state}; {}", plain(&surge.tightens))
}
