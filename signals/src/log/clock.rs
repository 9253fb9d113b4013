//! The time of a line as text. The text of a second is made once and used until the second is over.

use std::time::SystemTime;

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// Last second that both formats can say with four digits of a year: 9999-12-31T23:59:59Z.
const LAST_SECOND: u64 = 253_402_300_799;

/// Cached text of one second, in UTC.
pub(crate) struct Clock {
    second: Option<u64>,
    /// `2026-01-02T03:04:05` (RFC 3339), to be followed by `.123Z`.
    rfc3339: Vec<u8>,
    /// `02/Jan/2026:03:04:05 +0000`.
    combined: Vec<u8>,
}

impl Clock {
    pub(crate) fn new() -> Self {
        Self { second: None, rfc3339: Vec::with_capacity(32), combined: Vec::with_capacity(32) }
    }

    /// Appends the time with milliseconds, as RFC 3339 has it.
    pub(crate) fn rfc3339(&mut self, out: &mut Vec<u8>, now: SystemTime) {
        let ms = self.turn_to(now);
        out.extend_from_slice(&self.rfc3339);
        out.extend_from_slice(&[b'.', digit(ms / 100), digit(ms / 10), digit(ms), b'Z']);
    }

    /// Appends the time as the combined format has it, without the brackets.
    pub(crate) fn combined(&mut self, out: &mut Vec<u8>, now: SystemTime) {
        self.turn_to(now);
        out.extend_from_slice(&self.combined);
    }

    /// Makes the text of the second anew if it is another one; gives the milliseconds within it. Time outside of the
    /// years 1970 to 9999 is the nearest time inside.
    fn turn_to(&mut self, now: SystemTime) -> u64 {
        let since = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let second = since.as_secs().min(LAST_SECOND);
        if self.second != Some(second) {
            self.second = Some(second);
            self.spell(second);
        }
        since.subsec_millis().into()
    }

    fn spell(&mut self, second: u64) {
        let (year, month, day) = date(second / 86_400);
        let (hour, minute, second) = (second / 3_600 % 24, second / 60 % 60, second % 60);
        self.rfc3339.clear();
        four(&mut self.rfc3339, year);
        for (separator, number) in [(b'-', month), (b'-', day), (b'T', hour), (b':', minute), (b':', second)]
        {
            two(&mut self.rfc3339, separator, number);
        }
        self.combined.clear();
        self.combined.extend_from_slice(&[digit(day / 10), digit(day), b'/']);
        self.combined.extend_from_slice(MONTHS[month as usize - 1].as_bytes());
        self.combined.push(b'/');
        four(&mut self.combined, year);
        for number in [hour, minute, second] {
            two(&mut self.combined, b':', number);
        }
        self.combined.extend_from_slice(b" +0000");
    }
}

/// Year, month (from 1) and day (from 1) of a day since 1970, after Howard Hinnant's `civil_from_days`: years begin
/// in March, so that the leap day is the last of its year and needs no exception.
const fn date(day: u64) -> (u64, u64, u64) {
    let shifted = day + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day_of_month = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = era * 400 + year_of_era + (month <= 2) as u64;
    (year, month, day_of_month)
}

const fn digit(number: u64) -> u8 {
    b'0' + (number % 10) as u8
}

fn two(out: &mut Vec<u8>, separator: u8, number: u64) {
    out.extend_from_slice(&[separator, digit(number / 10), digit(number)]);
}

fn four(out: &mut Vec<u8>, number: u64) {
    out.extend_from_slice(&[digit(number / 1_000), digit(number / 100), digit(number / 10), digit(number)]);
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use super::*;

    fn texts(ms: u64) -> (String, String) {
        let (mut clock, mut first, mut second) = (Clock::new(), Vec::new(), Vec::new());
        let now = SystemTime::UNIX_EPOCH + Duration::from_millis(ms);
        clock.rfc3339(&mut first, now);
        clock.combined(&mut second, now);
        (String::from_utf8(first).unwrap(), String::from_utf8(second).unwrap())
    }

    #[test]
    fn known_times_read_as_they_should() {
        for (ms, rfc3339, combined) in [
            (0, "1970-01-01T00:00:00.000Z", "01/Jan/1970:00:00:00 +0000"),
            (951_782_400_007, "2000-02-29T00:00:00.007Z", "29/Feb/2000:00:00:00 +0000"),
            (1_709_251_199_999, "2024-02-29T23:59:59.999Z", "29/Feb/2024:23:59:59 +0000"),
            (1_735_689_599_120, "2024-12-31T23:59:59.120Z", "31/Dec/2024:23:59:59 +0000"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z", "01/Mar/2100:00:00:00 +0000"),
            (253_402_300_799_999, "9999-12-31T23:59:59.999Z", "31/Dec/9999:23:59:59 +0000"),
        ] {
            assert_eq!(texts(ms), (rfc3339.to_owned(), combined.to_owned()));
        }
    }

    #[test]
    fn every_day_follows_the_day_before() {
        let mut previous = date(0);
        for day in 1..150_000 {
            let next = date(day);
            let (year, month, of_month) = previous;
            assert!(
                next == (year, month, of_month + 1)
                    || next == (year, month + 1, 1) && (28..=31).contains(&of_month)
                    || next == (year + 1, 1, 1) && (month, of_month) == (12, 31),
                "{previous:?} is followed by {next:?}"
            );
            previous = next;
        }
    }

    #[test]
    fn the_text_of_a_second_is_replaced_when_the_second_is_over() {
        let mut clock = Clock::new();
        let mut out = Vec::new();
        for ms in [999, 1_000, 1_001, 500] {
            clock.rfc3339(&mut out, SystemTime::UNIX_EPOCH + Duration::from_millis(ms));
            out.push(b' ');
        }
        let expected = "1970-01-01T00:00:00.999Z 1970-01-01T00:00:01.000Z \
                        1970-01-01T00:00:01.001Z 1970-01-01T00:00:00.500Z ";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    #[test]
    fn time_before_1970_is_the_beginning_of_1970() {
        let mut out = Vec::new();
        Clock::new().rfc3339(&mut out, SystemTime::UNIX_EPOCH - Duration::from_secs(5));
        assert_eq!(out, b"1970-01-01T00:00:00.000Z");
    }
}
