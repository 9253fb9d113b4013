//! The `traceparent` field (W3C Trace Context, level 1): which trace a request belongs to.
//!
//! A gateway keeps the trace id, puts a parent id of its own in the place of the caller's, and starts a
//! new trace when the field breaks the rules. When it starts anew, `tracestate` belongs to a trace that
//! is no more and must be dropped.

use wire::encode::hexadecimal_digits;

/// Length of a version 00 `traceparent`, in bytes.
pub const LENGTH: usize = 55;

/// Where a request stands in its trace.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub struct TraceParent {
    /// The trace; never all zero.
    pub trace_id: [u8; 16],
    /// The span that caused this request; never all zero.
    pub parent_id: [u8; 8],
    /// Whether the caller may have recorded the trace (flag bit 0).
    pub sampled: bool,
}

/// Why a `traceparent` cannot be continued.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum NoTrace {
    /// There is no such field.
    Absent,
    /// There is more than one.
    Repeated,
    /// It has another length, or goes on after its end.
    Length,
    /// A dash is missing, or a digit is not lower-case hexadecimal.
    Digits,
    /// Version ff, which is forbidden.
    Version,
    /// The trace id is all zero.
    ZeroTrace,
    /// The parent id is all zero.
    ZeroParent,
}

impl NoTrace {
    /// The word for logs.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Absent => "absent",
            Self::Repeated => "repeated",
            Self::Length => "length",
            Self::Digits => "digits",
            Self::Version => "version",
            Self::ZeroTrace => "zero_trace",
            Self::ZeroParent => "zero_parent",
        }
    }
}

/// How the trace of a request goes on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Trace {
    /// The caller's trace goes on; its `tracestate` is passed on.
    Continued(TraceParent),
    /// A new one begins; a `tracestate` is dropped.
    Started(TraceParent, NoTrace),
}

impl Trace {
    /// Decides from the values of all `traceparent` fields of a request. A new trace is not sampled.
    pub fn of<'a>(values: impl IntoIterator<Item = &'a [u8]>, rng: &mut fastrand::Rng) -> Self {
        let mut values = values.into_iter();
        let parsed = match (values.next(), values.next()) {
            (None, _) => Err(NoTrace::Absent),
            (Some(value), None) => TraceParent::parse(value),
            (Some(_), Some(_)) => Err(NoTrace::Repeated),
        };
        match parsed {
            Ok(caller) => Self::Continued(caller.child(rng)),
            Err(why) => Self::Started(TraceParent::start(false, rng), why),
        }
    }

    /// What to send to the upstream.
    pub const fn parent(&self) -> &TraceParent {
        match self {
            Self::Continued(parent) | Self::Started(parent, _) => parent,
        }
    }
}

impl TraceParent {
    /// Parses a field value; higher versions are read as far as version 00 goes.
    pub fn parse(value: &[u8]) -> Result<Self, NoTrace> {
        if value.len() < LENGTH {
            return Err(NoTrace::Length);
        }
        let [version] = hex(&value[0..2])?;
        if version == 0xff {
            return Err(NoTrace::Version);
        }
        let goes_on = value.get(LENGTH);
        if goes_on.is_some_and(|&next| version == 0 || next != b'-') {
            return Err(NoTrace::Length);
        }
        if [2, 35, 52].iter().any(|&dash| value[dash] != b'-') {
            return Err(NoTrace::Digits);
        }
        let trace_id = hex(&value[3..35])?;
        let parent_id = hex(&value[36..52])?;
        let [flags] = hex(&value[53..55])?;
        if trace_id == [0; 16] {
            return Err(NoTrace::ZeroTrace);
        }
        if parent_id == [0; 8] {
            return Err(NoTrace::ZeroParent);
        }
        Ok(Self { trace_id, parent_id, sampled: flags & 1 == 1 })
    }

    /// A new trace.
    pub fn start(sampled: bool, rng: &mut fastrand::Rng) -> Self {
        let trace_id = rng.u128(1..).to_be_bytes();
        Self { trace_id, parent_id: [0; 8], sampled }.child(rng)
    }

