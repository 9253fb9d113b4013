//! Who leaves: the order in one shard, and the hit ratio beside a plain simulation.

use std::collections::{HashMap, HashSet, VecDeque};

use tidegate_cache::store::Found;

use crate::support::*;

const BODY: usize = 4096;

/// One shard with room for so many pages, more or less.
fn small_world(pages: u64) -> World {
    World::sharded(pages * (BODY as u64 + 512), 1)
}

fn fill(world: &World, path: &str) {
    assert!(world.fill(path, &[], FRESH, &[0; BODY]).is_some(), "{path}");
}

/// Asks, and fills on a miss. Whether it was a hit.
fn touch(world: &World, path: &str) -> bool {
    let ticket = match world.look(path, &[]) {
        Found::Hit(_) => return true,
        Found::Fill(ticket) => ticket,
        other => panic!("{other:?}"),
    };
    let mut writer = world.begin(ticket, FRESH);
    writer.push([0; BODY][..].into());
    assert!(writer.finish(world.now).is_some());
    false
}

fn is_here(world: &World, path: &str) -> bool {
    world.peek(path, &[]).entry.is_some()
}

#[test]
fn what_is_never_asked_for_again_leaves_first_come_first_gone() {
    let world = small_world(20);
    (0..40).for_each(|at| fill(&world, &format!("/{at}")));
    let left: Vec<_> = (0..40).filter(|at| is_here(&world, &format!("/{at}"))).collect();
    let first = left[0];
    assert_eq!(left, (first..40).collect::<Vec<_>>(), "the newest are here");
    assert!((15..=21).contains(&left.len()), "{}", left.len());
    assert_eq!(world.usage().evictions_total, 40 - left.len() as u64);
}

#[test]
fn what_was_hit_twice_survives_a_scan() {
    let world = small_world(20);
    (0..5).for_each(|at| fill(&world, &format!("/hot/{at}")));
    for at in 0..5 {
        assert!(world.is_hit(&format!("/hot/{at}")) && world.is_hit(&format!("/hot/{at}")));
    }
    fill(&world, "/once");
    assert!(world.is_hit("/once"));
    (0..500).for_each(|at| fill(&world, &format!("/scan/{at}")));
    assert!((0..5).all(|at| is_here(&world, &format!("/hot/{at}"))));
    assert!(!is_here(&world, "/once"), "one hit is not enough");
}

#[test]
fn what_comes_again_soon_after_it_left_goes_to_the_main_queue() {
    let world = small_world(20);
    (0..21).for_each(|at| fill(&world, &format!("/{at}")));
    assert!(!is_here(&world, "/0"));
    fill(&world, "/0");
    (0..100).for_each(|at| fill(&world, &format!("/scan/{at}")));
    assert!(is_here(&world, "/0"), "its ghost was remembered");
}

#[test]
fn in_the_main_queue_who_was_hit_goes_round_again() {
    let world = small_world(20);
    // All of these prove themselves, so that a scan moves them to the main queue.
    for at in 0..12 {
        let path = format!("/{at}");
        fill(&world, &path);
        assert!(world.is_hit(&path) && world.is_hit(&path));
    }
    (0..20).for_each(|at| fill(&world, &format!("/scan/{at}")));
    assert!(world.is_hit("/0"));
    // More that prove themselves push the others out of the main queue.
    for at in 100..110 {
        let path = format!("/{at}");
        fill(&world, &path);
        assert!(world.is_hit(&path) && world.is_hit(&path));
        (0..10).for_each(|scan| fill(&world, &format!("/scan/{at}/{scan}")));
    }
    assert!(is_here(&world, "/0"), "it was hit there");
    assert!(!is_here(&world, "/1"), "and this one was not");
}

/// S3-FIFO as its paper has it, counting objects of one size.
#[derive(Default)]
struct Simulation {
    room: usize,
    small: VecDeque<u32>,
    main: VecDeque<u32>,
    ghost: VecDeque<u32>,
    remembered: HashSet<u32>,
    freq: HashMap<u32, u8>,
}

impl Simulation {
    fn touch(&mut self, id: u32) -> bool {
        if let Some(freq) = self.freq.get_mut(&id) {
            *freq = (*freq + 1).min(3);
            return true;
        }
        while self.small.len() + self.main.len() >= self.room {
            self.evict();
        }
        self.freq.insert(id, 0);
        if self.remembered.remove(&id) {
            self.ghost.retain(|&other| other != id);
            self.main.push_front(id);
        } else {
            self.small.push_front(id);
        }
        false
    }

    fn evict(&mut self) {
        if self.small.len() * 10 >= self.room || self.main.is_empty() {
            let id = self.small.pop_back().unwrap();
            if self.freq[&id] > 1 {
                self.freq.insert(id, 0);
                self.main.push_front(id);
                return;
            }
            self.freq.remove(&id);
            self.ghost.push_front(id);
            self.remembered.insert(id);
            if self.ghost.len() > self.room * 9 / 10 {
                let forgotten = self.ghost.pop_back().unwrap();
                self.remembered.remove(&forgotten);
            }
            return;
        }
        let id = self.main.pop_back().unwrap();
        match self.freq[&id] {
            0 => drop(self.freq.remove(&id)),
            freq => {
                self.freq.insert(id, freq - 1);
                self.main.push_front(id);
            }
        }
    }
}

/// Zipf with exponent 0.9, and a scan now and then.
fn trace(objects: u32, len: usize) -> Vec<u32> {
    let mut sums: Vec<f64> = (1..=objects).map(|rank| f64::from(rank).powf(-0.9)).collect();
    for at in 1..sums.len() {
        sums[at] += sums[at - 1];
    }
    let total = *sums.last().unwrap();
    let mut seed = 42_u64;
    let mut random = || {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        (seed >> 11) as f64 / (1_u64 << 53) as f64
    };
    let mut scanned = objects;
    (0..len)
        .map(|at| {
            if at % 10_000 > 9_000 {
                scanned += 1;
                return scanned;
            }
            sums.partition_point(|&sum| sum < random() * total) as u32
        })
        .collect()
}

#[test]
fn the_hit_ratio_is_that_of_a_plain_simulation() {
    let (objects, len) = (20_000, 60_000);
    let trace = trace(objects, len);
    for (percent, shards) in [(1, 1), (10, 1), (10, 4)] {
        let room = (objects * percent / 100) as usize;
        let world = World::sharded(room as u64 * (BODY as u64 + 420), shards);
        let hits = trace.iter().filter(|id| touch(&world, &format!("/{id}"))).count();
        // The store counts bytes and overheads, so that it holds about as many as there is room for, not exactly.
        let held = world.usage().entries as usize;
        assert!((room * 9 / 10..=room * 11 / 10).contains(&held), "{held} of {room}");
        let mut simulation = Simulation { room: held, ..Simulation::default() };
        let wanted = trace.iter().filter(|id| simulation.touch(**id)).count();
        let (hits, wanted) = (hits as f64 / len as f64, wanted as f64 / len as f64);
        assert!(hits > wanted - 0.005, "{percent} %: {hits}, simulated {wanted}");
    }
}
