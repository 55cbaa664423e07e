//! One change of a consumer is one transaction: its row, its row in the list, its limiter item, and whatever the caller adds
//! (the audit trail). Read, decide, commit; repeated where another change was faster.

use std::time::Duration;

use serde_json::Value;

use super::error::ConsumerError;
use super::record::{DOCUMENT, EPOCH, KEYS, Row};
use crate::core::backoff::Backoff;
use crate::core::clock::Env;
use crate::store::audit;
use crate::store::idempotency;
use crate::store::keys as place;
use crate::store::table::{Attr, Expr, Reason, Table, TableError, TableName, Transaction, Write};

/// Kinds of changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChangeKind {
    /// A consumer was created.
    Create,
    /// A consumer was changed.
    Update,
    /// A consumer was deleted, with its keys.
    Delete,
    /// A key was created.
    CreateKey,
    /// A key was revoked.
    DeleteKey,
}

impl ChangeKind {
    /// Its name in the audit trail.
    pub fn name(self) -> &'static str {
        match self {
            Self::Create => "consumer.create",
            Self::Update => "consumer.update",
            Self::Delete => "consumer.delete",
            Self::CreateKey => "consumer.key.create",
            Self::DeleteKey => "consumer.key.delete",
        }
    }
}

/// A change, as it stands in the audit trail; it never contains a secret.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// Kind.
    pub kind: ChangeKind,
    /// Of which consumer.
    pub consumer: String,
    /// Of which key.
    pub key_id: Option<String>,
    /// The consumer before.
    pub before: Option<Value>,
    /// The consumer after.
    pub after: Option<Value>,
    /// Its version after.
    pub version: Option<String>,
    /// Of a key's creation: the key as it may be shown again.
    pub key: Option<Value>,
}

impl Change {
    /// The entry of the audit trail, by whoever made it: which members changed and how, for there is no secret among them.
    pub fn entry(&self, by: audit::Entry) -> audit::Entry {
        let member = |state: &Option<Value>, name: &str| state.as_ref().map_or(Value::Null, |state| state[name].clone());
        let changed = super::input::MEMBERS.into_iter().filter_map(|name| {
            let (before, after) = (member(&self.before, name), member(&self.after, name));
            (before != after).then(|| (name.to_owned(), serde_json::json!({ "before": before, "after": after })))
        });
        let changed: serde_json::Map<String, Value> = changed.collect();
        let detail = match &self.key_id {
            Some(key) => Some(serde_json::json!({ "key_id": key })),
            None => (!changed.is_empty()).then_some(Value::Object(changed)),
        };
        audit::Entry {
            action: self.kind.name().to_owned(),
            resource: "consumer".to_owned(),
            id: Some(self.consumer.clone()),
            detail,
            ..by
        }
    }
}

/// Further writes of the transaction of a change: the row of the audit trail. Called anew for each attempt.
pub type AttachedWrites<'a> = &'a (dyn Fn(&Change) -> Vec<(TableName, Write)> + Send + Sync);

/// Attempts before a change gives up on a consumer that others change all the time.
pub(super) const ATTEMPTS: u32 = 8;

/// What a consumer's rows were when a decision was made on them.
pub(super) struct Present {
    pub(super) row: Option<Row>,
    /// Epoch of the limiter's item. Equal to the row's, unless somebody removed rows by hand.
    limiter_epoch: i64,
}

impl Present {
    /// Reads row and limiter.
    pub(super) async fn read(table: &dyn Table, id: &str) -> Result<Self, ConsumerError> {
        let keys = [(TableName::Data, place::consumer(id)), (TableName::Data, place::limiter(id))];
        let [row, limiter]: [_; 2] = table
            .get(&keys, true)
            .await?
            .try_into()
            .map_err(|_| ConsumerError::Store("two keys, another number of items".into()))?;
        let row = row.map(|item| Row::from_item(&item)).transpose()?;
        Ok(Self { row, limiter_epoch: limiter.and_then(|item| item.n(EPOCH)).unwrap_or(0) })
    }

    /// The epoch after the change that is being made.
    pub(super) fn next_epoch(&self) -> i64 {
        self.row.as_ref().map_or(0, |row| row.epoch).max(self.limiter_epoch).saturating_add(1)
    }

    /// Number of keys.
    pub(super) fn keys(&self) -> i64 {
        self.row.as_ref().map_or(0, |row| row.keys)
    }

    /// Puts `next` in the place of the row that was read, on condition that it is still there.
    pub(super) fn put_row(&self, id: &str, next: &Row) -> Result<Write, ConsumerError> {
        let condition = match &self.row {
            None => Expr::new("attribute_not_exists(pk)"),
            Some(row) => Expr::new("#e = :e AND #k = :k")
                .name("#e", EPOCH)
                .name("#k", KEYS)
                .value(":e", Attr::N(row.epoch))
                .value(":k", Attr::N(row.keys)),
        };
        Ok(Write::Put { item: next.to_item(place::consumer(id))?, condition: Some(condition) })
    }
}

