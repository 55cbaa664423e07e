//! A clock that is set, randomness from a seed, an issuer with keys of every kind, and a table in memory that can fail.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures::future::BoxFuture;
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey};
use serde_json::{Value, json};

use crate::core::clock::{Clock, Env, Micros, Random};
use crate::identity::auth::{AuthOutcome, AuthRefusal, Authenticator, JwksError, JwksSource};
use crate::model::{Auth, Cors, Issuer, Limits, Model, RatePlan, Role};
use crate::store::double::{Double, FoundItems, Intercept, Keys};
use crate::store::table::{Item, Key, SharedTable, TableError};

/// 2026-11-21T00:00:00Z.
pub(crate) const NOW: i64 = 1_795_219_200;
pub(crate) const ISS: &str = "https://idp.example";
pub(crate) const JWKS: &str = "https://idp.example/jwks";

/// SplitMix64: repeatable, and even enough for tests.
pub(crate) struct Seeded(Mutex<u64>);

impl Seeded {
    pub(crate) fn new(seed: u64) -> Self {
        Self(Mutex::new(seed))
    }
}

impl Random for Seeded {
    fn fill(&self, buffer: &mut [u8]) {
        let mut state = self.0.lock().unwrap();
        for chunk in buffer.chunks_mut(8) {
            *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
            let mut z = *state;
            z = (z ^ z >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            z = (z ^ z >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
            chunk.copy_from_slice(&(z ^ z >> 31).to_le_bytes()[..chunk.len()]);
        }
    }
}

/// A clock that stands still until it is set.
pub(crate) struct Set(AtomicI64);

impl Set {
    pub(crate) fn at(seconds: i64) -> Self {
        Self(AtomicI64::new(seconds * 1_000_000))
    }

    pub(crate) fn advance(&self, seconds: i64) {
        self.0.fetch_add(seconds * 1_000_000, Ordering::SeqCst);
    }
}

impl Clock for Set {
    fn now(&self) -> Micros {
        Micros(self.0.load(Ordering::SeqCst))
    }
}

/// One signing key of the issuer. The two RSA keys beside this file were made for these tests and guard nothing.
pub(crate) struct Signer {
    pub(crate) kid: String,
    pub(crate) algorithm: Algorithm,
    pub(crate) key: EncodingKey,
}

impl Signer {
    pub(crate) fn ed(kid: &str, seed: u8) -> Self {
        let frame = [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];
        let key = EncodingKey::from_ed_der(&[frame.as_slice(), &[seed; 32]].concat());
        Self { kid: kid.into(), algorithm: Algorithm::EdDSA, key }
    }

    pub(crate) fn ec(kid: &str, seed: u8) -> Self {
        let frame = [
            0x30, 0x41, 2, 1, 0, 0x30, 0x13, 6, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1, 6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1,
            7, 4, 0x27, 0x30, 0x25, 2, 1, 1, 4, 0x20,
        ];
        let key = EncodingKey::from_ec_der(&[frame.as_slice(), &[seed; 32]].concat());
        Self { kid: kid.into(), algorithm: Algorithm::ES256, key }
    }

    pub(crate) fn ec_384(kid: &str, seed: u8) -> Self {
        let frame = [
            0x30, 0x4e, 2, 1, 0, 0x30, 0x10, 6, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1, 6, 5, 0x2b, 0x81, 4, 0, 0x22, 4, 0x37,
            0x30, 0x35, 2, 1, 1, 4, 0x30,
        ];
        let key = EncodingKey::from_ec_der(&[frame.as_slice(), &[seed; 48]].concat());
        Self { kid: kid.into(), algorithm: Algorithm::ES384, key }
    }

    pub(crate) fn rsa(kid: &str, algorithm: Algorithm) -> Self {
        let key = EncodingKey::from_rsa_pem(include_bytes!("rsa-2048.pem")).unwrap();
        Self { kid: kid.into(), algorithm, key }
    }

    pub(crate) fn rsa_1024(kid: &str) -> Self {
        let key = EncodingKey::from_rsa_pem(include_bytes!("rsa-1024.pem")).unwrap();
        Self { kid: kid.into(), algorithm: Algorithm::RS256, key }
    }

    pub(crate) fn jwk(&self) -> Value {
        let mut jwk = Jwk::from_encoding_key(&self.key, self.algorithm).unwrap();
        jwk.common.key_id = Some(self.kid.clone());
        serde_json::to_value(jwk).unwrap()
    }

    pub(crate) fn header(&self) -> Value {
        json!({ "alg": format!("{:?}", self.algorithm), "kid": self.kid, "typ": "JWT" })
    }

    /// A token of these claims.
    pub(crate) fn token(&self, claims: &Value) -> String {
        self.raw(&self.header().to_string(), &claims.to_string())
    }

    /// A token of this very header and payload, rightly signed.
    pub(crate) fn raw(&self, header: &str, payload: &str) -> String {
        let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload));
        let signature = jsonwebtoken::crypto::sign(signed.as_bytes(), &self.key, self.algorithm).unwrap();
        format!("{signed}.{signature}")
    }
}

