//! SPDX licence expressions: `MIT OR (Apache-2.0 WITH LLVM-exception AND Zlib)`, and the older `MIT/Apache-2.0`.
//!
//! Precedence as in annex D of the SPDX specification: WITH binds tightest, then AND, then OR.

/// A licence expression as a tree.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Expression {
    Licence { id: String, exception: Option<String> },
    All(Vec<Expression>),
    Any(Vec<Expression>),
}

impl Expression {
    /// Parses an expression; the error says what was expected where.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let spaced = text.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
        let mut words = spaced.split_whitespace().collect::<Vec<_>>().into_iter().peekable();
        let expression = any(&mut words)?;
        match words.next() {
            None => Ok(expression),
            Some(word) => Err(format!("unexpected `{word}` in `{text}`")),
        }
    }

    /// Whether the terms can be met with licences that `allowed` accepts: one of an OR, each of an AND.
    pub(crate) fn is_met(&self, allowed: &impl Fn(&str, Option<&str>) -> bool) -> bool {
        match self {
            Self::Licence { id, exception } => allowed(id, exception.as_deref()),
            Self::All(parts) => parts.iter().all(|part| part.is_met(allowed)),
            Self::Any(parts) => parts.iter().any(|part| part.is_met(allowed)),
        }
    }
}

type Words<'a> = std::iter::Peekable<std::vec::IntoIter<&'a str>>;

fn any(words: &mut Words<'_>) -> Result<Expression, String> {
    let mut parts = vec![all(words)?];
    while words.next_if(|word| word.eq_ignore_ascii_case("or")).is_some() {
        parts.push(all(words)?);
    }
    Ok(single_or(parts, Expression::Any))
}

fn all(words: &mut Words<'_>) -> Result<Expression, String> {
    let mut parts = vec![term(words)?];
    while words.next_if(|word| word.eq_ignore_ascii_case("and")).is_some() {
        parts.push(term(words)?);
    }
    Ok(single_or(parts, Expression::All))
}

fn term(words: &mut Words<'_>) -> Result<Expression, String> {
    match words.next() {
        Some("(") => {
            let inner = any(words)?;
            match words.next() {
                Some(")") => Ok(inner),
                other => Err(format!("expected `)`, found {}", shown(other))),
            }
        }
        Some(id) if is_name(id) => {
            let exception = match words.next_if(|word| word.eq_ignore_ascii_case("with")) {
                None => None,
                Some(_) => match words.next() {
                    Some(name) if is_name(name) => Some(name.to_owned()),
                    other => return Err(format!("expected an exception after WITH, found {}", shown(other))),
                },
            };
            Ok(Expression::Licence { id: id.to_owned(), exception })
        }
        other => Err(format!("expected a licence, found {}", shown(other))),
    }
}

fn is_name(word: &str) -> bool {
    let is_operator = ["and", "or", "with"].iter().any(|operator| word.eq_ignore_ascii_case(operator));
    !is_operator && word != "(" && word != ")"
}

fn shown(word: Option<&str>) -> String {
    word.map_or_else(|| "the end".to_owned(), |word| format!("`{word}`"))
}

fn single_or(mut parts: Vec<Expression>, join: impl Fn(Vec<Expression>) -> Expression) -> Expression {
    if parts.len() == 1 { parts.remove(0) } else { join(parts) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_met(text: &str, allow: &[&str]) -> bool {
        let expression = Expression::parse(text).expect("valid");
        expression.is_met(&|id, exception| {
            allow.contains(&id) && exception.is_none_or(|name| name == "LLVM-exception")
        })
    }

    #[test]
    fn one_side_of_an_or_is_enough_and_both_of_an_and_are_needed() {
        assert!(is_met("GPL-3.0 OR MIT", &["MIT"]));
        assert!(is_met("GPL-3.0/MIT", &["MIT"]));
        assert!(!is_met("GPL-3.0 AND MIT", &["MIT"]));
        assert!(is_met("Zlib AND MIT", &["MIT", "Zlib"]));
    }

    #[test]
    fn and_binds_tighter_than_or() {
        assert!(is_met("MIT OR GPL-3.0 AND Zlib", &["MIT"]));
        assert!(!is_met("(MIT OR GPL-3.0) AND Zlib", &["MIT"]));
    }

    #[test]
    fn an_exception_is_part_of_its_licence() {
        assert!(is_met("Apache-2.0 WITH LLVM-exception", &["Apache-2.0"]));
        assert!(!is_met("Apache-2.0 WITH Other-exception", &["Apache-2.0"]));
        assert!(is_met("(Apache-2.0 WITH Other-exception) OR MIT", &["Apache-2.0", "MIT"]));
    }

    #[test]
    fn broken_expressions_are_refused() {
        for text in ["", "MIT OR", "(MIT", "MIT)", "MIT Zlib", "OR MIT", "MIT WITH", "MIT WITH AND"] {
            assert!(Expression::parse(text).is_err(), "{text}");
        }
    }
}