/// The consumer's row in the list: put, or removed with the consumer.
pub(super) fn put_listed(id: &str, row: &Row) -> Result<Write, ConsumerError> {
    let key = place::consumer_listed(id);
    Ok(match &row.consumer {
        Some(_) => Write::Put { item: row.to_item(key)?, condition: None },
        None => Write::Delete { key, condition: None },
    })
}

/// What the limiter has to know: the epoch, whether all is refused, and keys revoked since (`None`: as they are); `forgotten` are
/// attributes that mean nothing any more.
pub(super) fn put_limiter(id: &str, epoch: i64, disabled: bool, revoked: Option<Vec<String>>, forgotten: &[String]) -> Write {
    let (mut set, mut remove) = (vec!["#e = :e"], Vec::new());
    let mut update = Expr::default().name("#e", EPOCH).value(":e", Attr::N(epoch)).name("#d", "disabled");
    if disabled {
        set.push("#d = :d");
        update = update.value(":d", Attr::Bool(true));
    } else {
        remove.push("#d");
    }
    match revoked {
        None => {}
        Some(keys) => {
            update = update.name("#r", "revoked");
            if keys.is_empty() {
                remove.push("#r");
            } else {
                set.push("#r = :r");
                update = update.value(":r", Attr::Ss(keys));
            }
        }
    }
    let names: Vec<String> = (0..forgotten.len()).map(|at| format!("#f{at}")).collect();
    for (name, attribute) in names.iter().zip(forgotten) {
        update = update.name(name, attribute);
        remove.push(name);
    }
    update.text = format!("SET {}", set.join(", "));
    if !remove.is_empty() {
        update.text.push_str(&format!(" REMOVE {}", remove.join(", ")));
    }
    Write::Update { key: place::limiter(id), update, condition: None }
}

/// Counts one key more, if the consumer is there and may have it.
pub(super) fn count_key(id: &str, most: i64) -> Write {
    let condition = Expr::new("attribute_exists(#d) AND #k < :most").name("#d", DOCUMENT).name("#k", KEYS);
    Write::Update {
        key: place::consumer(id),
        update: Expr::new("SET #k = #k + :one").name("#k", KEYS).value(":one", Attr::N(1)),
        condition: Some(condition.value(":most", Attr::N(most))),
    }
}

/// Result of a commit.
#[derive(Debug, PartialEq)]
pub(super) enum Committed {
    /// It is done.
    Done,
    /// A condition no longer held, or another transaction held an item: read again. Index of the first action that failed.
    Again(usize),
}

/// Commits. A transaction with an unknown outcome is repeated with the same token, so that it has one effect.
pub(super) async fn commit(
    table: &dyn Table,
    env: &Env,
    writes: Vec<Write>,
    riders: Vec<(TableName, Write)>,
) -> Result<Committed, ConsumerError> {
    let all = writes.into_iter().chain(riders.into_iter().map(|(_, write)| write)).collect();
    let writes = idempotency::fenced(env, all).into_iter().map(|write| (TableName::Data, write)).collect();
    let transaction = Transaction { token: env.uuid_v7().to_string(), writes };
    let mut last = String::new();
    let mut backoff = backoff(env);
    for _ in 0..3 {
        match table.transact(transaction.clone()).await {
            Ok(()) => return Ok(Committed::Done),
            Err(TableError::Cancelled(reasons)) => return cancelled(&reasons),
            Err(TableError::Unknown(why) | TableError::Busy(why)) => last = why,
            Err(error) => return Err(error.into()),
        }
        backoff.pause().await;
    }
    Err(ConsumerError::Store(last))
}

fn cancelled(reasons: &[Reason]) -> Result<Committed, ConsumerError> {
    let by = |wanted: fn(&Reason) -> bool| reasons.iter().position(wanted);
    if let Some(at) = by(|reason| matches!(reason, Reason::Other(_))) {
        return Err(ConsumerError::Store(format!("{:?}", reasons[at])));
    }
    let failed = by(|reason| matches!(reason, Reason::ConditionFailed(_)));
    failed
        .or_else(|| by(|reason| *reason != Reason::None))
        .map(Committed::Again)
        .ok_or_else(|| ConsumerError::Store("cancelled for no reason".into()))
}

/// The pauses between attempts.
pub(super) const fn backoff(env: &Env) -> Backoff<'_> {
    Backoff::new(env, Duration::from_millis(20), Duration::from_millis(640))
}