pub(crate) fn document(signers: &[&Signer]) -> String {
    json!({ "keys": signers.iter().map(|signer| signer.jwk()).collect::<Vec<_>>() }).to_string()
}

/// Claims that are accepted at [`NOW`].
pub(crate) fn claims() -> Value {
    json!({ "iss": ISS, "aud": "api", "sub": "u1", "iat": NOW - 10, "exp": NOW + 600, "roles": ["reader"] })
}

/// [`claims`] with one changed, or removed by null.
pub(crate) fn claims_with(name: &str, value: Value) -> Value {
    let mut claims = claims();
    if value.is_null() {
        claims.as_object_mut().unwrap().remove(name);
    } else {
        claims[name] = value;
    }
    claims
}

/// An issuer whose document and health a test sets, and that counts how often it is asked.
#[derive(Default)]
pub(crate) struct Idp {
    pub(crate) document: Mutex<String>,
    pub(crate) down: AtomicBool,
    pub(crate) hangs: AtomicBool,
    pub(crate) asked: AtomicUsize,
}

impl Idp {
    pub(crate) fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    pub(crate) fn publish(&self, signers: &[&Signer]) {
        *self.document.lock().unwrap() = document(signers);
    }
}

impl JwksSource for Idp {
    fn fetch<'a>(&'a self, uri: &'a str, _most: usize) -> BoxFuture<'a, Result<String, JwksError>> {
        Box::pin(async move {
            assert_eq!(uri, JWKS, "no other address is ever asked");
            self.asked.fetch_add(1, Ordering::SeqCst);
            if self.hangs.load(Ordering::SeqCst) {
                std::future::pending::<()>().await;
            }
            if self.down.load(Ordering::SeqCst) {
                return Err(JwksError("down".into()));
            }
            Ok(self.document.lock().unwrap().clone())
        })
    }
}

/// A table of items that are only read.
pub(crate) type Items = Double<Stored>;

/// Items by key, for reads; can be down.
#[derive(Default)]
pub(crate) struct Stored {
    items: Mutex<HashMap<Key, Item>>,
    pub(crate) down: AtomicBool,
    pub(crate) reads: AtomicUsize,
}

impl Stored {
    pub(crate) fn put(&self, item: Item) {
        self.items.lock().unwrap().insert(item.key.clone(), item);
    }
}

impl Intercept for Stored {
    fn get<'a>(&'a self, _: &'a SharedTable, keys: Keys<'a>, consistent: bool) -> FoundItems<'a> {
        assert!(consistent, "credentials are read consistently");
        self.reads.fetch_add(1, Ordering::SeqCst);
        Box::pin(async move {
            if self.down.load(Ordering::SeqCst) {
                return Err(TableError::Busy("down".into()));
            }
            let items = self.items.lock().unwrap();
            Ok(keys.iter().map(|(_, key)| items.get(key).cloned()).collect())
        })
    }
}