    /// The same trace under a new parent id.
    #[must_use]
    pub fn child(self, rng: &mut fastrand::Rng) -> Self {
        Self { parent_id: rng.u64(1..).to_be_bytes(), ..self }
    }

    /// The field value, in version 00.
    pub fn format(&self) -> [u8; LENGTH] {
        let mut value = *b"00-................................-................-00";
        let id = u128::from_be_bytes(self.trace_id);
        value[3..19].copy_from_slice(&hexadecimal_digits((id >> 64) as u64));
        value[19..35].copy_from_slice(&hexadecimal_digits(id as u64));
        value[36..52].copy_from_slice(&hexadecimal_digits(u64::from_be_bytes(self.parent_id)));
        value[54] = if self.sampled { b'1' } else { b'0' };
        value
    }
}

fn hex<const N: usize>(digits: &[u8]) -> Result<[u8; N], NoTrace> {
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = nibble(pair[0])? << 4 | nibble(pair[1])?;
    }
    Ok(bytes)
}

fn nibble(digit: u8) -> Result<u8, NoTrace> {
    match digit {
        b'0'..=b'9' => Ok(digit - b'0'),
        b'a'..=b'f' => Ok(digit - b'a' + 10),
        _ => Err(NoTrace::Digits),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VALID: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn the_trace_goes_on_under_a_new_parent() {
        let mut rng = fastrand::Rng::with_seed(1);
        let caller = TraceParent::parse(VALID.as_bytes()).unwrap();
        assert_eq!(caller.format(), VALID.as_bytes());
        let Trace::Continued(ours) = Trace::of([VALID.as_bytes()], &mut rng) else { panic!("restarted") };
        assert_eq!((ours.trace_id, ours.sampled), (caller.trace_id, true));
        assert_ne!(ours.parent_id, caller.parent_id);
        assert_eq!(TraceParent::parse(&ours.format()), Ok(ours));
    }

    #[test]
    fn an_invalid_field_starts_a_new_trace_for_its_reason() {
        let mut rng = fastrand::Rng::with_seed(2);
        let cases: [(&[&str], NoTrace); 9] = [
            (&[], NoTrace::Absent),
            (&[VALID, VALID], NoTrace::Repeated),
            (&["00-0af7"], NoTrace::Length),
            (&["00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-x"], NoTrace::Length),
            (&["ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"], NoTrace::Version),
            (&["00-0AF7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"], NoTrace::Digits),
            (&["00_0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"], NoTrace::Digits),
            (&["00-00000000000000000000000000000000-b7ad6b7169203331-01"], NoTrace::ZeroTrace),
            (&["00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01"], NoTrace::ZeroParent),
        ];
        for (values, why) in cases {
            let trace = Trace::of(values.iter().map(|value| value.as_bytes()), &mut rng);
            let Trace::Started(parent, reason) = trace else { panic!("{values:?} continued") };
            assert_eq!(reason, why, "{values:?}");
            assert_eq!(TraceParent::parse(&parent.format()), Ok(parent));
            assert!(!parent.sampled);
        }
    }

    #[test]
    fn a_later_version_is_read_as_far_as_it_is_known() {
        let later = format!("cc{}-what-the-future-brings", &VALID[2..]);
        assert_eq!(TraceParent::parse(later.as_bytes()), TraceParent::parse(VALID.as_bytes()));
        let glued = format!("cc{}.what", &VALID[2..]);
        assert_eq!(TraceParent::parse(glued.as_bytes()), Err(NoTrace::Length));
    }

    #[test]
    fn no_bytes_make_the_parser_panic() {
        let mut rng = fastrand::Rng::with_seed(4);
        for _ in 0..20_000 {
            let mut value = VALID.as_bytes().to_vec();
            for _ in 0..rng.usize(..4) {
                let at = rng.usize(..value.len());
                value[at] = rng.u8(..);
            }
            value.truncate(rng.usize(..=value.len()));
            if let Ok(parent) = TraceParent::parse(&value) {
                assert_eq!(TraceParent::parse(&parent.format()), Ok(parent));
            }
        }
    }
}
