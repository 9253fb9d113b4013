//! The port through which instances tell each other what they have admitted.
//!
//! ```text
//!   check, here and now ─▶ admitted ─▶ ( pending, summed by key ) ─ every swap ─▶ Port ─▶ the others charge it
//!                                             ▲ Away: kept for the next swap, and each request costs its share
//! ```
//!
//! Whether a request is admitted is decided at once, by the buckets of this instance. What it admits is told to the
//! others later, and what they have admitted is charged here, so that all together admit what one limit says and what
//! comes in between two swaps. While the shared state is away, each instance goes on with its share of the rate alone: a
//! request costs as many times as there were instances, so that all together still keep to the limit.

use std::collections::HashMap;

use super::store::{Check, Key, Limit, Store};
use crate::moment::Moment;

/// Keys whose admissions wait to be told; what is admitted past them is told of by nobody, and counted.
const PENDING_MAX: usize = 65_536;

/// What an instance has admitted of one key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Admitted {
    /// The key, the same in every instance.
    pub key: Key,
    /// The sum of what its requests cost.
    pub cost: u64,
}

/// The shared state did not answer. What was to be told is told the next time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Away;

/// What the others say.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Heard {
    /// What they have admitted since the last swap.
    pub admitted: Vec<Admitted>,
    /// Instances that share the limit, this one included.
    pub instances: u32,
}

/// Shared state, as an engine brings it.
pub trait Port {
    /// Tells what was admitted here since the last swap and hears what the others have. `limit` is its name, the same in
    /// every instance.
    ///
    /// # Errors
    /// The shared state is away.
    fn swap(&mut self, limit: &str, told: &[Admitted]) -> Result<Heard, Away>;
}

/// What this instance shares of one limit.
#[derive(Debug)]
pub struct Sharing {
    limit: String,
    pending: HashMap<u64, u64, foldhash::fast::FixedState>,
    told: Vec<Admitted>,
    instances: u32,
    away_since: Option<Moment>,
    untold: u64,
}

impl Sharing {
    /// Nothing is pending. `instances` is how many there are taken to be until the shared state says.
    pub fn new(limit: &str, instances: u32) -> Self {
        Self {
            limit: limit.to_owned(),
            pending: HashMap::default(),
            told: Vec::new(),
            instances: instances.max(1),
            away_since: None,
            untold: 0,
        }
    }

    /// What a request costs now: more while the shared state is away.
    pub fn cost(&self, cost: u64) -> u64 {
        match self.away_since {
            None => cost,
            Some(_) => cost.saturating_mul(u64::from(self.instances)),
        }
    }

    /// Notes what was admitted, by the request's own cost.
    pub fn admitted(&mut self, key: Key, cost: u64) {
        let is_full = self.pending.len() >= PENDING_MAX;
        match self.pending.get_mut(&key.0) {
            Some(sum) => *sum = sum.saturating_add(cost),
            None if is_full => self.untold += cost,
            None => drop(self.pending.insert(key.0, cost)),
        }
    }

    /// Tells, hears, and charges what was heard.
    pub fn swap(&mut self, now: Moment, port: &mut impl Port, store: &Store, limit: &Limit) {
        self.told.clear();
        self.told.extend(self.pending.iter().map(|(key, cost)| Admitted { key: Key(*key), cost: *cost }));
        match port.swap(&self.limit, &self.told) {
            Ok(heard) => {
                self.pending.clear();
                self.away_since = None;
                self.instances = heard.instances.max(1);
                for Admitted { key, cost } in heard.admitted {
                    store.charge(now, &Check { limit, key, cost });
                }
            }
            Err(Away) => {
                self.away_since.get_or_insert(now);
            }
        }
    }

    /// Since when the shared state is away.
    pub fn away_since(&self) -> Option<Moment> {
        self.away_since
    }

    /// Admissions that could not be told, because too many keys were pending.
    pub fn untold(&self) -> u64 {
        self.untold
    }
}

#[cfg(test)]
mod tests {
    use core::time::Duration;
    use std::cell::RefCell;
    use std::rc::Rc;
    use std::sync::Arc;

