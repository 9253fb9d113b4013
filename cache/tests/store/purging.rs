//! Purges, hard and soft, and what is being filled meanwhile.

use tidegate_cache::filling::{Begun, Flow};
use tidegate_cache::store::{Found, Purge};

use crate::support::*;

const TAGGED: &[&str] = &["Cache-Control: max-age=60, stale-while-revalidate=60", "Cache-Tag: red, round"];

fn filled() -> World {
    let world = World::new(4 << 20);
    for at in 0..3000 {
        world.fill(&format!("/a/{at}"), &[], FRESH, b"x");
    }
    world.fill("/b/1", &[], TAGGED, b"x");
    world
}

#[test]
fn a_purge_removes_what_is_meant_and_nothing_else() {
    let world = filled();
    assert_eq!(world.store.purge(Purge::Url(b"http://a/a/1"), false, NOW), 1);
    assert!(!world.is_hit("/a/1") && world.is_hit("/a/10"));
    assert_eq!(world.store.purge(Purge::Prefix(b"http://a/a/2"), false, NOW), 1111);
    assert!(!world.is_hit("/a/2999") && world.is_hit("/a/3"));
    assert_eq!(world.store.purge(Purge::Tag(b"round"), false, NOW), 1);
    assert_eq!(world.store.purge(Purge::Tag(b"round"), false, NOW), 0);
    assert_eq!(world.store.invalidate(b"http://a/a/3"), 1);
    assert_eq!(world.store.purge(Purge::All, false, NOW), 3000 - 1 - 1111 - 1);
    let usage = world.usage();
    assert_eq!((usage.entries, usage.head_bytes, usage.body_bytes, usage.leaving_bytes), (0, 0, 0, 0));
    assert_eq!(usage.purged_total, 3001);
}

#[test]
fn a_soft_purge_makes_stale() {
    let world = filled();
    assert_eq!(world.store.purge(Purge::Tag(b"red"), true, NOW), 1);
    assert!(matches!(world.look("/b/1", &[]), Found::Stale { refresh: Some(_), .. }));
    assert_eq!(world.store.purge(Purge::Url(b"http://a/a/7"), true, NOW), 1);
    let Found::Fill(ticket) = world.look("/a/7", &[]) else { panic!("nothing says that it may be stale") };
    assert!(ticket.stored().is_some(), "it can be validated");
}

#[test]
fn what_is_purged_while_it_comes_in_is_read_and_not_stored() {
    let purges = [Purge::Url(b"http://a/x"), Purge::Prefix(b"http://a/"), Purge::Tag(b"red"), Purge::All];
    for (what, soft) in purges.into_iter().flat_map(|what| [(what, false), (what, true)]) {
        let world = World::new(1 << 20);
        let ticket = world.ticket("/x", &[]);
        let mut leader = ticket.leader();
        let mut writer = world.begin(ticket, TAGGED);
        writer.push(b"one "[..].into());
        world.store.purge(what, soft, NOW);
        let Found::Fill(next) = world.look("/x", &[]) else { panic!("{what:?}: nobody follows any more") };
        writer.push(b"two"[..].into());
        assert!(writer.finish(NOW).is_none());
        assert!(matches!(head_of(&mut leader), Begun::Whole { .. }));
        assert_eq!(read(&mut leader), (b"one two".to_vec(), Some(Flow::Done)));
        assert_eq!(world.usage().entries, 0);
        let mut writer = world.begin(next, TAGGED);
        writer.push(b"new"[..].into());
        assert!(writer.finish(NOW).is_some());
    }
}

#[test]
fn what_is_purged_before_its_head_came_is_not_stored() {
    for what in [Purge::Url(b"http://a/x"), Purge::Tag(b"whatever")] {
        let world = World::new(1 << 20);
        let ticket = world.ticket("/x", &[]);
        world.store.purge(what, false, NOW);
        let mut writer = world.begin(ticket, TAGGED);
        writer.push(b"old"[..].into());
        assert!(writer.finish(NOW).is_none());
        assert_eq!(world.usage().entries, 0);
    }
}

#[test]
fn a_purge_of_something_else_lets_a_fill_be() {
    let world = World::new(1 << 20);
    let mut writer = world.begin(world.ticket("/x", &[]), TAGGED);
    writer.push(b"x"[..].into());
    world.store.purge(Purge::Tag(b"blue"), false, NOW);
    world.store.purge(Purge::Url(b"http://a/xx"), false, NOW);
    world.store.purge(Purge::Prefix(b"http://b"), false, NOW);
    assert!(writer.finish(NOW).is_some());
}
