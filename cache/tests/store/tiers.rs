//! The seam to lower tiers, proved by one that two stores share.

use std::sync::{Arc, Mutex, mpsc};

use tidegate_cache::entry::{Body, Parts, Place};
use tidegate_cache::filling::Begun;
use tidegate_cache::store::{Found, Purge, Ticket, Tier};
use tidegate_cache::{Entry, Storable, UnixMs};

use crate::support::*;

/// Keeps copies in a list, as something that instances share would.
#[derive(Default)]
struct Shelf(Mutex<Vec<Arc<Entry>>>);

/// Where a body lies that is not in memory.
#[derive(Debug)]
struct OnShelf(Arc<Entry>);

impl Place for OnShelf {
    fn len_bytes(&self) -> u64 {
        self.0.body().len_bytes()
    }
}

fn copy(entry: &Entry, body: Body) -> Arc<Entry> {
    let vary = entry.vary().map(Box::from);
    let storable = Storable { terms: entry.terms(), vary, tags: entry.tags().collect() };
    Entry::new(Parts {
        key: entry.key(),
        status: entry.status(),
        head: entry.head(),
        body,
        storable: &storable,
        stored_ms: entry.stored_ms(),
    })
}

impl Tier for Shelf {
    fn load(&self, key: &[u8], _hash: u64, done: Box<dyn FnOnce(Option<Arc<Entry>>) + Send>) {
        let found = self.0.lock().unwrap().iter().rev().find(|entry| entry.key() == key).cloned();
        done(found.map(|entry| copy(&entry, Body::Elsewhere(Arc::new(OnShelf(Arc::clone(&entry)))))));
    }

    fn keep(&self, entry: &Arc<Entry>) {
        self.0.lock().unwrap().push(copy(entry, entry.body().to_body()));
    }

    fn replace(&self, _hash: u64) {}

    fn purge(&self, what: Purge<'_>, _soft: bool, _now: UnixMs) {
        self.0.lock().unwrap().retain(|entry| !what.is_of(entry));
    }
}

/// What whoever fills does before it asks the origin.
fn ask_tier(tier: &dyn Tier, world: &World, path: &str, ticket: Ticket) -> Result<Arc<Entry>, Ticket> {
    let (send, receive) = mpsc::channel();
    world.asking(path, &[], |key, _| {
        tier.load(key.bytes, key.hash, Box::new(move |found| send.send(found).unwrap()));
    });
    match receive.recv().unwrap() {
        Some(entry) => ticket.answer(entry),
        None => Err(ticket),
    }
}

#[test]
fn two_stores_that_share_a_tier_see_each_others_entries_and_purges() {
    let tier = Shelf::default();
    let (one, two) = (World::new(1 << 20), World::new(1 << 20));
    tier.keep(&one.fill("/x", &[], FRESH, b"shared").unwrap());

    let ticket = two.ticket("/x", &[]);
    let mut follower = two.follow("/x");
    let entry = ask_tier(&tier, &two, "/x", ticket).expect("the tier has it");
    assert!(matches!(head_of(&mut follower), Begun::Whole { stale: false, below: true, .. }));
    let place = entry.body().place().and_then(|place| place.downcast_ref::<OnShelf>()).unwrap();
    assert_eq!((body(&place.0), entry.body().len_bytes()), (b"shared".to_vec(), 6));
    assert!(entry.body().pieces().next().is_none());
    assert!(two.is_hit("/x"));

    let what = Purge::Url(b"http://a/x");
    tier.purge(what, false, NOW);
    one.store.purge(what, false, NOW);
    two.store.purge(what, false, NOW);
    for world in [&one, &two] {
        let ticket = ask_tier(&tier, world, "/x", world.ticket("/x", &[])).expect_err("it is gone below too");
        assert!(ticket.stored().is_none());
    }
}

#[test]
fn an_entry_for_another_key_is_not_taken() {
    let world = World::new(1 << 20);
    let stored = world.fill("/x", &[], FRESH, b"x").unwrap();
    let wrong = copy(&stored, stored.body().to_body());
    let ticket = world.ticket("/y", &[]).answer(wrong).expect_err("it is for another key");
    assert!(matches!(world.look("/y", &[]), Found::Follow(_)), "the duty is still there");
    drop(ticket);
}

#[test]
fn what_the_tier_had_is_not_stored_if_it_was_purged_meanwhile() {
    let tier = Shelf::default();
    let (one, two) = (World::new(1 << 20), World::new(1 << 20));
    tier.keep(&one.fill("/x", &[], FRESH, b"x").unwrap());
    let ticket = two.ticket("/x", &[]);
    two.store.purge(Purge::All, false, NOW);
    assert!(ask_tier(&tier, &two, "/x", ticket).is_ok());
    assert!(!two.is_hit("/x"));
}
