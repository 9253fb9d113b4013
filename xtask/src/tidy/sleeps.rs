//! Rule: a test waits for what it waits for, never for a while. Virtual time is no wall clock and may be slept in.

use crate::problem::Problem;

use super::SETTINGS;
use super::settings::Settings;
use super::source::{SourceFile, TokenKind};

/// Finds calls of a `sleep` in tests that do not run in paused time.
pub(crate) fn check(files: &[SourceFile], settings: &Settings) -> Vec<Problem> {
    let mut problems = Vec::new();
    for file in files {
        let excepted = settings.sleep.iter().any(|exception| exception.path == file.path);
        let lines = sleeping_lines(file);
        if excepted && lines.is_empty() {
            problems.push(needless(&file.path));
        }
        if !excepted {
            problems.extend(lines.into_iter().map(|line| {
                Problem::new("a test waits on the wall clock")
                    .at(&file.path, line)
                    .help(format!("wait for the condition itself, or pause the time; give a reason in {SETTINGS} under [[sleep]] if neither can be"))
            }));
        }
    }
    let gone =
        settings.sleep.iter().filter(|exception| !files.iter().any(|file| file.path == exception.path));
    problems.extend(gone.map(|exception| needless(&exception.path)));
    problems
}

fn needless(path: &std::path::Path) -> Problem {
    Problem::new("no test in this file waits on the wall clock and it needs no exception")
        .at(path, 0)
        .help(format!("delete its entry from {SETTINGS}"))
}

fn sleeping_lines(file: &SourceFile) -> Vec<usize> {
    let call = TokenKind::Open(proc_macro2::Delimiter::Parenthesis);
    // In `thread::sleep` the word is three tokens ahead.
    let before = |index: usize| file.tokens[index.saturating_sub(3)..index].iter();
    let calls = file.tokens.iter().enumerate().filter(|(index, token)| {
        let declared = *index > 0 && file.tokens[index - 1].word() == Some("fn");
        matches!(token.word(), Some("sleep" | "sleep_until" | "sleep_ms"))
            && file.follows(*index, &call)
            && !declared
            && file.is_test(token.line)
            // The thread's own sleep knows nothing of virtual time.
            && (!file.is_paused(token.line) || before(*index).any(|token| token.word() == Some("thread")))
    });
    calls.map(|(_, token)| token.line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LISTED: &str = "[[sleep]]\npath = 'a/tests/wait.rs'\nreason = 'the kernel has no event for it'";

    fn found(path: &str, text: &str, extra: &str) -> usize {
        check(&[SourceFile::sample(path, text)], &Settings::sample(extra)).len()
    }

    #[test]
    fn a_sleeping_test_is_found() {
        assert_eq!(found("a/tests/wait.rs", "fn a() { std::thread::sleep(SECOND); }", ""), 1);
        assert_eq!(found("a/src/lib.rs", "#[tokio::test]\nasync fn a() {\nsleep(SECOND).await; }", ""), 1);
    }

    #[test]
    fn product_code_and_virtual_time_pass() {
        assert_eq!(found("a/src/lib.rs", "async fn a() { sleep(SECOND).await; }", ""), 0);
        let paused = "#[tokio::test(start_paused = true)]\nasync fn a() {\nsleep(SECOND).await; }";
        assert_eq!(found("a/src/lib.rs", paused, ""), 0);
        let scene = "#[test]\nfn a() {\nscene(APP).run(async |s| {\nsleep(SECOND).await;\n}); }";
        assert_eq!(found("a/tests/scenes.rs", scene, ""), 0);
    }

    #[test]
    fn a_scene_does_not_pause_the_thread() {
        let scene = "#[test]\nfn a() {\nscene(APP).run(async |s| {\nstd::thread::sleep(SECOND);\n}); }";
        assert_eq!(found("a/tests/scenes.rs", scene, ""), 1);
    }

    #[test]
    fn a_reason_excepts_a_file_for_as_long_as_it_sleeps() {
        assert_eq!(found("a/tests/wait.rs", "fn a() { std::thread::sleep(SECOND); }", LISTED), 0);
        assert_eq!(found("a/tests/wait.rs", "fn a() {}", LISTED), 1);
        assert_eq!(found("a/tests/other.rs", "fn a() {}", LISTED), 1);
    }
}
