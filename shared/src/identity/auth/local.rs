//! The issuer of one machine: an Ed25519 key in the data directory, whose tokens the local server accepts. Never used on AWS: only
//! the local gateway adds [`issuer`] to an authenticator.

use std::collections::{BTreeMap, HashMap};
use std::io::{self, Write as _};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use jsonwebtoken::jwk::{Jwk, ThumbprintHash};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Map, Value, json};

use super::{JwksSource, StaticJwks};
pub use crate::core::caller::LOCAL_ALIAS as ALIAS;
use crate::core::clock::{Env, Micros};
use crate::model::{Issuer, Provider, Scopes};

/// `iss` of local tokens.
pub const ISSUER: &str = "https://local.holdfast";
/// `aud` of local tokens.
pub const AUDIENCE: &str = "holdfast";
/// Name of the key's file in the data directory.
pub const KEY_FILE: &str = "signing-key";
const JWKS_URI: &str = "https://local.holdfast/.well-known/jwks.json";
/// Longest life of a local token.
pub const MAX_LIFETIME: Duration = Duration::from_secs(366 * 24 * 3600);

/// The issuer's entry beside those of the model.
pub fn issuer() -> Issuer {
    Issuer {
        alias: ALIAS.to_owned(),
        issuer: ISSUER.to_owned(),
        provider: Provider::Custom,
        jwks_uri: Some(JWKS_URI.to_owned()),
        audiences: vec![AUDIENCE.to_owned()],
        clients: Vec::new(),
        algorithms: vec!["EdDSA".to_owned()],
        consumer_claim: "sub".to_owned(),
        subject_claim: "sub".to_owned(),
        roles_claim: "roles".to_owned(),
        plan_claim: "plan".to_owned(),
        scopes_claim: "scope".to_owned(),
        client_claims: Vec::new(),
        rule_claims: BTreeMap::new(),
        scopes: Scopes::default(),
        max_lifetime: MAX_LIFETIME,
        // One clock on one machine.
        leeway: Duration::ZERO,
        default_roles: Vec::new(),
    }
}

/// The signing key.
pub struct LocalIssuer {
    key: EncodingKey,
    kid: String,
    document: String,
}

/// Content of a local token.
#[derive(Debug, Clone, PartialEq)]
pub struct TokenRequest {
    /// `sub`.
    pub subject: String,
    /// `roles`.
    pub roles: Vec<String>,
    /// Any other claims; they cannot replace `iss`, `aud`, `iat`, `exp`, `sub`.
    pub claims: BTreeMap<String, Value>,
    /// `plan`.
    pub plan: Option<String>,
    /// Lifetime, at most [`MAX_LIFETIME`].
    pub expires_in: Duration,
}

impl LocalIssuer {
    /// The key of a data directory, made (readable by its owner only) where there is none yet. Processes that start together agree
    /// on one.
    ///
    /// # Errors
    /// The directory or file cannot be read or written, or holds something else.
    pub fn open(directory: &Path, env: &Env) -> io::Result<Self> {
        let path = directory.join(KEY_FILE);
        if !path.try_exists()? {
            std::fs::create_dir_all(directory)?;
            let draft = directory.join(format!("{KEY_FILE}.{:016x}", u64::from_le_bytes(env.bytes())));
            let seed = hex::encode(env.bytes::<32>());
            private_file(&draft)?.write_all(seed.as_bytes())?;
            // A link fails where the name is taken, so the first of several wins and none reads half a key.
            let linked = std::fs::hard_link(&draft, &path);
            std::fs::remove_file(&draft)?;
            if let Err(error) = linked
                && error.kind() != io::ErrorKind::AlreadyExists
            {
                return Err(error);
            }
        }
        let text = std::fs::read_to_string(&path)?;
        let seed = seed(text.trim()).ok_or_else(|| {
            io::Error::new(io::ErrorKind::InvalidData, format!("{} is not 64 hexadecimal digits", path.display()))
        })?;
        Self::from_seed(seed)
    }

    /// A key that lives in memory only.
    ///
    /// # Errors
    /// As [`Self::open`]; not to be expected.
    pub fn in_memory(env: &Env) -> io::Result<Self> {
        Self::from_seed(env.bytes())
    }

    fn from_seed(seed: [u8; 32]) -> io::Result<Self> {
        let fail = |error: jsonwebtoken::errors::Error| io::Error::new(io::ErrorKind::InvalidData, error.to_string());
        // PKCS #8 (RFC 8410, 7): the frame of a private key of 32 bytes.
        const FRAME: [u8; 16] = [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];
        let key = EncodingKey::from_ed_der(&[FRAME.as_slice(), &seed].concat());
        let mut jwk = Jwk::from_encoding_key(&key, Algorithm::EdDSA).map_err(fail)?;
        let kid = jwk.thumbprint(ThumbprintHash::SHA256).map_err(fail)?;
        jwk.common.key_id = Some(kid.clone());
        let document = json!({ "keys": [jwk] }).to_string();
        Ok(Self { key, kid, document })
    }

    /// A source of key sets that knows this one, and asks `otherwise` for those of other issuers.
    pub fn jwks(&self, otherwise: Option<Arc<dyn JwksSource>>) -> Arc<dyn JwksSource> {
        Arc::new(StaticJwks::new(HashMap::from([(JWKS_URI.to_owned(), self.document.clone())]), otherwise))
    }

    /// Signs any claims.
    ///
    /// # Errors
    /// Where they cannot be signed; not to be expected.
    pub fn sign(&self, claims: &Map<String, Value>) -> io::Result<String> {
        let header = Header { kid: Some(self.kid.clone()), ..Header::new(Algorithm::EdDSA) };
        jsonwebtoken::encode(&header, claims, &self.key)
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error.to_string()))
    }

    /// A token that the local server accepts from `now` on.
    ///
    /// # Errors
    /// It would live longer than [`MAX_LIFETIME`].
    pub fn token(&self, request: &TokenRequest, now: Micros) -> io::Result<String> {
        if request.expires_in > MAX_LIFETIME {
            let message = format!("a local token lives at most {} days", MAX_LIFETIME.as_secs() / 86_400);
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
        let mut claims: Map<String, Value> = request.claims.clone().into_iter().collect();
        claims.insert("iss".to_owned(), json!(ISSUER));
        claims.insert("aud".to_owned(), json!(AUDIENCE));
        claims.insert("sub".to_owned(), json!(request.subject));
        claims.insert("iat".to_owned(), json!(now.seconds()));
        claims.insert("exp".to_owned(), json!(now.plus(request.expires_in).seconds()));
        if !request.roles.is_empty() {
            claims.insert("roles".to_owned(), json!(request.roles));
        }
        if let Some(plan) = &request.plan {
            claims.insert("plan".to_owned(), json!(plan));
        }
        self.sign(&claims)
    }
}

fn seed(text: &str) -> Option<[u8; 32]> {
    hex::decode(text).ok()?.try_into().ok()
}

fn private_file(path: &Path) -> io::Result<std::fs::File> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}
