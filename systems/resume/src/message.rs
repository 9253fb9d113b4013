//! What a message may be: the one place that says so, for the form, the API and its description.

use kit::FieldError;

/// The longest name, in characters.
pub const NAME_MAX: usize = 100;
/// The longest address: what fits into a mail's path (RFC 5321 section 4.5.3.1.3, without its brackets).
pub const EMAIL_MAX: usize = 254;
/// The shortest text, in characters; anything shorter is a slip of the finger.
pub const TEXT_MIN: usize = 10;
/// The longest text, in characters.
pub const TEXT_MAX: usize = 4_000;

/// A message that may be stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Who writes: one line.
    pub name: String,
    /// Where an answer goes.
    pub email: String,
    /// What they write; its lines end in `\n`.
    pub text: String,
}

impl Message {
    /// A message from what a person wrote, space around it removed.
    ///
    /// # Errors
    ///
    /// Everything that is wrong, by the field names `name`, `email` and `message`, at most once per field.
    pub fn check([name, email, text]: [String; 3]) -> Result<Self, Vec<FieldError>> {
        let message = Self {
            name: name.trim().to_owned(),
            email: email.trim().to_owned(),
            text: text.replace("\r\n", "\n").replace('\r', "\n").trim().to_owned(),
        };
        let wrong = [
            ("name", wrong_name(&message.name)),
            ("email", wrong_email(&message.email)),
            ("message", wrong_text(&message.text)),
        ];
        let errors: Vec<_> =
            wrong.into_iter().filter_map(|(field, what)| Some(FieldError::new(field, what?))).collect();
        if errors.is_empty() { Ok(message) } else { Err(errors) }
    }
}

fn wrong_name(name: &str) -> Option<String> {
    too_long(name, NAME_MAX).or_else(|| match name {
        "" => Some("missing".to_owned()),
        name if name.chars().any(char::is_control) => Some("holds a control character".to_owned()),
        _ => None,
    })
}

/// Only what no address can be without: whether mail arrives shows when it is answered.
fn wrong_email(email: &str) -> Option<String> {
    if email.is_empty() {
        return Some("missing".to_owned());
    }
    if email.len() > EMAIL_MAX {
        return Some(format!("{} bytes, of at most {EMAIL_MAX}", email.len()));
    }
    if email.chars().any(|letter| letter.is_whitespace() || letter.is_control() || "<>,;\"".contains(letter))
    {
        return Some("holds a character that no plain address has".to_owned());
    }
    let is_label = |label: &str| {
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.chars().all(|letter| letter.is_alphanumeric() || letter == '-')
    };
    match email.split_once('@') {
        Some((local, domain)) if !local.is_empty() && domain.split('.').all(is_label) => None,
        _ => Some("not an address such as you@example.org".to_owned()),
    }
}

fn wrong_text(text: &str) -> Option<String> {
    too_long(text, TEXT_MAX).or_else(|| match text.chars().count() {
        0 => Some("missing".to_owned()),
        count if count < TEXT_MIN => Some(format!("{count} characters, of at least {TEXT_MIN}")),
        _ if text.chars().any(|letter| letter.is_control() && !matches!(letter, '\n' | '\t')) => {
            Some("holds a control character".to_owned())
        }
        _ => None,
    })
}

fn too_long(text: &str, max: usize) -> Option<String> {
    let count = text.chars().count();
    (count > max).then(|| format!("{count} characters, of at most {max}"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(name: &str, email: &str, text: &str) -> Result<Message, Vec<String>> {
        Message::check([name, email, text].map(str::to_owned))
            .map_err(|errors| errors.into_iter().map(|error| error.field).collect())
    }

    #[test]
    fn every_wrong_field_is_named_at_once() {
        assert_eq!(check("", "", "").unwrap_err(), ["name", "email", "message"]);
        assert_eq!(check("A\u{7}B", "a b@c", "too short").unwrap_err(), ["name", "email", "message"]);
    }

    #[test]
    fn each_length_holds_to_the_letter() {
        let long = |count| "ä".repeat(count);
        let is_fine = |name: &str, text: &str| check(name, "a@b", text).is_ok();
        assert!(is_fine(&long(NAME_MAX), &long(TEXT_MAX)));
        assert!(!is_fine(&long(NAME_MAX + 1), &long(TEXT_MAX)));
        assert!(!is_fine("A", &long(TEXT_MAX + 1)));
        assert!(is_fine("A", &long(TEXT_MIN)));
        assert!(!is_fine("A", &long(TEXT_MIN - 1)));
        let address = |bytes: usize| format!("{}@b", "a".repeat(bytes - 2));
        assert!(check("A", &address(EMAIL_MAX), &long(TEXT_MIN)).is_ok());
        assert!(check("A", &address(EMAIL_MAX + 1), &long(TEXT_MIN)).is_err());
    }

    #[test]
    fn addresses_that_may_receive_mail_pass_and_others_do_not() {
        for fine in ["a@b", "first.last+tag@mail.example.org", "ä@bücher.example", "a@b-c.d", "o'neil@x.y"]
        {
            assert!(check("A", fine, "ten letters").is_ok(), "{fine}");
        }
        let wrong = [
            "a", "@b", "a@", "a@b@c", "a@b..c", "a@.b", "a@-b", "a@b-", "a@b c", "<a@b>", "a@b,c@d",
            "a@b\u{0}",
        ];
        for wrong in wrong {
            assert_eq!(check("A", wrong, "ten letters").unwrap_err(), ["email"], "{wrong}");
        }
    }

    #[test]
    fn lines_end_in_one_way_and_space_around_is_gone() {
        let message = check(" Ann ", " a@b ", "\r\none\r\ntwo\rthree\n").unwrap();
        assert_eq!((&*message.name, &*message.email, &*message.text), ("Ann", "a@b", "one\ntwo\nthree"));
    }

    proptest! {
        #[test]
        fn what_passes_is_within_every_bound_and_passes_again(
            name in any::<String>(), local in any::<String>(), text in any::<String>()
        ) {
            if let Ok(message) = check(&name, &format!("{local}@example.org"), &text) {
                prop_assert!((1..=NAME_MAX).contains(&message.name.chars().count()));
                prop_assert!(message.email.len() <= EMAIL_MAX && message.email.contains('@'));
                prop_assert!((TEXT_MIN..=TEXT_MAX).contains(&message.text.chars().count()));
                prop_assert!(!message.name.contains(['\n', '\r', '\0']));
                prop_assert!(!message.email.contains(['\n', '\r', ' ', '<', '>', ',']));
                prop_assert!(!message.text.contains(['\r', '\0']));
                let again = check(&message.name, &message.email, &message.text);
                prop_assert_eq!(again.unwrap(), message);
            }
        }
    }
}
