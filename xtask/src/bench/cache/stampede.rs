//! A thousand clients who want the same thing at once: what is not there, and what has just expired.
//!
//! The origin begins to answer at once and takes its time for the rest. So a cache can be seen to do one of three things
//! with those who come while it fetches: let them read along, let them wait for the end, or send them to the origin.

use std::sync::LazyLock;
use std::time::Duration;

use crate::problem::Problem;

use super::super::answer::Answer;
use super::super::field::Field;
use super::super::measure::median;
use super::super::peer::{Peer, Running};
use super::super::scene::Scene;
use super::super::{correctness, crowd};

/// How long the origin takes, in milliseconds: long enough for a thousand answers to begin.
pub(super) const DELAY_MS: u32 = 2000;
/// How long an answer that is to expire is fresh, in seconds.
const TTL_S: u64 = 1;
/// How long it is waited for that.
const EXPIRES: Duration = Duration::from_millis(1000 * TTL_S + 500);
/// What follows the first line of the origin's slow answers.
static KNOWN: LazyLock<Vec<u8>> = LazyLock::new(|| correctness::pattern(64 * 1024));

/// What was seen of one peer, or the worst and the medians of several rounds.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Seen {
    pub(super) peer: Peer,
    /// Requests that reached the origin because of the stampede; the most of a round.
    pub(super) origin_requests: u64,
    /// Clients who had a byte of the body before the origin had finished; the fewest of a round.
    pub(super) before_end: u32,
    /// Clients who got what had expired; the fewest of a round.
    pub(super) stale: u32,
    /// Clients who got no answer, or one that says that something failed; of all rounds.
    pub(super) failed: u32,
    /// When the first, the last client had the first byte of the body.
    pub(super) first_ms: f64,
    pub(super) last_ms: f64,
    /// When the last client had everything.
    pub(super) whole_ms: f64,
}

/// Lets a thousand clients storm every peer, as often as there are rounds.
pub(super) fn measure(field: &Field<'_>, scene: Scene, clients: u32) -> Result<Vec<Seen>, Problem> {
    let mut seen = Vec::new();
    for peer in field.caches() {
        let running = field.start(peer)?;
        let mut rounds = Vec::new();
        for round in 1..=field.plan.rounds {
            rounds.push(storm(field, &running, scene, clients, round)?);
        }
        let Some(all) = together(&rounds) else { continue };
        println!(
            "  {:9} {:4} requests to the origin, {:4} clients served before it had finished, {:4} with the old answer; \
             first byte after {:.0} to {:.0} ms, all after {:.0} ms, {} failed",
            peer.name(),
            all.origin_requests,
            all.before_end,
            all.stale,
            all.first_ms,
            all.last_ms,
            all.whole_ms,
            all.failed
        );
        seen.push(all);
    }
    Ok(seen)
}

fn storm(
    field: &Field<'_>,
    running: &Running,
    scene: Scene,
    clients: u32,
    round: u32,
) -> Result<Seen, Problem> {
    let peer = running.peer;
    let name = format!("{}-{}-{round}", scene.name(), peer.name());
    let ttl_s = if scene == Scene::Expired { TTL_S } else { 3600 };
    let target = format!("/counted/{name}?ms={DELAY_MS}&ttl={ttl_s}");
    if scene == Scene::Expired {
        let primed = |outcome: crowd::Outcome| match number(outcome.answer.as_ref()) {
            Ok(Some(1)) => Ok(()),
            _ => Err(Problem::new(format!("{}: what is to expire could not be fetched", peer.name()))),
        };
        crowd::ask(running.port, 1, 1, |_| target.clone(), primed)?;
        std::thread::sleep(EXPIRES);
    }
    let before = correctness::count(field.origin, &name)?;
    let mut seen = Seen {
        peer,
        origin_requests: 0,
        before_end: 0,
        stale: 0,
        failed: 0,
        first_ms: f64::INFINITY,
        last_ms: 0.0,
        whole_ms: 0.0,
    };
    let add = |outcome: crowd::Outcome| {
        let number = number(outcome.answer.as_ref())
            .map_err(|problem| Problem::new(format!("{}: {problem}", peer.name())))?;
        seen.add(number, before, outcome.began, outcome.ended);
        Ok(())
    };
    crowd::ask(running.port, clients, clients, |_| target.clone(), add)?;
    // A refresh that begins as the last client is served is one too.
    std::thread::sleep(Duration::from_millis(u64::from(DELAY_MS) / 2));
    seen.origin_requests = correctness::count(field.origin, &name)? - before;
    Ok(seen)
}

