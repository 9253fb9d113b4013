//! What was purged does not come back: not from disk, not after a restart.

use tidegate_cache::Purge;
use tidegate_cache::disk::Task;

use crate::stage::*;
use crate::support::*;

const PATHS: [&str; 4] = ["/a/1", "/a/2", "/b/1", "/b/2"];

/// Four entries on disk and not in memory, each with its path's last letter as a tag.
fn four() -> Stage {
    let mut stage = Stage::new(1 << 20);
    for path in PATHS {
        let tag = format!("Cache-Tag: {}", &path[3..]);
        let answer = ["Cache-Control: max-age=60, stale-while-revalidate=60", &tag];
        stage.world.fill(path, &[], &answer, path.as_bytes()).unwrap();
    }
    stage.flush();
    stage
}

fn left(stage: &Stage) -> Vec<&'static str> {
    PATHS.into_iter().filter(|path| stage.body(path).is_some()).collect()
}

const PURGES: [(Purge<'_>, &[&str]); 5] = [
    (Purge::Url(b"http://a/a/1"), &["/a/2", "/b/1", "/b/2"]),
    (Purge::Prefix(b"http://a/a/"), &["/b/1", "/b/2"]),
    (Purge::Tag(b"2"), &["/a/1", "/b/1"]),
    (Purge::All, &[]),
    (Purge::Url(b"http://a/a"), &PATHS),
];

#[test]
fn a_purge_holds_for_what_is_on_disk_at_once_and_after_a_restart() {
    for (what, rest) in PURGES {
        let mut stage = four();
        stage.world.store.purge(what, false, NOW);
        assert_eq!(left(&stage), rest, "{what:?}");
        stage.settle();
        for _ in 0..2 {
            stage = stage.restart(|_| {});
            assert_eq!(left(&stage), rest, "{what:?}");
        }
        // What comes after it is kept.
        stage.world.fill("/a/1", &[], FRESH, b"later").unwrap();
        stage.flush();
        assert_eq!(stage.body("/a/1").unwrap(), b"later");
        assert_eq!(stage.restart(|_| {}).body("/a/1").unwrap(), b"later");
    }
}

#[test]
fn a_soft_purge_makes_what_is_on_disk_stale_at_once_and_after_a_restart() {
    for (what, rest) in PURGES {
        let mut stage = four();
        let moment = NOW + 5_000;
        stage.world.store.purge(what, true, moment);
        for _ in 0..2 {
            assert_eq!(left(&stage), PATHS);
            for path in PATHS {
                let until = stage.load(path, &[]).unwrap().terms().fresh_until_ms;
                let stays = rest.contains(&path);
                assert_eq!(until, if stays { NOW + 60_000 } else { moment }, "{what:?} {path}");
            }
            stage.settle();
            stage = stage.restart(|_| {});
        }
    }
}

#[test]
fn a_purge_counts_what_was_in_memory_once() {
    let stage = Stage::new(1 << 20);
    let fill = || PATHS.map(|path| stage.world.fill(path, &[], FRESH, b"x"));
    for (what, count) in
        [(Purge::Url(b"http://a/a/1"), 1), (Purge::Prefix(b"http://a/b"), 2), (Purge::All, 4)]
    {
        drop(fill());
        for soft in [true, false] {
            let before = stage.world.usage().purged_total;
            assert_eq!(stage.world.store.purge(what, soft, NOW + 1), count, "{what:?}");
            assert_eq!(stage.world.usage().purged_total - before, count, "{what:?}");
        }
        stage.world.store.purge(Purge::All, false, NOW);
    }
}

#[test]
fn what_waits_to_be_written_is_purged_as_well() {
    for (what, rest) in PURGES {
        let mut stage = Stage::new(1 << 20);
        let mut entries = Vec::new();
        for path in PATHS {
            let tag = format!("Cache-Tag: {}", &path[3..]);
            entries.push(stage.world.fill(path, &[], &["Cache-Control: max-age=60", &tag], b"x").unwrap());
        }
        for entry in &entries {
            stage.ledger().keep(entry, NOW).unwrap();
        }
        stage.world.store.purge(what, false, NOW);
        stage.settle();
        assert_eq!(left(&stage), rest, "{what:?}");
        assert_eq!(left(&stage.restart(|_| {})), rest, "{what:?}");
    }
}

#[test]
fn a_purge_is_noted_when_it_is_written_and_not_when_the_writer_takes_it() {
    for what in [Purge::Url(b"http://a/a/1"), Purge::Prefix(b"http://a/b/"), Purge::Tag(b"2")] {
        let mut stage = four();
        stage.world.store.purge(what, false, NOW);
        let Some(Task::Note(note)) = stage.ledger().next(NOW) else { panic!("there is a note to write") };
        assert!(!stage.ledger().is_noted(), "{what:?}: a process killed now would bring it back");
        stage.ledger().return_note(note);
        assert!(!stage.ledger().is_noted(), "{what:?}");
        stage.settle();
        assert!(stage.ledger().is_noted(), "{what:?}");
    }
}

#[test]
fn what_is_purged_while_it_is_written_is_noted_when_it_is_taken_out_again() {
    let mut stage = four();
    let entry = stage.world.fill("/x", &[], FRESH, b"x").unwrap();
    stage.ledger().keep(&entry, NOW).unwrap();
    assert!(matches!(stage.ledger().next(NOW), Some(Task::Keep(_))));
    assert!(stage.ledger().is_noted());
    stage.world.store.purge(Purge::Url(b"http://a/x"), false, NOW);
    assert!(!stage.ledger().is_noted(), "its record may be whole on disk already");
    stage.ledger().drop_current(None);
    stage.settle();
    assert!(stage.ledger().is_noted());
}

#[test]
fn what_is_being_written_meanwhile_is_purged_as_well() {
    for (what, soft) in [(Purge::Url(b"http://a/x"), false), (Purge::All, false), (Purge::Tag(b"t"), true)] {
        let mut stage = Stage::new(1 << 20);
        let answer = ["Cache-Control: max-age=60", "Cache-Tag: t"];
        let entry = stage.world.fill("/x", &[], &answer, b"x").unwrap();
        stage.ledger().keep(&entry, NOW).unwrap();
        let task = stage.ledger().next(NOW);
        assert!(matches!(task, Some(tidegate_cache::disk::Task::Keep(_))));
        stage.world.store.purge(what, soft, NOW);
        // The writer comes to an end that it does not know to be too late.
        stage.ledger().drop_current(None);
        stage.settle();
        assert_eq!(stage.body("/x"), None, "{what:?}");
    }
}

#[test]
fn a_url_is_purged_with_all_that_its_route_adds_to_the_key() {
    let mut stage = Stage::new(1 << 20);
    stage.world.rules.key = vec![tidegate_cache::rules::KeyPart::Header("x-b".to_owned())];
    let varies = &["Cache-Control: max-age=60", "Vary: X-A"];
    let asks = [["X-A: 1", "X-B: 1"], ["X-A: 2", "X-B: 1"], ["X-A: 1", "X-B: 2"]];
    for asked in &asks {
        stage.world.fill("/x", asked, varies, b"x").unwrap();
        stage.world.fill("/y", asked, varies, b"y").unwrap();
    }
    stage.flush();
    assert_eq!(stage.usage().entries, 6);
    assert_eq!(stage.ledger().purge(Purge::Url(b"http://a/x"), false, NOW), 3);
    stage.settle();
    for _ in 0..2 {
        assert_eq!(stage.usage().entries, 3);
        for asked in &asks {
            assert!(stage.load("/x", asked).is_none() && stage.load("/y", asked).is_some());
        }
        let rules = stage.world.rules.clone();
        stage = stage.restart(|_| {});
        stage.world.rules = rules;
    }
}

#[test]
fn more_purges_than_are_remembered_take_more_and_never_less() {
    let mut stage = four();
    stage.world.store.purge(Purge::Tag(b"1"), false, NOW);
    for number in 0..2000 {
        let prefix = format!("http://elsewhere/{number}");
        stage.world.store.purge(Purge::Prefix(prefix.as_bytes()), false, NOW);
        stage.settle();
    }
    assert_eq!(left(&stage), [""; 0], "what stands before a forgotten purge is gone");
    assert_eq!(left(&stage.restart(|_| {})), [""; 0]);
}
