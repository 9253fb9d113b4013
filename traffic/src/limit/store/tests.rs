//! The store, key by key: what it admits, what it forgets, and that threads together admit no more than one.

use proptest::prelude::*;

use super::*;

const SECOND: u64 = 1_000_000_000;

fn rule(count: u64, per: Duration, burst: u64) -> Settings {
    Settings { rule: Some(Rule::new(count, per, burst).unwrap()), ..Settings::default() }
}

fn per_second(count: u64, burst: u64) -> Settings {
    rule(count, Duration::from_secs(1), burst)
}

fn ask(store: &Store, limit: &Limit, key: &[u8], now: Moment) -> Result<(), Duration> {
    let check = Check { limit, key: limit.key(key), cost: 1 };
    store.check(now, &[check], false).verdict.map_err(|refused| refused.wait)
}

#[test]
fn keys_have_buckets_of_their_own_and_so_have_limits() {
    let store = Store::new(1 << 20, 1);
    let (one, other) = (store.limit(per_second(1, 1)), store.limit(per_second(1, 1)));
    let now = Moment::from_secs(1);
    assert_eq!(ask(&store, &one, b"a", now), Ok(()));
    assert_eq!(ask(&store, &one, b"a", now), Err(Duration::from_secs(1)));
    assert_eq!(ask(&store, &one, b"b", now), Ok(()));
    assert_eq!(ask(&store, &other, b"a", now), Ok(()));
    assert_eq!(ask(&store, &one, b"a", Moment::from_secs(2)), Ok(()));
}

#[test]
fn a_refusal_by_one_limit_charges_none() {
    let store = Store::new(1 << 20, 1);
    let (wide, narrow) = (store.limit(per_second(1, 100)), store.limit(per_second(1, 1)));
    let now = Moment::from_secs(1);
    let both = [&wide, &narrow].map(|limit| Check { limit, key: limit.key(b"a"), cost: 1 });
    assert_eq!(store.check(now, &both, false).verdict, Ok(()));
    for _ in 0..10 {
        let refused = store.check(now, &both, false).verdict.unwrap_err();
        assert_eq!(refused, Refused { by: 1, wait: Duration::from_secs(1) });
    }
    assert_eq!(store.peek(now, &both[0]).0.unwrap().requests, 99);
}

#[test]
fn of_several_that_refuse_the_one_that_takes_longest_is_named() {
    let store = Store::new(1 << 20, 1);
    let limits = [1, 60, 3_600].map(|seconds| store.limit(rule(1, Duration::from_secs(seconds), 1)));
    let now = Moment::from_secs(1);
    let all =
        [&limits[1], &limits[2], &limits[0]].map(|limit| Check { limit, key: limit.key(b"a"), cost: 1 });
    assert_eq!(store.check(now, &all, false).verdict, Ok(()));
    let refused = store.check(now, &all, false).verdict.unwrap_err();
    assert_eq!(refused, Refused { by: 1, wait: Duration::from_hours(1) });
}

#[test]
fn a_limit_that_only_counts_refuses_nothing_and_is_charged_like_any_other() {
    let store = Store::new(1 << 20, 1);
    let dry = store.limit(Settings { dry_run: true, ..per_second(1, 2) });
    let wet = store.limit(per_second(1, 5));
    let now = Moment::from_secs(1);
    let both = [&dry, &wet].map(|limit| Check { limit, key: limit.key(b"a"), cost: 1 });
    let outcomes = [(); 6].map(|()| store.check(now, &both, true));
    assert_eq!(outcomes.map(|outcome| outcome.dry), [0, 0, 1, 1, 1, 1]);
    assert_eq!(outcomes.map(|outcome| outcome.verdict.is_ok()), [true, true, true, true, true, false]);
    assert!(outcomes.iter().all(|outcome| outcome.tightest.unwrap().0 == 1));
}

#[test]
fn what_is_left_is_told() {
    let store = Store::new(1 << 20, 1);
    let limit = store.limit(per_second(10, 5));
    let check = Check { limit: &limit, key: limit.key(b"a"), cost: 2 };
    let outcome = store.check(Moment::from_secs(1), &[check], true);
    let left = Left { requests: 3, full_in: Duration::from_millis(200) };
    assert_eq!(outcome.tightest, Some((0, left)));
}

