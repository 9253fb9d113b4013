//! What one check costs without a request around it, and what keys take in memory.
//!
//! The measuring is done by an example of the traffic crate, next to the code that it measures; it prints a table in CSV
//! with the columns `what` and `value`.

use crate::problem::{OrProblem, Problem};
use crate::shell;

/// What the example measured.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Measured {
    /// A limit by client that lets the request through, its bucket in the processor's caches.
    pub(super) limit_ns: f64,
    /// The same for clients in turn, so many that most buckets are not.
    pub(super) limit_cold_ns: f64,
    /// Distinct keys that were asked for.
    pub(super) keys: f64,
    /// What the limiter may take, and what it took after them, in bytes.
    pub(super) bound_bytes: f64,
    pub(super) taken_bytes: f64,
    /// What the kernel says that the whole process holds.
    pub(super) resident_bytes: f64,
}

/// Builds and runs the measurement.
pub(super) fn measure() -> Result<Measured, Problem> {
    println!("\nmeasuring checks by themselves");
    let mut command = shell::cargo();
    command.args(["run", "--quiet", "--release", "--package", "tidegate-traffic"]);
    let output = shell::capture(command.args(["--example", "limit_cost"]))?;
    let text = String::from_utf8(output.stdout).problem("read what limit_cost says")?;
    read(&text)
        .ok_or_else(|| Problem::new(format!("limit_cost printed another table than expected:\n{text}")))
}

fn read(csv: &str) -> Option<Measured> {
    let of = |what: &str| {
        let mut pairs = csv.lines().filter_map(|line| line.split_once(','));
        pairs.find_map(|(name, value)| (name == what).then(|| value.trim().parse::<f64>().ok()))?
    };
    Some(Measured {
        limit_ns: of("limit_ns")?,
        limit_cold_ns: of("limit_cold_ns")?,
        keys: of("keys")?,
        bound_bytes: of("bound_bytes")?,
        taken_bytes: of("taken_bytes")?,
        resident_bytes: of("resident_bytes")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_read_by_name_and_a_missing_one_is_told() {
        let text = "what,value\nlimit_ns,30.5\nlimit_cold_ns,110\nkeys,10000000\n\
                    bound_bytes,67108864\ntaken_bytes,66000000\nresident_bytes,70000000\n";
        let measured = read(text).expect("a table");
        assert_eq!((measured.limit_ns, measured.taken_bytes), (30.5, 66_000_000.0));
        assert_eq!(read(&text.replace("limit_ns", "other")), None);
    }
}
