//! Rule: brains are free of IO. Bytes and `now` go in, decisions come out.
//!
//! The sources are searched for the parts of the standard library that touch the world, wherever they are spelled: in a
//! `use`, in a path, in a macro. What they depend on is the business of the bans. Where the wasm32 target is installed,
//! the crates are also compiled for it, which has no sockets, threads or files to call.

use crate::problem::{OrProblem, Problem};
use crate::shell;

use super::settings::Settings;
use super::source::{SourceFile, Token, TokenKind};

use proc_macro2::Delimiter;

/// A target that offers no operating system.
const WASM: &str = "wasm32-unknown-unknown";

/// The parts of `std::net` that are data.
const ADDRESSES: [&str; 7] =
    ["IpAddr", "Ipv4Addr", "Ipv6Addr", "SocketAddr", "SocketAddrV4", "SocketAddrV6", "AddrParseError"];

/// Finds what touches the world in the product code of a brain.
pub(crate) fn check(file: &SourceFile, settings: &Settings) -> Vec<Problem> {
    if !settings.brains.iter().any(|brain| brain == file.crate_name()) || !file.is_product() {
        return Vec::new();
    }
    let mut problems = Vec::new();
    for (path, line) in paths(&file.tokens) {
        if file.is_test(line) {
            continue;
        }
        if let Some(instead) = refused(&path) {
            problems.push(
                Problem::new(format!("`{}` in a brain", path.join("::")))
                    .at(&file.path, line)
                    .help(format!("brains are free of IO: {instead}")),
            );
        }
    }
    for (index, token) in file.tokens.iter().enumerate() {
        let printing = matches!(token.word(), Some("print" | "println" | "eprint" | "eprintln"));
        if printing && file.follows(index, &TokenKind::Mark('!')) && !file.is_test(token.line) {
            problems.push(
                Problem::new("printing in a brain")
                    .at(&file.path, token.line)
                    .help("brains are free of IO: return what happened; the caller reports it"),
            );
        }
    }
    problems
}

/// Compiles the brains for a target without an operating system, when that target is installed.
pub(crate) fn compile(settings: &Settings) -> Result<Option<Problem>, Problem> {
    let sysroot = shell::capture(std::process::Command::new("rustc").args(["--print", "sysroot"]))?;
    let sysroot = String::from_utf8(sysroot.stdout).problem("read what rustc says")?;
    if !std::path::Path::new(sysroot.trim()).join("lib/rustlib").join(WASM).exists() {
        return Ok(None);
    }
    let mut command = shell::cargo();
    command.args(["check", "--quiet", "--target", WASM]);
    for brain in &settings.brains {
        command.args(["--package", &format!("tidegate-{brain}")]);
    }
    let failure = shell::capture(&mut command).err();
    Ok(failure
        .map(|failure| failure.help(format!("brains also build for {WASM}; take out what it does not have"))))
}

/// What to do instead of a path that a brain may not name; none when it may.
fn refused(path: &[String]) -> Option<&'static str> {
    let parts: Vec<&str> = path.iter().map(String::as_str).collect();
    match parts.as_slice() {
        // Addresses are data; what can be bound or resolved is not.
        ["std" | "core", "net", name, ..] if ADDRESSES.contains(name) => None,
        ["std", "time", "Duration", ..] => None,
        ["std", "net" | "os", ..] => Some("take addresses and bytes, leave sockets to the proxy"),
        ["std", "fs" | "env" | "process", ..] => Some("take the value, let the caller fetch it"),
        ["std", "io", "stdin" | "stdout" | "stderr", ..] => {
            Some("return what happened; the caller reports it")
        }
        ["std", "thread", ..] => Some("state is owned by the caller's core; use atomics where cores share"),
        ["std", "time", ..] => Some("take `now` as a parameter; only Duration may be named"),
        ["tokio" | "mio" | "socket2" | "rustix" | "libc", _, ..] => Some("leave it to the proxy"),
        ["tracing" | "log", _, ..] => Some("return what happened; signals writes the log"),
        _ => None,
    }
}

