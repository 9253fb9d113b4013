//! Any bytes as what is on disk: the text of an entry, a note, and a whole folder of two segments. None does harm, what
//! is read as an entry is written as the same, and what a folder is read as can be read again.

#![no_main]

use std::collections::BTreeMap;

use cache::disk::{HEAD_BYTES, Head, Kind, Ledger, Note, OPENING_BYTES, Opening, Position, Sum, Text, front};
use cache::entry::Body;
use cache::key::Seed;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Ok(text) = Text::read(data) {
        let entry = text.entry(Body::Empty);
        let again = Text::of(&entry);
        let once = Text::read(&again).expect("what was written is read");
        assert_eq!(
            (once.key, once.head, once.vary, once.status),
            (text.key, text.head, text.vary, text.status)
        );
        assert_eq!(Text::of(&once.entry(Body::Empty)), again);
    }
    for kind in [Kind::Void, Kind::Purge] {
        if let Ok(note) = Note::read(kind, data) {
            assert_eq!(Note::read(kind, &note.write()), Ok(note));
        }
    }
    let at = Position { segment: 1, unit: (OPENING_BYTES / 8) as u32 };
    let _ = front(data, at);
    folder(data, at);
});

/// The bytes in three ways: as they are, behind an opening, and as the text of a record that adds up.
fn folder(data: &[u8], at: Position) {
    let opening = Opening { number: 1, before_bytes: 0 }.write();
    let kind = match data.first().map_or(0, |first| first % 3) {
        0 => Kind::Entry,
        1 => Kind::Void,
        _ => Kind::Purge,
    };
    let text = data.get(1..).unwrap_or_default();
    let (text_bytes, text_sum) = (text.len() as u32, Sum::of(text));
    let head = Head { kind, text_bytes, text_sum, body_bytes: 0, body_sum: 0 }.write(at);
    assert_eq!(head.len(), HEAD_BYTES);
    let padding = vec![0; text.len().next_multiple_of(8) - text.len()];
    for first in
        [data.to_vec(), [&opening[..], data].concat(), [&opening[..], &head, text, &padding].concat()]
    {
        let before_bytes = first.len() as u64;
        let second = [&Opening { number: 2, before_bytes }.write()[..], data].concat();
        let disk = BTreeMap::from([(1, first), (2, second)]);
        let files: Vec<(u32, u64)> = disk.iter().map(|(&number, file)| (number, file.len() as u64)).collect();
        let mut ledger = Ledger::new(Seed::new(1), 1 << 20, 1 << 20);
        let recovery = ledger.recover(&files, &mut |number, offset, out: &mut [u8]| {
            let file = disk.get(&number).and_then(|file| file.get(offset as usize..));
            let Some(bytes) = file.and_then(|file| file.get(..out.len())) else { return false };
            out.copy_from_slice(bytes);
            true
        });
        assert!(ledger.usage().segments as usize + recovery.removals.len() == 2, "{recovery:?}");
    }
}
