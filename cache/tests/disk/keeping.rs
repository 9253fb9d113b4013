//! What goes to disk, and what is found there.

use tidegate_cache::disk::{Dropped, Text};
use tidegate_cache::entry::Body;
use tidegate_cache::store::{Found, Purge};

use crate::stage::*;
use crate::support::*;

#[test]
fn what_leaves_the_memory_goes_to_disk_and_is_found_there() {
    let mut stage = Stage::new(256 << 10);
    for number in 0..200 {
        stage.world.fill(&format!("/{number}"), &[], FRESH, &vec![number; 2000]).unwrap();
        stage.settle();
    }
    assert!(stage.world.usage().evictions_total > 60);
    for number in 0..200_u8 {
        let path = format!("/{number}");
        let there = stage.world.is_hit(&path) || stage.body(&path) == Some(vec![number; 2000]);
        assert!(there, "{path} is in neither tier");
    }
    let usage = stage.usage();
    assert_eq!(usage.entries, usage.written_total);
    assert_eq!(usage.dropped_total, [0; Dropped::ALL.len()]);
}

#[test]
fn an_entry_comes_back_from_its_text_as_it_was() {
    let world = World::new(1 << 20);
    let answer = &[
        "Cache-Control: max-age=60, stale-while-revalidate=30, public",
        "Vary: X-A",
        "Cache-Tag: one, two",
        "ETag: \"v1\"",
        "Last-Modified: Mon, 01 Jan 2024 00:00:00 GMT",
    ];
    for (answer, asked) in [(&answer[..], &["X-A: 1"][..]), (FRESH, &[])] {
        let entry = world.fill("/x?y", asked, answer, b"body").unwrap();
        let text = Text::of(&entry);
        let again = Text::read(&text).unwrap().entry(Body::Empty);
        assert_eq!(
            (again.key(), again.url(), again.head(), again.vary(), again.status(), again.stored_ms()),
            (entry.key(), entry.url(), entry.head(), entry.vary(), entry.status(), entry.stored_ms())
        );
        assert_eq!(again.terms(), entry.terms());
        assert!(again.tags().eq(entry.tags()));
        assert_eq!(Text::of(&again), text, "what was loaded is known to be the same");
    }
}

#[test]
fn a_restart_finds_everything_again() {
    let mut stage = Stage::new(1 << 20);
    for number in 0..200 {
        stage.world.fill(&format!("/{number}"), &[], FRESH, &vec![number; 9000]).unwrap();
        stage.flush();
    }
    let before = stage.usage();
    assert!(before.segments > 1, "{before:?}");
    for _ in 0..2 {
        stage = stage.restart(|_| {});
        assert_eq!(stage.recovery, tidegate_cache::disk::Recovery::default());
        assert_eq!((stage.usage().entries, stage.usage().used_bytes), (before.entries, before.used_bytes));
        for number in 0..200 {
            assert_eq!(stage.body(&format!("/{number}")), Some(vec![number; 9000]));
        }
    }
}

#[test]
fn a_loaded_entry_is_a_hit_and_is_not_written_again() {
    let mut stage = Stage::new(1 << 20);
    stage.world.fill("/x", &[], FRESH, b"x").unwrap();
    stage.flush();
    assert!(stage.promote("/x"));
    assert!(stage.world.is_hit("/x"));
    assert_eq!(stage.world.usage().fills_total, 1, "a load is no fetch");
    stage.flush();
    assert_eq!(stage.usage().written_total, 1);
    assert_eq!(stage.body("/x").unwrap(), b"x");
}

#[test]
fn what_is_newer_in_memory_puts_what_is_on_disk_out_of_date() {
    let mut stage = Stage::new(1 << 20);
    stage.world.fill("/x", &[], FRESH, b"old").unwrap();
    stage.world.fill("/y", &[], FRESH, b"y").unwrap();
    stage.flush();
    stage.world.fill("/x", &[], FRESH, b"new").unwrap();
    assert_eq!(stage.body("/x"), None);
    stage.settle();
    // Neither does it come back when the new one is lost.
    let stage = stage.restart(|_| {});
    assert_eq!((stage.body("/x"), stage.body("/y").unwrap()), (None, b"y".to_vec()));
}

#[test]
fn an_answer_that_may_no_longer_be_kept_puts_it_out_of_date_as_well() {
    let mut stage = Stage::new(1 << 20);
    stage.world.fill("/x", &[], FRESH, b"old").unwrap();
    stage.flush();
    drop(stage.world.begin(stage.world.ticket("/x", &[]), &["Cache-Control: private"]));
    assert_eq!(stage.body("/x"), None);
    stage.settle();
    assert_eq!(stage.restart(|_| {}).body("/x"), None);
}

#[test]
fn variants_are_told_apart_on_disk_and_one_that_is_out_of_date_tells_only_the_names() {
    let mut stage = Stage::new(1 << 20);
    let varies = &["Cache-Control: max-age=60", "Vary: X-A"];
    let fill = |stage: &Stage, value: &str, text: &[u8]| {
        stage.world.fill("/x", &[&format!("X-A: {value}")], varies, text).unwrap();
    };
    fill(&stage, "1", b"one");
    fill(&stage, "2", b"two");
    stage.flush();
    for round in 0..2 {
        let text = |value: &str| stage.load("/x", &[&format!("X-A: {value}")]).map(|entry| body(&entry));
        assert_eq!(text("1").unwrap(), b"one", "round {round}");
        assert_eq!(text("2").unwrap(), b"two", "round {round}");
        assert_eq!(text("3"), None);
        stage = stage.restart(|_| {});
    }
    // Whichever was written last is replaced; the other one is still found through it.
    fill(&stage, "1", b"newer");
    fill(&stage, "2", b"newer");
    assert!(stage.load("/x", &["X-A: 1"]).is_none() && stage.load("/x", &["X-A: 2"]).is_none());
    stage.flush();
    fill(&stage, "2", b"newest");
    assert_eq!(body(&stage.load("/x", &["X-A: 1"]).unwrap()), b"newer");
    assert!(stage.load("/x", &["X-A: 2"]).is_none());
    assert_eq!(stage.usage().entries, 1);
}

