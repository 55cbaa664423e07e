//! API keys `hf_<env>_<id>_<secret><checksum>`.
//!
//! The prefix lets secret scanners find a leaked key, the checksum (CRC-32 as six base62 digits, over all that stands before it)
//! lets us refuse junk without asking the database, the id finds the row, and the secret (30 base62 digits, 178 bits) is what
//! counts. Only the SHA-256 of the key is stored: with that much entropy nothing slower is needed. `hf_pub_...` is publishable.

use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use crate::core::clock::Random;

/// Digits of base62 in the order of ASCII.
const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const ID: usize = 12;
const SECRET: usize = 30;
const CHECKSUM: usize = 6;
/// The environment of publishable keys.
pub const PUBLISHABLE: &str = "pub";
/// Longest name of an environment.
const MAX_ENVIRONMENT: usize = 16;

/// A new key, with its text, which is not stored.
pub struct NewKey {
    /// The id, which may be shown later.
    pub id: String,
    /// The whole key. Shown once, never logged, never stored.
    pub key: String,
    /// The hash, which is stored.
    pub hash: [u8; 32],
}

/// A key whose form and checksum are right; it may still be unknown.
pub struct Presented<'k> {
    /// Its id.
    pub id: &'k str,
    /// Whether it is a publishable one.
    pub publishable: bool,
    key: &'k str,
}

/// Makes a key. `environment` (`live`, `test`, `pub`) says where it belongs; `None` if it is not `[a-z0-9]{1,16}`.
pub fn generate(random: &dyn Random, environment: &str) -> Option<NewKey> {
    if !is_environment(environment) {
        return None;
    }
    let (id, secret) = (base62(random, ID), base62(random, SECRET));
    let body = format!("hf_{environment}_{id}_{secret}");
    let key = format!("{body}{}", checksum(&body));
    let hash = Sha256::digest(key.as_bytes()).into();
    Some(NewKey { id, key, hash })
}

/// Whether a credential has the prefix of an API key.
pub fn is_api_key(credential: &str) -> bool {
    credential.starts_with("hf_")
}

/// The parts of a key with a correct checksum, without I/O; `None` for anything else.
pub fn parse(key: &str) -> Option<Presented<'_>> {
    let (environment, rest) = key.strip_prefix("hf_")?.split_once('_')?;
    let (id, secret) = rest.split_once('_')?;
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let sound =
        is_environment(environment) && id.len() == ID && secret.len() == SECRET + CHECKSUM && digits(id) && digits(secret);
    if !sound {
        return None;
    }
    let (body, sum) = key.split_at_checked(key.len() - CHECKSUM)?;
    (checksum(body) == sum).then_some(Presented { id, publishable: environment == PUBLISHABLE, key })
}

impl Presented<'_> {
    /// Whether it is the key of this hash, in a time that tells nothing about it.
    pub fn is(&self, hash: &[u8]) -> bool {
        Sha256::digest(self.key.as_bytes()).as_slice().ct_eq(hash).into()
    }
}

fn is_environment(name: &str) -> bool {
    (1..=MAX_ENVIRONMENT).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
}

/// `length` digits drawn evenly: bytes of 248 and more would favour the first digits and are drawn again.
fn base62(random: &dyn Random, length: usize) -> String {
    let mut text = String::with_capacity(length);
    let mut bytes = [0u8; 64];
    while text.len() < length {
        random.fill(&mut bytes);
        let even = bytes.iter().filter(|byte| **byte < 248).map(|byte| char::from(DIGITS[usize::from(byte % 62)]));
        text.extend(even.take(length - text.len()));
    }
    text
}

fn checksum(body: &str) -> String {
    let mut sum = crc32(body.as_bytes());
    let mut digits = [b'0'; CHECKSUM];
    for digit in digits.iter_mut().rev() {
        *digit = DIGITS[usize::try_from(sum % 62).unwrap_or(0)];
        sum /= 62;
    }
    digits.iter().copied().map(char::from).collect()
}

/// CRC-32 as in gzip (RFC 1952, 8), bit by bit: the input is 50 bytes.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |sum, byte| {
        (0..8).fold(sum ^ u32::from(*byte), |sum, _| if sum & 1 == 1 { sum >> 1 ^ 0xEDB8_8320 } else { sum >> 1 })
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::identity::auth::tests::support::Seeded;

    #[test]
    fn the_checksum_is_the_crc_of_gzip() {
        assert_eq!(crc32(b"123456789"), 0xCBF4_3926, "the check value of the catalogue of CRCs");
    }

    #[test]
    fn a_new_key_is_recognised_and_is_only_itself() {
        let random = Seeded::new(1);
        let (one, two) = (generate(&random, "live").unwrap(), generate(&random, "live").unwrap());
        assert_ne!(one.key, two.key);
        assert!(one.key.starts_with(&format!("hf_live_{}_", one.id)));
        let presented = parse(&one.key).unwrap();
        assert_eq!(presented.id, one.id);
        assert!(presented.is(&one.hash) && !presented.is(&two.hash) && !presented.is(&[]) && !presented.is(&one.hash[..31]));
        assert!(!presented.publishable && parse(&generate(&random, PUBLISHABLE).unwrap().key).unwrap().publishable);
    }

    #[test]
    fn an_environment_is_a_short_lower_case_word() {
        for name in ["", "Live", "a_b", "a-b", "seventeenletters1", "é"] {
            assert!(generate(&Seeded::new(1), name).is_none(), "{name}");
        }
    }

    #[test]
    fn digits_are_drawn_evenly() {
        let text = base62(&Seeded::new(7), 62_000);
        for digit in DIGITS {
            let count = text.bytes().filter(|byte| byte == digit).count();
            assert!((850..1150).contains(&count), "{} came {count} times of 1000", char::from(*digit));
        }
    }

    proptest! {
        #[test]
        fn no_single_change_survives_the_checksum(seed: u64, at in 0usize..56, to in 0usize..62) {
            let key = generate(&Seeded::new(seed), "live").unwrap().key;
            let mut bytes = key.clone().into_bytes();
            let at = at % bytes.len();
            prop_assume!(bytes[at] != DIGITS[to]);
            bytes[at] = DIGITS[to];
            prop_assert!(parse(&String::from_utf8(bytes).unwrap()).is_none());
        }

        #[test]
        fn nothing_panics(text in "\\PC{0,80}", tail in "hf_[a-z]{0,5}_\\PC{0,60}") {
            prop_assert!(parse(&text).is_none());
            prop_assert!(parse(&tail).is_none());
        }
    }
}
