//! Variants of one key, and parts of the key beside the URL.

use tidegate_cache::rules::KeyPart;
use tidegate_cache::store::{Found, Purge};
use tidegate_cache::{Bypass, Rules};

use crate::support::*;

const BY_LANGUAGE: &[&str] = &["Cache-Control: max-age=60", "Vary: Accept-Language"];

fn language(at: usize) -> String {
    format!("Accept-Language: l{at}")
}

#[test]
fn each_variant_is_found_by_who_it_is_for() {
    let world = World::new(1 << 20);
    for at in 0..5 {
        world.fill("/x", &[&language(at)], BY_LANGUAGE, &[at as u8]);
    }
    for at in 0..5 {
        let Found::Hit(entry) = world.look("/x", &[&language(at)]) else { panic!("variant {at} is there") };
        assert_eq!(body(&entry), [at as u8]);
    }
    assert!(matches!(world.look("/x", &[]), Found::Fill(_)));
    assert_eq!(world.usage().entries, 5);
    assert_eq!(world.store.purge(Purge::Url(b"http://a/x"), false, NOW), 5);
    assert_eq!(world.usage().entries, 0);
}

#[test]
fn more_variants_than_may_be_are_not_kept() {
    let mut world = World::new(1 << 20);
    world.rules = Rules { variants: 3, ..Rules::default() };
    for at in 0..3 {
        assert!(world.fill("/x", &[&language(at)], BY_LANGUAGE, b"x").is_some());
    }
    assert!(world.fill("/x", &[&language(3)], BY_LANGUAGE, b"x").is_none());
    assert!(matches!(world.look("/x", &[&language(3)]), Found::Pass(Bypass::RecentlyUncacheable)));
    assert!(matches!(world.look("/x", &[&language(1)]), Found::Hit(_)));
    assert_eq!(world.usage().refused_total[Bypass::TooManyVariants.index()], 1);
    world.now += 61_000;
    assert!(world.fill("/x", &[&language(1)], BY_LANGUAGE, b"x").is_some(), "one that is there is renewed");
}

#[test]
fn a_request_for_another_variant_does_not_follow_one_that_comes_in() {
    let world = World::new(1 << 20);
    let ticket = world.ticket("/x", &[&language(1)]);
    assert!(matches!(world.look("/x", &[&language(2)]), Found::Follow(_)), "nobody knows yet that it varies");
    let one = ticket.begin(world.head(200, BY_LANGUAGE, &[&language(1)]), NOW);
    assert!(matches!(world.look("/x", &[&language(1)]), Found::Follow(_)));
    let two = world.ticket("/x", &[&language(2)]);
    let two = two.begin(world.head(200, BY_LANGUAGE, &[&language(2)]), NOW);
    assert!(one.finish(NOW).is_some() && two.finish(NOW).is_some());
    assert_eq!(world.usage().entries, 2);
}

#[test]
fn an_answer_that_varies_on_other_names_takes_the_place_of_all() {
    let mut world = World::new(1 << 20);
    for at in 0..3 {
        world.fill("/x", &[&language(at)], BY_LANGUAGE, b"x");
    }
    let other = ["Cache-Control: max-age=60", "Vary: X-A"];
    world.now += 61_000;
    world.fill("/x", &[&language(1)], &other, b"y");
    assert_eq!(world.usage().entries, 1);
    assert!(matches!(world.look("/x", &[&language(2)]), Found::Hit(_)));
    assert!(matches!(world.look("/x", &["X-A: 1"]), Found::Fill(_)));
    world.now += 61_000;
    world.fill("/x", &[], FRESH, b"z");
    assert_eq!(world.usage().entries, 1);
    assert!(matches!(world.look("/x", &["X-A: 1"]), Found::Hit(_)));
    world.now += 61_000;
    world.fill("/x", &["X-A: 1"], &other, b"w");
    assert_eq!(world.usage().entries, 1, "what did not vary is gone too");
}

#[test]
fn nothing_is_left_of_a_key_whose_variants_have_gone() {
    let world = World::new(1 << 20);
    let begin = world.usage().overhead_bytes;
    drop(world.ticket("/x", &[]).begin(world.head(200, BY_LANGUAGE, &[]), NOW));
    assert_eq!(world.usage().overhead_bytes, world.usage().used_bytes, "it was lost before it was stored");
    world.fill("/x", &[], BY_LANGUAGE, b"x");
    world.store.purge(Purge::All, false, NOW);
    assert!(matches!(world.look("/x", &[]), Found::Fill(_)));
    assert!(begin <= world.usage().overhead_bytes);
    world.fill("/x", &[], FRESH, b"x");
    assert!(matches!(world.look("/x", &[&language(1)]), Found::Hit(_)));
}

#[test]
fn a_purge_by_url_removes_what_the_route_keeps_apart_too() {
    let mut world = World::new(1 << 20);
    world.rules = Rules { key: vec![KeyPart::Header("x-tenant".to_owned())], ..Rules::default() };
    let tenant = |at: usize| format!("X-Tenant: {at}");
    for at in 0..20 {
        world.fill("/x", &[&tenant(at)], FRESH, &[at as u8]);
        world.fill("/y", &[&tenant(at)], FRESH, &[at as u8]);
    }
    let Found::Hit(entry) = world.look("/x", &[&tenant(7)]) else { panic!("a hit") };
    assert_eq!((body(&entry), entry.url()), (vec![7], &b"http://a/x"[..]));
    assert_eq!(world.store.invalidate(b"http://a/x"), 20);
    assert_eq!(world.usage().entries, 20);
    assert!(matches!(world.look("/x", &[&tenant(7)]), Found::Fill(_)));
    assert!(matches!(world.look("/y", &[&tenant(7)]), Found::Hit(_)));
}
