//! The cookie of a waiting room: who holds it has a place in line, or is inside.
//!
//! All that is known of a person is in it, so that a million who wait cost no memory. It is signed, so that nobody
//! writes one for himself, and carries the room that it is for.
//!
//! ```text
//!   kind · room · number · mark · stamp · HMAC-SHA256 of all that, cut to 16 bytes      in base64url, 55 characters
//!     1     4       8       8      4        16
//! ```

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use core::fmt;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

const SIGNED_BYTES: usize = 25;
const MAC_BYTES: usize = 16;
const BYTES: usize = SIGNED_BYTES + MAC_BYTES;

/// Characters of a token.
pub const TOKEN_LEN: usize = 55;

/// A token as it stands in the cookie.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Token([u8; TOKEN_LEN]);

impl Token {
    /// Its characters.
    pub fn as_str(&self) -> &str {
        // Base64 is ASCII.
        core::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Whoever has it, has the place.
        f.write_str("Token(…)")
    }
}

/// What a token says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Claim {
    /// A place in line.
    Place {
        /// Its number.
        number: u64,
        /// Up to which number people had been called when it was written: what a room that was restarted learns from.
        called: u64,
        /// When it was written, in seconds since 1970.
        stamp_s: u32,
    },
    /// The right to be inside.
    Pass {
        /// The number under which its holder came in.
        number: u64,
        /// Who may use it; 0 is anybody.
        client: u64,
        /// When its holder was last seen, in seconds since 1970, give or take a step.
        seen_s: u32,
    },
}

/// Why a cookie is worth nothing. Whoever sends one gets a new place at the end.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Invalid {
    /// It is no token.
    Malformed,
    /// It is the token of another room.
    ForeignRoom,
    /// Nobody here has signed it.
    Forged,
    /// It was good once: its holder has stayed away for too long.
    Expired,
    /// Somebody has already come in with this place.
    Replayed,
    /// Somebody else came in with it.
    OtherClient,
}

impl Invalid {
    /// One of each variant.
    pub const ALL: [Self; 6] =
        [Self::Malformed, Self::ForeignRoom, Self::Forged, Self::Expired, Self::Replayed, Self::OtherClient];

    /// The word for metrics and programs.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::ForeignRoom => "foreign_room",
            Self::Forged => "forged",
            Self::Expired => "expired",
            Self::Replayed => "replayed",
            Self::OtherClient => "other_client",
        }
    }
}

/// What signs the tokens of one room.
#[derive(Clone)]
pub struct Key {
    hmac: Hmac<Sha256>,
    room: [u8; 4],
}

impl Key {
    /// The key of the room of this name.
    pub fn new(secret: &[u8], room: &str) -> Self {
        // HMAC takes keys of any length.
        let mut hmac = Hmac::<Sha256>::new_from_slice(secret).unwrap_or_else(|_| unreachable!());
        hmac.update(room.as_bytes());
        hmac.update(&[0]);
        Self { hmac, room: (hash(room.as_bytes()) as u32).to_be_bytes() }
    }

    /// The token that says this.
    pub fn sign(&self, claim: Claim) -> Token {
        let mut bytes = [0; BYTES];
        let (kind, number, mark, stamp) = match claim {
            Claim::Place { number, called, stamp_s } => (1, number, called, stamp_s),
            Claim::Pass { number, client, seen_s } => (2, number, client, seen_s),
        };
        bytes[0] = kind;
        bytes[1..5].copy_from_slice(&self.room);
        bytes[5..13].copy_from_slice(&number.to_be_bytes());
        bytes[13..21].copy_from_slice(&mark.to_be_bytes());
        bytes[21..25].copy_from_slice(&stamp.to_be_bytes());
        let (signed, mac) = bytes.split_at_mut(SIGNED_BYTES);
        let mut hmac = self.hmac.clone();
        hmac.update(signed);
        mac.copy_from_slice(&hmac.finalize().into_bytes()[..MAC_BYTES]);
        let mut text = [0; TOKEN_LEN];
        // The text has room for exactly these bytes.
        let _ = URL_SAFE_NO_PAD.encode_slice(bytes, &mut text);
        Token(text)
    }

