//! Counts by name: failures, statuses, steps, messages.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::times::{Coarse, Fine};
use crate::Nanos;
use crate::failure::Failure;

/// How often each failure occurred.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(from = "BTreeMap<Failure, u64>", into = "BTreeMap<Failure, u64>")]
pub struct Failures([u64; Failure::ALL.len()]);

impl Failures {
    /// Counts one.
    pub fn add(&mut self, failure: Failure) {
        self.0[failure.index()] += 1;
    }

    /// How often this one occurred.
    pub fn count(&self, failure: Failure) -> u64 {
        self.0[failure.index()]
    }

    /// How often any occurred.
    pub fn total(&self) -> u64 {
        self.0.iter().copied().fold(0, u64::saturating_add)
    }

    /// Those that occurred, most frequent first.
    pub fn ranked(&self) -> Vec<(Failure, u64)> {
        let mut occurred: Vec<_> = self.iter().collect();
        occurred.sort_by_key(|(failure, count)| (std::cmp::Reverse(*count), *failure));
        occurred
    }

    pub(super) fn merge(&mut self, other: &Self) {
        for (own, its) in self.0.iter_mut().zip(&other.0) {
            *own = own.saturating_add(*its);
        }
    }

    fn iter(&self) -> impl Iterator<Item = (Failure, u64)> + '_ {
        Failure::ALL.iter().map(|failure| (*failure, self.count(*failure))).filter(|(_, count)| *count > 0)
    }
}

impl From<BTreeMap<Failure, u64>> for Failures {
    fn from(counts: BTreeMap<Failure, u64>) -> Self {
        let mut failures = Self::default();
        for (failure, count) in counts {
            failures.0[failure.index()] = count;
        }
        failures
    }
}

impl From<Failures> for BTreeMap<Failure, u64> {
    fn from(failures: Failures) -> Self {
        failures.iter().collect()
    }
}

/// How often each status was answered, in order of status. A sorted list, because a target answers with few.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(from = "BTreeMap<u16, u64>", into = "BTreeMap<u16, u64>")]
pub struct Statuses(Vec<(u16, u64)>);

impl Statuses {
    /// Counts an answer. 0 stands for none and is not counted.
    pub fn add(&mut self, status: u16) {
        if status > 0 {
            self.add_many(status.min(999), 1);
        }
    }

    /// How often this one was answered.
    pub fn count(&self, status: u16) -> u64 {
        self.0.binary_search_by_key(&status, |(status, _)| *status).map_or(0, |place| self.0[place].1)
    }

    /// Those that were answered, in order.
    pub fn iter(&self) -> impl Iterator<Item = (u16, u64)> + '_ {
        self.0.iter().copied()
    }

    pub(super) fn merge(&mut self, other: &Self) {
        other.iter().for_each(|(status, count)| self.add_many(status, count));
    }

    fn add_many(&mut self, status: u16, count: u64) {
        match self.0.binary_search_by_key(&status, |(status, _)| *status) {
            Ok(place) => self.0[place].1 = self.0[place].1.saturating_add(count),
            Err(place) => self.0.insert(place, (status, count)),
        }
    }
}

impl From<BTreeMap<u16, u64>> for Statuses {
    fn from(counts: BTreeMap<u16, u64>) -> Self {
        Self(counts.into_iter().collect())
    }
}

impl From<Statuses> for BTreeMap<u16, u64> {
    fn from(statuses: Statuses) -> Self {
        statuses.0.into_iter().collect()
    }
}

/// Response times of answers by status, in order of status. As many as there are statuses, each a few ten thousand bytes.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(from = "BTreeMap<u16, Coarse>", into = "BTreeMap<u16, Coarse>")]
pub struct ByStatus(Vec<(u16, Coarse)>);

impl ByStatus {
    /// Counts an answer. Allocates for the first one of its status only; 0 stands for none and is not counted.
    pub fn add(&mut self, status: u16, response: Nanos) {
        if status > 0 {
            self.of(status.min(999)).add(response);
        }
    }

    /// The statuses that were answered, in order, and their times.
    pub fn iter(&self) -> impl Iterator<Item = (u16, &Coarse)> {
        self.0.iter().filter(|(_, times)| !times.is_empty()).map(|(status, times)| (*status, times))
    }

