//! Who of those that wait is handed a slot, and when.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::task::{Poll, Wake, Waker};
use std::time::Duration;

use tidegate_traffic::Moment;
use tidegate_traffic::endpoint::{Address, Concurrency, Endpoint};
use tidegate_traffic::queue::{self, Joining, Ticket};
use tidegate_traffic::upstream::{Ask, Lease, Settings, Upstream};

/// An upstream with so many slots.
fn upstream(slots: u32) -> Upstream {
    let queue = queue::Settings { concurrency: Concurrency::Fixed(slots), ..queue::Settings::default() };
    let endpoint = Endpoint::new(Address::Unix("/app".to_owned()), 1, false);
    Upstream::new(Settings { queue, ..Settings::default() }, vec![endpoint])
}

fn ask(at_ms: u64) -> Ask<'static> {
    Ask { now: Moment::from_ms(at_ms), ..Ask::default() }
}

fn join(upstream: &Upstream, at_ms: u64, fair_key: u64) -> Ticket {
    let begun = Moment::from_ms(at_ms);
    upstream.join(&Joining { ask: ask(at_ms), begun, fair_key, is_retry: false }).expect("there is room")
}

/// Takes all slots, at the beginning.
fn fill(upstream: &Upstream, slots: u32) -> Vec<Lease> {
    let mut rng = fastrand::Rng::with_seed(1);
    (0..slots).map(|_| upstream.admit(&ask(0), &mut rng).expect("a slot is free")).collect()
}

/// Counts how often it is called.
#[derive(Default)]
struct Bell(AtomicU32);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Relaxed);
    }
}

/// What a ticket gets at this time.
fn poll(ticket: &Ticket, at_ms: u64, bell: &Arc<Bell>) -> Option<Lease> {
    match ticket.poll(Moment::from_ms(at_ms), &Waker::from(Arc::clone(bell))) {
        Poll::Ready(waited) => Some(waited.result.expect("nobody is refused")),
        Poll::Pending => None,
    }
}

#[test]
fn of_those_within_their_share_whoever_came_first_goes_first() {
    let upstream = upstream(1);
    let bell = Arc::default();
    let mut lease = fill(&upstream, 1).remove(0);
    let greedy: Vec<Ticket> = (0..20).map(|_| join(&upstream, 0, 0)).collect();
    for ticket in &greedy[..12] {
        drop(lease);
        lease = poll(ticket, 1, &bell).expect("it is alone with its key");
    }
    let (once, again, other) = (join(&upstream, 2, 1), join(&upstream, 2, 1), join(&upstream, 3, 2));
    for ticket in [once, again, other] {
        drop(lease);
        lease = poll(&ticket, 3, &bell).expect("the next one");
    }
    drop(lease);
    assert!(poll(&greedy[12], 4, &bell).is_some(), "and then the greedy one");
}

#[test]
fn slots_that_come_free_together_are_handed_out_one_after_the_other() {
    let upstream = upstream(2);
    let leases = fill(&upstream, 2);
    let bells: [Arc<Bell>; 3] = Default::default();
    let tickets = [0, 1, 2].map(|key| join(&upstream, 1, key));
    for (ticket, bell) in tickets.iter().zip(&bells) {
        assert!(poll(ticket, 1, bell).is_none() && ticket.next_look().is_none());
    }
    for lease in leases {
        lease.succeed(Moment::from_ms(20), Duration::from_millis(20));
        drop(lease);
    }
    let [first, second, third] = tickets;
    assert_eq!(
        bells.each_ref().map(|bell| bell.0.load(Relaxed)),
        [1, 1, 0],
        "one has a slot, one is to look again"
    );
    let lease = poll(&first, 20, &bells[0]).expect("it was handed one");
    assert!(poll(&second, 20, &bells[1]).is_none());
    // Most of the 10 ms that lie between two answers on average.
    let due = second.next_look().expect("it looks after the other slot");
    assert!((Moment::from_ms(26)..Moment::from_ms(29)).contains(&due), "{due:?}");
    // Whoever looks after it may leave.
    drop(second);
    assert_eq!(bells[2].0.load(Relaxed), 1);
    assert!(poll(&third, 21, &bells[2]).is_none());
    assert_eq!(third.next_look(), Some(due));
    let other = poll(&third, 29, &bells[2]).expect("it is due");
    drop((lease, other));
    // With nobody waiting there is no pace.
    assert_eq!(fill(&upstream, 2).len(), 2);
}
