//! A disk that is full, stuck, torn or corrupt.

use tidegate_cache::Purge;
use tidegate_cache::disk::{Corrupt, Dropped, Fault, OPENING_BYTES};

use crate::stage::*;
use crate::support::*;

fn filled(count: u8) -> Stage {
    let mut stage = Stage::new(1 << 20);
    for number in 0..count {
        stage.world.fill(&format!("/{number}"), &[], FRESH, &vec![number; 5000]).unwrap();
    }
    stage.flush();
    stage
}

fn count(stage: &Stage, most: u8) -> usize {
    (0..most)
        .filter(|&number| {
            let body = stage.body(&format!("/{number}"));
            assert!(body.is_none() || body == Some(vec![number; 5000]), "/{number} is wrong");
            body.is_some()
        })
        .count()
}

#[test]
fn a_full_disk_costs_entries_and_nothing_else() {
    let mut stage = filled(10);
    stage.writer.files.room = Some(12_000);
    for number in 10..20 {
        stage.world.fill(&format!("/{number}"), &[], FRESH, &vec![number; 5000]).unwrap();
    }
    stage.flush();
    let usage = stage.usage();
    assert_eq!(usage.faults_total[Fault::Full.index()], 1);
    assert_eq!(usage.dropped_total[Dropped::Write.index()], 1);
    assert_eq!(count(&stage, 20), 12, "{usage:?}");
    // It is left alone for a while, and then tried again.
    stage.writer.files.room = None;
    for (number, there) in [(20, 12), (21, 13)] {
        stage.world.fill(&format!("/{number}"), &[], FRESH, &vec![number; 5000]).unwrap();
        stage.flush();
        assert_eq!(count(&stage, 22), there);
        stage.now += 6_000;
    }
    assert!(stage.usage().dropped_total[Dropped::Failing.index()] > 1);
    let stage = stage.restart(|_| {});
    assert_eq!((stage.recovery.doubts.len(), count(&stage, 22)), (0, 13));
}

#[test]
fn a_disk_that_is_full_when_something_is_purged_gives_up_what_is_oldest_for_it() {
    let mut stage = filled(10);
    stage.writer.files.room = Some(0);
    stage.world.store.purge(Purge::Url(b"http://a/3"), false, NOW);
    stage.settle();
    assert!(stage.ledger().is_noted());
    assert_eq!(stage.restart(|_| {}).body("/3"), None);
}

#[test]
fn a_record_that_cannot_be_cut_off_ends_its_segment() {
    let mut stage = filled(4);
    stage.writer.files.room = Some(3000);
    stage.writer.files.is_stuck = true;
    stage.world.fill("/4", &[], FRESH, &[4; 5000]).unwrap();
    stage.flush();
    (stage.writer.files.room, stage.writer.files.is_stuck) = (None, false);
    stage.now += 6_000;
    stage.world.fill("/5", &[], FRESH, &[5; 5000]).unwrap();
    stage.flush();
    assert_eq!(stage.usage().segments, 2);
    for _ in 0..2 {
        assert_eq!(count(&stage, 6), 5);
        stage = stage.restart(|_| {});
        assert_eq!(stage.recovery.doubts, []);
    }
}

#[test]
fn a_torn_end_is_cut_and_what_is_before_it_stays() {
    let whole = filled(6).writer.files.disk;
    let len = whole[&1].len();
    for cut in [1, 7, 100, 4999, 5100] {
        let mut disk = whole.clone();
        disk.get_mut(&1).unwrap().truncate(len - cut);
        let mut stage = Stage::on(1 << 20, LIMIT, disk);
        assert_eq!(stage.recovery.doubts, [], "{cut}");
        assert_eq!(stage.recovery.cut.map(|(number, _)| number), Some(1));
        assert_eq!(count(&stage, 6), 5, "{cut}");
        // And the log goes on behind it.
        stage.world.fill("/7", &[], FRESH, b"later").unwrap();
        stage.flush();
        let stage = stage.restart(|_| {});
        assert_eq!((stage.recovery.doubts.len(), stage.recovery.cut), (0, None));
        assert_eq!((count(&stage, 6), stage.body("/7").unwrap()), (5, b"later".to_vec()));
    }
    // A segment that was only just begun, and an end that was never written.
    let mut disk = whole.clone();
    disk.insert(2, vec![1; OPENING_BYTES - 1]);
    let stage = Stage::on(1 << 20, LIMIT, disk);
    assert_eq!((stage.recovery.removals.as_slice(), count(&stage, 6)), (&[2][..], 6));
    let mut disk = whole;
    disk.get_mut(&1).unwrap().extend_from_slice(&[0; 10_000]);
    let stage = Stage::on(1 << 20, LIMIT, disk);
    assert_eq!((stage.recovery.cut, count(&stage, 6)), (Some((1, len as u64)), 6));
}