#[test]
fn a_flood_of_new_keys_does_not_reset_the_bucket_of_an_abuser() {
    // Room for 8,192 keys, and 200,000 of them within the hour for which each is remembered.
    let store = Store::new(128 << 10, 1);
    let limit = store.limit(rule(5, Duration::from_hours(1), 5));
    let now = Moment::from_secs(1);
    for _ in 0..5 {
        assert_eq!(ask(&store, &limit, b"abuser", now), Ok(()));
    }
    let mut admitted_others = 0;
    for flood in 0..200_000_u64 {
        let now = now.plus(Duration::from_millis(flood / 100));
        admitted_others += u32::from(ask(&store, &limit, &flood.to_le_bytes(), now).is_ok());
        if flood % 1_000 == 0 {
            assert!(ask(&store, &limit, b"abuser", now).is_err(), "after {flood} keys");
        }
    }
    let usage = store.usage();
    assert!(usage.overflowed > 100_000 && usage.entries <= usage.capacity);
    assert!(admitted_others > 5_000, "those who are new are judged strictly, but judged: {admitted_others}");
    assert_eq!(ask(&store, &limit, b"abuser", now.plus(Duration::from_hours(3))), Ok(()));
}

#[test]
fn without_any_room_no_key_gets_more_than_its_share() {
    let store = Store::new(0, 1);
    let limit = store.limit(rule(10, Duration::from_mins(1), 10));
    let mut admitted = HashMap::<u64, u64>::new();
    for round in 0..20_u64 {
        for key in 0..5_000_u64 {
            let now = Moment::from_secs(1 + round);
            if ask(&store, &limit, &key.to_le_bytes(), now).is_ok() {
                *admitted.entry(key).or_default() += 1;
            }
        }
    }
    assert!(admitted.values().all(|sum| *sum <= 10 + 20 / 6), "{:?}", admitted.values().max());
}

#[test]
fn ten_million_keys_stay_within_their_memory() {
    let memory = 64 << 20;
    let store = Store::new(memory, 1);
    let limit = store.limit(rule(10, Duration::from_mins(1), 10));
    std::thread::scope(|scope| {
        for half in 0..2_u64 {
            let (store, limit) = (&store, &limit);
            scope.spawn(move || {
                for key in (half..10_000_000).step_by(2) {
                    let _ = ask(store, limit, &key.to_le_bytes(), Moment(SECOND + key * 1_000));
                }
            });
        }
    });
    let usage = store.usage();
    let overhead =
        limit.marks.requests.bytes() + SHARDS as u64 * (size_of::<Shard>() + 2 * SET_WORDS * 8) as u64;
    assert!(usage.memory_bytes <= memory + overhead, "{usage:?}");
    assert!(usage.entries > usage.capacity * 9 / 10 && usage.entries <= usage.capacity, "{usage:?}");
}

#[test]
fn buckets_that_are_full_again_make_room_without_a_mark() {
    let store = Store::new(128 << 10, 1);
    let limit = store.limit(per_second(100, 1));
    for key in 0..100_000_u64 {
        let now = Moment::from_ms(1_000 + key);
        assert_eq!(ask(&store, &limit, &key.to_le_bytes(), now), Ok(()));
    }
    assert_eq!(store.usage().overflowed, 0);
}

#[test]
fn threads_together_admit_exactly_what_one_key_may() {
    let store = Store::new(1 << 20, 1);
    let limit = store.limit(per_second(1_000, 50));
    let second = store.limit(per_second(1_000, 1_000));
    let admitted = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for thread in 0..4_u64 {
            let (store, limit, second, admitted) = (&store, &limit, &second, &admitted);
            scope.spawn(move || {
                for step in 0..20_000_u64 {
                    // Their clocks are not quite the same.
                    let now = Moment(SECOND + step * 50_000 + thread * 700);
                    let both = [limit, second].map(|limit| Check { limit, key: limit.key(b"a"), cost: 1 });
                    let checks = if thread % 2 == 0 { &both[..1] } else { &both[..] };
                    if store.check(now, checks, false).verdict.is_ok() {
                        admitted.fetch_add(1, Relaxed);
                    }
                }
            });
        }
    });
    let admitted = admitted.into_inner();
    // One second, and the burst.
    assert!((1_000..=1_050).contains(&admitted), "{admitted}");
}

