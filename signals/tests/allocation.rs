//! Counting and logging a request allocate nothing once the buffers have their size.

use core::cell::Cell;
use core::time::Duration;
use std::alloc::{GlobalAlloc, Layout, System};
use std::time::SystemTime;

use tidegate_signals::log::{AccessLog, Format, Settings};
use tidegate_signals::{Finished, Signals, Stage, Times, Who};

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

#[test]
fn a_finished_request_allocates_nothing() {
    let signals = Signals::new(1);
    let shard = signals.shard(0);
    let (route, upstream) = (signals.route("/x"), signals.upstream("app"));
    let endpoint = signals.endpoint(upstream, "127.0.0.1:3001");
    let finished = Finished {
        who: Who::Complete,
        stage: Stage::Done,
        route: Some(route),
        upstream: Some(upstream),
        endpoint: Some(endpoint),
        status: 200,
        refusal: None,
        tries: 1,
        reused: true,
        received_bytes: 0,
        sent_bytes: 1_000,
        times: Times { total: Duration::from_micros(900), ..Times::default() },
        cached: None,
        client: Some([2, 1, 0, 0, 0, 0, 0, 9].into()),
        method: b"GET",
        target: b"/x?caf\xe9=\"1\"",
        host: b"example.com",
        version: 11,
        referer: b"",
        user_agent: b"test",
        request_id: b"1",
        limit: "",
        trace_id: b"",
    };
    for format in [Format::Json, Format::Combined] {
        let settings = Settings { path: Some("/dev/null".into()), format, sample: [0.5; 5] };
        let log = AccessLog::open(settings, &signals).unwrap();
        let mut handle = log.handle();
        let mut write = |count: u32| {
            let before = ALLOCATIONS.get();
            for number in 0..count {
                shard.finished(&finished);
                let now = SystemTime::UNIX_EPOCH + Duration::from_millis(number.into());
                handle.write(&finished, "/x", "app", "127.0.0.1:3001", now);
            }
            ALLOCATIONS.get() - before
        };
        // The first lines make the core's buffer and whatever else is made once.
        write(10);
        assert_eq!(write(100), 0, "within one buffer");
        // Twenty thousand lines fill about a hundred buffers. One comes back from the writer for nearly each that goes;
        // when the writer is late, a new one costs exactly one allocation.
        let before = ALLOCATIONS.get();
        write(20_000);
        let buffers = ALLOCATIONS.get() - before;
        assert!(buffers < 150, "{buffers} allocations for 20,000 requests");
    }
}
