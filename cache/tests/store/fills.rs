//! Fills that are kept: who leads, who follows, what becomes of them when somebody is lost.

use std::sync::Arc;
use std::task::{Context, Poll};

use tidegate_cache::filling::{Begun, Flow, Head, LOST};
use tidegate_cache::store::Found;
use tidegate_cache::{Bypass, Rules};

use crate::support::*;

#[test]
fn concurrent_misses_share_one_fill() {
    let world = World::new(1 << 20);
    let ticket = world.ticket("/x", &[]);
    let mut readers = vec![ticket.leader(), world.follow("/x"), world.follow("/x")];
    assert!(readers.iter_mut().all(|reader| poll_head(reader).is_pending()));
    let mut writer = world.begin(ticket, FRESH);
    writer.push(b"one "[..].into());
    readers.push(world.follow("/x"));
    for reader in &mut readers {
        assert!(matches!(head_of(reader), Begun::Streaming(_)), "they stream before it has come in");
        assert_eq!(read(reader), (b"one ".to_vec(), None));
    }
    writer.push(b"two"[..].into());
    readers.push(world.follow("/x"));
    let entry = writer.finish(world.now).expect("it is stored");
    assert_eq!(body(&entry), b"one two");
    let last = readers.pop().unwrap();
    for reader in &mut readers {
        assert_eq!(read(reader), (b"two".to_vec(), Some(Flow::Done)));
    }
    let mut last = last;
    let Begun::Whole { entry: whole, stale: false, .. } = head_of(&mut last) else { panic!("it is whole") };
    assert!(Arc::ptr_eq(&whole, &entry));
    assert_eq!((world.usage().fills_total, world.usage().collapsed_total), (1, 4));
}

#[test]
fn readers_are_woken_for_the_head_each_piece_and_the_end() {
    let world = World::new(1 << 20);
    let ticket = world.ticket("/x", &[]);
    let mut reader = world.follow("/x");
    let (woken, waker) = Woken::new();
    let mut cx = Context::from_waker(&waker);
    assert!(reader.poll_head(&mut cx).is_pending() && reader.poll_head(&mut cx).is_pending());
    let mut writer = world.begin(ticket, FRESH);
    assert_eq!(woken.count(), 1, "once, however often it was polled");
    let mut out = Vec::new();
    assert!(reader.poll_pieces(&mut cx, &mut out).is_pending());
    writer.push(b"x"[..].into());
    writer.push(b""[..].into());
    assert_eq!(woken.count(), 2);
    assert_eq!(reader.poll_pieces(&mut cx, &mut out), Poll::Ready(Flow::More));
    assert!(reader.poll_pieces(&mut cx, &mut out).is_pending());
    writer.finish(world.now);
    assert_eq!(woken.count(), 3);
    assert_eq!(reader.poll_pieces(&mut cx, &mut out), Poll::Ready(Flow::Done));
}

#[test]
fn pieces_come_as_the_places_that_there_are() {
    let world = World::new(1 << 20);
    let ticket = world.ticket("/x", &[]);
    let mut reader = ticket.leader();
    let mut writer = world.begin(ticket, FRESH);
    (0..5_u8).for_each(|byte| writer.push([byte][..].into()));
    let mut cx = Context::from_waker(std::task::Waker::noop());
    let mut out = Vec::with_capacity(2);
    assert_eq!((reader.poll_pieces(&mut cx, &mut out), out.len()), (Poll::Ready(Flow::More), 2));
    out = Vec::new();
    assert_eq!((reader.poll_pieces(&mut cx, &mut out), out.len()), (Poll::Ready(Flow::More), 1));
    writer.finish(world.now);
    out = Vec::with_capacity(2);
    assert_eq!((reader.poll_pieces(&mut cx, &mut out), out.len()), (Poll::Ready(Flow::Done), 2));
}

#[test]
fn more_readers_than_may_wait_are_told_so() {
    let mut world = World::new(1 << 20);
    world.rules = Rules { waiters: 2, ..Rules::default() };
    let ticket = world.ticket("/x", &[]);
    let _leader = ticket.leader();
    let (one, _two) = (world.follow("/x"), world.follow("/x"));
    assert!(ticket.filling().read_along().is_none());
    drop(one);
    assert!(ticket.filling().read_along().is_some(), "a seat that was left is free");
    assert_eq!(ticket.filling().readers(), 2);
}

