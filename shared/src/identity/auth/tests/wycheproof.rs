//! The public test set of the Wycheproof project: `json_web_signature_test.json` and `json_web_key_test.json`, version 1. The files
//! are not part of this repository; the variable `HOLDFAST_WYCHEPROOF` names the directory that holds them.
//!
//! What applies is decided rightly without exception. What does not apply is counted, and says why:
//! * `valid` vectors of algorithms that are not accepted here (HMAC, P-521): they have to be refused;
//! * one `valid` vector states `alg` PS256 for a key and signs with PS384 (RFC 7520, figure 20): refused for both reasons.

use std::path::PathBuf;

use serde_json::Value;

use crate::identity::auth::jwks::KeySet;
use crate::identity::auth::jws::Unverified;

fn accepts(keys: &Value, token: &str) -> bool {
    let document = if keys.get("keys").is_some() { keys.clone() } else { serde_json::json!({ "keys": [keys] }) };
    let Ok(keys) = KeySet::parse(&document.to_string()) else { return false };
    let Ok(token) = Unverified::parse(token) else { return false };
    keys.find(token.kid.as_deref(), token.algorithm).is_ok_and(|key| token.signed_by(key))
}

/// Whether the header names an algorithm that is accepted here.
fn applies(token: &str) -> bool {
    use base64::Engine as _;
    let header = token.split('.').next().unwrap_or_default();
    base64::engine::general_purpose::URL_SAFE_NO_PAD
        .decode(header)
        .ok()
        .and_then(|bytes| serde_json::from_slice::<Value>(&bytes).ok())
        .and_then(|header| header.get("alg")?.as_str().map(|name| crate::identity::auth::jwks::algorithm(name).is_some()))
        .unwrap_or(false)
}

#[test]
fn every_vector_that_applies_is_decided_rightly() {
    let Some(directory) = std::env::var_os("HOLDFAST_WYCHEPROOF").map(PathBuf::from) else {
        println!("skipped: HOLDFAST_WYCHEPROOF does not name a directory with Wycheproof's testvectors_v1");
        return;
    };
    let (mut accepted, mut refused, mut foreign, mut wrong) = (0, 0, 0, Vec::new());
    for name in ["json_web_signature_test.json", "json_web_key_test.json"] {
        let text = std::fs::read_to_string(directory.join(name)).unwrap();
        let file: Value = serde_json::from_str(&text).unwrap();
        for group in file["testGroups"].as_array().unwrap() {
            // Symmetric groups have no public key: their secret is offered instead, and must not be taken.
            let keys = group.get("public").unwrap_or(&group["private"]);
            for test in group["tests"].as_array().unwrap() {
                let token = test["jws"].as_str().map_or_else(|| test["jws"].to_string(), str::to_owned);
                let (got, valid) = (accepts(keys, &token), test["result"] == "valid");
                match (valid && applies(&token), got) {
                    (true, true) => accepted += 1,
                    (false, false) if valid => foreign += 1,
                    (false, false) => refused += 1,
                    _ => wrong.push(format!("{name} {}: {}", test["tcId"], test["comment"])),
                }
            }
        }
    }
    println!("accepted {accepted}, refused {refused}, valid but of foreign algorithms {foreign}");
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(accepted > 10 && refused > 300, "the files are those that are meant: {accepted} {refused}");
}
