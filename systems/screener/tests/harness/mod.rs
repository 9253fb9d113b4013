//! The screener with a database of its own, and what only its tests need.

// Each test file is a program of its own and uses its own part of this one.
#![allow(dead_code, unused_imports)]

use std::path::Path;
use std::process::Command;

pub use testkit::program::{Answer, PATIENCE, Program, Starting, eventually, request};

/// What the programs here take as their import token.
pub const TOKEN: &str = "let-me-in";

/// Starts a screener over `database` with further options, without waiting for it.
pub fn spawn(database: &Path, options: &[&str]) -> Starting {
    testkit::program::spawn(
        Command::new(env!("CARGO_BIN_EXE_screener"))
            .args(["--threads", "2"])
            .args(options)
            .env("DATABASE_URL", database)
            .env("SCREENER_IMPORT_TOKEN", TOKEN),
    )
}

/// Starts a screener over `database` and waits until it listens.
pub fn start(database: &Path, options: &[&str]) -> Program {
    spawn(database, options).listening()
}

/// The answer to a file that is imported.
pub fn import(screener: &Program, target: &str, csv: &[u8]) -> Answer {
    let authorization = format!("Bearer {TOKEN}");
    screener.ask("POST", target, &[("authorization", &authorization), ("content-type", "text/csv")], csv)
}

/// A small random source, so that a failing case can be run again from the seed that it prints.
pub struct Random(pub u64);

impl Random {
    pub fn below(&mut self, bound: usize) -> usize {
        // Xorshift (Marsaglia 2003); any seed but zero.
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound as u64) as usize
    }

    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }
}
