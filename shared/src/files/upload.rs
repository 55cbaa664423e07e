//! The upload that a caller began for a file field.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::core::clock::{Env, Micros};
use crate::identity::auth::Principal;
use crate::model::{Entity, Field};
use crate::store::keys;
use crate::store::object;
use crate::store::pending_deletion::{OBJECT, PendingDeletion};
use crate::store::table::{Attr, Item, Key, TableName, Write};

/// How long an upload may take to be completed after its link has ended: 5 GB at half a megabit a second.
pub const COMPLETED_WITHIN: Duration = Duration::from_secs(24 * 3600);

const DOCUMENT: &str = "d";
const VANISHING_PK: &str = "vp";
const VANISHING_SK: &str = "vs";

/// What a caller says of a file that is to be uploaded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Announced {
    /// Its name.
    pub filename: String,
    /// Its media type.
    pub content_type: String,
    /// Bytes.
    pub size: u64,
    /// SHA-256, 64 hexadecimal digits in lower case.
    pub sha256: String,
}

/// An upload under way, or completed.
#[derive(Debug, Clone, PartialEq)]
pub struct Begun {
    /// What was announced.
    pub file: Announced,
    /// The key of its object.
    pub object: String,
    /// The row that lets the object vanish.
    pub vanishing: Key,
}

/// Where the row of a caller's upload stands. A later upload of the same caller takes its place.
pub fn place(entity: &Entity, id: &str, field: &Field, caller: &Principal) -> Key {
    let mut who = Sha256::new();
    // The length keeps consumer and subject apart.
    who.update((caller.consumer.len() as u64).to_be_bytes());
    who.update(&caller.consumer);
    who.update(&caller.subject);
    // An anonymous caller has at least the key that it used.
    who.update(caller.key_id.iter().filter(|_| caller.anonymous).map(String::as_str).collect::<String>());
    keys::upload(entity, id, &field.name, &who.finalize())
}

/// A new upload, and the rows that have to be there before its link is given away.
pub fn begin(env: &Env, place: Key, file: Announced, link: Duration, now: Micros) -> (Begun, Vec<(TableName, Write)>) {
    let object = object::new_key(env);
    let vanishing = PendingDeletion::object(env, &object, now.plus(link).plus(COMPLETED_WITHIN)).with_rows(vec![place.clone()]);
    // Texts and a number: there is nothing in it that could not be written.
    let document = serde_json::to_string(&file).unwrap_or_default();
    let row = Item::new(place)
        .with(OBJECT, Attr::S(object.clone()))
        .with(DOCUMENT, Attr::S(document))
        .with(VANISHING_PK, Attr::S(vanishing.key.pk.clone()))
        .with(VANISHING_SK, Attr::B(vanishing.key.sk.clone()));
    let put = |item| (TableName::Data, Write::Put { item, condition: None });
    let rows = vec![put(vanishing.item()), put(row)];
    (Begun { file, object, vanishing: vanishing.key }, rows)
}

/// Reads a row; `None` for what is none.
pub fn read(item: &Item) -> Option<Begun> {
    Some(Begun {
        file: serde_json::from_str(item.s(DOCUMENT)?).ok()?,
        object: item.s(OBJECT)?.to_owned(),
        vanishing: Key::new(item.s(VANISHING_PK)?, item.b(VANISHING_SK)?),
    })
}
