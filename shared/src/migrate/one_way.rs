//! The mark that a migration leaves beside the data before it converts or removes stored values: an earlier release must not come back.
//!
//! It is read without this program too, by `infra/rollback.sh`, so it holds plain texts. A release from after it may come back, and of those
//! before it only one with the very model that the data was migrated to.

use sha2::{Digest as _, Sha256};

use super::Evolution;
use crate::model::Model;
use crate::store::keys;
use crate::store::repeat::repeated;
use crate::store::table::{Attr, Item, Returning, TableError, TableName, Write};

/// Name in the key of its item.
const NAME: &str = "one_way";
const AT: &str = "at";
const MODEL: &str = "model";
const VERSION: &str = "version";
const WHY: &str = "why";

/// The last migration that an earlier release does not survive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OneWay {
    /// When it began, RFC 3339.
    pub at: String,
    /// SHA-256 of the model that the data was migrated to, 64 hexadecimal digits.
    pub model: String,
    /// Name and version of that model.
    pub version: String,
    /// What was converted or removed.
    pub why: String,
}

impl OneWay {
    fn read(item: &Item) -> Option<Self> {
        let text = |name: &str| item.s(name).map(str::to_owned);
        Some(Self { at: text(AT)?, model: text(MODEL)?, version: text(VERSION)?, why: text(WHY)? })
    }
}

fn hash(model: &Model) -> String {
    hex::encode(Sha256::digest(model.source.as_bytes()))
}

impl Evolution {
    /// The last migration after which not every model can be served.
    ///
    /// # Errors
    /// What the table says.
    pub async fn one_way(&self) -> Result<Option<OneWay>, TableError> {
        let key = [(TableName::Data, keys::migration(NAME))];
        let found = repeated(&self.env, || self.table.get(&key, true)).await?.into_iter().next().flatten();
        Ok(found.as_ref().and_then(OneWay::read))
    }

    /// Marks, before anything is converted or removed, that there is no way back behind this model.
    pub(super) async fn mark_one_way(&self, steps: &[String]) -> Result<(), TableError> {
        if steps.is_empty() {
            return Ok(());
        }
        let text = |text: &str| Attr::S(text.to_owned());
        let item = Item::new(keys::migration(NAME))
            .with(AT, text(&self.env.now().rfc3339()))
            .with(MODEL, text(&hash(&self.model)))
            .with(VERSION, text(&format!("{} {}", self.model.name, self.model.version)))
            .with(WHY, text(&steps.join("; ")));
        let write = Write::Put { item, condition: None };
        repeated(&self.env, || self.table.write(TableName::Data, write.clone(), Returning::Nothing)).await.map(drop)
    }
}
