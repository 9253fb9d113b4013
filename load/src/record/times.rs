//! A distribution of times: a histogram that is not there until something was measured, and its way to and from text.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::{Deserializer, Serializer as _, V2Serializer};
use serde::{Deserialize, Serialize};

use crate::Nanos;

/// The longest time that can be told apart, in microseconds: an hour. Longer ones count as an hour.
const LONGEST_US: u64 = 3_600_000_000;
/// Most measurements that a report may claim to hold in one histogram, so that sums of hostile ones stay in 64 bits.
const MOST_COUNTED: u64 = 1 << 48;
/// Magic, length, offset, digits, lowest, highest and ratio: what stands before the counts.
const HEADER_BYTES: usize = 40;

/// Times of requests and connections: three significant digits.
pub type Fine = Times<3>;
/// Times within one stretch of the timeline: two significant digits, because there are up to 600 of them.
pub type Coarse = Times<2>;

/// A distribution of times from 1 µs to an hour, `DIGITS` significant digits exact. Empty, it takes no memory.
///
/// Its serial form is the base64 of HdrHistogram's V2 encoding (not deflated), so that other tools can read it;
/// empty: an empty text.
#[derive(Clone, Debug, Default)]
pub struct Times<const DIGITS: u8>(Option<Histogram<u64>>);

impl<const DIGITS: u8> PartialEq for Times<DIGITS> {
    fn eq(&self, other: &Self) -> bool {
        match (self.recorded(), other.recorded()) {
            (Some(own), Some(its)) => own == its,
            (own, its) => own.is_none() && its.is_none(),
        }
    }
}

impl<const DIGITS: u8> Times<DIGITS> {
    /// Counts one time. Allocates for the first one only.
    pub fn add(&mut self, time: Nanos) {
        // Rounding to the nearest keeps the mean where it is.
        self.0.get_or_insert_with(Self::histogram).saturating_record(time.saturating_add(500) / 1000);
    }

    /// Counts all that `other` has counted.
    pub fn merge(&mut self, other: &Self) {
        if let Some(its) = other.recorded() {
            let own = self.0.get_or_insert_with(Self::histogram);
            own.add(its).expect("both have the same bounds");
        }
    }

    /// How many were measured.
    pub fn count(&self) -> u64 {
        self.0.as_ref().map_or(0, Histogram::len)
    }

    /// Whether nothing was measured.
    pub fn is_empty(&self) -> bool {
        self.count() == 0
    }

    /// The time that the share `quantile` (0 to 1) of all does not exceed, in milliseconds. `None`: nothing measured.
    pub fn quantile_ms(&self, quantile: f64) -> Option<f64> {
        // 99.9 / 100 is a little more than 0.999; that must not count as one request more.
        let quantile = quantile * (1.0 - 4.0 * f64::EPSILON);
        self.recorded().map(|times| ms(times.value_at_quantile(quantile) as f64))
    }

    /// The mean in milliseconds. `None`: nothing measured.
    pub fn mean_ms(&self) -> Option<f64> {
        // To the nanosecond: beyond that, digits are those of binary fractions.
        self.recorded().map(|times| (times.mean() * 1000.0).round() / 1e6)
    }

    /// The shortest in milliseconds. `None`: nothing measured.
    pub fn min_ms(&self) -> Option<f64> {
        self.recorded().map(|times| ms(times.min() as f64))
    }

    /// The longest in milliseconds. `None`: nothing measured.
    pub fn max_ms(&self) -> Option<f64> {
        self.recorded().map(|times| ms(times.max() as f64))
    }

    /// An empty one that has its memory already where this one has it.
    pub(crate) fn fresh(&self) -> Self {
        Self(self.0.as_ref().map(|_| Self::histogram()))
    }

