//! Whom the functions trust when they call AWS: the roots of Amazon Trust Services and nobody else.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use holdfast_tests::root;
use sha2::{Digest as _, Sha256};

/// SHA-256 of the certificates, as amazontrust.com/repository shows them: Amazon Root CA 1 to 4, Starfield Services Root CA G2.
const PUBLISHED: [&str; 5] = [
    "8ecde6884f3d87b1125ba31ac3fcb13d7016de7f57cc904fe1cb97c6ae98196e",
    "1ba5b2aa8c65401a82960118f80bec4f62304d83cec4713a19c39c011ea46db4",
    "18ce6cfe7bf14e60b2e347b8dfe868cb31d02ebb3ada271569f50343b46db3a4",
    "e35d28419ed02025cfa69038cd623962458da5c695fbdea3c22b0bfb25897092",
    "568d6905a2c88708a4b3025190edcfedb1974a606a13c6e5290fcb2ae63edab5",
];

#[test]
fn the_pinned_roots_are_those_that_amazon_publishes() {
    let pem = std::fs::read_to_string(root().join("infra/trust/amazon-roots.pem")).unwrap();
    let bodies = pem.split("-----BEGIN CERTIFICATE-----").skip(1).map(|part| part.split("-----END").next().unwrap());
    let found: Vec<String> = bodies
        .map(|body| STANDARD.decode(body.split_whitespace().collect::<String>()).unwrap())
        .map(|der| hex::encode(Sha256::digest(der)))
        .collect();
    assert_eq!(found, PUBLISHED);
    assert!(holdfast::aws::http_client(Some(pem.as_bytes())).is_ok());
}