    pub(super) fn merge(&mut self, other: &Self) {
        other.iter().for_each(|(status, times)| self.of(status).merge(times));
    }

    /// An empty one that has its memory already where this one has it.
    pub(super) fn fresh(&self) -> Self {
        Self(self.0.iter().map(|(status, times)| (*status, times.fresh())).collect())
    }

    fn of(&mut self, status: u16) -> &mut Coarse {
        let place = match self.0.binary_search_by_key(&status, |(status, _)| *status) {
            Ok(place) => place,
            Err(place) => {
                self.0.insert(place, (status, Coarse::default()));
                place
            }
        };
        &mut self.0[place].1
    }
}

impl PartialEq for ByStatus {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl From<BTreeMap<u16, Coarse>> for ByStatus {
    fn from(times: BTreeMap<u16, Coarse>) -> Self {
        let mut by_status = Self::default();
        // A status of a foreign report has three digits too.
        for (status, times) in &times {
            by_status.of((*status).min(999)).merge(times);
        }
        by_status
    }
}

impl From<ByStatus> for BTreeMap<u16, Coarse> {
    fn from(by_status: ByStatus) -> Self {
        by_status.0.into_iter().filter(|(_, times)| !times.is_empty()).collect()
    }
}

/// What happened to the requests of one step.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct OfStep {
    /// Its name.
    pub name: String,
    /// Requests that came to an end.
    pub requests: u64,
    /// Those that succeeded.
    pub succeeded: u64,
    /// Those of them that did so before the last stage was over.
    pub succeeded_in_time: u64,
    /// Answers by status.
    pub statuses: Statuses,
    /// How the others failed.
    pub failures: Failures,
    /// From the due time to the end of the answer.
    pub response: Fine,
    /// From sending to the end of the answer.
    pub service: Fine,
}

impl OfStep {
    pub(super) fn new(name: &str) -> Self {
        Self { name: name.to_owned(), ..Self::default() }
    }

    /// Adds what happened elsewhere to the step in the same place. Of two names the first in the alphabet stays, so
    /// that the order of merging does not matter; an empty one always gives way.
    pub(super) fn merge(&mut self, other: &Self) {
        if self.name.is_empty() || (!other.name.is_empty() && other.name < self.name) {
            self.name.clone_from(&other.name);
        }
        self.requests = self.requests.saturating_add(other.requests);
        self.succeeded = self.succeeded.saturating_add(other.succeeded);
        self.succeeded_in_time = self.succeeded_in_time.saturating_add(other.succeeded_in_time);
        self.statuses.merge(&other.statuses);
        self.failures.merge(&other.failures);
        self.response.merge(&other.response);
        self.service.merge(&other.service);
    }

    /// An empty one that has its memory already where this one has it.
    pub(super) fn fresh(&self) -> Self {
        Self {
            name: self.name.clone(),
            statuses: Statuses(Vec::with_capacity(self.statuses.0.len())),
            response: self.response.fresh(),
            service: self.service.fresh(),
            ..Self::default()
        }
    }
}

/// Messages and losses of connections.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct OfSockets {
    /// Connections that stood and were lost, or ended by the target.
    pub disconnected: u64,
    /// Messages sent.
    pub published: u64,
    /// Messages without a mark that arrived.
    pub received: u64,
    /// Deliveries that were due and did not come.
    pub lost: u64,
    /// Deliveries that came twice.
    pub duplicated: u64,
    /// Deliveries that came after a later one.
    pub reordered: u64,
    /// From sending to receiving, of marked messages.
    pub delivery: Fine,
}

impl OfSockets {
    pub(super) fn merge(&mut self, other: &Self) {
        let pairs = [
            (&mut self.disconnected, other.disconnected),
            (&mut self.published, other.published),
            (&mut self.received, other.received),
            (&mut self.lost, other.lost),
            (&mut self.duplicated, other.duplicated),
            (&mut self.reordered, other.reordered),
        ];
        for (own, its) in pairs {
            *own = own.saturating_add(its);
        }
        self.delivery.merge(&other.delivery);
    }
}
