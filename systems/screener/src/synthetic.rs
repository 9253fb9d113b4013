//! A universe of companies that do not exist, made from a seed: the same seed gives the same companies on every
//! machine and in every version.
//!
//! The shapes are those of a real market: capitalisations and prices are log-normal, a quarter of the companies lose
//! money (most of them small, many in health care), large profitable ones pay dividends, and the ratios agree with
//! each other (ROE = P/B ÷ P/E). Prices walk for 52 weeks with their sector's drift and volatility.

use std::collections::HashSet;

use crate::stock::{Listing, Stock};

mod sectors;

use sectors::{SECTORS, Sector};

/// Weekly closes per company: 52 weeks have 53 ends.
pub const CLOSES: usize = 53;

/// `count` companies made from `seed`. The first companies do not depend on `count`.
pub fn universe(seed: u64, count: u32) -> Vec<Listing> {
    let mut random = Random::new(seed);
    let mut taken = HashSet::new();
    (0..count).map(|_| company(&mut random, &mut taken)).collect()
}

fn company(random: &mut Random, taken: &mut HashSet<String>) -> Listing {
    let sector = sector(random);
    let industry = sector.industries[random.below(sector.industries.len())];
    let (name, symbol) = name(random, sector, taken);

    let market_cap = (random.log_normal(1.6e9, 1.9)).clamp(1.5e7, 3.4e12);
    // Decades above one billion dollars: large companies earn more steadily, cost more per share, pay dividends.
    let size = (market_cap / 1e9).log10();
    let price = cents(random.log_normal(24.0 * 1.45_f64.powf(size), 0.8).clamp(0.6, 4_200.0));
    let is_profitable = random.unit() < (sector.profitable + 0.13 * size).clamp(0.12, 0.97);

    let (pe, pb, roe) = ratios(random, sector, is_profitable);
    let dividend_yield = match pe {
        Some(pe) if random.unit() < (sector.payers + 0.18 * size).clamp(0.03, 0.95) => {
            let payout = random.log_normal(sector.payout, 0.45).min(1.4);
            hundredths(100.0 * payout / pe).min(14.0)
        }
        _ => 0.0,
    };
    let debt_to_equity =
        if random.unit() < 0.09 { 0.0 } else { hundredths(random.log_normal(sector.debt, 0.7).min(18.0)) };
    let spread = if is_profitable { 11.0 } else { 26.0 };
    let revenue_growth = tenths((sector.growth + spread * random.normal()).clamp(-78.0, 340.0));

    let volatility = sector.volatility * if is_profitable { 1.0 } else { 1.55 } * 0.93_f64.powf(size);
    let closes = walk(random, price, volatility, revenue_growth);
    let change_52w = tenths(100.0 * (price / closes[0] - 1.0));
    let shares = market_cap / price;
    let volume = shares * random.log_normal(0.0048, 0.75).min(0.3);

    let stock = Stock {
        symbol,
        name,
        sector: sector.name.to_owned(),
        industry: industry.to_owned(),
        market_cap: significant(market_cap),
        price,
        pe,
        pb,
        roe: Some(roe),
        dividend_yield: Some(dividend_yield),
        debt_to_equity: Some(debt_to_equity),
        revenue_growth: Some(revenue_growth),
        change_52w: Some(change_52w),
        volume: significant(volume).max(100),
        synthetic: true,
    };
    Listing { stock, closes }
}

fn sector(random: &mut Random) -> &'static Sector {
    let total: f64 = SECTORS.iter().map(|sector| sector.share).sum();
    let mut left = random.unit() * total;
    for sector in &SECTORS {
        left -= sector.share;
        if left < 0.0 {
            return sector;
        }
    }
    &SECTORS[SECTORS.len() - 1]
}

/// P/E, P/B and ROE in percent. They are not independent: ROE = P/B ÷ P/E for whoever earns money.
fn ratios(random: &mut Random, sector: &Sector, is_profitable: bool) -> (Option<f64>, Option<f64>, f64) {
    if is_profitable {
        let pe = tenths(random.log_normal(sector.pe, 0.48).clamp(2.5, 480.0));
        let roe = tenths(random.log_normal(sector.roe, 0.55).clamp(0.4, 145.0));
        (Some(pe), Some(hundredths((pe * roe / 100.0).max(0.05))), roe)
    } else {
        let roe = -tenths(random.log_normal(24.0, 0.9).clamp(0.3, 400.0));
        // Some have lost all of their equity; a price to book value would mean nothing.
        let pb = (random.unit() > 0.12).then(|| hundredths(random.log_normal(2.1, 0.8).clamp(0.08, 60.0)));
        (None, pb, roe)
    }
}

/// Weekly closes that end at `price`: a geometric walk with a drift that leans on growth, scaled to its end.
fn walk(random: &mut Random, price: f64, volatility: f64, revenue_growth: f64) -> Vec<f64> {
    let weekly = volatility / 52.0_f64.sqrt();
    let drift = (0.045 + 0.0035 * revenue_growth.clamp(-40.0, 60.0)) / 52.0 - weekly * weekly / 2.0;
    let mut level = 0.0;
    let mut levels = vec![0.0];
    for _ in 1..CLOSES {
        level += drift + weekly * random.normal();
        levels.push(level);
    }
    let mut closes: Vec<f64> = levels.iter().map(|at| cents(price * (at - level).exp()).max(0.01)).collect();
    closes[CLOSES - 1] = price;
    closes
}

