//! Fills that are not kept: the leader alone, windows, and answers that turn out too large.

use std::task::{Context, Poll};

use tidegate_cache::filling::{Begun, Flow, Head, WINDOW_BYTES};
use tidegate_cache::store::Found;
use tidegate_cache::{Bypass, Rules};

use crate::support::*;

const NO_STORE: &[&str] = &["Cache-Control: no-store"];

fn piece(bytes: usize) -> std::sync::Arc<[u8]> {
    vec![b'x'; bytes].into()
}

#[test]
fn what_is_not_kept_is_for_the_leader_alone() {
    let world = World::new(4 << 20);
    let ticket = world.ticket("/x", &[]);
    let (mut leader, mut follower) = (ticket.leader(), world.follow("/x"));
    let mut writer = world.begin(ticket, NO_STORE);
    assert!(matches!(head_of(&mut leader), Begun::Streaming(_)));
    assert!(matches!(head_of(&mut follower), Begun::Unshared(Bypass::NoStore)));
    writer.push(piece(5));
    assert!(writer.finish(world.now).is_none());
    assert_eq!(read(&mut leader), (piece(5).to_vec(), Some(Flow::Done)));
    assert_eq!(world.usage().entries, 0);
}

#[test]
fn a_writer_waits_for_its_reader_and_is_woken() {
    let world = World::new(4 << 20);
    let ticket = world.ticket("/x", &[]);
    let mut leader = ticket.leader();
    let mut writer = world.begin(ticket, NO_STORE);
    let mut pushed = 0;
    while is_ready(&mut writer) {
        writer.push(piece(64 << 10));
        pushed += 64 << 10;
    }
    assert_eq!(pushed, WINDOW_BYTES);
    let (woken, waker) = Woken::new();
    assert!(writer.poll_ready(&mut Context::from_waker(&waker)).is_pending());
    let mut out = Vec::new();
    let flow = leader.poll_pieces(&mut Context::from_waker(std::task::Waker::noop()), &mut out);
    assert_eq!(flow, Poll::Ready(Flow::More));
    assert_eq!(woken.count(), 1);
    assert!(is_ready(&mut writer));
    let held = world.usage().filling_bytes;
    assert!((3 * 65536..3 * 65536 + 2048).contains(&held), "what was read is free again: {held}");
}

#[test]
fn a_writer_whose_reader_has_left_is_told_so() {
    let world = World::new(4 << 20);
    let ticket = world.ticket("/x", &[]);
    let leader = ticket.leader();
    let mut writer = world.begin(ticket, NO_STORE);
    while is_ready(&mut writer) {
        writer.push(piece(64 << 10));
    }
    let (woken, waker) = Woken::new();
    assert!(writer.poll_ready(&mut Context::from_waker(&waker)).is_pending());
    drop(leader);
    assert_eq!(woken.count(), 1);
    assert!(is_gone(&mut writer));
    drop(writer);
    assert_eq!(world.usage().filling_bytes, 0);
}

#[test]
fn an_answer_that_says_it_is_too_large_is_not_shared() {
    let mut world = World::new(4 << 20);
    world.rules = Rules { body_bytes: 1000, ..Rules::default() };
    let ticket = world.ticket("/x", &[]);
    let (mut leader, mut follower) = (ticket.leader(), world.follow("/x"));
    let head = Head { body_bytes: Some(1001), ..world.head(200, FRESH, &[]) };
    let _writer = ticket.begin(head, world.now);
    assert!(matches!(head_of(&mut leader), Begun::Streaming(_)));
    assert!(matches!(head_of(&mut follower), Begun::Unshared(Bypass::TooLarge)));
    assert!(matches!(world.look("/x", &[]), Found::Pass(Bypass::RecentlyUncacheable)));
}

#[test]
fn an_answer_that_grows_too_large_goes_on_to_who_reads_it_at_the_pace_of_the_slowest() {
    let mut world = World::new(16 << 20);
    world.rules = Rules { body_bytes: 300_000, ..Rules::default() };
    let ticket = world.ticket("/x", &[]);
    let (mut fast, mut slow) = (ticket.leader(), world.follow("/x"));
    let mut writer = world.begin(ticket, FRESH);
    for _ in 0..3 {
        assert!(is_ready(&mut writer));
        writer.push(piece(100_000));
    }
    assert_eq!(read(&mut fast).0.len(), 300_000);
    assert!(matches!(world.look("/x", &[]), Found::Follow(_)));
    writer.push(piece(1));
    assert!(matches!(world.look("/x", &[]), Found::Pass(_)), "who comes now goes another way");
    let mut late = slow.filling().read_along().expect("there is a seat");
    assert!(matches!(head_of(&mut late), Begun::Unshared(Bypass::TooLarge)));
    assert_eq!(read(&mut fast).0.len(), 1);
    assert!(!is_ready(&mut writer), "the slow one has read nothing");
    assert!(matches!(head_of(&mut slow), Begun::Streaming(_)));
    assert_eq!(read(&mut slow).0.len(), 300_001);
    assert!(is_ready(&mut writer));
    writer.push(piece(9));
    assert!(writer.finish(world.now).is_none());
    assert_eq!((read(&mut fast).0.len(), read(&mut slow)), (9, (piece(9).to_vec(), Some(Flow::Done))));
    assert_eq!(world.usage().refused_total[Bypass::TooLarge.index()], 1);
}

#[test]
fn a_reader_that_leaves_no_longer_holds_the_others_up() {
    let mut world = World::new(16 << 20);
    world.rules = Rules { body_bytes: 300_000, ..Rules::default() };
    let ticket = world.ticket("/x", &[]);
    let (mut fast, slow) = (ticket.leader(), world.follow("/x"));
    let mut writer = world.begin(ticket, FRESH);
    (0..4).for_each(|_| writer.push(piece(100_000)));
    assert_eq!(read(&mut fast).0.len(), 400_000);
    assert!(!is_ready(&mut writer));
    drop(slow);
    assert!(is_ready(&mut writer));
    assert!(world.usage().filling_bytes < 1000);
}

#[test]
fn what_is_kept_waits_for_nobody() {
    let world = World::new(16 << 20);
    let ticket = world.ticket("/x", &[]);
    let mut never_reads = ticket.leader();
    let mut writer = world.begin(ticket, FRESH);
    for _ in 0..8 {
        assert!(is_ready(&mut writer));
        writer.push(piece(128 << 10));
    }
    assert!(writer.finish(world.now).is_some());
    assert_eq!(read(&mut never_reads).0.len(), 1 << 20);
}

#[test]
fn without_room_an_answer_goes_on_one_piece_at_a_time() {
    let world = World::sharded(256 << 10, 1);
    // Somebody holds on to what has been sent away, and so to the memory.
    let held: Vec<_> =
        (0..6).filter_map(|at| world.fill(&format!("/{at}"), &[], FRESH, &vec![b'x'; 40_000])).collect();
    let ticket = world.ticket("/x", &[]);
    let mut leader = ticket.leader();
    let mut writer = world.begin(ticket, FRESH);
    writer.push(piece(30_000));
    assert_eq!(world.usage().refused_total[Bypass::NoRoom.index()], 1);
    assert!(!is_ready(&mut writer));
    assert_eq!(read(&mut leader).0.len(), 30_000);
    assert!(is_ready(&mut writer));
    assert!(world.usage().used_bytes <= 256 << 10);
    drop(held);
    assert!(writer.finish(world.now).is_none());
    assert!(matches!(world.look("/x", &[]), Found::Fill(_)), "a lack of room leaves no marker");
}
