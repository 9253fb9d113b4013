//! Text and numbers as people read them.

use crate::stock::{About, Field, Stock, Unit};

/// A stock's number with its unit, or a dash when it lacks one.
pub(super) fn number(stock: &Stock, about: &About) -> String {
    let Some(value) = stock.number(about.field) else { return "–".to_owned() };
    match about.unit {
        Unit::BigDollars => format!("${}", short(value)),
        Unit::Dollars => dollars(value),
        Unit::Ratio if about.field == Field::Pe => plain(value, 1),
        Unit::Ratio => plain(value, if value < 100.0 { 2 } else { 0 }),
        Unit::Percent if is_change(about.field) => signed_percent(value),
        Unit::Percent => format!("{}%", plain(value, usize::from(value.abs() < 1_000.0))),
        Unit::Shares => short(value),
    }
}

/// Whether a number says up or down, which is shown by sign and colour.
pub(super) fn is_change(field: Field) -> bool {
    matches!(field, Field::Change52w | Field::RevenueGrowth)
}

/// `up` or `down`, as the style names the colours; nothing for 0 or no number.
pub(super) fn direction(value: Option<f64>) -> &'static str {
    match value {
        Some(value) if value > 0.0 => "up",
        Some(value) if value < 0.0 => "down",
        _ => "",
    }
}

/// `+12.3%`, with a true minus sign, which is as wide as the plus.
pub(super) fn signed_percent(value: f64) -> String {
    let sign = if value > 0.0 { "+" } else { "" };
    format!("{sign}{}%", plain(value, 1))
}

/// `$1,234.50`.
pub(super) fn dollars(value: f64) -> String {
    format!("${}", plain(value, 2))
}

/// A count with separators: `1,234`.
pub(super) fn count(value: i64) -> String {
    plain(value as f64, 0)
}

/// A bound of a filter as a person would write it: `10B`, `12.5`.
pub(super) fn bound(value: f64) -> String {
    for (size, letter) in [(1e12, 'T'), (1e9, 'B'), (1e6, 'M')] {
        let scaled = value / size;
        // Only where nothing is lost: the text is read again when the form is sent.
        if scaled.abs() >= 1.0
            && (scaled * 1e3).fract() == 0.0
            && (scaled * size).to_bits() == value.to_bits()
        {
            return format!("{scaled}{letter}");
        }
    }
    value.to_string()
}

/// `1.23T`, `45.6B`, `789M`: three digits and a letter.
fn short(value: f64) -> String {
    let (scaled, letter) = match value {
        value if value >= 999.5e9 => (value / 1e12, "T"),
        value if value >= 999.5e6 => (value / 1e9, "B"),
        value if value >= 999.5e3 => (value / 1e6, "M"),
        value if value >= 1e3 => (value / 1e3, "K"),
        value => return plain(value, 0),
    };
    let places = if scaled < 9.995 { 2 } else { usize::from(scaled < 99.95) };
    format!("{scaled:.places$}{letter}")
}

fn plain(value: f64, places: usize) -> String {
    let digits = format!("{:.places$}", value.abs());
    let (whole, fraction) = digits.split_once('.').map_or((digits.as_str(), None), |(w, f)| (w, Some(f)));
    let mut text = String::new();
    if value < 0.0 && digits.bytes().any(|byte| (b'1'..=b'9').contains(&byte)) {
        text.push('−');
    }
    for (place, digit) in whole.char_indices() {
        if place > 0 && (whole.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    if let Some(fraction) = fraction {
        text.push('.');
        text += fraction;
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short_and_keep_their_digits_together() {
        let shorts = [
            (950.0, "950"),
            (1_234.0, "1.23K"),
            (999_600.0, "1.00M"),
            (45_640_000.0, "45.6M"),
            (123_400_000_000.0, "123B"),
            (3.4e12, "3.40T"),
        ];
        for (value, text) in shorts {
            assert_eq!(short(value), text);
        }
        assert_eq!(dollars(1234.5), "$1,234.50");
        assert_eq!(signed_percent(-3.25), "−3.2%");
        assert_eq!(signed_percent(-0.01), "0.0%");
        assert_eq!(count(1_234_567), "1,234,567");
    }

    #[test]
    fn a_bound_reads_back_as_the_same_number() {
        for (value, text) in
            [(1e10, "10B"), (2.5e6, "2.5M"), (12.5, "12.5"), (1_234_567.0, "1234567"), (-3.0, "-3")]
        {
            assert_eq!(bound(value), text);
        }
    }
}
