//! Signatures of the Standard Webhooks specification, version 1: HMAC-SHA-256 over `id.timestamp.body`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use subtle::ConstantTimeEq as _;

/// The secret that a consumer verifies its webhooks with: shown as `whsec_` and base64.
#[derive(Clone)]
pub struct Secret([u8; 32]);

/// How far a receiver should let clocks differ, seconds.
pub const TOLERANCE: i64 = 300;

impl Secret {
    /// A consumer's secret, derived from the deployment's and a random salt that stands in the consumer's row: the secret itself
    /// is stored nowhere, no consumer can make another's signature, and another salt makes another secret.
    pub fn of(master: &[u8], consumer: &str, salt: &str) -> Self {
        Self(hmac(master, &[b"holdfast webhook 1\0", consumer.as_bytes(), b"\0", salt.as_bytes()]))
    }

    /// Secret as the consumer gets it.
    pub fn reveal(&self) -> String {
        format!("whsec_{}", STANDARD.encode(self.0))
    }

    /// What a receiver does: whether one of the signatures fits, and the time is near `now`.
    pub fn verifies(&self, id: &str, timestamp: i64, signatures: &str, body: &str, now: i64) -> bool {
        let expected = self.mac(id, timestamp, body);
        let fits = |signature: &str| {
            let given = signature.strip_prefix("v1,").and_then(|given| STANDARD.decode(given).ok());
            given.is_some_and(|given| bool::from(given.ct_eq(&expected)))
        };
        now.abs_diff(timestamp) <= TOLERANCE.unsigned_abs() && signatures.split(' ').any(fits)
    }

    fn mac(&self, id: &str, timestamp: i64, body: &str) -> [u8; 32] {
        hmac(&self.0, &[id.as_bytes(), b".", timestamp.to_string().as_bytes(), b".", body.as_bytes()])
    }
}

/// The headers of a webhook: `webhook-id`, `webhook-timestamp` (seconds), `webhook-signature`: one signature for each secret, so that
/// a receiver may change from one to the next when it likes.
pub fn headers(secrets: &[Secret], id: &str, timestamp: i64, body: &str) -> Vec<(&'static str, String)> {
    let sign = |secret: &Secret| format!("v1,{}", STANDARD.encode(secret.mac(id, timestamp, body)));
    vec![
        ("content-type", "application/json".to_owned()),
        ("webhook-id", id.to_owned()),
        ("webhook-timestamp", timestamp.to_string()),
        ("webhook-signature", secrets.iter().map(sign).collect::<Vec<_>>().join(" ")),
    ]
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// A key of any length is good for HMAC, so the error cannot happen.
fn hmac(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else { return [0; 32] };
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_is_that_of_the_specifications_own_example() {
        // From the reference libraries' tests: this secret, id, time and body have this signature.
        let key = STANDARD.decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let parts: [&[u8]; 3] = [b"msg_p5jXN8AQM9LWM0D4loKWxJek.", b"1614265330.", b"{\"test\": 2432232314}"];
        assert_eq!(STANDARD.encode(hmac(&key, &parts)), "g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn a_changed_body_id_time_or_secret_does_not_verify() {
        let (secret, next) = (Secret::of(b"master", "c1", "s1"), Secret::of(b"master", "c1", "s2"));
        let both = headers(&[next.clone(), secret.clone()], "m1", 1_000, "{}");
        assert!(next.verifies("m1", 1_000, &both[3].1, "{}", 1_000) && secret.verifies("m1", 1_000, &both[3].1, "{}", 1_000));
        let headers = headers(std::slice::from_ref(&secret), "m1", 1_000, "{}");
        let signature = &headers[3].1;
        assert!(!next.verifies("m1", 1_000, signature, "{}", 1_000));
        assert!(secret.verifies("m1", 1_000, &format!("v1,AAAA {signature}"), "{}", 1_100));
        assert!(!secret.verifies("m1", 1_000, signature, "{ }", 1_100));
        assert!(!secret.verifies("m2", 1_000, signature, "{}", 1_100));
        assert!(!secret.verifies("m1", 1_001, signature, "{}", 1_100));
        assert!(!secret.verifies("m1", 1_000, signature, "{}", 1_301));
        assert!(!Secret::of(b"master", "c2", "s1").verifies("m1", 1_000, signature, "{}", 1_100));
        assert!(secret.reveal().starts_with("whsec_"));
        assert_eq!(format!("{secret:?}"), "Secret(..)");
    }
}
