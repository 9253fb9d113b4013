//! Memory: the bound under any operations, what an entry costs, what a large one does to others.

use std::collections::HashMap;
use std::sync::Arc;

use proptest::prelude::*;
use tidegate_cache::filling::Reader;
use tidegate_cache::store::{Found, Purge, Writer};
use tidegate_cache::{Bypass, Entry, Rules};

use crate::support::*;

#[test]
fn an_entry_costs_no_more_than_165_bytes_beside_key_head_and_body() {
    let world = World::sharded(38_000_000, 64);
    let (mut given, mut whole) = (0, 0);
    for at in 0..150_000 {
        let entry = world.fill(&format!("/some/page/{at}"), &[], FRESH, &[b'x'; 100]).unwrap();
        given = (entry.key().len() + entry.head().len() + 100) as u64;
        whole = size_of_val(&*entry) as u64;
    }
    let usage = world.usage();
    assert_eq!((usage.leaving_bytes, usage.filling_bytes), (0, 0));
    assert!(usage.entries > 95_000 && usage.evictions_total > 40_000, "full, with its ghosts: {usage:?}");
    // Everything that is accounted for, and that is what the process takes: see the example `entries`.
    let accounted = usage.used_bytes / usage.entries - given;
    assert!(
        accounted <= 165,
        "{accounted}, of which {} in tables and queues",
        usage.overhead_bytes / usage.entries
    );
    // No less than there is: the entry, its counters, and what an allocator adds to an allocation.
    let counters = 2 * size_of::<usize>() as u64;
    let least = whole - given + counters + 8 + usage.overhead_bytes / usage.entries;
    assert!(accounted >= least, "{accounted} of {least}");
}

#[test]
fn an_entry_larger_than_a_shards_share_is_kept_and_others_leave_for_it() {
    let world = World::sharded(4 << 20, 16);
    for at in 0..800 {
        world.fill(&format!("/{at}"), &[], FRESH, &[b'x'; 4096]);
    }
    let mut writer = world.begin(world.ticket("/large", &[]), FRESH);
    for _ in 0..15 {
        writer.push(vec![b'x'; 65536].into());
        assert!(world.usage().used_bytes <= 4 << 20);
    }
    assert!(writer.finish(NOW).is_some());
    assert!(world.is_hit("/large"));
    // The other shards go on with what they have.
    for at in 800..1600 {
        world.fill(&format!("/{at}"), &[], FRESH, &[b'x'; 4096]);
        assert!(world.usage().used_bytes <= 4 << 20);
    }
    assert!(world.usage().entries > 500);
}

#[test]
fn an_entry_larger_than_a_quarter_of_the_memory_is_not_kept() {
    let world = World::sharded(1 << 20, 4);
    let ticket = world.ticket("/large", &[]);
    let _leader = ticket.leader();
    let mut writer = world.begin(ticket, FRESH);
    (0..5).for_each(|_| writer.push(vec![b'x'; 65536].into()));
    assert!(writer.finish(NOW).is_none());
    assert_eq!(world.usage().refused_total[Bypass::TooLarge.index()], 1);
}

#[test]
fn what_a_slow_client_holds_is_accounted_for_until_it_lets_go() {
    let world = World::sharded(1 << 20, 1);
    let held: Vec<_> =
        (0..4).map(|at| world.fill(&format!("/{at}"), &[], FRESH, &vec![b'x'; 200_000]).unwrap()).collect();
    for at in 4..20 {
        world.fill(&format!("/{at}"), &[], FRESH, &vec![b'x'; 100_000]);
        assert!(world.usage().used_bytes <= 1 << 20);
    }
    assert!(world.usage().leaving_bytes >= 600_000);
    drop(held);
    assert_eq!(world.usage().leaving_bytes, 0);
}

#[test]
fn a_body_that_an_old_entry_shares_is_accounted_for_as_long_as_either_is_held() {
    for held_by_client in [false, true] {
        let mut world = World::sharded(1 << 20, 1);
        let held = world.fill("/x", &[], &["Cache-Control: max-age=60", "ETag: a"], &vec![b'x'; 100_000]);
        let held = held.filter(|_| held_by_client);
        world.now += 61_000;
        let ticket = world.ticket("/x", &[]);
        let (head, storable) = world.judged(200, FRESH, &[]);
        drop(ticket.refresh(storable, &head, world.now));
        world.store.purge(Purge::All, false, world.now);
        let leaving = world.usage().leaving_bytes;
        assert_eq!(leaving >= 100_000, held_by_client, "{leaving}");
        drop(held);
        assert_eq!(world.usage().leaving_bytes, 0);
    }
}

#[test]
fn without_any_room_requests_go_their_own_way() {
    let world = World::sharded(8192, 1);
    let held = (0..100).map_while(|at| match world.look(&format!("/{at}"), &[]) {
        Found::Fill(ticket) => Some(ticket),
        other => {
            assert!(matches!(other, Found::Pass(Bypass::NoRoom)));
            None
        }
    });
    let held: Vec<_> = held.collect();
    assert!(!held.is_empty() && held.len() < 100);
    assert!(world.usage().used_bytes <= 8192);
    drop(held);
    assert!(matches!(world.look("/0", &[]), Found::Fill(_)));
}

