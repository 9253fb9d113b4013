//! Price histories as drawings: a line small enough for a table's cell, and a chart for a stock's page.

use std::fmt::Write as _;

use super::show::dollars;

/// A line for a table's cell; nothing without a history.
pub(super) fn spark(closes: &[f64]) -> String {
    // Every second week is enough for 72 pixels, and the last one always counts.
    let picked: Vec<f64> = closes.iter().rev().step_by(2).rev().copied().collect();
    if picked.len() < 2 {
        return String::new();
    }
    let line = line(&picked, Frame { left: 1.0, top: 2.0, width: 70.0, height: 18.0 });
    let direction = trend(closes);
    format!(
        "<svg class=\"spark {direction}\" viewBox=\"0 0 72 22\" width=\"72\" height=\"22\" aria-hidden=\"true\">\
         <path d=\"{line}\"/></svg>"
    )
}

/// A chart with the scale beside it; nothing without a history.
pub(super) fn chart(closes: &[f64]) -> String {
    if closes.len() < 2 {
        return String::new();
    }
    let frame = Frame { left: 4.0, top: 14.0, width: 700.0, height: 220.0 };
    let (low, high) = extent(closes);
    let line = line(closes, frame);
    let (right, bottom) = (frame.left + frame.width, frame.top + frame.height);
    let mut svg = format!(
        "<svg class=\"chart {}\" viewBox=\"0 0 790 250\" role=\"img\" aria-label=\"weekly closes from {} to {}, \
         lowest {}, highest {}\">",
        trend(closes),
        dollars(closes[0]),
        dollars(closes[closes.len() - 1]),
        dollars(low),
        dollars(high),
    );
    for step in 0..=4 {
        let share = f64::from(step) / 4.0;
        let y = frame.top + frame.height * share;
        let price = high - (high - low) * share;
        let _ = write!(
            svg,
            "<line class=\"grid\" x1=\"{}\" x2=\"{right}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>\
             <text x=\"{}\" y=\"{:.1}\">{}</text>",
            frame.left,
            right + 8.0,
            y + 4.0,
            dollars(price)
        );
    }
    let _ = write!(
        svg,
        "<path class=\"area\" d=\"{line}L{right:.1} {bottom:.1}L{:.1} {bottom:.1}Z\"/><path d=\"{line}\"/></svg>",
        frame.left
    );
    svg
}

#[derive(Clone, Copy)]
struct Frame {
    left: f64,
    top: f64,
    width: f64,
    height: f64,
}

fn line(prices: &[f64], frame: Frame) -> String {
    let (low, high) = extent(prices);
    let span = if high > low { high - low } else { 1.0 };
    let step = frame.width / (prices.len() - 1) as f64;
    let mut path = String::with_capacity(prices.len() * 10);
    for (at, price) in prices.iter().enumerate() {
        let x = frame.left + step * at as f64;
        let y = frame.top + frame.height * (high - price) / span;
        let _ = write!(path, "{}{x:.1} {y:.1}", if at == 0 { 'M' } else { 'L' });
    }
    path
}

fn extent(prices: &[f64]) -> (f64, f64) {
    prices
        .iter()
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), price| (low.min(*price), high.max(*price)))
}

fn trend(closes: &[f64]) -> &'static str {
    if closes.last() >= closes.first() { "up" } else { "down" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_stays_in_its_frame_from_edge_to_edge() {
        let frame = Frame { left: 1.0, top: 2.0, width: 70.0, height: 18.0 };
        assert_eq!(line(&[1.0, 3.0, 2.0], frame), "M1.0 20.0L36.0 2.0L71.0 11.0");
        assert_eq!(line(&[5.0, 5.0], frame), "M1.0 2.0L71.0 2.0");
    }

    #[test]
    fn without_a_history_nothing_is_drawn() {
        assert_eq!(spark(&[]), "");
        assert_eq!(chart(&[1.0]), "");
    }
}
