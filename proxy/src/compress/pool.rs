//! Encoders that are used again: setting one up costs more than coding a small body with it.

use std::cell::RefCell;
use std::ops::{Deref, DerefMut};
use std::rc::Rc;

use config::Algorithm;

use super::encoder::{Encoder, Task};

/// Responses that one core codes at once. An encoder holds up to two megabytes, and a client that takes its time holds an
/// encoder: what comes past this goes out as it is.
pub const MOST: usize = 128;

/// Encoders of each algorithm that are kept for the next body.
const KEEP: usize = 8;

/// The encoders of one core.
#[derive(Clone, Debug, Default)]
pub struct Pool(Rc<RefCell<Encoders>>);

#[derive(Debug, Default)]
struct Encoders {
    /// Those that wait, by algorithm.
    idle: [Vec<Encoder>; 3],
    /// How many are in use.
    used: usize,
}

impl Pool {
    /// An encoder for this body; allocates only until the core has had as many at once as it needs, as far as the
    /// libraries can be used twice. `None`: too many are in use, or there is no memory.
    pub fn take(&self, algorithm: Algorithm, task: Task) -> Option<Held> {
        let mut encoders = self.0.borrow_mut();
        if encoders.used == MOST {
            return None;
        }
        let mut encoder = encoders.idle[algorithm as usize].pop().or_else(|| Encoder::new(algorithm))?;
        encoder.begin(task).ok()?;
        encoders.used += 1;
        Some(Held { encoder: Some(encoder), pool: self.clone() })
    }

    /// How many are in use.
    pub fn used(&self) -> usize {
        self.0.borrow().used
    }
}

/// An encoder in use; goes back to its pool when dropped.
#[derive(Debug)]
pub struct Held {
    encoder: Option<Encoder>,
    pool: Pool,
}

impl Deref for Held {
    type Target = Encoder;

    fn deref(&self) -> &Encoder {
        self.encoder.as_ref().expect("an encoder is held until it is dropped")
    }
}

impl DerefMut for Held {
    fn deref_mut(&mut self) -> &mut Encoder {
        self.encoder.as_mut().expect("an encoder is held until it is dropped")
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut encoders = self.pool.0.borrow_mut();
        encoders.used -= 1;
        if let Some(encoder) = self.encoder.take() {
            let idle = &mut encoders.idle[encoder.algorithm() as usize];
            if idle.len() < KEEP {
                idle.push(encoder);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compress::encoder::Then;

    #[test]
    fn a_core_uses_no_more_encoders_than_it_may_and_keeps_a_few() {
        let pool = Pool::default();
        let task = Task::stream(1, None);
        let mut held: Vec<_> =
            (0..MOST).map(|_| pool.take(Algorithm::Gzip, task).expect("a place")).collect();
        assert!(pool.take(Algorithm::Zstd, task).is_none(), "the bound is for all together");
        held.pop();
        assert!(pool.take(Algorithm::Gzip, task).is_some(), "one was given back");
        drop(held);
        let encoders = pool.0.borrow();
        assert_eq!((pool.used(), encoders.idle[Algorithm::Gzip as usize].len()), (0, KEEP));
    }

    #[test]
    fn an_encoder_stays_within_the_memory_that_the_bound_counts_on() {
        let pool = Pool::default();
        let mut held = pool.take(Algorithm::Zstd, Task::stream(3, None)).unwrap();
        held.encode(&vec![7; 1 << 20], Then::Flush, &mut Vec::new()).unwrap();
        let Encoder::Zstd(context) = &*held else { panic!("zstd was asked for") };
        let bytes = context.sizeof();
        println!("an encoder of zstd holds {bytes} bytes");
        assert!(bytes <= 2 << 20, "{bytes} bytes");
    }
}
