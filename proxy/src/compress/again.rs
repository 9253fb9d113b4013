//! What the cache keeps is compressed once more, and harder, when it has been stored: beside the traffic, one body at a
//! time, and then sent many times.
//!
//! While a fill comes in there are clients who wait for it, so it is coded as quickly as for one of them. What is made
//! of it later takes the place of its body: it means the same, as the weak ETag of both says.

use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use cache::{Body, Entry};
use config::{Algorithm, Coding};
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

use crate::compress::{count, whole};
use crate::core::Core;

/// Bodies that may wait for their turn.
pub const MOST_WAITING: usize = 64;

/// Longest body, before and after it is compressed: longer ones would keep a core busy for seconds.
pub const MOST_BYTES: u64 = 4 * 1024 * 1024;

/// How much those who serve requests go before: 19 is the most.
const NICENESS: i32 = 10;

/// Whose turn it is. One of all cores.
#[derive(Debug)]
pub struct Again {
    turn: Semaphore,
    waiting: AtomicUsize,
}

impl Default for Again {
    fn default() -> Self {
        Self { turn: Semaphore::new(1), waiting: AtomicUsize::new(0) }
    }
}

/// Takes its place in the queue.
struct Place<'a>(&'a AtomicUsize);

impl<'a> Place<'a> {
    fn take(waiting: &'a AtomicUsize) -> Option<Self> {
        let place = Self(waiting);
        (place.0.fetch_add(1, Relaxed) < MOST_WAITING).then_some(place)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

/// Compresses the body of an entry again, which was coded on its way in, and puts that in its place if it is smaller.
pub async fn again(core: &Core, coding: Coding, entry: Arc<Entry>) {
    let bytes = entry.body().len_bytes();
    if coding.stored_level <= coding.level || bytes == 0 || bytes > MOST_BYTES {
        return;
    }
    let Again { turn, waiting } = &core.shared.again;
    let Some(_place) = Place::take(waiting) else { return };
    let Ok(_permit) = turn.acquire().await else { return };
    // Nobody else has it: it has left the store meanwhile.
    if Arc::strong_count(&entry) == 1 {
        return;
    }
    let read = Arc::clone(&entry);
    let coded = spawn_blocking(move || {
        // Of this thread alone. If it may not be, then it is as important as the others.
        let _ = rustix::process::setpriority_process(None, NICENESS);
        harder(coding, read.body().pieces())
    });
    let Ok(Some((plain_bytes, coded))) = coded.await else { return };
    count(core, coding.algorithm, plain_bytes, coded.len());
    if (coded.len() as u64) < bytes {
        core.shared.cache.replace_body(&entry, Body::from_pieces([coded.into()]));
    }
}

/// The same body, coded harder, and its length as it is. `None`: it is too long, or not what it should be.
fn harder<'a>(coding: Coding, pieces: impl Iterator<Item = &'a [u8]>) -> Option<(usize, Vec<u8>)> {
    let coded: Vec<u8> = pieces.flatten().copied().collect();
    let plain = decoded(coding.algorithm, &coded)?;
    drop(coded);
    let length = plain.len();
    Some((length, whole(coding.algorithm, coding.stored_level, &[plain.into()])?))
}

fn decoded(algorithm: Algorithm, coded: &[u8]) -> Option<Vec<u8>> {
    let mut plain = Vec::new();
    let mut read = |reader: &mut dyn Read| reader.take(MOST_BYTES + 1).read_to_end(&mut plain);
    match algorithm {
        Algorithm::Zstd => read(&mut zstd::stream::read::Decoder::with_buffer(coded).ok()?),
        Algorithm::Brotli => read(&mut brotli::Decompressor::new(coded, 16 * 1024)),
        Algorithm::Gzip => read(&mut flate2::bufread::GzDecoder::new(coded)),
    }
    .ok()?;
    (plain.len() as u64 <= MOST_BYTES).then_some(plain)
}

#[cfg(test)]
mod tests {
    use super::super::encoder::tests::{ALL, decoded as expected};
    use super::*;

    fn text(bytes: usize) -> Vec<u8> {
        let mut rng = fastrand::Rng::with_seed(1);
        std::iter::repeat_with(|| rng.u8(b'a'..b'e')).take(bytes).collect()
    }

    #[test]
    fn what_is_coded_harder_is_smaller_and_means_the_same() {
        for algorithm in ALL {
            let coding = Coding { algorithm, level: 1, stored_level: 9 };
            let plain = text(100_000);
            let quick = whole(algorithm, 1, &[plain.clone().into()]).expect("coded");
            let (length, hard) = harder(coding, quick.chunks(1000)).expect("coded");
            assert_eq!(length, plain.len());
            assert!(hard.len() < quick.len(), "{algorithm:?}: {} of {}", hard.len(), quick.len());
            assert_eq!(expected(algorithm, &hard).expect("it is whole"), plain);
        }
    }

    #[test]
    fn what_is_too_long_or_broken_is_left_alone() {
        for algorithm in ALL {
            let coding = Coding { algorithm, level: 1, stored_level: 2 };
            let bomb = whole(algorithm, 1, &[vec![0; MOST_BYTES as usize + 1].into()]).expect("coded");
            assert!(harder(coding, [&bomb[..]].into_iter()).is_none());
            assert!(harder(coding, [&b"no such thing"[..]].into_iter()).is_none());
        }
    }
}
