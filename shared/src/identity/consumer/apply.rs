//! Consumers as a file, for GitOps: what it says, how that differs from what is there, and making it so.
//!
//! ```yaml
//! prune: false              # true: delete consumers that do not stand here
//! consumers:
//!   acme: {name: Acme, plan: gold, roles: [reader], claims: {tenant: 7}}
//!   "idp:u1": {disabled: true}
//! ```
//! Each consumer is whole: what is not said is at its default. Keys are secrets and never in files. The difference is pure; every
//! step of its execution requires the version that the difference was made from, so nothing that was not shown is overwritten.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::input::{self, ConsumerSettings};
use super::{Consumer, ConsumerError, Consumers, InputViolation};
use crate::model::{Document, Mistake, Model};

/// Contents of a file.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Desired {
    /// Whether consumers that are not in it are deleted.
    pub prune: bool,
    consumers: BTreeMap<String, ConsumerSettings>,
}

/// One member that differs.
#[derive(Debug, Clone, PartialEq)]
pub struct Difference {
    /// Name of the member.
    pub member: &'static str,
    /// Stored value.
    pub before: Value,
    /// Value of the file.
    pub after: Value,
}

/// One step from what is there to what is asked for.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// A consumer that is not there.
    Create {
        /// Its id.
        id: String,
        /// New value.
        body: Value,
    },
    /// A consumer that differs.
    Update {
        /// Its id.
        id: String,
        /// New value.
        body: Value,
        /// In which members.
        differences: Vec<Difference>,
        /// The version that was compared.
        version: String,
    },
    /// A consumer that is not in the file.
    Delete {
        /// Its id.
        id: String,
        /// The version that was seen.
        version: String,
    },
}

impl Step {
    /// Of which consumer.
    pub fn id(&self) -> &str {
        match self {
            Self::Create { id, .. } | Self::Update { id, .. } | Self::Delete { id, .. } => id,
        }
    }
}

/// `+ acme`, `~ acme` with a line for each member, `- acme`.
impl std::fmt::Display for Step {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Create { id, body } => write!(f, "+ {id} {body}"),
            Self::Delete { id, .. } => write!(f, "- {id}"),
            Self::Update { id, differences, .. } => {
                write!(f, "~ {id}")?;
                differences
                    .iter()
                    .try_for_each(|Difference { member, before, after }| write!(f, "\n    {member}: {before} -> {after}"))
            }
        }
    }
}

/// Reads a file.
///
/// # Errors
/// Everything that is wrong with it, each with its place.
pub fn read(model: &Model, file_name: &str, source: &str) -> Result<Desired, Vec<Mistake>> {
    let document = Document::read(file_name, source)?;
    let Some(members) = document.value.as_object() else {
        return Err(vec![document.mistake("", "the file must be an object with `consumers`")]);
    };
    let mut mistakes: Vec<Mistake> = members
        .keys()
        .filter(|name| !["prune", "consumers"].contains(&name.as_str()))
        .map(|name| document.mistake(&format!("/{name}"), format!("unknown key `{name}`; known here: prune, consumers")))
        .collect();
    let mut desired = Desired::default();
    match members.get("prune") {
        None => {}
        Some(Value::Bool(prune)) => desired.prune = *prune,
        Some(_) => mistakes.push(document.mistake("/prune", "`prune` must be true or false")),
    }
    match members.get("consumers") {
        Some(Value::Object(consumers)) => desired.consumers = settings(model, &document, consumers, &mut mistakes),
        Some(Value::Null) => {}
        Some(_) | None => {
            mistakes
                .push(document.mistake("/consumers", "`consumers` must be an object of consumers by their ids; `{}` for none"));
        }
    }
    mistakes.sort();
    if mistakes.is_empty() { Ok(desired) } else { Err(mistakes) }
}

fn settings(
    model: &Model,
    document: &Document,
    consumers: &Map<String, Value>,
    mistakes: &mut Vec<Mistake>,
) -> BTreeMap<String, ConsumerSettings> {
    let mut read = BTreeMap::new();
    for (id, body) in consumers {
        let place = format!("/consumers/{}", id.replace('~', "~0").replace('/', "~1"));
        if !input::is_consumer_id(id) {
            mistakes.push(document.mistake(&place, format!("`{id}` is no id of a consumer: {}", input::ID_RULE)));
        }
        let nothing = json!({});
        let body = if body.is_null() { &nothing } else { body };
        if body.get("id").is_some() {
            mistakes.push(document.mistake(&format!("{place}/id"), "the id stands before the colon, and only there"));
        }
        match input::settings(model, body, None) {
            Ok(settings) => _ = read.insert(id.clone(), settings),
            Err(violations) => mistakes.extend(violations.into_iter().map(|InputViolation { pointer, message, .. }| {
                let member = pointer.trim_start_matches('/').replace('/', ".");
                let text = if member.is_empty() { format!("`{id}` {message}") } else { format!("`{member}` {message}") };
                document.mistake(&format!("{place}{pointer}"), text)
            })),
        }
    }
    read
}

/// The steps from `present` to `desired`: creations and updates in the order of ids, then deletions.
pub fn diff(desired: &Desired, present: &[Consumer]) -> Vec<Step> {
    let there: BTreeMap<&str, &Consumer> = present.iter().map(|consumer| (consumer.id.as_str(), consumer)).collect();
    let mut steps = Vec::new();
    for (id, settings) in &desired.consumers {
        let (id, body) = (id.clone(), settings.to_json());
        match there.get(id.as_str()) {
            None => steps.push(Step::Create { id, body }),
            Some(consumer) => {
                let differences = differences(&consumer.to_json(), &body);
                if !differences.is_empty() {
                    steps.push(Step::Update { id, body, differences, version: consumer.version.clone() });
                }
            }
        }
    }
    if desired.prune {
        let surplus = there.values().filter(|consumer| !desired.consumers.contains_key(&consumer.id));
        steps.extend(surplus.map(|consumer| Step::Delete { id: consumer.id.clone(), version: consumer.version.clone() }));
    }
    steps
}

