//! `[surge.NAME]`: each key has to tighten something that is there.

use core::ops::Range;

use toml::Spanned;
use traffic::endpoint::Concurrency;
use traffic::queue::Priority;

use super::Lowering;
use crate::file::{self, File, Shed, When};
use crate::plan::{Action, Plan, PrioritySource, Surge};
use crate::read::{Key, Toggle};
use crate::value::Share;

impl Lowering<'_> {
    /// Every profile; the plan is what they tighten.
    pub(super) fn surges(&mut self, file: &File, plan: &Plan) -> Vec<Surge> {
        let written = file.surge.get().map(|named| named.0.as_slice()).unwrap_or_default();
        if written.is_empty() && !file.surge.is_refused() {
            self.never_closed(file);
        }
        written.iter().map(|(name, surge)| self.surge(name, surge, plan)).collect()
    }

    fn surge(&mut self, name: &Spanned<String>, written: &Spanned<file::Surge>, plan: &Plan) -> Surge {
        let (span, surge) = (written.span(), written.get_ref());
        let (whose, key, name) = (format!("surge.{}", name.get_ref()), name.span(), name.get_ref().clone());
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
        if name.is_empty() || name.len() > 64 || !name.bytes().all(fits) {
            let help = "name it with at most 64 letters, digits, \"-\" and \"_\"";
            self.error(key, format!("\"{name}\" is no name for a surge"), help);
        }
        let queue = surge.queue();
        let says = [
            surge.limits.is_absent(),
            surge.connection_rate.is_absent(),
            surge.waiting_rooms.is_absent(),
            surge.shed.is_absent(),
            queue.limit.is_absent(),
            queue.timeout.is_absent(),
        ];
        let closes_rooms = plan.rooms.iter().any(|room| room.is_for_surges);
        if says == [true; 6] && !closes_rooms && !surge.has_mistakes && !queue.has_mistakes {
            let help = "add limits = \"50%\", connection_rate, queue, waiting_rooms or shed = \"low\", or give a \
                        waiting room when = \"surge\"";
            self.error(span, format!("{whose} tightens nothing"), help);
        }
        let all = plan.routes.iter().map(|route| &route.limit).chain([&plan.server.limit]).flatten();
        let mut settings = all.map(|limit| &limit.settings);
        let has_limits = settings.any(|settings| settings.rule.is_some() || settings.concurrency > 0);
        let has_rooms = plan.rooms.iter().any(|room| !room.is_for_surges);
        let connection_rate = self.connection_rate(&whose, &surge.connection_rate, &surge.connection_burst);
        if let (Some(rule), Some(usual)) = (connection_rate, plan.server.limits.connection_rate)
            && !rule.is_tighter(usual)
        {
            let message =
                format!("{whose}.connection_rate is not tighter than server.limits.connection_rate");
            let help = "write a lower rate, and a burst that is no higher: a surge only tightens";
            self.error(surge.connection_rate.span(), message, help);
        }
        let made = Surge {
            limits: self.share(&format!("{whose}.limits"), &surge.limits, "rate or concurrency", has_limits),
            connection_rate,
            queue_limit: queue.limit.get().map(|limit| limit.0 as usize),
            queue_timeout: queue.timeout.get().map(|timeout| timeout.0),
            waiting_rooms: self.share(
                &format!("{whose}.waiting_rooms"),
                &surge.waiting_rooms,
                "waiting room that is there without a surge",
                has_rooms,
            ),
            shed: surge.shed.get().map(|shed| match shed {
                Shed::Low => Priority::Low,
                Shed::Normal => Priority::Normal,
            }),
            name,
        };
        self.queue_is_tighter(&whose, &queue, &made, plan);
        self.sheds(&whose, surge.shed.span(), &made, plan);
        made
    }

    /// A share of something that is there.
    fn share(&mut self, key: &str, written: &Key<Share>, of: &str, is_there: bool) -> Option<f64> {
        let (span, share) = (written.span()?, written.get()?.0);
        if !is_there {
            let help = "leave it out, or add what it is to tighten";
            self.error(span, format!("{key} tightens nothing: there is no {of}"), help);
        } else if share >= 1.0 {
            self.error(span, format!("{key} tightens nothing"), "write less than \"100%\"");
        } else if share <= 0.0 {
            let help = "write more than 0, such as \"10%\"";
            self.error(span, format!("{key} would let nobody through"), help);
        }
        Some(share)
    }

    /// The queue of at least one upstream is bound more tightly.
    fn queue_is_tighter(&mut self, whose: &str, written: &file::SurgeQueue, surge: &Surge, plan: &Plan) {
        let queues = plan.upstreams.iter().map(|upstream| &upstream.traffic.queue);
        let queues: Vec<_> = queues.filter(|queue| queue.concurrency != Concurrency::Unlimited).collect();
        let limit = surge.queue_limit.is_some_and(|limit| queues.iter().all(|queue| limit >= queue.limit));
        let timeout =
            surge.queue_timeout.is_some_and(|timeout| queues.iter().all(|queue| timeout >= queue.timeout));
        for (key, span) in [
            ("limit", written.limit.span().filter(|_| limit)),
            ("timeout", written.timeout.span().filter(|_| timeout)),
        ] {
            let Some(span) = span else { continue };
            let help = "write less than the queue of an upstream says: a surge only tightens";
            self.error(span, format!("{whose}.queue.{key} tightens no queue of any upstream"), help);
        }
    }

    /// Some route's requests may have such a priority.
    fn sheds(&mut self, whose: &str, span: Option<Range<usize>>, surge: &Surge, plan: &Plan) {
        let (Some(span), Some(shed)) = (span, surge.shed) else { return };
        let forwards = plan.routes.iter().filter(|route| matches!(route.action, Action::Upstream(_)));
        let mut priorities = forwards.map(|route| &route.priority);
        let is_shed = |priority: &PrioritySource| match priority {
            PrioritySource::Fixed(priority) => *priority >= shed,
            PrioritySource::Header(_) => true,
        };
        if !priorities.any(is_shed) {
            let help = "give routes that can be missed priority = \"low\", or leave shed out";
            self.error(span, format!("{whose}.shed: no route has requests of that priority"), help);
        }
    }

    /// Rooms for surges want a surge.
    fn never_closed(&mut self, file: &File) {
        let routes = file.route.get().map(|list| list.0.as_slice()).unwrap_or_default();
        for room in routes.iter().filter_map(|route| route.get_ref().waiting_room.get().and_then(Toggle::on))
        {
            if room.when() == When::Surge {
                let message = format!("nobody ever waits in waiting room \"{}\"", room.name());
                self.error(room.when.span(), message, "add [surge.NAME], which is when they would");
            }
        }
    }
}
