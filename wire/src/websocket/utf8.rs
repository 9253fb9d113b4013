//! UTF-8 checked as it arrives, wherever a character is cut.

use super::Violation;

/// The check of one text. Between calls it keeps no more than the character that was cut.
#[derive(Clone, Copy, Debug)]
pub(super) struct Utf8 {
    /// The first bytes of a character whose others are still to come.
    open: [u8; 3],
    open_bytes: u8,
}

impl Utf8 {
    /// The check of a text that has not begun.
    pub(super) const fn new() -> Self {
        Self { open: [0; 3], open_bytes: 0 }
    }

    /// Checks the next bytes of the text. A byte that cannot belong to any text is refused at once, not at the end
    /// of its character.
    pub(super) fn push(&mut self, data: &[u8]) -> Result<(), Violation> {
        let mut rest = data;
        while self.open_bytes > 0 {
            let Some((&byte, after)) = rest.split_first() else { return Ok(()) };
            self.complete(byte)?;
            rest = after;
        }
        let Err(error) = core::str::from_utf8(rest) else { return Ok(()) };
        if error.error_len().is_some() {
            return Err(Violation::NotUtf8);
        }
        let open = &rest[error.valid_up_to()..];
        self.open[..open.len()].copy_from_slice(open);
        self.open_bytes = open.len() as u8;
        Ok(())
    }

    /// Ends the text. Ended well, it leaves the check ready for the next one.
    pub(super) const fn finish(self) -> Result<(), Violation> {
        if self.open_bytes == 0 { Ok(()) } else { Err(Violation::NotUtf8) }
    }

    /// Adds one byte to the open character.
    fn complete(&mut self, byte: u8) -> Result<(), Violation> {
        let held = usize::from(self.open_bytes);
        let mut character = [0; 4];
        character[..held].copy_from_slice(&self.open[..held]);
        character[held] = byte;
        match core::str::from_utf8(&character[..=held]) {
            Ok(_) => self.open_bytes = 0,
            // Four bytes are never incomplete, so there is room.
            Err(error) if error.error_len().is_none() => {
                self.open[held] = byte;
                self.open_bytes += 1;
            }
            Err(_) => return Err(Violation::NotUtf8),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pieces: &[&[u8]]) -> Result<(), Violation> {
        let mut text = Utf8::new();
        pieces.iter().try_for_each(|piece| text.push(piece))?;
        text.finish()
    }

    #[test]
    fn characters_may_be_cut_anywhere() {
        let text = "a \u{e9} \u{20ac} \u{10348} \u{10ffff} z".as_bytes();
        for first in 0..=text.len() {
            for second in first..=text.len() {
                let pieces = [&text[..first], &text[first..second], &text[second..]];
                assert_eq!(check(&pieces), Ok(()), "cut at {first} and {second}");
            }
        }
        assert_eq!(check(&text.chunks(1).collect::<Vec<_>>()), Ok(()));
    }

    #[test]
    fn what_is_wrong_whole_is_wrong_cut() {
        let wrong: [&[u8]; 9] = [
            b"\x80",             // A continuation byte alone.
            b"a\xc3",            // The text ends inside a character.
            b"\xc3(",            // A character ends too early.
            b"\xc0\xaf",         // A slash in two bytes.
            b"\xe0\x80\xaf",     // The same in three.
            b"\xed\xa0\x80",     // A surrogate.
            b"\xf4\x90\x80\x80", // Beyond the last character.
            b"\xf0\x90\x8d",     // Three bytes of four.
            b"\xff",
        ];
        for text in wrong {
            for cut in 0..=text.len() {
                let (before, after) = text.split_at(cut);
                assert_eq!(check(&[before, after]), Err(Violation::NotUtf8), "{text:x?} cut at {cut}");
            }
        }
    }

    #[test]
    fn a_character_is_refused_at_its_first_impossible_byte() {
        let mut text = Utf8::new();
        assert_eq!(text.push(b"\xf4"), Ok(()));
        assert_eq!(text.push(b"\x90"), Err(Violation::NotUtf8));
    }
}
