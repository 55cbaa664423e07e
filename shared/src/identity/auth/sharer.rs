//! The person who shared a file, remembered for as long as the share lives, so that each use checks what they may do at that time.
//!
//! What the consumer's record says is not remembered but read again; what only the credential said (roles and claims of a token)
//! is all that is known of it later, and is remembered.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::resolve::resolve;
use super::{Principal, claims};
use crate::core::caller::{self, ANONYMOUS, Caller, KEY_ALIAS};
use crate::identity::consumer::Consumer;
use crate::identity::consumer::record::Row;
use crate::model::Model;

/// A caller without a credential.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(from = "Stored")]
pub struct Sharer {
    /// Consumer that is charged.
    pub consumer: String,
    /// Subject: [`Caller::subject`].
    pub subject: String,
    /// See [`Stored::named`].
    named: bool,
    /// Roles that the credential had; `None`: the consumer's record gave them.
    roles: Option<Vec<String>>,
    /// Plan that the credential named; `None`: the consumer's record, or nobody, did.
    plan: Option<String>,
    scopes: Option<Vec<String>>,
    /// Claims that are not from the consumer's record.
    claims: BTreeMap<String, Value>,
    /// Epoch of the consumer, if it had a row.
    epoch: Option<i64>,
}

/// A sharer as it stands in the row of a share.
#[derive(Deserialize)]
struct Stored {
    consumer: String,
    subject: String,
    /// Whether `subject` has its issuer; the rows of releases that did not know issuers of subjects lack this.
    #[serde(default)]
    named: bool,
    roles: Option<Vec<String>>,
    plan: Option<String>,
    scopes: Option<Vec<String>>,
    claims: BTreeMap<String, Value>,
    epoch: Option<i64>,
}

impl From<Stored> for Sharer {
    fn from(stored: Stored) -> Self {
        let Stored { consumer, subject, named, roles, plan, scopes, claims, epoch } = stored;
        let subject = if named { subject } else { with_issuer(&consumer, subject) };
        Self { consumer, subject, named: true, roles, plan, scopes, claims, epoch }
    }
}

/// The present form of a subject without an issuer. Its consumer shows which issuer it was: of a token that is `<alias>:...`, and an API key
/// had its consumer's id for a subject.
fn with_issuer(consumer: &str, subject: String) -> String {
    match consumer.split_once(':') {
        _ if consumer == ANONYMOUS => subject,
        Some((alias, _)) if subject != consumer => caller::subject(alias, &subject),
        _ => caller::subject(KEY_ALIAS, &subject),
    }
}

impl Sharer {
    /// The sharer that a caller is, with the row of its consumer.
    pub fn of(caller: &Principal, row: Option<&Row>) -> Self {
        let record = row.and_then(|row| row.consumer.as_ref());
        Self {
            consumer: caller.consumer.clone(),
            subject: caller.subject.clone(),
            named: true,
            roles: record.is_none_or(|record| record.roles.is_none()).then(|| caller.roles.clone()),
            plan: caller.plan.clone().filter(|_| record.is_none_or(|record| record.plan.is_none())),
            scopes: caller.scopes.clone(),
            claims: caller
                .claims
                .iter()
                .filter(|(name, _)| record.is_none_or(|record| !record.claims.contains_key(*name)))
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect(),
            epoch: row.map(|row| row.epoch),
        }
    }