/// Every path that is written, `use` trees opened up, with its line.
fn paths(tokens: &[Token]) -> Vec<(Vec<String>, usize)> {
    let mut found = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        at = match tokens[at].word() {
            Some(_) => path(tokens, at, &[], &mut found),
            None => at + 1,
        };
    }
    found
}

/// Reads one path that begins at a word; returns where it ends. Braces after `::` hold one path per comma.
fn path(tokens: &[Token], start: usize, prefix: &[String], found: &mut Vec<(Vec<String>, usize)>) -> usize {
    let mut segments = prefix.to_vec();
    let line = tokens[start].line;
    let mut at = start;
    while let Some(word) = tokens.get(at).and_then(Token::word) {
        segments.push(word.to_owned());
        at += 1;
        if !is_separator(tokens, at) {
            break;
        }
        at += 2;
    }
    if tokens.get(at).map(|token| &token.kind) == Some(&TokenKind::Open(Delimiter::Brace))
        && at >= 2
        && is_separator(tokens, at - 2)
    {
        return group(tokens, at + 1, &segments, found);
    }
    found.push((segments, line));
    at
}

/// Reads the paths inside braces whose common beginning is `prefix`; returns what follows the closing brace.
fn group(tokens: &[Token], start: usize, prefix: &[String], found: &mut Vec<(Vec<String>, usize)>) -> usize {
    let mut at = start;
    while let Some(token) = tokens.get(at) {
        at = match &token.kind {
            TokenKind::Close(Delimiter::Brace) => return at + 1,
            // `{self}` and `*` name the prefix itself.
            TokenKind::Word(word) if word == "self" => {
                found.push((prefix.to_vec(), token.line));
                at + 1
            }
            TokenKind::Mark('*') => {
                found.push((prefix.to_vec(), token.line));
                at + 1
            }
            // A new name for an import is not a path.
            TokenKind::Word(word) if word == "as" => at + 2,
            TokenKind::Word(_) => path(tokens, at, prefix, found),
            _ => at + 1,
        };
    }
    at
}

fn is_separator(tokens: &[Token], at: usize) -> bool {
    let is_colon = |at: usize| tokens.get(at).is_some_and(|token| token.kind == TokenKind::Mark(':'));
    is_colon(at) && is_colon(at + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(path: &str, text: &str) -> Vec<String> {
        let file = SourceFile::sample(path, text);
        check(&file, &Settings::sample("")).iter().map(|problem| problem.what().to_owned()).collect()
    }

    #[test]
    fn what_touches_the_world_is_found_however_it_is_spelled() {
        let text = "use std::{net::{self, TcpStream}, time::{Duration, Instant as I}};\nuse std::fs::*;\n\
            fn a() { std::thread::spawn(b); format!(\"{:?}\", std::time::SystemTime::now()); println!(); }\n\
            use tokio::time;";
        assert_eq!(
            found("wire/src/a.rs", text),
            [
                "`std::net` in a brain",
                "`std::net::TcpStream` in a brain",
                "`std::time::Instant` in a brain",
                "`std::fs` in a brain",
                "`std::thread::spawn` in a brain",
                "`std::time::SystemTime::now` in a brain",
                "`tokio::time` in a brain",
                "printing in a brain",
            ]
        );
    }

    #[test]
    fn addresses_durations_and_tests_pass() {
        let text = "use std::net::{IpAddr, SocketAddr};\nuse std::{fmt, time::Duration};\nuse std::sync::atomic::*;\n\
            #[cfg(test)]\nmod tests { use std::time::Instant; fn a() { println!(); } }";
        assert_eq!(found("traffic/src/a.rs", text), Vec::<String>::new());
    }

    #[test]
    fn other_crates_and_examples_may_touch_the_world() {
        assert_eq!(found("proxy/src/a.rs", "use std::net::TcpStream;"), Vec::<String>::new());
        assert_eq!(found("traffic/examples/a.rs", "use std::time::Instant;"), Vec::<String>::new());
    }
}
