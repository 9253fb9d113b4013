//! A crowd in front of a room: who comes in, in which order, and what cookies are worth, rule by rule and at random.

use super::*;
use proptest::prelude::*;
use std::collections::HashSet;

const START_MS: u64 = 1_800_000_000_000;

fn settings(rate: f64) -> Settings {
    Settings {
        rate,
        capacity: None,
        ttl: Duration::from_mins(5),
        hold: Duration::from_mins(2),
        is_bound: true,
    }
}

/// A room with a crowd in front of it.
struct Scene {
    room: Room,
    key: Key,
    settings: Settings,
    now_ms: u64,
    is_open: bool,
}

impl Scene {
    fn new(settings: Settings) -> Self {
        let (key, room) = (Key::new(b"secret", "main"), Room::new(&settings, None, START_MS));
        Self { room, key, settings, now_ms: START_MS, is_open: true }
    }

    fn ask(&self, token: Option<Token>, client: u64, looks: bool) -> Answer {
        let text = token.map(|token| token.as_str().to_owned());
        let cookie = text.as_deref().map(str::as_bytes);
        let visit = Visit { now_ms: self.now_ms, cookie, client, is_open: self.is_open, looks };
        self.room.visit(&visit, &self.key, &self.settings)
    }

    fn visit(&self, token: Option<Token>) -> Answer {
        self.ask(token, 1, false)
    }

    fn come(&self) -> Answer {
        self.visit(None)
    }

    fn pass_ms(&mut self, ms: u64) {
        self.now_ms += ms;
    }

    fn reading(&self) -> Reading {
        self.room.reading(self.now_ms, &self.settings)
    }

    fn restart(&mut self, saved: Option<Saved>) {
        self.room = Room::new(&self.settings, saved, self.now_ms);
    }
}

fn turn(answer: Answer) -> Turn {
    match answer {
        Answer::Wait(turn) => turn,
        other => panic!("{other:?} does not wait"),
    }
}

fn pass(answer: Answer) -> Token {
    match answer {
        Answer::Inside(Some(token)) => token,
        other => panic!("{other:?} brings no pass"),
    }
}

/// Fills the first second's worth, so that whoever comes next waits.
fn fill(scene: &Scene) {
    while matches!(scene.come(), Answer::Inside(_)) {}
}

#[test]
fn an_empty_room_lets_everybody_in_at_the_rate() {
    let mut scene = Scene::new(settings(10.0));
    for _ in 0..100 {
        scene.pass_ms(100);
        assert!(matches!(scene.come(), Answer::Inside(Some(_))));
    }
    assert_eq!(scene.reading().waiting, 0);
}

#[test]
fn past_the_rate_people_wait_in_the_order_in_which_they_came() {
    let mut scene = Scene::new(settings(10.0));
    for _ in 0..10 {
        pass(scene.come());
    }
    let mut line: Vec<Token> = (1..=30)
        .map(|position| {
            let turn = turn(scene.come());
            assert_eq!((turn.position, turn.invalid), (position.max(1), None));
            turn.token.unwrap()
        })
        .collect();
    let mut order = Vec::new();
    for _ in 0..100 {
        scene.pass_ms(100);
        // Those behind ask first, and come in last all the same.
        for at in (0..line.len()).rev() {
            match scene.visit(Some(line[at])) {
                Answer::Inside(_) if !order.contains(&at) => order.push(at),
                Answer::Wait(Turn { token: Some(token), .. }) => line[at] = token,
                _ => {}
            }
        }
    }
    assert_eq!(order.len(), 30);
    // Those who were called in the same second may come in in any order.
    assert!(order.iter().enumerate().all(|(place, at)| place.abs_diff(*at) <= 10), "{order:?}");
    assert_eq!(scene.reading().waiting, 0);
}

#[test]
fn nobody_overtakes_the_line_by_coming_anew() {
    let mut scene = Scene::new(settings(10.0));
    fill(&scene);
    let first = turn(scene.come()).token.unwrap();
    for _ in 0..50 {
        turn(scene.come());
    }
    scene.pass_ms(1_000);
    assert!(turn(scene.come()).position > 20);
    pass(scene.visit(Some(first)));
}

#[test]
fn whoever_is_inside_stays_as_long_as_they_are_seen() {
    let mut scene = Scene::new(settings(1.0));
    let mut token = pass(scene.come());
    fill(&scene);
    for _ in 0..20 {
        scene.pass_ms(120_000);
        token = pass(scene.visit(Some(token)));
    }
    assert_eq!(scene.visit(Some(token)), Answer::Inside(None), "seen a moment ago");
    scene.pass_ms(301_000);
    // By now the line is empty again; the old pass is worth nothing, and a new one is given.
    fill(&scene);
    assert_eq!(turn(scene.visit(Some(token))).invalid, Some(Invalid::Expired));
}