#[test]
fn the_bound_is_kept_and_what_is_oldest_goes() {
    let mut stage = Stage::new(1 << 20);
    for number in 0..1000 {
        stage.world.fill(&format!("/{number}"), &[], FRESH, &vec![7; 20_000]).unwrap();
        stage.flush();
        let usage = stage.usage();
        let files: usize = stage.writer.files.disk.values().map(Vec::len).sum();
        assert_eq!(usage.used_bytes, files as u64);
        assert!(files as u64 <= LIMIT, "{files}");
        assert!(usage.entries * 20_000 < LIMIT);
    }
    assert!(stage.usage().entries > 100);
    assert!(stage.body("/999").is_some() && stage.body("/0").is_none());
    stage.ledger().set_limits(LIMIT / 2, 1 << 20);
    stage.settle();
    assert!(stage.usage().used_bytes <= LIMIT / 2);
    assert!(stage.body("/999").is_some());
}

#[test]
fn the_index_takes_no_more_memory_than_its_share() {
    let mut stage = Stage::on(1 << 20, 64 << 20, Disk::new());
    for number in 0..6000 {
        let vary = ["Cache-Control: max-age=60", "Vary: X-A"];
        let answer = if number % 3 == 0 { &vary[..] } else { FRESH };
        stage.world.fill(&format!("/{}", number % 3000), &["X-A: 1"], answer, b"small").unwrap();
        stage.flush();
        let usage = stage.usage();
        assert!(usage.index_bytes <= (1 << 20) / 8 + 4096, "{usage:?}");
    }
    assert!(stage.usage().entries > 100);
    assert!(stage.load("/2999", &["X-A: 1"]).is_some());
}

#[test]
fn what_comes_faster_than_it_is_written_is_dropped_and_counted() {
    let stage = Stage::new(1 << 20);
    for number in 0..200 {
        stage.world.fill(&format!("/{number}"), &[], FRESH, &vec![1; 20_000]).unwrap();
    }
    let usage = stage.usage();
    assert!(usage.waiting_bytes <= (1 << 20) / 16, "{usage:?}");
    assert!(usage.dropped_total[Dropped::Busy.index()] > 50);
    assert!(stage.world.usage().used_bytes <= 1 << 20, "what waits counts as memory");
}

#[test]
fn what_is_of_no_use_or_too_large_is_not_written() {
    let mut stage = Stage::on(64 << 20, LIMIT, Disk::new());
    let entry = stage.world.fill("/x", &[], FRESH, b"x").unwrap();
    let late = NOW + 3_600_000;
    assert_eq!(stage.ledger().keep(&entry, late), Err(Dropped::Expired));
    let large = stage.world.fill("/y", &[], FRESH, &vec![1; (LIMIT / 4) as usize + 1]).unwrap();
    assert_eq!(stage.ledger().keep(&large, NOW), Err(Dropped::TooLarge));
    stage.settle();
    assert_eq!(stage.usage().written_total, 0);
    let validated = stage.world.fill("/z", &[], &["Cache-Control: max-age=60", "ETag: \"v\""], b"z").unwrap();
    assert_eq!(stage.ledger().keep(&validated, late), Ok(()));
}

#[test]
fn a_large_body_goes_to_disk_at_once_and_leaves_the_memory() {
    let mut stage = Stage::new(4 << 20);
    stage.world.fill("/small", &[], FRESH, &vec![1; 60_000]).unwrap();
    stage.world.fill("/large", &[], FRESH, &vec![2; 200_000]).unwrap();
    stage.settle();
    let (entry, _) = stage.writer.files.kept.pop().expect("the large one is written");
    assert_eq!(stage.usage().written_total, 1);
    let before = stage.world.usage().used_bytes;
    let text = Text::of(&entry);
    let place = Body::Elsewhere(std::sync::Arc::new(Far(200_000)));
    let far = Text::read(&text).unwrap().entry(place);
    assert!(stage.world.store.swap(&entry, Some(far)));
    drop((entry, stage.writer.files.kept.drain(..)));
    assert!(stage.world.usage().used_bytes + 199_000 < before);
    let Found::Hit(entry) = stage.world.look("/large", &[]) else { panic!("it is still there") };
    assert!(entry.body().place().is_some_and(<dyn std::any::Any>::is::<Far>));
    assert_eq!(stage.world.store.forget_where(|entry| entry.body().place().is_some()), 1);
    assert!(!stage.world.is_hit("/large") && stage.world.is_hit("/small"));
}

#[test]
fn a_swap_for_something_that_is_no_longer_there_changes_nothing() {
    let stage = Stage::new(1 << 20);
    let entry = stage.world.fill("/x", &[], FRESH, b"x").unwrap();
    let again = || Text::read(&Text::of(&entry)).map(|text| text.entry(Body::Empty)).ok();
    stage.world.store.purge(Purge::All, false, NOW);
    assert!(!stage.world.store.swap(&entry, again()));
    stage.world.fill("/x", &[], FRESH, b"other").unwrap();
    assert!(!stage.world.store.swap(&entry, None));
    assert!(stage.world.is_hit("/x"));
    drop(entry);
    stage.world.store.purge(Purge::All, false, NOW);
    let usage = stage.world.usage();
    assert_eq!((usage.head_bytes, usage.body_bytes), (0, 0));
}
