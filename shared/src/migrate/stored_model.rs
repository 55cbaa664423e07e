//! The model that the stored data is of, kept beside it: what a newer one changes can be told from it.

use std::io::{Read as _, Write as _};
use std::sync::Arc;

use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;

use crate::core::clock::Env;
use crate::model::{Model, parse};
use crate::store::keys;
use crate::store::repeat::repeated;
use crate::store::table::{Attr, Item, Returning, Table, TableError, TableName, Write};

/// Name in the key of its item.
const NAME: &str = "model";
const SOURCE: &str = "s";
/// Longest source that is read back: no model is near it.
const MAX_SOURCE: u64 = 16 * 1024 * 1024;

/// The model that was last recorded; `None` where none was, or one that this version cannot read.
///
/// # Errors
/// What the table says.
pub(super) async fn read(table: &dyn Table) -> Result<Option<Arc<Model>>, TableError> {
    let found = table.get(&[(TableName::Data, keys::migration(NAME))], true).await?.into_iter().next().flatten();
    let source = found.as_ref().and_then(|item| unpacked(item.b(SOURCE)?));
    Ok(source.and_then(|source| parse("model.yaml", &source).ok()).map(Arc::new))
}

/// Records that the stored data is of this model.
///
/// # Errors
/// What the table says.
pub(super) async fn record(table: &dyn Table, env: &Env, model: &Model) -> Result<(), TableError> {
    let Some(packed) = packed(&model.source) else { return Ok(()) };
    let item = Item::new(keys::migration(NAME)).with(SOURCE, Attr::B(packed));
    let write = Write::Put { item, condition: None };
    repeated(env, || table.write(TableName::Data, write.clone(), Returning::Nothing)).await.map(drop)
}

fn packed(source: &str) -> Option<Vec<u8>> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(source.as_bytes()).ok()?;
    encoder.finish().ok()
}

fn unpacked(packed: &[u8]) -> Option<String> {
    let mut source = String::new();
    DeflateDecoder::new(packed).take(MAX_SOURCE).read_to_string(&mut source).ok()?;
    Some(source)
}