    /// Where the counts of this distribution lie: each slot in microseconds (from, to) and how many fell into it.
    pub(crate) fn slots(&self) -> impl Iterator<Item = (u64, u64, u64)> + '_ {
        self.0.iter().flat_map(|times| {
            times.iter_recorded().map(|at| {
                let top = at.value_iterated_to();
                (times.lowest_equivalent(top), times.next_non_equivalent(top), at.count_at_value())
            })
        })
    }

    fn recorded(&self) -> Option<&Histogram<u64>> {
        self.0.as_ref().filter(|times| !times.is_empty())
    }

    fn histogram() -> Histogram<u64> {
        Histogram::new_with_bounds(1, LONGEST_US, DIGITS).expect("bounds are in range")
    }

    fn encoded(&self) -> String {
        let Some(times) = self.recorded() else { return String::new() };
        let mut bytes = Vec::new();
        V2Serializer::new().serialize(times, &mut bytes).expect("counts fit and memory takes all");
        STANDARD.encode(bytes)
    }

    fn decoded(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Ok(Self(None));
        }
        let bytes = STANDARD.decode(text).map_err(|error| format!("a histogram is not base64: {error}"))?;
        let empty = Self::histogram();
        check(&bytes, DIGITS, empty.distinct_values())?;
        let times = Deserializer::new()
            .deserialize(&mut bytes.as_slice())
            .map_err(|error| format!("a histogram is broken: {error}"))?;
        Ok(Self(Some(times)))
    }
}

/// Microseconds as milliseconds.
fn ms(us: f64) -> f64 {
    us / 1000.0
}

/// Whether these bytes are a histogram of exactly our bounds, and nothing in them would overflow. The library's own
/// reader allocates what the header claims and computes with what the counts claim; it gets only what passes here.
fn check(bytes: &[u8], digits: u8, slots: usize) -> Result<(), String> {
    let Some((header, mut counts)) = bytes.split_at_checked(HEADER_BYTES) else {
        return Err("a histogram is cut short".to_owned());
    };
    let word = |at: usize| u32::from_be_bytes(header[at..at + 4].try_into().expect("four bytes"));
    let long = |at: usize| u64::from_be_bytes(header[at..at + 8].try_into().expect("eight bytes"));
    if word(4) as usize != counts.len() {
        return Err("a histogram is cut short, or longer than it says".to_owned());
    }
    if word(12) != u32::from(digits) || long(16) != 1 || long(24) != LONGEST_US {
        return Err(format!("a histogram has other bounds than 1 µs to 1 h with {digits} digits"));
    }
    let (mut slot, mut total) = (0u64, 0u64);
    while !counts.is_empty() {
        let number = varint(&mut counts).ok_or("a histogram ends within a number")?;
        let (magnitude, is_gap) = (number.div_ceil(2), number & 1 == 1);
        slot = slot.saturating_add(if is_gap { magnitude } else { 1 });
        total = total.saturating_add(if is_gap { 0 } else { magnitude });
        if slot > slots as u64 {
            return Err("a histogram has more slots than its bounds allow".to_owned());
        }
        if total > MOST_COUNTED {
            return Err(format!("a histogram counts more than {MOST_COUNTED}"));
        }
    }
    Ok(())
}

/// Takes one number of seven bits per byte, least first; the ninth byte counts in full.
fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for place in 0..9 {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        if place == 8 {
            return Some(value | u64::from(*byte) << 56);
        }
        value |= u64::from(byte & 0x7f) << (7 * place);
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

impl<const DIGITS: u8> Serialize for Times<DIGITS> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.encoded())
    }
}