#[derive(Clone, Debug)]
enum Step {
    Look { path: u8, language: u8 },
    Push { at: usize, len: usize },
    Finish { at: usize },
    Lose { at: usize },
    Read { at: usize },
    Leave { at: usize },
    LetGo,
    Purge { path: u8 },
    Later { seconds: u64 },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        8 => (0..24_u8, 0..3_u8).prop_map(|(path, language)| Step::Look { path, language }),
        8 => (any::<usize>(), 1..9000_usize).prop_map(|(at, len)| Step::Push { at, len }),
        6 => any::<usize>().prop_map(|at| Step::Finish { at }),
        1 => any::<usize>().prop_map(|at| Step::Lose { at }),
        4 => any::<usize>().prop_map(|at| Step::Read { at }),
        2 => any::<usize>().prop_map(|at| Step::Leave { at }),
        1 => Just(Step::LetGo),
        1 => (0..24_u8).prop_map(|path| Step::Purge { path }),
        1 => (1..90_u64).prop_map(|seconds| Step::Later { seconds }),
    ];
    prop::collection::vec(step, 1..250)
}

/// What happens to a store, and what was promised to whom.
struct Play {
    world: World,
    writers: Vec<(Writer, (u8, u8), Vec<u8>)>,
    readers: Vec<Reader>,
    held: Vec<Arc<Entry>>,
    /// What was stored last for a path and a language.
    model: HashMap<(u8, u8), Vec<u8>>,
    count: u8,
}

impl Play {
    /// Paths have every sort of answer: plain, varying, not storable.
    fn answer(path: u8) -> &'static [&'static str] {
        match path % 4 {
            0 => &["Cache-Control: max-age=60, stale-while-revalidate=30", "Vary: Accept-Language"],
            1 => &["Cache-Control: no-store"],
            _ => FRESH,
        }
    }

    fn variant(path: u8, language: u8) -> (u8, u8) {
        (path, if path.is_multiple_of(4) { language } else { 0 })
    }

    fn step(&mut self, step: &Step) {
        match *step {
            Step::Look { path, language } => self.look(path, language),
            Step::Push { at, len } => {
                if let Some((writer, _, bytes)) = pick(&mut self.writers, at) {
                    bytes.extend(std::iter::repeat_n(self.count, len));
                    writer.push(vec![self.count; len].into());
                    self.count = self.count.wrapping_add(1);
                }
            }
            Step::Finish { at } if !self.writers.is_empty() => {
                let (writer, variant, bytes) = self.writers.swap_remove(at % self.writers.len());
                if let Some(entry) = writer.finish(self.world.now) {
                    assert_eq!(body(&entry), bytes);
                    self.model.insert(variant, bytes);
                }
            }
            Step::Lose { at } if !self.writers.is_empty() => {
                drop(self.writers.swap_remove(at % self.writers.len()));
            }
            Step::Read { at } => {
                if let Some(reader) = pick(&mut self.readers, at) {
                    read(reader);
                }
            }
            Step::Leave { at } if !self.readers.is_empty() => {
                drop(self.readers.swap_remove(at % self.readers.len()));
            }
            Step::LetGo => self.held.clear(),
            Step::Purge { path } => {
                let url = format!("http://a/{path}");
                self.world.store.purge(Purge::Url(url.as_bytes()), false, self.world.now);
                self.model.retain(|(other, _), _| *other != path);
            }
            Step::Later { seconds } => self.world.now += seconds * 1000,
            _ => {}
        }
    }

    fn look(&mut self, path: u8, language: u8) {
        let asked = format!("Accept-Language: l{language}");
        let variant = Self::variant(path, language);
        let ticket = match self.world.look(&format!("/{path}"), &[&asked]) {
            Found::Hit(entry) => {
                assert_eq!(Some(&body(&entry)), self.model.get(&variant), "a hit is what was stored last");
                self.held.push(entry);
                return;
            }
            Found::Stale { entry, refresh } => {
                assert_eq!(Some(&body(&entry)), self.model.get(&variant));
                self.held.push(entry);
                let Some(ticket) = refresh else { return };
                ticket
            }
            Found::Follow(filling) => {
                self.readers.extend(filling.read_along());
                return;
            }
            Found::Fill(ticket) => ticket,
            Found::Pass(_) => return,
            Found::NotHere => panic!("nobody asked for that"),
        };
        self.readers.push(ticket.leader());
        let head = self.world.head(200, Self::answer(path), &[&asked]);
        self.writers.push((ticket.begin(head, self.world.now), variant, Vec::new()));
    }
}

fn pick<T>(all: &mut [T], at: usize) -> Option<&mut T> {
    let len = all.len();
    all.get_mut(at.checked_rem(len)?)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn memory_stays_under_its_bound_and_hits_are_what_was_stored(
        steps in steps(),
        shards in 1..5_usize,
        memory in 60_000..400_000_u64,
    ) {
        let mut world = World::sharded(memory, shards);
        world.rules = Rules { body_bytes: 30_000, variants: 2, hit_for_miss_ms: 5000, waiters: 5, ..Rules::default() };
        let (writers, readers, held, model) = Default::default();
        let mut play = Play { world, writers, readers, held, model, count: 0 };
        for step in &steps {
            play.step(step);
            let usage = play.world.usage();
            prop_assert!(usage.used_bytes <= memory, "{step:?}: {usage:?}");
            let parts = usage.head_bytes + usage.body_bytes + usage.overhead_bytes + usage.filling_bytes;
            prop_assert!(parts + usage.leaving_bytes == usage.used_bytes, "{step:?}: {usage:?}");
        }
        let Play { world, writers, readers, held, .. } = play;
        drop((writers, readers, held));
        world.store.purge(Purge::All, false, world.now);
        let usage = world.usage();
        prop_assert_eq!(usage.used_bytes, usage.overhead_bytes, "nothing is left behind");
    }
}