#[test]
fn a_corrupt_body_is_dropped_alone() {
    let mut disk = filled(6).writer.files.disk;
    let file = disk.get_mut(&1).unwrap();
    let at = file.windows(100).position(|bytes| bytes == [3; 100]).unwrap();
    file[at + 1000] ^= 0x10;
    let stage = Stage::on(1 << 20, LIMIT, disk);
    assert_eq!((stage.recovery.doubts.len(), count(&stage, 6)), (0, 5));
    assert_eq!(stage.usage().entries, 5, "it is not looked at twice");
}

#[test]
fn where_a_purge_may_have_stood_nothing_older_is_believed() {
    let mut stage = filled(6);
    stage.world.store.purge(Purge::Url(b"http://a/3"), false, NOW);
    stage.settle();
    let purged = stage.writer.files.disk[&1].len();
    stage.world.fill("/7", &[], FRESH, &[7; 5000]).unwrap();
    stage.flush();
    let disk = stage.writer.files.disk;
    // The head of the note, and its text.
    for back in [40, 5] {
        let mut disk = disk.clone();
        disk.get_mut(&1).unwrap()[purged - back] ^= 1;
        let stage = Stage::on(1 << 20, LIMIT, disk);
        assert_eq!(stage.recovery.doubts.len(), 1);
        assert_eq!(count(&stage, 6), 0);
        let survives = stage.body("/7").is_some();
        assert_eq!(survives, back == 5, "what follows is found if the length is known");
    }
}

#[test]
fn a_missing_or_shortened_segment_takes_what_is_older_along() {
    let mut stage = Stage::new(1 << 20);
    for number in 0..250 {
        stage.world.fill(&format!("/{number}"), &[], FRESH, &vec![number; 12_000]).unwrap();
        stage.flush();
    }
    let disk = stage.writer.files.disk;
    assert!(disk.len() >= 3, "{}", disk.len());
    let numbers: Vec<u32> = disk.keys().copied().collect();
    let [first, second, .., last] = numbers[..] else { panic!("three segments") };
    type Change = fn(&mut Disk, u32);
    let changes: [(Change, Corrupt); 3] = [
        (|disk, number| drop(disk.remove(&number)), Corrupt::Missing),
        (|disk, number| disk.get_mut(&number).unwrap().truncate(50_000), Corrupt::Missing),
        (|disk, number| disk.get_mut(&number).unwrap()[3] ^= 1, Corrupt::Opening),
    ];
    for (change, why) in changes {
        let mut disk = disk.clone();
        change(&mut disk, second);
        let stage = Stage::on(1 << 20, LIMIT, disk);
        assert_eq!(stage.recovery.doubts[0].1, why);
        assert!(stage.recovery.removals.contains(&first), "{:?}", stage.recovery);
        assert!(stage.usage().entries > 0);
        assert_eq!(stage.writer.files.disk.keys().next_back(), Some(&last));
        // What was given up is gone for good.
        let entries = stage.usage().entries;
        let stage = stage.restart(|_| {});
        assert_eq!(stage.usage().entries, entries);
    }
}

#[test]
fn segments_of_another_version_are_given_up_and_named() {
    let mut disk = filled(3).writer.files.disk;
    let file = disk.get_mut(&1).unwrap();
    file[8] = 2;
    let sum = tidegate_cache::disk::Sum::of(&file[..28]).to_le_bytes();
    file[28..32].copy_from_slice(&sum);
    let stage = Stage::on(1 << 20, LIMIT, disk);
    assert_eq!((stage.recovery.versions.as_slice(), stage.usage().entries), (&[1][..], 0));
    assert!(stage.writer.files.disk.is_empty());
}
