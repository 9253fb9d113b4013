//! What requests find, and what is remembered about failures and uncacheable answers.

use tidegate_cache::filling::Begun;
use tidegate_cache::store::{Foreseen, Found};
use tidegate_cache::{Bypass, Rules};

use crate::support::*;

const STALE_OK: &[&str] = &["Cache-Control: max-age=60, stale-while-revalidate=60, stale-if-error=600"];

#[test]
fn what_was_filled_is_hit() {
    let world = World::new(1 << 20);
    let fields = ["Cache-Control: max-age=60", "ETag: \"1\"", "Cache-Tag: one, two"];
    let stored = world.fill("/x", &[], &fields, b"hello").expect("it is stored");
    let Found::Hit(entry) = world.look("/x", &[]) else { panic!("a hit") };
    assert_eq!(entry.key(), b"http://a/x");
    assert_eq!((entry.status(), body(&entry)), (200, b"hello".to_vec()));
    assert_eq!(entry.terms(), stored.terms());
    assert_eq!(entry.terms().etag.unwrap().of(entry.head()), b"\"1\"");
    assert_eq!(entry.tags().count(), 2);
    assert_eq!(entry.stored_ms(), NOW);
    assert!(matches!(world.look("/y", &[]), Found::Fill(_)));
}

#[test]
fn a_request_that_wants_only_what_is_stored_starts_no_fill() {
    let world = World::new(1 << 20);
    assert!(matches!(world.look("/x", &["Cache-Control: only-if-cached"]), Found::NotHere));
    assert_eq!(world.usage().fills_total, 0);
    world.fill("/x", &[], FRESH, b"x");
    assert!(matches!(world.look("/x", &["Cache-Control: only-if-cached"]), Found::Hit(_)));
}

#[test]
fn the_first_who_finds_it_stale_refreshes_it_and_all_are_served() {
    let mut world = World::new(1 << 20);
    world.fill("/x", &[], STALE_OK, b"old");
    world.now += 61_000;
    let Found::Stale { refresh: Some(ticket), entry } = world.look("/x", &[]) else { panic!("to refresh") };
    assert_eq!(body(&entry), b"old");
    for _ in 0..3 {
        assert!(matches!(world.look("/x", &[]), Found::Stale { refresh: None, .. }));
    }
    let mut writer = world.begin(ticket, STALE_OK);
    writer.push(b"new"[..].into());
    assert!(writer.finish(world.now).is_some());
    let Found::Hit(entry) = world.look("/x", &[]) else { panic!("a hit") };
    assert_eq!(body(&entry), b"new");
}

#[test]
fn a_refresh_that_failed_is_not_tried_again_for_a_second() {
    let mut world = World::new(1 << 20);
    world.fill("/x", &[], STALE_OK, b"old");
    world.now += 61_000;
    let Found::Stale { refresh: Some(ticket), .. } = world.look("/x", &[]) else { panic!("to refresh") };
    ticket.fail(502, world.now);
    world.now += 999;
    assert!(matches!(world.look("/x", &[]), Found::Stale { refresh: None, .. }));
    world.now += 1;
    assert!(matches!(world.look("/x", &[]), Found::Stale { refresh: Some(_), .. }));
}

#[test]
fn something_stale_stands_in_for_a_dead_origin_which_is_asked_once_a_second() {
    let mut world = World::new(1 << 20);
    world.fill("/x", &[], STALE_OK, b"old");
    world.now += 200_000;
    let ticket = world.ticket("/x", &[]);
    let mut follower = world.follow("/x");
    let stands_in = ticket.fail(504, world.now).expect("it may stand in");
    assert_eq!(body(&stands_in), b"old");
    assert!(matches!(head_of(&mut follower), Begun::Whole { stale: true, .. }));
    assert!(matches!(world.look("/x", &[]), Found::Stale { refresh: None, .. }));
    world.now += 1000;
    assert!(matches!(world.look("/x", &[]), Found::Fill(_)));
    world.now += 600_000;
    assert!(world.ticket("/x", &[]).fail(504, world.now).is_none(), "too old to stand in");
}

#[test]
fn a_304_gives_the_same_body_new_terms() {
    let mut world = World::new(1 << 20);
    world.fill("/x", &[], &["Cache-Control: max-age=60", "ETag: \"1\""], b"body");
    world.now += 61_000;
    let ticket = world.ticket("/x", &[]);
    assert!(ticket.stored().is_some());
    let mut follower = world.follow("/x");
    let (head, storable) = world.judged(200, &["Cache-Control: max-age=60", "ETag: \"1\"", "X: new"], &[]);
    let entry = ticket.refresh(storable, &head, world.now);
    assert!(matches!(head_of(&mut follower), Begun::Whole { stale: false, .. }));
    drop((entry, follower));
    let Found::Hit(entry) = world.look("/x", &[]) else { panic!("a hit") };
    assert_eq!((body(&entry), entry.head()), (b"body".to_vec(), &*head));
    drop(entry);
    assert_eq!(world.usage().leaving_bytes, 0);
    world.store.purge(tidegate_cache::store::Purge::All, false, world.now);
    assert_eq!((world.usage().head_bytes, world.usage().body_bytes, world.usage().leaving_bytes), (0, 0, 0));
}