/// A name, and a symbol made from its letters that nobody has yet.
fn name(random: &mut Random, sector: &Sector, taken: &mut HashSet<String>) -> (String, String) {
    loop {
        let mut root = sectors::OPENINGS[random.below(sectors::OPENINGS.len())].to_owned();
        root += sectors::MIDDLES[random.below(sectors::MIDDLES.len())];
        root += sectors::ENDINGS[random.below(sectors::ENDINGS.len())];
        let trade = sector.trades[random.below(sector.trades.len())];
        let form = sectors::FORMS[random.below(sectors::FORMS.len())];
        if let Some(symbol) = symbol(random, &root, taken) {
            return (format!("{root} {trade} {form}"), symbol);
        }
    }
}

/// Three to five letters in the order of the root's, beginning with its first.
fn symbol(random: &mut Random, root: &str, taken: &mut HashSet<String>) -> Option<String> {
    let letters: Vec<char> = root.chars().map(|letter| letter.to_ascii_uppercase()).collect();
    for length in [3, 4, 4, 4, 5, 5] {
        let mut symbol = String::from(letters[0]);
        let mut needed = length.min(letters.len()) - 1;
        for (at, letter) in letters.iter().enumerate().skip(1) {
            // Selection sampling (Knuth, TAOCP 2, 3.4.2 S): each remaining letter with the right odds.
            if random.below(letters.len() - at) < needed {
                symbol.push(*letter);
                needed -= 1;
            }
        }
        if taken.insert(symbol.clone()) {
            return Some(symbol);
        }
    }
    None
}

fn tenths(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}

fn hundredths(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

fn cents(dollars: f64) -> f64 {
    hundredths(dollars)
}

/// Four significant digits: more would feign a precision that nobody has.
fn significant(value: f64) -> i64 {
    let step = 10_f64.powf((value.max(1.0).log10().floor() - 3.0).max(0.0));
    ((value / step).round() * step) as i64
}

/// SplitMix64 (Steele, Lea, Flood 2014). Written out here because a universe must not change when a crate does.
struct Random(u64);

impl Random {
    fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// In `[0, 1)`, 53 bits.
    fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// In `0..bound`; the bias of a bound this small is below one in 2^50.
    fn below(&mut self, bound: usize) -> usize {
        (self.unit() * bound as f64) as usize
    }

    /// Mean 0, deviation 1 (Box and Muller 1958, one of the pair).
    fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.unit()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.unit()).cos()
    }

    fn log_normal(&mut self, median: f64, deviation: f64) -> f64 {
        median * (deviation * self.normal()).exp()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_the_same_universe_and_a_larger_one_begins_with_it() {
        assert_eq!(universe(42, 50), universe(42, 50));
        assert_eq!(universe(42, 50)[..], universe(42, 80)[..50]);
        assert_ne!(universe(42, 50), universe(43, 50));
    }

    #[test]
    fn symbols_are_unique_and_sound_at_full_size() {
        let universe = universe(7, 20_000);
        let symbols: HashSet<_> = universe.iter().map(|listing| listing.stock.symbol.as_str()).collect();
        assert_eq!(symbols.len(), universe.len());
        assert!(symbols.iter().all(|symbol| crate::stock::is_symbol(symbol)));
    }

    #[test]
    fn ratios_and_histories_agree_with_each_other() {
        for Listing { stock, closes } in universe(42, 2_000) {
            assert_eq!(closes.len(), CLOSES);
            assert!((closes[CLOSES - 1] - stock.price).abs() < 1e-9, "{}", stock.symbol);
            let change = tenths(100.0 * (stock.price / closes[0] - 1.0));
            assert!((stock.change_52w.unwrap() - change).abs() < 1e-9, "{}", stock.symbol);
            match (stock.pe, stock.pb, stock.roe.unwrap()) {
                (Some(pe), Some(pb), roe) => {
                    assert!((pb - (pe * roe / 100.0).max(0.05)).abs() < 0.006, "{}", stock.symbol);
                }
                (None, _, roe) => assert!(roe < 0.0, "{} earns nothing", stock.symbol),
                (Some(_), None, _) => panic!("{} has earnings without a book value", stock.symbol),
            }
        }
    }

    #[test]
    fn the_market_has_the_shape_of_a_real_one() {
        let universe = universe(42, 5_000);
        let share = |is: fn(&Stock) -> bool| {
            universe.iter().filter(|listing| is(&listing.stock)).count() as f64 / 5_000.0
        };
        let losing = share(|stock| stock.pe.is_none());
        let paying = share(|stock| stock.dividend_yield > Some(0.0));
        let large = share(|stock| stock.market_cap > 10_000_000_000);
        assert!((0.15..0.40).contains(&losing), "{losing} of the companies lose money");
        assert!((0.25..0.55).contains(&paying), "{paying} of the companies pay a dividend");
        assert!((0.08..0.25).contains(&large), "{large} of the companies are large");
        let mut pes: Vec<f64> = universe.iter().filter_map(|listing| listing.stock.pe).collect();
        pes.sort_by(f64::total_cmp);
        let median = pes[pes.len() / 2];
        assert!((13.0..24.0).contains(&median), "the median P/E is {median}");
    }
}
