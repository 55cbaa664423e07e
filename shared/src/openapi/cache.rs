//! Cache of finished documents in the memory of a process, by everything that they depend on.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use quick_cache::Weighter;
use quick_cache::sync::Cache;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::document::openapi;
use super::markdown::markdown;
use super::source::{Site, Source};
use super::system;
use super::yaml::yaml;
use crate::core::caller::Caller;
use crate::model::{Action, Entity, FieldMask, Model};

/// Maximum size of all cached documents, bytes.
const MAX_BYTES: u64 = 8 << 20;
/// Number of documents of the size of the demo's that fit.
const USUAL: usize = 32;

/// Format of a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Form {
    /// OpenAPI as JSON.
    Json,
    /// OpenAPI as YAML.
    Yaml,
    /// Markdown for language models.
    Markdown,
}

/// The cached documents of one process. Callers with equal access share them.
#[derive(Debug)]
pub struct Documents {
    kept: Cache<(String, Form), Bytes, Size>,
}

#[derive(Debug, Clone)]
struct Size;

impl Weighter<(String, Form), Bytes> for Size {
    fn weight(&self, _: &(String, Form), text: &Bytes) -> u64 {
        text.len() as u64
    }
}

impl Default for Documents {
    fn default() -> Self {
        Self { kept: Cache::with_weighter(USUAL, MAX_BYTES, Size) }
    }
}

impl Documents {
    /// The document for a caller, made at most once for equal access.
    ///
    /// # Errors
    /// As [`yaml`].
    pub fn get(&self, model: &Model, caller: &Caller, site: Site<'_>, form: Form) -> Result<Bytes, String> {
        let key = (fingerprint(model, caller, site), form);
        self.kept.get_or_insert_with(&key, || {
            let document = openapi(model, caller, site);
            Ok(Bytes::from(match form {
                Form::Json => document.to_string(),
                Form::Yaml => yaml(&document)?,
                Form::Markdown => markdown(&document),
            }))
        })
    }
}

/// Cache key: a hash of everything that a document shows. That is the model, the address and, of the caller, the roles, limits,
/// system resources and, by entity and action, the permission with its fields; but not the identity. Equal keys mean equal
/// documents.
fn fingerprint(model: &Model, caller: &Caller, site: Site<'_>) -> String {
    let source = Source { model, caller, site };
    let access = |entity: &Entity| -> Vec<Value> {
        let of = |action: &Action| {
            let access = source.access(entity, *action);
            let names = |mask: FieldMask| mask.iter().map(|field| field.0).collect::<Vec<u16>>();
            json!([access.is_forbidden(), names(access.widest()), names(access.widest_links())])
        };
        Action::ALL.iter().map(of).collect()
    };
    let entities: Vec<_> = model.entities.iter().map(access).collect();
    let paths: Vec<String> = system::paths(&source).keys().cloned().collect();
    let inputs = json!([
        model.hash,
        site.url,
        site.environment,
        caller.roles,
        caller.plan,
        caller.overrides,
        caller.anonymous,
        caller.key_id.is_some(),
        paths,
        system::everybody(&source),
        entities,
    ]);
    URL_SAFE_NO_PAD.encode(Sha256::digest(inputs.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::openapi::of_role;

    const SITE: Site<'static> = Site { url: "https://api.example", environment: "live" };

    fn model() -> Model {
        crate::model::parse("model.yaml", include_str!("../../../model.yaml")).unwrap()
    }

    fn customer(id: &str, plan: &str) -> Caller {
        Caller {
            consumer: id.to_owned(),
            subject: id.to_owned(),
            roles: vec!["customer".to_owned()],
            plan: Some(plan.to_owned()),
            claims: [("customer_id".to_owned(), json!(id))].into(),
            ..Caller::default()
        }
    }

    #[test]
    fn callers_with_equal_access_share_a_document_and_others_do_not() {
        let model = model();
        let of = |caller: &Caller| fingerprint(&model, caller, SITE);
        assert_eq!(of(&customer("ada", "free")), of(&customer("ben", "free")));
        let other_site = Site { url: "https://b.example", ..SITE };
        let mut without_claims = customer("ada", "free");
        without_claims.claims.clear();
        let all = [
            of(&customer("ada", "free")),
            of(&customer("ada", "standard")),
            of(&without_claims),
            of(&of_role(&model, &["packer"])),
            of(&of_role(&model, &["admin"])),
            fingerprint(&model, &customer("ada", "free"), other_site),
        ];
        let distinct: std::collections::HashSet<&String> = all.iter().collect();
        assert_eq!(distinct.len(), all.len());
    }

    #[test]
    fn equal_fingerprints_mean_equal_documents() {
        let model = model();
        let (ada, ben) = (customer("ada", "free"), customer("ben", "free"));
        assert_eq!(openapi(&model, &ada, SITE), openapi(&model, &ben, SITE));
    }

    #[test]
    fn a_document_is_made_once() {
        let (model, documents) = (model(), Documents::default());
        let first = documents.get(&model, &customer("ada", "free"), SITE, Form::Json).unwrap();
        let again = documents.get(&model, &customer("ben", "free"), SITE, Form::Json).unwrap();
        assert_eq!(first.as_ptr(), again.as_ptr(), "the same bytes");
        let yaml = documents.get(&model, &customer("ada", "free"), SITE, Form::Yaml).unwrap();
        assert_ne!(first, yaml);
    }
}