impl Seen {
    /// Adds a client, who got the origin's answer of this `number`, or none, when it had been asked `before` times.
    fn add(&mut self, number: Option<u64>, before: u64, began: Duration, ended: Duration) {
        let Some(number) = number else {
            self.failed += 1;
            return;
        };
        // Whenever the origin was asked, it was after the first client had asked; so it finished no sooner than this.
        self.before_end += u32::from(began < Duration::from_millis(DELAY_MS.into()));
        self.stale += u32::from(number <= before);
        let ms = |time: Duration| time.as_secs_f64() * 1e3;
        self.first_ms = self.first_ms.min(ms(began));
        self.last_ms = self.last_ms.max(ms(began));
        self.whole_ms = self.whole_ms.max(ms(ended));
    }
}

/// Which of the origin's answers this is, counted from 1; none for no answer or one that says that something failed. An
/// answer with other bytes than the origin's is a problem.
fn number(answer: Option<&Answer>) -> Result<Option<u64>, Problem> {
    let Some(answer) = answer.filter(|answer| answer.status == 200) else { return Ok(None) };
    let end = answer.body.iter().position(|&byte| byte == b'\n').map_or(0, |at| at + 1);
    let (line, known) = answer.body.split_at(end);
    let count = std::str::from_utf8(line)
        .ok()
        .and_then(|line| line.strip_prefix("asked for ")?.strip_suffix(" times\n")?.parse().ok());
    match count {
        Some(count) if known == KNOWN.as_slice() => Ok(Some(count)),
        _ => Err(Problem::new("an answer in a stampede has other bytes than the origin's")),
    }
}

/// The worst of the counts and the medians of the times; none when there was no round.
fn together(rounds: &[Seen]) -> Option<Seen> {
    let of = |value: fn(&Seen) -> f64| median(rounds.iter().map(value));
    Some(Seen {
        peer: rounds.first()?.peer,
        origin_requests: rounds.iter().map(|seen| seen.origin_requests).max()?,
        before_end: rounds.iter().map(|seen| seen.before_end).min()?,
        stale: rounds.iter().map(|seen| seen.stale).min()?,
        failed: rounds.iter().map(|seen| seen.failed).sum(),
        first_ms: of(|seen| seen.first_ms)?,
        last_ms: of(|seen| seen.last_ms)?,
        whole_ms: of(|seen| seen.whole_ms)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, body: &[u8]) -> Answer {
        Answer { status, head: String::new(), body: body.to_vec() }
    }

    fn seen() -> Seen {
        Seen {
            peer: Peer::Nginx,
            origin_requests: 1,
            before_end: 0,
            stale: 0,
            failed: 0,
            first_ms: f64::INFINITY,
            last_ms: 0.0,
            whole_ms: 0.0,
        }
    }

    #[test]
    fn the_number_of_an_answer_is_read_and_a_changed_byte_is_told() {
        let mut body = [b"asked for 12 times\n", KNOWN.as_slice()].concat();
        assert_eq!(number(Some(&answer(200, &body))), Ok(Some(12)));
        assert_eq!(number(Some(&answer(503, b"no"))), Ok(None));
        assert_eq!(number(None), Ok(None));
        body[5000] = b'!';
        assert!(number(Some(&answer(200, &body))).is_err());
        assert!(number(Some(&answer(200, b""))).is_err());
    }

    #[test]
    fn clients_are_counted_by_what_they_got_and_when() {
        let mut seen = seen();
        let ms = Duration::from_millis;
        seen.add(Some(1), 1, ms(10), ms(20));
        seen.add(Some(2), 1, ms(30), ms(2100));
        seen.add(Some(2), 1, ms(2050), ms(2060));
        seen.add(None, 1, ms(1), ms(9000));
        assert_eq!((seen.before_end, seen.stale, seen.failed), (2, 1, 1));
        assert_eq!((seen.first_ms, seen.last_ms, seen.whole_ms), (10.0, 2050.0, 2100.0));
    }

    #[test]
    fn of_several_rounds_the_worst_counts_are_told() {
        let one =
            Seen { origin_requests: 3, before_end: 900, stale: 1000, first_ms: 4.0, failed: 1, ..seen() };
        let two =
            Seen { origin_requests: 1, before_end: 1000, stale: 990, first_ms: 6.0, failed: 1, ..seen() };
        let all = together(&[one, two]).expect("rounds");
        assert_eq!((all.origin_requests, all.before_end, all.stale, all.failed), (3, 900, 990, 2));
        assert_eq!(all.first_ms.to_bits(), 5.0_f64.to_bits());
        assert_eq!(together(&[]), None);
    }
}