pub(crate) fn issuer() -> Issuer {
    Issuer {
        alias: "idp".into(),
        issuer: ISS.into(),
        jwks_uri: Some(JWKS.into()),
        audiences: vec!["api".into(), "other".into()],
        algorithms: crate::model::ALGORITHMS.map(String::from).to_vec(),
        max_lifetime: Duration::from_secs(3600),
        leeway: Duration::from_secs(30),
        default_roles: vec!["guest".into()],
        ..crate::identity::auth::local::issuer()
    }
}

fn role(name: &str) -> Role {
    let name = name.to_owned();
    Role { name, description: None, grants: HashMap::new(), system: Vec::new(), inherits: Vec::new() }
}

fn plan(name: &str) -> RatePlan {
    RatePlan {
        name: name.into(),
        description: None,
        rates: Vec::new(),
        quotas: Vec::new(),
        costs: Vec::new(),
        thresholds: Vec::new(),
        fail_open: false,
    }
}

/// Roles guest, reader, admin; plans free (the default) and gold; claims tenant and region are used.
pub(crate) fn model() -> Model {
    Model {
        name: "test".into(),
        description: None,
        version: "1".into(),
        hash: "0".repeat(16),
        source: "".into(),
        entities: Vec::new(),
        roles: ["guest", "reader", "admin"].map(role).to_vec(),
        plans: ["free", "gold"].map(plan).to_vec(),
        auth: Auth {
            issuers: vec![issuer()],
            anonymous_role: None,
            default_plan: Some("free".into()),
            max_key_age: None,
            claims: Vec::new(),
            used_claims: ["tenant", "region", "subject"].map(String::from).to_vec(),
        },
        cors: Cors::default(),
        limits: Limits { examine: 1000, per_address: 60 },
        by_name: HashMap::new(),
        by_plural: HashMap::new(),
        validators: Arc::default(),
    }
}

/// Everything that an authenticator needs, within a test's reach.
pub(crate) struct World {
    pub(crate) clock: Arc<Set>,
    pub(crate) idp: Arc<Idp>,
    pub(crate) table: Arc<Items>,
    pub(crate) model: Arc<Model>,
    pub(crate) authenticator: Authenticator,
}

impl World {
    pub(crate) fn with_model(signers: &[&Signer], model: Model) -> Self {
        let (clock, idp, table) = (Arc::new(Set::at(NOW)), Arc::new(Idp::default()), Arc::new(Items::default()));
        idp.publish(signers);
        let env = Env { clock: clock.clone(), random: Arc::new(Seeded::new(1)) };
        let model = Arc::new(model);
        let authenticator = Authenticator::new(model.clone(), table.clone(), idp.clone(), env);
        Self { clock, idp, table, model, authenticator }
    }

    pub(crate) fn new(signers: &[&Signer]) -> Self {
        Self::with_model(signers, model())
    }

    pub(crate) async fn bearer(&self, credential: &str) -> AuthOutcome {
        self.authenticator.authenticate(Some(&format!("Bearer {credential}"))).await
    }

    pub(crate) async fn refused(&self, credential: &str, expected: AuthRefusal) {
        let outcome = self.bearer(credential).await;
        assert_eq!(outcome, AuthOutcome::from(expected), "{credential}");
    }

    pub(crate) async fn accepted(&self, credential: &str) -> crate::core::caller::Caller {
        match self.bearer(credential).await {
            AuthOutcome::Ok(verified) => *verified,
            other => panic!("{other:?} for {credential}"),
        }
    }
}

/// A consumer's record with nothing set.
pub(crate) fn consumer(id: &str) -> crate::identity::consumer::Consumer {
    crate::identity::consumer::Consumer {
        id: id.into(),
        name: None,
        plan: None,
        roles: None,
        claims: BTreeMap::new(),
        disabled: false,
        notify: Vec::new(),
        overrides: None,
        webhook: None,
        created_at: "2026-01-01T00:00:00.000Z".into(),
        updated_at: "2026-01-01T00:00:00.000Z".into(),
        version: "v1".into(),
    }
}
