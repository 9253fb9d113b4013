//! Comparing secrets.

/// Compares without telling by its duration how much was right.
pub fn is_same_secret(given: &[u8], wanted: &[u8]) -> bool {
    let differences = given.iter().zip(wanted).fold(0, |seen, (a, b)| seen | (a ^ b));
    given.len() == wanted.len() && std::hint::black_box(differences) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_whole_secret_is_the_same() {
        assert!(is_same_secret(b"let-me-in", b"let-me-in"));
        for wrong in [&b""[..], b"let-me-i", b"let-me-in!", b"let-me-iN"] {
            assert!(!is_same_secret(wrong, b"let-me-in"), "{wrong:?}");
        }
    }
}
