//! One encoder over three libraries: bytes in, coded bytes out, what is held back let go when asked for.

use brotli::enc::StandardAlloc;
use brotli::enc::encode::{
    BrotliEncoderDestroyInstance, BrotliEncoderOperation, BrotliEncoderParameter, BrotliEncoderStateStruct,
};
use config::Algorithm;
use flate2::{Compress, Compression, FlushCompress, Status};
use zstd::zstd_safe::zstd_sys::ZSTD_EndDirective;
use zstd::zstd_safe::{CCtx, CParameter, InBuffer, OutBuffer, ResetDirective};

/// Window of encoders that work while a client waits, as a power of two: 256 KiB look back far enough for pages, and
/// keep an encoder below two megabytes.
const STREAM_WINDOW_LOG: u8 = 18;

/// Largest window of what is coded once and stored: browsers need not take more for zstd (RFC 9659 section 3).
const STORED_WINDOW_LOG: u8 = 23;

/// The largest window of gzip, which it always has.
const GZIP_WINDOW_LOG: u8 = 15;

/// Room that is made in the output at least, so that no library is called for a few bytes.
const ROOM_BYTES: usize = 4 * 1024;

/// What is done with what an encoder holds back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Then {
    /// It waits for more to come.
    More,
    /// It goes out, so that everything so far can be decoded.
    Flush,
    /// It goes out, and the end behind it.
    End,
}

/// A library did not do what it always does: it got no memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Failed;

/// What is coded, as far as it is known before.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Task {
    /// Level, on the algorithm's own scale.
    pub level: u8,
    /// Bytes of the whole body, if known. They must be what comes.
    pub length: Option<u64>,
    /// Largest window, as a power of two.
    window_log: u8,
}

impl Task {
    /// A body on its way to a client.
    pub const fn stream(level: u8, length: Option<u64>) -> Self {
        Self { level, length, window_log: STREAM_WINDOW_LOG }
    }

    /// A body that is whole, to be stored.
    pub const fn stored(level: u8, length: u64) -> Self {
        Self { level, length: Some(length), window_log: STORED_WINDOW_LOG }
    }
}

/// An encoder; one body after another.
pub enum Encoder {
    /// Zstandard.
    Zstd(CCtx<'static>),
    /// Brotli. The library cannot be used twice without building it anew, which allocates.
    Brotli(Box<BrotliEncoderStateStruct<StandardAlloc>>),
    /// gzip.
    Gzip(Compress),
}

impl Encoder {
    /// An encoder that has not begun; `None` when there is no memory for it.
    pub fn new(algorithm: Algorithm) -> Option<Self> {
        Some(match algorithm {
            Algorithm::Zstd => Self::Zstd(CCtx::try_create()?),
            Algorithm::Brotli => {
                Self::Brotli(Box::new(BrotliEncoderStateStruct::new(StandardAlloc::default())))
            }
            Algorithm::Gzip => Self::Gzip(Compress::new_gzip(Compression::default(), GZIP_WINDOW_LOG)),
        })
    }

    /// Which algorithm it is.
    pub const fn algorithm(&self) -> Algorithm {
        match self {
            Self::Zstd(_) => Algorithm::Zstd,
            Self::Brotli(_) => Algorithm::Brotli,
            Self::Gzip(_) => Algorithm::Gzip,
        }
    }

    /// Begins another body; what was left of the one before is forgotten.
    pub fn begin(&mut self, task: Task) -> Result<(), Failed> {
        match self {
            Self::Zstd(context) => {
                context.reset(ResetDirective::SessionOnly).map_err(failed)?;
                context.set_parameter(CParameter::CompressionLevel(task.level.into())).map_err(failed)?;
                // A stored body gets the window of its level, which is never larger than allowed up to level 19.
                let window_log = if task.window_log == STORED_WINDOW_LOG { 0 } else { task.window_log };
                context.set_parameter(CParameter::WindowLog(window_log.into())).map_err(failed)?;
                context.set_pledged_src_size(task.length).map_err(failed)?;
            }
            Self::Brotli(state) => {
                BrotliEncoderDestroyInstance(state);
                **state = BrotliEncoderStateStruct::new(StandardAlloc::default());
                let hint = task.length.map_or(0, |length| u32::try_from(length).unwrap_or(u32::MAX));
                for (parameter, value) in [
                    (BrotliEncoderParameter::BROTLI_PARAM_QUALITY, task.level.into()),
                    (BrotliEncoderParameter::BROTLI_PARAM_LGWIN, window(task)),
                    (BrotliEncoderParameter::BROTLI_PARAM_SIZE_HINT, hint),
                ] {
                    state.set_parameter(parameter, value);
                }
            }
            Self::Gzip(compress) => {
                compress.reset();
                compress.set_level(Compression::new(task.level.into())).map_err(failed)?;
            }
        }
        Ok(())
    }

