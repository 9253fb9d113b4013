//! A process that has a share of a run and is led by another one over its standard input and output.

use std::io::{self, BufReader, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use super::RunError;
use super::crew::{self, Lead, Parts, Told};
use super::layout::raise_descriptors;
use super::message::{Order, Share, Word, receive, send};
use super::usage::{Usage, resident_bytes};
use crate::engine::{self, Clock};
use crate::plan::Plan;
use crate::record::Record;

/// How often what was recorded is passed on.
const SEND_EVERY: Duration = Duration::from_secs(1);

/// Waits for orders on standard input, carries out the share of `plan` that they say, and tells what happens on
/// standard output. Ends early when the process that leads is gone.
///
/// # Errors
/// Nobody listens, or what was said makes no sense: this process was not started by a run.
pub fn member(plan: Plan) -> io::Result<()> {
    let stop = Arc::new(AtomicBool::new(false));
    let orders = listen(Arc::clone(&stop));
    let mut out = io::stdout().lock();
    let Ok(Order::Prepare(share)) = orders.recv() else {
        return Err(io::Error::other("--part is for processes that a run starts itself; use --processes"));
    };
    raise_descriptors();
    match work(plan, &share, &stop, &orders, &mut out) {
        Ok(result) => result,
        Err(error) => send(&mut out, &Word::Failed(error.to_string())),
    }
}

/// Hands on every order, until the process that leads is gone; that, too, is an order to stop.
fn listen(stop: Arc<AtomicBool>) -> Receiver<Order> {
    let (hand_on, orders) = channel();
    // Not joined: it waits for a line that may never come, and ends with the process.
    std::thread::spawn(move || {
        let mut from = BufReader::new(io::stdin());
        while let Ok(Some(order)) = receive::<Order>(&mut from) {
            match order {
                Order::Stop => stop.store(true, Ordering::Relaxed),
                order => {
                    // It is of no use any more to a share that is done.
                    let _ = hand_on.send(order);
                }
            }
        }
        stop.store(true, Ordering::Relaxed);
    });
    orders
}

/// Carries out a share. The outer error is for the one who leads, the inner one says that nobody does.
fn work(
    mut plan: Plan,
    share: &Share,
    stop: &AtomicBool,
    orders: &Receiver<Order>,
    out: &mut impl Write,
) -> Result<io::Result<()>, RunError> {
    plan.stages.clone_from(&share.stages);
    plan.sources.clone_from(&share.sources);
    plan.grace = share.grace;
    let parts = Parts { first: share.first, count: share.threads, of: share.of };
    let gathered = Record::new(&plan.step_names());
    let mut member = Member {
        orders,
        out,
        stop,
        usage: Usage::default(),
        empty: gathered.clone(),
        gathered,
        last_sent: Instant::now(),
        said: Ok(()),
    };
    crew::with(&plan, parts, stop, &engine::drive, &mut member)?;
    Ok(member.end())
}

/// Leads the threads of this process as it is told, and passes on what they say.
struct Member<'a, W> {
    orders: &'a Receiver<Order>,
    out: &'a mut W,
    stop: &'a AtomicBool,
    usage: Usage,
    empty: Record,
    /// What was recorded and not sent yet.
    gathered: Record,
    last_sent: Instant,
    /// Whether anybody listens.
    said: io::Result<()>,
}

impl<W: Write> Member<'_, W> {
    fn say(&mut self, word: &Word) {
        if self.said.is_ok() {
            self.said = send(self.out, word);
        }
        if self.said.is_err() {
            // There is nobody to generate load for.
            self.stop.store(true, Ordering::Relaxed);
        }
    }

    fn send_gathered(&mut self) {
        self.last_sent = Instant::now();
        let gathered = std::mem::replace(&mut self.gathered, self.empty.clone());
        self.say(&Word::Recorded(Box::new(gathered)));
    }

    fn end(mut self) -> io::Result<()> {
        self.send_gathered();
        self.usage.resident_bytes = resident_bytes();
        self.say(&Word::Done(self.usage));
        self.said
    }
}

impl<W: Write> Lead for Member<'_, W> {
    fn begin(&mut self) -> Option<Clock> {
        self.say(&Word::Ready);
        match self.orders.recv() {
            Ok(Order::Begin(origin)) if self.said.is_ok() => Some(Clock { origin }),
            _ => None,
        }
    }

    fn hear(&mut self, told: Option<Told>) {
        match told {
            Some(Told::Recorded(record)) => self.gathered.merge(&record),
            Some(Told::Done(usage)) => self.usage.add(&usage),
            Some(Told::Lost(number, how)) => self.say(&Word::Lost(number, how.to_string())),
            None => {}
        }
        if self.last_sent.elapsed() >= SEND_EVERY {
            self.send_gathered();
        }
    }
}
