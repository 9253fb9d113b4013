//! `[upstream.NAME.queue]`, and the priorities of routes.

use core::time::Duration;

use traffic::endpoint::Concurrency;
use traffic::queue;

use super::Lowering;
use crate::file::{self, QueueOrder, Slots};
use crate::plan::{PrioritySource, Queue};
use crate::read::Switch;

impl Lowering<'_> {
    pub(super) fn queue(&mut self, upstream: &file::Upstream) -> (queue::Settings, Queue) {
        let hold = upstream.hold().0;
        let Switch::On(table) = upstream.queue() else {
            return (queue::Settings { hold, ..queue::Settings::off() }, Queue::default());
        };
        let settings = queue::Settings {
            concurrency: match table.concurrency() {
                Slots::Auto => Concurrency::Adaptive,
                Slots::Fixed(slots) => Concurrency::Fixed(slots),
            },
            limit: table.limit().0 as usize,
            timeout: table.timeout().0,
            target: table.target().0,
            interval: table.interval().0,
            order: match table.order() {
                QueueOrder::First => queue::Order::First,
                QueueOrder::Newest => queue::Order::Newest,
            },
            reserve_share: table.reserve().0,
            hold,
        };
        if settings.target > settings.timeout {
            let span = table.target.span().or(table.timeout.span());
            let help =
                "lower target, which takes the place of timeout once the queue stands, or raise timeout";
            self.error(span, "queue.target is longer than queue.timeout".to_owned(), help);
        }
        if settings.limit == 0 && hold > Duration::ZERO {
            let help = "raise queue.limit, or leave hold out";
            self.warn(
                upstream.hold.span(),
                "hold has no effect: queue.limit lets nobody wait".to_owned(),
                help,
            );
        }
        let fair_by = table.fair_by.written().and_then(|key| self.request_key(key));
        (settings, Queue { fair_by, server_timing: table.server_timing() })
    }
}

/// How much the requests of a route matter.
pub(super) fn priority(route: &file::Route) -> PrioritySource {
    match route.priority() {
        file::PrioritySource::Fixed(priority) => PrioritySource::Fixed(priority),
        file::PrioritySource::Header(name) => PrioritySource::Header(name),
    }
}