    /// Codes the next bytes of the body into `out`, behind what is there.
    pub fn encode(&mut self, input: &[u8], then: Then, out: &mut Vec<u8>) -> Result<(), Failed> {
        match self {
            Self::Zstd(context) => zstd(context, input, then, out),
            Self::Brotli(state) => brotli(state, input, then, out),
            Self::Gzip(compress) => gzip(compress, input, then, out),
        }
    }
}

/// Window of Brotli: no larger than its body needs, for setting it up takes time.
fn window(task: Task) -> u32 {
    let needed = task.length.map_or(u32::MAX, |length| u64::BITS - length.leading_zeros() + 1);
    needed.clamp(10, u32::from(task.window_log).min(22))
}

fn failed<E>(_: E) -> Failed {
    Failed
}

fn zstd(context: &mut CCtx<'static>, input: &[u8], then: Then, out: &mut Vec<u8>) -> Result<(), Failed> {
    let directive = match then {
        Then::More => ZSTD_EndDirective::ZSTD_e_continue,
        Then::Flush => ZSTD_EndDirective::ZSTD_e_flush,
        Then::End => ZSTD_EndDirective::ZSTD_e_end,
    };
    if then == Then::End {
        // With room for everything the library codes in one go, without copying the input first.
        out.reserve(zstd::zstd_safe::compress_bound(input.len()));
    }
    let mut from = InBuffer::around(input);
    loop {
        out.reserve(ROOM_BYTES);
        let at = out.len();
        let mut to = OutBuffer::around_pos(out, at);
        let left = context.compress_stream2(&mut to, &mut from, directive).map_err(failed)?;
        let is_taken = from.pos() == input.len();
        if is_taken && (then == Then::More || left == 0) {
            return Ok(());
        }
    }
}

fn gzip(compress: &mut Compress, input: &[u8], then: Then, out: &mut Vec<u8>) -> Result<(), Failed> {
    let flush = match then {
        Then::More => FlushCompress::None,
        Then::Flush => FlushCompress::Sync,
        Then::End => FlushCompress::Finish,
    };
    let mut rest = input;
    loop {
        out.reserve(ROOM_BYTES);
        let before = compress.total_in();
        let status = compress.compress_vec(rest, out, flush).map_err(failed)?;
        rest = &rest[(compress.total_in() - before) as usize..];
        // What does not fill the output has left nothing behind.
        let has_room = out.len() < out.capacity();
        match status {
            Status::StreamEnd => return Ok(()),
            Status::Ok | Status::BufError if then != Then::End && rest.is_empty() && has_room => {
                return Ok(());
            }
            Status::Ok => {}
            Status::BufError if !has_room => {}
            Status::BufError => return Err(Failed),
        }
    }
}

fn brotli(
    state: &mut BrotliEncoderStateStruct<StandardAlloc>,
    input: &[u8],
    then: Then,
    out: &mut Vec<u8>,
) -> Result<(), Failed> {
    let operation = match then {
        Then::More => BrotliEncoderOperation::BROTLI_OPERATION_PROCESS,
        Then::Flush => BrotliEncoderOperation::BROTLI_OPERATION_FLUSH,
        Then::End => BrotliEncoderOperation::BROTLI_OPERATION_FINISH,
    };
    let (mut left, mut at) = (input.len(), 0);
    loop {
        // The library keeps what it has coded, and it is taken from there: so it need not be cleared a place first.
        let is_done = state.compress_stream(
            operation,
            &mut left,
            input,
            &mut at,
            &mut 0,
            &mut [],
            &mut 0,
            &mut None,
            &mut |_, _, _, _| (),
        );
        if !is_done {
            return Err(Failed);
        }
        while state.has_more_output() {
            let mut len = 0;
            let coded = state.take_output(&mut len);
            out.extend_from_slice(&coded[..len]);
        }
        if left == 0 && (then != Then::End || state.is_finished()) {
            return Ok(());
        }
    }
}

impl std::fmt::Debug for Encoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Encoder").field(&self.algorithm()).finish()
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::io::Read as _;

    use proptest::prelude::*;

    use super::*;

    pub const ALL: [Algorithm; 3] = [Algorithm::Zstd, Algorithm::Brotli, Algorithm::Gzip];

    /// What a reader that is not ours makes of it; an error unless it comes to its end.
    pub fn decoded(algorithm: Algorithm, coded: &[u8]) -> std::io::Result<Vec<u8>> {
        let mut body = Vec::new();
        match algorithm {
            Algorithm::Zstd => drop(zstd::stream::read::Decoder::new(coded)?.read_to_end(&mut body)?),
            Algorithm::Brotli => drop(brotli::Decompressor::new(coded, 4096).read_to_end(&mut body)?),
            Algorithm::Gzip => drop(flate2::read::GzDecoder::new(coded).read_to_end(&mut body)?),
        }
        Ok(body)
    }

