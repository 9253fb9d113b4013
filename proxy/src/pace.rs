//! A client's stream that takes no more bytes than the bandwidth of its key lets it.
//!
//! The wrapper stays on the connection once it was needed, and lets everything through between requests that are paced.
//! What a limit grants and the stream does not take is given back, so that all connections of a key share what there is.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep};
use traffic::limit::{Grant, Key};

use crate::core::Core;
use crate::live::Live;
use crate::stream::Stream;

/// Slices that are written in one call, at most.
const SLICES: usize = 20;

/// A stream and its pace.
pub struct Paced {
    stream: Stream,
    core: Rc<Core>,
    #[allow(clippy::redundant_allocation)] // As the core holds it.
    live: Rc<Arc<Live>>,
    route: Option<usize>,
    /// Limits of the route that pace, by their place, and the request's key in each.
    limits: Vec<(usize, Key)>,
    sleep: Pin<Box<Sleep>>,
    is_waiting: bool,
}

impl Paced {
    /// Wraps a stream that nothing paces yet.
    #[allow(clippy::redundant_allocation)]
    pub fn new(stream: Stream, core: &Rc<Core>, live: &Rc<Arc<Live>>) -> Self {
        Self {
            stream,
            core: Rc::clone(core),
            live: Rc::clone(live),
            route: None,
            limits: Vec::new(),
            sleep: Box::pin(sleep(Duration::ZERO)),
            is_waiting: false,
        }
    }

    /// One limit more that paces the request.
    #[allow(clippy::redundant_allocation)]
    pub fn add(&mut self, live: &Rc<Arc<Live>>, route: Option<usize>, limit: usize, key: Key) {
        self.live = Rc::clone(live);
        self.route = route;
        self.limits.push((limit, key));
    }

    /// Nothing paces any more.
    pub fn clear(&mut self) {
        self.limits.clear();
        self.is_waiting = false;
    }

    /// The stream itself.
    pub fn inner(&mut self) -> &mut Stream {
        &mut self.stream
    }

    /// The same, to be looked at.
    pub fn inner_ref(&self) -> &Stream {
        &self.stream
    }

    /// Whether what keeps the bytes is their pace.
    pub fn is_waiting(&self) -> bool {
        self.is_waiting
    }

    /// Writes as much as the pace and the stream let.
    pub fn poll_write(&mut self, cx: &mut Context<'_>, slices: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let wanted: usize = slices.iter().map(|slice| slice.len()).sum();
        self.poll_within(cx, wanted, |stream, cx, most| {
            let mut cut = [IoSlice::new(&[]); SLICES];
            let mut left = most;
            let mut count = 0;
            for (place, slice) in cut.iter_mut().zip(slices) {
                let part = &slice[..slice.len().min(left)];
                *place = IoSlice::new(part);
                left -= part.len();
                count += 1;
            }
            stream.poll_write_vectored(cx, &cut[..count])
        })
    }

    /// Runs `write` with as many bytes as may go now, and gives back what it did not write.
    pub fn poll_within(
        &mut self,
        cx: &mut Context<'_>,
        wanted: usize,
        write: impl FnOnce(&mut Stream, &mut Context<'_>, usize) -> Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        if self.limits.is_empty() || wanted == 0 {
            return write(&mut self.stream, cx, wanted);
        }
        if self.is_waiting {
            ready!(self.sleep.as_mut().poll(cx));
            self.is_waiting = false;
        }
        let granted = loop {
            match self.grant(wanted as u64) {
                Grant::Bytes(bytes) => break bytes as usize,
                Grant::Wait(wait) => {
                    // A timer's step is a millisecond, and it must not end before it is due.
                    self.sleep.as_mut().reset(Instant::now() + wait.max(Duration::from_millis(1)));
                    if self.sleep.as_mut().poll(cx).is_pending() {
                        self.is_waiting = true;
                        return Poll::Pending;
                    }
                }
            }
        };
        let written = write(&mut self.stream, cx, granted);
        let taken = match &written {
            Poll::Ready(Ok(taken)) => *taken,
            Poll::Ready(Err(_)) | Poll::Pending => 0,
        };
        self.give_back(self.limits.len(), (granted - taken.min(granted)) as u64);
        written
    }

    /// What all limits together grant.
    fn grant(&self, wanted: u64) -> Grant {
        let now = self.core.now();
        let mut granted = wanted;
        for (at, (limit, key)) in self.limits.iter().enumerate() {
            match self.live.limits.grant(now, self.buckets(*limit), *key, granted) {
                Grant::Bytes(bytes) => {
                    self.give_back(at, granted - bytes);
                    granted = bytes;
                }
                Grant::Wait(wait) => {
                    self.give_back(at, granted);
                    return Grant::Wait(wait);
                }
            }
        }
        Grant::Bytes(granted)
    }

    /// Gives bytes back to the first so many limits.
    fn give_back(&self, limits: usize, bytes: u64) {
        if bytes > 0 {
            for (limit, key) in &self.limits[..limits] {
                self.live.limits.give_back(self.buckets(*limit), *key, bytes);
            }
        }
    }

    fn buckets(&self, limit: usize) -> &traffic::limit::Limit {
        self.live.limits_of(self.route)[limit].buckets()
    }
}

impl std::fmt::Debug for Paced {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Paced")
            .field("stream", &self.stream)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}
