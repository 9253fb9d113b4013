//! Dictionaries of structured fields (RFC 9651 section 4.2.2), which targeted fields are. Checked to the last byte,
//! because a field with one mistake in it counts as absent; kept is only what a directive can be.

use core::fmt;

/// The value of a member.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Item {
    /// A boolean, or a name alone.
    Boolean(bool),
    /// An integer of at most 15 digits.
    Integer(i64),
    /// A decimal, string, token, byte sequence, date, display string or inner list: no directive has a use for what
    /// is in it.
    Another,
}

/// The value is no dictionary.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NotDictionary;

impl fmt::Display for NotDictionary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a dictionary of structured fields")
    }
}

impl core::error::Error for NotDictionary {}

/// Hands every member of a dictionary to `each`, in order. Of two with one name the last is meant. An empty value is a
/// dictionary without members.
///
/// # Errors
/// Where it breaks a rule. `each` may have been called by then.
pub fn dictionary<'a>(value: &'a [u8], mut each: impl FnMut(&'a [u8], Item)) -> Result<(), NotDictionary> {
    let mut input = Input(value);
    input.skip(b" ");
    while !input.0.is_empty() {
        let name = input.key()?;
        let item = if input.take(b'=') { input.member()? } else { Item::Boolean(true) };
        input.parameters()?;
        each(name, item);
        input.skip(b" \t");
        if input.0.is_empty() {
            break;
        }
        if !input.take(b',') {
            return Err(NotDictionary);
        }
        input.skip(b" \t");
        if input.0.is_empty() {
            return Err(NotDictionary); // A comma at the end.
        }
    }
    Ok(())
}

