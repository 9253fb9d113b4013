//! Recording allocates nothing once the recorder has its memory, neither within a second nor from one to the next, nor
//! after what was recorded was taken away.

use core::cell::Cell;
use std::alloc::{GlobalAlloc, Layout, System};

use tidegate_load::failure::Failure;
use tidegate_load::record::{Done, Event, Record, Recorder};

/// The system's allocator, which counts what the thread asks of it.
struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

// The one place in these tests that needs `unsafe`: the trait is unsafe to implement.
#[expect(unsafe_code)]
// SAFETY: every call goes to the system's allocator unchanged; the counter is a plain cell of the thread that neither
// allocates nor has a destructor.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller keeps this trait's promises, which are those of the system's allocator.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps this trait's promises, which are those of the system's allocator.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller keeps this trait's promises, which are those of the system's allocator.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const MS: u64 = 1_000_000;

/// Half a second of everything that can be recorded; how many allocations it took.
fn half_a_second(recorder: &mut Recorder, number: u64) -> u64 {
    let before = ALLOCATIONS.get();
    for ms in number * 500..(number + 1) * 500 {
        let (due, at) = (ms * MS, ms * MS + 200_000);
        recorder.due(due, 1000);
        let failed = ms % 10 == 0;
        recorder.done(&Done {
            step: (ms % 3) as u16,
            due,
            sent: Some(due + 1000),
            at,
            status: if failed { 503 } else { 200 },
            outcome: if failed { Err(Failure::Status) } else { Ok(()) },
            received_bytes: 1000,
            sent_bytes: 100,
        });
        for event in [
            Event::Connected { took: MS },
            Event::NotConnected(Failure::Refused),
            Event::Delivered { took: MS },
            Event::Received,
            Event::Published,
            Event::Disconnected,
        ] {
            recorder.event(at, event);
        }
        recorder.open(at, (ms % 100) as u32);
    }
    ALLOCATIONS.get() - before
}

#[test]
fn recording_allocates_nothing_after_the_first_window() {
    let mut recorder = Recorder::new(&["home".to_owned(), "search".to_owned(), "cart".to_owned()]);
    let mut total = Record::default();
    // A whole second, so that every kind of memory was needed once.
    for number in 0..3 {
        assert!(half_a_second(&mut recorder, number) > 0 || number > 0);
        total.merge(&recorder.take());
    }
    for number in 3..1500 {
        assert_eq!(half_a_second(&mut recorder, number), 0, "window {number}");
        if number % 50 == 0 || number > 1400 {
            total.merge(&recorder.take());
        } else {
            let _ = recorder.take();
        }
    }
    assert!(total.requests() > 1500);
}
