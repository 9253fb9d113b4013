//! Many threads at once: what may not happen however they meet.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

use tidegate_cache::filling::{Begun, Flow, Reader};
use tidegate_cache::store::{Found, Purge, Ticket};

use crate::support::*;

/// Wakes a thread that waits.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

fn wait<T>(mut poll: impl FnMut(&mut Context<'_>) -> Poll<T>) -> T {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut cx = Context::from_waker(&waker);
    loop {
        match poll(&mut cx) {
            Poll::Ready(done) => return done,
            Poll::Pending => thread::park(),
        }
    }
}

fn read_whole(reader: &mut Reader) -> (Vec<u8>, Flow) {
    let mut bytes = Vec::new();
    loop {
        let mut out = Vec::with_capacity(4);
        let flow = wait(|cx| reader.poll_pieces(cx, &mut out));
        bytes.extend(out.iter().flat_map(|piece| piece.iter()));
        if flow != Flow::More {
            return (bytes, flow);
        }
    }
}

const THREADS: usize = 8;

#[test]
fn of_many_who_miss_at_once_one_fills_and_all_get_it_whole() {
    for round in 0..50 {
        let world = World::new(1 << 20);
        let fills = AtomicUsize::new(0);
        let fill = |ticket: Ticket| {
            fills.fetch_add(1, SeqCst);
            let mut writer = world.begin(ticket, FRESH);
            for at in 0..10_u8 {
                writer.push([at; 10][..].into());
            }
            writer.finish(NOW);
        };
        let deliver = |mut reader: Reader| match wait(|cx| reader.poll_head(cx)) {
            Begun::Streaming(_) => read_whole(&mut reader),
            Begun::Whole { entry, .. } => (body(&entry), Flow::Done),
            other => panic!("{other:?}"),
        };
        thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| {
                    let (bytes, flow) = match world.look("/x", &[]) {
                        Found::Hit(entry) => (body(&entry), Flow::Done),
                        Found::Follow(filling) => deliver(filling.read_along().unwrap()),
                        Found::Fill(ticket) => {
                            let leader = ticket.leader();
                            fill(ticket);
                            deliver(leader)
                        }
                        other => panic!("{other:?}"),
                    };
                    assert_eq!((bytes.len(), flow), (100, Flow::Done));
                });
            }
        });
        assert_eq!(fills.into_inner(), 1, "round {round}");
    }
}

#[test]
fn when_fillers_are_lost_nobody_waits_for_ever() {
    for _ in 0..100 {
        let world = World::new(1 << 20);
        let (promoted, lost) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let ticket = world.ticket("/x", &[]);
        let readers: Vec<_> = (0..THREADS).map(|_| world.follow("/x")).collect();
        thread::scope(|scope| {
            for (at, mut reader) in readers.into_iter().enumerate() {
                let (promoted, lost) = (&promoted, &lost);
                scope.spawn(move || {
                    if at % 3 == 0 {
                        // Leaves at some moment, perhaps just promoted.
                        drop(reader);
                        return;
                    }
                    loop {
                        let counted = match wait(|cx| reader.poll_head(cx)) {
                            Begun::Lead(_ticket) => promoted,
                            Begun::Failed(_) => lost,
                            other => panic!("{other:?}"),
                        };
                        counted.fetch_add(1, SeqCst);
                        if core::ptr::eq(counted, lost) {
                            break;
                        }
                    }
                });
            }
            scope.spawn(move || drop(ticket));
        });
        assert_eq!((promoted.into_inner(), lost.into_inner()), (1, 5));
        assert_eq!(world.usage().filling_bytes, 0);
    }
}

#[test]
fn a_writer_and_slow_readers_of_what_is_too_large_neither_lose_nor_repeat_a_byte() {
    for _ in 0..20 {
        let mut world = World::new(16 << 20);
        world.rules.body_bytes = 20_000;
        let ticket = world.ticket("/x", &[]);
        let mut readers = vec![ticket.leader()];
        readers.extend((1..4).map(|_| world.follow("/x")));
        let mut writer = world.begin(ticket, FRESH);
        let wanted: Vec<u8> = (0..200_u8).flat_map(|at| vec![at; 5000]).collect();
        thread::scope(|scope| {
            for mut reader in readers {
                let wanted = &wanted;
                scope.spawn(move || {
                    assert!(matches!(wait(|cx| reader.poll_head(cx)), Begun::Streaming(_)));
                    let (bytes, flow) = read_whole(&mut reader);
                    assert!(flow == Flow::Done && bytes == *wanted);
                });
            }
            scope.spawn(move || {
                for at in 0..200_u8 {
                    wait(|cx| writer.poll_ready(cx)).expect("they read to the end");
                    writer.push([at; 5000][..].into());
                }
                assert!(writer.finish(NOW).is_none());
            });
        });
        assert_eq!(world.usage().filling_bytes, 0);
    }
}

#[test]
fn nothing_is_lost_or_left_when_all_happens_at_once() {
    let memory = 600_000;
    let world = World::sharded(memory, 4);
    thread::scope(|scope| {
        for thread in 0..THREADS {
            let world = &world;
            scope.spawn(move || {
                for at in 0..2000 {
                    let path = format!("/{}", at * (thread + 3) % 97);
                    match world.look(&path, &[]) {
                        Found::Fill(ticket) if at % 11 == 0 => drop(ticket),
                        Found::Fill(ticket) => {
                            let mut writer = world.begin(ticket, FRESH);
                            writer.push(path.as_bytes().into());
                            writer.push(vec![0; at % 7 * 5000].into());
                            if at % 13 > 0 {
                                writer.finish(NOW);
                            }
                        }
                        Found::Hit(entry) => assert!(body(&entry).starts_with(path.as_bytes())),
                        Found::Follow(filling) => drop(filling.read_along()),
                        _ => {}
                    }
                    if at % 400 == thread {
                        world.store.purge(Purge::Prefix(b"http://a/1"), false, NOW);
                    }
                }
            });
        }
    });
    let usage = world.usage();
    assert!(usage.used_bytes <= memory, "{usage:?}");
    world.store.purge(Purge::All, false, NOW);
    let usage = world.usage();
    assert_eq!((usage.used_bytes, usage.fillings), (usage.overhead_bytes, 0));
}