/// What is left to read.
struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn skip(&mut self, bytes: &[u8]) {
        while let [first, rest @ ..] = self.0
            && bytes.contains(first)
        {
            self.0 = rest;
        }
    }

    fn take(&mut self, byte: u8) -> bool {
        match self.0 {
            [first, rest @ ..] if *first == byte => {
                self.0 = rest;
                true
            }
            _ => false,
        }
    }

    fn next(&mut self) -> Result<u8, NotDictionary> {
        let (&first, rest) = self.0.split_first().ok_or(NotDictionary)?;
        self.0 = rest;
        Ok(first)
    }

    fn while_true(&mut self, fits: impl Fn(u8) -> bool) -> &'a [u8] {
        let len = self.0.iter().take_while(|&&byte| fits(byte)).count();
        let (taken, rest) = self.0.split_at(len);
        self.0 = rest;
        taken
    }

    fn key(&mut self) -> Result<&'a [u8], NotDictionary> {
        match self.0.first() {
            Some(b'a'..=b'z' | b'*') => {
                Ok(self
                    .while_true(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-' | b'.' | b'*')))
            }
            _ => Err(NotDictionary),
        }
    }

    /// An item without its parameters, or an inner list.
    fn member(&mut self) -> Result<Item, NotDictionary> {
        if !self.take(b'(') {
            return self.bare_item();
        }
        loop {
            self.skip(b" ");
            if self.take(b')') {
                return Ok(Item::Another);
            }
            self.bare_item()?;
            self.parameters()?;
            if !matches!(self.0.first(), Some(b' ' | b')')) {
                return Err(NotDictionary);
            }
        }
    }

    fn parameters(&mut self) -> Result<(), NotDictionary> {
        while self.take(b';') {
            self.skip(b" ");
            self.key()?;
            if self.take(b'=') {
                self.bare_item()?;
            }
        }
        Ok(())
    }

    fn bare_item(&mut self) -> Result<Item, NotDictionary> {
        match self.0.first().ok_or(NotDictionary)? {
            b'-' | b'0'..=b'9' => self.number(),
            b'"' => self.string(),
            b'%' => self.display_string(),
            b':' => self.bytes(),
            b'?' => self.boolean(),
            b'@' => {
                self.next()?;
                match self.number()? {
                    Item::Integer(_) => Ok(Item::Another),
                    _ => Err(NotDictionary),
                }
            }
            b'*' | b'a'..=b'z' | b'A'..=b'Z' => {
                self.while_true(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~:/".contains(&byte));
                Ok(Item::Another)
            }
            _ => Err(NotDictionary),
        }
    }

    fn number(&mut self) -> Result<Item, NotDictionary> {
        let negative = self.take(b'-');
        let digits = self.while_true(|byte| byte.is_ascii_digit());
        let decimal = self.take(b'.');
        let fraction = if decimal { self.while_true(|byte| byte.is_ascii_digit()) } else { b"" };
        let fits = if decimal {
            digits.len() <= 12 && (1..=3).contains(&fraction.len())
        } else {
            digits.len() <= 15
        };
        if digits.is_empty() || !fits {
            return Err(NotDictionary);
        }
        if decimal {
            return Ok(Item::Another);
        }
        let value = digits.iter().fold(0, |value, digit| value * 10 + i64::from(digit - b'0'));
        Ok(Item::Integer(if negative { -value } else { value }))
    }

    fn string(&mut self) -> Result<Item, NotDictionary> {
        self.next()?;
        loop {
            match self.next()? {
                b'"' => return Ok(Item::Another),
                b'\\' => match self.next()? {
                    b'"' | b'\\' => {}
                    _ => return Err(NotDictionary),
                },
                b' '..=b'~' => {}
                _ => return Err(NotDictionary),
            }
        }
    }

    /// RFC 9651 section 4.2.10. Whether the octets are UTF-8 is left aside: nobody here looks at them.
    fn display_string(&mut self) -> Result<Item, NotDictionary> {
        self.next()?;
        if !self.take(b'"') {
            return Err(NotDictionary);
        }
        loop {
            match self.next()? {
                b'"' => return Ok(Item::Another),
                b'%' => {
                    for _ in 0..2 {
                        if !matches!(self.next()?, b'0'..=b'9' | b'a'..=b'f') {
                            return Err(NotDictionary);
                        }
                    }
                }
                b' '..=b'~' => {}
                _ => return Err(NotDictionary),
            }
        }
    }

    fn bytes(&mut self) -> Result<Item, NotDictionary> {
        self.next()?;
        self.while_true(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'='));
        if self.take(b':') { Ok(Item::Another) } else { Err(NotDictionary) }
    }

    fn boolean(&mut self) -> Result<Item, NotDictionary> {
        self.next()?;
        match self.next()? {
            b'0' => Ok(Item::Boolean(false)),
            b'1' => Ok(Item::Boolean(true)),
            _ => Err(NotDictionary),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(value: &str) -> Result<Vec<(String, Item)>, NotDictionary> {
        let mut members = Vec::new();
        dictionary(value.as_bytes(), |name, item| {
            members.push((String::from_utf8(name.to_vec()).unwrap(), item));
        })?;
        Ok(members)
    }

    /// RFC 9651 section 3.2.
    #[test]
    fn members_come_in_order_with_what_they_are() {
        for (value, wanted) in [
            ("", vec![]),
            ("  ", vec![]),
            ("a", vec![("a", Item::Boolean(true))]),
            ("a=?0, b;x=1;y", vec![("a", Item::Boolean(false)), ("b", Item::Boolean(true))]),
            ("a=1 ,\t b=-2", vec![("a", Item::Integer(1)), ("b", Item::Integer(-2))]),
            ("a=999999999999999", vec![("a", Item::Integer(999_999_999_999_999))]),
            (
                "a=1.5, b=tok/en, c=:aGk=:, d=@1659578233",
                vec![("a", Item::Another), ("b", Item::Another), ("c", Item::Another), ("d", Item::Another)],
            ),
            ("a=\"x, y=\\\"1\", *b=(1 \"2\";p 3)", vec![("a", Item::Another), ("*b", Item::Another)]),
            ("a=%\"f%c3%bc\", b=()", vec![("a", Item::Another), ("b", Item::Another)]),
        ] {
            let wanted: Vec<_> = wanted.into_iter().map(|(name, item)| (name.to_owned(), item)).collect();
            assert_eq!(parsed(value), Ok(wanted), "{value}");
        }
    }

    /// RFC 9651 section 4.2: a mistake anywhere is a mistake of the whole field.
    #[test]
    fn a_mistake_anywhere_refuses_the_whole() {
        for value in [
            "A",
            "1",
            "=1",
            "a,",
            ",a",
            "a,,b",
            "a b",
            "a=",
            "a= 1",
            "a=1 1",
            "a=1.",
            "a=.5",
            "a=1.2345",
            "a=-",
            "a=1000000000000000",
            "a=1234567890123.1",
            "a=\"x",
            "a=\"\\x\"",
            "a=(1",
            "a=(1\t2)",
            "a=(1)(2)",
            "a=?2",
            "a=?",
            "a=:x",
            "a=:*:",
            "a;=1",
            "a;X",
            "a=@1.5",
            "a=%\"%C3\"",
            "a=%x",
            "a=\"\u{e9}\"",
            "a==1",
            "a\tb",
        ] {
            assert_eq!(parsed(value), Err(NotDictionary), "{value}");
        }
    }
}