impl<'de, const DIGITS: u8> Deserialize<'de> for Times<DIGITS> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        Self::decoded(&text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn times(list: &[u64]) -> Fine {
        let mut times = Fine::default();
        for time in list {
            times.add(*time);
        }
        times
    }

    #[test]
    fn nothing_measured_has_no_quantile_and_no_memory() {
        let empty = Fine::default();
        assert_eq!((empty.count(), empty.quantile_ms(0.5), empty.mean_ms()), (0, None, None));
        assert_eq!(empty.encoded(), "");
        assert_eq!(Fine::decoded(""), Ok(empty));
    }

    #[test]
    fn times_beyond_an_hour_count_as_an_hour() {
        let long = times(&[u64::MAX, 7_200_000_000_000]);
        assert_eq!(long.count(), 2);
        let max_s = long.max_ms().unwrap() / 1000.0;
        assert!((3600.0..3605.0).contains(&max_s), "{max_s}");
    }

    #[test]
    fn quantiles_are_exact_to_three_digits() {
        let all = times(&(1..=1000).map(|ms| ms * 1_000_000).collect::<Vec<_>>());
        for (quantile, wanted) in [(0.5, 500.0), (0.9, 900.0), (0.99, 990.0), (1.0, 1000.0)] {
            let found = all.quantile_ms(quantile).unwrap();
            assert!((found / wanted - 1.0).abs() < 0.001, "{quantile}: {found}");
        }
        assert!((all.mean_ms().unwrap() / 500.5 - 1.0).abs() < 0.001);
    }

    #[test]
    fn a_gap_of_all_ones_is_refused_before_the_library_negates_it() {
        let mut bytes = STANDARD.decode(times(&[1000]).encoded()).unwrap();
        bytes.truncate(HEADER_BYTES);
        bytes.extend([0xff; 9]);
        bytes[4..8].copy_from_slice(&9u32.to_be_bytes());
        let error = Fine::decoded(&STANDARD.encode(bytes)).unwrap_err();
        assert_eq!(error, "a histogram has more slots than its bounds allow");
    }

    #[test]
    fn a_count_that_would_overflow_is_refused() {
        let mut bytes = STANDARD.decode(times(&[1000]).encoded()).unwrap();
        bytes.truncate(HEADER_BYTES);
        bytes.extend([0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f]);
        bytes[4..8].copy_from_slice(&9u32.to_be_bytes());
        assert!(Fine::decoded(&STANDARD.encode(bytes)).unwrap_err().contains("counts more than"));
    }

    #[test]
    fn a_header_that_claims_more_than_follows_is_refused() {
        let mut bytes = STANDARD.decode(times(&[1000]).encoded()).unwrap();
        bytes[4..8].copy_from_slice(&u32::MAX.to_be_bytes());
        assert!(Fine::decoded(&STANDARD.encode(bytes)).is_err());
    }

    #[test]
    fn another_precision_is_refused() {
        assert!(Coarse::decoded(&times(&[1000]).encoded()).unwrap_err().contains("other bounds"));
    }

    proptest! {
        #[test]
        fn what_was_encoded_decodes_to_the_same(list in prop::collection::vec(0u64..8_000_000_000_000, 0..200)) {
            let before = times(&list);
            let after = Fine::decoded(&before.encoded()).unwrap();
            prop_assert_eq!(&after, &before);
            for quantile in [0.0, 0.5, 0.99, 1.0] {
                prop_assert_eq!(after.quantile_ms(quantile), before.quantile_ms(quantile));
            }
            prop_assert_eq!(after.max_ms(), before.max_ms());
            prop_assert_eq!(after.mean_ms(), before.mean_ms());
        }

        #[test]
        fn any_text_is_read_or_refused(text in ".{0,200}") {
            let _ = Fine::decoded(&text);
        }

        #[test]
        fn any_damage_is_read_or_refused(at in 0usize..2000, bits in 1u8.., list in prop::collection::vec(0u64..9_000_000_000, 1..100)) {
            let mut bytes = STANDARD.decode(times(&list).encoded()).unwrap();
            let at = at % bytes.len();
            bytes[at] ^= bits;
            if let Ok(mut read) = Fine::decoded(&STANDARD.encode(bytes)) {
                // What passes can be worked with.
                read.merge(&times(&list));
                read.quantile_ms(0.99);
                read.encoded();
            }
        }

        #[test]
        fn any_counts_are_read_or_refused(counts in prop::collection::vec(any::<u8>(), 0..60)) {
            let mut bytes = STANDARD.decode(times(&[1000]).encoded()).unwrap();
            bytes.truncate(HEADER_BYTES);
            bytes[4..8].copy_from_slice(&(counts.len() as u32).to_be_bytes());
            bytes.extend(counts);
            let _ = Fine::decoded(&STANDARD.encode(bytes));
        }
    }
}
