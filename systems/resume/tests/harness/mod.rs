//! The site with a database of its own, and what only its tests need.

// Each test file is a program of its own and uses its own part of this one.
#![allow(dead_code, unused_imports)]

use std::path::Path;
use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
pub use testkit::program::{Answer, PATIENCE, Program, Starting, eventually, request};

/// What the programs here take as their owner's token.
pub const TOKEN: &str = "only-the-owner-knows";

/// Starts a site over `database` with further options, without waiting for it.
pub fn spawn(database: &Path, options: &[&str]) -> Starting {
    testkit::program::spawn(
        Command::new(env!("CARGO_BIN_EXE_resume"))
            .args(["--threads", "2"])
            .args(options)
            .env("DATABASE_URL", database)
            .env("RESUME_OWNER_TOKEN", TOKEN),
    )
}

/// Starts a site over `database` and waits until it listens.
pub fn start(database: &Path, options: &[&str]) -> Program {
    spawn(database, options).listening()
}

/// A site with an empty database; the folder holds it.
pub fn running(options: &[&str]) -> (tempfile::TempDir, Program) {
    let folder = tempfile::tempdir().unwrap();
    let site = start(&folder.path().join("r.db"), options);
    (folder, site)
}

/// A form as a browser sends it.
pub fn form(fields: &[(&str, &str)]) -> Vec<u8> {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish().into_bytes()
}

/// A form that is fine.
pub fn letter() -> Vec<u8> {
    form(&[("name", "Ada"), ("email", "ada@example.org"), ("message", "Is the buoy yours?"), ("website", "")])
}

/// The answer to a form that is sent.
pub fn submit(site: &Program, body: &[u8], headers: &[(&str, &str)]) -> Answer {
    let mut all = vec![("content-type", "application/x-www-form-urlencoded")];
    all.extend_from_slice(headers);
    site.ask("POST", "/contact", &all, body)
}

/// What the browser of somebody who knows `token` sends.
pub fn basic(token: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("owner:{token}")))
}

/// The owner's page.
pub fn messages(site: &Program) -> Answer {
    site.ask("GET", "/messages", &[("authorization", &basic(TOKEN))], b"")
}

/// How many messages the owner's page says are stored.
pub fn stored(site: &Program) -> usize {
    let page = messages(site);
    assert_eq!(page.status, 200, "{}", page.text());
    let text = page.text();
    let before = text.split(" stored, newest first").next().unwrap();
    before.rsplit('>').next().unwrap().parse().unwrap()
}
