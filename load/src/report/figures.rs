//! Numbers as people read them: grouped, rounded to what matters, with their unit. Every view writes its numbers
//! here, so that the same figure looks the same on the terminal and on the page.

/// `1,234`.
pub fn count(count: u64) -> String {
    let digits = count.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// Something per second: `1,234/s`, below ten `2.5/s`.
pub fn rate(per_second: f64) -> String {
    format!("{}/s", level(per_second))
}

/// A number that need not be whole: `1,234`, below ten `2.5`.
pub fn level(level: f64) -> String {
    if level >= 9.95 || (level - level.round()).abs() < 0.05 {
        count(level.max(0.0).round() as u64)
    } else {
        format!("{level:.1}")
    }
}

/// A time in milliseconds, with three digits or so: `850 µs`, `12.3 ms`, `4.02 s`, `2 min 5 s`. A time that is not
/// zero never reads as zero.
pub fn time(ms: f64) -> String {
    match ms {
        _ if ms <= 0.0 || ms.is_nan() => "0 ms".into(),
        _ if ms < 0.0095 => format!("{:.1} µs", (ms * 1000.0).max(0.1)),
        _ if ms < 0.9995 => format!("{:.0} µs", ms * 1000.0),
        _ if ms < 99.95 => format!("{ms:.1} ms"),
        _ if ms < 999.5 => format!("{ms:.0} ms"),
        _ if ms < 9_995.0 => format!("{:.2} s", ms / 1000.0),
        _ if ms < 59_950.0 => format!("{:.1} s", ms / 1000.0),
        _ => span(ms / 1000.0),
    }
}

/// A length of time in whole seconds: `12 s`, `1 min 30 s`, `2 h 5 min`; below ten seconds with a tenth.
pub fn span(seconds: f64) -> String {
    let whole = seconds.max(0.0).round() as u64;
    match whole {
        0..10 if (seconds - seconds.round()).abs() >= 0.05 => format!("{seconds:.1} s"),
        0..60 => format!("{whole} s"),
        60..3_600 if whole.is_multiple_of(60) => format!("{} min", whole / 60),
        60..3_600 => format!("{} min {} s", whole / 60, whole % 60),
        _ => format!("{} h {} min", whole / 3_600, whole % 3_600 / 60),
    }
}

/// A share of 0 to 1 in percent, rounded down so that only all of it reads `100%`: `99.98%`, `99.9997%`.
pub fn share(share: f64) -> String {
    let percent = share.clamp(0.0, 1.0) * 100.0;
    let decimals = match percent {
        _ if percent >= 99.99 => 10_000.0,
        _ => 100.0,
    };
    // What a product of floats lacks to a whole number is no reason to round down.
    let rounded = (percent * decimals + 1e-6).floor() / decimals;
    if rounded == 0.0 && percent > 0.0 { "<0.01%".into() } else { format!("{rounded}%") }
}

/// A share of 0 to 1 in whole percent: `73%`.
pub fn percent(share: f64) -> String {
    format!("{:.0}%", share * 100.0)
}

/// An amount of memory or traffic: `512 B`, `1.5 MiB`.
pub fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut amount = bytes as f64 / 1024.0;
    let mut unit = 0;
    while amount >= 999.5 && unit + 1 < UNITS.len() {
        amount /= 1024.0;
        unit += 1;
    }
    let decimals = usize::from(amount < 9.95);
    format!("{amount:.decimals$} {}", UNITS[unit])
}

/// `1 request`, `2 requests`.
pub fn of(number: u64, one: &str) -> String {
    format!("{} {one}{}", count(number), if number == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn numbers_read_as_people_write_them() {
        assert_eq!(
            [count(0), count(999), count(1_000), count(1_234_567)],
            ["0", "999", "1,000", "1,234,567"]
        );
        assert_eq!([rate(0.0), rate(2.5), rate(2.0), rate(1_233.6)], ["0/s", "2.5/s", "2/s", "1,234/s"]);
        assert_eq!([time(0.0), time(0.0042), time(0.85), time(1.23)], ["0 ms", "4.2 µs", "850 µs", "1.2 ms"]);
        assert_eq!([time(12.34), time(123.4), time(4_021.0)], ["12.3 ms", "123 ms", "4.02 s"]);
        assert_eq!([time(31_400.0), time(125_000.0)], ["31.4 s", "2 min 5 s"]);
        assert_eq!(
            [span(0.4), span(12.0), span(90.0), span(120.0)],
            ["0.4 s", "12 s", "1 min 30 s", "2 min"]
        );
        assert_eq!(span(7_500.0), "2 h 5 min");
        assert_eq!([bytes(512), bytes(1_536), bytes(20 << 20)], ["512 B", "1.5 KiB", "20 MiB"]);
        assert_eq!([of(1, "request"), of(2_000, "request")], ["1 request", "2,000 requests"]);
    }

    #[test]
    fn only_all_of_it_is_a_hundred_percent() {
        assert_eq!([share(1.0), share(0.0), share(0.999), share(0.5)], ["100%", "0%", "99.9%", "50%"]);
        assert_eq!([share(0.999_997), share(0.999_949), share(0.000_01)], ["99.9997%", "99.9949%", "<0.01%"]);
    }

    proptest! {
        #[test]
        fn a_grouped_count_is_the_number_that_it_was(number: u64) {
            prop_assert_eq!(count(number).replace(',', "").parse::<u64>().unwrap(), number);
        }

        #[test]
        fn what_is_not_zero_never_reads_as_zero(ms in 1e-9..1e12_f64) {
            prop_assert!(!time(ms).starts_with("0 ") && !time(ms).starts_with("0.0"), "{}", time(ms));
        }

        #[test]
        fn what_is_not_all_never_reads_as_all(missing in 1u64..1_000_000) {
            prop_assert_ne!(share(1.0 - missing as f64 / 1e9), "100%");
        }
    }
}