#[test]
fn a_clock_that_is_set_back_does_no_lasting_harm() {
    let store = Store::new(1 << 20, 1);
    let limit = store.limit(per_second(10, 5));
    let late = Moment::from_secs(100_000);
    while ask(&store, &limit, b"a", late).is_ok() {}
    let early = Moment::from_secs(10);
    let wait = ask(&store, &limit, b"a", early).unwrap_err();
    assert_eq!(wait, Duration::from_millis(100));
    assert_eq!(ask(&store, &limit, b"a", early.plus(wait)), Ok(()));
}

#[test]
fn a_limit_that_is_gone_leaves_nothing_to_the_next_one() {
    let store = Store::new(1 << 20, 1);
    let now = Moment::from_secs(1);
    for _ in 0..100_000 {
        let limit = store.limit(per_second(1, 1));
        assert_eq!(ask(&store, &limit, b"a", now), Ok(()));
    }
    assert!(store.limits.lock().unwrap().len() <= 1);
}

#[test]
fn bytes_keep_to_their_rate_and_what_is_given_back_can_be_asked_for_again() {
    let store = Store::new(1 << 20, 1);
    let limit = store.limit(Settings { pace: Pace::new(1_000_000), ..Settings::default() });
    let key = limit.key(b"a");
    let (mut now, mut sent) = (Moment::from_secs(1), 0);
    while now < Moment::from_secs(11) {
        match store.grant(now, &limit, key, 64 << 10) {
            Grant::Bytes(bytes) => {
                store.give_back(&limit, key, bytes / 3);
                sent += bytes - bytes / 3;
            }
            Grant::Wait(wait) => now = now.plus(wait),
        }
    }
    assert!((9_900_000..=10_250_000).contains(&sent), "{sent}");
}

proptest! {
    #[test]
    fn the_store_agrees_with_the_governor(
        (interval_us, burst) in (1_u64..100_000, 1_u32..20),
        steps in prop::collection::vec((0_u64..50_000, 0_u8..3, 1_u32..4), 1..300),
    ) {
        use governor::clock::{Clock as _, FakeRelativeClock};
        use governor::{Quota, RateLimiter};
        use core::num::NonZeroU32;

        let interval = Duration::from_micros(interval_us);
        let burst_size = NonZeroU32::new(burst).unwrap();
        let quota = Quota::with_period(interval).unwrap().allow_burst(burst_size);
        let clock = FakeRelativeClock::default();
        let oracle = RateLimiter::hashmap_with_clock(quota, clock.clone());
        let store = Store::new(1 << 20, 1);
        let limit = store.limit(rule(1, interval, burst.into()));
        let mut now = Moment::from_secs(1);
        for (step_us, key, cost) in steps {
            let step = Duration::from_micros(step_us);
            clock.advance(step);
            now = now.plus(step);
            let cost = cost.min(burst);
            let expected = oracle.check_key_n(&key, NonZeroU32::new(cost).unwrap()).unwrap();
            let check = Check { limit: &limit, key: limit.key(&[key]), cost: cost.into() };
            let got = store.check(now, &[check], false).verdict;
            prop_assert_eq!(got.is_ok(), expected.is_ok());
            if let (Err(got), Err(expected)) = (got, expected) {
                prop_assert_eq!(got.wait, expected.wait_time_from(clock.now()));
            }
        }
    }

    #[test]
    fn several_limits_charge_all_or_none(
        rules in prop::collection::vec((1_u64..50, 1_u64..10), 1..CHECKS_MAX),
        steps in prop::collection::vec((0_u64..200_000_000, 0_u8..3), 1..100),
    ) {
        let store = Store::new(1 << 20, 1);
        let limits: Vec<_> = rules.iter().map(|(count, burst)| store.limit(per_second(*count, *burst))).collect();
        let mut now = Moment::from_secs(1);
        for (step, key) in steps {
            now = now.plus(Duration::from_nanos(step));
            let checks: Vec<_> =
                limits.iter().map(|limit| Check { limit, key: limit.key(&[key]), cost: 1 }).collect();
            let before: Vec<_> = checks.iter().map(|check| store.peek(now, check)).collect();
            let outcome = store.check(now, &checks, false);
            prop_assert_eq!(outcome.verdict.is_ok(), before.iter().all(|(_, verdict)| verdict.is_ok()));
            if let Err(refused) = outcome.verdict {
                let longest = before.iter().filter_map(|(_, verdict)| verdict.err()).max();
                prop_assert_eq!(Some(refused.wait), longest);
                let after: Vec<_> = checks.iter().map(|check| store.peek(now, check)).collect();
                prop_assert_eq!(before, after);
            }
        }
    }
}