    /// What a cookie says, if it was signed here. The signature is compared in constant time.
    ///
    /// # Errors
    /// [`Invalid::Malformed`], [`Invalid::ForeignRoom`] or [`Invalid::Forged`].
    pub fn read(&self, text: &[u8]) -> Result<Claim, Invalid> {
        // The decoder wants room for whole groups of four characters.
        let mut bytes = [0; BYTES + 3];
        if text.len() != TOKEN_LEN || URL_SAFE_NO_PAD.decode_slice(text, &mut bytes) != Ok(BYTES) {
            return Err(Invalid::Malformed);
        }
        let (signed, mac) = bytes[..BYTES].split_at(SIGNED_BYTES);
        if signed[1..5] != self.room {
            return Err(Invalid::ForeignRoom);
        }
        let mut hmac = self.hmac.clone();
        hmac.update(signed);
        hmac.verify_truncated_left(mac).map_err(|_| Invalid::Forged)?;
        let long = |at: usize| signed[at..at + 8].iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte));
        let stamp = signed[21..25].iter().fold(0, |sum, byte| sum << 8 | u32::from(*byte));
        match signed[0] {
            1 => Ok(Claim::Place { number: long(5), called: long(13), stamp_s: stamp }),
            2 => Ok(Claim::Pass { number: long(5), client: long(13), seen_s: stamp }),
            _ => Err(Invalid::Malformed),
        }
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(…)")
    }
}

/// A number that stands for some bytes, the same after a restart (FNV-1a). Never 0.
pub fn hash(bytes: &[u8]) -> u64 {
    let hash = bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    hash.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PLACE: Claim = Claim::Place { number: 7, called: 3, stamp_s: 1_800_000_000 };

    #[test]
    fn what_was_signed_reads_back() {
        let key = Key::new(b"secret", "main");
        for claim in [PLACE, Claim::Pass { number: u64::MAX, client: 1, seen_s: u32::MAX }] {
            let token = key.sign(claim);
            assert_eq!(key.read(token.as_str().as_bytes()), Ok(claim));
            assert!(!format!("{token:?}{key:?}").contains(token.as_str()));
        }
    }

    #[test]
    fn other_secrets_and_other_rooms_are_told_apart() {
        let token = Key::new(b"secret", "main").sign(PLACE);
        let read = |secret: &[u8], room| Key::new(secret, room).read(token.as_str().as_bytes());
        assert_eq!(read(b"other", "main"), Err(Invalid::Forged));
        assert_eq!(read(b"secret", "sale"), Err(Invalid::ForeignRoom));
    }

    #[test]
    fn reasons_have_words_of_their_own() {
        for reason in Invalid::ALL {
            assert_eq!(Invalid::ALL.iter().filter(|other| other.code() == reason.code()).count(), 1);
        }
    }

    proptest! {
        #[test]
        fn any_claim_reads_back(number: u64, mark: u64, stamp: u32, is_pass: bool, secret: Vec<u8>) {
            let claim = if is_pass {
                Claim::Pass { number, client: mark, seen_s: stamp }
            } else {
                Claim::Place { number, called: mark, stamp_s: stamp }
            };
            let key = Key::new(&secret, "main");
            prop_assert_eq!(key.read(key.sign(claim).as_str().as_bytes()), Ok(claim));
        }

        #[test]
        fn no_other_text_is_a_token(text in proptest::collection::vec(any::<u8>(), 0..80)) {
            prop_assert!(Key::new(b"secret", "main").read(&text).is_err());
        }

        #[test]
        fn a_token_with_one_character_changed_is_none(at in 0..TOKEN_LEN, to: u8) {
            let key = Key::new(b"secret", "main");
            let token = key.sign(PLACE);
            let mut text = token.as_str().as_bytes().to_vec();
            prop_assume!(text[at] != to);
            text[at] = to;
            prop_assert!(key.read(&text).is_err());
        }
    }
}