    /// What can be read of it before its end has come.
    fn begun(algorithm: Algorithm, coded: &[u8]) -> Vec<u8> {
        let mut reader: Box<dyn std::io::Read> = match algorithm {
            Algorithm::Zstd => Box::new(zstd::stream::read::Decoder::new(coded).unwrap()),
            Algorithm::Brotli => Box::new(brotli::Decompressor::new(coded, 4096)),
            Algorithm::Gzip => Box::new(flate2::read::GzDecoder::new(coded)),
        };
        let mut body = Vec::new();
        let mut piece = [0; 1024];
        while let Ok(read @ 1..) = reader.read(&mut piece) {
            body.extend_from_slice(&piece[..read]);
        }
        body
    }

    fn levels(algorithm: Algorithm) -> std::ops::RangeInclusive<u8> {
        match algorithm {
            Algorithm::Zstd => 1..=19,
            Algorithm::Brotli => 0..=11,
            Algorithm::Gzip => 1..=9,
        }
    }

    /// Bodies that repeat themselves as pages do, and such as do not.
    fn body() -> impl Strategy<Value = Vec<u8>> {
        let noise = prop::collection::vec(any::<u8>(), 0..5_000);
        let words =
            prop::collection::vec(prop::sample::select(vec!["<td>", "a", "</td>\n", "42", "x\0"]), 0..10_000);
        prop_oneof![noise, words.prop_map(|words| words.concat().into_bytes())]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        #[test]
        fn what_is_coded_in_any_cuts_is_decoded_to_the_same(
            body in body(),
            cuts in prop::collection::vec((0..4_000_usize, any::<bool>()), 0..12),
            level in 0..20_u8,
            knows_length in any::<bool>(),
        ) {
            for algorithm in ALL {
                let mut encoder = Encoder::new(algorithm).unwrap();
                let level = level.clamp(*levels(algorithm).start(), *levels(algorithm).end());
                // The second time is with an encoder that was used, and left in the middle of a body.
                for _ in 0..2 {
                    encoder.begin(Task::stream(*levels(algorithm).end(), None)).unwrap();
                    encoder.encode(b"left behind", Then::More, &mut Vec::new()).unwrap();
                    encoder.begin(Task::stream(level, knows_length.then_some(body.len() as u64))).unwrap();
                    let (mut rest, mut out) = (&body[..], b"before".to_vec());
                    for &(length, is_flushed) in &cuts {
                        let (piece, behind) = rest.split_at(length.min(rest.len()));
                        rest = behind;
                        encoder.encode(piece, if is_flushed { Then::Flush } else { Then::More }, &mut out).unwrap();
                        if is_flushed {
                            prop_assert_eq!(&begun(algorithm, &out[6..])[..], &body[..body.len() - rest.len()]);
                        }
                    }
                    encoder.encode(rest, Then::End, &mut out).unwrap();
                    prop_assert!(out.starts_with(b"before"));
                    prop_assert_eq!(&decoded(algorithm, &out[6..]).unwrap(), &body);
                    prop_assert!(decoded(algorithm, &out[6..out.len() - 1]).is_err(), "its end is missed");
                }
            }
        }
    }

    #[test]
    fn a_long_body_in_one_piece_gets_smaller_by_every_algorithm_and_level() {
        let body = "every line of this body is much like the one before\n".repeat(20_000).into_bytes();
        for algorithm in ALL {
            let mut encoder = Encoder::new(algorithm).unwrap();
            for level in [*levels(algorithm).start(), 4, *levels(algorithm).end()] {
                for task in [Task::stream(level, None), Task::stored(level, body.len() as u64)] {
                    encoder.begin(task).unwrap();
                    let mut out = Vec::new();
                    encoder.encode(&body, Then::End, &mut out).unwrap();
                    assert!(out.len() < body.len() / 20, "{algorithm:?} {level}: {}", out.len());
                    assert_eq!(decoded(algorithm, &out).unwrap(), body, "{algorithm:?} {level}");
                }
            }
        }
    }

    #[test]
    fn a_stored_zstd_body_needs_no_larger_window_than_browsers_take() {
        let body = vec![b'x'; 9 << 20];
        let mut encoder = Encoder::new(Algorithm::Zstd).unwrap();
        encoder.begin(Task::stored(19, body.len() as u64)).unwrap();
        let mut out = Vec::new();
        encoder.encode(&body, Then::End, &mut out).unwrap();
        let mut reader = zstd::stream::read::Decoder::new(&out[..]).unwrap();
        reader.window_log_max(STORED_WINDOW_LOG.into()).unwrap();
        let mut decoded = Vec::new();
        reader.read_to_end(&mut decoded).unwrap();
        assert!(decoded == body);
    }
}
