//! Taking the terminal, and giving it back whatever happens.
//!
//! ```text
//! free ──take──► held ──drop, or a panic anywhere──► free
//! ```

use std::io::{Stderr, stderr};
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ratatui::crossterm::cursor::{Hide, Show};
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use ratatui::crossterm::execute;
use ratatui::crossterm::terminal::{
    EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};
use ratatui::prelude::CrosstermBackend;
use ratatui::{Frame, Terminal};

use super::Wish;

/// Whether the terminal is ours: known to the whole process, because a panic of any thread gives it back.
static HELD: AtomicBool = AtomicBool::new(false);

/// The terminal behind standard error, with a screen of its own, without echo and line editing.
pub struct Held {
    terminal: Terminal<CrosstermBackend<Stderr>>,
}

impl Held {
    /// Takes the terminal.
    ///
    /// # Errors
    /// There is none, or it does not do what it is asked.
    pub fn take() -> std::io::Result<Self> {
        give_back_on_panic();
        HELD.store(true, Ordering::SeqCst);
        let taken = enable_raw_mode()
            .and_then(|()| execute!(stderr(), EnterAlternateScreen, Hide))
            .and_then(|()| Terminal::new(CrosstermBackend::new(stderr())));
        match taken {
            Ok(terminal) => Ok(Self { terminal }),
            Err(error) => {
                give_back();
                Err(error)
            }
        }
    }

    /// Draws a picture, if the terminal is still ours. One that has gone away is no reason to end the run.
    pub fn draw(&mut self, picture: impl FnOnce(&mut Frame<'_>)) {
        if HELD.load(Ordering::SeqCst) {
            let _ = self.terminal.draw(picture);
        }
    }

    /// What was typed since the last call.
    pub fn wish() -> Wish {
        let mut wish = Wish::GoOn;
        while HELD.load(Ordering::SeqCst) && event::poll(Duration::ZERO).unwrap_or(false) {
            match event::read() {
                Ok(Event::Key(key)) if ends(key) => wish = Wish::End,
                Ok(_) => {}
                Err(_) => break,
            }
        }
        wish
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        give_back();
    }
}

/// Whether a key asks for the end. Without line editing Ctrl-C is a key like any other.
fn ends(key: KeyEvent) -> bool {
    let control = key.modifiers.contains(KeyModifiers::CONTROL);
    key.kind != KeyEventKind::Release
        && matches!((key.code, control), (KeyCode::Char('q' | 'Q'), false) | (KeyCode::Char('c' | 'C'), true))
}

fn give_back() {
    if HELD.swap(false, Ordering::SeqCst) {
        // There is nobody left to tell about an error.
        let _ = execute!(stderr(), LeaveAlternateScreen, Show);
        let _ = disable_raw_mode();
    }
}

/// A message of a panic should be read on the usual screen.
fn give_back_on_panic() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            give_back();
            before(panic);
        }));
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn q_and_control_c_end_the_run_and_nothing_else_does() {
        let plain = |code| KeyEvent::new(code, KeyModifiers::NONE);
        let control = |code| KeyEvent::new(code, KeyModifiers::CONTROL);
        assert!(ends(plain(KeyCode::Char('q'))) && ends(control(KeyCode::Char('c'))));
        for key in [
            plain(KeyCode::Char('c')),
            control(KeyCode::Char('q')),
            plain(KeyCode::Enter),
            plain(KeyCode::Esc),
        ] {
            assert!(!ends(key), "{key:?}");
        }
    }
}
