//! Surges: what is tightened while one is on, and the plan that then holds.

use core::time::Duration;
use std::sync::Arc;

use traffic::endpoint::Concurrency;
use traffic::limit::Rule;
use traffic::queue::Priority;

use super::{Limit, Plan};

/// What is tightened while a surge is on.
#[derive(Clone, PartialEq, Debug)]
pub struct Surge {
    /// Its name; unique.
    pub name: String,
    /// Share of every limit's rate, burst and requests in flight, above 0 and below 1.
    pub limits: Option<f64>,
    /// New connections of one client by time.
    pub connection_rate: Option<Rule>,
    /// Most requests that wait for a slot.
    pub queue_limit: Option<usize>,
    /// Longest wait for a slot.
    pub queue_timeout: Option<Duration>,
    /// Share of the rate of every waiting room that is there without a surge too, above 0 and below 1.
    pub waiting_rooms: Option<f64>,
    /// Requests of this priority and of lower ones are refused.
    pub shed: Option<Priority>,
}

impl Plan {
    /// The profile of this name.
    pub fn surge(&self, name: &str) -> Option<&Surge> {
        self.surges.iter().find(|surge| surge.name == name)
    }

    /// What holds while this surge is on: nothing in it is looser than without.
    #[must_use]
    pub fn under(&self, surge: &Surge) -> Self {
        let mut plan = self.clone();
        if let Some(share) = surge.limits {
            let routes = plan.routes.iter_mut().map(|route| &mut route.limit);
            let all = routes.chain([&mut plan.server.limit]).flatten();
            all.for_each(|limit| *limit = scaled(limit, share));
        }
        let connections = &mut plan.server.limits.connection_rate;
        *connections = surge.connection_rate.or(*connections);
        for queue in plan.upstreams.iter_mut().map(|upstream| &mut upstream.traffic.queue) {
            if queue.concurrency == Concurrency::Unlimited {
                continue;
            }
            queue.limit = surge.queue_limit.map_or(queue.limit, |limit| limit.min(queue.limit));
            queue.timeout = surge.queue_timeout.map_or(queue.timeout, |timeout| timeout.min(queue.timeout));
            queue.target = queue.target.min(queue.timeout);
        }
        for room in plan.rooms.iter_mut().filter(|room| !room.is_for_surges) {
            room.settings.rate *= surge.waiting_rooms.unwrap_or(1.0);
        }
        for route in &mut plan.routes {
            route.room = route.room.or(route.surge_room);
        }
        plan.shed = surge.shed;
        plan
    }

    /// Whether requests of this priority get no slot, for a surge sheds them.
    pub fn sheds(&self, priority: Priority) -> bool {
        self.shed.is_some_and(|shed| priority >= shed)
    }

    /// What a surge tightens, in words.
    pub fn tightens(&self, surge: &Surge) -> String {
        let Surge { limits, connection_rate, queue_limit, queue_timeout, waiting_rooms, shed, name: _ } =
            surge;
        let shed = shed.map(|shed| match shed {
            Priority::Low => "low priority is refused".to_owned(),
            _ => "all but critical priority is refused".to_owned(),
        });
        let rooms = self.rooms.iter().filter(|room| room.is_for_surges);
        let said = [
            limits.map(|share| format!("limits times {share}")),
            connection_rate.map(|rule| {
                let (count, within) = (rule.burst(), rule.fills_within());
                format!("at most {count} new connections of a client, and as many again after {within:?}")
            }),
            queue_limit.map(|limit| format!("at most {limit} wait for a slot")),
            queue_timeout.map(|timeout| format!("nobody waits longer than {timeout:?} for a slot")),
            waiting_rooms.map(|share| format!("waiting rooms times {share}")),
            shed,
        ];
        let rooms = rooms.map(|room| format!("people wait in {}", room.name));
        said.into_iter().flatten().chain(rooms).collect::<Vec<_>>().join(", ")
    }
}

/// A share of a limit, of everything that it counts at least one.
fn scaled(limit: &Limit, share: f64) -> Arc<Limit> {
    let mut limit = limit.clone();
    let settings = &mut limit.settings;
    settings.rule = settings.rule.map(|rule| rule.scaled(share));
    if settings.concurrency > 0 {
        settings.concurrency = ((f64::from(settings.concurrency) * share) as u32).max(1);
    }
    Arc::new(limit)
}