fn differences(before: &Value, after: &Value) -> Vec<Difference> {
    let member = |name: &'static str| {
        let (before, after) = (before[name].clone(), after[name].clone());
        (before != after).then_some(Difference { member: name, before, after })
    };
    input::MEMBERS.into_iter().filter_map(member).collect()
}

impl Consumers<'_> {
    /// Every consumer there is.
    ///
    /// # Errors
    /// [`ConsumerError::Store`].
    pub async fn all(&self) -> Result<Vec<Consumer>, ConsumerError> {
        let (mut all, mut cursor) = (Vec::new(), None);
        loop {
            let page = self.list(100, cursor.as_deref()).await?;
            all.extend(page.consumers);
            cursor = page.next_cursor;
            if cursor.is_none() {
                return Ok(all);
            }
        }
    }

    /// Takes one step. The ones before it stay done whatever becomes of it; a new difference shows what is left.
    ///
    /// # Errors
    /// [`ConsumerError::Exists`] and [`ConsumerError::Precondition`] where the consumer has changed since the difference was made.
    pub async fn take(&self, step: &Step) -> Result<(), ConsumerError> {
        match step {
            Step::Create { id, body } => {
                let mut body = body.clone();
                body["id"] = json!(id);
                self.create(&body).await.map(drop)
            }
            Step::Update { id, body, version, .. } => self.put(id, body, Some(version)).await.map(drop),
            Step::Delete { id, version } => self.delete(id, Some(version)).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::identity::auth::tests::support::{consumer, model};

    fn desired(text: &str) -> Desired {
        read(&model(), "consumers.yaml", text).unwrap()
    }

    #[test]
    fn every_mistake_is_told_with_its_place() {
        let text = "
prune: maybe
consumers:
  acme: {plan: platinum, roles: [reader, boss]}
  'a b': {}
  anonymous: ~
  idp:u1:
    id: x
    surprise: 1
    notify:
    - ftp://x
users: {}
";
        let mistakes: Vec<String> = read(&model(), "c.yaml", text)
            .unwrap_err()
            .iter()
            .map(|m| format!("{}:{} {}", m.line, m.column, m.message))
            .collect();
        let starts = [
            "2:1 `prune` must be",
            "4:10 `plan` must be a plan: free, gold",
            "4:42 `roles.1` must be a role: guest, reader, admin",
            "5:3 `a b` is no id",
            "6:3 `anonymous` is no id",
            "8:5 the id stands before the colon",
            "9:5 `surprise` is not known",
            "11:7 `notify.0` must be an address",
            "12:1 unknown key `users`",
        ];
        assert_eq!(mistakes.len(), starts.len(), "{mistakes:#?}");
        for (mistake, start) in mistakes.iter().zip(starts) {
            assert!(mistake.starts_with(start), "{mistake} | {start}");
        }
        for text in ["", "[]", "consumers: []", "{}", "a: b: c", "consumers: {a: {}, a: {}}"] {
            assert!(read(&model(), "c.yaml", text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_difference_is_what_is_missing_other_and_too_much() {
        let mut same = consumer("same");
        same.plan = Some("gold".into());
        let mut other = consumer("other");
        other.roles = Some(vec!["admin".into()]);
        let present = [same, other, consumer("surplus")];
        let text = "consumers: {same: {plan: gold}, other: {disabled: true}, new: {claims: {tenant: 1}}}";
        let steps = diff(&desired(text), &present);
        let shown: Vec<String> = steps.iter().map(ToString::to_string).collect();
        assert_eq!(shown[1], "~ other\n    roles: [\"admin\"] -> null\n    disabled: false -> true");
        assert!(shown[0].starts_with("+ new {") && shown[0].contains("\"tenant\":1"), "{}", shown[0]);
        assert_eq!(shown.len(), 2, "nothing is deleted unless it is asked for");
        let steps = diff(&desired(&format!("prune: true\n{text}")), &present);
        assert_eq!(steps[2], Step::Delete { id: "surplus".into(), version: "v1".into() });
    }

    proptest! {
        /// Whatever is there: after the steps the difference is empty.
        #[test]
        fn the_steps_arrive(present in prop::collection::btree_map("[a-d]", (any::<bool>(), 0..3usize), 0..4),
                            wanted in prop::collection::btree_map("[a-d]", (any::<bool>(), 0..3usize), 0..4), prune: bool) {
            let plan = |n: usize| [None, Some("free"), Some("gold")][n].map(str::to_owned);
            let mut there: Vec<Consumer> = present.iter().map(|(id, (disabled, n))| Consumer { disabled: *disabled, plan: plan(*n), ..consumer(id) }).collect();
            let consumers = wanted.iter().map(|(id, (disabled, n))| (id.clone(), ConsumerSettings { disabled: *disabled, plan: plan(*n), ..ConsumerSettings::default() })).collect();
            let desired = Desired { prune, consumers };
            for step in diff(&desired, &there) {
                there.retain(|consumer| consumer.id != step.id());
                if let Step::Create { id, body } | Step::Update { id, body, .. } = step {
                    let settings = input::settings(&model(), &body, None).unwrap();
                    there.push(Consumer { disabled: settings.disabled, plan: settings.plan, ..consumer(&id) });
                }
            }
            prop_assert_eq!(diff(&desired, &there), vec![]);
            prop_assert!(!prune || there.len() == desired.consumers.len());
        }
    }
}