#[test]
fn a_pass_is_for_the_client_that_came_in_with_it() {
    let mut scene = Scene::new(settings(1.0));
    let token = pass(scene.come());
    fill(&scene);
    assert_eq!(turn(scene.ask(Some(token), 2, false)).invalid, Some(Invalid::OtherClient));
    scene.settings.is_bound = false;
    assert_eq!(scene.ask(Some(token), 2, false), Answer::Inside(None));
}

#[test]
fn a_place_lets_one_in_however_many_have_copies_of_it() {
    let mut scene = Scene::new(settings(100.0));
    fill(&scene);
    let place = turn(scene.come()).token.unwrap();
    scene.pass_ms(1_000);
    let answers: Vec<Answer> = (0..1_000).map(|client| scene.ask(Some(place), client, false)).collect();
    let inside = answers.iter().filter(|answer| matches!(answer, Answer::Inside(_))).count();
    assert_eq!(inside, 1);
    // The others are not given a cookie: it would overwrite the pass of whoever has two tabs open.
    assert!(answers[1..].iter().all(|answer| {
        matches!(answer, Answer::Wait(Turn { token: None, invalid: Some(Invalid::Replayed), .. }))
    }));
}

#[test]
fn a_forged_cookie_gets_a_place_at_the_end() {
    let scene = Scene::new(settings(1.0));
    fill(&scene);
    let last = turn(scene.come()).position;
    let forged = Key::new(b"guess", "main").sign(Claim::Place { number: 1, called: 0, stamp_s: 0 });
    let foreign = Key::new(b"secret", "other").sign(Claim::Pass { number: 1, client: 1, seen_s: u32::MAX });
    for (at, (token, why)) in
        [(forged, Invalid::Forged), (foreign, Invalid::ForeignRoom)].into_iter().enumerate()
    {
        let turn = turn(scene.visit(Some(token)));
        assert_eq!((turn.position, turn.invalid), (last + 1 + at as u64, Some(why)));
    }
    assert_eq!(scene.reading().invalid[Invalid::Forged as usize], 1);
}

#[test]
fn people_who_have_gone_home_hold_nobody_up() {
    let mut scene = Scene::new(settings(10.0));
    fill(&scene);
    for _ in 0..5_000 {
        turn(scene.come());
    }
    let mut token = turn(scene.come()).token.unwrap();
    let begun = scene.now_ms;
    loop {
        scene.pass_ms(2_000);
        match scene.visit(Some(token)) {
            Answer::Inside(_) => break,
            Answer::Wait(turn) => token = turn.token.unwrap(),
            Answer::Ready => unreachable!(),
        }
    }
    let waited_s = (scene.now_ms - begun) / 1_000;
    assert!(waited_s < 250, "{waited_s} s, where the rate alone would have taken 500");
}

#[test]
fn called_and_late_is_at_the_end_again() {
    let mut scene = Scene::new(settings(10.0));
    fill(&scene);
    let token = turn(scene.come()).token.unwrap();
    scene.pass_ms(1_000);
    scene.come();
    scene.pass_ms(121_000);
    fill(&scene);
    assert_eq!(turn(scene.visit(Some(token))).invalid, Some(Invalid::Expired));
}

#[test]
fn nobody_is_called_while_the_app_takes_nobody() {
    let mut scene = Scene::new(settings(10.0));
    fill(&scene);
    let token = turn(scene.come()).token.unwrap();
    scene.is_open = false;
    scene.pass_ms(60_000);
    let token = turn(scene.visit(Some(token))).token.unwrap();
    scene.is_open = true;
    pass(scene.visit(Some(token)));
}

#[test]
fn looking_neither_comes_in_nor_uses_up_a_turn() {
    let mut scene = Scene::new(settings(10.0));
    assert_eq!(scene.ask(None, 1, true), Answer::Ready, "nobody waits");
    fill(&scene);
    let token = turn(scene.come()).token.unwrap();
    assert_eq!(
        turn(scene.ask(Some(token), 1, true)).position,
        2,
        "behind the one who was told that it is full"
    );
    scene.pass_ms(1_000);
    assert_eq!(scene.ask(Some(token), 1, true), Answer::Ready);
    assert_eq!(scene.ask(Some(token), 1, true), Answer::Ready);
    let inside = pass(scene.visit(Some(token)));
    assert_eq!(scene.ask(Some(inside), 1, true), Answer::Inside(None));
}

