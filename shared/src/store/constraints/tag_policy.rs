//! Which tags writers keep: `cache` and `contention` of the model decide it, and cached answers depend on those tags.
//!
//! While two models that differ in it write, neither voids all answers that the other keeps. So every writer says before it writes
//! which tags it keeps; where that is news, all that was cached until then is void (the tag of everything changes in the same
//! transaction), and who names other tags keeps nothing and serves nothing until its own kind writes again.

use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};

use crate::core::clock::Env;
use crate::model::{CacheMode, Model};
use crate::store::keys;
use crate::store::repeat::repeated;
use crate::store::table::{Attr, Item, Reason, Table, TableError, TableName, Transaction, Write};
use crate::store::tags;

const TAG_POLICY: &str = "r";

/// 16 hex digits over what decides which tags a write changes.
fn of(model: &Model) -> String {
    let mut text = String::new();
    for entity in &model.entities {
        let _infallible = writeln!(text, "{} {} {}", entity.name, entity.shards, entity.cache == CacheMode::Off);
    }
    hex::encode(&Sha256::digest(text.as_bytes())[..8])
}

/// Whether this is what the model's own writers record.
pub(super) fn is_own(model: &Model, recorded: &Item) -> bool {
    recorded.s(TAG_POLICY) == Some(of(model).as_str())
}

/// Records the tag policy of the model, unless it is the recorded one. Returns whether it did.
pub(super) async fn announce(table: &dyn Table, env: &Env, model: &Model, recorded: Option<&Item>) -> Result<bool, TableError> {
    if recorded.is_some_and(|recorded| is_own(model, recorded)) {
        return Ok(false);
    }
    let item = Item::new(keys::tag_policy()).with(TAG_POLICY, Attr::S(of(model)));
    let writes = [Write::Put { item, condition: None }, tags::void(&keys::global_tag(), env)];
    let writes: Vec<_> = writes.into_iter().map(|write| (TableName::Data, write)).collect();
    let once = || async {
        let transaction = Transaction { token: env.uuid_v7().to_string(), writes: writes.clone() };
        table.transact(transaction).await.map_err(|error| match error {
            // Another writer of this kind at the same moment.
            TableError::Cancelled(reasons) if reasons.iter().all(|reason| !matches!(reason, Reason::Other(_))) => {
                TableError::Busy("conflict".to_owned())
            }
            error => error,
        })
    };
    repeated(env, once).await?;
    Ok(true)
}