    /// The principal with their present rights; `None` where they have none: the consumer is disabled or was deleted since, or their
    /// roles are no longer known.
    pub fn now(&self, model: &Model, row: Option<Row>) -> Option<Principal> {
        let mut caller = Caller {
            consumer: self.consumer.clone(),
            subject: self.subject.clone(),
            plan: self.plan.clone(),
            scopes: self.scopes.clone(),
            claims: self.claims.clone(),
            epoch: row.as_ref().map(|row| row.epoch),
            ..Caller::default()
        };
        let record = match row {
            // A row stays when its consumer is deleted: one that was not there before, or in another state, tells of a deletion.
            Some(Row { consumer: None, epoch, .. }) if self.epoch != Some(epoch) => return None,
            None if self.epoch.is_some() => return None,
            None => None,
            Some(row) => row.consumer,
        };
        let roles = match record {
            None => self.roles.clone(),
            Some(Consumer { disabled: true, .. }) => return None,
            Some(record) => {
                caller.plan = record.plan.or(caller.plan);
                caller.claims.extend(claims::used(&model.auth, |name| record.claims.get(name)));
                caller.overrides = record.overrides;
                record.roles.or_else(|| self.roles.clone())
            }
        };
        caller.roles = roles?;
        Some(resolve(model, caller))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const MODEL: &str = "
name: T
version: 1.0.0
entities:
  book: {id: string, fields: {title: string, owner: {type: string, max: 20}}}
roles:
  admin: {all: true}
  reader: {entities: {book: {read: {rows: {owner: $claim.customer_id, title: $claim.region}}}}}
plans: {small: {rates: {burst: {rate: 5}}}, large: {rates: {burst: {rate: 50}}}}
auth: {claims: [customer_id, region]}
";

    fn record(roles: Option<&[&str]>, disabled: bool, claims: Value) -> Consumer {
        Consumer {
            id: "acme".into(),
            name: None,
            plan: None,
            roles: roles.map(|roles| roles.iter().map(|role| (*role).to_owned()).collect()),
            claims: serde_json::from_value(claims).unwrap(),
            disabled,
            notify: Vec::new(),
            overrides: None,
            webhook: None,
            created_at: String::new(),
            updated_at: String::new(),
            version: String::new(),
        }
    }

    fn row(epoch: i64, consumer: Option<Consumer>) -> Option<Row> {
        Some(Row { epoch, keys: 0, consumer })
    }

    fn caller(roles: &[&str]) -> Principal {
        Principal::verified(Caller {
            consumer: "acme".into(),
            subject: "ann".into(),
            roles: roles.iter().map(|role| (*role).to_owned()).collect(),
            plan: Some("large".into()),
            claims: [("customer_id".to_owned(), json!("a")), ("region".to_owned(), json!("north"))].into(),
            key_id: Some("k".into()),
            expires: Some(1),
            ..Caller::default()
        })
    }

    #[test]
    fn a_token_is_remembered_as_it_was() {
        let model = crate::model::parse("m", MODEL).unwrap();
        let sharer = Sharer::of(&caller(&["reader"]), None);
        let now = sharer.now(&model, None).unwrap();
        assert_eq!(
            (now.roles.clone(), now.plan.as_deref(), now.key_id.clone()),
            (vec!["reader".to_owned()], Some("large"), None)
        );
        assert_eq!(now.claims["region"], "north");
        assert_eq!(now.expires, None);
    }

    #[test]
    fn a_sharer_of_before_issuers_gets_the_one_that_its_consumer_tells() {
        let stored = |consumer: &str, subject: &str| json!({"consumer": consumer, "subject": subject, "roles": [], "plan": null, "scopes": null, "claims": {}, "epoch": null});
        for (consumer, subject, by_now) in [
            ("idp:me", "me", "idp:me"),
            ("idp:org", "a:b", "idp:a:b"),
            ("me", "me", "key:me"),
            ("idp:me", "idp:me", "key:idp:me"),
            ("anonymous", "anonymous", "anonymous"),
        ] {
            let sharer: Sharer = serde_json::from_value(stored(consumer, subject)).unwrap();
            assert_eq!(sharer.subject, by_now);
            let again: Sharer = serde_json::from_value(serde_json::to_value(&sharer).unwrap()).unwrap();
            assert_eq!(again, sharer, "what is stored by now stays as it is");
        }
    }

    #[test]
    fn the_record_counts_as_it_is_by_now() {
        let model = crate::model::parse("m", MODEL).unwrap();
        let was = row(3, Some(record(Some(&["admin"]), false, json!({"customer_id": "a"}))));
        let sharer = Sharer::of(&caller(&["admin"]), was.as_ref());
        assert_eq!(sharer.now(&model, was).unwrap().roles, ["admin"]);
        let fewer = row(4, Some(record(Some(&["reader"]), false, json!({"customer_id": "b"}))));
        let now = sharer.now(&model, fewer).unwrap();
        assert_eq!(
            (now.roles.clone(), now.claims["customer_id"].clone(), now.epoch),
            (vec!["reader".to_owned()], json!("b"), Some(4))
        );
        let without = sharer.now(&model, row(4, Some(record(Some(&["reader"]), false, json!({}))))).unwrap();
        assert_eq!(without.claims.get("customer_id"), None, "the record gave it and does no longer");
        assert_eq!(without.claims["region"], "north");
        for gone in [
            row(4, Some(record(Some(&["admin"]), true, json!({})))),
            row(4, Some(record(None, false, json!({})))),
            row(4, None),
            None,
        ] {
            assert_eq!(sharer.now(&model, gone.clone()), None, "{gone:?}");
        }
    }

    #[test]
    fn a_deletion_is_told_from_a_consumer_that_never_had_a_record() {
        let model = crate::model::parse("m", MODEL).unwrap();
        let deleted = row(7, None);
        let sharer = Sharer::of(&caller(&["reader"]), deleted.as_ref());
        assert!(sharer.now(&model, deleted).is_some(), "its tokens kept working when it shared");
        assert_eq!(sharer.now(&model, row(9, None)), None);
        assert_eq!(Sharer::of(&caller(&["reader"]), None).now(&model, row(2, None)), None);
    }
}