#[test]
fn no_more_are_inside_than_the_capacity() {
    let mut scene = Scene::new(Settings { capacity: Some(5), ..settings(100.0) });
    let passes: Vec<Token> = (0..5).map(|_| pass(scene.come())).collect();
    let token = turn(scene.come()).token.unwrap();
    for _ in 0..4 {
        scene.pass_ms(60_000);
        turn(scene.visit(Some(token)));
        // They are seen, though they keep their first cookie.
        for pass in &passes {
            assert!(matches!(scene.visit(Some(*pass)), Answer::Inside(_)));
        }
        assert_eq!(scene.reading().inside, 5);
    }
    scene.pass_ms(340_000);
    assert_eq!(scene.reading().inside, 0);
    pass(scene.visit(Some(token)));
    assert_eq!(scene.reading().inside, 1);
}

#[test]
fn a_restart_with_a_memory_goes_on_where_it_was() {
    let mut scene = Scene::new(settings(10.0));
    fill(&scene);
    let line: Vec<Token> = (0..100).map(|_| turn(scene.come()).token.unwrap()).collect();
    scene.pass_ms(1_000);
    turn(scene.visit(Some(line[99])));
    let before = turn(scene.visit(Some(line[60]))).position;
    scene.restart(Some(scene.room.saved()));
    assert!(turn(scene.visit(Some(line[60]))).position.abs_diff(before) <= 1);
    assert!(turn(scene.come()).position > 70);
    scene.pass_ms(1_000);
    pass(scene.visit(Some(line[0])));
}

#[test]
fn a_restart_without_a_memory_learns_from_the_cookies() {
    let mut scene = Scene::new(settings(10.0));
    fill(&scene);
    let line: Vec<Token> = (0..100).map(|_| turn(scene.come()).token.unwrap()).collect();
    scene.pass_ms(1_000);
    let late = turn(scene.visit(Some(line[90])));
    scene.restart(None);
    let again = turn(scene.visit(late.token));
    assert!(again.position <= late.position);
    assert!(turn(scene.come()).position > again.position, "who comes now is behind those who were there");
}

/// What a crowd may do: at every step somebody comes anew, asks again, or goes home.
#[derive(Clone, Copy, Debug)]
enum Step {
    Come,
    Ask(usize),
    Pass(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        3 => Just(Step::Come),
        4 => any::<usize>().prop_map(Step::Ask),
        2 => (0..3_000_u64).prop_map(Step::Pass),
        1 => (0..200_000_u64).prop_map(Step::Pass),
    ];
    proptest::collection::vec(step, 1..400)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever people do with whatever cookies they have had, no more come in than the rate allows, no number twice,
    /// and no more are inside than there is room for.
    #[test]
    fn the_rate_and_the_capacity_hold(steps in steps(), rate in 1..20_u32, capacity in proptest::option::of(1..30_u64)) {
        let mut scene = Scene::new(Settings { capacity, ..settings(rate.into()) });
        let mut cookies: Vec<Token> = Vec::new();
        let mut numbers = HashSet::new();
        let mut admitted = 0;
        for step in steps {
            let cookie = match step {
                Step::Come => None,
                Step::Ask(_) if cookies.is_empty() => None,
                Step::Ask(at) => Some(cookies[at % cookies.len()]),
                Step::Pass(ms) => {
                    scene.pass_ms(ms);
                    continue;
                }
            };
            let was_pass = cookie.is_some_and(|cookie| {
                matches!(scene.key.read(cookie.as_str().as_bytes()), Ok(Claim::Pass { .. }))
            });
            match scene.visit(cookie) {
                Answer::Inside(token) => {
                    let claim = token.map(|token| scene.key.read(token.as_str().as_bytes()));
                    if let Some(Ok(Claim::Pass { number, .. })) = claim
                        && (!was_pass || !numbers.contains(&number))
                    {
                        prop_assert!(numbers.insert(number), "number {number} twice");
                        admitted += 1;
                    }
                    cookies.extend(token);
                }
                Answer::Wait(turn) => {
                    prop_assert!(turn.position > 0);
                    prop_assert!(turn.poll >= Duration::from_secs(2) && turn.poll <= Duration::from_secs(20));
                    cookies.extend(turn.token);
                }
                Answer::Ready => prop_assert!(false, "nobody looked"),
            }
            let passed_s = (scene.now_ms - START_MS) as f64 / 1e3;
            let most = f64::from(rate) * passed_s + f64::from(rate).max(1.0);
            prop_assert!(f64::from(admitted) <= most + 1e-6, "{admitted} of {most}");
            prop_assert!(capacity.is_none_or(|most| scene.reading().inside <= most));
        }
        prop_assert_eq!(scene.reading().admitted, admitted as u64);
    }
}

#[test]
fn threads_let_no_more_in_than_the_rate_allows() {
    let scene = Scene::new(settings(50.0));
    let admitted = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..1_000 {
                    if matches!(scene.come(), Answer::Inside(_)) {
                        admitted.fetch_add(1, Relaxed);
                    }
                }
            });
        }
    });
    assert_eq!(admitted.load(Relaxed), 50);
    assert_eq!(scene.reading().waiting, 3_950);
}
