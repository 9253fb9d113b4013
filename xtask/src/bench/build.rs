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
}

/// Builds what the chosen peers need.
pub(crate) fn build(peers: &[Peer]) -> Result<Built, Problem> {
    let target = tidy::metadata(&["--no-deps"])?.target_directory.into_std_path_buf();
    println!("building the origin");
    shell::run(shell::cargo().args(["build", "--quiet", "--release", "--package", "origin"]))?;
    if peers.contains(&Peer::Tidegate) {
        println!("building tidegate");
        shell::run(shell::cargo().args(["build", "--quiet", "--release", "--package", "tidegate"]))?;
    }
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
    })
}
