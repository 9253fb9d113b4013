//! Whatever happens to a folder, nothing wrong is given out: no other bytes, nothing older, nothing purged.

use proptest::prelude::*;
use tidegate_cache::Purge;

use crate::stage::*;
use crate::support::*;

const PATHS: u8 = 8;

#[derive(Clone, Debug)]
enum Act {
    /// The origin has a newer answer, and it is fetched.
    Fill(u8),
    /// So much time passes that the writer is done.
    Settle,
    /// What is in memory leaves it.
    Flush,
    /// Somebody asks.
    Ask(u8),
    Purge(u8, u8),
    /// The process is killed while so many of the last bytes are still on their way.
    Kill(u8),
    /// It ends, and comes back.
    Restart,
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let act = prop_oneof![
        6 => (0..PATHS).prop_map(Act::Fill),
        2 => Just(Act::Settle),
        3 => Just(Act::Flush),
        4 => (0..PATHS).prop_map(Act::Ask),
        3 => (0..4_u8, 0..PATHS).prop_map(|(kind, path)| Act::Purge(kind, path)),
        1 => any::<u8>().prop_map(Act::Kill),
        1 => Just(Act::Restart),
    ];
    proptest::collection::vec(act, 1..60)
}

/// What the origin would say now, by path; `None`: whatever there was is purged.
type Truth = [Option<u32>; PATHS as usize];

fn path(number: u8) -> String {
    format!("/{}/{number}", number % 2)
}

fn text(number: u8, version: u32) -> Vec<u8> {
    let mut text = format!("{number}:{version};").into_bytes();
    text.resize(2000 + usize::from(number) * 11, number);
    text
}

/// Nothing but the truth is found, wherever that is.
fn check(stage: &Stage, truth: &Truth) -> Result<(), TestCaseError> {
    for number in 0..PATHS {
        let Some(found) = stage.body(&path(number)) else { continue };
        let wanted = truth[usize::from(number)].map(|version| text(number, version));
        prop_assert_eq!(Some(found), wanted, "/{}", number);
    }
    Ok(())
}

fn play(acts: &[Act]) -> Result<(Stage, Truth), TestCaseError> {
    let mut stage = Stage::on(1 << 20, 256 << 10, Disk::new());
    let mut truth = Truth::default();
    let mut version = 0;
    for act in acts {
        match *act {
            Act::Fill(number) => {
                version += 1;
                stage.world.store.purge(
                    Purge::Url(format!("http://a{}", path(number)).as_bytes()),
                    false,
                    NOW,
                );
                let tag = format!("Cache-Tag: {}", number % 3);
                let answer = ["Cache-Control: max-age=60", &tag];
                stage.world.fill(&path(number), &[], &answer, &text(number, version));
                truth[usize::from(number)] = Some(version);
            }
            Act::Settle => stage.settle(),
            Act::Flush => stage.flush(),
            Act::Ask(number) => {
                stage.promote(&path(number));
            }
            Act::Purge(kind, number) => {
                let url = format!("http://a{}", path(number));
                let tag = (number % 3).to_string();
                let (what, is): (Purge<'_>, fn(u8, u8) -> bool) = match kind {
                    0 => (Purge::Url(url.as_bytes()), |one, other| one == other),
                    1 => (Purge::Prefix(&url.as_bytes()[..11]), |one, other| one % 2 == other % 2),
                    2 => (Purge::Tag(tag.as_bytes()), |one, other| one % 3 == other % 3),
                    _ => (Purge::All, |_, _| true),
                };
                stage.world.store.purge(what, false, NOW);
                for other in (0..PATHS).filter(|&other| is(number, other)) {
                    truth[usize::from(other)] = None;
                }
            }
            Act::Kill(bytes) => {
                // What was promised is on disk, and only what comes next is torn.
                stage.settle();
                let entry = stage.world.fill("/torn", &[], FRESH, &[9; 300]);
                stage.flush();
                drop(entry);
                stage = stage.restart(|disk| {
                    if let Some(mut last) = disk.last_entry() {
                        let len = last.get().len();
                        last.get_mut().truncate(len - usize::from(bytes).min(200));
                    }
                });
                prop_assert_eq!(&stage.recovery.doubts, &[]);
            }
            Act::Restart => {
                stage.settle();
                stage = stage.restart(|_| {});
                prop_assert_eq!(&stage.recovery.doubts, &[]);
            }
        }
        check(&stage, &truth)?;
    }
    Ok((stage, truth))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn nothing_but_the_newest_answer_is_found_whatever_happens(acts in acts()) {
        play(&acts)?;
    }

    #[test]
    fn nothing_wrong_is_found_in_a_folder_with_any_bits_turned(
        acts in acts(),
        flips in proptest::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), 0..8_u8), 1..12),
    ) {
        let (mut stage, truth) = play(&acts)?;
        stage.flush();
        stage = stage.restart(|disk| {
            let numbers: Vec<u32> = disk.keys().copied().collect();
            for (file, byte, bit) in flips.iter().filter(|_| !numbers.is_empty()) {
                let file = disk.get_mut(file.get(&numbers)).unwrap();
                let len = file.len();
                file[byte.index(len)] ^= 1 << bit;
            }
        });
        check(&stage, &truth)?;
        // And none of it comes back later.
        stage.settle();
        check(&stage.restart(|_| {}), &truth)?;
    }

    #[test]
    fn nothing_wrong_is_found_where_bits_turn_while_the_process_runs(
        acts in acts(),
        flips in proptest::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), 0..8_u8), 1..12),
    ) {
        let (mut stage, truth) = play(&acts)?;
        stage.flush();
        let disk = &mut stage.writer.files.disk;
        let numbers: Vec<u32> = disk.keys().copied().collect();
        for (file, byte, bit) in flips.iter().filter(|_| !numbers.is_empty()) {
            let file = disk.get_mut(file.get(&numbers)).unwrap();
            let len = file.len();
            file[byte.index(len)] ^= 1 << bit;
        }
        check(&stage, &truth)?;
    }
}
