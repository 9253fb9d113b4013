//! Builds what the bench starts: Tidegate and the origin from the workspace, Pingora from beside it, all optimised.

use std::path::PathBuf;

use crate::problem::Problem;
use crate::{shell, tidy};

use super::peer::Peer;

/// Where the built programs are.
pub(crate) struct Built {
    pub(crate) origin: PathBuf,
    pub(crate) tidegate: PathBuf,
    pub(crate) pingora: PathBuf,
    pub(crate) oha: PathBuf,
}

/// Builds what the chosen peers need.
pub(crate) fn build(peers: &[Peer]) -> Result<Built, Problem> {
    let target = tidy::metadata(&["--no-deps"])?.target_directory.into_std_path_buf();
    println!("building the origin");
    shell::run(shell::cargo().args(["build", "--quiet", "--release", "--package", "origin"]))?;
    // A peer or not, it makes the loads that have a rate.
    println!("building tidegate");
    shell::run(shell::cargo().args(["build", "--quiet", "--release", "--package", "tidegate"]))?;
    let beside = target.join("bench");
    if peers.contains(&Peer::Pingora) {
        println!("building the Pingora proxy (some minutes the first time)");
        let mut command = shell::cargo();
        command.args([
            "build",
            "--quiet",
            "--release",
            "--locked",
            "--manifest-path",
            "bench/pingora/Cargo.toml",
        ]);
        shell::run(command.arg("--target-dir").arg(&beside))?;
    }
    Ok(Built {
        origin: target.join("release/origin"),
        tidegate: target.join("release/tidegate"),
        pingora: beside.join("release/bench-pingora"),
        oha: beside.join("oha/bin/oha"),
    })
}

/// Builds oha, the one load generator that Debian does not carry, if it is not there yet.
pub(crate) fn oha(built: &Built) -> Result<(), Problem> {
    if built.oha.exists() {
        return Ok(());
    }
    println!("building oha {OHA} (some minutes the first time)");
    let root = built.oha.ancestors().nth(2).unwrap_or(&built.oha);
    let mut command = shell::cargo();
    command.args(["install", "--quiet", "--locked", "--version", OHA, "--root"]).arg(root);
    shell::run(command.arg("oha"))
}

/// The version of oha that is measured.
const OHA: &str = "1.16.0";