    use super::*;
    use crate::limit::{Rule, Settings};

    /// Shared state in memory, which can be sent away.
    #[derive(Default)]
    struct Board {
        mail: Vec<Vec<Admitted>>,
        is_away: bool,
    }

    struct Double(Rc<RefCell<Board>>, usize);

    impl Port for Double {
        fn swap(&mut self, _limit: &str, told: &[Admitted]) -> Result<Heard, Away> {
            let mut board = self.0.borrow_mut();
            if board.is_away {
                return Err(Away);
            }
            let instances = board.mail.len();
            for (at, inbox) in board.mail.iter_mut().enumerate() {
                if at != self.1 {
                    inbox.extend_from_slice(told);
                }
            }
            let admitted = std::mem::take(&mut board.mail[self.1]);
            Ok(Heard { admitted, instances: instances as u32 })
        }
    }

    struct Instance {
        store: Store,
        limit: Arc<Limit>,
        sharing: Sharing,
        port: Double,
    }

    impl Instance {
        fn new(board: &Rc<RefCell<Board>>) -> Self {
            let store = Store::new(1 << 20, fastrand::u64(..));
            let rule = Rule::new(100, Duration::from_secs(1), 10);
            let limit = store.limit_with(Settings { rule, ..Settings::default() }, 42);
            board.borrow_mut().mail.push(Vec::new());
            let port = Double(Rc::clone(board), board.borrow().mail.len() - 1);
            Self { store, limit, sharing: Sharing::new("api", 1), port }
        }

        fn ask(&mut self, now: Moment) -> u64 {
            let key = self.limit.key(b"acme");
            let check = Check { limit: &self.limit, key, cost: self.sharing.cost(1) };
            if self.store.check(now, &[check], false).verdict.is_err() {
                return 0;
            }
            self.sharing.admitted(key, 1);
            1
        }

        fn swap(&mut self, now: Moment) {
            self.sharing.swap(now, &mut self.port, &self.store, &self.limit);
        }
    }

    /// Two instances that are asked without a pause for a while, and swap every 20 ms; what both admit.
    fn admitted(instances: &mut [Instance; 2], from_ms: u64, to_ms: u64) -> u64 {
        let mut sum = 0;
        for ms in from_ms..to_ms {
            let now = Moment::from_ms(ms);
            for instance in instances.iter_mut() {
                sum += instance.ask(now);
                if ms % 20 == 0 {
                    instance.swap(now);
                }
            }
        }
        sum
    }

    #[test]
    fn instances_together_admit_what_one_limit_says() {
        let board = Rc::default();
        let mut both = [Instance::new(&board), Instance::new(&board)];
        let sum = admitted(&mut both, 1_000, 11_000);
        // 100/s for ten seconds and the burst; each may be one swap behind.
        assert!((900..=1_010 + 2 * 12).contains(&sum), "{sum}");
    }

    #[test]
    fn while_the_shared_state_is_away_each_keeps_to_its_share() {
        let board = Rc::<RefCell<Board>>::default();
        let mut both = [Instance::new(&board), Instance::new(&board)];
        admitted(&mut both, 1_000, 2_000);
        board.borrow_mut().is_away = true;
        admitted(&mut both, 2_000, 3_000);
        assert!(both.iter().all(|instance| instance.sharing.away_since().is_some()));
        let sum = admitted(&mut both, 3_000, 13_000);
        assert!((900..=1_010).contains(&sum), "{sum}");
        board.borrow_mut().is_away = false;
        for instance in &mut both {
            instance.swap(Moment::from_ms(13_000));
        }
        assert!(both.iter().all(|instance| instance.sharing.cost(1) == 1));
    }

    #[test]
    fn what_could_not_be_told_is_told_later_and_bounded() {
        let mut sharing = Sharing::new("api", 1);
        for key in 0..PENDING_MAX as u64 + 10 {
            sharing.admitted(Key(key), 1);
        }
        assert_eq!((sharing.pending.len(), sharing.untold()), (PENDING_MAX, 10));
        sharing.admitted(Key(0), 1);
        assert_eq!(sharing.pending[&0], 2);
    }
}