#[test]
fn a_lost_filler_promotes_one_who_waits() {
    let world = World::new(1 << 20);
    let ticket = world.ticket("/x", &[]);
    let leader = ticket.leader();
    let (mut one, mut two) = (world.follow("/x"), world.follow("/x"));
    drop(leader);
    let (woken, waker) = Woken::new();
    assert!(one.poll_head(&mut Context::from_waker(&waker)).is_pending());
    drop(ticket);
    assert_eq!(woken.count(), 1);
    assert!(poll_head(&mut two).is_pending());
    let Begun::Lead(ticket) = head_of(&mut one) else { panic!("it is promoted") };
    assert!(poll_head(&mut one).is_pending());
    // Unshared: the promoted one is the leader now.
    let mut writer = world.begin(ticket, &["Cache-Control: no-store"]);
    writer.push(b"x"[..].into());
    assert!(matches!(head_of(&mut one), Begun::Streaming(_)));
    assert!(matches!(head_of(&mut two), Begun::Unshared(Bypass::NoStore)));
}

#[test]
fn fillers_are_lost_twice_and_no_more() {
    let world = World::new(1 << 20);
    let ticket = world.ticket("/x", &[]);
    let (mut one, mut two) = (world.follow("/x"), world.follow("/x"));
    drop(ticket);
    let Begun::Lead(ticket) = head_of(&mut one) else { panic!("it is promoted") };
    drop(ticket);
    assert!(matches!(head_of(&mut one), Begun::Failed(LOST)));
    assert!(matches!(head_of(&mut two), Begun::Failed(LOST)));
    assert!(matches!(world.look("/x", &[]), Found::Fill(_)));
}

#[test]
fn a_promoted_reader_that_leaves_passes_it_on() {
    let world = World::new(1 << 20);
    let ticket = world.ticket("/x", &[]);
    let (one, mut two) = (world.follow("/x"), world.follow("/x"));
    let (woken, waker) = Woken::new();
    assert!(two.poll_head(&mut Context::from_waker(&waker)).is_pending());
    drop(ticket);
    drop(one);
    assert_eq!(woken.count(), 1);
    assert!(matches!(head_of(&mut two), Begun::Lead(_)));
}

#[test]
fn a_fill_that_nobody_waits_for_ends_with_its_filler() {
    let world = World::new(1 << 20);
    let ticket = world.ticket("/x", &[]);
    let reader = world.follow("/x");
    drop(ticket);
    drop(reader);
    assert!(matches!(world.look("/x", &[]), Found::Fill(_)));
    assert_eq!((world.usage().fillings, world.usage().filling_bytes), (0, 0));
}

#[test]
fn a_writer_that_is_lost_breaks_the_body_off_and_nothing_is_stored() {
    let world = World::new(1 << 20);
    let ticket = world.ticket("/x", &[]);
    let (mut one, mut late) = (ticket.leader(), world.follow("/x"));
    let mut writer = world.begin(ticket, FRESH);
    writer.push(b"half"[..].into());
    assert!(matches!(head_of(&mut one), Begun::Streaming(_)));
    drop(writer);
    assert_eq!(read(&mut one), (b"half".to_vec(), Some(Flow::Broken)));
    assert!(matches!(head_of(&mut late), Begun::Unshared(Bypass::Truncated)));
    assert!(matches!(world.look("/x", &[]), Found::Fill(_)));
    assert_eq!(world.usage().refused_total[Bypass::Truncated.index()], 1);
}

#[test]
fn a_body_of_another_length_than_was_said_is_broken() {
    let world = World::new(1 << 20);
    for said in [3, 5] {
        let ticket = world.ticket("/x", &[]);
        let mut reader = ticket.leader();
        let head = Head { body_bytes: Some(said), ..world.head(200, FRESH, &[]) };
        let mut writer = ticket.begin(head, world.now);
        writer.push(b"four"[..].into());
        assert!(writer.finish(world.now).is_none());
        assert_eq!(read(&mut reader), (b"four".to_vec(), Some(Flow::Broken)));
        assert_eq!(world.usage().entries, 0);
    }
}

#[test]
fn a_fill_goes_on_when_all_its_readers_have_left() {
    let world = World::new(1 << 20);
    let ticket = world.ticket("/x", &[]);
    let leader = ticket.leader();
    let mut writer = world.begin(ticket, FRESH);
    drop(leader);
    assert!(is_ready(&mut writer));
    writer.push(b"x"[..].into());
    assert!(writer.finish(world.now).is_some());
    assert!(world.is_hit("/x"));
}

#[test]
fn a_failure_without_anything_stale_is_told_to_all() {
    let world = World::new(1 << 20);
    let ticket = world.ticket("/x", &[]);
    let (mut leader, mut follower) = (ticket.leader(), world.follow("/x"));
    assert!(ticket.fail(42, world.now).is_none());
    assert!(matches!(head_of(&mut leader), Begun::Failed(42)));
    assert!(matches!(head_of(&mut follower), Begun::Failed(42)));
    assert!(matches!(world.look("/x", &[]), Found::Fill(_)), "nothing is remembered where nothing is stored");
}