#[test]
fn a_304_that_may_not_be_kept_is_for_the_leader_alone() {
    let mut world = World::new(1 << 20);
    world.fill("/x", &[], &["Cache-Control: max-age=60", "ETag: \"1\""], b"body");
    world.now += 61_000;
    let ticket = world.ticket("/x", &[]);
    let (mut leader, mut follower) = (ticket.leader(), world.follow("/x"));
    ticket.refresh(Err(Bypass::Private), b"HTTP/1.1 200 OK\r\n", world.now);
    let Begun::Whole { entry, .. } = head_of(&mut leader) else { panic!("the leader is answered") };
    assert_eq!(body(&entry), b"body");
    assert!(matches!(head_of(&mut follower), Begun::Unshared(Bypass::Private)));
    assert!(matches!(world.look("/x", &[]), Found::Pass(Bypass::RecentlyUncacheable)));
    assert_eq!(world.usage().entries, 0);
}

#[test]
fn an_uncacheable_answer_is_remembered_and_one_request_a_second_goes_to_see() {
    let mut world = World::new(1 << 20);
    drop(world.begin(world.ticket("/x", &[]), &["Cache-Control: no-store"]));
    assert!(matches!(world.look("/x", &[]), Found::Pass(Bypass::RecentlyUncacheable)));
    world.now += 1000;
    let ticket = world.ticket("/x", &[]);
    assert!(matches!(world.look("/x", &[]), Found::Pass(_)), "nobody waits for the one that goes to see");
    let mut writer = world.begin(ticket, FRESH);
    assert!(matches!(world.look("/x", &[]), Found::Follow(_)));
    writer.push(b"x"[..].into());
    writer.finish(world.now);
    assert!(world.is_hit("/x"));
}

#[test]
fn a_marker_expires() {
    let mut world = World::new(1 << 20);
    world.rules = Rules { hit_for_miss_ms: 500, ..Rules::default() };
    drop(world.begin(world.ticket("/x", &[]), &["Cache-Control: no-store"]));
    world.now += 500;
    let _ticket = world.ticket("/x", &[]);
    assert!(matches!(world.look("/x", &[]), Found::Follow(_)));
}

#[test]
fn what_lies_in_one_answer_alone_leaves_no_marker() {
    let world = World::new(1 << 20);
    let ticket = world.ticket("/x", &[]);
    drop(ticket.begin(world.head(503, &["Cache-Control: no-store"], &[]), world.now));
    assert!(matches!(world.look("/x", &[]), Found::Fill(_)));
}

#[test]
fn an_uncacheable_answer_takes_the_place_of_what_was_stored() {
    let mut world = World::new(1 << 20);
    world.fill("/x", &[], STALE_OK, b"old");
    world.now += 61_000;
    let Found::Stale { refresh: Some(ticket), entry } = world.look("/x", &[]) else { panic!("to refresh") };
    drop((world.begin(ticket, &["Cache-Control: private"]), entry));
    assert_eq!(world.usage().entries, 0);
    assert!(matches!(world.look("/x", &[]), Found::Pass(_)));
}

#[test]
fn a_request_that_wants_it_newer_than_what_comes_in_starts_another_fill() {
    let world = World::new(1 << 20);
    let mut first = world.begin(world.ticket("/x", &[]), FRESH);
    first.push(b"first"[..].into());
    let mut second = world.begin(world.ticket("/x", &["Cache-Control: no-cache"]), FRESH);
    second.push(b"second"[..].into());
    assert!(first.finish(world.now).is_none(), "somebody else brings something newer");
    assert!(second.finish(world.now).is_some());
    let Found::Hit(entry) = world.look("/x", &[]) else { panic!("a hit") };
    assert_eq!(body(&entry), b"second");
}

#[test]
fn an_authorised_request_is_not_given_what_is_not_for_everybody() {
    let world = World::new(1 << 20);
    world.fill("/x", &[], FRESH, b"x");
    assert!(matches!(world.look("/x", &["Authorization: me"]), Found::Pass(Bypass::Authorization)));
}

#[test]
fn peeking_says_what_would_come_of_it_and_changes_nothing() {
    let mut world = World::new(1 << 20);
    assert_eq!(world.peek("/x", &[]).outcome, Foreseen::Fill);
    assert_eq!(world.peek("/x", &["Cache-Control: only-if-cached"]).outcome, Foreseen::NotHere);
    world.fill("/x", &[], STALE_OK, b"x");
    assert_eq!(world.peek("/x", &[]).outcome, Foreseen::Hit);
    world.now += 61_000;
    assert_eq!(world.peek("/x", &[]).outcome, Foreseen::Stale { refresh: true });
    world.now += 61_000;
    let peek = world.peek("/x", &[]);
    assert!(peek.outcome == Foreseen::Fill && peek.entry.is_some());
    let _ticket = world.ticket("/x", &[]);
    assert_eq!(world.peek("/x", &[]).outcome, Foreseen::Follow);
    assert_eq!((world.usage().fills_total, world.usage().collapsed_total), (2, 0));
    assert_eq!(world.store.top(1)[0].hits, 0);
}

#[test]
fn hits_are_counted_for_the_list_of_the_most_wanted() {
    let world = World::new(1 << 20);
    for (path, hits) in [("/a", 3), ("/b", 5), ("/c", 1)] {
        world.fill(path, &[], FRESH, b"x");
        (0..hits).for_each(|_| assert!(world.is_hit(path)));
    }
    let top: Vec<_> = world.store.top(2).iter().map(|one| (one.entry.url().to_vec(), one.hits)).collect();
    assert_eq!(top, [(b"http://a/b".to_vec(), 5), (b"http://a/a".to_vec(), 3)]);
    assert_eq!(world.store.list(b"http://a/", 10).len(), 3);
    assert_eq!(world.store.list(b"http://a/", 2).len(), 2);
    assert_eq!(world.store.list(b"http://a/c", 10).len(), 1);
}
